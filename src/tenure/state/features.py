"""What was sent, as columns again: the JSON of the log and the types of a schema."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from tenure.core.data import Column
from tenure.state.times import micros_of


def feature(column: Column | str, sent: list[dict[str, Any]]) -> pl.Series:
    """Return one column of what was sent; `Traffic.features` says how."""
    name = column if isinstance(column, str) else column.name
    values = [row.get(name) for row in sent]
    if isinstance(column, str):
        return pl.Series(name, values, strict=False)
    kind = _stored_type(column.dtype)
    if kind.is_numeric():
        return pl.Series(name, [_number(value) for value in values], dtype=pl.Float64).cast(kind, strict=False)
    if kind == pl.Boolean:
        return pl.Series(name, [value if isinstance(value, bool) else None for value in values], dtype=pl.Boolean)
    texts = pl.Series(name, [None if value is None else _text(value) for value in values], dtype=pl.String)
    if kind == pl.Date:
        return texts.str.slice(0, 10).str.to_date(strict=False)
    if kind == pl.Datetime:
        moments = [_moment_us(text) for text in texts]
        return pl.Series(name, moments, dtype=pl.Int64).cast(pl.Datetime("us")).cast(kind)
    return texts


def _stored_type(dtype: str) -> pl.DataType:
    """Return the polars type that `dtype` names, as far as JSON can carry it; text for all others."""
    simple = getattr(pl, dtype, None)
    if isinstance(simple, type) and issubclass(simple, pl.DataType) and (simple.is_numeric() or simple == pl.Date):
        return simple()
    if dtype == "Boolean":
        return pl.Boolean()
    if dtype.startswith("Datetime"):
        return pl.Datetime("us", "UTC") if "UTC" in dtype else pl.Datetime("us")
    return pl.String()


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if number != number else number


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _moment_us(text: str | None) -> int | None:
    try:
        return None if text is None else micros_of(text)
    except ValueError:
        return None
