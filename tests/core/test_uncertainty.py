from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tenure.core.metrics import METRICS
from tenure.core.uncertainty import mean_with_interval, paired_gain, score_with_interval

# 300 worlds: a true coverage of 95 % shows as 90 to 98.5 % all but never by chance alone.
WORLDS = 300
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]


def binary_world(rng: np.random.Generator, n: int) -> Drawn:
    """Draw targets, good probabilities and the same made worse by noise."""
    logit = rng.normal(size=n) * 1.5 - 0.5
    target = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    worse = logit + rng.normal(size=n)
    return target, *(np.column_stack([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))]) for z in (logit, worse))


def value_world(rng: np.random.Generator, n: int) -> Drawn:
    signal = rng.normal(size=n)
    target = signal + rng.normal(size=n)
    return target, signal, signal + 0.5 * rng.normal(size=n)


CASES = [
    ("roc_auc", binary_world),
    ("log_loss", binary_world),
    ("brier", binary_world),
    ("accuracy", binary_world),
    ("rmse", value_world),
    ("mae", value_world),
]


@pytest.mark.parametrize(("name", "world"), CASES)
def test_interval_of_a_score_holds_the_truth_as_often_as_it_says(
    name: str, world: Callable[[np.random.Generator, int], Drawn]
) -> None:
    metric = METRICS[name]
    rng = np.random.default_rng(11)
    truth = metric(*world(rng, 400_000)[:2])
    held = 0
    for _ in range(WORLDS):
        score = score_with_interval(metric, *world(rng, 300)[:2])
        held += score.low <= truth <= score.high
    assert 0.90 <= held / WORLDS <= 0.985


@pytest.mark.parametrize(("name", "world"), [case for case in CASES if case[0] in ("roc_auc", "log_loss", "rmse")])
def test_interval_of_a_paired_gain_holds_the_truth_as_often_as_it_says(
    name: str, world: Callable[[np.random.Generator, int], Drawn]
) -> None:
    metric = METRICS[name]
    rng = np.random.default_rng(12)
    target, new, old = world(rng, 400_000)
    truth = metric.gain(metric(target, new), metric(target, old))
    held = 0
    worlds = WORLDS if name == "roc_auc" else WORLDS // 2  # the others resample, which takes longer
    for number in range(worlds):
        gain, low, high = paired_gain(metric, *world(rng, 200), seed=number)
        assert low <= gain <= high
        held += low <= truth <= high
    assert truth > 0
    assert 0.90 <= held / worlds <= 0.985


def clustered(rng: np.random.Generator, groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw groups of ten rows that share most of their error."""
    shared = np.repeat(rng.normal(size=groups), 10)
    target = rng.normal(size=10 * groups)
    return target, target + shared + 0.3 * rng.normal(size=10 * groups), np.repeat(np.arange(groups), 10)


def test_rows_that_belong_together_widen_the_interval_as_they_should() -> None:
    metric = METRICS["rmse"]
    rng = np.random.default_rng(13)
    truth = metric(*clustered(rng, 40_000)[:2])
    held = blind = 0
    for _ in range(WORLDS):
        target, predicted, groups = clustered(rng, 60)
        together = score_with_interval(metric, target, predicted, clusters=groups)
        held += together.low <= truth <= together.high
        alone = score_with_interval(metric, target, predicted)
        blind += alone.low <= truth <= alone.high
    assert 0.90 <= held / WORLDS <= 0.985
    assert blind / WORLDS < 0.75


def test_delong_needs_no_luck_with_ties_or_order() -> None:
    rng = np.random.default_rng(14)
    target, predicted, _ = binary_world(rng, 500)
    coarse = np.round(predicted, 1)
    score = score_with_interval(METRICS["roc_auc"], target, coarse)
    assert score.value == pytest.approx(roc_auc_score(target, coarse[:, 1]))
    at = rng.permutation(500)
    again = score_with_interval(METRICS["roc_auc"], target[at], coarse[at])
    assert (again.low, again.high) == pytest.approx((score.low, score.high))
    assert 0 < score.low < score.value < score.high < 1


def test_bootstrap_agrees_with_delong() -> None:
    target, new, old = binary_world(np.random.default_rng(15), 800)
    metric = METRICS["roc_auc"]
    alone = np.arange(target.size)
    exact, resampled = (paired_gain(metric, target, new, old, clusters=rows) for rows in (None, alone))
    assert resampled[0] == exact[0]
    assert resampled[2] - resampled[1] == pytest.approx(exact[2] - exact[1], rel=0.15)


def test_equal_predictions_gain_nothing_for_certain() -> None:
    target, new, _ = binary_world(np.random.default_rng(16), 200)
    for name in ("roc_auc", "log_loss"):
        assert paired_gain(METRICS[name], target, new, new) == pytest.approx((0.0, 0.0, 0.0))


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "average_precision"])
def test_one_cluster_or_one_row_proves_nothing(name: str) -> None:
    target, new, old = binary_world(np.random.default_rng(17), 100)
    _, low, high = paired_gain(METRICS[name], target, new, old, clusters=np.zeros(100, dtype=np.int64))
    assert (low, high) == (-np.inf, np.inf)
    one = np.flatnonzero(target == 1)[:1]
    _, low, high = paired_gain(METRICS[name], target[one], new[one], old[one])
    assert (low, high) == (-np.inf, np.inf) or np.isnan([low, high]).all()


def test_mean_comes_with_its_interval() -> None:
    values = np.random.default_rng(18).normal(3.0, 1.0, 10_000)
    _, low, high = mean_with_interval(values)
    assert low < 3.0 < high
    assert high - low == pytest.approx(2 * 1.96 / 100, rel=0.05)
    assert mean_with_interval(values[:1])[1:] == (-np.inf, np.inf)
    pairs = np.repeat(values[:5000], 2)
    wide = mean_with_interval(pairs, clusters=np.repeat(np.arange(5000), 2))
    assert wide[2] - wide[1] == pytest.approx(np.sqrt(2) * (high - low), rel=0.05)


@pytest.mark.parametrize(("name", "world"), [case for case in CASES if case[0] in ("rmse", "log_loss")])
def test_weights_move_the_score_and_widen_its_interval_as_they_should(
    name: str, world: Callable[[np.random.Generator, int], Drawn]
) -> None:
    """Rows of weight 4 among rows of weight 1: fewer rows decide, and the interval says so."""
    metric = METRICS[name]
    rng = np.random.default_rng(14)
    truth = metric(*world(rng, 400_000)[:2])
    held = 0
    for _ in range(WORLDS):
        weight = np.where(rng.random(400) < 0.2, 4.0, 1.0)
        target, predicted, _ = world(rng, 400)
        score = score_with_interval(metric, target, predicted, weight=weight)
        assert score.value == pytest.approx(metric(target, predicted, weight=weight))
        held += score.low <= truth <= score.high
    assert 0.90 <= held / WORLDS <= 0.985
    same = score_with_interval(metric, target, predicted, weight=np.full(400, 3.0))
    plain = score_with_interval(metric, target, predicted)
    assert (same.low, same.high) == pytest.approx((plain.low, plain.high))
