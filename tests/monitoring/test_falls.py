"""The course of falls: quiet years keep the rate, lasting small falls and sudden large ones are found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.modelling import Floats
from tenure.monitoring.falls import FallCourse, FallLimit, Spread, fall_limit, watch_falls

SPREAD = Spread(sampling=0.06, rows=500, skewness=0.0, reference=0.02, wobble=0.1)  # the skill is 1
NONE = np.zeros(0)
ROWS = np.full(500, 500)
WEEKLY = 0.5 / 52


def course(falls: Floats, limit: FallLimit, earlier: Floats = NONE) -> FallCourse:
    return watch_falls(
        falls,
        ROWS[: falls.size],
        earlier=earlier,
        earlier_rows=ROWS[: earlier.size],
        spread=SPREAD,
        tolerance=0.02,
        limit=limit,
    )


def limit_of(earlier: Floats = NONE, level: float = WEEKLY) -> FallLimit:
    return fall_limit(SPREAD, earlier, ROWS[: earlier.size], tolerance=0.02, level=level)


def quiet_year(rng: np.random.Generator, windows: int, *, wobble: float, alike: float) -> Floats:
    between = np.zeros(windows)
    for i in range(windows):
        between[i] = alike * between[i - 1] + np.sqrt(1 - alike**2) * wobble * rng.normal()
    return between + 0.06 * rng.normal(size=windows)


def alarms(levels: Floats) -> int:
    over = levels >= 1
    return int((over[1:] & ~over[:-1]).sum()) + int(over[0])


@pytest.mark.parametrize(("wobble", "alike"), [(0.0, 0.0), (0.1, 0.0), (0.3, 0.6)])
def test_quiet_years_alarm_about_as_often_as_allowed(wobble: float, alike: float) -> None:
    rng = np.random.default_rng(1)
    count, years = 0, 60
    for year in range(years):
        windows = quiet_year(rng, 72, wobble=wobble, alike=alike)
        windows[20:] += 0.02 * rng.normal()
        if year % 10 == 0:
            limit = limit_of(windows[:20])
        count += alarms(course(windows[20:], limit, windows[:20]).levels)
    assert count <= 0.5 * years + 2 * np.sqrt(0.5 * years) + 3


@pytest.mark.parametrize(("fall", "within"), [(0.1, 20), (0.2, 6), (0.6, 1)])
def test_a_fall_is_found_the_sooner_the_larger_it_is(fall: float, within: int) -> None:
    rng = np.random.default_rng(2)
    limit = limit_of(quiet_year(rng, 20, wobble=0.03, alike=0.0))
    found = []
    for _ in range(20):
        windows = quiet_year(rng, 72, wobble=0.03, alike=0.0)
        windows[32:] += fall
        found.append(int(np.argmax(course(windows[20:], limit, windows[:20]).levels[12:] >= 1)) + 1)
    assert np.median(found) <= within


def test_the_course_calms_down_once_the_fall_is_over() -> None:
    rng = np.random.default_rng(3)
    windows = quiet_year(rng, 60, wobble=0.02, alike=0.0)
    windows[30:34] += 0.6
    levels = course(windows, limit_of()).levels
    assert levels[33] >= 1
    assert (levels[44:] < 1 / 3).all()


def test_a_wobble_is_learned_and_makes_the_same_fall_less_alarming() -> None:
    rng = np.random.default_rng(4)
    calm, wild = (quiet_year(rng, 30, wobble=w, alike=0.0) for w in (0.0, 0.4))
    fall = np.full(2, 0.4)
    limit = limit_of(calm)
    steady, shaky = (course(fall, limit, earlier) for earlier in (calm, wild))
    assert steady.wobble < 0.1 < 0.25 < shaky.wobble
    assert steady.levels[-1] > shaky.levels[-1]


def test_neighbours_that_wobble_alike_are_learned() -> None:
    rng = np.random.default_rng(5)
    limit = limit_of()
    drifting = course(quiet_year(rng, 60, wobble=0.3, alike=0.7), limit)
    jumping = course(quiet_year(rng, 60, wobble=0.3, alike=0.0), limit)
    assert drifting.alike > 0.4 > jumping.alike


def test_a_fall_is_not_learned_as_wobble() -> None:
    rng = np.random.default_rng(6)
    quiet = quiet_year(rng, 20, wobble=0.0, alike=0.0)
    fell = course(np.concatenate([quiet, np.full(30, 0.5)]), limit_of())
    assert fell.known <= 21
    assert fell.wobble < 0.1


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=20), st.integers(0, 19), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_windows_to_come_never_change_what_was_said_before(falls: list[float], cut: int, more: float) -> None:
    limit = FallLimit(20.0, 0.003, 0.0, 0)
    all_of = course(np.array([*falls, more]), limit).levels
    first = course(np.array(falls[: cut + 1]), limit).levels
    assert all_of[: first.size] == pytest.approx(first)
    assert (all_of >= 0).all()


def test_the_limit_rises_as_fewer_alarms_are_allowed_and_says_what_it_measured() -> None:
    weekly, daily, hourly = (limit_of(level=level) for level in (WEEKLY, 0.5 / 365, 0.5 / 8_766))
    assert weekly.limit < daily.limit < hourly.limit
    assert weekly.single > daily.single > hourly.single
    for limit, level in ((weekly, WEEKLY), (daily, 0.5 / 365), (hourly, 0.5 / 8_766)):
        assert 0 <= limit.rate <= level * (1 + 1e-9)
        assert limit.replayed > 10_000


def test_the_limit_is_the_same_every_time() -> None:
    assert limit_of() == limit_of()


@pytest.mark.parametrize("falls", [[0.0], [0.3], [0.1] * 30, [-1e6, 1e6], [1e-300] * 5])
def test_windows_that_are_all_alike_or_wild_give_plain_numbers(falls: list[float]) -> None:
    seen = course(np.array(falls), limit_of(np.array(falls)), np.array(falls))
    assert np.isfinite(seen.levels).all()
    assert 0 <= seen.alike <= 1
    assert seen.wobble >= 0
