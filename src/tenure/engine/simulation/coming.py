"""What comes in a flight: windows of rows with the outcomes that they will have, and the clock that is set by hand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

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

    def parts(self, count: int) -> list[Coming]:
        """Return the window (`ids` given) as `count` windows of equal length."""
        step = (self.end - self.start) / count
        edges = [self.start + step * at for at in range(count)] + [self.end]
        places = [bisect_left(self.event_at, edge) for edge in edges[:-1]] + [len(self.event_at)]
        return [
            Coming(
                edges[at],
                edges[at + 1],
                self.rows[begin:end],
                self.event_at[begin:end],
                self.outcome[begin:end],
                self.known_at[begin:end],
                self.ids[begin:end],
            )
            for at, (begin, end) in enumerate(pairwise(places))
        ]


def joined(parts: Sequence[Coming]) -> Coming:
    """Return windows that follow each other as one."""
    if len(parts) == 1:
        return parts[0]
    return Coming(
        parts[0].start,
        parts[-1].end,
        pl.concat([part.rows for part in parts], how="vertical_relaxed"),
        [at for part in parts for at in part.event_at],
        [outcome for part in parts for outcome in part.outcome],
        [known for part in parts for known in part.known_at],
        [ident for part in parts for ident in part.ids],
    )
