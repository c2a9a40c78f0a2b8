"""Fits the column plan: decides for every feature which operations turn it into numbers.

Only text scores and target means look at the target. In the matrix for learning they are cross-fitted: no row's number
has seen the row's own target, so one plan and one matrix serve all folds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from math import inf
from typing import Final

import numpy as np
import polars as pl

from tenure.core.data import Column, Kind, Schema
from tenure.core.modelling import Floats
from tenure.core.ports import Deadline
from tenure.model.calendar import CALENDAR_PARTS
from tenure.model.operation import Operation
from tenure.model.operations import (
    Calendar,
    Category,
    Difference,
    Elapsed,
    Frequency,
    Number,
    TextShape,
)
from tenure.model.plan import ColumnPlan
from tenure.model.values import NO_MOMENT, moments_of, texts_of
from tenure.training.features.crossfit import Outcomes
from tenure.training.features.means import fit_means
from tenure.training.features.text import Reading, affordable, fit_text

MOST_CODES: Final = 1000
"""More levels than this become how often each was seen."""

_TEXT_SHARE: Final = 0.25
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
    deadline: Deadline | None = None,
    in_time: bool = True,
) -> Encoding:
    """Return the plan and the matrix for the features of `schema` without `dropped`, and the calendar of its time.

    Columns that never vary in `frame` are left out. Without `outcomes` nothing looks at the target. `text_rows` bounds
    from how many texts topics and scores are learned; texts get a quarter of the time until `deadline`, and columns for
    which even that is too short are left out. `in_time` says that predictions are for later rows than these.
    """
    columns = [column for column in schema.features if column.name not in dropped and column.name in frame.columns]
    steps: list[Step] = []
    texts = sum(column.kind is Kind.TEXT for column in columns)
    seconds = inf if deadline is None else _TEXT_SHARE * deadline.left / max(texts, 1)
    for column in columns:
        if column.kind is Kind.TEXT:
            told = texts_of(frame[column.name])
            reading = Reading() if deadline is None else affordable(told, deadline, seconds)
            steps += _text(told, column.name, outcomes, rng, text_rows, reading)
        else:
            steps += _steps(frame[column.name], column, outcomes, in_time=in_time)
    times = [column.name for column in columns if column.kind is Kind.DATETIME]
    steps += _differences(frame, times)
    time = schema.time
    if time is not None and time in frame.columns and schema[time].kind is Kind.DATETIME:
        steps += _calendar(frame[time], time, in_time=in_time)
    plan = ColumnPlan([operation for operation, _ in steps])
    matrix = np.empty((frame.height, plan.width))
    at = 0
    for operation, numbers in steps:
        end = at + len(operation.names)
        matrix[:, at:end] = operation.encode(frame) if numbers is None else numbers
        at = end
    return Encoding(plan, matrix)


def _text(
    texts: pl.Series,
    name: str,
    outcomes: Outcomes | None,
    rng: np.random.Generator,
    rows: int,
    reading: Reading | None,
) -> Iterator[Step]:
    """Yield what turns a text into numbers, as far as there is time to read it."""
    if reading is None:
        return
    yield TextShape(name), None
    found = fit_text(texts, name, outcomes, rng=rng, rows=rows, reading=reading)
    if found is not None:
        yield found


def _steps(series: pl.Series, column: Column, outcomes: Outcomes | None, *, in_time: bool) -> Iterator[Step]:
    """Yield what turns one feature that is no text into numbers."""
    match column.kind:
        case Kind.NUMERIC | Kind.BOOLEAN:
            number = _number(series)
            if _varies(number, series):
                yield number, None
        case Kind.CATEGORICAL:
            yield from _category(series, column.name, outcomes)
        case Kind.DATETIME:
            yield from _calendar(series, column.name, in_time=in_time)


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


def _calendar(series: pl.Series, name: str, *, in_time: bool) -> Iterator[Step]:
    """Yield the calendar parts that vary, and the days since 1970.

    In time order the days never come back, and neither does a part whose cycle was seen for less than about twice (the
    month, in half a year of rows): both are left out there.
    """
    moments = moments_of(series)
    known = moments[moments != NO_MOMENT]
    if known.size == 0:
        return
    days = float(known.max() - known.min()) / _DAY
    matrix = Calendar(name, CALENDAR_PARTS).encode(series.to_frame(name))
    different = {part: len(np.unique(matrix[:, at])) for at, part in enumerate(CALENDAR_PARTS)}
    comes_back = {part: not in_time or days >= _CYCLES * _CYCLE_DAYS[part] for part in CALENDAR_PARTS}
    parts = [part for part in CALENDAR_PARTS if different[part] > 1 and comes_back[part]]
    if different["minute"] == different["hour"] and "minute" in parts:
        parts.remove("minute")
    if parts:
        yield Calendar(name, tuple(parts)), None
    if not in_time and days > 0:
        yield Elapsed(name), None


def _differences(frame: pl.DataFrame, times: list[str]) -> Iterator[Step]:
    """Yield the days between each two datetime features, at most ten, where they vary."""
    pairs = (Difference(later, earlier) for earlier, later in combinations(times, 2))
    varying = ((pair, None) for pair in pairs if len(np.unique(pair.encode(frame))) > 1)
    yield from islice(varying, _MOST_DIFFERENCES)
