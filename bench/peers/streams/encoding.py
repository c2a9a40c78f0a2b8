"""One simple encoding of a table, settled on its first rows: numbers as they are, codes for levels, parts of dates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from tenure.core.modelling import Floats

_MOST_LEVELS: Final = 254


def encoded(table: pl.DataFrame, time: str | None, warm: int) -> tuple[Floats, tuple[str, ...], tuple[bool, ...]]:
    """Return the matrix (n, d) with NaN for missing, the names of its columns, and which of them hold codes.

    Levels are those of the first `warm` rows, at most 254 of them, the frequent ones; others are missing. Of the column
    `time` only hour, weekday and month are kept, where they are not always the same; other dates also give days.
    """
    names, columns, codes = list[str](), list[Floats](), list[bool]()
    for series in table.iter_columns():
        for name, values, coded in _columns(series, warm, is_clock=series.name == time):
            names.append(name)
            columns.append(values)
            codes.append(coded)
    return np.ascontiguousarray(np.column_stack(columns)), tuple(names), tuple(codes)


def _columns(series: pl.Series, warm: int, *, is_clock: bool) -> Iterator[tuple[str, Floats, bool]]:
    dtype = series.dtype
    if dtype in (pl.Date, pl.Datetime):
        yield from _parts(series.cast(pl.Datetime("us")), is_clock=is_clock)
    elif dtype.is_numeric() or dtype == pl.Boolean or dtype.is_temporal():
        number = series.to_physical() if dtype.is_temporal() else series
        yield series.name, _floats(number), False
    else:
        yield series.name, _floats(_coded(series.cast(pl.String), warm)), True


def _parts(dates: pl.Series, *, is_clock: bool) -> Iterator[tuple[str, Floats, bool]]:
    parts = {
        "hour": dates.dt.hour() + dates.dt.minute() / 60,
        "weekday": dates.dt.weekday(),
        "month": dates.dt.month(),
    }
    for name, part in parts.items():
        if part.n_unique() > 1:
            yield f"{dates.name}: {name}", _floats(part), False
    if not is_clock:
        yield f"{dates.name}: days", _floats(dates.dt.timestamp("us") / 86_400_000_000), False


def _coded(series: pl.Series, warm: int) -> pl.Series:
    seen = series[:warm].drop_nulls().value_counts().sort("count", series.name, descending=[True, False])
    levels = sorted(seen[series.name][:_MOST_LEVELS])
    return series.replace_strict(levels, range(len(levels)), default=None, return_dtype=pl.Float64)


def _floats(series: pl.Series) -> Floats:
    values: Floats = series.cast(pl.Float64).fill_null(np.nan).to_numpy().copy()
    values[~np.isfinite(values)] = np.nan
    return values
