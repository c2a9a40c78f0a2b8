"""Windows partition traffic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.project import MonitoringSection
from tenure.monitoring.windows import KEPT_WINDOWS, cut_windows, windows_per_year

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
    if monitoring.window_seconds is not None:
        assert windows[0].start == frame["event_at"][0]
        span = timedelta(seconds=monitoring.window_seconds)
        assert all(w.end - w.start == span for w in windows)
        assert len(windows) + sum(w.skipped for w in windows) == (windows[-1].end - windows[0].start) / span


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
