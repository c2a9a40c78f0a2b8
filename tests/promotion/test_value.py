"""Decisions in money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.evidence import Verdict
from tenure.core.project import MonitoringSection, ValueSection
from tenure.promotion.value import (
    acted,
    cost_of_errors,
    expected,
    realised,
    share_of_actions,
    value_finding,
    worth_of,
)

VALUE = ValueSection(true_positive=40, false_positive=-5, action="call with an offer")


def _world(rows: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = rng.beta(1, 4, rows)
    return rng.random(rows) < probability, probability


def test_break_even_threshold_is_best_when_probabilities_are_true() -> None:
    is_yes, probability = _world(40_000)
    made = {
        t: realised(is_yes, acted(probability, threshold=t), VALUE).sum() for t in (0.02, VALUE.break_even, 0.25, 0.5)
    }
    assert max(made, key=lambda t: made[t]) == VALUE.break_even


def test_expected_and_realised_value_agree_when_probabilities_are_true() -> None:
    is_yes, probability = _world()
    worth = worth_of(is_yes, probability, VALUE, threshold=VALUE.break_even)
    assert worth.low < worth.expected < worth.high
    assert worth.realised > worth.best_without
    assert worth.nothing == 0


@given(st.integers(1, 300), st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_actions_never_exceed_capacity_and_take_the_best_rows(
    rows: int, threshold: float, share: float, seed: int
) -> None:
    probability = np.random.default_rng(seed).random(rows)
    action = acted(probability, threshold=threshold, share=share)
    assert action.sum() <= share * rows
    assert np.all(probability[action] >= threshold)
    left_out = ~action & (probability >= threshold)
    if left_out.any() and action.any():
        assert probability[action].min() >= probability[left_out].max()


def test_a_sure_row_is_expected_to_make_what_it_makes() -> None:
    sure = np.array([0.0, 1.0, 0.0, 1.0])
    action = np.array([True, True, False, False])
    full = ValueSection(true_positive=4, false_positive=-3, false_negative=-2, true_negative=1)
    np.testing.assert_array_equal(expected(sure, action, full), realised(sure == 1, action, full))
    np.testing.assert_array_equal(realised(sure == 1, action, full), [-3, 4, 1, -2])


def test_errors_of_numbers_cost_by_the_unit() -> None:
    np.testing.assert_array_equal(cost_of_errors(np.array([1.0, 5.0]), np.array([2.0, 3.0]), 10.0), [-10, -20])


def test_a_model_worse_than_acting_on_all_is_a_warning_in_words() -> None:
    is_yes, probability = _world()
    good = value_finding(worth_of(is_yes, probability, VALUE, threshold=VALUE.break_even), VALUE)
    bad = value_finding(worth_of(is_yes, 1 - probability, VALUE, threshold=0.95), VALUE)
    assert good.verdict is Verdict.PASS
    assert bad.verdict is Verdict.WARN
    assert "call with an offer" in bad.says
    assert "per 1,000 decisions" in bad.says


def test_capacity_becomes_a_share_of_the_rows_in_a_window() -> None:
    limited = ValueSection(true_positive=40, false_positive=-5, capacity=50)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = pl.Series([start + timedelta(hours=i) for i in range(24 * 28 + 1)])
    weekly = MonitoringSection(window="7d")
    assert share_of_actions(limited, weekly, times, rows=len(times)) == pytest.approx(50 * 4 / len(times))
    assert share_of_actions(limited, MonitoringSection(window="500 rows"), None, rows=9) == pytest.approx(0.1)
    assert share_of_actions(limited, weekly, None, rows=1000) is None
    assert share_of_actions(limited, weekly, times.dt.date(), rows=len(times)) == pytest.approx(50 * 4 / len(times))
    assert share_of_actions(VALUE, weekly, times, rows=1000) is None
