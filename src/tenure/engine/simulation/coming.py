"""What comes in a flight: windows of rows with the outcomes that they will have, and the clock that is set by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl


class VirtualClock:
    """A clock that stands where it was set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time, aware and in UTC."""
        return self.now


@dataclass(frozen=True, slots=True, eq=False)
class Coming:
    """One window of rows that come, from `start` to before `end` (aware, UTC); the look at it happens at its end.

    `rows` holds what requests bring, in order of time. The sequences have one entry a row: `event_at` is when it is
    about, `outcome` what comes true (None: nobody ever knows), `known_at` when that is known (None: never). `ids` name
    the predictions; left out, they are counted through the flight.
    """

    start: datetime
    end: datetime
    rows: pl.DataFrame
    event_at: Sequence[datetime]
    outcome: Sequence[str | float | None]
    known_at: Sequence[datetime | None]
    ids: Sequence[str] = ()
