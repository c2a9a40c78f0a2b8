"""Real servers on loopback that alerts are sent to: a webhook's receiver and a mail server, with or without TLS."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Call:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """What a webhook's receiver answers in turn (the last for ever), and what came."""

    answers: list[int] = field(default_factory=lambda: [204])
    calls: list[Call] = field(default_factory=list)
    url: str = ""
    wait: threading.Event = field(default_factory=threading.Event)
    """Set as long as it answers."""


@contextmanager
def webhook(*answers: int, tls: ssl.SSLContext | None = None, body: bytes = b"") -> Iterator[Hook]:
    """Run a receiver that answers so in turn."""
    hook = Hook(list(answers) or [204])
    hook.wait.set()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            hook.calls.append(Call(self.path, {k.lower(): v for k, v in self.headers.items()}, content))
            hook.wait.wait(20)
            code = hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0]
            self.send_response(code)
            if 300 <= code < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            """Note who followed a redirect."""
            hook.calls.append(Call(self.path, {}, b""))
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Clients that hang up, or do not trust us, are what is tested."""

    server = Server(("127.0.0.1", 0), Receiver)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    hook.url = f"{'https' if tls else 'http'}://localhost:{server.server_port}/in/T0KEN-in-the-path"
    with _running(server):
        yield hook
        hook.wait.set()


@dataclass
class Post:
    """What a mail server took."""

    mails: list[EmailMessage] = field(default_factory=list)
    to: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, str, bool]] = field(default_factory=list)
    """User, password, and whether they came over TLS."""
    refusals: dict[str, bytes] = field(default_factory=dict)
    """What a command is answered with, by its beginning."""
    port: int = 0


@contextmanager
def mail_server(
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    refusals: dict[str, bytes] | None = None,
) -> Iterator[Post]:
    """Run a mail server; `refusals` has the answers to commands that it does not do, by their beginning."""
    post = Post(refusals=refusals or {})

    class Session(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.is_safe = tls is not None
            self.came = self.request.makefile("rb")
            self.say(b"220 ready")
            to: list[str] = []
            while line := self.came.readline().decode().strip():
                refusal = next((said for start, said in post.refusals.items() if line.upper().startswith(start)), None)
                verb = line.split()[0].upper()
                if refusal is not None:
                    self.say(refusal)
                elif verb in ("EHLO", "HELO"):
                    offers = [b"here"] + ([b"STARTTLS"] if starttls and not self.is_safe else [])
                    offers += [b"AUTH PLAIN"] if self.is_safe else []
                    self.say(b"\r\n".join([*(b"250-" + offer for offer in offers), b"250 8BITMIME"]))
                elif verb == "STARTTLS" and starttls:
                    self.say(b"220 go")
                    self.request = starttls.wrap_socket(self.request, server_side=True)
                    self.came, self.is_safe = self.request.makefile("rb"), True
                elif verb == "AUTH":
                    _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                    post.logins.append((user, password, self.is_safe))
                    self.say(b"235 welcome")
                elif verb == "RCPT":
                    to.append(line.partition("<")[2].partition(">")[0])
                    self.say(b"250 fine")
                elif verb == "DATA":
                    self.say(b"354 go on")
                    post.mails.append(self.mail())
                    post.to.append(to)
                    self.say(b"250 taken")
                elif verb == "QUIT":
                    self.say(b"221 bye")
                    return
                else:
                    self.say(b"250 fine")

        def say(self, line: bytes) -> None:
            self.request.sendall(line + b"\r\n")

        def mail(self) -> EmailMessage:
            lines = list(iter(self.came.readline, b".\r\n"))
            found = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(found, EmailMessage)
            return found

        def finish(self) -> None:
            self.came.close()
            self.request.close()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def get_request(self) -> Any:
            connection, address = super().get_request()
            return (tls.wrap_socket(connection, server_side=True) if tls else connection), address

        def handle_error(self, *_: Any) -> None:
            """Clients that hang up, or do not trust us, are what is tested."""

    server = Server(("127.0.0.1", 0), Session)
    post.port = server.server_address[1]
    with _running(server):
        yield post


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
