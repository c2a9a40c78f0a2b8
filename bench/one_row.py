"""Show how fast one row is answered in the process itself: from a mapping to the answer, and from nothing to the first.

    python bench/one_row.py [DATA_FOLDER --set NAME] [--rows 20000] [--trees 200] [--peers PEERS --budget 60]

The table is planted: 30 columns of numbers, counts, amounts that are mostly zero, a pair whose ratio tells, yes and no,
categories of few and of many levels, two dates, some of it missing; or a set of a folder. Five folds of it train five
boosters (31 leaves), once on the encoded columns and once with prepared features, and each ensemble becomes a stored
model with temperature, curve and interval. Measured over fresh rows, each another one, as JSON brings them:

- ours: `Scorer.answer`; the library's part of it: the five single-row calls on a buffer that is ready;
- beside it `Booster.predict` of LightGBM's own package, five times: on a row that is ready, and on a pandas frame;
- with --peers AutoGluon and FLAML, fitted within the budget, on a frame of one row (environments as in `automl.py`);
- cold start: seconds from starting a process to its first answer, after checking the files and the stored rows;
- the largest difference to the answers for the same rows as one table, and from several threads at once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import pandas as pd
import polars as pl
from peers.campaign import BENCH, MODULES
from peers.compare import table
from peers.environments import python_of
from peers.job import Job
from peers.suite import catalogue, split

from tenure.core.contract import Contract
from tenure.core.modelling import Floats, Task
from tenure.core.ports import Problem
from tenure.estimators.inputs import Extras, Lesson, make_lesson
from tenure.model.bundle import write_bundle
from tenure.model.fitted import FittedModel, WeightedMember
from tenure.model.intervals import ProbabilityCurve, ProbabilityInterval
from tenure.model.members.lightgbm import LightGBMMember
from tenure.model.members.prepared import PreparedMember
from tenure.model.plan import ColumnPlan
from tenure.model.scorer import Scorer
from tenure.model.target import encode_target
from tenure.training.features.fit import fit_encoding
from tenure.training.features.prepare import choose_recipe, fit_preparation

_FOLDS: Final = 5
_LEARNED: Final = 20_000
_STARTS: Final = 7
_THREADS: Final = 4
_BATCH: Final = 1000
_FRAMES: Final = 1000
"""Rows that LightGBM's own package is asked about."""
_PEERS: Final = ("ag_medium", "flaml")
_FIRST_ANSWER: Final = """
import json, sys, time
from pathlib import Path
from tenure.model.scorer import Scorer
scorer = Scorer.load(Path(sys.argv[1]))
scorer.answer(json.loads(sys.argv[2]))
print(time.monotonic())
"""


@dataclass(frozen=True, eq=False)
class Rows:
    """A table to learn from, fresh rows (also as JSON brings them), the target's name and its classes."""

    learn: pl.DataFrame
    fresh: pl.DataFrame
    target: str
    classes: tuple[str, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """Return the fresh rows as JSON brings them: dates are texts."""
        rows: list[dict[str, Any]] = json.loads(json.dumps(self.fresh.drop(self.target).to_dicts(), default=str))
        return rows


def main() -> None:
    """Train both ensembles, measure them and the peers, and print tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path, nargs="?", help="a folder of sets; a planted table without it")
    options.add_argument("--set", default="telco_churn", help="a set of two classes")
    options.add_argument("--rows", type=int, default=20_000, help="fresh rows to answer")
    options.add_argument("--trees", type=int, default=200, help="of each booster")
    options.add_argument("--peers", type=Path, help="folder of the peers' environments")
    options.add_argument("--budget", type=float, default=60.0, help="seconds for each peer")
    asked = options.parse_args()
    rows = planted(asked.rows) if asked.data is None else of_set(asked.data, asked.set, asked.rows)
    print(f"{rows.learn.width - 1} columns, {_FOLDS} x {asked.trees} trees, load {os.getloadavg()[0]:.1f}\n")
    lines: list[list[str]] = []
    facts: list[str] = []
    for name, prepared in (("encoded columns", False), ("prepared features", True)):
        with tempfile.TemporaryDirectory(prefix="bench-") as place:
            measured, said = measure(rows, Path(place), trees=asked.trees, prepared=prepared)
        lines += [[name, *line] for line in measured]
        facts += [f"{name}: {fact}" for fact in said]
    if asked.peers is not None:
        lines += [["", *peer(system, rows, asked)] for system in _PEERS]
    print(table(["model", "what", "p50, us", "p99, us", "rows/s"], lines) + "\n")
    print("\n".join(facts))


def planted(fresh: int, seed: int = 0) -> Rows:
    """Return a mixed table of 30 columns whose target follows a ratio, levels, a date and some numbers."""
    rng = np.random.default_rng(seed)
    rows = _LEARNED + fresh
    columns: dict[str, Any] = {f"number_{at}": np.round(rng.normal(size=rows) * 10**at, 4) for at in range(5)}
    columns |= {f"paid_{at}": np.round(rng.lognormal(3, 1, rows) * (rng.random(rows) < 0.2), 2) for at in range(3)}
    columns |= {f"count_{at}": rng.poisson(2.0 + 3 * at, rows) for at in range(5)}
    columns |= {"income": np.round(rng.lognormal(10, 0.6, rows), 2), "debt": np.round(rng.lognormal(9, 0.8, rows), 2)}
    columns |= {f"is_{at}": rng.random(rows) < 0.3 + 0.2 * at for at in range(3)}
    sizes = (3, 4, 6, 8, 12, 20, 40, 100, 300)
    codes = [np.minimum(rng.geometric(3 / (size + 2), rows), size) - 1 for size in sizes]
    columns |= {f"level_{size}": np.char.add("v", code.astype(str)) for size, code in zip(sizes, codes, strict=True)}
    seen = np.datetime64("2024-01-01T00:00:00") + rng.integers(0, 2 * 365 * 86_400, rows).astype("timedelta64[s]")
    columns |= {"seen": seen.astype("datetime64[us]")}
    columns |= {"joined": (seen - rng.integers(1, 3000, rows).astype("timedelta64[D]")).astype("datetime64[D]")}
    columns |= {"channel": rng.choice(["web", "shop", "phone"], rows)}
    effects = [rng.normal(size=size)[code] for size, code in zip(sizes, codes, strict=True)]
    month = columns["seen"].astype("datetime64[M]").astype(np.int64) % 12
    score = 1.5 * np.log(columns["debt"] / columns["income"]) + sum(effects) / 2 + np.cos(month * np.pi / 6)
    score += columns["number_0"] * (columns["is_0"] - 0.5) + 0.2 * columns["count_1"]
    columns["answer"] = np.where(score - np.median(score) + 2 * rng.logistic(size=rows) > 0, "yes", "no")
    frame = pl.DataFrame(columns)
    gaps = [pl.when(pl.Series(rng.random(rows) > 0.05)).then(pl.col(n)).alias(n) for n in frame.columns[:30:3]]
    frame = frame.with_columns(gaps)
    return Rows(frame[:_LEARNED], frame[_LEARNED:], "answer", ("no", "yes"))


def of_set(folder: Path, name: str, fresh: int) -> Rows:
    """Return a set of a folder; its kept quarter again and again where it has too few rows."""
    halves = split(catalogue(folder, [name])[0], seed=0)
    if halves.entry.task is not Task.BINARY:
        raise SystemExit(f"{name} has no two classes.")
    kept = halves.kept[np.arange(fresh) % halves.kept.height]
    return Rows(halves.learn[:_LEARNED], kept, halves.entry.target, halves.classes)


def measure(rows: Rows, folder: Path, *, trees: int, prepared: bool) -> tuple[list[list[str]], list[str]]:
    """Return the lines of the table for one ensemble, and what else is to be said of it."""
    lesson = make_lesson(
        rows.learn.drop(rows.target), rows.learn[rows.target], Extras(), task=Task.BINARY, classes=rows.classes,
        categorical=None,
    )  # fmt: skip
    boosters, model = train(lesson, rows, trees=trees, prepared=prepared)
    write_bundle(model, folder, sample=lesson.frame)
    scorer, sent = Scorer.load(folder), rows.as_json()
    started = time.perf_counter()
    batch = scorer.score(rows.fresh)
    table_seconds = time.perf_counter() - started
    encoded = matrices(model, rows.fresh)
    frames = [[pd.DataFrame(m[at : at + 1]) for m in encoded] for at in range(min(len(sent), _FRAMES))]
    lines = [
        timed("ours, from a mapping", scorer.answer, sent),
        timed("LightGBM's single-row calls alone", fast_calls(model, encoded), range(len(sent))),
        timed(
            "Booster.predict, row ready",
            own_calls(boosters),
            [[m[at : at + 1] for m in encoded] for at in range(len(frames))],
        ),
        timed("Booster.predict, pandas row", own_calls(boosters), frames),
    ]
    started = time.perf_counter()
    for start in range(0, len(sent), _BATCH):
        scorer.answers(sent[start : start + _BATCH])
    by_batches = len(sent) / (time.perf_counter() - started)
    starts = [cold_start(folder, sent[0]) for _ in range(_STARTS)]
    with ThreadPoolExecutor(_THREADS) as threads:
        together = list(threads.map(scorer.answer, sent, chunksize=100))
    return lines, [
        f"cold start {min(starts):.3f} s at best, {np.median(starts):.3f} s in the middle of {_STARTS}",
        f"{by_batches:,.0f} rows/s in batches of {_BATCH} mappings, {len(sent) / table_seconds:,.0f} rows/s as a table",
        f"largest difference to the table {difference(map(scorer.answer, sent), batch):g}, "
        f"from {_THREADS} threads at once {difference(together, batch):g}",
    ]


def train(lesson: Lesson, rows: Rows, *, trees: int, prepared: bool) -> tuple[list[lgb.Booster], FittedModel]:
    """Return the boosters of the folds, and the model that they make."""
    encoding = fit_encoding(lesson.frame, lesson.schema, rng=np.random.default_rng(0))
    plan, matrix = encoding.plan, encoding.matrix
    target = encode_target(rows.learn[rows.target], Task.BINARY, rows.classes)
    problem = Problem(Task.BINARY, 2, matrix, plan.names, plan.categorical, target, threads=1)
    folds = np.random.default_rng(0).integers(0, _FOLDS, len(target))
    codes = [at for at, is_category in enumerate(plan.categorical) if is_category]
    boosters, members = [], []
    for fold in range(_FOLDS):
        learned = np.flatnonzero(folds != fold)
        columns, preparation = matrix[learned], None
        if prepared:
            preparation, more = fit_preparation(choose_recipe(problem, learned), problem, learned)
            columns = np.concatenate([columns, more], axis=1)
        data = lgb.Dataset(columns, target[learned], categorical_feature=codes, params={"verbosity": -1})
        params = {"objective": "binary", "num_leaves": 31, "learning_rate": 0.05, "seed": fold, "verbosity": -1}
        params["num_threads"] = 1  # threads that wait for each other on a busy machine take minutes
        booster = lgb.train(params, data, trees)
        boosters.append(booster)
        member: Any = LightGBMMember(Task.BINARY, booster.model_to_string())
        if preparation is not None:
            member = PreparedMember(preparation.narrowed(booster.feature_importance()[plan.width :] > 0), member)
        members.append(WeightedMember(f"fold-{fold}", 1 / _FOLDS, member))
    return boosters, _fitted(lesson, rows, plan, members)


def _fitted(lesson: Lesson, rows: Rows, plan: ColumnPlan, members: Sequence[WeightedMember]) -> FittedModel:
    knots = np.linspace(0, 1, 256)
    edges = np.linspace(0, 1, 22)[1:-1]
    sure = ProbabilityInterval(tuple(edges), tuple(np.append(0, edges)), tuple(np.append(edges, 1)))
    return FittedModel(
        Task.BINARY, rows.classes, rows.target, lesson.schema, Contract((), rows.learn.height), plan, tuple(members),
        temperature=1.1, probability_interval=sure, curve=ProbabilityCurve(tuple(knots), tuple(knots**1.1)),
    )  # fmt: skip


def matrices(model: FittedModel, frame: pl.DataFrame) -> list[Floats]:
    """Return what the trees of each member read: the encoded columns, with the prepared ones where there are any."""
    matrix = model.plan.encode(model.dates.read_table(frame))
    members = [part.member for part in model.members]
    return [
        np.concatenate([matrix, m.preparation.transform(matrix)], axis=1) if isinstance(m, PreparedMember) else matrix
        for m in members
    ]


def fast_calls(model: FittedModel, encoded: Sequence[Floats]) -> Callable[[int], Any]:
    """Return what makes the library's single-row call of every member, for the row at a position."""
    trees = [m.trees if isinstance(m, PreparedMember) else m for m in (part.member for part in model.members)]
    one_by_one = [memoryview(np.ascontiguousarray(matrix)).cast("B") for matrix in encoded]
    calls = []
    for member, whole, matrix in zip(trees, one_by_one, encoded, strict=True):
        calls.append((*_buffered(member, matrix.shape[1]), whole, matrix.shape[1] * 8))

    def call(at: int) -> None:
        for buffer, say, whole, size in calls:
            buffer[:] = whole[at * size : (at + 1) * size]
            say()

    return call


def _buffered(member: Any, width: int) -> tuple[memoryview, Callable[[], Any]]:
    numbers = array("d", bytes(8 * width))
    return memoryview(numbers).cast("B"), member.on_row(numbers)


def own_calls(boosters: Sequence[lgb.Booster]) -> Callable[[Sequence[Any]], Any]:
    """Return what asks LightGBM's own package: each booster about its table of one row."""
    return lambda row: [booster.predict(own) for booster, own in zip(boosters, row, strict=True)]


def timed(what: str, answer: Callable[[Any], Any], rows: Sequence[Any]) -> list[str]:
    """Return what was called, its p50 and p99 in microseconds, and calls a second."""
    for row in rows[:100]:
        answer(row)
    seconds = []
    for row in rows:
        started = time.perf_counter()
        answer(row)
        seconds.append(time.perf_counter() - started)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e6
    return [what, f"{p50:,.1f}", f"{p99:,.1f}", f"{len(seconds) / sum(seconds):,.0f}"]


def cold_start(folder: Path, row: dict[str, Any]) -> float:
    """Return the seconds from starting a process until it has answered one row."""
    command = [sys.executable, "-c", _FIRST_ANSWER, str(folder), json.dumps(row)]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout) - started


def difference(answered: Any, batch: Any) -> float:
    """Return by how much the numbers of answers differ at most from those of a table; infinite for another class."""
    most = 0.0
    for at, one in enumerate(answered):
        if one.prediction != batch.labels[at]:
            return float("inf")
        pairs = zip(
            (*one.probabilities, one.low, one.high),
            (*batch.probabilities[at], batch.low[at], batch.high[at]),
            strict=True,
        )
        most = max(most, *(abs(ours - theirs) for ours, theirs in pairs))
    return most


def peer(system: str, rows: Rows, asked: argparse.Namespace) -> list[str]:
    """Return how fast a peer answers a frame of one row, or why it does not."""
    python = python_of(asked.peers, MODULES[system])
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        for name, frame in (("learn", rows.learn), ("kept", rows.fresh)):
            plain = frame.with_columns(pl.col(pl.Boolean).cast(pl.Int8), pl.col(pl.Date, pl.Datetime).cast(pl.String))
            plain.write_parquet(Path(place) / f"{name}.parquet")
        learn, kept = (str(Path(place) / f"{name}.parquet") for name in ("learn", "kept"))
        job = Job(system, "binary", "roc_auc", rows.target, False, asked.budget, 2, 0, learn, kept, place)
        command = [str(python), "-m", "peers.worker", str(job.write()), MODULES[system]]
        done = subprocess.run(command, cwd=BENCH, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return [f"{system}: {done.stderr.strip().splitlines()[-1][:80]}", "", "", ""]
        told = json.loads((Path(place) / "told.json").read_text())
    p50, p99 = told["row_ms_p50"] * 1000, told["row_ms_p99"] * 1000
    return [f"{system}, pandas row", f"{p50:,.0f}", f"{p99:,.0f}", f"{1e6 / p50:,.0f}"]


if __name__ == "__main__":
    main()
