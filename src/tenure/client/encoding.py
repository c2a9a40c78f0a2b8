"""Write what is asked as JSON that every server can read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from tenure.client.answers import Cell
from tenure.core.errors import DataError

Row = Mapping[str, Any]


def row_list(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows as JSON can hold them.

    Raises:
        DataError: something else than mappings was given, such as a frame.
    """
    listed = list(rows)
    if not all(isinstance(row, Mapping) for row in listed):
        raise DataError(
            "Rows are mappings of column to cell.",
            where="rows",
            hint="Of a polars frame: frame.to_dicts(); of a pandas frame: frame.to_dict('records').",
        )
    return [dict(row) for row in listed]


def encoded(asked: Any) -> bytes:
    """Return JSON that every server can read: no NaN, no infinity, dates as ISO 8601.

    Raises:
        DataError: a cell cannot be sent.
    """
    try:
        try:
            text = json.dumps(asked, default=_cell, allow_nan=False, separators=(",", ":"))
        except ValueError:  # seldom, so only now is every cell looked at
            text = json.dumps(_without_nan(asked), default=_cell, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The request cannot be sent as JSON: {error}.",
            hint="Send numbers, text, truth values, dates or None; infinite numbers have no JSON form.",
        ) from error
    return text.encode()


def _cell(value: Any) -> Cell:
    """Return a cell of another library's type as one of JSON."""
    if isinstance(value, Decimal):
        return None if value.is_nan() else float(value)
    if value != value:  # NaN and NaT of any library
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if callable(item := getattr(value, "item", None)):  # a numpy scalar
        plain: Cell = item()
        return plain
    raise TypeError(f"a cell of type {type(value).__name__}")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(cell) for name, cell in value.items()}
    if isinstance(value, list):
        return [_without_nan(cell) for cell in value]
    return None if isinstance(value, float) and value != value else value
