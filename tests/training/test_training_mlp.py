from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
from training_worlds import planted, ticking

from tenure.core.errors import ExtraMissingError
from tenure.core.metrics import PROPER_LOSS, metric_named
from tenure.core.modelling import DataShape, Task
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.model.members.mlp import MLPMember
from tenure.training.families.baseline import BaselineFamily
from tenure.training.families.mlp import MLPFamily
from tenure.training.network import torch_library

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the extra torch")
every_task = pytest.mark.parametrize("task", list(Task))


def no_clock() -> Deadline:
    return Deadline(inf, time.monotonic)


def fit(problem: Problem, deadline: Deadline, *, rounds: int | None = None, refit: bool = False) -> Fitted | None:
    rows = np.arange(len(problem.target))
    proposed = MLPFamily().configurations(problem.shape)[0]
    train, valid = (rows, None) if refit else (rows[rows % 4 > 0], rows[rows % 4 == 0])
    return MLPFamily().fit(proposed, problem, train, valid, rounds=rounds, deadline=deadline)


def said(problem: Problem, fitted: Fitted | None) -> np.ndarray:
    assert fitted is not None
    return fitted.member.predict(problem.matrix)


@needs_torch
@every_task
def test_a_planted_signal_is_found(task: Task) -> None:
    problem, held = planted(task, rows=600), np.arange(0, 600, 4)
    metric = metric_named(PROPER_LOSS[task], task=task)
    proposed = BaselineFamily().configurations(problem.shape)[0]
    base = BaselineFamily().fit(proposed, problem, held + 1, held, rounds=None, deadline=no_clock())
    ours, theirs = (metric(problem.target[held], said(problem, f)[held]) for f in (fit(problem, no_clock()), base))
    assert ours < 0.75 * theirs


@needs_torch
def test_without_a_clock_the_same_seed_gives_the_same_network() -> None:
    once, twice = (said(p, fit(p, no_clock(), rounds=3)) for p in (planted(Task.BINARY), planted(Task.BINARY)))
    np.testing.assert_array_equal(once, twice)
    problem = replace(planted(Task.BINARY), seed=9)
    assert (said(problem, fit(problem, no_clock(), rounds=3)) != once).any()


@needs_torch
def test_fits_leave_the_global_random_state_alone() -> None:
    torch = torch_library()
    before = torch.random.get_rng_state()
    fit(planted(Task.BINARY), no_clock(), rounds=1)
    assert torch.equal(before, torch.random.get_rng_state())


@needs_torch
@every_task
def test_rows_of_no_weight_do_not_mislead(task: Task) -> None:
    problem = planted(task, rows=800)
    wrong = np.flatnonzero(np.arange(800) // 4 % 2)
    target = problem.target.copy()
    target[wrong] = np.random.default_rng(0).permutation(target[wrong])
    weight = np.ones(800)
    weight[wrong] = 1e-6
    metric = metric_named(PROPER_LOSS[task], task=task)
    losses = []
    for weights in (weight, None):
        misled = replace(problem, target=target, weight=weights, shared={})
        losses.append(metric(problem.target, said(misled, fit(misled, no_clock(), rounds=15))))
    assert losses[0] < losses[1]


@needs_torch
@every_task
def test_a_member_survives_its_own_saving(task: Task, tmp_path: Path) -> None:
    problem = planted(task)
    fitted = fit(problem, no_clock(), rounds=2)
    assert fitted is not None
    again = MLPMember.load(tmp_path, fitted.member.save(tmp_path, "a"))
    np.testing.assert_array_equal(again.predict(problem.matrix), said(problem, fitted))


@needs_torch
def test_a_refit_takes_its_rounds_and_the_temperature_of_the_folds() -> None:
    problem = planted(Task.MULTICLASS)
    on_fold = fit(problem, no_clock(), rounds=4)
    refitted = fit(problem, no_clock(), rounds=3, refit=True)
    assert on_fold is not None
    assert refitted is not None
    assert refitted.rounds == 3
    assert refitted.chosen["temperature"] == pytest.approx(on_fold.chosen["temperature"])


@needs_torch
def test_classes_and_columns_that_training_lacks_do_no_harm() -> None:
    problem = planted(Task.MULTICLASS)
    rows = np.flatnonzero(problem.target != 2)
    problem.matrix[rows, 2] = np.nan
    proposed = MLPFamily().configurations(problem.shape)[0]
    fitted = MLPFamily().fit(proposed, problem, rows, None, rounds=2, deadline=no_clock())
    assert np.isfinite(said(problem, fitted)).all()


@needs_torch
def test_columns_that_say_nothing_are_not_learned_from() -> None:
    problem = planted(Task.BINARY)
    problem.matrix[:] = 1.0
    bare = replace(problem, categorical=(False,) * 4)
    assert fit(bare, no_clock()) is None


@needs_torch
def test_it_stands_aside_where_the_time_allows_too_few_epochs() -> None:
    assert fit(planted(Task.BINARY), Deadline(0.0, time.monotonic)) is None
    assert fit(planted(Task.BINARY), Deadline(10.0, ticking(0.5))) is None


@needs_torch
def test_less_time_means_fewer_epochs_and_the_clock_ends_them() -> None:
    """The timer moves at every look, so an epoch of four steps takes two seconds."""
    problem = planted(Task.BINARY, rows=1400)
    long, short = Deadline(120.0, ticking(0.5)), Deadline(70.0, ticking(0.5))
    more, fewer = fit(problem, long), fit(problem, short)
    assert more is not None
    assert fewer is not None
    assert more.chosen["epochs"] > fewer.chosen["epochs"] >= 6
    assert short.left > 0


def test_it_proposes_only_where_rows_are_neither_few_nor_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    proposed = [
        len(MLPFamily().configurations(DataShape(Task.BINARY, rows, features, 0, 2)))
        for rows, features in ((100, 10), (5_000, 10), (50_000, 500), (1_000_000, 10))
    ]
    assert proposed == [0, 1, 0, 0]


def test_without_pytorch_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ExtraMissingError, match="'torch'"):
        MLPFamily().configurations(planted(Task.BINARY).shape)
    with pytest.raises(ExtraMissingError, match="'torch'"):
        torch_library()


@needs_torch
def test_proposing_does_not_load_pytorch() -> None:
    code = (
        "import sys\n"
        "from tenure.training.families.mlp import MLPFamily\n"
        "from tenure.core.modelling import DataShape, Task\n"
        "assert MLPFamily().configurations(DataShape(Task.BINARY, 5000, 10, 0, 2))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_torch
def test_a_short_fit_does_not_wait_for_pytorch_to_load() -> None:
    code = (
        "import sys, time, numpy as np\n"
        "from tenure.core.modelling import Task\n"
        "from tenure.core.ports import Deadline, Problem\n"
        "from tenure.training.families.mlp import MLPFamily\n"
        "x = np.random.default_rng(0).normal(size=(400, 2))\n"
        "problem = Problem(Task.REGRESSION, 0, x, ('a', 'b'), (False, False), x[:, 0])\n"
        "proposed = MLPFamily().configurations(problem.shape)[0]\n"
        "rows = np.arange(400)\n"
        "short = Deadline(4.0, time.monotonic)\n"
        "assert MLPFamily().fit(proposed, problem, rows, None, rounds=2, deadline=short) is None\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
