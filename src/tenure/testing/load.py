"""A load of real requests on a real server, and a server process to put it on: what a client was told is kept."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a client was told: the prediction's id and version, and between which monotonic seconds."""

    ident: str
    version: str
    asked: float
    answered: float


class Load:
    """Clients that ask one row after another, each on a connection of its own, from entering until leaving.

    `told` holds every answer that came whole. `refused` holds status and start of the body of all others. A connection
    that breaks is counted in `broken` and made again.
    """

    def __init__(self, url: str, rows: Sequence[dict[str, Any]], *, clients: int = 8, pause: float = 0.0) -> None:
        self._address = urlsplit(url)
        self._bodies = [json.dumps({"rows": [row]}).encode() for row in rows]
        self._pause = pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(at,)) for at in range(clients)]
        self.told: list[Told] = []
        self.refused: list[tuple[int, str]] = []
        self.broken = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, at: int) -> None:
        connection = self._connection()
        while not self._stop.is_set():
            at += 1
            asked = time.monotonic()
            try:
                connection.request(
                    "POST", "/predict", self._bodies[at % len(self._bodies)], {"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                self.broken += 1
                connection.close()
                connection = self._connection()
                self._stop.wait(0.02)
                continue
            answered = time.monotonic()
            if answer.status == 200:
                said = json.loads(body)["predictions"][0]
                self.told.append(Told(said["id"], said["version"], asked, answered))
            else:
                self.refused.append((answer.status, body[:200].decode(errors="replace")))
                self._stop.wait(0.02)
            self._stop.wait(self._pause)
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=30)


class Served:
    """A `tenure serve` process of its own for a project folder, on any free port. Use as a context manager.

    Raises:
        RuntimeError: it does not start; the message is what it wrote.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.log = folder / "server.log"
        with self.log.open("ab") as log:
            start = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tenure", "serve", "--port", "0", *options],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self.url = self._url(start)

    def kill(self) -> None:
        """Kill the server with all its processes at once, as a machine that loses its supply does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ask the server to stop and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=_STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()

    def _url(self, start: int) -> str:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            said = self.log.read_bytes()[start:].decode(errors="replace")
            if " on http://" in said:
                return "http://" + said.partition(" on http://")[2].split()[0]
            if self.process.poll() is not None:
                raise RuntimeError(said)
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"it did not start in {_START_SECONDS:g} s")
