"""What monitoring made of the training rows and of each window of traffic, kept so that no row is read twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from tenure.core.records import canonical
from tenure.state.database import Database
from tenure.state.tables import WATCH_REFERENCES, WATCHED_WINDOWS
from tenure.state.times import iso, micros

_LOCK: Final = "shelf"
_KEPT_WINDOWS: Final = 208  # twice as many as are looked at
_KEPT_REFERENCES: Final = 3


@dataclass(frozen=True, slots=True)
class KeptWindow:
    """What is kept of one window: how many rows it had, its sketch's artifact digest, and facts as plain data."""

    rows: int
    sketch: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a kept window starts, and where it ended when it was kept."""

    start: datetime
    end: datetime


class Shelf:
    """Keeps references and windows by what they belong to."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def reference(self, key: str) -> str | None:
        """Return the digest of the reference made from what `key` stands for, or None."""
        query = select(WATCH_REFERENCES.c.reference).where(WATCH_REFERENCES.c.key == key)
        with self._db.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def keep_reference(self, key: str, reference: str) -> None:
        """Keep the digest of a reference; one that is there already stays."""
        with self._db.begin(lock=_LOCK) as connection:
            query = select(WATCH_REFERENCES.c.key).where(WATCH_REFERENCES.c.key == key)
            if connection.execute(query).first() is None:
                connection.execute(insert(WATCH_REFERENCES).values(key=key, reference=reference))

    def windows(self, reference: str) -> dict[int, KeptWindow]:
        """Return what is kept of the latest windows held against `reference`, by start in microseconds since 1970."""
        table = WATCHED_WINDOWS.c
        query = select(table.start_us, table.rows, table.sketch, table.facts).where(table.reference == reference)
        query = query.order_by(table.start_us.desc()).limit(_KEPT_WINDOWS)
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        return {row.start_us: KeptWindow(row.rows, row.sketch, json.loads(row.facts)) for row in reversed(rows)}

    def cuts(self, reference: str) -> tuple[Cut, ...]:
        """Return where the latest windows held against `reference` start and end, oldest first."""
        kept = self.windows(reference)
        return tuple(
            Cut(_moment(start_us), _moment(window.facts["end_us"]))
            for start_us, window in kept.items()
            if "end_us" in window.facts
        )

    def keep_window(
        self, reference: str, start: datetime, end: datetime, *, rows: int, sketch: str, facts: Mapping[str, Any]
    ) -> None:
        """Keep one window; a window that got more rows since takes the place of what was kept of it."""
        table = WATCHED_WINDOWS
        kept = canonical({**facts, "end_us": micros(end)}).decode()
        values = {"rows": rows, "sketch": sketch, "facts": kept}
        here = (table.c.reference == reference) & (table.c.start_us == micros(start))
        with self._db.begin(lock=_LOCK) as connection:
            if connection.execute(update(table).where(here).values(**values)).rowcount == 0:
                connection.execute(insert(table).values(reference=reference, start_us=micros(start), **values))


def forget_windows(db: Database, first_us: int) -> int:
    """Let go of windows that nobody will look at again, and return how many.

    Those are windows that ended before `first_us` (microseconds since 1970), those older than the latest 208 of their
    reference, and all of a reference whose latest window is older than those of three others.
    """
    table = WATCHED_WINDOWS.c
    gone = 0
    with db.begin(lock=_LOCK) as connection:
        latest = select(table.reference, func.max(table.start_us)).group_by(table.reference)
        newest: dict[str, int] = {row[0]: row[1] for row in connection.execute(latest)}
        young = sorted(set(newest.values()))[-_KEPT_REFERENCES:]
        for reference, last_us in newest.items():
            own = WATCHED_WINDOWS.delete().where(table.reference == reference)
            if last_us in young:
                own = own.where(table.start_us < _first_kept(connection, reference, first_us))
            gone += connection.execute(own).rowcount
    return gone


def _first_kept(connection: Connection, reference: str, first_us: int) -> int:
    """Return the start of the first window to keep: the one that `first_us` lies in, or the 208th latest."""
    table = WATCHED_WINDOWS.c
    starts = select(table.start_us).where(table.reference == reference).order_by(table.start_us.desc())
    around = connection.execute(starts.where(table.start_us <= first_us).limit(1)).scalar()
    far = connection.execute(starts.offset(_KEPT_WINDOWS - 1).limit(1)).scalar()
    return max((start for start in (around, far) if start is not None), default=first_us)


def _moment(moment_us: int) -> datetime:
    return datetime.fromisoformat(iso(moment_us))
