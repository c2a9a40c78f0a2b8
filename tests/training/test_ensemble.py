from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.modelling import Task
from tenure.training.ensemble import SMALLEST_WEIGHT, Pool, choose_weights, choose_within, cross_fitted_weights, mix


def values_pool(rows: int, errors: list[float], *, seed: int = 0) -> Pool:
    """Return a regression pool of candidates with independent errors of those sizes."""
    rng = np.random.default_rng(seed)
    target = rng.normal(size=rows)
    return Pool.of(Task.REGRESSION, target, [target + error * rng.normal(size=rows) for error in errors])


@settings(max_examples=30, deadline=None)
@given(
    errors=st.lists(st.floats(0.1, 5.0), min_size=1, max_size=6),
    rows=st.integers(10, 3000),
    seed=st.integers(0, 1000),
)
def test_weights_are_shares_and_small_ones_are_left_out(errors: list[float], rows: int, seed: int) -> None:
    weights = choose_weights(values_pool(rows, errors, seed=seed))
    assert weights.sum() == pytest.approx(1.0)
    assert ((weights == 0) | (weights >= 0.8 * SMALLEST_WEIGHT)).all()


@settings(max_examples=30, deadline=None)
@given(errors=st.lists(st.floats(0.1, 5.0), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_with_many_rows_the_mixture_is_no_worse_than_its_best_candidate(errors: list[float], seed: int) -> None:
    pool = values_pool(4000, errors, seed=seed)
    assert pool.loss(choose_weights(pool)) <= pool.losses().min() * 1.001


def test_equally_good_and_unlike_candidates_share() -> None:
    weights = choose_weights(values_pool(5000, [1.0, 1.0, 1.0]))
    np.testing.assert_allclose(weights, 1 / 3, atol=0.06)


def test_a_useless_candidate_gets_nothing() -> None:
    assert choose_weights(values_pool(5000, [0.5, 20.0]))[1] == 0


def test_few_rows_share_more_evenly() -> None:
    few, many = values_pool(400, [0.5, 0.9, 0.9]), values_pool(5000, [0.5, 0.9, 0.9])
    assert choose_weights(few).max() < choose_weights(many).max()


def test_of_probabilities_the_true_class_counts() -> None:
    said = np.array([[0.9, 0.1], [0.4, 0.6]])
    pool = Pool.of(Task.BINARY, np.array([0, 1]), [said])
    assert pool.losses()[0] == pytest.approx(-np.mean(np.log([0.9, 0.6])))


def test_absolute_errors_are_told_from_squared_ones() -> None:
    target, said = np.zeros(4), np.array([0.0, 0.0, 0.0, 4.0])
    assert Pool.of(Task.REGRESSION, target, [said]).losses()[0] == 4.0
    assert Pool.of(Task.REGRESSION, target, [said], absolute=True).losses()[0] == 1.0


def test_weights_of_a_fold_do_not_look_at_it() -> None:
    pool = values_pool(1000, [0.5, 1.0])
    folds = [np.arange(500), np.arange(500, 1000)]
    before = cross_fitted_weights(pool, folds)[0]
    pool.answers[:, :500] = 1e6
    np.testing.assert_array_equal(cross_fitted_weights(pool, folds)[0], before)


def test_mixing_ignores_what_has_no_weight() -> None:
    said = [np.array([1.0, 2.0]), np.array([np.nan, np.nan]), np.array([3.0, 6.0])]
    np.testing.assert_allclose(mix(np.array([0.5, 0.0, 0.5]), said), [2.0, 4.0])


@given(
    seed=st.integers(0, 1_000),
    costs=st.lists(st.floats(0.1, 10.0), min_size=4, max_size=4),
    limit=st.floats(0.05, 20.0),
)
def test_a_mixture_within_a_limit_is_affordable_and_no_better_than_a_free_one(
    seed: int, costs: list[float], limit: float
) -> None:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=600)
    pool = Pool.of(Task.REGRESSION, target, [target + rng.normal(size=600) for _ in costs])
    prices = np.array(costs)
    weights = choose_within(pool, prices, lambda chosen: prices[list(chosen)].sum() <= limit)
    if weights is None:
        assert min(costs) > limit
        return
    assert weights.sum() == pytest.approx(1.0)
    assert prices[weights > 0].sum() <= limit
    singles = pool.losses()[prices <= limit]
    assert pool.loss(weights) <= singles.max()


def test_two_cheap_halves_are_worth_more_than_one_dear_whole() -> None:
    rng = np.random.default_rng(0)
    target, noise = rng.normal(size=4000), rng.normal(size=4000)
    pool = Pool.of(Task.REGRESSION, target, [target + 0.9 * rng.normal(size=4000), target + noise, target - noise])
    costs = np.array([2.0, 1.0, 1.0])
    weights = choose_within(pool, costs, lambda chosen: costs[list(chosen)].sum() <= 2.0)
    assert weights is not None
    np.testing.assert_allclose(weights, [0.0, 0.5, 0.5], atol=0.05)
