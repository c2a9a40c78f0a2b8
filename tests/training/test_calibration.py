from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tenure.core.metrics import log_losses
from tenure.core.modelling import Floats
from tenure.model.fitted import tempered
from tenure.training.calibration import best_temperature, calibrate, residual_interval


def drawn(rows: int = 4000, *, classes: int = 3, seed: int = 0) -> tuple[NDArray[np.int64], Floats]:
    """Return targets drawn from the very probabilities that come with them."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(classes), rows)
    return (shares.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=classes - 1), shares


def thirds(rows: int) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(np.arange(rows) % 3 == f) for f in range(3)]


@pytest.mark.parametrize("planted", [0.5, 2.0])
def test_a_planted_temperature_is_found(planted: float) -> None:
    target, honest = drawn()
    distorted = tempered(honest, planted)
    assert best_temperature(target, distorted) == pytest.approx(1 / planted, rel=0.1)
    calibration, adjusted = calibrate(target, distorted, thirds(len(target)))
    assert calibration.name == "temperature"
    assert calibration.temperature == pytest.approx(1 / planted, rel=0.1)
    assert log_losses(target, adjusted).mean() < log_losses(target, distorted).mean()
    assert ("less sure" in calibration.reason) == (planted < 1)


def test_calibrated_probabilities_keep_their_order() -> None:
    target, honest = drawn(classes=2)
    _, adjusted = calibrate(target, tempered(honest, 0.5), [np.arange(2000), np.arange(2000, 4000)])
    part = np.arange(2000)
    np.testing.assert_array_equal(np.argsort(adjusted[part, 1]), np.argsort(honest[part, 1]))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(60, 400))
def test_calibration_is_accepted_only_where_unseen_rows_gain(seed: int, rows: int) -> None:
    target, honest = drawn(rows, seed=seed)
    calibration, adjusted = calibrate(target, honest, thirds(rows))
    gain = log_losses(target, honest).mean() - log_losses(target, adjusted).mean()
    assert (gain > 0) == (calibration.temperature != 1.0)
    np.testing.assert_allclose(adjusted.sum(axis=1), 1.0)


def test_one_fold_alone_changes_nothing() -> None:
    target, honest = drawn()
    calibration, adjusted = calibrate(target, tempered(honest, 0.3), [np.arange(len(target))])
    assert calibration.temperature == 1.0
    np.testing.assert_array_equal(adjusted, tempered(honest, 0.3))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_intervals_hold_nine_of_ten_new_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = residual_interval(rng.exponential(size=400), np.zeros(400))
    new = rng.exponential(size=20_000)
    assert low < high
    assert 0.84 < np.mean((new >= low) & (new <= high)) < 0.96


def test_very_few_residuals_give_their_whole_range() -> None:
    assert residual_interval(np.array([1.0, -2.0, 3.0]), np.zeros(3)) == (-2.0, 3.0)
