from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Task
from tenure.model.members.mlp import MLPDesign, MLPMember

CATEGORICAL = (False, False, True, True, False)


def a_matrix(rows: int = 400, seed: int = 0) -> Floats:
    """Return two numbers, a small and a large category with gaps, and a constant."""
    rng = np.random.default_rng(seed)
    columns = [rng.normal(size=rows), rng.exponential(size=rows), rng.integers(0, 5, rows), rng.integers(0, 40, rows)]
    matrix = np.column_stack([*columns, np.full(rows, 3.0)]).astype(np.float64)
    matrix[:, :4][rng.random((rows, 4)) < 0.1] = np.nan
    return matrix


def random_arrays(design: MLPDesign, outputs: int, seed: int, hidden: int = 24) -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    numbers = len(design.number)
    width = 4 * numbers + len(design.flag) + len(design.level_of) + 8 * len(design.code_of)
    return {
        "frequency": rng.normal(size=(numbers, 16)),
        "phase": rng.normal(size=(numbers, 16)),
        "mix": rng.normal(size=(numbers, 16, 3)),
        "mix_bias": rng.normal(size=(numbers, 3)),
        "table": rng.normal(size=(int(design.sizes.sum()), 8)),
        "weight_0": rng.normal(size=(width, hidden)) / 5,
        "bias_0": rng.normal(size=hidden),
        "weight_1": rng.normal(size=(hidden, hidden)) / 5,
        "bias_1": rng.normal(size=hidden),
        "weight_2": rng.normal(size=(hidden, outputs)) / 5,
        "bias_2": rng.normal(size=outputs),
    }


def a_member(task: Task, design: MLPDesign | None = None, *, seed: int = 1, hidden: int = 24) -> MLPMember:
    fitted = MLPDesign.fit(a_matrix(), CATEGORICAL) if design is None else design
    outputs = 4 if task is Task.MULTICLASS else 1
    return MLPMember(task, fitted, random_arrays(fitted, outputs, seed, hidden))


@given(st.integers(1, 40), st.sampled_from([3, 24, 65, 256]), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_an_answer_does_not_depend_on_the_rows_around_it(rows: int, hidden: int, seed: int) -> None:
    member, matrix = a_member(Task.MULTICLASS, seed=seed, hidden=hidden), a_matrix(rows, seed)
    alone = np.vstack([member.predict(matrix[at : at + 1]) for at in range(rows)])
    np.testing.assert_array_equal(member.predict(matrix), alone)
    np.testing.assert_array_equal(member.predict(np.asfortranarray(matrix[::-1]))[::-1], alone)


def test_long_tables_are_answered_in_pieces_with_the_same_bits() -> None:
    member, matrix = a_member(Task.REGRESSION), a_matrix(2500, 5)
    pieces = [member.predict(matrix[at : at + 700]) for at in range(0, 2500, 700)]
    np.testing.assert_array_equal(member.predict(matrix), np.concatenate(pieces))


def test_no_rows_give_no_answers() -> None:
    assert a_member(Task.MULTICLASS).predict(np.empty((0, 5))).shape == (0, 4)
    assert a_member(Task.REGRESSION).predict(np.empty((0, 5))).shape == (0,)


def test_unseen_and_missing_levels_are_one() -> None:
    design = MLPDesign.fit(a_matrix(), CATEGORICAL)
    rows = np.full((3, 5), 0.0)
    rows[:, 3] = [np.nan, 999.0, 7.0]
    assert design.positions(rows)[:, 0].tolist() == [0, 0, 8]
    said = a_member(Task.BINARY, design).predict(rows)
    np.testing.assert_array_equal(said[0], said[1])
    assert (said[2] != said[0]).any()


def test_numbers_are_scaled_and_clipped_smoothly() -> None:
    matrix = a_matrix(4000)
    matrix[0, 0], matrix[1, 0] = 1e300, -1e300
    design = MLPDesign.fit(matrix, CATEGORICAL)
    made = design.numbers(matrix)
    assert design.number.tolist() == [0, 1]
    np.testing.assert_allclose(made[:2, 0], [3.0, -3.0])
    low, middle, high = np.quantile(made[~np.isnan(matrix[:, 0]), 0], (0.25, 0.5, 0.75))
    assert abs(middle) < 1e-3
    assert 0.9 < high - low < 1.0
    assert (made[np.isnan(matrix[:, 0]), 0] == 0).all()


def test_large_categories_get_learned_rows_and_small_ones_a_column_each() -> None:
    design = MLPDesign.fit(a_matrix(), CATEGORICAL)
    assert design.level_of.tolist() == [2] * 5
    assert design.code_of.tolist() == [3]
    assert design.sizes.tolist() == [41]
    assert design.flag.tolist() == [0, 1, 2]


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("categorical", [(False, False), (True, True)], ids=["numbers", "codes"])
def test_numbers_alone_and_codes_alone_will_do(task: Task, categorical: tuple[bool, bool]) -> None:
    matrix = np.random.default_rng(0).integers(0, 30, (200, 2)).astype(np.float64)
    design = MLPDesign.fit(matrix, categorical)
    assert np.isfinite(a_member(task, design).predict(matrix)).all()


def test_values_stay_within_their_limits() -> None:
    free = a_member(Task.REGRESSION)
    bound = MLPMember(Task.REGRESSION, free.design, free.arrays, limits=(-0.1, 0.1))
    said = bound.predict(a_matrix())
    assert said.min() == -0.1
    assert said.max() == 0.1


def test_a_column_that_is_typical_contributes_nothing() -> None:
    member, matrix = a_member(Task.MULTICLASS), a_matrix(20, seed=8)
    matrix[:, 1] = member.design.typical[1]
    shares = member.contributions(matrix)
    assert (shares[:, 1] == 0).all()
    assert (shares[:, 0] != 0).any()


def test_predicting_needs_no_pytorch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from tenure.core.plugins import plugin\n"
        "assert plugin('member', 'mlp').kind == 'mlp'\n"
        "assert not any(m.startswith(('tenure.training', 'sklearn', 'scipy')) for m in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
