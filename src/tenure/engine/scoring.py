"""Answer rows with the model in office and write down what was said: the one way for API, command line and server."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from tenure.core.errors import DataError
from tenure.core.lifecycle import ModelVersion, PredictionRecord
from tenure.engine.workspace import Workspace
from tenure.model.bundle import FittedModel
from tenure.model.scorer import Scored, Scorer


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

    `rows` are what came in; the record keeps the model's own columns of it. Without `ids` each gets a new one.

    Raises:
        DataError: the number of ids is not that of rows, or an id stands twice.
    """
    _check_ids(rows, ids)
    kept = [column.name for column in model.schema.features]
    if model.time is not None and model.time not in kept:
        kept.append(model.time)
    said_at = _iso(at)
    records = []
    for position, row in enumerate(rows):
        label, probabilities, low, high = _said(scored, position)
        event = row.get(model.time) if model.time is not None else None
        key = row.get(model.key) if model.key is not None else None
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
                key=None if key is None else str(key),
            )
        )
    return records


def _said(scored: Scored, at: int) -> tuple[str | float, tuple[float, ...], float | None, float | None]:
    if scored.labels is not None and scored.probabilities is not None:
        return scored.labels[at], tuple(float(p) for p in scored.probabilities[at]), None, None
    if scored.values is None:
        raise TypeError("a score holds neither labels nor values")
    low = None if scored.low is None else float(scored.low[at])
    high = None if scored.high is None else float(scored.high[at])
    return float(scored.values[at]), (), low, high


def _check_ids(rows: Sequence[Mapping[str, Any]], ids: Sequence[str] | None) -> None:
    if ids is not None and (len(ids) != len(rows) or len(set(ids)) != len(ids)):
        raise DataError(
            f"{len(rows)} rows came with {len(ids)} ids, {len(set(ids))} of them different.",
            where="ids",
            hint="Give each row one id of its own, or leave ids out.",
        )


def storable(value: object) -> Any:
    """Return a cell as JSON-ready data: numbers, text, true/false or nothing; NaN as nothing, dates as ISO 8601."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return str(value)


def event_time(value: object) -> str | None:
    """Return a row's own time as ISO 8601 in UTC (a time without zone is taken as UTC); None where it has none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, date):
        return _iso(datetime(value.year, value.month, value.day, tzinfo=UTC))
    return None


def _iso(moment: datetime) -> str:
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat(timespec="microseconds")


def score_table(
    workspace: Workspace,
    version: ModelVersion,
    scorer: Scorer,
    rows: pl.DataFrame,
    *,
    log: bool,
    with_ids: bool = False,
) -> pl.DataFrame:
    """Score a table with a version and return key, prediction, probability or interval, and version of each row.

    `log` keeps each prediction in the log; `with_ids` adds their ids as the column `id`.

    Raises:
        SchemaChangedError: a column that the model needs is missing.
    """
    model = scorer.model
    key = rows[model.key] if model.key is not None and model.key in rows.columns else None
    scored = scorer.score(rows)
    answered = scored.to_frame(model, version=version.label, key=key)
    if not (log or with_ids):
        return answered
    needed = {column.name for column in model.schema.features} | {model.time, model.key}
    records = prediction_records(
        model,
        version,
        rows.select(name for name in rows.columns if name in needed).to_dicts(),
        scored,
        at=workspace.context.clock(),
    )
    if log:
        workspace.traffic.log_predictions(records)
    return answered.with_columns(id=pl.Series([record.id for record in records])) if with_ids else answered


def answer_rows(
    workspace: Workspace,
    version: ModelVersion,
    scorer: Scorer,
    rows: Sequence[Mapping[str, Any]],
    *,
    ids: Sequence[str] | None = None,
) -> list[PredictionRecord]:
    """Answer rows one by one through the row path and write them to the log before returning.

    A row whose id is in the log already gets the answer that was given first.

    Raises:
        SchemaChangedError: a row lacks a column that the model needs.
        DataError: ids do not fit, or one was used before for another row.
    """
    _check_ids(rows, ids)
    at = workspace.context.clock()
    records: list[PredictionRecord] = []
    for position, row in enumerate(rows):
        scorer.check_columns(row.keys())
        scored = scorer.score_row(row)
        own = None if ids is None else [ids[position]]
        records += prediction_records(scorer.model, version, [row], scored, at=at, ids=own)
    workspace.traffic.log_predictions(records)
    return records if ids is None else [_as_logged(workspace, record) for record in records]


def _as_logged(workspace: Workspace, record: PredictionRecord) -> PredictionRecord:
    """Return what the log holds for a record's id: a request sent twice gets its first answer again."""
    logged = workspace.traffic.prediction(record.id)
    if logged.features != record.features:
        raise DataError(
            f"The id {record.id!r} was used before, for another row.",
            where="ids",
            hint="Give each row an id of its own.",
        )
    return logged
