"""A running server: start it, ask it, see what it takes, stop it with all that it started."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from peers.meter import family, proportional_mb, resident_mb
from peers.servers.kinds import APPS, LOOPBACK, Server

TOLERANCE: Final = 1e-9
_LOOK_EVERY: Final = 0.01
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0
_LAST_WORDS: Final = 400
_QUIET: Final = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONWARNINGS": "ignore",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class ServerFailed(Exception):  # noqa: N818 (it tells what happened)
    """The server did not start, or does not answer as it must."""


class Live:
    """A server that runs while the block does. `model` is the folder with its model, for ours the project.

    `answered` counts the rows that it answered, `on_their_way` those that may have been answered to nobody when a load
    stopped; who puts load on it adds to both.
    """

    def __init__(self, server: Server, model: Path, programs: Path, log: Path) -> None:
        self.server = server
        self.answered = self.on_their_way = 0
        self._model, self._programs, self._log = model, programs, log
        self._port = free_port()

    @property
    def process(self) -> int:
        """Return the number of the first process of the server."""
        return self._process.pid

    def url(self, rows: int) -> str:
        """Return where so many rows at a time are asked."""
        route = self.server.kind.one if rows == 1 else self.server.kind.many
        return f"http://{LOOPBACK}:{self._port}{route}"

    def __enter__(self) -> Self:
        command = self.server.kind.command(self._programs, self._model, self.server.workers, self._port)
        self._started = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._model if self.server.is_ours else APPS,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        everybody = {process: _born(process) for process in family(self._process.pid)}
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        for process, born in everybody.items():
            if born and _born(process) == born:  # else the number was given to another since
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        self._process.wait()

    def until_it_answers(self, body: bytes, expected: Sequence[float]) -> float:
        """Return the seconds from the start of the process to its first answer, which must be right.

        Raises:
            ServerFailed: the process ended or gave no answer in time, and its last words; or the answer is wrong.
        """
        while time.perf_counter() - self._started < _START_SECONDS:
            with suppress(OSError):  # nobody listens yet
                answer = self.ask(body, rows=1)
                seconds = time.perf_counter() - self._started
                if agree(answer, expected) > TOLERANCE:
                    raise ServerFailed(f"answers {answer}, not {list(expected)}")
                return seconds
            if self._process.poll() is not None:
                break
            time.sleep(_LOOK_EVERY)
        words = self._log.read_text(errors="replace").strip()[-_LAST_WORDS:]
        raise ServerFailed(f"did not start: {words or 'it said nothing'}")

    def ask(self, body: bytes, *, rows: int) -> list[float]:
        """Return the probabilities of one request.

        Raises:
            OSError: nobody listens.
            ServerFailed: the server refuses, or its answer cannot be read.
        """
        request = urllib.request.Request(self.url(rows), body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == 503:
                raise OSError("it is not ready") from error
            raise ServerFailed(f"status {error.code}: {error.read()[:_LAST_WORDS]!r}") from error
        except ValueError as error:
            raise ServerFailed(f"its answer is no JSON: {error}") from error
        self.answered += rows
        return self.server.kind.read(answer)

    def memory(self) -> dict[str, Any]:
        """Return resident and proportional memory in MiB of the server and all it started, and how many they are."""
        root = self.process
        return {"rss_mb": resident_mb(root), "pss_mb": proportional_mb(root), "processes": len(family(root))}

    def _environment(self) -> Mapping[str, str]:
        if self.server.is_ours:
            return os.environ
        peers = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        path = f"{self._programs}{os.pathsep}{os.environ['PATH']}"
        return (
            peers | _QUIET | {"PATH": path, "BENCH_MODEL": str(self._model), "BENCH_WORKERS": str(self.server.workers)}
        )


def agree(answer: Sequence[float], expected: Sequence[float]) -> float:
    """Return the largest difference between two lists of probabilities; infinite where their lengths differ."""
    if len(answer) != len(expected):
        return float("inf")
    return float(np.max(np.abs(np.asarray(answer, dtype=np.float64) - np.asarray(expected))))


def _born(process: int) -> str:
    """Return when a process started, in ticks since the machine did; nothing where it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
