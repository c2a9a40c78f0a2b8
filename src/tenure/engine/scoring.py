"""From the scores of a table to what is shown of them and what the log keeps."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np

from tenure.core.errors import DataError
from tenure.core.lifecycle import ModelVersion, PredictionRecord
from tenure.engine.texts import check_name
from tenure.model.bundle import FittedModel
from tenure.model.scorer import Scored
from tenure.model.values import NO_MOMENT, moment_of, number_of, text_of

NO_ACTION: Final = "none"
"""What is recommended for a predicted no."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def prediction_records(
    model: FittedModel,
    version: ModelVersion,
    rows: Sequence[Mapping[str, Any]],
    scored: Scored,
    *,
    at: datetime,
    ids: Sequence[str] | None = None,
) -> list[PredictionRecord]:
    """Return one record for each answered row, in order.

    `rows` are what came in; the record keeps the model's own columns of it, dates as they were read. Without `ids` each
    gets a new one.

    Raises:
        DataError: the number of ids is not that of rows, an id stands twice, or a text cannot be kept.
    """
    _check_ids(rows, ids)
    kept = [column.name for column in model.schema.features]
    if model.time is not None and model.time not in kept:
        kept.append(model.time)
    said_at = _iso(at)
    records = []
    for position, row in enumerate(map(model.dates.read_row, rows)):
        label, probabilities, low, high = _said(scored, position)
        event = row.get(model.time) if model.time is not None else None
        key = text_of(row.get(model.key)) if model.key is not None else None
        if key is not None:
            check_name(key, f"rows.{model.key}")
        records.append(
            PredictionRecord(
                id=uuid.uuid4().hex if ids is None else ids[position],
                version=version.number,
                at=said_at,
                event_at=event_time(event) or said_at,
                features={name: storable(row.get(name)) for name in kept},
                prediction=label,
                probabilities=probabilities,
                low=low,
                high=high,
                key=key,
            )
        )
    return records


def _said(scored: Scored, at: int) -> tuple[str | float, tuple[float, ...], float | None, float | None]:
    low = None if scored.low is None else float(scored.low[at])
    high = None if scored.high is None else float(scored.high[at])
    if scored.labels is not None and scored.probabilities is not None:
        return scored.labels[at], tuple(float(p) for p in scored.probabilities[at]), low, high
    if scored.values is None:
        raise TypeError("a score holds neither labels nor values")
    return float(scored.values[at]), (), low, high


def _check_ids(rows: Sequence[Mapping[str, Any]], ids: Sequence[str] | None) -> None:
    if ids is not None and (len(ids) != len(rows) or len(set(ids)) != len(ids)):
        raise DataError(
            f"{len(rows)} rows came with {len(ids)} ids, {len(set(ids))} of them different.",
            where="ids",
            hint="Give each row one id of its own, or leave ids out.",
        )
    for position, one in enumerate(ids or ()):
        check_name(one, f"ids.{position}")


def storable(value: object) -> Any:
    """Return a cell as JSON-ready data that the model reads alike: a number, text, true, false or nothing.

    NaN is nothing, dates are ISO 8601, durations are seconds.
    """
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Decimal):
        return float(value)
    return number_of(value) if isinstance(value, timedelta) else text_of(value)


def event_time(value: object) -> str | None:
    """Return a row's own time as ISO 8601 in UTC (a time without zone is taken as UTC); None where it has none."""
    moment = moment_of(value)
    if moment == NO_MOMENT:
        return None
    try:
        return _iso(_EPOCH + timedelta(microseconds=moment))
    except OverflowError:  # moved to UTC, it lies outside the years 1 to 9999
        return None


def _iso(moment: datetime) -> str:
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat(timespec="microseconds")
