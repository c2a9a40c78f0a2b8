"""What other versions would have said to one logged row."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import select

from tenure.state.database import Database
from tenure.state.tables import SHADOW_PREDICTIONS
from tenure.state.times import iso


@dataclass(frozen=True, slots=True)
class ShadowAnswer:
    """An answer that nobody got: by which version, when (ISO 8601, UTC), and what; as in `PredictionRecord`."""

    version: int
    at: str
    prediction: str | float
    probabilities: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None


def shadows_of(db: Database, prediction_id: str) -> tuple[ShadowAnswer, ...]:
    """Return the shadow answers to a prediction's row, by version; what stands in the journal must be taken in."""
    shadow = SHADOW_PREDICTIONS.c
    query = select(SHADOW_PREDICTIONS).where(shadow.prediction_id == prediction_id).order_by(shadow.version)
    with db.read() as connection:
        rows = connection.execute(query).all()
    return tuple(
        ShadowAnswer(
            row.version,
            iso(row.at_us),
            row.prediction if row.value is None else row.value,
            tuple(float(share) for share in json.loads(row.probabilities)),
            row.low,
            row.high,
        )
        for row in rows
    )
