from __future__ import annotations

import numpy as np
import pytest

from tenure.core.modelling import Scheme
from tenure.reporting.accuracy import class_results, closeness, confusion, most_confused, quantile_with_interval


@pytest.mark.parametrize("scheme", list(Scheme))
def test_ranges_hold_nine_of_ten_truths(scheme: Scheme) -> None:
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=6000)
    target = predicted + rng.normal(size=6000)
    close = closeness(target, predicted, np.zeros(6000), scheme=scheme)
    assert close.inside.value == pytest.approx(0.9, abs=0.015)
    assert close.usual.value == pytest.approx(0.6745, abs=0.03)
    assert close.usual.low < close.usual.value < close.usual.high
    assert close.large.value > close.usual.value
    assert sum(g.rows for g in close.groups) == 6000


def test_one_case_does_not_break_closeness() -> None:
    one = np.array([1.0])
    assert closeness(one, one + 1, one, scheme=Scheme.CROSS).usual.value == pytest.approx(1.0)


def test_quantile_interval_holds_the_true_median() -> None:
    rng = np.random.default_rng(1)
    held = [
        (e := quantile_with_interval(rng.exponential(size=200), 0.5)).low <= np.log(2) <= e.high for _ in range(300)
    ]
    assert 0.91 <= np.mean(held) <= 0.99


def test_classes_are_ranked_and_mix_ups_named() -> None:
    target = np.array([0] * 10 + [1] * 10 + [2] * 10)
    said = np.array([0] * 10 + [1] * 6 + [2] * 4 + [2] * 9 + [0])
    predicted = np.eye(4)[said]
    results = class_results(target, predicted, ("a", "b", "c", "d"))
    assert [r.name for r in results] == ["a", "c", "b"]
    assert results[-1].taken_for == "c"
    assert results[-1].taken_share == pytest.approx(0.4)
    assert results[0].taken_for is None
    table = confusion(target, predicted)
    assert table.sum() == 30
    assert table[1, 2] == 4
    assert most_confused(table, 2).tolist() == [1, 2]
