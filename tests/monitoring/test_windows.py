"""Windows partition traffic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.project import MonitoringSection
from tenure.monitoring.windows import KEPT_WINDOWS, ORIGIN, cut_windows, windows_per_year
from tenure.state.shelf import Cut

START = datetime(2026, 1, 1, tzinfo=UTC)


def traffic(seconds: list[int]) -> pl.DataFrame:
    moments = [START + timedelta(seconds=s) for s in sorted(seconds)]
    return pl.DataFrame(
        {
            "event_at": pl.Series(moments, dtype=pl.Datetime("us", "UTC")),
            "version": pl.Series([1] * len(seconds), dtype=pl.Int64),
            "outcome": pl.Series([None] * len(seconds), dtype=pl.String),
        }
    )


@settings(max_examples=60, deadline=None)
@given(
    seconds=st.lists(st.integers(0, 60 * 86_400), min_size=1, max_size=200),
    window=st.sampled_from(["1d", "7d", "36h", "20 rows", "7 rows"]),
)
def test_windows_partition_traffic(seconds: list[int], window: str) -> None:
    monitoring = MonitoringSection(window=window)
    frame = traffic(seconds)
    windows = cut_windows(frame, monitoring, now=START)
    assert len(windows) <= KEPT_WINDOWS
    assert pl.concat([w.rows for w in windows]).equals(frame)
    assert all(w.start <= w.rows["event_at"][0] and w.rows["event_at"][-1] <= w.end for w in windows)
    assert all(w.full for w in windows[:-1])
    assert all(a.end <= b.start for a, b in pairwise(windows))
    if monitoring.window_rows is not None:
        assert all(a.end < b.start for a, b in pairwise(windows))
        assert all(w.rows.height >= monitoring.window_rows for w in windows if w.full)
    if monitoring.window_seconds is not None:
        span = timedelta(seconds=monitoring.window_seconds)
        assert all(w.end - w.start == span for w in windows)
        assert all((w.start - ORIGIN) % span == timedelta(0) for w in windows)
        assert len(windows) + sum(w.skipped for w in windows) == (windows[-1].end - windows[0].start) / span


@settings(max_examples=60, deadline=None)
@given(
    seconds=st.lists(st.integers(0, 60 * 86_400), min_size=2, max_size=200),
    gone=st.integers(0, 100),
    window=st.sampled_from(["1d", "7d", "36h"]),
)
def test_rows_that_leave_or_come_before_the_others_move_no_window_of_time(
    seconds: list[int], gone: int, window: str
) -> None:
    monitoring = MonitoringSection(window=window)
    whole = traffic(seconds)
    left = whole.slice(min(gone, whole.height - 1))
    before = {w.start: w.rows for w in cut_windows(whole, monitoring, now=START)}
    after = cut_windows(left, monitoring, now=START)
    assert {w.start for w in after} <= before.keys()
    assert all(w.rows.equals(before[w.start]) for w in after[1:])


def test_weeks_begin_on_mondays() -> None:
    windows = cut_windows(traffic([0, 5 * 86_400]), MonitoringSection(window="7d"), now=START)
    assert [(w.start.weekday(), w.start.hour) for w in windows] == [(0, 0), (0, 0)]


@settings(max_examples=100, deadline=None)
@given(
    seconds=st.lists(st.integers(0, 500), min_size=1, max_size=150),
    late=st.lists(st.integers(-50, 600), max_size=20),
    gone=st.integers(0, 60),
    size=st.integers(1, 20),
)
def test_late_rows_and_pruning_move_no_cut_between_windows_of_rows(
    seconds: list[int], late: list[int], gone: int, size: int
) -> None:
    monitoring = MonitoringSection(window=f"{size} rows")
    first = [w for w in cut_windows(traffic(seconds), monitoring, now=START) if w.full]
    cuts = [Cut(w.start, w.end) for w in first]
    frame = traffic(sorted(seconds)[gone:] + late)
    second = cut_windows(frame, monitoring, now=START, cuts=cuts)
    assert frame.is_empty() or pl.concat([w.rows for w in second]).equals(
        frame.tail(sum(w.rows.height for w in second))
    )
    now = {w.start: w for w in second}
    for cut, following in zip(cuts, [*cuts, None][1:], strict=True):
        inside = (pl.col("event_at") >= cut.start) & (
            pl.col("event_at") <= cut.end if following is None else pl.col("event_at") < following.start
        )
        rows = frame.filter(inside)
        if len(second) < KEPT_WINDOWS and rows.height:
            assert now[cut.start].full
            assert now[cut.start].rows.equals(rows)


def test_rows_of_one_moment_stay_in_one_window() -> None:
    frame = traffic([0] * 30 + [60] * 5 + [120] * 8)
    windows = cut_windows(frame, MonitoringSection(window="10 rows"), now=START)
    assert [(w.rows.height, w.full) for w in windows] == [(30, True), (13, True)]


def test_a_window_of_time_is_full_when_the_clock_or_an_event_is_past_its_end() -> None:
    frame = traffic([0, 3600, 90_000])
    monitoring = MonitoringSection(window="1d")
    assert [w.full for w in cut_windows(frame, monitoring, now=START)] == [True, False]
    assert [w.full for w in cut_windows(frame, monitoring, now=START + timedelta(days=2))] == [True, True]


def test_only_the_latest_windows_are_kept_however_long_the_gap() -> None:
    frame = traffic([i * 3600 for i in range(300)] + [10**9])
    windows = cut_windows(frame, MonitoringSection(window="1h"), now=START)
    assert len(windows) == KEPT_WINDOWS
    assert windows[-1].skipped > 200_000


def test_windows_of_rows_learn_how_many_a_year_brings() -> None:
    frame = traffic([i * 864 for i in range(1_000)])  # a hundred rows a day
    monitoring = MonitoringSection(window="100 rows")
    windows = cut_windows(frame, monitoring, now=START)
    assert windows_per_year(windows, monitoring) == pytest.approx(365, rel=0.02)
    assert windows_per_year((), monitoring) == 52
    assert cut_windows(frame.clear(), monitoring, now=START) == ()
