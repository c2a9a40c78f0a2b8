"""Turn a table, or rows from a request, into outcome records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from tenure.core.errors import NoChampionError, OutcomeError, TargetMissingError
from tenure.core.lifecycle import OutcomeRecord
from tenure.core.modelling import Task
from tenure.engine.scoring import event_time
from tenure.engine.texts import check_name, check_text
from tenure.engine.workspace import Workspace
from tenure.model.bundle import FittedModel
from tenure.model.target import class_of, value_of
from tenure.model.values import text_of

_IDS = ("id", "prediction_id")


def outcome_model(workspace: Workspace) -> FittedModel:
    """Return the model that says what an outcome can be: the champion, else (after a withdrawal) the newest version.

    Raises:
        NoChampionError: there is no version at all.
        BundleError: the model is damaged or missing.
    """
    try:
        version = workspace.champion()
    except NoChampionError:
        versions = workspace.registry.versions()
        if not versions:
            raise
        version = max(versions, key=lambda one: one.number)
    return workspace.scorer(version).model


def outcome_records(model: FittedModel, table: pl.DataFrame, *, now: datetime) -> list[OutcomeRecord]:
    """Return one record for each row of a table of outcomes.

    The row is found by `id` (or `prediction_id`), else by the model's key column; the outcome stands in `outcome`
    or in a column named like the target; `known_at` is optional and counts as now where it is missing.

    Raises:
        OutcomeError: no such columns, or an outcome that the target cannot have.
        TargetMissingError: no column holds outcomes.
    """
    value = _first(("outcome", model.target), table, role="outcome")
    id_column = next((name for name in _IDS if name in table.columns), None)
    key = model.key if model.key in table.columns else None
    if id_column is None and key is None:
        wanted = "id" + (f" or {model.key}" if model.key else "")
        raise OutcomeError(
            "The table does not say which predictions its outcomes belong to.",
            where=", ".join(table.columns),
            hint=f"Give a column {wanted}.",
        )
    rows = [
        {
            "id": row.get(id_column or ""),
            "key": row.get(key or ""),
            "outcome": row[value],
            "known_at": row.get("known_at"),
        }
        for row in table.to_dicts()
    ]
    return [outcome_record(model, row, now=now, where=f"row {at}") for at, row in enumerate(rows, start=1)]


def outcome_record(model: FittedModel, row: Mapping[str, Any], *, now: datetime, where: str) -> OutcomeRecord:
    """Return the record of one outcome given as id or key, outcome, and known_at (optional).

    Its value is the class's own text, or a finite number.

    Raises:
        OutcomeError: neither id nor key, no outcome, or one that the target cannot have.
        DataError: id, key or outcome is text that cannot be kept.
    """
    said, key, value = text_of(row.get("id")), text_of(row.get("key")), row.get("outcome")
    for name in (said, key):
        if name is not None:
            check_name(name, where)
    if isinstance(value, str):
        check_text(value, where)
    if said is None and key is None:
        raise OutcomeError(
            "An outcome has neither id nor key.", where=where, hint="Give the prediction's id, or its key."
        )
    if value is None:
        raise OutcomeError("An outcome is empty.", where=where, hint="Send an outcome only when it is known.")
    known_at = event_time(row["known_at"]) if row.get("known_at") is not None else event_time(now)
    if known_at is None:
        raise OutcomeError(
            f"known_at {row['known_at']!r} is not a time.", where=where, hint="Write it as 2026-01-31T12:00:00Z."
        )
    return OutcomeRecord(value=_as_target(model, value, where), known_at=known_at, prediction_id=said, key=key)


def _as_target(model: FittedModel, value: Any, where: str) -> str | float:
    if model.task is Task.REGRESSION:
        number = value_of(value)
        if number is None:
            raise OutcomeError(f"The outcome {value!r} is not a number.", where=where, hint="Send a finite number.")
        return number
    known = class_of(value, model.classes)
    if known is None:
        raise OutcomeError(
            f"The outcome {value!r} is none of the classes of {model.target!r}.",
            where=where,
            hint=f"Classes: {', '.join(model.classes[:20])}{', ...' if len(model.classes) > 20 else ''}.",
        )
    return known


def _first(names: Sequence[str], table: pl.DataFrame, *, role: str) -> str:
    for name in names:
        if name in table.columns:
            return name
    raise TargetMissingError.from_column(names[-1], table.columns, role=role)
