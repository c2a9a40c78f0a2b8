"""Score a large table with `tenure predict`: rows a second, memory at most, and what kills lose (nothing).

    python bench/batch.py DATA TARGET [--rows 1000000] [--forms parquet,csv] [--kills 5] [--budget 10s] [--seed 0]

A model learns DATA. Rows are drawn from it with replacement, 2 % of a column's spread as noise on fractional numbers
and a running number in the key, and are written as Parquet and as CSV. Each form is scored by the command, in a process
of its own, once without a break and once killed with SIGKILL at random moments and started again
in between; both outputs must be
equal, and hold the keys of the input in its order. Beside it the limits: a plain scan and write of the same file by
polars, and LightGBM's own `predict` on a ready matrix, with all threads, for as many trees (measured on 100,000 rows).
Ends with 1 where an output is wrong. Linux only.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import lightgbm
import numpy as np
import polars as pl
import polars.selectors as cs
from peers.compare import table

from tenure.engine.workspace import open_workspace
from tenure.model.members.lightgbm import LightGBMMember

_NOISE: Final = 0.02
_AT_ONCE: Final = 500_000
_READY_ROWS: Final = 100_000
_EVERY: Final = 0.02


@dataclass(frozen=True)
class Measured:
    """A process from start to end: seconds, and its resident memory at most in MiB."""

    seconds: float
    peak_mb: float


def main() -> int:
    """Print a table of figures and what each kill met; return 1 where an output is wrong."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("target")
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--forms", default="parquet,csv")
    options.add_argument("--kills", type=int, default=5)
    options.add_argument("--budget", default="10s", help="of the run that makes the model")
    options.add_argument("--chunk-rows", type=int, help="rows of a part; left out: what the command chooses")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--place", type=Path, help="folder for the large files; left out: the system's temporary one")
    asked = options.parse_args()
    load = os.getloadavg()[0]
    figures, right = [], True
    with tempfile.TemporaryDirectory(dir=asked.place, prefix="bench-") as name:
        folder = Path(name)
        key = _make_model(folder, asked)
        _grow(folder, asked, key)
        for form in asked.forms.split(","):
            rows, whole, killed = (folder / f"{stem}.{form}" for stem in ("rows", "whole", "killed"))
            scored = _run(_command(rows, whole, asked))
            figures.append(_line(f"tenure predict, {form}", asked.rows, scored))
            right &= _survives_kills(rows, whole, killed, key=key, wait=scored.seconds, asked=asked)
            code = f"import polars as pl; pl.scan_{form}({str(rows)!r}).sink_{form}({str(folder / 'copy')!r})"
            figures.append(_line(f"scan and write by polars, {form}", asked.rows, _run([sys.executable, "-c", code])))
            for path in (whole, killed, folder / "copy"):
                path.unlink()
        trees, ready = _ready_matrix(folder)
        figures.append([f"LightGBM on a ready matrix, {trees:,} trees", "", f"{ready:,.0f}", ""])
    print(f"{asked.data.stem}, {asked.rows:,} rows, {os.cpu_count()} cores, load at start {load:.1f}\n")
    print(table(["", "seconds", "rows/s", "process at most, MB"], figures))
    return 0 if right else 1


def _make_model(folder: Path, asked: argparse.Namespace) -> str | None:
    """Train, and return the key of the model."""
    tenure, project = [sys.executable, "-m", "tenure"], folder / "project"
    init = ["init", str(asked.data.resolve()), "--target", asked.target, "--out", str(project), "-q"]
    subprocess.run([*tenure, *init], check=True, stdout=subprocess.DEVNULL)
    goal = project / "tenure.toml"
    goal.write_text(goal.read_text().replace("# families = []", 'families = ["lightgbm"]'))
    run = ["run", "--project", str(project), "--budget", asked.budget, "-q"]
    subprocess.run([*tenure, *run], check=True, stdout=subprocess.DEVNULL)
    with open_workspace(project) as workspace:
        return workspace.scorer(workspace.champion()).model.key


def _grow(folder: Path, asked: argparse.Namespace, key: str | None) -> None:
    source = pl.read_parquet(asked.data) if asked.data.suffix == ".parquet" else pl.read_csv(asked.data)
    source = source.drop(asked.target)
    rng = np.random.default_rng(asked.seed)
    spread = {name: float(np.nanstd(source[name].to_numpy())) for name in source.select(cs.float()).columns}
    pieces = []
    with (folder / "rows.csv").open("wb") as file:
        for start in range(0, asked.rows, _AT_ONCE):
            count = min(_AT_ONCE, asked.rows - start)
            piece = source[rng.integers(0, source.height, count)]
            piece = piece.with_columns(piece[n] + _NOISE * s * rng.standard_normal(count) for n, s in spread.items())
            if key is not None:
                piece = piece.with_columns(pl.Series(key, [f"r{at:09d}" for at in range(start, start + count)]))
            piece.write_csv(file, include_header=start == 0)
            pieces.append(folder / f"piece-{start:012d}.parquet")
            piece.write_parquet(pieces[-1])
    pl.scan_parquet(pieces).sink_parquet(folder / "rows.parquet")
    for path in pieces:
        path.unlink()


def _command(rows: Path, out: Path, asked: argparse.Namespace) -> list[str]:
    words = ["predict", str(rows), "--out", str(out), "--project", str(rows.parent / "project"), "--no-log", "--quiet"]
    part = [] if asked.chunk_rows is None else ["--chunk-rows", str(asked.chunk_rows)]
    return [sys.executable, "-m", "tenure", *words, *part]


def _run(command: list[str]) -> Measured:
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _peak_mb(process.pid))
        time.sleep(_EVERY)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Measured(time.perf_counter() - started, peak)


def _peak_mb(pid: int) -> float:
    """Return what the kernel has seen as most memory of a process that has no others below it."""
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def _line(what: str, rows: int, measured: Measured) -> list[str]:
    return [what, f"{measured.seconds:.1f}", f"{rows / measured.seconds:,.0f}", f"{measured.peak_mb:,.0f}"]


def _survives_kills(
    rows: Path, whole: Path, killed: Path, *, key: str | None, wait: float, asked: argparse.Namespace
) -> bool:
    """Kill at random moments, then let it finish; say whether the output is that of the job without a break."""
    chance = random.Random(asked.seed)
    command = _command(rows, killed, asked)
    parts = Path(f"{killed}.parts") / "parts"
    for number in range(1, asked.kills + 1):
        moment = chance.uniform(0, wait / asked.kills)
        before = _finished(parts)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None and _finished(parts) == before:
            time.sleep(_EVERY)
        try:
            process.wait(timeout=moment)
            print(f"{killed.name}: it finished before kill {number}", flush=True)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        told = f"kill {number}, {moment:.1f} s after its first part; {_finished(parts):,} parts are finished"
        print(f"{killed.name}: {told}", flush=True)
    _run(command)
    equal = _equal(whole, killed)
    scan = pl.scan_parquet if rows.suffix == ".parquet" else pl.scan_csv
    height = int(scan(killed).select(pl.len()).collect().item())
    in_order = key is None or scan(killed).select(key).collect().equals(scan(rows).select(key).collect())
    print(
        f"{killed.name}: {height:,} rows; equal to the job without a break: {equal}; in order: {in_order}", flush=True
    )
    return equal and in_order and height == asked.rows


def _finished(parts: Path) -> int:
    return len(list(parts.glob("part-*"))) if parts.exists() else 0


def _equal(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            blocks = first.read(1 << 24), second.read(1 << 24)
            if blocks[0] != blocks[1]:
                return False
            if not blocks[0]:
                return True


def _ready_matrix(folder: Path) -> tuple[int, float]:
    """Return how many trees the model's LightGBM members have, and how many rows a second their library scores."""
    rows = pl.scan_parquet(folder / "rows.parquet").head(_READY_ROWS).collect()
    with open_workspace(folder / "project") as workspace:
        model = workspace.scorer(workspace.champion()).model
        matrix = model.plan.encode(model.dates.read_table(rows))
        files = (
            part.member.save(folder, str(at)) for at, part in enumerate(model.members) if _is_lightgbm(part.member)
        )
        boosters = [lightgbm.Booster(model_file=str(folder / spec["file"])) for spec in files]
    started = time.perf_counter()
    for booster in boosters:
        booster.predict(matrix, num_threads=os.cpu_count())
    return sum(booster.num_trees() for booster in boosters), rows.height / (time.perf_counter() - started)


def _is_lightgbm(member: object) -> bool:
    return isinstance(member, LightGBMMember)


if __name__ == "__main__":
    sys.exit(main())
