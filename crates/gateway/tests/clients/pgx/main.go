// pgx, by itself and through its lower half, pgconn.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

const running = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query IN ('SELECT pg_sleep(50)', 'SELECT pg_sleep(4)')"

var ctx = context.Background()

func saw(check string, what any) {
	line, err := json.Marshal(map[string]any{"check": check, "saw": what})
	must(err)
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func connect(user, ca string) (*pgx.Conn, error) {
	how := url.Values{"sslmode": {"verify-full"}, "sslrootcert": {ca}, "channel_binding": {"require"}}
	to := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(user, os.Getenv("DAYPASS_PASSWORD")),
		Host:     os.Getenv("DAYPASS_HOST") + ":" + os.Getenv("DAYPASS_PORT"),
		Path:     "/" + os.Getenv("DAYPASS_DATABASE"),
		RawQuery: how.Encode(),
	}
	config, err := pgx.ParseConfig(to.String())
	must(err)
	// Asked for by the caller's context, a cancellation is a request to the server, as it is for other clients.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 10 * time.Second}
	}
	return pgx.ConnectConfig(ctx, config)
}

func dial(user string) *pgx.Conn {
	conn, err := connect(user, os.Getenv("DAYPASS_CA"))
	must(err)
	return conn
}

func state(err error) string {
	var told *pgconn.PgError
	switch {
	case err == nil:
		return "went well"
	case errors.As(err, &told):
		return told.Code
	default:
		return err.Error()
	}
}

func number(conn *pgx.Conn, sql string) (n int) {
	must(conn.QueryRow(ctx, sql).Scan(&n))
	return n
}

func stranger() string {
	_, err := connect(os.Getenv("DAYPASS_USER"), os.Getenv("DAYPASS_STRANGER"))
	if err != nil && strings.Contains(err.Error(), "certificate signed by unknown authority") {
		return "refused"
	}
	return state(err)
}

// parameters sends and takes them in this form, by a statement that was prepared.
func parameters(conn *pgx.Conn, format int16) []any {
	name := fmt.Sprintf("parameters-%d", format)
	_, err := conn.PgConn().Prepare(ctx, name, "SELECT $1::int + 1, $2::text", nil)
	must(err)
	values := [][]byte{[]byte("41"), []byte("ä'x")}
	if format == pgx.BinaryFormatCode {
		values[0] = []byte{0, 0, 0, 41}
	}
	both := []int16{format, format}
	result := conn.PgConn().ExecPrepared(ctx, name, values, both, both).Read()
	must(result.Err)
	var n int32
	var word string
	must(conn.TypeMap().Scan(23, format, result.Rows[0][0], &n))
	must(conn.TypeMap().Scan(25, format, result.Rows[0][1], &word))
	return []any{n, word}
}

func failed(conn *pgx.Conn) []any {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO things (n, word) VALUES (-1, 'never')"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "SELECT 1 / 0")
		return err
	})
	return []any{state(err), number(conn, "SELECT count(*) FROM things WHERE n < 0")}
}

func copied(conn *pgx.Conn) []any {
	rows := pgx.CopyFromSlice(1000, func(i int) ([]any, error) {
		return []any{i + 1, fmt.Sprintf("word %d", i+1)}, nil
	})
	_, err := conn.CopyFrom(ctx, pgx.Identifier{"things"}, []string{"n", "word"}, rows)
	must(err)
	var out bytes.Buffer
	_, err = conn.PgConn().CopyTo(ctx, &out, "COPY things (n, word) TO STDOUT")
	must(err)
	return []any{
		number(conn, "SELECT count(*) FROM things"),
		number(conn, "SELECT sum(n) FROM things"),
		bytes.Count(out.Bytes(), []byte("\n")),
	}
}

// rows takes them through a cursor of the server's: pgx has none of its own.
func rows(conn *pgx.Conn) []any {
	count, total := 0, 0
	must(pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "DECLARE many CURSOR FOR SELECT n FROM generate_series(1, 100000) n")
		must(err)
		for {
			some, err := tx.Query(ctx, "FETCH 1000 FROM many")
			must(err)
			numbers, err := pgx.CollectRows(some, pgx.RowTo[int])
			must(err)
			if len(numbers) == 0 {
				return nil
			}
			for _, n := range numbers {
				count++
				total += n
			}
		}
	}))
	return []any{count, total}
}

func notify(conn *pgx.Conn) string {
	_, err := conn.Exec(ctx, "LISTEN news")
	must(err)
	other := dial(os.Getenv("DAYPASS_USER"))
	defer other.Close(ctx)
	_, err = other.Exec(ctx, "NOTIFY news, 'hello'")
	must(err)
	soon, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	heard, err := conn.WaitForNotification(soon)
	must(err)
	return heard.Payload
}

func cancel(conn *pgx.Conn) []any {
	victim, bystander := dial(os.Getenv("DAYPASS_USER")), dial(os.Getenv("DAYPASS_USER"))
	defer victim.Close(ctx)
	defer bystander.Close(ctx)
	slow, quiet := make(chan string), make(chan string)
	until, stop := context.WithCancel(ctx)
	go func() {
		_, err := victim.Exec(until, "SELECT pg_sleep(50)")
		slow <- state(err)
	}()
	go func() {
		_, err := bystander.Exec(ctx, "SELECT pg_sleep(4)")
		quiet <- state(err)
	}()
	for number(conn, running) < 2 {
	}
	stop()
	return []any{<-slow, <-quiet, number(victim, "SELECT 1")}
}

func pipeline(conn *pgx.Conn) int {
	batch := &pgx.Batch{}
	total := 0
	for n := range 100 {
		batch.Queue("SELECT $1::int", n).QueryRow(func(row pgx.Row) error {
			var n int
			err := row.Scan(&n)
			total += n
			return err
		})
	}
	must(conn.SendBatch(ctx, batch).Close())
	return total
}

func pipelineFails(conn *pgx.Conn) []any {
	batch := &pgx.Batch{}
	batch.Queue("INSERT INTO things (n, word) VALUES (-2 / $1::int, 'never')", 1)
	batch.Queue("INSERT INTO things (n, word) VALUES (-2 / $1::int, 'never')", 0)
	batch.Queue("INSERT INTO things (n, word) VALUES (-2 / $1::int, 'never')", 2)
	err := conn.SendBatch(ctx, batch).Close()
	return []any{state(err), number(conn, "SELECT count(*) FROM things WHERE n < 0")}
}

func refused(conn *pgx.Conn) []any {
	_, prepared := conn.Exec(ctx, "DELETE FROM things")
	_, simple := conn.Exec(ctx, "DELETE FROM things", pgx.QueryExecModeSimpleProtocol)
	said := state(prepared)
	if other := state(simple); other != said {
		said += " and " + other
	}
	return []any{said, number(conn, "SELECT count(*) FROM things")}
}

func ended() {
	conn := dial(os.Getenv("DAYPASS_ENDS"))
	saw("ending", nil)
	_, err := conn.Exec(ctx, "SELECT pg_sleep(60)")
	saw("ended", state(err))
}

func main() {
	saw("stranger", stranger())
	conn := dial(os.Getenv("DAYPASS_USER"))
	saw("simple", number(conn, "SELECT 6 * 7"))
	_, err := conn.Exec(ctx, "CREATE TABLE things (n int, word text)")
	must(err)
	saw("text", parameters(conn, pgx.TextFormatCode))
	saw("binary", parameters(conn, pgx.BinaryFormatCode))
	saw("failed", failed(conn))
	saw("copy", copied(conn))
	saw("rows", rows(conn))
	saw("notify", notify(conn))
	saw("cancel", cancel(conn))
	saw("pipeline", pipeline(conn))
	saw("pipeline fails", pipelineFails(conn))
	saw("refused", refused(conn))
	ended()
	saw("stays", number(conn, "SELECT 1"))
	must(conn.Close(ctx))
}
