from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.modelling import Floats
from tenure.model.design import LinearDesign


def a_matrix(rows: int = 2000) -> Floats:
    rng = np.random.default_rng(0)
    columns = [rng.normal(size=rows), rng.exponential(size=rows), rng.integers(0, 5, rows), np.full(rows, 3.0)]
    matrix = np.column_stack(columns).astype(np.float64)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix


def test_numbers_are_standardised_gaps_flagged_and_levels_spread() -> None:
    matrix = a_matrix()
    design = LinearDesign.fit(matrix, (False, False, True, False))
    numbers = len(design.number)
    made = design.transform(matrix)
    assert design.number.tolist() == [0, 1]
    assert design.flag.tolist() == [0, 1, 2, 3]
    assert design.level_of.tolist() == [2] * 5
    np.testing.assert_allclose(made.mean(axis=0), design.means, atol=1e-12)
    assert np.abs(made[:, :numbers]).max() < 8
    assert set(np.unique(made[:, numbers:])) == {0.0, 1.0}
    assert design.transform(matrix, np.float32).dtype == np.float32


def test_a_rare_word_weighs_as_much_as_a_frequent_one() -> None:
    words = np.zeros((1000, 2))
    words[3, 0] = 1.0
    words[:400, 1] = 1.0
    made = LinearDesign.fit(words, (False, False)).transform(words)
    np.testing.assert_array_equal(made, words)


def test_nearly_constant_numbers_keep_their_ends() -> None:
    column = np.full((1000, 1), 5.0)
    column[3] = 6.0
    made = LinearDesign.fit(column, (False,)).transform(column)
    assert made[3, 0] > 1
    assert made[4, 0] < 0


def test_a_weighted_sum_of_pieces_follows_a_bent_line() -> None:
    column = np.random.default_rng(0).normal(size=(4000, 1))
    bent = np.abs(column[:, 0])
    errors = []
    for pieces in (0, 12):
        made = LinearDesign.fit(column, (False,), pieces=pieces).transform(column)
        full = np.column_stack([made, np.ones(len(made))])
        weights, *_ = np.linalg.lstsq(full, bent)
        errors.append(float(np.mean(np.square(full @ weights - bent))))
    assert errors[1] < 0.02 * errors[0]


def test_few_values_get_a_piece_each_and_pieces_credit_their_number() -> None:
    column = np.tile([2.0, 3.0, 5.0, 9.0], 100)[:, None]
    design = LinearDesign.fit(column, (False,), pieces=10)
    assert list(zip(design.low[1:], design.high[1:], strict=True)) == [(2, 3), (3, 5), (5, 9)]
    assert design.origins.tolist() == [0] * 4


def test_a_value_that_stands_for_none_gets_its_own_column_and_does_not_stretch_the_number() -> None:
    days = np.random.default_rng(0).integers(0, 30, 1000).astype(np.float64)
    days[:300] = 999
    design = LinearDesign.fit(days[:, None], (False,))
    assert design.level.tolist() == [999]
    assert design.high.tolist() == [29]
    np.testing.assert_array_equal(design.transform(days[:, None])[:, -1], days == 999)


def test_counts_and_long_tails_have_no_value_that_stands_for_none() -> None:
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.integers(0, 3, 1000), np.round(rng.exponential(1000, 1000)), rng.normal(size=1000)])
    assert LinearDesign.fit(matrix.astype(np.float64), (False,) * 3).level.size == 0


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0, 999.0, 1e100, float("nan")]), min_size=1, max_size=60))
def test_every_column_of_numbers_gives_finite_designs(values: list[float]) -> None:
    column = np.array(values)[:, None]
    design = LinearDesign.fit(column, (False,), pieces=5)
    assert np.isfinite(design.transform(column)).all()
    assert np.isfinite(design.means).all()
