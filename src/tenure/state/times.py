"""Moments as the database keeps them: whole microseconds since 1970, UTC; and the calendar months of the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Return microseconds since 1970; a moment without a zone counts as UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def micros_of(text: str) -> int:
    """Return microseconds since 1970 of an ISO 8601 text; without a zone it counts as UTC.

    Raises:
        ValueError: the text is not a moment.
    """
    return micros(datetime.fromisoformat(text))


def iso(moment_us: int) -> str:
    """Return the ISO 8601 text, UTC, of microseconds since 1970."""
    return (_EPOCH + timedelta(microseconds=moment_us)).isoformat()


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One calendar month in UTC; `number` counts months since the year 0."""

    number: int

    @classmethod
    def of(cls, moment_us: int) -> Month:
        """Return the month that a moment lies in."""
        moment = _EPOCH + timedelta(microseconds=moment_us)
        return cls(moment.year * 12 + moment.month - 1)

    @property
    def start_us(self) -> int:
        """Return its first microsecond."""
        return micros(datetime(self.number // 12, self.number % 12 + 1, 1, tzinfo=UTC))

    @property
    def end_us(self) -> int:
        """Return the first microsecond after it."""
        return Month(self.number + 1).start_us

    def __str__(self) -> str:
        """Write it as 2026-01."""
        return f"{self.number // 12:04d}-{self.number % 12 + 1:02d}"
