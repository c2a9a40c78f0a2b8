"""What monitoring made of the training rows and of each window of traffic, kept so that no row is read twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from tenure.core.records import canonical
from tenure.state.database import Database
from tenure.state.tables import WATCH_REFERENCES, WATCHED_WINDOWS
from tenure.state.times import micros

_LOCK = "shelf"


@dataclass(frozen=True, slots=True)
class KeptWindow:
    """What is kept of one window: how many rows it had, its sketch's artifact digest, and facts as plain data."""

    rows: int
    sketch: str
    facts: dict[str, Any]


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
        """Return what is kept of the windows held against `reference`, by their start in microseconds since 1970."""
        table = WATCHED_WINDOWS.c
        query = select(table.start_us, table.rows, table.sketch, table.facts).where(table.reference == reference)
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        return {row.start_us: KeptWindow(row.rows, row.sketch, json.loads(row.facts)) for row in rows}

    def keep_window(self, reference: str, start: datetime, *, rows: int, sketch: str, facts: Mapping[str, Any]) -> None:
        """Keep one window; a window that got more rows since takes the place of what was kept of it."""
        table, values = WATCHED_WINDOWS, {"rows": rows, "sketch": sketch, "facts": canonical(facts).decode()}
        here = (table.c.reference == reference) & (table.c.start_us == micros(start))
        with self._db.begin(lock=_LOCK) as connection:
            if connection.execute(update(table).where(here).values(**values)).rowcount == 0:
                connection.execute(insert(table).values(reference=reference, start_us=micros(start), **values))
