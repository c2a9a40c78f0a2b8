"""Decisions in money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.project import MonitoringSection, ValueSection
from tenure.core.value import (
    acted,
    by_everybody,
    by_nobody,
    cost_of_errors,
    expected,
    likeliest,
    realised,
    share_of_actions,
)

VALUE = ValueSection(true_positive=40, false_positive=-5, action="call with an offer")
FULL = ValueSection(true_positive=4, false_positive=-3, false_negative=-2, true_negative=1)


def test_break_even_threshold_is_best_when_probabilities_are_true() -> None:
    rng = np.random.default_rng(0)
    probability = rng.beta(1, 4, 40_000)
    is_yes = rng.random(40_000) < probability
    made = {
        t: realised(is_yes, acted(probability, threshold=t), VALUE).sum() for t in (0.02, VALUE.break_even, 0.25, 0.5)
    }
    assert max(made, key=lambda t: made[t]) == VALUE.break_even


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


def test_where_actions_are_scarce_only_chosen_rows_are_acted_on() -> None:
    chosen = np.array([True, False, True, True])
    probability = np.array([0.3, 0.9, 0.5, 0.5])
    assert likeliest(chosen, probability, most=1).tolist() == [False, False, True, False]
    assert likeliest(chosen, probability, most=3).tolist() == chosen.tolist()
    assert not likeliest(chosen, probability, most=0).any()


def test_a_sure_row_is_expected_to_make_what_it_makes() -> None:
    sure = np.array([0.0, 1.0, 0.0, 1.0])
    action = np.array([True, True, False, False])
    np.testing.assert_array_equal(expected(sure, action, FULL), realised(sure == 1, action, FULL))
    np.testing.assert_array_equal(realised(sure == 1, action, FULL), [-3, 4, 1, -2])


def test_policies_without_a_model_act_on_nobody_or_on_everybody_or_blindly() -> None:
    is_yes = np.array([True, False])
    np.testing.assert_array_equal(by_nobody(is_yes, FULL), [-2, 1])
    np.testing.assert_array_equal(by_everybody(is_yes, FULL), [4, -3])
    np.testing.assert_allclose(by_everybody(is_yes, FULL, share=0.25), [-0.5, 0])


def test_errors_of_numbers_cost_by_the_unit() -> None:
    np.testing.assert_array_equal(cost_of_errors(np.array([1.0, 5.0]), np.array([2.0, 3.0]), 10.0), [-10, -20])


def test_capacity_becomes_a_share_of_the_rows_in_a_window() -> None:
    limited = ValueSection(true_positive=40, false_positive=-5, capacity=50)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = pl.Series([start + timedelta(hours=i) for i in range(24 * 28 + 1)])
    stamps = times.to_numpy()
    weekly = MonitoringSection(window="7d")
    assert share_of_actions(limited, weekly, stamps, rows=len(times)) == pytest.approx(50 * 4 / len(times))
    assert share_of_actions(limited, MonitoringSection(window="500 rows"), None, rows=9) == pytest.approx(0.1)
    assert share_of_actions(limited, weekly, None, rows=1000) is None
    assert share_of_actions(limited, weekly, times.dt.date().to_numpy(), rows=len(times)) == pytest.approx(
        50 * 4 / len(times)
    )
    assert share_of_actions(VALUE, weekly, stamps, rows=1000) is None
    some = pl.Series([*times, None]).to_numpy()
    assert share_of_actions(limited, weekly, some, rows=len(some)) == pytest.approx(50 * 4 / len(some))
    assert share_of_actions(limited, weekly, np.arange(1000), rows=1000) is None
