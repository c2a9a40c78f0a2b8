"""Feeds that stopped and outcomes that cannot be right are faults; quiet nights and rare classes are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tenure.core.evidence import Finding, Verdict
from tenure.core.modelling import Floats
from tenure.monitoring.freshness import (
    judge_lost_outcomes,
    judge_outcome_freshness,
    judge_outcome_values,
    judge_traffic_freshness,
    judge_unread_outcomes,
)
from tenure.monitoring.maturity import delay_curve
from tenure.monitoring.realised import Answered

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR, DAY = 3_600.0, 86_400.0


def times(seconds: Floats) -> pl.Series:
    filled = np.where(np.isfinite(seconds), seconds, 0.0)
    moments = pl.Series((filled * 1e6).astype(np.int64) + int(START.timestamp() * 1e6)).cast(pl.Datetime("us", "UTC"))
    return pl.select(pl.when(pl.Series(np.isfinite(seconds))).then(moments)).to_series()


def after(days: float) -> datetime:
    return START + timedelta(days=days)


def working_hours(rng: np.random.Generator, days: int) -> Floats:
    """Return moments of predictions that come on weekdays from nine to five."""
    day = rng.integers(0, days, 60 * days)
    moments = day * DAY + rng.uniform(9, 17, day.size) * HOUR
    return moments[day % 7 < 5]


@pytest.mark.parametrize(
    ("days", "verdict"), [(27.0, Verdict.PASS), (28.4, Verdict.PASS), (33.0, Verdict.WARN), (45.0, Verdict.FAIL)]
)
def test_silence_is_held_against_weekends_before_it_is_a_fault(days: float, verdict: Verdict) -> None:
    said = times(working_hours(np.random.default_rng(1), 26))
    found = judge_traffic_freshness(said, after(days))
    assert found.verdict is verdict, found.says


def test_a_quiet_quarter_of_traffic_never_fails() -> None:
    said = working_hours(np.random.default_rng(2), 91)
    for day in np.arange(20, 91, 0.5):
        found = judge_traffic_freshness(times(said[said <= day * DAY]), after(float(day)))
        assert found.verdict is Verdict.PASS


def test_a_few_days_of_traffic_warn_at_most_and_a_few_moments_tell_nothing() -> None:
    said = np.arange(100) * HOUR
    assert judge_traffic_freshness(times(said), after(30)).verdict is Verdict.WARN
    assert judge_traffic_freshness(times(said[:10]), after(30)).verdict is Verdict.SKIPPED
    assert judge_traffic_freshness(times(np.zeros(0)), after(30)).verdict is Verdict.SKIPPED


def outcomes_until(day: float, *, now: float, never: float = 0.0) -> Finding:
    rng = np.random.default_rng(3)
    event = rng.uniform(0, now * DAY, 4_000)
    known = event + rng.exponential(3 * DAY, 4_000)
    known = np.where((known > day * DAY) | (rng.random(4_000) < never), np.nan, known)
    curve = delay_curve(times(event), times(known), after(now))
    return judge_outcome_freshness(times(event), times(known), after(now), curve)


def test_outcomes_that_stopped_are_a_fault_once_enough_were_due() -> None:
    assert outcomes_until(60, now=60).verdict is Verdict.PASS
    stopped = outcomes_until(60, now=65)
    assert stopped.verdict is Verdict.FAIL
    assert "5 days ago" in stopped.says


def test_outcomes_that_never_come_are_not_waited_for() -> None:
    assert outcomes_until(60, now=60, never=0.7).verdict is Verdict.PASS
    rng = np.random.default_rng(4)
    event = rng.uniform(0, 30 * DAY, 2_000)  # then traffic ended, and so did outcomes
    known = np.where(rng.random(2_000) < 0.5, event + rng.exponential(DAY, 2_000), np.nan)
    curve = delay_curve(times(event), times(known), after(60))
    found = judge_outcome_freshness(times(event), times(known), after(60), curve)
    assert found.verdict is Verdict.PASS, found.says


@pytest.mark.parametrize(
    ("matured", "verdict"), [(0.6, Verdict.PASS), (0.5, Verdict.PASS), (0.4, Verdict.WARN), (0.1, Verdict.FAIL)]
)
def test_outcomes_lost_of_an_old_window_are_missed(matured: float, verdict: Verdict) -> None:
    rng = np.random.default_rng(8)
    event = rng.uniform(0, 60 * DAY, 3_000)
    known = np.where(rng.random(3_000) < 0.6, event + rng.exponential(DAY, 3_000), np.nan)
    curve = delay_curve(times(event), times(np.where(known > 60 * DAY, np.nan, known)), after(60))
    assert judge_lost_outcomes(2_000, matured, curve).verdict is verdict
    unknown = delay_curve(times(event[:5]), times(known[:5]), after(60))
    assert judge_lost_outcomes(2_000, matured, unknown).verdict is Verdict.SKIPPED


def test_weekly_batches_of_outcomes_are_waited_for() -> None:
    event = np.random.default_rng(5).uniform(0, 62 * DAY, 3_000)
    batch = (np.floor(event / (7 * DAY)) + 1) * 7 * DAY
    for now in (62.0, 62.9):
        known = np.where(batch <= 56 * DAY, batch, np.nan)
        curve = delay_curve(times(event), times(known), after(now))
        assert judge_outcome_freshness(times(event), times(known), after(now), curve).verdict is Verdict.PASS
    few = judge_outcome_freshness(times(event[:5]), times(event[:5]), after(62), curve)
    assert few.verdict is Verdict.SKIPPED


def classes(counts: list[int]) -> Answered:
    target = np.repeat(np.arange(len(counts)), counts)
    return Answered(target, np.full((target.size, len(counts)), 1 / len(counts)))


@pytest.mark.parametrize(
    ("counts", "failed"),
    [
        ([900, 100], set()),
        ([700, 300], set()),
        ([99, 1], set()),
        ([998, 2], {"the share of a class"}),
        ([1_000, 0], {"how outcomes spread", "the share of a class"}),
        ([30, 0], set()),
        ([0, 40], {"how outcomes spread", "the share of a class"}),
    ],
)
def test_a_class_that_vanishes_or_floods_is_a_fault(counts: list[int], failed: set[str]) -> None:
    found = judge_outcome_values(classes(counts), classes([4_500, 500]))
    assert {f.subject for f in found if f.verdict is Verdict.FAIL} == failed


@pytest.mark.parametrize(
    ("factor", "failed"),
    [
        (1.0, set()),
        (3.0, set()),
        (100.0, {"the size of outcomes"}),
        (0.001, {"the size of outcomes"}),
    ],
)
def test_values_in_another_unit_are_a_fault(factor: float, failed: set[str]) -> None:
    rng = np.random.default_rng(6)
    usual = rng.lognormal(3, 1, 2_000)
    now = rng.lognormal(3, 1, 300) * factor
    found = judge_outcome_values(Answered(now, now), Answered(usual, usual))
    assert {f.subject for f in found if f.verdict is Verdict.FAIL} == failed


def test_one_value_for_all_is_a_fault_only_where_it_is_not_usual() -> None:
    usual, same = np.random.default_rng(7).normal(size=500), np.zeros(50)
    assert judge_outcome_values(Answered(same, same), Answered(usual, usual))[0].verdict is Verdict.FAIL
    zeros = np.zeros(500)
    assert judge_outcome_values(Answered(same, same), Answered(zeros, zeros))[0].verdict is Verdict.PASS
    few = judge_outcome_values(Answered(same[:5], same[:5]), Answered(usual, usual))
    assert [f.verdict for f in few] == [Verdict.SKIPPED]


@pytest.mark.parametrize(("unread", "verdict"), [(0, Verdict.PASS), (1, Verdict.PASS), (40, Verdict.FAIL)])
def test_a_class_never_seen_is_a_fault(unread: int, verdict: Verdict) -> None:
    rows = pl.DataFrame({"outcome": ["yes"] * (500 - unread) + ["maybe"] * unread + [None] * 20})
    read = Answered(np.ones(500 - unread, dtype=np.int64), np.full((500 - unread, 2), 0.5))
    assert judge_unread_outcomes(rows, read).verdict is verdict
    assert judge_unread_outcomes(rows.head(10), read).verdict is Verdict.SKIPPED
