"""Measure what a piece of work costs: wall and processor seconds, peak memory with children, one-row calls, files.

Standard library only, because it runs in every system's environment. Memory is read from /proc: Linux only.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_EVERY = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 2**20
_WARM_CALLS = 3


class Meter:
    """Measures the block it surrounds. Memory is resident memory in MiB, of this process and all below it."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = self.base_mb = self.peak_mb = 0.0
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self.base_mb = self.peak_mb = resident_mb()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        self._started, self._cpu = time.perf_counter(), _cpu_seconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds, self.cpu_seconds = time.perf_counter() - self._started, _cpu_seconds() - self._cpu
        self._stop.set()
        self._watch.join()
        self.peak_mb = max(self.peak_mb, resident_mb())

    def _look(self) -> None:
        while not self._stop.wait(_EVERY):
            self.peak_mb = max(self.peak_mb, resident_mb())


def family(root: int | None = None) -> list[int]:
    """Return a process (this one when left out) and all below it."""
    found, waiting = [], [os.getpid() if root is None else root]
    while waiting:
        process = waiting.pop()
        try:
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue  # the process or thread ended while it was looked at
        found.append(process)
    return found


def resident_mb(root: int | None = None) -> float:
    """Return the resident memory of a process and all below it; pages that they share count for each."""
    total = 0
    for process in family(root):
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / _MIB


def proportional_mb(root: int | None = None) -> float:
    """Return the same with each shared page divided among those that share it (PSS)."""
    total = 0
    for process in family(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def _cpu_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def time_calls(call: Callable[[Any], Any], rows: Sequence[Any], *, seconds: float = 20.0) -> dict[str, float]:
    """Return the median and the 99th percentile of the milliseconds of one call a row, the first calls not counted.

    Slow models are asked fewer times: no call starts after `seconds`.
    """
    for row in rows[:_WARM_CALLS]:
        call(row)
    taken = []
    end = time.perf_counter() + seconds
    for row in rows:
        started = time.perf_counter()
        call(row)
        now = time.perf_counter()
        taken.append(1000 * (now - started))
        if now > end:
            break
    taken.sort()
    return {
        "row_ms_p50": taken[len(taken) // 2],
        "row_ms_p99": taken[min(int(0.99 * len(taken)), len(taken) - 1)],
        "row_calls": len(taken),
    }


def size_mb(folder: Path) -> float:
    """Return the size of all files of a folder in MiB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / _MIB
