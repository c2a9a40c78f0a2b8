from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.project import ValueSection
from tenure.training.threshold import choose_threshold, f1_scores


def rare(share: float, *, rows: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and their true probabilities, with about that share of positives."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(1.0, 1.0 / share - 1.0, rows)
    return (rng.random(rows) < probability).astype(np.int64), probability


def test_given_values_decide_by_break_even() -> None:
    value = ValueSection(true_positive=90.0, false_positive=-10.0)
    choice = choose_threshold(*rare(0.3), value, positive="yes")
    assert choice.threshold == pytest.approx(0.1)
    assert "10.0%" in choice.reason


def test_the_capacity_does_not_move_the_threshold() -> None:
    without, with_capacity = (
        ValueSection(true_positive=90.0, false_positive=-10.0, capacity=capacity) for capacity in (None, 5)
    )
    choices = [choose_threshold(*rare(0.3), value, positive="yes") for value in (without, with_capacity)]
    assert choices[0] == choices[1]


def test_balanced_classes_are_divided_at_a_half() -> None:
    assert choose_threshold(*rare(0.5), ValueSection(), positive="yes").threshold == 0.5


def test_a_rare_class_gets_a_lower_threshold_and_a_reason() -> None:
    target, probability = rare(0.03)
    choice = choose_threshold(target, probability, ValueSection(), positive="fraud")
    assert 0.03 < choice.threshold < 0.5
    assert "'fraud'" in choice.reason
    chosen, half = f1_scores(target == 1, probability, np.array([choice.threshold, 0.5]))
    assert chosen > half


def test_the_middle_of_a_plateau_is_taken() -> None:
    """Nothing lies between .10 and .30, so every threshold there is equally good, and the middle is the safest."""
    probability = np.repeat([0.05, 0.10, 0.30, 0.40], 1000)
    target = (probability >= 0.30).astype(np.int64)
    choice = choose_threshold(target, probability, ValueSection(), positive="yes")
    assert 0.15 < choice.threshold <= 0.30


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.02, 0.9), rows=st.integers(20, 2000), seed=st.integers(0, 1000))
def test_a_threshold_is_a_probability(share: float, rows: int, seed: int) -> None:
    target, probability = rare(share, rows=rows, seed=seed)
    target[:2] = (0, 1)
    choice = choose_threshold(target, probability, ValueSection(), positive="yes")
    assert 0 < choice.threshold < 1
    assert choice.reason.endswith(".")
