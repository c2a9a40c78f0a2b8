"""How long outcomes take."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from tenure.state.database import Database
from tenure.state.tables import OUTCOMES, PREDICTIONS

_LATEST: Final = 1000


def recent_delays(db: Database, *, limit: int = _LATEST) -> list[float]:
    """Return how many seconds passed from what a prediction was about to its outcome, for the latest outcomes."""
    latest = (
        select(OUTCOMES.c.joined_id, OUTCOMES.c.known_us)
        .where(OUTCOMES.c.joined_id.is_not(None))
        .order_by(OUTCOMES.c.seq.desc())
        .limit(limit)
        .subquery()
    )
    query = select(latest.c.known_us - PREDICTIONS.c.event_us).join_from(
        latest, PREDICTIONS, PREDICTIONS.c.id == latest.c.joined_id
    )
    with db.read() as connection:
        return [max(delay, 0) / 1e6 for delay in connection.execute(query).scalars()]
