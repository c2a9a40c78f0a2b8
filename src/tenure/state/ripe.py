"""The part of the log that may be learned from: when outcomes came, and the rows whose outcome counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from tenure.state.exclusions import Period
from tenure.state.log_frames import MOMENT, SENT, frame_of
from tenure.state.tables import OUTCOMES, PREDICTIONS
from tenure.state.times import micros

_TIMINGS: Final[dict[str, pl.DataType]] = {"event_at": MOMENT, "known_at": MOMENT}
_ROWS: Final[dict[str, pl.DataType]] = {
    "id": pl.String(),
    "event_at": MOMENT,
    "key": pl.String(),
    "outcome": pl.String(),
} | SENT


def timings(connection: Connection, *, as_of: datetime, since: datetime | None) -> pl.DataFrame:
    """Return when each prediction was about and when its outcome got known, as it stood at `as_of`, by `event_at`.

    Columns `event_at` and `known_at` (Datetime, UTC; null while not known). Quarantined predictions do not count.
    """
    query = _counting(as_of, PREDICTIONS.c.event_us, OUTCOMES.c.known_us, outer=True)
    if since is not None:
        query = query.where(PREDICTIONS.c.event_us >= micros(since))
    rows = connection.execute(query.order_by(PREDICTIONS.c.event_us, PREDICTIONS.c.seq)).all()
    return frame_of(rows, _TIMINGS)


def count_ripe(
    connection: Connection, *, as_of: datetime, until: datetime, without: Sequence[Period]
) -> tuple[int, int | None, int | None]:
    """Return how many rows `read_ripe` gives, when the latest of their outcomes got known, and which was told last.

    When is in us since 1970; which is the number in the order of telling, that a corrected outcome raises.
    """
    columns = (func.count(), func.max(OUTCOMES.c.known_us), func.max(OUTCOMES.c.seq))
    rows, latest, told = connection.execute(_counting(as_of, *columns).where(_within(until, without))).one()
    return int(rows), latest, told


def read_ripe(
    connection: Connection, *, as_of: datetime, until: datetime, without: Sequence[Period], most: int | None = None
) -> pl.DataFrame:
    """Return the rows about times up to `until` whose outcome was known at `as_of`, ordered by `event_at`.

    Columns: `id` (String), `event_at` (Datetime, UTC), `key`, `outcome` (String) and `features` (String, JSON). Rows
    about a time in one of the stretches `without`, and quarantined ones, are left out. `most` newest ones where given.
    """
    columns = [PREDICTIONS.c[name] for name in ("id", "event_us", "key")]
    query = _counting(as_of, *columns, OUTCOMES.c.value, PREDICTIONS.c.features).where(_within(until, without))
    newest_first = query.order_by(PREDICTIONS.c.event_us.desc(), PREDICTIONS.c.seq.desc())
    rows = connection.execute(newest_first if most is None else newest_first.limit(most)).all()
    return frame_of(rows[::-1], _ROWS)


def _counting(as_of: datetime, *columns: Any, outer: bool = False) -> Select[Any]:
    """Return the query for what was predicted by `as_of`, each with the outcome that counted then."""
    now_us = micros(as_of)
    one = OUTCOMES.alias()
    counts = (
        select(one.c.seq)
        .where(one.c.joined_id == PREDICTIONS.c.id, one.c.known_us <= now_us)
        .order_by(one.c.latest_us.desc(), one.c.seq.desc())
        .limit(1)
    )
    joined = OUTCOMES.c.seq == counts.correlate(PREDICTIONS).scalar_subquery()
    query = select(*columns).select_from(PREDICTIONS).join(OUTCOMES, joined, isouter=outer)
    return query.where(~PREDICTIONS.c.quarantined, PREDICTIONS.c.event_us <= now_us)


def _within(until: datetime, without: Sequence[Period]) -> ColumnElement[bool]:
    event = PREDICTIONS.c.event_us
    lasting = [and_(event >= micros(period.begin), event < micros(period.end)) for period in without]
    before = event <= micros(until)
    return and_(before, ~or_(*lasting)) if lasting else before
