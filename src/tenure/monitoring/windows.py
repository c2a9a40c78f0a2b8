"""Cut traffic into windows by the time that predictions were about, so that no later row ever moves a cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.project import MonitoringSection
from tenure.state.shelf import Cut
from tenure.state.times import micros
from tenure.state.traffic import Traffic

YEAR_SECONDS: Final = 365.25 * 86_400
KEPT_WINDOWS: Final = 104
SAMPLE_ROWS: Final = 50_000
ORIGIN: Final = datetime(1970, 1, 5, tzinfo=UTC)
"""Where windows of time are counted from: a Monday, so that weeks begin on Mondays."""


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


def first_event(traffic: Traffic, monitoring: MonitoringSection, cuts: Sequence[Cut] = ()) -> datetime | None:
    """Return from when on the log is to be read so that its latest 104 windows are whole; None for all of it.

    `cuts` are those of `cut_windows`.
    """
    size = monitoring.window_rows
    if size is None:
        return traffic.stretch_start(KEPT_WINDOWS, width=_width(monitoring), origin=ORIGIN)
    far = traffic.latest_event(KEPT_WINDOWS * size)
    starts = [cut.start for cut in cuts]
    return max((start for start in starts if far is not None and start <= far), default=far)


def cut_windows(
    joined: pl.DataFrame, monitoring: MonitoringSection, *, now: datetime, cuts: Sequence[Cut] = ()
) -> tuple[TrafficWindow, ...]:
    """Cut traffic (ordered by `event_at`) into windows that hold rows, oldest first; the latest 104 are kept.

    Windows of time follow each other from Monday, 1970-01-05 UTC, on; one is full when the clock or a later event is
    past its end. Windows of rows go on from where the earlier ones were cut (`cuts`, ascending): what belongs before
    a cut falls into the window that it lies in, however full. Rows of one moment stay together, and a window is full
    when it has them all.
    """
    if joined.is_empty():
        return ()
    size = monitoring.window_rows
    if size is not None:
        return tuple(_of_rows(joined, size, cuts))[-KEPT_WINDOWS:]
    return tuple(_of_time(joined, monitoring, now=now))


def window_numbers(events: pl.Series, monitoring: MonitoringSection) -> NDArray[np.int64]:
    """Return in which window of time each moment lies, counted from `ORIGIN`."""
    return (events - ORIGIN).dt.total_microseconds().to_numpy() // (_width(monitoring) // timedelta(microseconds=1))


def window_start(number: int, monitoring: MonitoringSection) -> datetime:
    """Return when the window of time with that number starts."""
    return ORIGIN + _width(monitoring) * number


def _width(monitoring: MonitoringSection) -> timedelta:
    assert monitoring.window_seconds is not None  # a window is counted in rows or in time
    return timedelta(seconds=monitoring.window_seconds)


def _of_rows(joined: pl.DataFrame, size: int, cuts: Sequence[Cut]) -> Iterator[TrafficWindow]:
    events = joined["event_at"].to_physical().to_numpy()
    begins = np.searchsorted(events, [micros(cut.start) for cut in cuts]).tolist()
    ends = [*begins[1:], int(np.searchsorted(events, micros(cuts[-1].end), side="right"))] if cuts else []
    yield from _filled(joined, events, size, 0, begins[0] if cuts else joined.height)
    for cut, begin, end in zip(cuts, begins, ends, strict=True):
        if begin < end:
            part = joined.slice(begin, end - begin)
            yield TrafficWindow(cut.start, part["event_at"][-1], True, part)
    if cuts:
        yield from _filled(joined, events, size, ends[-1], joined.height)


def _filled(
    joined: pl.DataFrame, events: NDArray[np.int64], size: int, begin: int, end: int
) -> Iterator[TrafficWindow]:
    while begin < end:
        last = events[min(begin + size, end) - 1]
        after = min(int(np.searchsorted(events, last, side="right")), end)
        part = joined.slice(begin, after - begin)
        yield TrafficWindow(part["event_at"][0], part["event_at"][-1], part.height >= size, part)
        begin = after


def _of_time(joined: pl.DataFrame, monitoring: MonitoringSection, *, now: datetime) -> Iterator[TrafficWindow]:
    until = max(joined["event_at"][-1], now)
    number = window_numbers(joined["event_at"], monitoring)
    present, begins, counts = np.unique(number, return_index=True, return_counts=True)
    for i in range(max(0, present.size - KEPT_WINDOWS), present.size):
        start = window_start(int(present[i]), monitoring)
        end = start + _width(monitoring)
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
