"""Guess what a table is for, so that `tenure init` can write a project file: task, roles, and columns to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from tenure.core.data import Column, Kind, Schema
from tenure.core.errors import TargetMissingError
from tenure.core.modelling import Floats, Task
from tenure.ingest.cells import Typed, typed
from tenure.ingest.names import word_known_afterwards
from tenure.ingest.roles import Declared, infer_schema, prepare
from tenure.ingest.target import check_target, class_names, guess_positive, guess_task

_ROWS: Final = 20_000
_WINDOW_ROWS: Final = 500
_WINDOW_DAYS: Final = (1, 7, 30, 91, 365)
_DAY_SECONDS: Final = 86_400
_SUM_ROWS: Final = 2_000
_SUM_COLUMNS: Final = 60
_BINS: Final = 50
_SUPPORT: Final = 5
_ERROR_LEFT: Final = 0.05
_COPY_CORRELATION: Final = 0.95


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A column that may know the answer, and why a person should look at it."""

    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Guess:
    """What a table seems to be for. `sentences` says why, by project-file key, for what was not given."""

    target: str
    task: Task
    classes: tuple[str, ...]
    positive: str | None
    time: str | None
    group: str | None
    key: str | None
    window: str
    schema: Schema
    suspicious: tuple[Suspicion, ...]
    sentences: dict[str, str]


def guess(
    table: Typed | pl.DataFrame,
    target: str,
    *,
    task: Task | None = None,
    positive: str | None = None,
    time: str | None = None,
    group: str | None = None,
    key: str | None = None,
) -> Guess:
    """Guess everything that is not given.

    Raises:
        TargetMissingError: a named column is not in the table.
        TargetError: the target cannot be learned.
        ConfigError: one column has two roles, or `positive` is no value of the target.
    """
    if isinstance(table, pl.DataFrame):
        table = typed(table)
    if target not in table.frame.columns:
        raise TargetMissingError.from_column(target, table.frame.columns)
    declared = Declared(target, time, group, key)
    declared.check(table.frame.columns)
    sentences: dict[str, str] = {}
    if task is None:
        task, sentences["task"] = guess_task(table.frame[target])
    frame = prepare(table, declared, task)
    check_target(frame[target], task)
    if task is Task.BINARY and positive is None:
        sentences["positive"] = guess_positive(frame[target])[1]
    classes = class_names(frame[target], task, positive)
    schema = infer_schema(frame, declared, task, table)
    roles = {"time": schema.time, "group": schema.group, "key": schema.key}
    for role, column in roles.items():
        if column is not None and column not in declared.roles():
            sentences[role] = f"{column!r}: {schema[column].reason}."
    window, sentences["window"] = guess_window(frame, schema)
    return Guess(
        target=target,
        task=task,
        classes=classes,
        positive=classes[-1] if task is Task.BINARY else None,
        **roles,
        window=window,
        schema=schema,
        suspicious=tuple(_suspicious(frame, schema, task)),
        sentences=sentences,
    )


def guess_window(frame: pl.DataFrame, schema: Schema) -> tuple[str, str]:
    """Return a window of traffic that holds enough rows to judge, by rows where nothing tells the time; and why."""
    when = None if schema.time is None else frame[schema.time].drop_nulls()
    if when is None or not when.dtype.is_temporal() or when.n_unique() < 2:
        return f"{_WINDOW_ROWS} rows", "nothing tells when a row was asked about, so traffic is cut by rows."
    days = when.cast(pl.Datetime("us")).cast(pl.Int64).to_numpy() / (1e6 * _DAY_SECONDS)
    per_day = len(days) / max(float(np.ptp(days)), 1.0)
    step = float(np.median(np.diff(np.unique(days))))
    enough = (length for length in _WINDOW_DAYS if length >= step and per_day * length >= _WINDOW_ROWS / 2)
    length = next(enough, _WINDOW_DAYS[-1])
    return f"{length}d", f"about {per_day * length:,.0f} rows come in {length} {'days' if length > 1 else 'day'}."


def _suspicious(frame: pl.DataFrame, schema: Schema, task: Task) -> Iterator[Suspicion]:
    """Yield, at most once, each feature that is a near copy of the target, or named like what comes after it."""
    target = schema.target or ""
    rows = frame.filter(frame[target].is_not_null())  # not pl.col: a column may be called "*"
    rows = rows.gather_every(max(rows.height // _ROWS, 1))
    sums = _parts_of_target(rows, schema) if task is Task.REGRESSION else {}
    for column in schema.features:
        copies = _copies_target(rows, column, target, task)
        word = word_known_afterwards(column.name)
        if copies:
            yield Suspicion(column.name, copies)
        elif column.name in sums:
            yield Suspicion(column.name, f"added to {sums[column.name]!r} it is exactly {target!r}")
        elif word is not None:
            yield Suspicion(column.name, f"{word!r} in its name may mean that it is known only afterwards")


def _copies_target(rows: pl.DataFrame, column: Column, target: str, task: Task) -> str:
    """Return in words how nearly the column alone gives the target, empty if it does not."""
    if column.kind is Kind.TEXT:
        return ""
    if task is Task.REGRESSION:
        if column.kind is not Kind.NUMERIC:
            return ""
        correlation = _correlation(_floats(rows[column.name]), _floats(rows[target]))
        close = abs(correlation) >= _COPY_CORRELATION
        return f"its correlation with {target!r} is {correlation:.3f}" if close else ""
    levels = _levels(rows[column.name])
    pair = pl.DataFrame({"level": levels, "target": rows[target].cast(pl.String)})
    counts = (
        pair.group_by("level", "target")
        .len()
        .group_by("level")
        .agg(pl.col("len").max(), pl.col("len").sum().alias("all"))
    )
    supported = counts.filter(pl.col("all") >= _SUPPORT)
    seen = int(supported["all"].sum())
    if seen < 0.5 * rows.height or supported.height < 2:
        return ""
    wrong = 1 - int(supported["len"].sum()) / seen
    wrong_without = 1 - int(pair["target"].value_counts(sort=True)["count"][0]) / rows.height
    if wrong > _ERROR_LEFT * wrong_without:
        return ""
    return f"its value alone gives {target!r} in {1 - wrong:.1%} of the rows"


def _levels(series: pl.Series) -> pl.Series:
    """Return the column as levels; a number with many values is cut into bins of equal rows."""
    if not series.dtype.is_numeric() or series.n_unique() <= _BINS:
        return series.cast(pl.String)
    rank = series.rank("min").cast(pl.Float64)
    return (rank * _BINS / len(series)).floor().cast(pl.String)


def _floats(series: pl.Series) -> Floats:
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _correlation(one: Floats, other: Floats) -> float:
    usable = np.isfinite(one) & np.isfinite(other)
    one, other = one[usable], other[usable]
    if one.size < _SUPPORT or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        found = float(np.corrcoef(one, other)[0, 1])
    return found if np.isfinite(found) else 0.0


def _parts_of_target(rows: pl.DataFrame, schema: Schema) -> dict[str, str]:
    """Return pairs of numeric features that add up to the target in every row, each under the name of the other."""
    names = [column.name for column in schema.features if column.kind is Kind.NUMERIC][:_SUM_COLUMNS]
    sample = rows.gather_every(max(rows.height // _SUM_ROWS, 1))
    if len(names) < 2 or sample.height < _SUPPORT:
        return {}
    matrix = np.column_stack([_floats(sample[name]) for name in names])
    target = _floats(sample[schema.target or ""])
    found: dict[str, str] = {}
    for at, name in enumerate(names):
        with np.errstate(over="ignore", invalid="ignore"):
            rest = (target - matrix[:, at])[:, None] - matrix
            exact = np.all(np.abs(rest) <= 1e-9 * (1 + np.abs(target))[:, None], axis=0)
        for other in np.flatnonzero(exact):
            if other != at and np.ptp(matrix[:, at]) > 0 and np.ptp(matrix[:, other]) > 0:
                found[name] = names[other]
    return found
