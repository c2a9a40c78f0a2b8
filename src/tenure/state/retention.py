"""How long the traffic log remembers: whole months go, first to an archive where one is wanted.

The horizon is the first of the month that lies `keep` back: what was said before it goes, with all that belongs to it,
and outcomes that have waited since before it. What monitoring kept of windows without rows goes too. On PostgreSQL a
month is a partition and is dropped; on SQLite it is deleted piece by piece, so that others can write in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, func, select, text

from tenure.state.database import Database
from tenure.state.export import archive_month
from tenure.state.intake import LOCK, partition_of
from tenure.state.ledger import Ledger
from tenure.state.shelf import forget_windows
from tenure.state.tables import OUTCOMES, PREDICTIONS, SHADOW_PREDICTIONS
from tenure.state.times import Month, iso, micros

PRUNED_EVENT: Final = "log-pruned"
_PIECE: Final = 5000
_BEGINNING_US: Final = Month(12).start_us  # the first that a calendar here knows


@dataclass(frozen=True, slots=True)
class LoggedMonth:
    """What the log holds of one month: predictions, how many of them are quarantined, bytes where the database tells.

    The bytes are those of the predictions with their indexes.
    """

    month: str
    predictions: int
    quarantined: int
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, or would go: months, the outcomes and shadow answers to them, outcomes that waited, files written."""

    horizon: str
    months: tuple[LoggedMonth, ...]
    outcomes: int = 0
    shadows: int = 0
    waiting: int = 0
    archives: tuple[str, ...] = ()

    @property
    def predictions(self) -> int:
        """Return how many predictions went."""
        return sum(month.predictions for month in self.months)


def logged_months(connection: Connection, before: Month | None = None) -> Iterator[LoggedMonth]:
    """Yield the months that hold predictions, oldest first."""
    p = PREDICTIONS.c
    start: int | None = None
    while True:
        oldest = select(func.min(p.at_us))
        at_us = connection.execute(oldest if start is None else oldest.where(p.at_us >= start)).scalar()
        if at_us is None or (before is not None and at_us >= before.start_us):
            return
        month = Month.of(at_us)
        start = month.end_us
        quarantined = func.count().filter(p.quarantined)
        of_month = select(func.count(), quarantined).where(p.at_us >= month.start_us, p.at_us < month.end_us)
        predictions, set_aside = connection.execute(of_month).one()
        yield LoggedMonth(str(month), predictions, set_aside, _size(connection, month))


def prune(
    db: Database,
    keep_seconds: float,
    now: datetime,
    *,
    archive: Path | None = None,
    actor: str = "tenure",
    dry_run: bool = False,
) -> Pruned:
    """Let go of what lies before the horizon; `Traffic.prune` says how."""
    horizon = Month.of(max(micros(now) - int(keep_seconds * 1_000_000), _BEGINNING_US))
    with db.read() as connection:
        months = tuple(logged_months(connection, before=horizon))
        waiting = connection.execute(select(func.count()).select_from(_waiting(horizon).subquery())).scalar_one()
    due = Pruned(iso(horizon.start_us), months, waiting=waiting)
    if dry_run:
        return due
    if not (months or waiting):
        _forget_windows(db, horizon)
        return due
    archives = [] if archive is None else [archive_month(db, _month(one.month), archive) for one in months]
    files = tuple(str(path) for path in archives if path is not None)
    # Said before it is done: a prune that was cut short has left its trace, and the next one says what remained.
    Ledger(db, lambda: now).append(
        PRUNED_EVENT,
        actor=actor,
        reason=f"What was said before {horizon} is older than the log's keep.",
        data={
            "months": {one.month: one.predictions for one in months},
            "waiting": waiting,
            "archives": [Path(name).name for name in files],
        },
    )
    outcomes = shadows = 0
    for one in months:
        gone = (_drop if db.dialect == "postgresql" else _delete)(db, _month(one.month))
        outcomes, shadows = outcomes + gone[0], shadows + gone[1]
    while _delete_waiting(db, horizon):
        pass
    _forget_windows(db, horizon)
    return Pruned(due.horizon, months, outcomes, shadows, waiting, files)


def _forget_windows(db: Database, horizon: Month) -> None:
    """Let go of what monitoring kept of windows that the log holds no row of."""
    with db.read() as connection:
        first_us = connection.execute(select(func.min(PREDICTIONS.c.event_us))).scalar()
    forget_windows(db, horizon.start_us if first_us is None else first_us)


def _month(name: str) -> Month:
    year, number = name.split("-")
    return Month(int(year) * 12 + int(number) - 1)


def _size(connection: Connection, month: Month) -> int | None:
    if connection.dialect.name != "postgresql":
        return None
    size: int = connection.execute(
        text("SELECT pg_total_relation_size(to_regclass(:name))"), {"name": partition_of(month)}
    ).scalar_one()
    return size


def _drop(db: Database, month: Month) -> tuple[int, int]:
    """Drop a month's partition; what belongs to it goes first, outside the lock, as it may take a while."""
    ids = select(PREDICTIONS.c.id).where(*_within(month))
    with db.begin() as connection:
        outcomes, shadows = _delete_belonging(connection, ids)
    with db.begin(lock=LOCK) as connection:
        late = _delete_belonging(connection, ids)
        connection.execute(text(f"DROP TABLE IF EXISTS {partition_of(month)}"))
    return outcomes + late[0], shadows + late[1]


def _delete(db: Database, month: Month) -> tuple[int, int]:
    """Delete a month piece by piece."""
    outcomes = shadows = 0
    p = PREDICTIONS.c
    while True:
        with db.begin(lock=LOCK) as connection:
            oldest = select(p.seq, p.id).where(*_within(month)).order_by(p.at_us, p.seq).limit(_PIECE).subquery()
            gone = _delete_belonging(connection, select(oldest.c.id))
            count = connection.execute(delete(PREDICTIONS).where(p.seq.in_(select(oldest.c.seq)))).rowcount
        outcomes, shadows = outcomes + gone[0], shadows + gone[1]
        if count < _PIECE:
            return outcomes, shadows


def _within(month: Month) -> tuple[Any, Any]:
    return PREDICTIONS.c.at_us >= month.start_us, PREDICTIONS.c.at_us < month.end_us


def _delete_belonging(connection: Connection, ids: Select[Any]) -> tuple[int, int]:
    outcomes = connection.execute(delete(OUTCOMES).where(OUTCOMES.c.joined_id.in_(ids))).rowcount
    shadows = connection.execute(delete(SHADOW_PREDICTIONS).where(SHADOW_PREDICTIONS.c.prediction_id.in_(ids))).rowcount
    return outcomes, shadows


def _waiting(horizon: Month) -> Select[Any]:
    return select(OUTCOMES.c.seq).where(OUTCOMES.c.joined_id.is_(None), OUTCOMES.c.latest_us < horizon.start_us)


def _delete_waiting(db: Database, horizon: Month) -> bool:
    with db.begin(lock=LOCK) as connection:
        piece = select(_waiting(horizon).limit(_PIECE).subquery().c.seq)
        return connection.execute(delete(OUTCOMES).where(OUTCOMES.c.seq.in_(piece))).rowcount == _PIECE
