"""Stretches of time that nothing may be learned from: events of the ledger, added with a cause and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from tenure.core.errors import ConfigError, RecordMissingError
from tenure.state.database import Database
from tenure.state.ledger import LOCK, Event, Ledger

EXCLUDED_EVENT: Final = "excluded"
READMITTED_EVENT: Final = "readmitted"
Origin = Literal["person", "watch"]


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A stretch of time from `begin` (inclusive) to `end` (exclusive); both are aware and in UTC."""

    begin: datetime
    end: datetime

    @property
    def texts(self) -> tuple[str, str]:
        """Return both as ISO 8601 texts."""
        return self.begin.isoformat(), self.end.isoformat()

    @classmethod
    def between(cls, begin: datetime, end: datetime) -> Period:
        """Return the stretch between two moments; without a zone they count as UTC.

        Raises:
            ConfigError: it ends before it begins.
        """
        period = cls(_utc(begin), _utc(end))
        if period.begin >= period.end:
            raise ConfigError(
                f"The stretch from {begin.isoformat()} to {end.isoformat()} is empty.",
                where=begin.isoformat(),
                hint="Give its begin first, then the first moment after it.",
            )
        return period


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One stretch of event time that nothing is learned from.

    `number` is that of its ledger event. `by` says whether a person or the watch asked for it, `faults` which rules of
    the contract broke ("rule: column"). `undone` is why it was taken back, and `undone_by` who did.
    """

    number: int
    period: Period
    cause: str
    by: Origin
    actor: str
    at: str
    faults: tuple[str, ...] = ()
    undone: str | None = None
    undone_by: Origin | None = None


class Exclusions:
    """Adds exclusions and takes them back, each in one transaction with what was looked up for it."""

    def __init__(self, db: Database, ledger: Ledger) -> None:
        self._db = db
        self._ledger = ledger

    def all(self) -> tuple[Exclusion, ...]:
        """Return every exclusion there ever was, oldest first."""
        undone = {event.data["number"]: event for event in self._ledger.events(kind=READMITTED_EVENT)}
        return tuple(_exclusion(event, undone.get(event.seq)) for event in self._ledger.events(kind=EXCLUDED_EVENT))

    def active(self) -> tuple[Exclusion, ...]:
        """Return those in force, oldest first."""
        return tuple(one for one in self.all() if one.undone is None)

    def add(
        self, period: Period, *, cause: str, actor: str, by: Origin = "person", faults: Sequence[str] = ()
    ) -> Exclusion:
        """Let nothing be learned from `period` any more; one in force for just that stretch is given back as it is."""
        with self._db.begin(lock=LOCK) as connection:
            for one in self.active():
                if one.period == period:
                    return one
            begin, end = period.texts
            event = self._ledger.append(
                EXCLUDED_EVENT,
                actor=actor,
                reason=cause,
                data={"begin": begin, "end": end, "by": by, "faults": list(faults)},
                connection=connection,
            )
        return _exclusion(event, None)

    def undo(self, number: int, *, reason: str, actor: str, by: Origin = "person") -> Exclusion:
        """Take an exclusion back; one that was taken back before stays as it is.

        Raises:
            RecordMissingError: there is no exclusion of that number.
        """
        with self._db.begin(lock=LOCK) as connection:
            found = self.find(number)
            if found.undone is not None:
                return found
            self._ledger.append(
                READMITTED_EVENT, actor=actor, reason=reason, data={"number": number, "by": by}, connection=connection
            )
        return replace(found, undone=reason, undone_by=by)

    def find(self, number: int) -> Exclusion:
        """Return the exclusion of that number.

        Raises:
            RecordMissingError: there is none.
        """
        for one in self.all():
            if one.number == number:
                return one
        raise RecordMissingError(
            f"There is no exclusion {number}.", where=str(number), hint="List them: tenure exclude list"
        )


def _exclusion(event: Event, undone: Event | None) -> Exclusion:
    data = event.data
    return Exclusion(
        event.seq,
        Period.between(datetime.fromisoformat(data["begin"]), datetime.fromisoformat(data["end"])),
        event.reason,
        data["by"],
        event.actor,
        event.at,
        tuple(data["faults"]),
        None if undone is None else undone.reason,
        None if undone is None else undone.data["by"],
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
