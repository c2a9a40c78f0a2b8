"""Run `tenure init` and `tenure run` on every set of a data folder, and score a final quarter kept away from the run.

    python bench/walk.py [--data FOLDER] [--budget 60s] [--only NAME ...] [--out FILE.json]

The folder holds Parquet files and a `catalog.toml`. The last quarter (by time where the catalogue names a time column,
else drawn with seed 0) never reaches the run; the champion then scores it. Only the target, and the positive class
where there is one, are given to `init`: everything else is inferred.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tenure.core.metrics import METRICS
from tenure.core.modelling import Task
from tenure.model.target import encode_target

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Result:
    """What came of one set."""

    name: str
    task: str = ""
    split: str = ""
    why: str = ""
    metric: str = ""
    score: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    kept_away: float = float("nan")
    seconds: float = float("nan")
    peak_mb: float = float("nan")
    outcome: str = ""
    suspicious: list[str] = field(default_factory=list)
    leakage_declared: list[str] = field(default_factory=list)


def tenure(*words: str, folder: Path) -> tuple[dict[str, Any], float, float]:
    """Run one command with --json in `folder`; return its document, wall seconds and peak memory in MB."""
    out = folder / "out.json"
    started = time.perf_counter()
    with out.open("wb") as stdout, (folder / "err.txt").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tenure", *words, "--json"], cwd=folder, stdout=stdout, stderr=stderr
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) not in (0, 4):
        raise SystemExit(f"{words}: {(folder / 'err.txt').read_text()}")
    return json.loads(out.read_text()), seconds, usage.ru_maxrss / 1024


def split(table: pl.DataFrame, entry: dict[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return three quarters to learn from and the final quarter."""
    if "time" in entry:
        table = table.sort(entry["time"], maintain_order=True)
    else:
        table = table[np.random.default_rng(0).permutation(table.height)]
    at = int(0.75 * table.height)
    return table[:at], table[at:]


def walk(path: Path, entry: dict[str, Any], budget: str) -> Result:
    """Run one set from table to kept-away score."""
    result = Result(entry["name"], leakage_declared=entry["leakage"])
    learn, kept = split(pl.read_parquet(path), entry)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        learn.write_parquet(folder / "learn.parquet")
        kept.drop(entry["target"]).write_parquet(folder / "kept.parquet")
        words = ["init", "learn.parquet", "--target", entry["target"]]
        made, _, _ = tenure(*words, *(["--positive", entry["positive"]] if "positive" in entry else []), folder=folder)
        ran, result.seconds, result.peak_mb = tenure("run", "--budget", budget, folder=folder)
        told = ran["result"]
        result.task, result.outcome = told["task"], told["outcome"]
        result.split, result.why = told["splitter"], told["split_reason"]
        score = told["score"]
        result.metric, result.score, result.low, result.high = (score[k] for k in ("metric", "value", "low", "high"))
        named = {s["column"] for s in made["result"]["guess"]["suspicious"]} | set(told["dropped"])
        named |= {f["subject"] for f in told["quality_findings"] if f["subject"]}
        result.suspicious = sorted(name for name in named if name in learn.columns)
        if told["outcome"] == "promote":
            tenure("predict", "kept.parquet", "--out", "scored.parquet", "--no-log", folder=folder)
            result.kept_away = _score(kept, pl.read_parquet(folder / "scored.parquet"), entry, result)
    return result


def _score(kept: pl.DataFrame, scored: pl.DataFrame, entry: dict[str, Any], result: Result) -> float:
    metric, task = METRICS[result.metric], Task(result.task)
    known = kept[entry["target"]].is_not_null().to_numpy()
    target = kept[entry["target"]].filter(known)
    scored = scored.filter(known)
    if task is Task.REGRESSION:
        return metric(target.cast(pl.Float64).to_numpy(), scored["prediction"].to_numpy())
    if task is Task.BINARY:
        names = sorted(target.cast(pl.String).unique(), key=lambda name: name == entry["positive"])
        yes = scored["probability"].to_numpy()
        return metric(encode_target(target, task, tuple(names)), np.column_stack([1 - yes, yes]))
    names = [c.removeprefix("probability_") for c in scored.columns if c.startswith("probability_")]
    predicted = scored.select(f"probability_{name}" for name in names).to_numpy()
    return metric(encode_target(target, task, tuple(names)), predicted)


def main() -> None:
    """Run the sets and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=Path(os.environ.get("TENURE_DATA", ROOT.parent / "shared/data")))
    options.add_argument("--budget", default="60s")
    options.add_argument("--only", nargs="*")
    options.add_argument("--out", type=Path)
    asked = options.parse_args()
    catalogue = tomllib.loads((asked.data / "catalog.toml").read_text())["dataset"]
    results = []
    print(
        "| set | task | split | score (95 %) | kept-away | inside | s | MB | outcome | named suspicious |", flush=True
    )
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for entry in catalogue:
        if asked.only and entry["name"] not in asked.only:
            continue
        r = walk(asked.data / entry["file"], entry, asked.budget)
        results.append(asdict(r))
        inside = "yes" if r.low <= r.kept_away <= r.high else "no"
        missed = sorted(set(r.leakage_declared) - set(r.suspicious))
        print(
            f"| {r.name} | {r.task} | {r.split} | {r.metric} {r.score:.4g} ({r.low:.4g} to {r.high:.4g}) | "
            f"{r.kept_away:.4g} | {inside} | {r.seconds:.1f} | {r.peak_mb:.0f} | {r.outcome} | "
            f"{', '.join(r.suspicious)}{'; MISSED ' + ', '.join(missed) if missed else ''} |",
            flush=True,
        )
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
