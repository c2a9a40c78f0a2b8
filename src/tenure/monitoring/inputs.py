"""Read what came in with each row: as it was sent, and as the model reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
import polars as pl

from tenure.core.contract import Contract
from tenure.core.data import Kind, Schema
from tenure.model.values import numbers_of, texts_of

PREDICTION: Final = "the prediction"
DECISION: Final = "the decision"
_NUMBERS: Final = (Kind.NUMERIC, Kind.BOOLEAN)


def watched_features(schema: Schema, dropped: dict[str, str], contract: Contract) -> Schema:
    """Return the columns to watch that come in with a row: the features that the model reads.

    A feature that is called as the prediction or the decision is here is left out.
    """
    promised = {rule.name for rule in contract.columns} - {PREDICTION, DECISION}
    return Schema(tuple(c for c in schema.features if c.name not in dropped and c.name in promised))


def came_in(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return what was sent in each row of `Traffic.joined`, untouched by any schema; what was not sent is null.

    Numbers and texts in one column give texts, nested values their JSON text, and "NaN", as JSON carries a missing
    number, null: so one odd cell never hides the others.
    """
    sent = [orjson.loads(text) for text in rows["features"]]
    told = {name: [_flat(row.get(name)) for row in sent] for name in columns if any(name in row for row in sent)}
    return pl.DataFrame([pl.Series(name, values, strict=False) for name, values in told.items()], height=rows.height)


def _flat(value: Any) -> str | float | bool | None:
    if value == "NaN":
        return None
    return value if value is None or isinstance(value, str | int | float) else orjson.dumps(value).decode()


def as_read(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Return the columns of `schema` that `frame` has, read as the model reads them: float64 with NaN, or text."""
    read = {
        column.name: pl.Series(numbers_of(frame[column.name]))
        if column.kind in _NUMBERS
        else texts_of(frame[column.name])
        for column in schema.columns
        if column.name in frame.columns
    }
    return pl.DataFrame(read, height=frame.height)
