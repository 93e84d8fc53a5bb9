"""paramiko, as it is published, through a gateway: one line of JSON for each check, with what it saw."""

import io
import json
import os
import time

import paramiko

PORT = int(os.environ["DAYPASS_PORT"])
USER = os.environ["DAYPASS_USER"]
HERE = os.environ["DAYPASS_FOLDER"]
ECHO = os.environ["DAYPASS_ECHO"].split(":")


def saw(check, what):
    print(json.dumps({"check": check, "saw": what}), flush=True)


def connect(key):
    client = paramiko.SSHClient()
    client.load_host_keys(os.environ["DAYPASS_KNOWN"])
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.connect("127.0.0.1", port=PORT, username=USER, key_filename=key, allow_agent=False, look_for_keys=False, timeout=20)
    return client


def run(client, command):
    _, out, err = client.exec_command(command)
    return [out.read().decode().strip(), err.read().decode().strip(), out.channel.recv_exit_status()]


def main():
    try:
        connect(os.environ["DAYPASS_OTHER"])
        saw("stranger", "came in")
    except paramiko.AuthenticationException:
        saw("stranger", "refused")
    client = connect(os.environ["DAYPASS_KEY"])
    saw("exec", run(client, "echo out; echo err >&2; exit 7"))
    _, out, _ = client.exec_command("tty", get_pty=True)
    saw("terminal", out.read().decode().startswith("/dev/pts/"))

    sftp = client.open_sftp()
    whole = os.urandom(3_000_000)
    there = os.path.join(HERE, "there")
    sftp.putfo(io.BytesIO(whole), there)
    back = io.BytesIO()
    sftp.getfo(there, back)
    saw("files", [back.getvalue() == whole, sftp.stat(there).st_size])
    # It asks for all of a file at once: two thousand requests, before anything is answered.
    large = os.path.join(HERE, "large")
    with open(large, "wb") as file:
        file.truncate(64 << 20)
    back = io.BytesIO()
    saw("large", sftp.getfo(large, back))
    sftp.chmod(there, 0o600)
    sftp.rename(there, there + "-2")
    saw("names", "there-2" in sftp.listdir(HERE))
    sftp.remove(there + "-2")
    try:
        sftp.open(os.path.join(HERE, "nothing"))
    except FileNotFoundError:
        saw("nothing", "not found")
    sftp.close()

    transport = client.get_transport()
    channel = transport.open_channel("direct-tcpip", (ECHO[0], int(ECHO[1])), ("127.0.0.1", 0), timeout=20)
    channel.sendall(b"ping")
    saw("forward", channel.recv(4).decode())
    channel.close()
    try:
        transport.open_channel("direct-tcpip", ("127.0.0.1", 1), ("127.0.0.1", 0), timeout=20)
    except paramiko.ChannelException as error:
        saw("refused", error.code)
    try:
        transport.request_port_forward("127.0.0.1", 0)
        saw("listen", "allowed")
    except paramiko.SSHException:
        saw("listen", "refused")
    transport.renegotiate_keys()
    saw("keys changed", run(client, "echo again")[0])

    _, out, _ = client.exec_command("echo ready; sleep 100")
    out.readline()
    saw("ending", None)
    for _ in range(200):
        if not transport.is_active():
            break
        time.sleep(0.1)
    saw("ended", not transport.is_active())


main()
