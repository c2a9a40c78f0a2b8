"""Quiet times follow the clock on the wall, through daylight saving, midnight and days that are skipped."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tenure.core.errors import ConfigError
from tenure.core.project import parse_project
from tenure.core.quiet import Quiet

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "Asia/Kathmandu"]
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
MINUTE = timedelta(minutes=1)

moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)
clock_times = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda at: f"{at[0]:02}:{at[1]:02}")
dates = st.dates(date(2024, 1, 1), date(2027, 12, 31)).map(str)


@st.composite
def quiets(draw: st.DrawFn) -> Quiet:
    start, end = draw(clock_times), draw(clock_times)
    assume(start != end)
    days = draw(st.lists(st.sampled_from(WEEKDAYS) | dates, max_size=4))
    return Quiet.of(draw(st.sampled_from([None, f"{start}-{end}"])), days, draw(st.sampled_from(ZONES)))


@given(quiets(), moments, st.floats(0, 1))
def test_quiet_lasts_to_its_end_without_a_gap_and_is_over_then(quiet: Quiet, now: datetime, share: float) -> None:
    until = quiet.until(now)
    if until is not None:
        assert until > now
        between = now + (until - now) * share * 0.999
        assert quiet.until(between) == until
        assert quiet.until(until) is None


@given(quiets(), moments)
def test_on_days_without_a_jump_the_wall_clock_says_it_all(quiet: Quiet, now: datetime) -> None:
    offsets = {(now + timedelta(hours=h)).astimezone(quiet.zone).utcoffset() for h in range(-49, 50)}
    assume(len(offsets) == 1)
    wall = now.astimezone(quiet.zone)
    minutes = wall.hour * 60 + wall.minute
    is_quiet = wall.weekday() in quiet.weekdays or any(a <= wall.date() <= b for a, b in quiet.days)
    if quiet.hours is not None:
        start, end = quiet.hours
        is_quiet |= start <= minutes < end if start < end else minutes >= start or minutes < end
    assert (quiet.until(now) is not None) == is_quiet


def berlin(*when: int, fold: int = 0) -> datetime:
    return datetime(*when, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        ("22:00-06:00", berlin(2026, 3, 28, 23), berlin(2026, 3, 29, 6)),  # the night is one hour shorter
        ("22:00-06:00", berlin(2026, 10, 24, 23), berlin(2026, 10, 25, 6)),  # and one longer
        ("01:00-02:30", berlin(2026, 3, 29, 1, 59), berlin(2026, 3, 29, 3)),  # 02:30 is skipped
        ("01:00-02:30", berlin(2026, 10, 25, 1), berlin(2026, 10, 25, 2, 30, fold=1)),  # 02:30 comes twice
        ("02:30-04:00", berlin(2026, 3, 29, 3), berlin(2026, 3, 29, 4)),  # begins with the jump
        ("22:00-24:00", berlin(2026, 5, 1, 23), berlin(2026, 5, 2)),
    ],
)
def test_hours_keep_to_the_wall_when_clocks_change(hours: str, now: datetime, until: datetime) -> None:
    assert Quiet.of(hours, (), "Europe/Berlin").until(now) == until


def test_a_day_that_a_zone_skips_is_no_time() -> None:
    quiet = Quiet.of(None, ["2011-12-30"], "Pacific/Apia")
    jump = datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert quiet.until(jump) is None
    assert quiet.until(jump - MINUTE) is None


def test_days_and_nights_that_touch_are_one_time() -> None:
    quiet = Quiet.of("22:00-06:00", ["saturday", "2026-12-24/2027-01-02"], "Europe/Berlin")
    assert quiet.until(berlin(2026, 12, 23, 22)) == berlin(2027, 1, 3, 6)


@pytest.mark.parametrize(
    "keys",
    [
        'quiet_hours = "29:00-06:00"',
        'quiet_hours = "22:00-22:00"',
        'quiet_days = ["saterday"]',
        'quiet_days = ["2026-12-24/2026-12-01"]',
        f"quiet_days = {WEEKDAYS}",
        'time_zone = "Europe/Berlim"',
        'time_zone = "../etc/passwd"',
        'approval_url = "models.shop.example"',
        'approval_url = "https://user@models.shop.example"',
        'approval_url = "https://models.shop.example/?a=b"',
    ],
)
def test_words_that_cannot_be_used_are_refused_where_they_stand(keys: str) -> None:
    text = f'[project]\nname = "a"\ntask = "binary"\n[data]\nsource = "a.csv"\ntarget = "y"\n[operations]\n{keys}'
    with pytest.raises(ConfigError, match="operations"):
        parse_project(text)
