"""Fits the column plan: decides for every feature which operations turn it into numbers.

Only text scores and target means look at the target. In the matrix for learning they are cross-fitted: no row's number
has seen the row's own target, so one plan and one matrix serve all folds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Final

import numpy as np
import polars as pl

from tenure.core.data import Column, Kind, Schema
from tenure.core.modelling import Floats
from tenure.model.calendar import CALENDAR_PARTS
from tenure.model.operations import (
    Calendar,
    Category,
    Difference,
    Frequency,
    Number,
    Operation,
    TextShape,
)
from tenure.model.plan import ColumnPlan
from tenure.model.values import NO_MOMENT, moments_of, texts_of
from tenure.training.features.crossfit import Outcomes
from tenure.training.features.means import fit_means
from tenure.training.features.text import fit_text

MOST_CODES: Final = 1000
"""More levels than this become how often each was seen."""

_FEW_LEVELS: Final = 255
_RARE_COUNT: Final = 10
_MOST_DIFFERENCES: Final = 10
_CYCLES: Final = 1.9
_DAY: Final = 86_400_000_000
_CYCLE_DAYS: Final = {
    "month": 365.25,
    "season_sin": 365.25,
    "season_cos": 365.25,
    "day": 30.4,
    "weekday": 7.0,
    "hour": 1.0,
    "minute": 1.0,
}


@dataclass(frozen=True, eq=False)
class Encoding:
    """A plan, and the matrix for learning (n, width): what the plan gives, but with cross-fitted numbers."""

    plan: ColumnPlan
    matrix: Floats


Step = tuple[Operation, Floats | None]
"""An operation, and its cross-fitted numbers (n, outputs) where it looked at the target."""


def fit_encoding(
    frame: pl.DataFrame,
    schema: Schema,
    *,
    rng: np.random.Generator,
    outcomes: Outcomes | None = None,
    dropped: Collection[str] = (),
    text_rows: int = 50_000,
) -> Encoding:
    """Return the plan and the matrix for the features of `schema` without `dropped`, and the calendar of its time.

    Columns that never vary in `frame` are left out. Without `outcomes` nothing looks at the target. `text_rows` bounds
    from how many texts topics and scores are learned.
    """
    columns = [column for column in schema.features if column.name not in dropped and column.name in frame.columns]
    steps: list[Step] = []
    for column in columns:
        steps += _steps(frame[column.name], column, outcomes, rng, text_rows)
    times = [column.name for column in columns if column.kind is Kind.DATETIME]
    steps += _differences(frame, times)
    time = schema.time
    if time is not None and time in frame.columns and schema[time].kind is Kind.DATETIME:
        steps += _calendar(frame[time], time)
    plan = ColumnPlan([operation for operation, _ in steps])
    matrix = np.empty((frame.height, plan.width))
    at = 0
    for operation, numbers in steps:
        end = at + len(operation.names)
        matrix[:, at:end] = operation.encode(frame) if numbers is None else numbers
        at = end
    return Encoding(plan, matrix)


def _steps(
    series: pl.Series, column: Column, outcomes: Outcomes | None, rng: np.random.Generator, text_rows: int
) -> Iterator[Step]:
    """Yield what turns one feature into numbers."""
    match column.kind:
        case Kind.NUMERIC | Kind.BOOLEAN:
            number = _number(series)
            if _varies(number, series):
                yield number, None
        case Kind.CATEGORICAL:
            yield from _category(series, column.name, outcomes)
        case Kind.DATETIME:
            yield from _calendar(series, column.name)
        case Kind.TEXT:
            yield TextShape(column.name), None
            found = fit_text(texts_of(series), column.name, outcomes, rng=rng, rows=text_rows)
            if found is not None:
                yield found


def _number(series: pl.Series) -> Number:
    """Return the number, which stands for its median where a later row has a gap that no row here has."""
    numbers = Number(series.name).encode(series.to_frame())[:, 0]
    whole = bool(numbers.size) and not np.isnan(numbers).any()
    return Number(series.name, float(np.median(numbers)) if whole else None)


def _varies(operation: Operation, series: pl.Series) -> bool:
    """Say whether an operation gives more than one number on this column (missing counts as one)."""
    numbers = operation.encode(series.to_frame(operation.source))
    known = numbers[~np.isnan(numbers)]
    return bool(known.size) and (known.size < numbers.size or bool(known.min() < known.max()))


def _category(series: pl.Series, name: str, outcomes: Outcomes | None) -> Iterator[Step]:
    """Yield codes by frequency, or the frequency itself and target means where there are very many levels."""
    counts = texts_of(series).alias("level").drop_nulls().value_counts(name="count")
    counts = counts.sort(["count", "level"], descending=[True, False])
    if counts.height + (series.null_count() > 0) < 2:
        return
    common = pl.col("count") >= _RARE_COUNT if counts.height > _FEW_LEVELS else pl.lit(True)
    levels = counts.filter(common)["level"].to_list()
    if counts.height <= MOST_CODES and levels:
        yield Category(name, tuple(levels), tuple(counts.filter(~common)["level"].to_list())), None
        return
    often = counts.filter(pl.col("count") > 1)
    frequency = Frequency(name, tuple(often["level"].to_list()), tuple(often["count"].to_list()))
    if _varies(frequency, series):
        yield frequency, None
        if outcomes is not None and outcomes.outputs:
            yield fit_means(texts_of(series), name, outcomes)


def _calendar(series: pl.Series, name: str) -> Iterator[Step]:
    """Yield the calendar parts that vary and whose cycle was seen about twice.

    A part seen for less than that (the month, in half a year of rows) only counts elapsed time, which never comes back.
    """
    moments = moments_of(series)
    known = moments[moments != NO_MOMENT]
    if known.size == 0:
        return
    days = float(known.max() - known.min()) / _DAY
    matrix = Calendar(name, CALENDAR_PARTS).encode(series.to_frame(name))
    different = {part: len(np.unique(matrix[:, at])) for at, part in enumerate(CALENDAR_PARTS)}
    parts = [p for p in CALENDAR_PARTS if different[p] > 1 and days >= _CYCLES * _CYCLE_DAYS[p]]
    if different["minute"] == different["hour"] and "minute" in parts:
        parts.remove("minute")
    if parts:
        yield Calendar(name, tuple(parts)), None


def _differences(frame: pl.DataFrame, times: list[str]) -> Iterator[Step]:
    """Yield the days between each two datetime features, at most ten, where they vary."""
    pairs = (Difference(later, earlier) for earlier, later in combinations(times, 2))
    varying = ((pair, None) for pair in pairs if len(np.unique(pair.encode(frame))) > 1)
    yield from islice(varying, _MOST_DIFFERENCES)
