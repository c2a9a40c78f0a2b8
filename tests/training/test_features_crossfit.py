from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from training_worlds import forward_blocks

from tenure.core.modelling import Fold, Task
from tenure.training.features.crossfit import Outcomes
from tenure.training.features.means import fit_means


def outcomes(target: np.ndarray, folds: tuple[Fold, ...] = (), task: Task = Task.BINARY) -> Outcomes:
    return Outcomes.of(task, len(np.unique(target)), target, rng=np.random.default_rng(0), folds=folds)


def test_every_row_is_validated_once_and_never_by_its_own_model() -> None:
    made = outcomes(np.arange(103) % 2)
    assert sorted(np.concatenate([fold.valid for fold in made.folds])) == list(range(103))
    assert not made.learns[np.arange(103), made.fold_of].any()
    assert made.learns[:, -1].all()


def test_given_folds_are_followed_and_earlier_rows_fold_among_themselves() -> None:
    block = forward_blocks(80)[:, 0]
    given = tuple(Fold(np.flatnonzero(block < at), np.flatnonzero(block == at)) for at in (1, 2, 3))
    made = outcomes(np.arange(80) % 2, given)
    assert made.folds[:3] == given
    for fold in made.folds[3:]:
        assert block[fold.train].max() == block[fold.valid].max() == 0


def test_columns_are_what_the_task_asks() -> None:
    target = np.array([0, 1, 2, 1])
    assert outcomes(target, task=Task.MULTICLASS).columns.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert outcomes(np.arange(30), task=Task.MULTICLASS).outputs == 0
    values = outcomes(np.array([10.0, 20.0, 30.0]), task=Task.REGRESSION).columns
    assert values.mean() == pytest.approx(0)
    assert values.std() == pytest.approx(1)


def test_target_means_find_planted_levels_and_tell_nothing_where_there_is_nothing() -> None:
    rng = np.random.default_rng(0)
    users = rng.integers(0, 2000, 20_000)
    texts = pl.Series([f"u{user}" for user in users])
    for risk, least, most in ((rng.random(2000), 0.7, 1.0), (np.full(2000, 0.5), -0.05, 0.05)):
        target = (rng.random(20_000) < risk[users]).astype(np.int64)
        operation, numbers = fit_means(texts, "user", outcomes(target))
        assert least < np.corrcoef(numbers[:, 0], risk[users] + 1e-9 * rng.random(20_000))[0, 1] < most
        if risk.std() == 0:
            assert abs(np.corrcoef(numbers[:, 0], target)[0, 1]) < 0.05
        assert operation.encode(pl.DataFrame({"user": texts})).shape == numbers.shape


def test_target_means_are_missing_unseen_and_drawn_to_the_mean() -> None:
    texts = pl.Series(["a"] * 10 + ["b"] * 10 + [None] * 4)
    target = np.array([1] * 10 + [0] * 10 + [1, 0, 1, 0])
    operation, numbers = fit_means(texts, "x", outcomes(target))
    served = operation.encode(pl.DataFrame({"x": ["a", "b", "new", None]}))[:, 0]
    np.testing.assert_allclose(served, [(10 + 5) / 20, 5 / 20, 0.5, np.nan])
    assert np.isnan(numbers[20:]).all()
    assert not np.isnan(numbers[:20]).any()


def test_an_open_vocabulary_is_hashed() -> None:
    texts = pl.Series([f"u{at}" for at in range(100_001)] + ["u7"])
    operation, _ = fit_means(texts, "x", outcomes(np.arange(100_002) % 2))
    assert operation.levels == ()
    assert operation.encode(pl.DataFrame({"x": ["u7", "never seen"]})).shape == (2, 1)
