"""Look at a table quickly: one number for every cell, and a small booster to see what the numbers tell.

For measuring only: quality and validation ask it what a column knows or what a split claims. It is never released.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Column, Kind, Schema
from tenure.core.modelling import Floats, Indices, Task
from tenure.core.ports import Deadline
from tenure.model.values import numbers_of

WORD_BUCKETS: Final = 64
_TEXT_START: Final = 600
_SECONDS_PER_CELL: Final = 12e-9
"""One tree, one row, one feature: twice the figure of methods.md 1.4, because machines are shared."""
_SECONDS_PER_TREE: Final = 4e-4
_THREADS: Final = 1


def quick_numbers(series: pl.Series, kind: Kind) -> Floats:
    """Return one float64 a row: the number, seconds since 1970, the level's rank, or a text's length; NaN if empty."""
    if kind is Kind.CATEGORICAL:
        numbers = series.cast(pl.String).rank("dense").cast(pl.Float64)
    elif kind is Kind.TEXT:
        numbers = series.cast(pl.String).str.len_chars().cast(pl.Float64)
    elif kind is Kind.DATETIME:
        numbers = as_datetime(series).dt.epoch("us").cast(pl.Float64) / 1e6
    else:
        return numbers_of(series)
    return numbers.fill_null(float("nan")).to_numpy().astype(np.float64)


def as_datetime(series: pl.Series) -> pl.Series:
    """Return the column as datetimes in microseconds without zone; what cannot be read becomes empty."""
    if series.dtype == pl.String:
        return series.str.to_datetime(time_unit="us", strict=False)
    return series.cast(pl.Datetime("us"), strict=False)


def quick_matrix(frame: pl.DataFrame, columns: Sequence[Column]) -> Floats:
    """Return the columns as a float64 matrix (rows, len(columns)), NaN where empty, categories as ranks."""
    if not columns:
        return np.empty((frame.height, 0))
    return np.column_stack([quick_numbers(frame[column.name], column.kind) for column in columns])


def calendar_parts(series: pl.Series) -> Floats:
    """Return month, weekday, day of month and hour of a datetime column, float64 (rows, 4); never elapsed time."""
    moments = as_datetime(series).dt
    parts = (moments.month(), moments.weekday(), moments.day(), moments.hour())
    return np.column_stack([part.cast(pl.Float64).fill_null(float("nan")).to_numpy() for part in parts])


def word_counts(series: pl.Series) -> Floats:
    """Return how often words of each of 64 hash buckets occur at the start of a text, float64 (rows, 64)."""
    words = (
        pl.DataFrame({"text": series.cast(pl.String).str.slice(0, _TEXT_START).str.to_lowercase()})
        .with_row_index("row")
        .select("row", pl.col("text").str.extract_all(r"\w+").alias("word"))
        .explode("word", empty_as_null=True)
        .drop_nulls()
    )
    counts = np.zeros((series.len(), WORD_BUCKETS))
    np.add.at(counts, (words["row"].to_numpy(), (words["word"].hash(seed=0) % WORD_BUCKETS).to_numpy()), 1.0)
    return counts


def probe_matrix(frame: pl.DataFrame, schema: Schema, columns: Sequence[Column]) -> tuple[Floats, tuple[str, ...]]:
    """Return all that a quick booster may read, and the source column of each output column.

    Like `quick_matrix`, with words of text columns and calendar parts of the time column added.
    """
    parts, sources = [quick_matrix(frame, columns)], [column.name for column in columns]
    for column in columns:
        if column.kind is Kind.TEXT:
            parts.append(word_counts(frame[column.name]))
            sources += [column.name] * WORD_BUCKETS
    if schema.time is not None and schema.time in frame.columns:
        parts.append(calendar_parts(frame[schema.time]))
        sources += [schema.time] * parts[-1].shape[1]
    return np.hstack(parts), tuple(sources)


class QuickBooster:
    """A small fitted booster with predictions in the house's shape."""

    __slots__ = ("_booster", "_task")

    def __init__(self, booster: lgb.Booster, task: Task) -> None:
        self._booster = booster
        self._task = task

    def predict(self, matrix: Floats) -> Floats:
        """Return probabilities (n, k) or values (n,)."""
        raw = np.asarray(self._booster.predict(matrix, num_threads=_THREADS), dtype=np.float64)
        return np.column_stack([1 - raw, raw]) if self._task is Task.BINARY else raw

    def gains(self) -> Floats:
        """Return the total split gain of each matrix column, float64 (d,)."""
        return np.asarray(self._booster.feature_importance("gain"), dtype=np.float64)


def quick_booster(
    matrix: Floats,
    target: NDArray[Any],
    task: Task,
    classes: int,
    *,
    rounds: int = 100,
    seed: int = 0,
    depth: int | None = None,
) -> QuickBooster:
    """Fit a small LightGBM booster on all given rows.

    `depth` limits trees to that depth and learns without shrinkage: with `rounds=1`, a plain decision tree.
    """
    # One thread: these fits are small, and a second one mostly waits for the first when the machine is busy.
    params: dict[str, Any] = {
        "objective": {Task.BINARY: "binary", Task.MULTICLASS: "multiclass", Task.REGRESSION: "l2"}[task],
        "num_threads": _THREADS,
        "verbosity": -1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "learning_rate": 0.1,
        "num_leaves": 15,
        "min_data_in_leaf": int(np.clip(len(target) // 50, 1, 20)),
    }
    if task is Task.MULTICLASS:
        params["num_class"] = classes
    if depth is not None:
        params |= {"learning_rate": 1.0, "max_depth": depth, "num_leaves": 2**depth}
    bins = {"verbosity": -1, "min_data_in_bin": 1, "max_bin": 255 if depth else 63, "num_threads": _THREADS}
    data = lgb.Dataset(matrix, target, params=bins, free_raw_data=True)
    return QuickBooster(lgb.train(params, data, num_boost_round=rounds), task)


def out_of_fold(
    matrix: Floats,
    target: NDArray[Any],
    task: Task,
    classes: int,
    folds: Iterable[tuple[Indices, Indices]],
    *,
    rounds: int = 100,
    seed: int = 0,
    depth: int | None = None,
    deadline: Deadline | None = None,
) -> tuple[Indices, Floats] | None:
    """Return the validated rows and what boosters that never saw them predict; None when the deadline ends it first."""
    rows: list[Indices] = []
    predicted: list[Floats] = []
    for train, valid in folds:
        if deadline is not None and deadline.passed:
            return None
        booster = quick_booster(matrix[train], target[train], task, classes, rounds=rounds, seed=seed, depth=depth)
        rows.append(valid)
        predicted.append(booster.predict(matrix[valid]))
    return np.concatenate(rows), np.concatenate(predicted)


def affordable_rounds(seconds: float, *, rows: int, features: int, classes: int, fits: int, most: int = 100) -> int:
    """Return how many boosting rounds `fits` fits can have within `seconds`, from 10 up to `most`."""
    trees = 1 if classes <= 2 else classes
    one_round = trees * (rows * max(features, 4) * _SECONDS_PER_CELL + _SECONDS_PER_TREE)
    return int(np.clip(seconds / (fits * one_round), 10, most))
