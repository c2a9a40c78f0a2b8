"""Quick probes: they learn, they repeat themselves, and what starts from another probe changes it as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tenure.core.metrics import log_losses
from tenure.core.modelling import Floats, Task
from tenure.core.ports import Probe, Problem
from tenure.core.retraining import Way
from tenure.training.probes import QuickProber, TreeProbe


def _problem(task: Task = Task.BINARY, *, rows: int = 1_500, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    matrix = np.column_stack([rng.normal(size=(rows, 3)), rng.integers(0, 4, rows)])
    matrix[rng.random((rows, 4)) < 0.05] = np.nan
    score = np.nan_to_num(matrix[:, 0]) + (matrix[:, 3] == 2) + rng.normal(0, 0.3, rows)
    target: Any = score
    if task.is_classification:
        target = np.digitize(score, [0.4] if task is Task.BINARY else [-0.3, 0.7])
    classes = {Task.BINARY: 2, Task.MULTICLASS: 3, Task.REGRESSION: 0}[task]
    return Problem(task, classes, matrix, tuple("abcd"), (False, False, False, True), target, threads=1)


@pytest.mark.parametrize("task", list(Task))
def test_a_probe_learns_and_repeats_itself(task: Task) -> None:
    problem, rows = _problem(task), np.arange(1_000)
    one, two = (QuickProber().fit(problem, rows, None).predict(problem.matrix[1_000:]) for _ in range(2))
    assert (one == two).all()
    target = problem.target[1_000:]
    if task is Task.REGRESSION:
        assert one.shape == (500,)
        assert np.square(one - target).mean() < 0.6 * target.var()
    else:
        assert one.shape == (500, problem.classes)
        assert np.allclose(one.sum(axis=1), 1.0)
        shares = np.bincount(target) / len(target)
        assert log_losses(target, one).mean() < 0.7 * log_losses(target, np.tile(shares, (500, 1))).mean()


def test_outcomes_of_other_rows_make_no_difference() -> None:
    problem, rows = _problem(), np.arange(700)
    other = _problem()
    other.target[700:] = 1 - other.target[700:]
    assert (_answers(QuickProber().fit(problem, rows, None)) == _answers(QuickProber().fit(other, rows, None))).all()


def test_weights_count() -> None:
    problem, rows = _problem(), np.arange(1_000)
    problem.target[:500] = 1 - problem.target[:500]
    late = np.where(rows < 500, 0.01, 1.99)
    plain, weighed = (QuickProber().fit(problem, rows, weight) for weight in (None, late))
    assert _loss(problem, weighed) < _loss(problem, plain) - 0.1


@pytest.mark.parametrize("task", list(Task))
def test_going_on_from_a_probe_lowers_the_loss_of_the_new_rows(task: Task) -> None:
    problem, prober = _problem(task), QuickProber()
    problem.target[500:] = problem.target[500:][::-1]
    base = prober.fit(problem, np.arange(500), None)
    rows = np.arange(500, 1_000)
    for way in (Way.CONTINUE, Way.LEAVES):
        further = prober.fit(problem, rows, None, way=way, base=base, mix=0.5)
        assert _fit(problem, further, rows) < _fit(problem, base, rows)
    still = prober.fit(problem, rows, None, way=Way.LEAVES, base=base, mix=1.0)
    assert _answers(still) == pytest.approx(_answers(base))


def test_what_cannot_be_learned_raises() -> None:
    problem, prober = _problem(), QuickProber()
    with pytest.raises(ValueError, match="needs rows"):
        prober.fit(problem, np.array([], dtype=np.int64), None)
    with pytest.raises(ValueError, match="starts from another probe"):
        prober.fit(problem, np.arange(100), None, way=Way.CONTINUE)
    with pytest.raises(ValueError, match="needs no probe"):
        prober.fit(problem, np.arange(100), None, way=Way.RESTORE, base=TreeProbe((), Task.BINARY))


def _answers(probe: Probe) -> Floats:
    return probe.predict(_problem().matrix)


def _loss(problem: Problem, probe: Probe) -> float:
    late = np.arange(1_000, 1_500)
    return float(log_losses(problem.target[late], probe.predict(problem.matrix[late])).mean())


def _fit(problem: Problem, probe: Probe, rows: Any) -> float:
    said, target = probe.predict(problem.matrix[rows]), problem.target[rows]
    if problem.task is Task.REGRESSION:
        return float(np.square(said - target).mean())
    return float(log_losses(target, said).mean())
