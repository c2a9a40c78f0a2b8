"""Each window is looked at once, whatever comes or goes later, and what was said of it stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import polars as pl
import pytest

from tenure.core.health import HealthReport
from tenure.core.lifecycle import PredictionRecord
from tenure.core.project import MonitoringSection
from tenure.monitoring.looking import ESTIMATED
from tenure.monitoring.windows import KEPT_WINDOWS, cut_windows, first_event
from tenure.state.shelf import Cut
from tenure.state.traffic import Traffic

DAY = timedelta(days=1)
FEATURES = {"strong": 0.1, "amount": 3.0, "noise": 0.0, "flag": True, "plan": "basic"}


class CountingTraffic(Traffic):
    """Counts how often somebody asks what was sent."""

    reads = 0

    def with_sent(self, frame: pl.DataFrame) -> pl.DataFrame:
        self.reads += 1
        return super().with_sent(frame)


@pytest.fixture
def counted(planted: Callable) -> Callable:
    """Return a function that makes a planted world whose log counts how many windows are read."""

    def make(**wish: str):
        world = planted(**wish)
        world.traffic = CountingTraffic(world.traffic._db)
        return world

    return make


def log_one(world, name: str, moment: datetime) -> None:
    row = PredictionRecord(name, 1, world.clock.now.isoformat(), moment.isoformat(), FEATURES, "yes", (0.4, 0.6))
    world.traffic.log_predictions([row])


def looked_again(world) -> tuple[HealthReport, int]:
    """Return the report and how many windows were read for it; the latest one always is."""
    world.traffic.reads = 0
    report = world.health()
    return report, world.traffic.reads - 1


def test_windows_seen_before_are_not_read_again(counted: Callable) -> None:
    world = counted()
    for week in range(4):
        world.week(week)
    first, again = world.health(), looked_again(world)
    assert again[1] == 0
    assert again[0].digest == first.digest


def test_a_row_before_the_first_moves_nothing(counted: Callable) -> None:
    world = counted()
    for week in range(4):
        world.week(week, outcomes=False)
    first = world.health()
    log_one(world, "early", datetime.fromisoformat(first.windows[0].start) - timedelta(hours=1))
    second, again = looked_again(world)
    assert again == 0
    assert [w.start for w in second.windows[1:]] == [w.start for w in first.windows]
    assert [w.estimated for w in second.windows[1:]] == [w.estimated for w in first.windows]
    assert second.windows[0].rows == 1


def test_pruning_the_log_leaves_what_is_known_of_the_windows_that_stay(counted: Callable) -> None:
    world = counted()
    for week in range(9):
        world.week(week, outcomes=False)
    first = world.health()
    assert world.traffic.prune(30 * 86_400, world.clock.now).predictions  # January goes, and most of a week with it
    second, again = looked_again(world)
    assert again == 0
    assert len(second.windows) < len(first.windows)
    told = {window.start: window for window in first.windows}
    assert all(
        w.estimated == told[w.start].estimated and w.drifted == told[w.start].drifted for w in second.windows[1:]
    )


def test_a_late_row_has_its_window_read_again_and_leaves_the_estimate_that_was_told(counted: Callable) -> None:
    world = counted()
    for week in range(3):
        world.week(week, outcomes=False)
    first = world.health()
    for n in range(200):
        log_one(world, f"late{n}", datetime.fromisoformat(first.windows[1].start) + n * timedelta(minutes=1))
    second, again = looked_again(world)
    assert again == 1
    assert second.windows[1].rows == 600
    assert first.windows[1].estimated is not None
    assert [w.estimated for w in second.windows] == [w.estimated for w in first.windows]
    assert second.courses != first.courses
    assert looked_again(world)[1] == 0


def test_all_windows_are_looked_at_after_an_outage_and_an_old_one_is_never_lost(counted: Callable) -> None:
    world = counted(window="1d")
    for week in range(5):
        world.week(week, rows=7 * 110, outcomes=False)
    first = world.health()
    days = len(first.windows)
    assert days == 35 > ESTIMATED
    assert all(window.drift is not None for window in first.windows)
    assert [w.estimated is not None for w in first.windows] == [False] * (days - ESTIMATED) + [True] * ESTIMATED
    log_one(world, "late", datetime.fromisoformat(first.windows[2].start) + timedelta(hours=1))
    second, again = looked_again(world)
    assert again == 0
    assert [w.drift for w in second.windows] == [w.drift for w in first.windows]


def test_a_late_row_moves_no_window_of_rows(counted: Callable) -> None:
    world = counted(window="150 rows")
    for week in range(4):
        world.week(week, outcomes=False)
    first = world.health()
    log_one(world, "late", datetime.fromisoformat(first.windows[1].start) + timedelta(hours=1))
    second, again = looked_again(world)
    assert again == 1
    assert [w.start for w in second.windows] == [w.start for w in first.windows]
    assert [w.rows for w in second.windows] == [150, 151, *[150] * 8, 100]
    assert [w.estimated for w in second.windows] == [w.estimated for w in first.windows]
    log_one(world, "early", datetime.fromisoformat(first.windows[0].start) - timedelta(hours=1))
    third, again = looked_again(world)
    assert again == 0
    assert [w.rows for w in third.windows] == [1, 150, 151, *[150] * 8, 100]


def test_another_size_of_windows_starts_from_its_own_cuts(counted: Callable, planted: Callable) -> None:
    world = counted(window="150 rows")
    for week in range(2):
        world.week(week, outcomes=False)
    world.health()
    world.ctx = planted(window="200 rows").ctx
    assert [window.rows for window in world.health().windows] == [200] * 4


def test_no_more_of_the_log_is_read_than_the_latest_windows_hold(planted: Callable) -> None:
    world = planted()
    world.week(0, rows=400, outcomes=False)
    world.week(9, rows=400, outcomes=False)
    whole, now = world.traffic.joined(features=False), world.clock.now
    for window in ("1h", "7d", "2 rows", "500 rows"):
        monitoring = MonitoringSection(window=window)
        every = cut_windows(whole, monitoring, now=now)
        since = first_event(world.traffic, monitoring)
        bounded = cut_windows(world.traffic.joined(since=since, features=False), monitoring, now=now)
        assert [(w.start, w.end, w.full) for w in bounded] == [(w.start, w.end, w.full) for w in every]
        assert all(a.rows.equals(b.rows) for a, b in zip(bounded, every, strict=True))
        assert since is None or since == every[0].start
        assert since is not None or len(every) < KEPT_WINDOWS


def test_windows_of_rows_are_read_from_where_one_of_them_was_cut(planted: Callable) -> None:
    world = planted()
    world.week(0, rows=400, outcomes=False)
    events = world.traffic.joined(features=False)["event_at"]
    cuts = [Cut(events[at], events[at + 1]) for at in range(101, 301, 2)]
    assert first_event(world.traffic, MonitoringSection(window="2 rows"), cuts) == events[191]
    assert first_event(world.traffic, MonitoringSection(window="3 rows"), cuts) == events[88]
