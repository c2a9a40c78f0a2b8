"""Turn a table, or rows from a request, into outcome records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from tenure.core.errors import OutcomeError, TargetMissingError
from tenure.core.lifecycle import OutcomeRecord
from tenure.core.modelling import Task
from tenure.core.project import Project
from tenure.engine.scoring import event_time

_IDS = ("id", "prediction_id")


def outcome_records(project: Project, table: pl.DataFrame, *, now: datetime) -> list[OutcomeRecord]:
    """Return one record for each row of a table of outcomes.

    The row is found by `id` (or `prediction_id`), else by the project's key column; the outcome stands in `outcome`
    or in a column named like the target; `known_at` is optional and counts as now where it is missing.

    Raises:
        OutcomeError: no such columns, or an outcome that the target cannot have.
    """
    value = _first(("outcome", project.data.target), table, role="outcome")
    id_column = next((name for name in _IDS if name in table.columns), None)
    key = project.data.key if project.data.key in table.columns else None
    if id_column is None and key is None:
        wanted = "id" + (f" or {project.data.key}" if project.data.key else "")
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
    return [outcome_record(project, row, now=now, where=f"row {at}") for at, row in enumerate(rows, start=1)]


def outcome_record(project: Project, row: Mapping[str, Any], *, now: datetime, where: str) -> OutcomeRecord:
    """Return the record of one outcome given as id or key, outcome, and known_at (optional).

    Raises:
        OutcomeError: neither id nor key, no outcome, or one that the target cannot have.
    """
    said, key, value = row.get("id"), row.get("key"), row.get("outcome")
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
    return OutcomeRecord(
        value=_as_target(project, value, where),
        known_at=known_at,
        prediction_id=None if said is None else str(said),
        key=None if key is None else str(key),
    )


def _as_target(project: Project, value: Any, where: str) -> str | float:
    if project.project.task is not Task.REGRESSION:
        return str(value).lower() if isinstance(value, bool) else str(value)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise OutcomeError(f"The outcome {value!r} is not a number.", where=where, hint="Send a number.") from error


def _first(names: Sequence[str], table: pl.DataFrame, *, role: str) -> str:
    for name in names:
        if name in table.columns:
            return name
    raise TargetMissingError.from_column(names[-1], table.columns, role=role)
