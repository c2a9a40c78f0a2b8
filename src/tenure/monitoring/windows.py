"""Cut traffic into windows by the time that predictions were about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.project import MonitoringSection

YEAR_SECONDS: Final = 365.25 * 86_400
KEPT_WINDOWS: Final = 104
SAMPLE_ROWS: Final = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class TrafficWindow:
    """One stretch of traffic: `rows` as `Traffic.joined` gives them; `full` once no more predictions can fall in.

    `skipped` counts the empty windows that lie between the window before and this one.
    """

    start: datetime
    end: datetime
    full: bool
    rows: pl.DataFrame
    skipped: int = 0

    @property
    def versions(self) -> tuple[int, ...]:
        """Return the versions that answered in this window, ascending."""
        return tuple(sorted(self.rows["version"].unique().to_list()))

    @property
    def matured(self) -> float:
        """Return the share of predictions whose outcome is known."""
        return float(self.rows["outcome"].is_not_null().mean() or 0.0)  # type: ignore[arg-type]  # polars types a sum-up as any cell


def cut_windows(joined: pl.DataFrame, monitoring: MonitoringSection, *, now: datetime) -> tuple[TrafficWindow, ...]:
    """Cut traffic (ordered by `event_at`) into windows that hold rows, oldest first; the latest 104 are kept.

    Windows of time are aligned to the first event, windows of rows to the first row. A window of time is full when
    the clock or a later event is past its end, a window of rows when it has them all.
    """
    if joined.is_empty():
        return ()
    size = monitoring.window_rows
    seconds = monitoring.window_seconds
    if size is not None:
        starts = range(0, joined.height, size)
        parts = [joined.slice(start, size) for start in starts][-KEPT_WINDOWS:]
        return tuple(_of_rows(part, size) for part in parts)
    assert seconds is not None  # a window is counted in rows or in time
    events = joined["event_at"]
    first, last = events[0], events[-1]
    number = ((events - first).dt.total_microseconds().to_numpy() // int(seconds * 1e6)).astype(np.int64)
    return tuple(_of_time(joined, number, first, seconds, until=max(last, now)))


def _of_rows(part: pl.DataFrame, size: int) -> TrafficWindow:
    return TrafficWindow(part["event_at"][0], part["event_at"][-1], part.height == size, part)


def _of_time(
    joined: pl.DataFrame, number: NDArray[np.int64], first: datetime, seconds: float, *, until: datetime
) -> Iterable[TrafficWindow]:
    present, begins, counts = np.unique(number, return_index=True, return_counts=True)
    for i in range(max(0, present.size - KEPT_WINDOWS), present.size):
        start = first + timedelta(seconds=seconds * int(present[i]))
        end = start + timedelta(seconds=seconds)
        skipped = int(present[i] - present[i - 1] - 1) if i else 0
        yield TrafficWindow(start, end, end <= until, joined.slice(int(begins[i]), int(counts[i])), skipped)


def windows_per_year(windows: Sequence[TrafficWindow], monitoring: MonitoringSection) -> float:
    """Return how many windows a year brings: by their length, or by how fast windows of rows have filled so far."""
    if monitoring.window_seconds is not None:
        return YEAR_SECONDS / monitoring.window_seconds
    full = [window for window in windows if window.full]
    span = (full[-1].end - full[0].start).total_seconds() if full else 0.0
    return YEAR_SECONDS * len(full) / span if span > 0 else 52.0


def sampled(frame: pl.DataFrame, rows: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return at most `rows` rows, drawn without replacement and kept in order."""
    if frame.height <= rows:
        return frame
    return frame[np.sort(rng.choice(frame.height, rows, replace=False))]
