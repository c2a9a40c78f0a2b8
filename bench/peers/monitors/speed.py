"""Time and memory on large mixed files: ours, the peers, and the plain scan of the same file as the limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from peers.campaign import BENCH
from peers.meter import resident_mb
from peers.monitors.others import PEERS, python_of
from peers.monitors.results import Record, Results

KEYS = ("bench", "system", "rows", "columns", "repeat")
SYSTEMS: Final = ("polars", "tenure-window", "tenure", *PEERS)
_AT_ONCE: Final = 500_000
_EVERY: Final = 0.1
_LEVELS: Final = (5, 12, 40, 150, 1_000)


@dataclass(frozen=True)
class SpeedPlan:
    """What is timed, and when a process is given up: after so many seconds, or with more memory than that."""

    rows: Sequence[int]
    columns: Sequence[int]
    systems: Sequence[str]
    out: Path
    work: Path
    peers: Path | None = None
    repeats: int = 3
    seconds: float = 900.0
    mb: float = 12_000.0


def run_speed(plan: SpeedPlan) -> None:
    """Time what is missing from the results file; after a run that was given up a system gets no larger file."""
    results = Results(plan.out, KEYS)
    for columns in plan.columns:
        given_up: set[str] = set()
        for rows in sorted(plan.rows):
            for repeat in range(plan.repeats):
                for system in plan.systems:
                    job = {"bench": "speed", "system": system, "rows": rows, "columns": columns, "repeat": repeat}
                    if results.has(**job) or system in given_up or (repeat and system in PEERS and rows >= 1_000_000):
                        continue
                    came = _timed(plan, system, large_files(plan.work / "speed", rows, columns))
                    if came["error"]:
                        given_up.add(system)
                    results.add(job | came)
                    told = came["error"] or f"{came['seconds']:.2f} s, {came['peak_mb']:,.0f} MB"
                    print(f"{rows:,} x {columns}, {system}: {told}", flush=True)


def _timed(plan: SpeedPlan, system: str, files: tuple[Path, Path]) -> Record:
    """Run one system on (reference, current) in a process; its memory at most is read while it runs."""
    if system in PEERS:
        assert plan.peers is not None
        command: list[Any] = [python_of(plan.peers, system), "-m", "peers.monitors.speed_peer", system, *files]
    else:
        command = [sys.executable, "-m", "peers.monitors.speed_ours", system, *files]
    started, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        command, cwd=BENCH, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    error = ""
    try:
        while process.poll() is None and not error:
            peak = max(peak, resident_mb(process.pid), _highest_mb(process.pid))
            if peak > plan.mb:
                error = f"more than {plan.mb:,.0f} MB"
            elif time.perf_counter() - started > plan.seconds:
                error = f"no answer in {plan.seconds:,.0f} s"
            time.sleep(_EVERY)
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
    if not error and process.returncode:
        error = (stderr.strip().splitlines() or ["said nothing"])[-1][:200]
    return {"error": error, "peak_mb": peak} | ({} if error else json.loads(stdout.splitlines()[-1]))


def _highest_mb(pid: int) -> float:
    """Return what the kernel has seen as most memory of a process."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path("/proc", str(pid), "status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


# ---- the files ----


def large_files(folder: Path, rows: int, columns: int) -> tuple[Path, Path]:
    """Return a reference and a current file of so many rows and columns, made where they are missing."""
    files = tuple(folder / f"{rows}x{columns}-{part}.parquet" for part in ("reference", "current"))
    for seed, file in enumerate(files):
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _write(file, rows, columns, seed)
    return files[0], files[1]


def _write(file: Path, rows: int, columns: int, seed: int) -> None:
    pieces = []
    for start in range(0, rows, _AT_ONCE):
        pieces.append(file.with_suffix(f".{start}"))
        mixed(min(_AT_ONCE, rows - start), columns, seed=(seed, start)).write_parquet(pieces[-1])
    pl.scan_parquet(pieces).sink_parquet(file.with_suffix(".new"))
    file.with_suffix(".new").rename(file)
    for piece in pieces:
        piece.unlink()


def mixed(rows: int, columns: int, *, seed: Sequence[int]) -> pl.DataFrame:
    """Return columns in turns: normal, skewed, counts, with 5 % empty cells, and levels (5 to 1,000 of them)."""
    rng = np.random.default_rng(seed)
    made: dict[str, pl.Series] = {}
    for at in range(columns):
        kind = at % 5
        if kind == 0:
            made[f"normal {at}"] = pl.Series(rng.normal(size=rows))
        elif kind == 1:
            made[f"skewed {at}"] = pl.Series(np.exp(rng.normal(2, 1.2, size=rows)))
        elif kind == 2:
            made[f"count {at}"] = pl.Series(rng.poisson(7, size=rows))
        elif kind == 3:
            gaps = np.where(rng.random(rows) < 0.05, np.nan, rng.gamma(2.0, size=rows))
            made[f"gaps {at}"] = pl.Series(gaps).fill_nan(None)
        else:
            levels = _LEVELS[(at // 5) % len(_LEVELS)]
            chance = 1 / np.arange(1, levels + 1)
            codes = rng.choice(levels, size=rows, p=chance / chance.sum())
            made[f"level {at}"] = pl.Series([f"level {code}" for code in range(levels)])[codes]
    return pl.DataFrame(made)
