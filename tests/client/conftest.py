"""A real `tenure serve` for the session, and a server that misbehaves as a test tells it to."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pytest

from tenure.client import Client

TOKEN = "right-token-0123456789"


@dataclass(frozen=True)
class Served:
    """A running server: its address, its token, and the folder of its project."""

    url: str
    token: str
    folder: Path

    def rows(self, count: int = 3) -> list[dict[str, Any]]:
        """Return rows that the model answers."""
        return pl.read_csv(self.folder / "data" / "first.csv").head(count).drop("left").to_dicts()


@pytest.fixture(scope="session")
def served(_office: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served") / "churn"
    shutil.copytree(_office, folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "tenure", "serve", "--port", "0", "--project", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TENURE_TOKEN": TOKEN, "NO_COLOR": "1"},
    )
    assert process.stderr is not None
    try:
        url = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        yield Served(url, TOKEN, folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token, timeout=30) as connected:
        yield connected


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

    An answer that says `Connection: gone` is followed by a close that it does not announce.
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
            length = re.search(r"(?i)content-length: (\d+)", head)
            self.requests.append((head, stream.read(int(length[1])) if length else b""))
            said = self._next()
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


@pytest.fixture
def scripted() -> Iterator[Callable[[Script], ScriptedServer]]:
    """Return a function that starts a server with a script."""
    started: list[ScriptedServer] = []

    def start(script: Script) -> ScriptedServer:
        started.append(ScriptedServer(script))
        return started[-1]

    yield start
    for server in started:
        server.close()
