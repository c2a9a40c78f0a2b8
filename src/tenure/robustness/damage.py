"""Ways in which rows go wrong on their way to a model, each a function from a frame to a damaged frame.

And the way to try one of them on some rows of one column at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Column
from tenure.core.evidence import Measurement
from tenure.core.modelling import Indices
from tenure.robustness.evidence import ModelEvidence

SKILL_LOST: Final = "share of skill lost"
"""What most checks measure."""
UNSEEN: Final = "a value never seen before"
_FAR: Final = 1_000_003

Mask = NDArray[np.bool_]


def emptied(frame: pl.DataFrame, column: str, at: Mask | None = None) -> pl.DataFrame:
    """Return the frame with the cells of a column empty where `at` is true, everywhere when it is None."""
    empty = pl.Series(column, [None] * frame.height, dtype=frame.schema[column])
    return _replaced(frame, column, empty, at)


def thinned(frame: pl.DataFrame, columns: Sequence[str], rng: np.random.Generator, *, rate: float) -> pl.DataFrame:
    """Return the frame with each cell of the columns empty by chance, independently, with probability `rate`."""
    return frame.with_columns(
        pl.when(pl.Series(rng.random(frame.height) >= rate)).then(pl.col(column)).alias(column) for column in columns
    )


def noisy(frame: pl.DataFrame, columns: Iterable[str], rng: np.random.Generator, *, share: float) -> pl.DataFrame:
    """Return the frame with normal noise on numeric columns; its deviation is `share` of the interquartile range."""
    for column in columns:
        values = frame[column].cast(pl.Float64)
        upper, lower = values.quantile(0.75), values.quantile(0.25)
        if upper is not None and lower is not None and upper > lower:
            noise = rng.normal(0.0, share * (upper - lower), frame.height)
            frame = frame.with_columns((values + pl.Series(noise)).alias(column))
    return frame


def converted(frame: pl.DataFrame, column: str, factor: float, shift: float = 0.0) -> pl.DataFrame:
    """Return the frame with a numeric column in another unit: times `factor`, plus `shift`."""
    return frame.with_columns((pl.col(column).cast(pl.Float64) * factor + shift).alias(column))


def constant(frame: pl.DataFrame, column: str, value: float) -> pl.DataFrame:
    """Return the frame with one number in every cell of a numeric column."""
    return frame.with_columns(pl.lit(value, dtype=pl.Float64).alias(column))


def unseen(frame: pl.DataFrame, column: str, at: Mask | None = None) -> pl.DataFrame:
    """Return the frame with a level that nobody has seen where `at` is true, everywhere when it is None."""
    dtype = frame.schema[column]
    if dtype.is_integer():
        frame = frame.with_columns(pl.col(column).cast(pl.Int64))
        largest = pl.Series([frame[column].max()], dtype=pl.Int64).fill_null(0).item()
        strange = pl.Series(column, [largest + _FAR] * frame.height, dtype=pl.Int64)
    else:
        frame = frame.with_columns(pl.col(column).cast(pl.String))
        strange = pl.Series(column, [UNSEEN] * frame.height, dtype=pl.String)
    return _replaced(frame, column, strange, at)


def column_by_column(
    evidence: ModelEvidence,
    columns: Sequence[Column],
    try_on: Callable[[Column, Indices], Measurement],
    *,
    check: str,
    share: float,
    none: str,
) -> Iterator[Measurement]:
    """Yield what `try_on` measures when some rows go wrong, `share` of the sample, drawn anew for each column.

    `try_on` takes the column and the positions of its rows. `none` says why there are no columns. Once the time is
    up columns are skipped, but for the first.
    """
    reason = evidence.no_skill if columns else none
    if reason is not None:
        yield Measurement(SKILL_LOST, np.nan, skipped=reason)
        return
    rng = evidence.rng(check)
    rows = evidence.sample.height
    for position, column in enumerate(columns):
        at = np.sort(rng.choice(rows, max(round(share * rows), 1), replace=False))
        if position and evidence.deadline.passed:
            yield Measurement(SKILL_LOST, np.nan, column.name, skipped="the time was up.")
        else:
            yield try_on(column, at)


def _replaced(frame: pl.DataFrame, column: str, values: pl.Series, at: Mask | None) -> pl.DataFrame:
    if at is None:
        return frame.with_columns(values.alias(column))
    mask = pl.Series(at)
    return frame.with_columns(pl.when(mask).then(values).otherwise(pl.col(column)).alias(column))
