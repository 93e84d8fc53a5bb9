// Go's SSH, as it is published, through a gateway: one line of JSON for each check, with what it saw.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func saw(check string, value any) {
	line := must(json.Marshal(map[string]any{"check": check, "saw": value}))
	fmt.Println(string(line))
}

func dial(key string, kex string) (*ssh.Client, error) {
	signer := must(ssh.ParsePrivateKey(must(os.ReadFile(key))))
	config := &ssh.ClientConfig{
		User:              os.Getenv("DAYPASS_USER"),
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback:   must(knownhosts.New(os.Getenv("DAYPASS_KNOWN"))),
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
		Timeout:           20 * time.Second,
	}
	config.KeyExchanges = []string{kex}
	return ssh.Dial("tcp", "127.0.0.1:"+os.Getenv("DAYPASS_PORT"), config)
}

// Runs a command: what it wrote and how it ended.
func run(client *ssh.Client, command string, input io.Reader) (string, int) {
	session := must(client.NewSession())
	defer session.Close()
	var out bytes.Buffer
	session.Stdout, session.Stdin = &out, input
	err := session.Run(command)
	if exit, ok := err.(*ssh.ExitError); ok {
		return out.String(), exit.ExitStatus()
	}
	if err != nil {
		return err.Error(), -1
	}
	return out.String(), 0
}

func main() {
	key := os.Getenv("DAYPASS_KEY")
	_, err := dial(os.Getenv("DAYPASS_OTHER"), ssh.KeyExchangeMLKEM768X25519)
	saw("stranger", err != nil && strings.Contains(err.Error(), "unable to authenticate"))
	for _, kex := range []string{ssh.KeyExchangeCurve25519, ssh.KeyExchangeMLKEM768X25519} {
		client := must(dial(key, kex))
		out, status := run(client, "echo out; exit 7", nil)
		saw(kex, []any{strings.TrimSpace(out), status})
		client.Close()
	}
	client := must(dial(key, ssh.KeyExchangeMLKEM768X25519))

	session := must(client.NewSession())
	must(0, session.RequestPty("xterm", 24, 80, ssh.TerminalModes{}))
	out := must(session.Output("tty"))
	saw("terminal", strings.HasPrefix(strings.TrimSpace(string(out)), "/dev/pts/"))

	// Many at once, and much.
	done := make(chan int)
	for n := 0; n < 8; n++ {
		go func() {
			out, _ := run(client, "cat", io.LimitReader(zeros{}, 2<<20))
			done <- len(out)
		}()
	}
	sum := 0
	for n := 0; n < 8; n++ {
		sum += <-done
	}
	saw("much", sum)

	echo := os.Getenv("DAYPASS_ECHO")
	forwarded := must(client.Dial("tcp", echo))
	must(forwarded.Write([]byte("ping")))
	answer := make([]byte, 4)
	must(io.ReadFull(forwarded, answer))
	forwarded.Close()
	saw("forward", string(answer))
	_, err = client.Dial("tcp", "127.0.0.1:1")
	open, _ := err.(*ssh.OpenChannelError)
	saw("refused", open != nil && open.Reason == ssh.Prohibited)
	_, err = client.Listen("tcp", "127.0.0.1:0")
	saw("listen", err != nil)
	_, err = client.Listen("unix", "/tmp/daypass-nobody")
	saw("socket", err != nil)

	ended := make(chan error)
	session = must(client.NewSession())
	output := must(session.StdoutPipe())
	must(0, session.Start("echo ready; sleep 100"))
	must(output.Read(make([]byte, 8)))
	go func() { ended <- session.Wait() }()
	saw("ending", nil)
	select {
	case <-ended:
		err := client.Wait()
		saw("ended", strings.Contains(fmt.Sprint(err), "wrong ticket"))
	case <-time.After(20 * time.Second):
		saw("ended", "never")
	}
}

type zeros struct{}

func (zeros) Read(into []byte) (int, error) { return len(into), nil }
