"""What past estimates teach about the next one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.health import Audit, Estimate
from tenure.core.modelling import Score
from tenure.monitoring.estimation.ledger import PastEstimate, audit_of, audited

STILL, SKILL = 0.80, 0.30
NOISE = 0.01


def said(raw: float | None, *, refused: str | None = None) -> Estimate:
    """What an estimator says: raw, and the chance in the window."""
    told = raw if refused is None else None
    low, high = (None, None) if told is None else (told - 1.645 * NOISE, told + 1.645 * NOISE)
    return Estimate("roc_auc", 500, "cbpe", told, low, high, raw, refused=refused)


def came(value: float) -> Score:
    return Score("roc_auc", value, value - 1.96 * NOISE, value + 1.96 * NOISE, 500)


def run(raw: list[float], real: list[float], *, lag: int | None = 1, refused: str | None = None) -> list[PastEstimate]:
    """Play windows as they would have been told; outcomes are known `lag` windows later."""
    past: list[PastEstimate] = []
    for at, one in enumerate(raw):
        known = 0 if lag is None else max(at - lag + 1, 0)
        seen = [replace(p, realised=came(real[j]) if j < known else None) for j, p in enumerate(past)]
        past.append(PastEstimate(str(at), audited(said(one, refused=refused), seen, skill=SKILL, still=STILL)))
    return [replace(p, realised=came(value)) for p, value in zip(past, real, strict=True)]


def misses(past: list[PastEstimate]) -> list[bool]:
    return [
        not (p.estimate.low <= p.realised.value <= p.estimate.high)
        for p in past
        if p.estimate.low is not None and p.estimate.high is not None and p.realised is not None
    ]


def half(estimate: Estimate) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return (estimate.high - estimate.low) / 2


def test_with_no_past_the_estimate_stands_with_a_quarter_of_the_skill_around_it() -> None:
    told = audited(said(STILL), [], skill=SKILL, still=STILL)
    assert told.value == pytest.approx(STILL)
    assert half(told) == pytest.approx(1.645 * math.hypot(0.25 * SKILL, NOISE), rel=1e-3)
    assert told.audited == 0


def test_good_estimates_earn_narrow_intervals() -> None:
    rng = np.random.default_rng(0)
    raw = STILL + rng.normal(0, 0.02, 30)
    past = run(list(raw), list(raw + rng.normal(0, NOISE, 30)))
    told = past[-1].estimate
    assert told.audited == 29
    assert half(told) < 0.4 * half(past[0].estimate)


def test_a_lasting_error_is_taken_off() -> None:
    raw = [STILL] * 12
    told = run(raw, [STILL - 0.1] * 12)[-1].estimate
    assert told.raw == STILL
    assert told.value == pytest.approx(STILL - 0.1, abs=0.005)


def test_changes_that_come_true_are_followed_and_others_are_not() -> None:
    rng = np.random.default_rng(1)
    raw = STILL + rng.normal(0, 0.05, 40)
    follows = run([*raw, STILL + 0.1], [*(raw + rng.normal(0, NOISE, 40)), STILL + 0.1])[-1].estimate
    ignores = run([*raw, STILL + 0.1], [*(STILL + rng.normal(0, NOISE, 40)), STILL])[-1].estimate
    assert follows.value is not None
    assert ignores.value is not None
    assert follows.value > STILL + 0.08
    assert abs(ignores.value - STILL) < 0.03


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), wobble=st.sampled_from([0.0, 0.02, 0.08]), lag=st.sampled_from([1, 4]))
def test_nine_of_ten_hold_in_the_long_run_whatever_the_wobble(seed: int, wobble: float, lag: int) -> None:
    rng = np.random.default_rng(seed)
    raw = STILL + rng.normal(0, 0.02, 100)
    real = raw + np.cumsum(rng.normal(0, wobble / 3, 100)) + rng.normal(0, wobble + NOISE, 100)
    missed = misses(run(list(raw), list(real), lag=lag))
    assert np.mean(missed) <= 0.16


def test_after_a_change_of_concept_the_interval_widens_until_it_holds_again() -> None:
    rng = np.random.default_rng(2)
    raw = list(STILL + rng.normal(0, 0.01, 30))
    real = [value - (0.2 if at >= 15 else 0.0) for at, value in enumerate(raw)]
    past = run(raw, real)
    assert half(past[17].estimate) > 2 * half(past[14].estimate)
    assert sum(misses(past)[15:]) <= 3
    assert not any(misses(past)[20:])


def test_without_outcomes_the_interval_grows() -> None:
    past = run([STILL] * 12, [STILL] * 12, lag=None)
    widths = [half(p.estimate) for p in past]
    assert widths == sorted(widths)
    assert widths[-1] > 1.8 * widths[0]
    assert all(p.estimate.audited == 0 for p in past)


def test_a_refusal_stands_until_eight_windows_were_audited() -> None:
    past = run([STILL] * 12, [STILL - 0.1] * 12, refused="nothing like it is known")
    told = [p.estimate.refused is None for p in past]
    assert told == [False] * 8 + [True] * 4
    assert past[-1].estimate.value == pytest.approx(STILL - 0.1, abs=0.01)
    assert not any(misses(past))


def test_an_estimate_without_a_number_stays_refused() -> None:
    nothing = said(None, refused="the window holds no rows")
    past = run([STILL] * 12, [STILL] * 12)
    assert audited(nothing, past, skill=SKILL, still=STILL).refused == "the window holds no rows"


def test_an_interval_without_a_value_keeps_none() -> None:
    bare = replace(said(STILL), value=None)
    told = audited(bare, run([STILL] * 3, [STILL] * 3), skill=SKILL, still=STILL)
    assert told.value is None
    assert half(told) > 0


def test_what_was_told_is_never_told_again() -> None:
    """The ledger of a longer past begins with that of a shorter one, bit for bit."""
    rng = np.random.default_rng(3)
    raw, real = list(STILL + rng.normal(0, 0.03, 20)), list(STILL + rng.normal(0, 0.03, 20))
    assert [p.estimate for p in run(raw, real)[:10]] == [p.estimate for p in run(raw[:10], real[:10])]


def test_the_audit_counts_what_was_told_and_what_no_change_would_have_missed() -> None:
    past = run([STILL] * 10, [STILL - 0.05] * 10)
    audit = audit_of(past, still=STILL)
    assert audit.windows == 10
    assert audit.held == 10 - sum(misses(past))
    assert audit.still == pytest.approx(0.05)
    assert audit.error is not None
    assert audit.error < audit.still
    assert audit_of([], still=STILL) == Audit()
    assert audit_of(run([STILL] * 3, [STILL] * 3, refused="no ground"), still=STILL) == Audit()
