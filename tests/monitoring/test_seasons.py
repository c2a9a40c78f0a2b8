"""Seasons: taken out where they show, left alone where only noise would be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tenure.monitoring.seasons import Calendar, calendar_of, seasons_of

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def calendar(count: int, length: timedelta) -> Calendar:
    return calendar_of([(MONDAY + i * length, MONDAY + (i + 1) * length) for i in range(count)])


def weekly(rng: np.random.Generator, windows: int, size: float, summaries: int = 40) -> tuple[np.ndarray, np.ndarray]:
    effect = size * rng.normal(size=(7, summaries))
    effect -= effect.mean(axis=0)
    told = effect[np.arange(windows) % 7]
    return told + 0.1 * rng.normal(size=(windows, summaries)), told


@pytest.mark.parametrize(
    ("length", "count", "seasons"),
    [
        (timedelta(hours=1), 24 * 30, 2),  # hour and weekday
        (timedelta(days=1), 30, 1),
        (timedelta(days=1), 800, 2),  # weekday and month
        (timedelta(days=7), 60, 0),
        (timedelta(days=7), 110, 1),
        (timedelta(0), 30, 0),
    ],
)
def test_the_length_of_windows_tells_which_seasons_they_can_show(length: timedelta, count: int, seasons: int) -> None:
    assert len(calendar(count, length).labels) == seasons


def test_a_strong_week_is_taken_out() -> None:
    values, told = weekly(np.random.default_rng(1), 42, size=0.5)
    left = values - seasons_of(values, calendar(42, timedelta(days=1))).effect
    assert np.std(left) < 1.3 * 0.1
    assert np.std(values) > 4 * 0.1
    assert np.corrcoef((values - left).ravel(), told.ravel())[0, 1] > 0.95


def test_noise_is_left_alone() -> None:
    values, _ = weekly(np.random.default_rng(2), 42, size=0.0)
    seasons = seasons_of(values, calendar(42, timedelta(days=1)))
    assert np.std(seasons.effect) < 0.1 * np.std(values)
    assert (seasons.spent > 0).mean() <= 0.15


def test_two_weeks_are_too_few() -> None:
    values, _ = weekly(np.random.default_rng(3), 14, size=0.5)
    assert not seasons_of(values, calendar(14, timedelta(days=1))).effect.any()


def test_one_wild_holiday_does_not_make_a_season() -> None:
    rng = np.random.default_rng(4)
    calm, _ = weekly(rng, 42, size=0.5)
    wild = calm.copy()
    wild[10] += 50.0
    days = calendar(42, timedelta(days=1))
    gap = seasons_of(wild, days).effect - seasons_of(calm, days).effect
    assert np.abs(gap).mean() < 0.3


def test_windows_still_to_come_are_told_their_season() -> None:
    values, told = weekly(np.random.default_rng(5), 49, size=0.5)
    known = np.where(np.arange(49)[:, None] < 42, values, np.nan)
    ahead = seasons_of(known, calendar(49, timedelta(days=1))).effect[42:]
    assert np.abs(ahead - told[42:]).mean() < 0.1


def test_of_a_weekday_never_seen_nothing_is_said_where_weekdays_matter() -> None:
    rng = np.random.default_rng(6)
    days = calendar(49, timedelta(days=1))
    values, _ = weekly(rng, 49, size=0.5, summaries=20)
    values[:, 10:] = 0.1 * rng.normal(size=(49, 10))  # no week in these
    known = values.copy()
    known[(days.labels[0] == 6) | (np.arange(49) >= 43)] = np.nan
    effect = seasons_of(known, days).effect[48]  # a Sunday
    assert np.isnan(effect[:10]).mean() > 0.9
    assert np.isfinite(effect[10:]).mean() > 0.7


def test_empty_and_constant_summaries_are_no_trouble() -> None:
    values = np.column_stack([np.full(42, np.nan), np.full(42, 3.0), np.arange(42.0)])
    seasons = seasons_of(values, calendar(42, timedelta(days=1)))
    assert not seasons.effect[:, :2].any()
    assert seasons_of(values[:0], calendar(0, timedelta(days=1))).effect.shape == (0, 3)
