from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tenure.core.errors import ConfigError
from tenure.core.metrics import DEFAULT_METRIC, METRICS, PROPER_LOSS, auc, average_precision, metric_named
from tenure.core.modelling import Task

SEEDS = st.integers(0, 2**32 - 1)


def binary(seed: int, *, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 200))
    target = rng.integers(0, 2, n)
    target[:2] = [0, 1]
    score = rng.random(n)
    return target, np.round(score, 1).clip(0.05, 0.95) if ties else score


def several(seed: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 200))
    target = np.concatenate([np.arange(classes), rng.integers(0, classes, n)])
    return target, rng.dirichlet(np.ones(classes), target.size)


def both(score: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - score, score])


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, ties=st.booleans())
def test_binary_metrics_equal_scikit_learn(seed: int, ties: bool) -> None:
    target, score = binary(seed, ties=ties)
    predicted = both(score)
    label = predicted.argmax(axis=1)
    expected = {
        "roc_auc": sk.roc_auc_score(target, score),
        "average_precision": sk.average_precision_score(target, score),
        "log_loss": sk.log_loss(target, predicted),
        "brier": sk.brier_score_loss(target, score),
        "accuracy": sk.accuracy_score(target, label),
        "balanced_accuracy": sk.balanced_accuracy_score(target, label),
        "f1": sk.f1_score(target, label),
    }
    assert set(expected) == {metric.name for metric in METRICS.values() if Task.BINARY in metric.tasks}
    for name, value in expected.items():
        assert METRICS[name](target, predicted) == pytest.approx(value, abs=1e-12), name


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS)
def test_multiclass_metrics_equal_scikit_learn(seed: int) -> None:
    target, predicted = several(seed)
    label = predicted.argmax(axis=1)
    expected = {
        "roc_auc": sk.roc_auc_score(target, predicted, multi_class="ovr", average="macro"),
        "log_loss": sk.log_loss(target, predicted),
        "brier": sk.brier_score_loss(target, predicted),
        "accuracy": sk.accuracy_score(target, label),
        "balanced_accuracy": sk.balanced_accuracy_score(target, label),
    }
    assert set(expected) == {metric.name for metric in METRICS.values() if Task.MULTICLASS in metric.tasks}
    for name, value in expected.items():
        assert METRICS[name](target, predicted) == pytest.approx(value, abs=1e-9), name


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS)
def test_regression_metrics_equal_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=50) * 10
    predicted = target + rng.normal(size=50)
    expected = {
        "rmse": sk.root_mean_squared_error(target, predicted),
        "mae": sk.mean_absolute_error(target, predicted),
        "r2": sk.r2_score(target, predicted),
    }
    assert set(expected) == {metric.name for metric in METRICS.values() if Task.REGRESSION in metric.tasks}
    for name, value in expected.items():
        assert METRICS[name](target, predicted) == pytest.approx(value), name


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS)
def test_auc_does_not_care_about_order_or_scale_and_flips_with_the_sign(seed: int) -> None:
    target, score = binary(seed)
    value = auc(target, score)
    shuffled = np.random.default_rng(seed).permutation(target.size)
    assert auc(target[shuffled], score[shuffled]) == pytest.approx(value)
    assert auc(target, np.exp(score)) == pytest.approx(value)
    assert auc(target, -score) == pytest.approx(1 - value)


def test_metric_without_meaning_is_nan_not_a_number() -> None:
    same = np.ones(5, dtype=np.int64)
    score = np.linspace(0.1, 0.9, 5)
    assert np.isnan(auc(same, score))
    assert np.isnan(average_precision(1 - same, score))
    assert np.isnan(METRICS["roc_auc"](same, np.ones((5, 3)) / 3))
    assert np.isnan(METRICS["r2"](np.ones(5), score))
    assert np.isnan(METRICS["f1"](1 - same, both(np.zeros(5))))


def test_certain_and_wrong_costs_much_but_not_infinitely() -> None:
    assert 30 < METRICS["log_loss"](np.array([1]), np.array([[1.0, 0.0]])) < 40


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_row_losses_add_up_to_the_metric(metric) -> None:
    if metric.row_loss is None:
        return
    if Task.REGRESSION in metric.tasks:
        target = np.random.default_rng(1).normal(size=40)
        predicted = target * 0.5
    else:
        target, predicted = several(1)
    mean = float(np.mean(metric.row_loss(target, predicted)))
    assert metric.from_mean_loss(mean) == pytest.approx(metric(target, predicted))


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_a_row_that_counts_thrice_is_like_three_rows(metric) -> None:
    rng = np.random.default_rng(5)
    if Task.REGRESSION in metric.tasks:
        target = rng.normal(size=60)
        predicted = target + rng.normal(size=60)
    else:
        target = rng.integers(0, 2, 60)
        predicted = both(np.round(rng.uniform(0.02, 0.98, 60), 1))
    weight = rng.choice([0.0, 1.0, 3.0], 60)
    rows = np.repeat(np.arange(60), weight.astype(int))
    assert metric(target, predicted, weight=weight) == pytest.approx(metric(target[rows], predicted[rows]))
    assert metric(target, predicted, weight=np.full(60, 0.5)) == pytest.approx(metric(target, predicted))


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_gain_is_positive_when_better(metric) -> None:
    better, worse = (0.9, 0.1) if metric.greater_is_better else (0.1, 0.9)
    assert metric.gain(better, worse) > 0 > metric.gain(worse, better)


def test_metric_is_found_by_name_where_it_fits() -> None:
    for task in Task:
        for chosen in (DEFAULT_METRIC, PROPER_LOSS):
            assert metric_named(chosen[task], task=task).name == chosen[task]
    with pytest.raises(ConfigError) as caught:
        metric_named("roc_auk", task=Task.BINARY)
    assert "roc_auc" in caught.value.hint
    with pytest.raises(ConfigError, match="does not fit a regression task"):
        metric_named("f1", task=Task.REGRESSION)
