"""Small synthetic worlds with a planted truth: what a check must find, and what it must not.

Most are tables of customers: who leaves depends on `spend` and `plan`, and `noise` says nothing. The same seed gives
the same world.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from tenure.core.data import Column, Kind, Role, Schema, WindowPair
from tenure.core.modelling import Floats, Task

_PLANS: Final = ("basic", "plus", "max")
_REGIONS: Final = ("north", "south", "east", "west")
_START: Final = datetime(2024, 1, 1)  # noqa: DTZ001 - tables hold times without a zone
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A table and the truth behind it.

    `planted` names what was planted: a column, a condition, or a row position as text; empty for nothing. `truth` is
    the true probability of a yes, or the true mean, of each row (n,). `classes` has the positive class last.
    """

    frame: pl.DataFrame
    task: Task
    target: str
    truth: Floats
    classes: tuple[str, ...] = ()
    key: str | None = "customer"
    time: str | None = None
    planted: str = ""

    @property
    def schema(self) -> Schema:
        """Return the columns with the kinds and roles that fit them."""
        roles = {self.target: Role.TARGET, self.key: Role.KEY, self.time: Role.TIME}
        return Schema(
            tuple(
                Column(
                    series.name,
                    str(series.dtype),
                    _kind(series),
                    roles.get(series.name, Role.FEATURE),
                    series.null_count(),
                    series.n_unique(),
                )
                for series in self.frame
            )
        )


def clean_world(task: Task = Task.BINARY, *, rows: int = 1_000, seed: int = 0) -> World:
    """Make a world where nothing is wrong."""
    rng = np.random.default_rng((1, seed))
    frame = _customers(rows, rng)
    truth, target, classes = _answer(frame, task, rng)
    return World(frame.with_columns(target), task, target.name, truth, classes)


def leaky_world(task: Task = Task.BINARY, *, rows: int = 1_000, seed: int = 0) -> World:
    """Make a world with a column `closing_note` that is filled in after the outcome and knows it."""
    world = clean_world(task, rows=rows, seed=seed)
    rng = np.random.default_rng((2, seed))
    answer = world.frame[world.target]
    codes = answer.rank("dense").cast(pl.Float64) if task.is_classification else answer
    note = (codes.to_numpy() + rng.normal(0, 0.01 * float(np.std(codes.to_numpy())), rows)).round(3)
    frame = world.frame.with_columns(pl.Series("closing_note", note))
    return World(frame, task, world.target, world.truth, world.classes, planted="closing_note")


def weak_slice_world(*, rows: int = 2_000, seed: int = 0) -> World:
    """Make a world where the answers of `region` west are a coin, and no column tells why."""
    world = clean_world(rows=rows, seed=seed)
    rng = np.random.default_rng((3, seed))
    west = (world.frame["region"] == "west").to_numpy()
    truth = np.where(west, 0.5, np.where(world.truth > 0.5, 0.97, 0.03))
    target = pl.Series(world.target, np.where(rng.random(rows) < truth, "yes", "no"))
    frame = world.frame.with_columns(target)
    return World(frame, Task.BINARY, world.target, truth, world.classes, planted="region is west")


def spread_world(*, rows: int = 2_000, seed: int = 0) -> World:
    """Make a world whose answer is told by twelve columns, each of which three others can stand in for."""
    rng = np.random.default_rng((7, seed))
    hidden = rng.normal(size=(rows, 3))
    columns = {f"signal_{i}": hidden[:, i % 3] + 0.3 * rng.normal(size=rows) for i in range(12)}
    truth = 1 / (1 + np.exp(-1.5 * hidden.sum(axis=1)))
    target = pl.Series("left", np.where(rng.random(rows) < truth, "yes", "no"))
    frame = pl.DataFrame(columns).with_columns(pl.Series("shop", rng.choice(_REGIONS, rows)), target)
    return World(frame, Task.BINARY, "left", truth, ("no", "yes"), key=None)


def brittle_world(*, rows: int = 2_000, seed: int = 0) -> World:
    """Make a world whose answer hangs on fine steps of `dial`, so that a little noise ruins it."""
    rng = np.random.default_rng((8, seed))
    dial = rng.uniform(0.0, 10.0, rows)
    truth = np.where(np.floor(dial) % 2 == 0, 0.95, 0.05)
    target = pl.Series("left", np.where(rng.random(rows) < truth, "yes", "no"))
    frame = pl.DataFrame({"dial": dial, "noise": rng.normal(size=rows)}).with_columns(target)
    return World(frame, Task.BINARY, "left", truth, ("no", "yes"), key=None, planted="dial")


def level_world(*, rows: int = 2_000, seed: int = 0) -> World:
    """Make a world of amounts that hang on the level of `model` alone, so that an unseen level ruins them."""
    rng = np.random.default_rng((9, seed))
    level = rng.integers(0, 6, rows)
    truth: Floats = 100.0 * level.astype(np.float64)
    target = pl.Series("amount", truth + rng.normal(0.0, 5.0, rows))
    frame = pl.DataFrame({"model": [f"m{i}" for i in level], "noise": rng.normal(size=rows)}).with_columns(target)
    return World(frame, Task.REGRESSION, "amount", truth, key=None, planted="model")


def drifting_world(*, rows: int = 2_000, seed: int = 0, at: float = 0.7, shift: float = 2.0) -> World:
    """Make a world in order of time whose `spend` moves by `shift` deviations after the share `at` of the rows.

    What `spend` means for the answer turns round at the same moment, so an old model fails on new rows.
    """
    rng = np.random.default_rng((4, seed))
    start = round(at * rows)
    late = np.arange(rows) >= start
    frame = _customers(rows, rng)
    old = _logit(frame)
    frame = frame.with_columns((pl.col("spend") + pl.Series(np.where(late, shift * 10.0, 0.0))).alias("spend"))
    truth = 1 / (1 + np.exp(-np.where(late, -old, old)))
    target = pl.Series("left", np.where(rng.random(rows) < truth, "yes", "no"))
    seen_at = pl.Series("seen_at", [_START + i * _HOUR for i in range(rows)])
    frame = frame.with_columns(seen_at, target)
    return World(frame, Task.BINARY, "left", truth, ("no", "yes"), time="seen_at", planted=str(start))


def delayed_world(*, rows: int = 2_000, seed: int = 0, delay_days: float = 7.0) -> World:
    """Make a world in order of time whose outcomes are known `delay_days` later, in the column `known_at`."""
    rng = np.random.default_rng((5, seed))
    frame = _customers(rows, rng)
    truth, target, classes = _answer(frame, Task.BINARY, rng)
    seen = [_START + i * _HOUR for i in range(rows)]
    known = [moment + timedelta(days=delay_days) for moment in seen]
    frame = frame.with_columns(pl.Series("seen_at", seen), pl.Series("known_at", known), target)
    return World(frame, Task.BINARY, target.name, truth, classes, time="seen_at", planted="known_at")


def stable_pair(*, reference: int = 1_000, current: int = 400, seed: int = 0) -> WindowPair:
    """Make two windows of the same world: any difference is chance."""
    rng = np.random.default_rng((6, seed))
    return _pair(_customers(reference, rng), _customers(current, rng))


def shifted_pair(*, reference: int = 1_000, current: int = 400, seed: int = 0, shift: float = 1.0) -> WindowPair:
    """Make two windows between which `spend` moved by `shift` deviations and `plan` lost its first level."""
    pair = stable_pair(reference=reference, current=current, seed=seed)
    moved = pair.current.with_columns(
        (pl.col("spend") + 10.0 * shift).alias("spend"), pl.col("plan").replace("basic", "max")
    )
    return WindowPair(pair.reference, moved, pair.schema)


def _pair(reference: pl.DataFrame, current: pl.DataFrame) -> WindowPair:
    features = [name for name in reference.columns if name != "customer"]
    columns = tuple(Column(name, str(reference.schema[name]), _kind(reference[name])) for name in features)
    return WindowPair(reference.select(features), current.select(features), Schema(columns))


def _customers(rows: int, rng: np.random.Generator) -> pl.DataFrame:
    noise = rng.normal(size=rows)
    return pl.DataFrame(
        {
            "customer": [f"c{i:06d}" for i in range(rows)],
            "spend": 50.0 + 10.0 * rng.normal(size=rows),
            "visits": rng.poisson(3.0, rows),
            "plan": rng.choice(_PLANS, rows, p=(0.5, 0.3, 0.2)),
            "region": rng.choice(_REGIONS, rows),
            "member": rng.random(rows) < 0.4,
            "noise": pl.Series(np.where(rng.random(rows) < 0.1, np.nan, noise)).fill_nan(None),
        }
    )


def _logit(frame: pl.DataFrame) -> Floats:
    spend = (frame["spend"].to_numpy() - 50.0) / 10.0
    basic = (frame["plan"] == "basic").to_numpy()
    logit: Floats = 1.6 * spend + np.where(basic, 0.9, -0.9) - 0.5
    return logit


def _answer(frame: pl.DataFrame, task: Task, rng: np.random.Generator) -> tuple[Floats, pl.Series, tuple[str, ...]]:
    logit, rows = _logit(frame), frame.height
    if task is Task.REGRESSION:
        return 10.0 * logit, pl.Series("amount", 10.0 * logit + rng.normal(0.0, 5.0, rows)), ()
    chance = 1 / (1 + np.exp(-logit))
    if task is Task.BINARY:
        return chance, pl.Series("left", np.where(rng.random(rows) < chance, "yes", "no")), ("no", "yes")
    level = np.digitize(logit + rng.logistic(size=rows), [-1.0, 1.0])
    return chance, pl.Series("mood", np.array(["bad", "fair", "good"])[level]), ("bad", "fair", "good")


def _kind(series: pl.Series) -> Kind:
    if series.dtype == pl.Boolean:
        return Kind.BOOLEAN
    if series.dtype.is_temporal():
        return Kind.DATETIME
    return Kind.NUMERIC if series.dtype.is_numeric() else Kind.CATEGORICAL
