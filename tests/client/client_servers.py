"""What the client is tested against: a running `tenure serve`, and a server that misbehaves as a test tells it to."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl


@dataclass(frozen=True)
class Served:
    """A running server: its address, its token, and the folder of its project."""

    url: str
    token: str
    folder: Path

    def rows(self, count: int = 3) -> list[dict[str, Any]]:
        """Return rows that the model answers."""
        return pl.read_csv(self.folder / "data" / "first.csv").head(count).drop("left").to_dicts()


def reply(status: int, body: str, *headers: str) -> bytes:
    """Return a whole HTTP answer."""
    content = body.encode()
    head = [f"HTTP/1.1 {status} Said", "Content-Type: application/json", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + content


SILENCE = b"silence"
HANG_UP = b"hang up"
Script = Sequence[bytes] | Callable[[], bytes]


def _head(stream: BinaryIO) -> str:
    """Return the next request's lines up to the blank one, or nothing where the caller has closed."""
    lines = []
    while (line := stream.readline()) not in (b"", b"\r\n"):
        lines.append(line)
    return b"".join(lines).decode()


class ScriptedServer:
    """Answers one request after another as told: bytes to send, HANG_UP to close instead, SILENCE to say nothing.

    An answer that says `Connection: gone` is followed by a close that it does not announce; one that says
    `Connection: early` is given, and the connection closed, before the body was read.
    """

    def __init__(self, script: Script) -> None:
        self._next = script if callable(script) else iter(script).__next__
        self.requests: list[tuple[str, bytes]] = []
        self.connections = 0
        self.hung_up = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._answer, args=(connection,)))
            self._threads[-1].start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            self._converse(connection, stream)
        self.hung_up.set()

    def _converse(self, connection: socket.socket, stream: BinaryIO) -> None:
        while head := _head(stream):
            said = self._next()
            if b"Connection: early" in said:
                connection.sendall(said)
                return
            length = re.search(r"(?i)content-length: (\d+)", head)
            self.requests.append((head, stream.read(int(length[1])) if length else b""))
            if said == HANG_UP:
                return
            if said != SILENCE:
                connection.sendall(said)
            if b"Connection: gone" in said:
                return

    def close(self) -> None:
        """Stop, and wait for every thread."""
        for one in (self._listener, *self._open):
            with suppress(OSError):  # already gone
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join()
