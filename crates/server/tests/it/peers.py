"""Receivers that nobody here wrote: aiosmtpd takes mail, the standardwebhooks library verifies webhooks.

argv: certificate, key, user, password, webhook secret. Prints one JSON object a line: first the ports, then what came.
Ends with its standard input.
"""

import asyncio, json, os, ssl, sys, threading
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from standardwebhooks.webhooks import Webhook

certificate, key, user, password, secret = sys.argv[1:]
lock = threading.Lock()


def say(what):
    with lock:
        print(json.dumps(what), flush=True)


class Mailbox:
    busy = 1  # how often it says "later" first

    async def handle_DATA(self, server, session, envelope):
        if Mailbox.busy > 0:
            Mailbox.busy -= 1
            return "451 4.3.0 try again later"
        message = message_from_bytes(envelope.content, policy=policy.default)
        parts = [[p.get_content_type(), p.get_content()] for p in message.walk() if not p.is_multipart()]
        say({"mail": {
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "type": message.get_content_type(), "parts": parts, "defects": [str(d) for d in message.defects],
            "headers": [[name, str(value)] for name, value in message.items()],
        }})
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    fits = isinstance(data, LoginPassword) and data.login == user.encode() and data.password == password.encode()
    return AuthResult(success=fits, auth_data=data)


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = Webhook(secret).verify(body, dict(self.headers.items()))
            say({"hook": event})
            self.send_response(204)
        except Exception as error:  # the test shows it
            say({"hook": {"error": repr(error)}})
            self.send_response(400)
        self.end_headers()

    def log_message(self, *_):
        pass


def ends_with_stdin():
    sys.stdin.read()
    os._exit(0)


async def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    smtp = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Mailbox(), hostname="localhost", tls_context=tls, require_starttls=True,
                     authenticator=authenticate, auth_required=True),
        "127.0.0.1", 0)
    http = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    threading.Thread(target=ends_with_stdin, daemon=True).start()
    say({"smtp": smtp.sockets[0].getsockname()[1], "http": http.server_port})
    await smtp.serve_forever()


asyncio.run(main())
