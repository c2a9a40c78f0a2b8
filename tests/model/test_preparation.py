from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tenure.model.preparation import Levels, Lookup, Output, Preparation, Table

INF = float("inf")


def a_preparation() -> Preparation:
    """Return a preparation of three columns: a number, a code from 0 to 2, a whole number from 5 to 7."""
    return Preparation.of(
        3,
        Levels(np.array([1, 2]), np.array([0.0, 5.0]), np.array([3, 3])),
        [Table(0, -1, np.array([0, 2])), Table(0, 1, np.array([0, 6, 11]))],
        [
            Lookup(0, np.array([10.0, 30.0]), -1.0),
            Lookup(1, np.array([0.5, 1.5, 2.5]), 9.0),
            Lookup(0, np.array([2.0, 0.0]), 4.0),
        ],
        [
            Output("", 3, 3),
            Output("/", 0, 2),
            Output("", 4, 4),
            Output("-", 0, 5),
            Output("*", 0, 0),
            Output("+", 0, 1),
            Output("/", 0, 5),
        ],
    )


def test_lookups_and_pairs_give_what_they_say() -> None:
    rows = np.array([[3.0, 0.0, 6.0], [4.0, 2.0, 5.0], [1.0, 1.0, 6.0]])
    said = a_preparation().transform(rows)
    # Two columns' key: the first level times 5 (three values, missing, anything else), plus the second.
    np.testing.assert_array_equal(
        said,
        [
            [10.0, 0.5, 9.0, 1.0, 9.0, 3.0, 1.5],
            [30.0, 0.8, 9.0, 4.0, 16.0, 6.0, np.nan],
            [-1.0, 1.0 / 6.0, 1.5, -3.0, 1.0, 2.0, 0.25],
        ],
    )


def test_missing_and_strange_levels_are_their_own() -> None:
    preparation = a_preparation()
    found = preparation.levels.of(np.array([[0.0, np.nan, 4.0], [0.0, 0.5, 1e300], [0.0, 3.0, -INF], [0.0, 2.0, 7.0]]))
    np.testing.assert_array_equal(found[:, :2], [[3, 4], [4, 4], [4, 4], [2, 2]])


def test_what_is_no_number_is_missing() -> None:
    said = a_preparation().transform(np.array([[1e308, 0.0, 0.0], [np.nan, np.nan, np.nan]]))
    assert np.isfinite(said[0, 0])
    assert np.isnan(said[0, [1, 4]]).all()
    assert np.isnan(said[1, [1, 3, 4, 5]]).all()
    assert said[1, 0] == -1.0


cell = st.one_of(st.just(np.nan), st.integers(-3, 9).map(float), st.floats(allow_nan=True, allow_infinity=True))


@given(arrays(np.float64, (9, 3), elements=cell))
def test_one_row_and_a_table_give_the_same_bits(matrix: np.ndarray) -> None:
    preparation = a_preparation()
    table = preparation.transform(matrix)
    for at in range(len(matrix)):
        np.testing.assert_array_equal(preparation.transform(matrix[at : at + 1])[0], table[at])


def test_a_table_longer_than_one_piece_is_prepared_row_by_row_alike() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 9, (10_000, 3)).astype(float)
    preparation = a_preparation()
    table = preparation.transform(matrix)
    for at in (0, 4095, 4096, 9999):
        np.testing.assert_array_equal(preparation.transform(matrix[at : at + 1])[0], table[at])


def test_plain_data_and_arrays_bring_it_back() -> None:
    preparation = a_preparation()
    stored = json.loads(json.dumps(preparation.to_dict(), allow_nan=False))
    again = Preparation.from_dict(stored, preparation.arrays())
    matrix = np.random.default_rng(1).integers(-1, 9, (50, 3)).astype(float)
    np.testing.assert_array_equal(again.transform(matrix), preparation.transform(matrix))
    assert again.to_dict() == preparation.to_dict()


@settings(max_examples=30)
@given(st.lists(st.booleans(), min_size=7, max_size=7))
def test_narrowed_keeps_what_is_used_and_leaves_the_rest_empty(used: list[bool]) -> None:
    preparation, chosen = a_preparation(), np.array(used)
    matrix = np.random.default_rng(2).integers(-1, 9, (40, 3)).astype(float)
    narrow = preparation.narrowed(chosen)
    said = narrow.transform(matrix)
    np.testing.assert_array_equal(said[:, chosen], preparation.transform(matrix)[:, chosen])
    assert np.isnan(said[:, ~chosen]).all()
    assert len(narrow.lookups) <= len(preparation.lookups)
    again = Preparation.from_dict(json.loads(json.dumps(narrow.to_dict())), narrow.arrays())
    np.testing.assert_array_equal(again.transform(matrix), said)


def test_nothing_used_keeps_no_tables() -> None:
    narrow = a_preparation().narrowed(np.zeros(7, dtype=bool))
    assert not narrow.tables
    assert not narrow.lookups
    assert narrow.transform(np.zeros((2, 3))).shape == (2, 7)


def test_a_prepared_column_names_the_columns_it_is_made_of() -> None:
    assert a_preparation().sources() == [(1,), (0, 2), (1, 2), (0, 1), (0,), (0, 1), (0, 1)]


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_are_no_trouble(rows: int) -> None:
    assert a_preparation().transform(np.zeros((rows, 3))).shape == (rows, 7)
