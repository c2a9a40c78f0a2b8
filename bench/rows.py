"""Show how time, memory and score grow with the rows: one task at growing sizes, each in a fresh process.

    python bench/rows.py DATA_FOLDER [--set NAME] [--rows 10000,100000,1000000,5000000] [--budget 60]

Rows are drawn with replacement from three quarters of the largest set (or NAME), with noise of 2 % of a column's
spread on fractional numbers; fresh rows are drawn alike from the last quarter. Two parts are measured at each size.
Fixed work: learn the encoding, encode, bin, and grow 50 rounds of one LightGBM configuration on all rows; its growth
exponent is the slope of log seconds over log rows. Whole: a fit within the budget. Memory is the peak above what the
process held with the table in it; the limit beside it is twice the binned table (a byte a cell) plus 500 MB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import polars.selectors as cs
from peers.campaign import aligned, numbers
from peers.compare import figure, table
from peers.meter import Meter
from peers.suite import Entry, Split, catalogue, classes_of, split

import tenure
from tenure.core.modelling import Task
from tenure.core.ports import Deadline, Problem
from tenure.estimators.inputs import Extras, make_lesson
from tenure.model.target import encode_target
from tenure.training.families.lightgbm import LightGBMFamily
from tenure.training.features.fit import fit_encoding

_NOISE: Final = 0.02
_FRESH_ROWS: Final = 50_000
_ROUNDS: Final = 50
_ALLOWED_MB: Final = 500


def main() -> None:
    """Run every size and print a table, or run one part of one size and print its figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("--set", default="", help="a name from the catalogue; the one with most rows when empty")
    options.add_argument("--rows", default="10000,100000,1000000,5000000")
    options.add_argument("--budget", type=float, default=60.0, help="seconds")
    options.add_argument("--part", choices=list(PARTS), help="run only this part of one size, in this process")
    options.add_argument("--place", type=Path, help="where the grown tables of a part are")
    asked = options.parse_args()
    entry, sizes = chosen(asked.data, asked.set), numbers(asked.rows)
    if asked.part is not None:
        print(json.dumps(PARTS[asked.part](entry, asked)))
        return
    found = []
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="bench-") as place:
            parts = {part: _alone(asked, rows, part, place) for part in PARTS}
        found.append(parts)
        print(f"{rows:,} rows: {json.dumps(parts)}", file=sys.stderr, flush=True)
    print(f"{entry.name}, budget {asked.budget:g} s\n\n{growth_table(sizes, found)}")


def chosen(folder: Path, name: str) -> Entry:
    """Return the named set, or the one with most rows."""
    entries = catalogue(folder, [name] if name else [])
    return max(entries, key=lambda entry: pl.scan_parquet(entry.path).select(pl.len()).collect().item())


def grow(entry: Entry, asked: argparse.Namespace) -> dict[str, Any]:
    """Write so many rows drawn from those to learn from, and fresh rows drawn from those kept away."""
    halves, rows = split(entry, seed=0), numbers(asked.rows)[0]
    pool = pl.concat([halves.learn, halves.kept])
    spread = {name: float(np.nanstd(pool[name].to_numpy())) for name in pool.select(cs.float()).columns}
    rng = np.random.default_rng(rows)

    def drawn(source: pl.DataFrame, count: int) -> pl.DataFrame:
        picked = source[rng.integers(0, source.height, count)]
        noisy = [picked[name] + _NOISE * std * rng.standard_normal(count) for name, std in spread.items()]
        return picked.with_columns(noisy)

    shuffled = pool[rng.permutation(pool.height)]
    cut = 3 * pool.height // 4
    drawn(shuffled[:cut], rows).write_parquet(asked.place / "learn.parquet")
    drawn(shuffled[cut:], _FRESH_ROWS).write_parquet(asked.place / "kept.parquet")
    return {}


def _grown(entry: Entry, asked: argparse.Namespace) -> Split:
    learn, kept = (pl.read_parquet(asked.place / f"{name}.parquet") for name in ("learn", "kept"))
    return Split(entry, learn, kept, classes_of(entry, learn))


def fixed_work(entry: Entry, asked: argparse.Namespace) -> dict[str, Any]:
    """Encode, bin and grow a fixed number of rounds; return seconds, MB above the table, and encoded columns."""
    grown = _grown(entry, asked)
    learn = grown.learn
    lesson = make_lesson(
        learn.drop(entry.target),
        learn[entry.target],
        Extras(),
        task=entry.task,
        classes=grown.classes,
        categorical=None,
    )
    marks = {}
    with Meter() as meter:
        started = time.perf_counter()
        plan = fit_encoding(lesson.frame, lesson.schema, rng=np.random.default_rng(0)).plan
        matrix = np.ascontiguousarray(plan.encode(lesson.frame))
        marks["encode_seconds"] = time.perf_counter() - started
        problem = Problem(
            task=entry.task,
            classes=len(grown.classes),
            matrix=matrix,
            names=plan.names,
            categorical=plan.categorical,
            target=encode_target(learn[entry.target], entry.task, grown.classes),
            threads=1,
        )
        family = LightGBMFamily()
        first = min(family.configurations(problem.shape), key=lambda configuration: configuration.rank)
        endless = Deadline(inf, time.monotonic)
        family.fit(first, problem, np.arange(learn.height), None, rounds=_ROUNDS, deadline=endless)
    return marks | _cost(meter) | {"columns": matrix.shape[1]}


def whole_fit(entry: Entry, asked: argparse.Namespace) -> dict[str, Any]:
    """Fit within the budget; return seconds, MB above the table, the stated score and that of fresh rows."""
    grown = _grown(entry, asked)
    kind = tenure.TenureRegressor if entry.task is Task.REGRESSION else tenure.TenureClassifier
    model = kind(budget=asked.budget, metric=entry.metric.name, random_state=0)
    features, target = grown.learn.drop(entry.target), grown.learn[entry.target].to_numpy()
    with Meter() as meter:
        model.fit(features, target)
    fresh = grown.kept.drop(entry.target)
    regression = entry.task is Task.REGRESSION
    said = model.predict(fresh) if regression else model.predict_proba(fresh)
    predicted = aligned(said, [] if regression else [str(name) for name in model.classes_], grown)
    return _cost(meter) | {
        "stated": model.score_.value,
        "fresh": entry.metric(grown.truth, predicted),
        "constant": entry.metric(grown.truth, grown.constant()),
    }


def _cost(meter: Meter) -> dict[str, float]:
    return {"seconds": meter.seconds, "mb": meter.peak_mb - meter.base_mb, "peak_mb": meter.peak_mb}


def growth_table(sizes: Sequence[int], found: Sequence[dict[str, dict[str, Any]]]) -> str:
    """Return one line for each size, and the growth exponents of the fixed work."""
    rows = []
    for size, parts in zip(sizes, found, strict=True):
        fixed, whole = parts["fixed"], parts["whole"]
        binned = size * fixed["columns"] / 1e6
        rows.append(
            [
                f"{size:,}",
                f"{fixed['seconds']:.2f}",
                f"{fixed['encode_seconds']:.2f}",
                f"{whole['seconds']:.1f}",
                figure(fixed["mb"]),
                figure(whole["mb"]),
                figure(2 * binned + _ALLOWED_MB),
                figure(whole["peak_mb"]),
                figure(whole["stated"], 5),
                figure(whole["fresh"], 5),
                figure(whole["constant"], 5),
            ]
        )
    head = [
        "rows",
        "fixed work, s",
        "of it encoding",
        "fit, s",
        "fixed work, MB",
        "fit, MB",
        "limit, MB",
        "process at most, MB",
    ]
    lines = table([*head, "stated", "fresh rows", "constant"], rows)
    seconds = np.log([parts["fixed"]["seconds"] for parts in found])
    if len(sizes) < 2:
        return lines
    steps = np.diff(seconds) / np.diff(np.log(sizes))
    overall = np.polyfit(np.log(sizes), seconds, 1)[0]
    between = ", ".join(f"{step:.2f}" for step in steps)
    return f"{lines}\n\nGrowth exponent of the fixed work: {overall:.2f} over all sizes; step by step {between}."


def _alone(asked: argparse.Namespace, rows: int, part: str, place: str) -> dict[str, Any]:
    words = [str(asked.data), "--set", asked.set, "--rows", str(rows), "--budget", str(asked.budget)]
    words += ["--part", part, "--place", place]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{rows:,} rows, {part}: {done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


PARTS: Final[dict[str, Callable[[Entry, argparse.Namespace], dict[str, Any]]]] = {
    "grow": grow,
    "fixed": fixed_work,
    "whole": whole_fit,
}
"""What is done for each size, each in a process of its own."""


if __name__ == "__main__":
    main()
