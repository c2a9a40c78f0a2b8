"""Moments as the database keeps them: whole microseconds since 1970, UTC."""

from __future__ import annotations

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
