"""Run systems on data sets one after the other, and append what came of each run to a results file.

A run that stands in the file is not run again: a campaign that was stopped goes on where it ended.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from peers.environments import python_of
from peers.job import Job
from peers.suite import Entry, Split, split
from tenure.core.metrics import Metric
from tenure.core.modelling import Floats, Score, Task
from tenure.core.uncertainty import score_with_interval

BENCH: Final = Path(__file__).resolve().parent.parent
MODULES: Final = {
    "ag_medium": "autogluon",
    "ag_good": "autogluon",
    "ag_best": "autogluon",
    "ag_medium_time": "autogluon",
    "ag_good_time": "autogluon",
    "ag_best_time": "autogluon",
    "flaml": "flaml",
    "lgbm": "lightgbm",
    "catboost": "catboost",
}
"""Which module calls each system; all others are ours."""
OURS: Final = "tenure"
_LAST_WORDS: Final = 300
_PATIENCE: Final = (5.0, 600.0)
"""A run is given up after this many budgets and this many seconds more."""


@dataclass(frozen=True)
class Plan:
    """What a campaign runs. A system named `tenure-without-PART` is ours with a part switched off."""

    systems: Sequence[str]
    entries: Sequence[Entry]
    seeds: Sequence[int]
    budget: float
    out: Path
    peers: Path | None = None
    cores: int = 2
    retry: bool = False
    options: dict[str, Any] = field(default_factory=dict)


def run_all(plan: Plan) -> None:
    """Run what is missing from the results file, the systems of one data set one after the other."""
    results = [r for r in read_results([plan.out]) if not (plan.retry and r["error"])]
    _write(plan.out, results)
    done = {_key(result) for result in results}
    total = len(plan.entries) * len(plan.seeds) * len(plan.systems)
    at = 0
    for entry in plan.entries:
        for seed in plan.seeds:
            halves = split(entry, seed)
            for system in plan.systems:
                at += 1
                if (system, entry.name, seed, plan.budget) in done:
                    continue
                result = run_one(plan, halves, system, seed)
                with plan.out.open("a") as file:
                    file.write(json.dumps(result) + "\n")
                print(f"[{at}/{total}] {_line(result)}", flush=True)


def run_one(plan: Plan, halves: Split, system: str, seed: int) -> dict[str, Any]:
    """Run one system on one split and return its record; its predictions are kept beside the results file."""
    entry = halves.entry
    result: dict[str, Any] = {
        "system": system,
        "set": entry.name,
        "seed": seed,
        "budget": plan.budget,
        "task": entry.task.value,
        "metric": entry.metric.name,
        "ordered": entry.time is not None,
        "rows": halves.learn.height,
        "kept_rows": halves.kept.height,
        "columns": halves.learn.width - 1,
        "cores": plan.cores,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": round(os.getloadavg()[0], 2),
        "baseline": entry.metric(halves.truth, halves.constant()),
        "error": "",
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        job = _job(plan, halves, system, seed, Path(place))
        result["error"] = _call(job, system, plan)
        if not result["error"]:
            result |= json.loads((Path(place) / "told.json").read_text())
            predicted = aligned(np.load(Path(place) / "predicted.npy"), result.pop("classes"), halves)
            result |= _scored(entry.metric, halves, predicted)
            result["predictions"] = _keep(plan.out, result, halves, predicted)
    return result


def _job(plan: Plan, halves: Split, system: str, seed: int, folder: Path) -> Job:
    halves.learn.write_parquet(folder / "learn.parquet")
    halves.kept.write_parquet(folder / "kept.parquet")
    return Job(
        system=system,
        task=halves.entry.task.value,
        metric=halves.entry.metric.name,
        target=halves.entry.target,
        ordered=halves.entry.time is not None,
        budget=plan.budget,
        cores=plan.cores,
        seed=seed,
        learn=str(folder / "learn.parquet"),
        kept=str(folder / "kept.parquet"),
        folder=str(folder),
        without=system.partition("-without-")[2],
        options=plan.options if system.startswith(OURS) else {},
    )


def _call(job: Job, system: str, plan: Plan) -> str:
    """Run the worker in the system's environment; return what went wrong, or nothing."""
    module = MODULES.get(system, "ours")
    python = Path(sys.executable) if module == "ours" else python_of(plan.peers, module)
    budgets, seconds = _PATIENCE
    limit = budgets * job.budget + seconds
    process = subprocess.Popen(
        [python, "-m", "peers.worker", job.write(), module],
        cwd=BENCH,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # so that what it started can be ended with it
        # No system may report its use to anybody while it is measured.
        env=os.environ | {"DO_NOT_TRACK": "1"},
    )
    try:
        stdout, stderr = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        return f"gave no answer in {limit:.0f} s"
    finally:
        _end(process)
    if process.returncode == 0:
        return ""
    words = stderr.strip() or stdout.strip() or "said nothing"
    return f"exit {process.returncode}: {words.splitlines()[-1][:_LAST_WORDS]}"


def _end(process: subprocess.Popen[str]) -> None:
    """End a worker and all that it started and left running."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def aligned(predicted: Floats, classes: Sequence[str], halves: Split) -> Floats:
    """Return predictions with the columns in the order of the split's classes; a class it does not know gets 0."""
    if halves.entry.task is Task.REGRESSION:
        return predicted.reshape(-1)
    columns = {name: predicted[:, at] for at, name in enumerate(classes)}
    nothing = np.zeros(len(predicted))
    return np.column_stack([columns.get(name, nothing) for name in halves.classes])


def _scored(metric: Metric, halves: Split, predicted: Floats) -> dict[str, float]:
    """Return the score of the kept rows with the interval that so many rows allow."""
    score: Score = score_with_interval(
        metric, halves.truth, predicted, clusters=stretches(len(predicted), ordered=halves.entry.time is not None)
    )
    return {"score": score.value, "score_low": score.low, "score_high": score.high}


def stretches(rows: int, *, ordered: bool) -> Any:
    """Return which rows count together: n^(1/3) neighbours in time (Buehlmann 2002); None where order means nothing."""
    return np.arange(rows, dtype=np.int64) // max(round(rows ** (1 / 3)), 1) if ordered else None


def _keep(out: Path, result: dict[str, Any], halves: Split, predicted: Floats) -> str:
    folder = out.with_suffix(".predictions")
    folder.mkdir(exist_ok=True)
    name = f"{result['set']}-{result['seed']}-{result['budget']:g}-{result['system']}.npz"
    np.savez_compressed(folder / name, truth=halves.truth, predicted=predicted)
    return f"{folder.name}/{name}"


def read_results(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Return all records of the results files, each knowing the folder of its predictions."""
    return [
        json.loads(line) | {"folder": str(file.parent)}
        for file in files
        if file.exists()
        for line in file.read_text().splitlines()
    ]


def _write(out: Path, results: Sequence[dict[str, Any]]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_suffix(".new")
    fresh.write_text("".join(json.dumps({k: v for k, v in r.items() if k != "folder"}) + "\n" for r in results))
    shutil.move(fresh, out)


def _key(result: dict[str, Any]) -> tuple[str, str, int, float]:
    return result["system"], result["set"], result["seed"], result["budget"]


def _line(result: dict[str, Any]) -> str:
    start = f"{result['set']} seed {result['seed']}, {result['system']}:"
    if result["error"]:
        return f"{start} FAILED, {result['error']}"
    return (
        f"{start} {result['metric']} {result['score']:.5g} in {result['fit_seconds']:.1f} s, {result['peak_mb']:.0f} MB"
    )


def numbers(text: str) -> list[int]:
    """Return the seeds of a list such as 0,1,2."""
    return [int(part) for part in words(text)]


def words(text: str) -> list[str]:
    """Return the parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def successes(results: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the records of runs that gave an answer."""
    yield from (result for result in results if not result["error"])
