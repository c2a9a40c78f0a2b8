"""How outcomes find their predictions: by id or key, early or late, repeated or corrected."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, insert, select, update

from tenure.core.errors import OutcomeError
from tenure.core.lifecycle import OutcomeRecord
from tenure.state.tables import OUTCOMES, PREDICTIONS
from tenure.state.times import micros_of

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """What recording outcomes changed; every outcome counts once.

    `joined`: the first news of a prediction. `corrected`: another value than before. `repeated`: nothing new.
    `waiting`: the prediction is not logged yet.
    """

    joined: int = 0
    repeated: int = 0
    corrected: int = 0
    waiting: int = 0


def keep_outcomes(connection: Connection, outcomes: Sequence[OutcomeRecord]) -> OutcomeCounts:
    """Keep outcomes in the write transaction of `connection`; `Traffic.record_outcomes` says how."""
    said = [_said(outcome) for outcome in outcomes]
    desk = _Desk(connection, said)
    counts = {"joined": 0, "repeated": 0, "corrected": 0, "waiting": 0}
    for news in said:
        counts[desk.take(news)] += 1
    desk.write()
    return OutcomeCounts(**counts)


def newest_first(query: Select[Any]) -> Select[Any]:
    """Order outcomes so that the one that counts comes first."""
    return query.order_by(OUTCOMES.c.latest_us.desc(), OUTCOMES.c.seq.desc())


@dataclass(slots=True)
class _News:
    """One outcome: new (no `seq`), or as it is kept."""

    prediction_id: str | None
    key: str | None
    value: str
    known_us: int
    latest_us: int
    joined_id: str | None = None
    seq: int | None = None
    confirmed: bool = False
    """Whether a kept one was confirmed at a later time, which must be written."""

    @property
    def handle(self) -> tuple[str | None, str | None]:
        return self.prediction_id, self.key


@dataclass(slots=True)
class _Desk:
    """All that is kept about the predictions that a batch of news is about."""

    connection: Connection
    said: Sequence[_News]
    known_ids: set[str] = field(default_factory=set)
    by_key: dict[str, list[tuple[int, int, str]]] = field(default_factory=lambda: defaultdict(list))
    counting: dict[str, _News] = field(default_factory=dict)
    """The outcome that counts for each prediction."""
    seen: set[tuple[str | None, str | None, str, int]] = field(default_factory=set)
    fresh: list[_News] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read what is kept, in a few queries for the whole batch."""
        ids = sorted({news.prediction_id for news in self.said if news.prediction_id is not None})
        keys = sorted({news.key for news in self.said if news.prediction_id is None and news.key is not None})
        p = PREDICTIONS.c
        for some in _batches(ids):
            self.known_ids.update(self.connection.execute(select(p.id).where(p.id.in_(some))).scalars())
        for some in _batches(keys):
            for row in self.connection.execute(select(p.key, p.event_us, p.seq, p.id).where(p.key.in_(some))):
                self.by_key[row.key].append((row.event_us, row.seq, row.id))
        for made in self.by_key.values():
            made.sort()
        joined = sorted({found for news in self.said if (found := self._prediction_of(news)) is not None})
        for column, names in (
            (OUTCOMES.c.joined_id, joined),
            (OUTCOMES.c.prediction_id, ids),
            (OUTCOMES.c.key, keys),
        ):
            self._read_kept(column, names)

    def _read_kept(self, column: ColumnElement[str | None], names: list[str]) -> None:
        for some in _batches(names):
            for row in self.connection.execute(newest_first(select(OUTCOMES).where(column.in_(some)))):
                kept = _News(**row._mapping)
                self.seen.add((*kept.handle, kept.value, kept.known_us))
                if kept.joined_id is not None:
                    self.counting.setdefault(kept.joined_id, kept)

    def _prediction_of(self, news: _News) -> str | None:
        """Return the id of the logged prediction that the news is about, or None while it is awaited."""
        if news.prediction_id is not None:
            return news.prediction_id if news.prediction_id in self.known_ids else None
        made = self.by_key.get(news.key or "", [])
        at = bisect_right(made, news.known_us, key=lambda entry: entry[0])
        return made[at - 1][2] if at else None

    def take(self, news: _News) -> str:
        """Take in one outcome and say in one word what it changed."""
        mark = (*news.handle, news.value, news.known_us)
        news.joined_id = self._prediction_of(news)
        current = self.counting.get(news.joined_id) if news.joined_id is not None else None
        if current is not None and current.value == news.value:
            if news.known_us > current.latest_us:
                current.latest_us, current.confirmed = news.known_us, True
            return "repeated"
        stale = current is not None and news.known_us < current.latest_us
        if mark in self.seen and (current is None or stale):
            return "repeated"
        self.seen.add(mark)
        self.fresh.append(news)
        if news.joined_id is None:
            return "waiting"
        if stale:
            return "repeated"
        self.counting[news.joined_id] = news
        return "joined" if current is None else "corrected"

    def write(self) -> None:
        """Write what is new."""
        confirmed = [
            {"at_seq": kept.seq, "to_us": kept.latest_us}
            for kept in self.counting.values()
            if kept.confirmed and kept.seq is not None
        ]
        if confirmed:
            change = update(OUTCOMES).where(OUTCOMES.c.seq == bindparam("at_seq")).values(latest_us=bindparam("to_us"))
            self.connection.execute(change, confirmed)
        if self.fresh:
            columns = ("joined_id", "prediction_id", "key", "value", "known_us", "latest_us")
            rows = [{name: getattr(news, name) for name in columns} for news in self.fresh]
            self.connection.execute(insert(OUTCOMES), rows)


def _said(outcome: OutcomeRecord) -> _News:
    if outcome.prediction_id is None and outcome.key is None:
        raise OutcomeError(
            f"An outcome ({outcome.value!r}) names neither a prediction nor a key.",
            where="outcomes",
            hint="Send the id that /predict answered with, or the row's key.",
        )
    try:
        known_us = micros_of(outcome.known_at)
    except ValueError as error:
        raise OutcomeError(
            f"known_at is {outcome.known_at!r}, which is not a moment.",
            where="outcomes.known_at",
            hint="Write it as 2026-01-31 or 2026-01-31T12:00:00Z.",
        ) from error
    # An id says more than a key; where both are given the key plays no part.
    key = outcome.key if outcome.prediction_id is None else None
    return _News(outcome.prediction_id, key, _value_text(outcome.value), known_us, known_us)


def _value_text(value: str | float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(value)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]
