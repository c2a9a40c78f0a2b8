"""One watcher process: the real look and act in a loop, by a clock that stands in a file, with a trace of its looks."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tenure.core.errors import TenureError
from tenure.engine.watch import look_and_act
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.ledger import Ledger
from tenure.state.registry import Registry

PAUSE_SECONDS: Final = 0.15


class FileClock:
    """The machine's clock, moved on by the seconds that stand in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self) -> datetime:
        """Return the time, aware."""
        return datetime.now(UTC) + timedelta(seconds=float(self._file.read_text()))

    def advance(self, seconds: float) -> None:
        """Move it on, for all who read the file; whoever reads it meanwhile sees the old or the new time."""
        moved = float(self._file.read_text()) + seconds
        new = self._file.with_suffix(".new")
        new.write_text(repr(moved))
        new.replace(self._file)


class Trace:
    """Writes what a watcher does and when, a line each: nanoseconds of the machine's monotonic clock, and a word.

    A lease is taken before anything else asks for the time, so a second question says that the lease is held.
    """

    def __init__(self, file: Path, clock: FileClock) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._clock = clock
        self._asked = 0

    def note(self, word: str) -> None:
        """Write a word."""
        self._asked = 0
        self._write(word)

    def clock(self) -> datetime:
        """Return the time, and note that it was asked for in the foreground."""
        if threading.current_thread() is threading.main_thread():
            self._asked += 1
            if self._asked > 1:
                self._write("holds")
        return self._clock()

    def _write(self, word: str) -> None:
        os.write(self._file, f"{time.monotonic_ns()} {word}\n".encode())


def with_clock(opened: Workspace, clock: FileClock | Trace) -> Workspace:
    """Return a workspace all of whose parts go by another clock."""
    tick = clock if isinstance(clock, FileClock) else clock.clock
    ledger = Ledger(opened.database, tick)
    registry = Registry(opened.database, ledger, tick, moved=opened.stamp.press)
    context = replace(opened.context, clock=tick)
    return replace(opened, context=context, ledger=ledger, registry=registry)


def watch(folder: Path, clock_file: Path, trace_file: Path, *, name: str) -> None:
    """Look and act until killed; what goes wrong goes to a file beside the trace."""
    os.dup2(os.open(trace_file.with_suffix(".errors"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 2)
    trace = Trace(trace_file, FileClock(clock_file))
    while True:
        try:
            with open_workspace(folder, actor=name) as opened:
                workspace = with_clock(opened, trace)
                trace.note("looks")
                seen = look_and_act(workspace)
                trace.note(f"done {seen.action.verb.value}")
        except TenureError as error:
            trace.note(f"refused {error.code}: {error.message}")
        time.sleep(PAUSE_SECONDS)
