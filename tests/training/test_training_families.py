from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_worlds import planted, ticking

from tenure.core.errors import UnknownPluginError
from tenure.core.metrics import PROPER_LOSS, metric_named
from tenure.core.modelling import Task
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Deadline, Fitted, ModelFamily, Problem

LEARNERS = ("linear", "lightgbm", "prepared", "catboost")


def family(name: str) -> ModelFamily:
    found: ModelFamily = plugin("family", name)()
    return found


def fit_first(name: str, problem: Problem, deadline: Deadline, *, rounds: int | None = None) -> Fitted | None:
    rows = np.arange(len(problem.target))
    valid = None if rounds else rows[rows % 4 == 0]
    proposed = family(name).configurations(problem.shape)[0]
    return family(name).fit(proposed, problem, rows[rows % 4 > 0], valid, rounds=rounds, deadline=deadline)


def test_all_families_are_found() -> None:
    assert set(plugin_names("family")) >= {"baseline", *LEARNERS}


def test_an_unknown_family_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownPluginError) as caught:
        plugin("family", "lightbgm")
    assert "lightgbm" in caught.value.hint


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("name", LEARNERS)
def test_a_planted_signal_is_found(name: str, task: Task, plenty: Deadline) -> None:
    problem = planted(task)
    held = np.arange(0, 600, 4)
    metric = metric_named(PROPER_LOSS[task], task=task)
    fitted, base = fit_first(name, problem, plenty), fit_first("baseline", problem, plenty)
    assert fitted is not None
    assert base is not None
    ours, theirs = (metric(problem.target[held], f.member.predict(problem.matrix[held])) for f in (fitted, base))
    assert ours < 0.75 * theirs


@pytest.mark.parametrize("name", ["linear", "lightgbm"])
def test_a_hundred_and_twenty_classes_are_learned(name: str, plenty: Deadline) -> None:
    problem = planted(Task.MULTICLASS, rows=2400, classes=120)
    fitted = fit_first(name, problem, plenty, rounds=4)
    assert fitted is not None
    said = fitted.member.predict(problem.matrix[:200])
    assert said.shape == (200, 120)
    np.testing.assert_allclose(said.sum(axis=1), 1.0)
    assert np.mean(np.abs(said.argmax(axis=1) - problem.target[:200])) < 30


@pytest.mark.parametrize("name", ["linear", "lightgbm", "prepared"])
def test_a_class_missing_from_the_training_rows_does_no_harm(name: str, plenty: Deadline) -> None:
    problem = planted(Task.MULTICLASS)
    rows = np.flatnonzero(problem.target != 2)
    proposed = family(name).configurations(problem.shape)[0]
    fitted = family(name).fit(proposed, problem, rows, None, rounds=5, deadline=plenty)
    assert fitted is not None
    assert np.isfinite(fitted.member.predict(problem.matrix)).all()


@pytest.mark.parametrize("name", ["linear", "lightgbm", "prepared"])
def test_training_rows_of_one_class_do_no_harm(name: str, plenty: Deadline) -> None:
    problem = planted(Task.BINARY)
    rows = np.flatnonzero(problem.target == 1)
    proposed = family(name).configurations(problem.shape)[0]
    fitted = family(name).fit(proposed, problem, rows, None, rounds=5, deadline=plenty)
    assert fitted is not None
    assert fitted.member.predict(problem.matrix)[:, 1].min() > 0.5


@pytest.mark.parametrize("task", list(Task))
def test_catboost_stands_aside_where_training_rows_lack_a_class_or_are_all_alike(task: Task, plenty: Deadline) -> None:
    problem = planted(task)
    if task is Task.REGRESSION:
        problem = replace(problem, target=np.full(len(problem.target), 3.0))
    rows = np.flatnonzero(problem.target != 2)
    rows = np.flatnonzero(problem.target == 1) if task is Task.BINARY else rows
    proposed = family("catboost").configurations(problem.shape)[0]
    every = np.arange(len(problem.target))
    assert family("catboost").fit(proposed, problem, rows, every, rounds=None, deadline=plenty) is None


@pytest.mark.parametrize("name", LEARNERS)
def test_the_same_seed_gives_the_same_member(name: str, plenty: Deadline) -> None:
    said = []
    for _ in range(2):
        problem = planted(Task.BINARY, seed=3)
        fitted = fit_first(name, problem, plenty)
        assert fitted is not None
        said.append(fitted.member.predict(problem.matrix))
    np.testing.assert_array_equal(said[0], said[1])


@pytest.mark.parametrize("name", LEARNERS)
def test_a_member_survives_its_own_saving(name: str, plenty: Deadline, tmp_path: Path) -> None:
    problem = planted(Task.MULTICLASS)
    fitted = fit_first(name, problem, plenty)
    assert fitted is not None
    spec = fitted.member.save(tmp_path, "a")
    again = plugin("member", fitted.member.kind).load(tmp_path, spec)
    np.testing.assert_allclose(again.predict(problem.matrix), fitted.member.predict(problem.matrix), rtol=1e-12)


@pytest.mark.parametrize("name", LEARNERS)
def test_nothing_is_started_when_the_time_is_up(name: str) -> None:
    assert fit_first(name, planted(Task.BINARY), Deadline(0.0, time.monotonic)) is None


def test_lightgbm_returns_what_it_has_when_the_time_ends() -> None:
    """The timer moves at every look, so rounds are counted without waiting for any of them."""
    fitted = fit_first("lightgbm", planted(Task.BINARY), Deadline(1.0, ticking(0.02)))
    assert fitted is not None
    assert fitted.rounds is not None
    assert 1 <= fitted.rounds <= 50


def test_linear_returns_what_it_has_when_the_time_ends() -> None:
    long, short = (fit_first("linear", planted(Task.BINARY), Deadline(s, ticking())) for s in (1e6, 0.05))
    assert long is not None
    assert short is not None
    assert short.rounds == 1


def test_catboost_stands_aside_where_it_could_not_grow_enough_trees() -> None:
    problem = planted(Task.BINARY)
    assert fit_first("catboost", problem, Deadline(0.01, time.monotonic)) is None


def test_fixed_rounds_are_kept(plenty: Deadline) -> None:
    fitted = fit_first("lightgbm", planted(Task.REGRESSION), plenty, rounds=7)
    assert fitted is not None
    assert fitted.rounds == 7


def test_less_time_gives_a_larger_learning_rate() -> None:
    rates = []
    for seconds in (100.0, 0.5):
        problem = planted(Task.BINARY)
        rows = np.arange(600)
        plain = next(c for c in family("lightgbm").configurations(problem.shape) if c.name == "lightgbm-plain")
        deadline = Deadline(seconds, ticking(0.001))
        fitted = family("lightgbm").fit(plain, problem, rows[100:], rows[:100], rounds=None, deadline=deadline)
        assert fitted is not None
        rates.append(fitted.chosen["learning_rate"])
    assert rates[0] < rates[1]


def test_all_fits_share_one_binned_data_set(plenty: Deadline) -> None:
    problem = planted(Task.BINARY)
    fit_first("lightgbm", problem, plenty, rounds=2)
    first = problem.shared["boosting"].binned
    fit_first("lightgbm", problem, plenty, rounds=2)
    assert problem.shared["boosting"].binned is first


def test_leaves_are_counted(plenty: Deadline) -> None:
    fitted = fit_first("lightgbm", planted(Task.REGRESSION), plenty, rounds=3)
    assert fitted is not None
    assert 3 < fitted.leaves <= 3 * 100
