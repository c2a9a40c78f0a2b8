"""How long outcomes take is learned, windows wait for it, and early outcomes are weighed by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.metrics import METRICS
from tenure.core.modelling import Floats
from tenure.monitoring.maturity import (
    HIGHEST_WEIGHT,
    DelayCurve,
    delay_curve,
    final_age,
    is_ripe,
    outcome_delays,
    weights_of,
)
from tenure.monitoring.realised import Answered, young_score

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86_400.0
NOW = START + timedelta(days=100)


def at(seconds: Floats) -> pl.Series:
    """Return times that many seconds after the start, null where that is not a number or later than now."""
    seen = np.where(np.isfinite(seconds), seconds, -1.0)
    moments = pl.Series((seen * 1e6).astype(np.int64) + int(START.timestamp() * 1e6)).cast(pl.Datetime("us", "UTC"))
    return pl.select(pl.when(pl.Series(np.isfinite(seconds) & (seconds <= 100 * DAY))).then(moments)).to_series()


def curve_of(event: Floats, delay: Floats) -> DelayCurve:
    return delay_curve(at(event), at(event + delay), NOW)


@pytest.mark.parametrize("shape", ["exponential", "lognormal", "fixed", "weekly batches"])
def test_a_planted_delay_is_recovered_though_young_rows_still_wait(shape: str) -> None:
    rng = np.random.default_rng(1)
    event = rng.uniform(0, 100 * DAY, 20_000)
    delay = {
        "exponential": rng.exponential(10 * DAY, event.size),
        "lognormal": rng.lognormal(np.log(5 * DAY), 1.0, event.size),
        "fixed": np.full(event.size, 30 * DAY),
        "weekly batches": (np.floor(event / (7 * DAY)) + 2) * 7 * DAY - event,
    }[shape]
    curve = curve_of(event, delay)
    ages = np.linspace(0.5, 60, 40) * DAY
    truth = (delay[:, None] <= ages).mean(axis=0)
    assert np.abs(curve.share_known(ages) - truth).max() < 0.02
    assert curve.mature_age == pytest.approx(np.quantile(delay, 0.95), rel=0.1)
    naive = np.mean(event + delay <= 100 * DAY)
    assert abs(naive - 1) > 0.05  # what a plain count would have called the share that comes


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 200)), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_curve_rises_from_nothing_to_at_most_one(rows: list[tuple[float, float]]) -> None:
    event, delay = (np.array(side) * DAY for side in zip(*rows, strict=True))
    curve = curve_of(event, delay)
    shares = curve.share_known(np.linspace(-1, 110 * DAY, 200))
    assert shares[0] == 0
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] <= 1 + 1e-12
    assert curve.outcomes <= curve.rows <= event.size


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_order_of_rows_does_not_matter_and_unwaited_rows_teach_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    event, delay = rng.uniform(0, 100 * DAY, 300), rng.exponential(8 * DAY, 300)
    one = curve_of(event, delay)
    order = rng.permutation(300)
    later = np.append(event[order], [100 * DAY, 140 * DAY])
    other = curve_of(later, np.append(delay[order], [50 * DAY, 50 * DAY]))
    ages = np.linspace(0, 40, 30) * DAY
    assert np.allclose(one.share_known(ages), other.share_known(ages))


def test_outcomes_that_never_come_are_a_ceiling_and_not_an_endless_wait() -> None:
    rng = np.random.default_rng(2)
    event = rng.uniform(0, 100 * DAY, 8_000)
    delay = np.where(rng.random(8_000) < 0.6, rng.exponential(3 * DAY, 8_000), np.nan)
    curve = curve_of(event, delay)
    assert curve.settled
    assert curve.ceiling == pytest.approx(0.6, abs=0.02)
    assert curve.mature_age == pytest.approx(9 * DAY, rel=0.15)


def test_a_curve_that_still_rises_has_no_ceiling_and_no_mature_age() -> None:
    rng = np.random.default_rng(3)
    event = rng.uniform(60 * DAY, 100 * DAY, 4_000)
    curve = curve_of(event, rng.exponential(60 * DAY, 4_000))
    assert not curve.settled
    assert (curve.ceiling, curve.mature_age) == (1.0, None)


@pytest.mark.parametrize(("begin", "end"), [(40, 55), (75, 100)])
def test_an_outage_of_the_outcome_feed_is_not_learned_as_never(begin: int, end: int) -> None:
    rng = np.random.default_rng(4)
    event = rng.uniform(0, 100 * DAY, 10_000)
    delay = rng.exponential(3 * DAY, 10_000)
    known = event + delay
    lost = (known >= begin * DAY) & (known < end * DAY)
    curve = curve_of(event, np.where(lost, np.nan, delay))
    ages = np.linspace(0.5, 12, 20) * DAY
    assert np.abs(curve.share_known(ages) - (1 - np.exp(-ages / (3 * DAY)))).max() < 0.03
    assert curve.mature_age == pytest.approx(9 * DAY, rel=0.15)
    until = (curve.until - START.timestamp()) / DAY
    assert until == pytest.approx(75 if end == 100 else 100, abs=0.5)


def test_weekends_without_outcomes_are_no_outage() -> None:
    rng = np.random.default_rng(5)
    event = rng.uniform(0, 100 * DAY, 10_000)
    known = event + rng.exponential(5 * DAY, 10_000)
    weekday = (known / DAY) % 7
    known = np.where(weekday >= 5, known + (7 - weekday) * DAY, known)
    curve = curve_of(event, known - event)
    assert curve.rows == 10_000
    assert curve.mature_age == pytest.approx(np.quantile(known - event, 0.95), rel=0.1)


def test_outcomes_before_their_event_have_no_age_and_nothing_known_is_no_curve() -> None:
    event = np.arange(50) * DAY
    early = curve_of(event, np.full(50, -DAY))
    assert early.mature_age == 0
    nothing = curve_of(event, np.full(50, np.nan))
    assert (nothing.mature_age, nothing.outcomes, nothing.ceiling) == (None, 0, 1.0)
    empty = curve_of(np.zeros(0), np.zeros(0))
    assert empty.share_known(np.array([DAY])).tolist() == [0.0]
    assert empty.mature_age is None


def test_a_window_waits_for_the_owners_word_or_for_what_was_learned() -> None:
    rng = np.random.default_rng(6)
    event = rng.uniform(0, 100 * DAY, 4_000)
    curve = curve_of(event, rng.exponential(3 * DAY, 4_000))
    assert final_age(curve, outcome_delay=5 * DAY) == 5 * DAY
    learned = final_age(curve, outcome_delay=0)
    assert learned == curve.mature_age
    assert learned is not None
    assert is_ripe(matured=0.96, age=0, curve=curve, outcome_delay=0)
    assert not is_ripe(matured=0.9, age=0.9 * learned, curve=curve, outcome_delay=0)
    assert is_ripe(matured=0.9, age=learned, curve=curve, outcome_delay=0)
    assert not is_ripe(matured=0.2, age=learned, curve=curve, outcome_delay=0)
    assert is_ripe(matured=0.2, age=5 * DAY, curve=curve, outcome_delay=5 * DAY)
    blank = curve_of(event[:5], np.full(5, np.nan))
    assert not is_ripe(matured=0.9, age=1e9, curve=blank, outcome_delay=0)


def world(rng: np.random.Generator, rows: int, *, from_day: float, to_day: float) -> tuple[Answered, Floats]:
    """Return answers whose yes is known at once and whose no takes weeks, the likelier the slower, and their delays."""
    chance = 1 / (1 + np.exp(-1.5 * rng.normal(size=rows)))
    yes = rng.random(rows) < chance
    delay = np.where(yes, rng.exponential(2 * DAY, rows), rng.exponential(8 * DAY, rows) * (0.5 + chance))
    event = rng.uniform(from_day * DAY, to_day * DAY, rows) + START.timestamp()
    predicted = np.column_stack([1 - chance, chance])
    return Answered(yes.astype(np.int64), predicted, None, event, event + delay), delay


def known_now(answers: Answered) -> Answered:
    assert answers.event_at is not None
    assert answers.known_at is not None
    there = answers.known_at <= NOW.timestamp()
    return Answered(
        answers.target[there], answers.predicted[there], None, answers.event_at[there], answers.known_at[there]
    )


def test_weights_undo_the_bias_of_early_outcomes() -> None:
    rng = np.random.default_rng(7)
    past, delay = world(rng, 20_000, from_day=0, to_day=100)
    assert past.event_at is not None
    curve = curve_of(past.event_at - START.timestamp(), delay)
    delays = outcome_delays(known_now(past), curve)
    assert delays is not None
    metric = METRICS["log_loss"]
    held, runs = 0, 30
    for _ in range(runs):
        whole, _ = world(rng, 2_000, from_day=90, to_day=95)
        early = known_now(whole)
        weights = weights_of(delays, early)
        assert weights.min() >= 1
        assert weights.max() <= HIGHEST_WEIGHT
        truth = metric(whole.target, whole.predicted)
        assert early.target.mean() > whole.target.mean() + 0.08
        assert np.average(early.target, weights=weights) == pytest.approx(whole.target.mean(), abs=0.06)
        young = young_score(early, weights, metric=metric, awaited=len(whole))
        assert young.score is not None
        assert young.effective_rows < len(early)
        assert abs(young.score.value - truth) < abs(metric(early.target, early.predicted) - truth) + 0.01
        held += young.score.low <= truth <= young.score.high
    assert held >= 0.85 * runs


def test_weights_of_values_follow_the_values_that_come_late() -> None:
    rng = np.random.default_rng(8)
    event = rng.uniform(0, 100 * DAY, 10_000)
    size = rng.uniform(0, 1, 10_000)
    delay = rng.exponential(DAY, 10_000) * (1 + 8 * size)
    past = Answered(
        size, size + rng.normal(0, 0.1, 10_000), None, event + START.timestamp(), event + START.timestamp() + delay
    )
    curve = curve_of(event, delay)
    delays = outcome_delays(known_now(past), curve)
    assert delays is not None
    young = past.event_at > NOW.timestamp() - 6 * DAY
    early = known_now(Answered(size[young], past.predicted[young], None, past.event_at[young], past.known_at[young]))
    plain, weighted = early.target.mean(), np.average(early.target, weights=weights_of(delays, early))
    assert abs(weighted - size[young].mean()) < 0.4 * abs(plain - size[young].mean())


def test_a_young_score_is_refused_where_outcomes_are_few_or_of_one_kind_only() -> None:
    rng = np.random.default_rng(9)
    answers, _ = world(rng, 400, from_day=0, to_day=1)
    metric = METRICS["roc_auc"]
    few = Answered(answers.target[:20], answers.predicted[:20])
    assert "20 rows" in (young_score(few, np.ones(20), metric=metric, awaited=20).refused or "")
    late = young_score(answers, np.ones(400), metric=metric, awaited=900)
    assert late.score is None
    assert "comes only later" in (late.refused or "")
    same = Answered(np.ones(400, dtype=np.int64), answers.predicted)
    assert "not defined" in (young_score(same, np.ones(400), metric=metric, awaited=400).refused or "")
    fine = young_score(answers, np.ones(400), metric=METRICS["log_loss"], awaited=400)
    plain = answers.score(METRICS["log_loss"])
    assert fine.score is not None
    assert plain is not None
    assert (fine.score.value, fine.score.low, fine.score.rows) == pytest.approx((plain.value, plain.low, 400), rel=1e-2)


def test_without_times_or_a_curve_there_are_no_delays() -> None:
    rng = np.random.default_rng(10)
    answers, delay = world(rng, 500, from_day=0, to_day=50)
    assert answers.event_at is not None
    curve = curve_of(answers.event_at - START.timestamp(), delay)
    assert outcome_delays(Answered(answers.target, answers.predicted), curve) is None
    assert outcome_delays(answers, curve_of(np.arange(5) * DAY, np.full(5, np.nan))) is None
    delays = outcome_delays(known_now(answers), curve)
    assert delays is not None
    with pytest.raises(ValueError, match="no age"):
        weights_of(delays, Answered(answers.target, answers.predicted))
