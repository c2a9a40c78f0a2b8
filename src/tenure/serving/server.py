"""Run the server: worker processes that answer, and a parent that keeps them alive and the log's tables up to date."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from tenure.core.errors import ConfigError, TemporaryError, TenureError
from tenure.engine.workspace import Workspace
from tenure.serving import metrics
from tenure.serving.health_gauges import HealthGauges
from tenure.serving.security import environment_token, may_bind
from tenure.serving.worker import Orders
from tenure.state.journal import Drain
from tenure.state.times import micros
from tenure.state.tokens import Tokens

_LOOK_SECONDS: Final = 0.1
_DRAIN_SECONDS: Final = 1.0
_KINDNESS: Final = 19
_AGAIN_SECONDS: Final = 1.0
_PRUNE_SECONDS: Final = 86_400.0
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_MOST_DEATHS: Final = 5
_DEATHS_WITHIN: Final = 30.0


def serve_forever(
    workspace: Workspace, *, host: str, port: int, workers: int | None = None, ready: Callable[[str], None]
) -> int:
    """Serve until interrupted and return how many predictions were added to the log; `ready` is told the URL.

    `workers` overrules the project file.

    Raises:
        NoChampionError: there is no model to serve.
        BundleError: the stored model is damaged.
        ConfigError: the address cannot be bound, or is beyond loopback and there is no token.
    """
    workspace.champion()
    may_bind(host, has_token=_has_token(workspace))
    count = workers or workspace.project.serving.workers or _usual_workers()
    listeners = _listen(host, port, count)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listeners[0].getsockname()[1]}"
    with (
        LogKeeper(workspace) as keeper,
        _Crew(workspace, host, listeners) as crew,
        HealthGauges(workspace, crew.metrics_folder),
        _told_to_stop() as stop,
    ):
        crew.start()
        if crew.await_ready(stop):
            ready(url)
        while not stop.is_set():
            crew.mend()
            stop.wait(_LOOK_SECONDS)
    return keeper.taken


def _usual_workers() -> int:
    """Return one for each core but one: that keeps the log, and does what else the machine has to."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(cores - 1, 1)


def _has_token(workspace: Workspace) -> bool:
    if environment_token():
        return True
    tokens = Tokens(workspace.database, workspace.ledger, workspace.context.clock)
    now_us = micros(workspace.context.clock())
    return any(token.state(now_us) == "live" for token in tokens.all())


class LogKeeper:
    """Takes what the workers wrote to their journals into the log's tables, once a second, and prunes daily.

    While the state database does not answer, the journals grow, and nothing is lost.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._drain = Drain(workspace.journal_folder, workspace.traffic.take_in, workspace.context.log.note)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="log keeper", daemon=True)
        self._trouble: str | None = None
        self.taken = 0

    def __enter__(self) -> LogKeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, after everything that was answered is in the tables, or the database has had its time once more.

        What is not in the tables by then stays in the journal, for the next who opens the project.
        """
        self._stop.set()
        self._thread.join(_STOP_SECONDS)

    def _keep(self) -> None:
        # Tables can wait a little, requests cannot: on Linux every thread has a niceness of its own.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _KINDNESS)
        due = time.monotonic() + 60.0
        is_last = False
        while not is_last:
            is_last = self._stop.wait(_DRAIN_SECONDS if self._trouble is None else _AGAIN_SECONDS)
            self._take()
            if time.monotonic() > due:
                due = time.monotonic() + _PRUNE_SECONDS
                threading.Thread(target=self._prune, name="pruner", daemon=True).start()

    def _take(self) -> None:
        try:
            self.taken += self._drain.run()
        except Exception as error:  # whatever stops this try must not stop the next
            trouble = error.message if isinstance(error, TenureError) else repr(error)
            if trouble != self._trouble:
                self._workspace.context.log.note(f"{trouble} Answers go on; their log waits in the journal.")
            self._trouble = trouble
        else:
            self._trouble = None

    def _prune(self) -> None:
        """Let old months go; what is cut short here is finished another day."""
        keep = self._workspace.project.state.keep
        if keep is None:
            return
        try:
            self._workspace.traffic.prune(keep, self._workspace.context.clock(), actor="server")
        except Exception as error:
            said = error.message if isinstance(error, TenureError) else repr(error)
            self._workspace.context.log.note(f"Old months of the log could not be let go: {said}")


class _Crew:
    """The worker processes, one for each listening socket; one that dies is replaced on the same socket."""

    def __init__(self, workspace: Workspace, host: str, listeners: list[socket.socket]) -> None:
        self._folder = workspace.folder
        self._host = host
        self._listeners = listeners
        self._patience = workspace.project.serving.timeout + _STOP_SECONDS
        # Each server of a project counts for itself; what those left that were killed goes.
        self.metrics_folder = workspace.metrics_folder / str(listeners[0].getsockname()[1])
        metrics.clear(self.metrics_folder)
        self._life, self._held = os.pipe()
        self._workers: list[_Worker] = []
        self._deaths: list[float] = []

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:  # who comes now is refused at once, and not left waiting
            listener.close()
        for worker in self._workers:
            worker.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + self._patience
        for worker in self._workers:
            try:
                worker.process.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                worker.process.kill()  # what it answered is in its journal
                worker.process.wait()
            worker.status.close()
        os.close(self._held)
        os.close(self._life)

    def start(self) -> None:
        """Start a worker for each socket."""
        self._workers = [self._hire(at) for at in range(len(self._listeners))]

    def await_ready(self, stop: threading.Event) -> bool:
        """Wait until all workers answer; False where told to stop meanwhile.

        Raises:
            TenureError: what keeps a worker from answering.
        """
        end = time.monotonic() + _START_SECONDS
        for worker in self._workers:
            while not worker.is_ready():
                if stop.is_set():
                    return False
                if worker.process.poll() is not None or time.monotonic() > end:
                    raise worker.refusal()
                stop.wait(0.01)
        return True

    def mend(self) -> None:
        """Replace workers that ended; one that cannot start for want of the database is tried again every second.

        Raises:
            TenureError: they cannot start for another reason, again and again.
        """
        for at, worker in enumerate(self._workers):
            if worker.process.poll() is None:
                continue
            now = time.monotonic()
            was_ready, refusal = worker.is_ready(), worker.refusal()
            if not was_ready and now - worker.hired < _AGAIN_SECONDS:
                continue
            if not was_ready and not isinstance(refusal, TemporaryError):
                self._deaths = [*(death for death in self._deaths if now - death < _DEATHS_WITHIN), now]
                if len(self._deaths) > _MOST_DEATHS:
                    raise refusal
            if was_ready:
                sys.stderr.write(f"A serving process ended ({worker.process.returncode}); another takes its place.\n")
            worker.status.close()
            self._workers[at] = self._hire(at)

    def _hire(self, at: int) -> _Worker:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        orders = Orders(
            folder=str(self._folder),
            host=self._host,
            socket=self._listeners[at].fileno(),
            parent=self._life,
            status=writing,
            workers=len(self._listeners),
            metrics=str(self.metrics_folder),
            slot=f"worker-{at}",
        )
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "tenure.serving.worker", orders.to_json()],
                stdin=subprocess.DEVNULL,
                pass_fds=(orders.socket, orders.parent, orders.status),
            )
        finally:
            os.close(writing)
        return _Worker(process, os.fdopen(reading, "rb"))


class _Worker:
    """A worker process and what it says of itself."""

    def __init__(self, process: subprocess.Popen[bytes], status: IO[bytes]) -> None:
        self.process = process
        self.status = status
        self.hired = time.monotonic()
        self._said = b""

    def is_ready(self) -> bool:
        """Say whether it answers."""
        self._said += self.status.read() or b""
        return b'{"ready"' in self._said

    def refusal(self) -> TenureError:
        """Return why it does not answer."""
        self.is_ready()
        for line in self._said.splitlines():
            said = json.loads(line).get("error")
            if said:
                return _error_of(said)
        return ConfigError(
            f"A serving process ended by itself ({self.process.poll()}) or did not answer in time.",
            where="serving",
            hint="What it wrote above says more. Is there enough memory for another copy of the model?",
        )


def _error_of(said: dict[str, str]) -> TenureError:
    """Return an error of a worker as one of ours, with its code."""
    kinds = [TenureError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    kind = next((kind for kind in kinds if kind.code == said["code"]), TenureError)
    return kind(said["message"], hint=said["hint"], where=said["where"])


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Give an event that SIGINT or SIGTERM sets; a second one ends the program at once."""
    stop = threading.Event()

    def hear(number: int, _frame: object) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Return listening sockets on one address, one for each worker: the system deals connections out among them.

    Bound before `ready`, and held by the parent, so that no request is refused while a worker starts or is replaced.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sockets: list[socket.socket] = []
    try:
        # Alone first: with the port shared from the start, another server on it would not be noticed.
        with socket.socket(family, socket.SOCK_STREAM) as first:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first.bind((host, port))
            port = first.getsockname()[1]
            if count > 1:
                first.listen(1)
        for _ in range(count):
            bound = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(bound)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind((host, port))
            bound.listen(2048)
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise ConfigError(
            f"{host}:{port} cannot be bound: {error.strerror}.",
            where="serving.port",
            hint="Choose another port, or --port 0 for any free one.",
        ) from error
    return sockets
