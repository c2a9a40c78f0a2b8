"""Corrections of answers: what was bent is straightened, few rows move little, corrections stay answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.metrics import log_losses
from tenure.model.correction import Correction, fit_correction


def _softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_that_were_bent_are_straightened(classes: int) -> None:
    rng = np.random.default_rng(classes)
    scores = rng.normal(size=(20_000, classes))
    right = _softmax(scores)
    target = (rng.random((20_000, 1)) > right.cumsum(axis=1)).sum(axis=1)
    bent = _softmax(2.0 * scores + np.linspace(0, 1, classes))
    mended = fit_correction(target, bent).apply(bent)
    assert np.abs(mended - right).mean() < 0.02
    assert np.allclose(mended.sum(axis=1), 1.0)


def test_values_that_were_bent_are_straightened() -> None:
    rng = np.random.default_rng(0)
    right = rng.normal(10, 3, 5_000)
    found = fit_correction(right + rng.normal(size=5_000), 0.5 * right - 7.0)
    assert found.slope == pytest.approx(2.0, abs=0.05)
    assert found.offsets[0] == pytest.approx(14.0, abs=0.3)


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 60), st.booleans())
def test_the_loss_of_the_rows_it_learned_from_never_rises(seed: int, classes: int, rows: int, level: bool) -> None:
    rng = np.random.default_rng(seed)
    answers = _softmax(rng.normal(0, 2, size=(rows, classes)))
    target = rng.integers(0, classes, rows)
    mended = fit_correction(target, answers, level_only=level).apply(answers)
    assert np.isfinite(mended).all()
    assert log_losses(target, mended).mean() <= log_losses(target, answers).mean() + 1e-6


@given(st.integers(0, 10_000), st.booleans())
def test_one_row_moves_little(seed: int, level: bool) -> None:
    rng = np.random.default_rng(seed)
    answers = _softmax(rng.normal(size=(1, 2)))
    found = fit_correction(rng.integers(0, 2, 1), answers, level_only=level)
    assert abs(found.slope - 1.0) < 1.5
    assert max(map(abs, found.offsets)) < 1.0


def test_level_only_keeps_the_order_and_the_slope() -> None:
    rng = np.random.default_rng(1)
    answers = _softmax(rng.normal(size=(500, 2)))
    found = fit_correction(rng.integers(0, 2, 500), answers, level_only=True)
    assert found.slope == 1.0
    mended = found.apply(answers)
    assert (np.argsort(mended[:, 1]) == np.argsort(answers[:, 1])).all()
    values = fit_correction(np.array([3.0, 5.0] * 200), np.array([1.0, 2.0] * 200), level_only=True)
    assert values.slope == 1.0
    assert values.offsets[0] == pytest.approx(2.5, abs=0.02)


def test_weights_count_rows() -> None:
    rng = np.random.default_rng(2)
    answers = _softmax(rng.normal(size=(300, 2)))
    target = rng.integers(0, 2, 300)
    twice = fit_correction(np.repeat(target, 2), np.repeat(answers, 2, axis=0))
    weighed = fit_correction(target, answers, weight=np.full(300, 2.0))
    assert twice.slope == pytest.approx(weighed.slope)
    assert twice.offsets == pytest.approx(weighed.offsets)


def test_sure_answers_that_were_wrong_do_not_break_it() -> None:
    answers = np.array([[0.0, 1.0]] * 10 + [[1.0, 0.0]] * 10)
    found = fit_correction(np.array([0] * 10 + [1] * 10), answers)
    assert np.isfinite(found.apply(answers)).all()
    assert Correction(1.0, (0.0, 0.0)).apply(answers) == pytest.approx(answers, abs=1e-5)
