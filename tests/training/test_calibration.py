from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tenure.core.metrics import log_losses
from tenure.core.modelling import Floats
from tenure.model.fitted import tempered
from tenure.model.intervals import ValueInterval
from tenure.training.calibration import best_temperature, calibrate, probability_interval, residual_interval


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
    low, high = residual_interval(rng.exponential(size=390), np.zeros(390)).around(np.zeros(1))
    new = rng.exponential(size=20_000)
    assert low < high
    assert 0.84 < np.mean((new >= low) & (new <= high)) < 0.96


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_part_of_the_range_gets_its_own_width(seed: int) -> None:
    rng = np.random.default_rng(seed)
    said, new = rng.uniform(1, 10, 4000), rng.uniform(1, 10, 40_000)
    interval = residual_interval(said + said * rng.normal(size=4000), said)
    low, high = interval.around(new)
    true = new + new * rng.normal(size=40_000)
    inside = (true >= low) & (true <= high)
    assert len(interval.low) == 10
    assert 0.88 < inside.mean() < 0.92
    assert all(0.82 < inside[(new >= at) & (new < at + 1)].mean() < 0.97 for at in range(1, 10))
    assert (high - low)[new > 9].mean() > 3 * (high - low)[new < 2].mean()


def test_few_or_equal_values_share_one_bin() -> None:
    rng = np.random.default_rng(0)
    assert residual_interval(np.array([1.0, -2.0, 3.0]), np.zeros(3)) == ValueInterval.constant(-2.0, 3.0)
    assert residual_interval(rng.normal(size=399), rng.normal(size=399)).edges == ()
    assert residual_interval(rng.normal(size=4000), np.zeros(4000)).edges == ()


def test_a_row_that_counts_twice_is_like_two_rows() -> None:
    rng = np.random.default_rng(3)
    target, said = rng.exponential(size=150), np.zeros(150)
    twice = np.where(rng.random(150) < 0.3, 2.0, 1.0)
    rows = np.repeat(np.arange(150), twice.astype(int))
    weighted, repeated = residual_interval(target, said, weight=twice), residual_interval(target[rows], said[rows])
    np.testing.assert_allclose(weighted.around(np.zeros(1)), repeated.around(np.zeros(1)), atol=0.3)
    truth, shares = drawn(800, classes=2)
    shares, twice = tempered(shares, 0.5), np.where(np.arange(800) % 5 == 0, 2.0, 1.0)
    rows = np.repeat(np.arange(800), twice.astype(int))
    assert best_temperature(truth, shares, weight=twice) == pytest.approx(best_temperature(truth[rows], shares[rows]))


def bent(rows: int, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Return rows whose probability is only half as high as stated above one half: no temperature mends that."""
    rng = np.random.default_rng(seed)
    stated = rng.uniform(size=rows)
    true = np.where(stated > 0.5, stated / 2, stated * 0.8)
    return (rng.random(rows) < true).astype(np.int64), np.column_stack([1 - stated, stated])


def test_a_curve_is_taken_where_no_temperature_will_do() -> None:
    target, stated = bent(8000, 0)
    calibration, adjusted = calibrate(target, stated, thirds(8000))
    assert calibration.name == "isotonic"
    assert calibration.temperature == 1.0
    assert calibration.curve is not None
    assert len(calibration.curve.at) <= 258
    new, said = bent(20_000, 1)
    mended = calibration.apply(said)
    assert log_losses(new, mended).mean() < log_losses(new, said).mean() - 0.05
    assert log_losses(target, adjusted).mean() < log_losses(target, stated).mean()
    np.testing.assert_allclose(mended.sum(axis=1), 1.0)
    assert (np.diff(mended[np.argsort(said[:, 1]), 1]) > 0).all()


def test_a_curve_needs_many_rows_of_both_classes() -> None:
    target, stated = bent(4900, 0)
    assert calibrate(target, stated, thirds(4900))[0].curve is None
    target, stated = bent(8000, 0)
    rare = (target == 1) & (np.cumsum(target) <= 400)
    assert calibrate(rare.astype(np.int64), stated, thirds(8000))[0].curve is None


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(40, 3000))
def test_a_probability_lies_in_its_own_interval_and_fewer_rows_make_it_wider(seed: int, rows: int) -> None:
    target, shares = drawn(rows, classes=2, seed=seed)
    interval = probability_interval(target, shares[:, 1])
    asked = np.linspace(0, 1, 101)
    low, high = interval.around(asked)
    assert ((low <= asked) & (asked <= high) & (low >= 0) & (high <= 1)).all()
    assert len(interval.low) == len(interval.edges) + 1 <= 256
    fewer = probability_interval(target[: rows // 10], shares[: rows // 10, 1])
    assert np.subtract(*reversed(fewer.around(asked))).mean() > (high - low).mean()


def test_the_share_that_came_true_lies_between_the_ends() -> None:
    """Venn-Abers: the mean of one end or the other is right; with honest probabilities both are near."""
    target, shares = drawn(20_000, classes=2)
    interval = probability_interval(target[:10_000], shares[:10_000, 1])
    asked, came = shares[10_000:, 1], target[10_000:]
    low, high = interval.around(asked)
    for at in range(10):
        part = (asked >= at / 10) & (asked < (at + 1) / 10)
        assert low[part].mean() - 0.03 < came[part].mean() < high[part].mean() + 0.03


def test_equal_probabilities_have_one_interval() -> None:
    interval = probability_interval(np.array([0, 1, 1, 0]), np.full(4, 0.5))
    assert interval.edges == ()
    assert interval.around(np.array([0.5])) == (pytest.approx([0.4]), pytest.approx([0.6]))


@pytest.mark.parametrize("name", ["california_housing", "ames_housing"])
def test_nine_of_ten_real_values_lie_in_their_intervals(real_data: Any, name: str) -> None:
    """A nearest-neighbour guess on half of the rows, intervals from a quarter, the promise on the last quarter."""
    target = {"california_housing": "median_house_value", "ames_housing": "price"}[name]
    frame = pl.read_parquet(real_data(name))
    numbers = frame.select(pl.selectors.numeric()).drop(target).fill_null(strategy="mean").to_numpy()
    truth = frame[target].to_numpy().astype(np.float64)
    order = np.random.default_rng(0).permutation(frame.height)
    learn, measure, promise = np.split(order, [frame.height // 2, 3 * frame.height // 4])
    spread = numbers.std(axis=0)
    scaled = (numbers - numbers.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    _, near = cKDTree(scaled[learn]).query(scaled, k=10)
    said = truth[learn][near].mean(axis=1)
    low, high = residual_interval(truth[measure], said[measure]).around(said[promise])
    inside = (truth[promise] >= low) & (truth[promise] <= high)
    assert 0.87 < inside.mean() < 0.93
    assert np.ptp(high - low) > 0.5 * np.median(high - low)
