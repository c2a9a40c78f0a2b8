"""What a model family promises, on small problems of every task that it says it can do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from tenure.core.metrics import PROPER_LOSS, metric_named
from tenure.core.modelling import Configuration, Floats, Indices, Task
from tenure.core.ports import Deadline, Fitted, Member, ModelFamily, Problem
from tenure.testing.contracts.members import member_contract
from tenure.testing.contracts.promises import Promise, bound, promised, same_numbers

_ROWS: Final = 300
_TRAIN: Final = np.arange(200)
_VALID: Final = np.arange(200, _ROWS)
_ROUNDS: Final = 20
_SECONDS: Final = 6.0


def tiny_problem(task: Task, *, seed: int = 0, nothing: bool = False) -> Problem:
    """Make a problem of 300 rows: two telling numbers, a category of three codes, empty cells, one number of noise.

    With `nothing` the target has nothing to do with the columns.
    """
    rng = np.random.default_rng((11, seed))
    numbers = rng.normal(size=(_ROWS, 3))
    category = rng.integers(0, 3, _ROWS).astype(np.float64)
    signal = 2.0 * numbers[:, 0] - 1.5 * numbers[:, 1] + np.where(category == 2, 1.5, -0.5)
    signal = rng.permutation(signal) if nothing else signal
    matrix = np.column_stack([numbers, category])
    matrix[rng.random(_ROWS) < 0.1, 2] = np.nan
    matrix[rng.random(_ROWS) < 0.05, 3] = np.nan
    target: Floats | Indices = signal + rng.normal(0.0, 0.3, _ROWS)
    if task is not Task.REGRESSION:
        cuts = [0.0] if task is Task.BINARY else [-1.0, 1.0]
        target = np.digitize(target, cuts).astype(np.int64)
    return Problem(
        task=task,
        classes={Task.BINARY: 2, Task.MULTICLASS: 3, Task.REGRESSION: 0}[task],
        matrix=matrix,
        names=("one", "two", "noise", "level"),
        categorical=(False, False, False, True),
        target=target,
        seed=seed,
        threads=1,
    )


def family_contract(family: ModelFamily, *, learns: bool = True) -> Iterator[Promise]:
    """Yield the promises of a family, for each task in its traits. `learns` is False for baselines."""
    for task in sorted(family.traits.tasks):
        for name, promise in bound(
            (
                _names_its_configurations,
                _same_seed_same_predictions,
                _answers_in_the_right_form,
                _answers_an_unseen_category,
                _stops_early_and_refits_on_all_rows,
                _obeys_a_deadline_that_has_passed,
                _changes_nothing,
                *((_beats_chance_on_a_planted_signal,) if learns else ()),
            ),
            family,
            task,
        ):
            yield f"{name}-{task.value}", promise
        yield f"members_keep_theirs-{task.value}", partial(_members_keep_theirs, family, task)


def _deadline(seconds: float = _SECONDS) -> Deadline:
    return Deadline(seconds, time.monotonic)


def _configurations(family: ModelFamily, problem: Problem) -> list[Configuration]:
    return sorted(family.configurations(problem.shape), key=lambda configuration: configuration.rank)


def _fit(
    family: ModelFamily, problem: Problem, configuration: Configuration | None = None, *, rounds: int | None = _ROUNDS
) -> Fitted:
    chosen = configuration or _configurations(family, problem)[0]
    valid = None if rounds is not None else _VALID
    fitted = family.fit(chosen, problem, _TRAIN, valid, rounds=rounds, deadline=_deadline())
    if fitted is None:
        raise AssertionError(f"{chosen.name} gave nothing in {_SECONDS:.0f} seconds on {_ROWS} rows")
    return fitted


def _names_its_configurations(family: ModelFamily, task: Task) -> None:
    found = family.configurations(tiny_problem(task).shape)
    names = [configuration.name for configuration in found]
    promised(bool(names), f"{family.name} proposes nothing for {task}")
    promised(len(set(names)) == len(names), f"{family.name} uses a name twice: {names}")
    promised(all(c.family == family.name for c in found), f"{family.name} proposes for another family")


def _same_seed_same_predictions(family: ModelFamily, task: Task) -> None:
    if not family.traits.deterministic:
        return
    for configuration in _configurations(family, tiny_problem(task)):
        said = [
            _fit(family, problem, configuration).member.predict(problem.matrix)
            for problem in (tiny_problem(task), tiny_problem(task))
        ]
        promised(same_numbers(*said), f"{configuration.name} predicts otherwise with the same seed")


def _answers_in_the_right_form(family: ModelFamily, task: Task) -> None:
    for configuration in _configurations(family, tiny_problem(task)):
        problem = tiny_problem(task)
        _right_form(configuration.name, problem, _fit(family, problem, configuration).member)


def _right_form(name: str, problem: Problem, member: Member) -> None:
    for rows in (problem.matrix, problem.matrix[:1]):
        said = member.predict(rows)
        wanted = (len(rows), problem.classes) if problem.task.is_classification else (len(rows),)
        promised(said.shape == wanted, f"{name} answers in the shape {said.shape}, not {wanted}")
        promised(said.dtype == np.float64, f"{name} answers in {said.dtype}, not float64")
        promised(bool(np.isfinite(said).all()), f"{name} answers with what is no number")
        if problem.task.is_classification:
            promised(bool(np.all((said >= 0) & (said <= 1))), f"{name} gives probabilities outside 0 to 1")
            promised(bool(np.allclose(said.sum(axis=1), 1.0, atol=1e-9)), f"{name}: probabilities do not sum to 1")


def _answers_an_unseen_category(family: ModelFamily, task: Task) -> None:
    problem = tiny_problem(task)
    member = _fit(family, problem).member
    strange = problem.matrix[:5].copy()
    for code in (np.nan, 3.0, 99.0):
        strange[:, 3] = code
        said = member.predict(strange)
        promised(bool(np.isfinite(said).all()), f"{family.name}: the category code {code} gives {said}")


def _stops_early_and_refits_on_all_rows(family: ModelFamily, task: Task) -> None:
    problem = tiny_problem(task)
    stopped = _fit(family, problem, rounds=None)
    chosen = _configurations(family, problem)[0]
    refitted = family.fit(
        chosen, problem, np.arange(_ROWS), None, rounds=stopped.rounds or _ROUNDS, deadline=_deadline()
    )
    if refitted is None:
        raise AssertionError(f"{chosen.name} gave nothing when fitted again on all rows")
    _right_form(chosen.name, problem, refitted.member)


def _obeys_a_deadline_that_has_passed(family: ModelFamily, task: Task) -> None:
    problem = tiny_problem(task)
    for configuration in _configurations(family, problem):
        fitted = family.fit(configuration, problem, _TRAIN, _VALID, rounds=None, deadline=_deadline(0.0))
        if fitted is not None:
            _right_form(configuration.name, problem, fitted.member)


def _changes_nothing(family: ModelFamily, task: Task) -> None:
    problem, fresh = tiny_problem(task), tiny_problem(task)
    _fit(family, problem, rounds=None)
    promised(same_numbers(problem.matrix, fresh.matrix), f"{family.name} changed the matrix it learned from")
    promised(bool(np.array_equal(problem.target, fresh.target)), f"{family.name} changed the target it learned from")


def _beats_chance_on_a_planted_signal(family: ModelFamily, task: Task) -> None:
    metric = metric_named(PROPER_LOSS[task], task=task)
    problem = tiny_problem(task)
    said = _fit(family, problem, rounds=None).member.predict(problem.matrix[_VALID])
    truth = problem.target[_VALID]
    if task.is_classification:
        share = np.bincount(problem.target[_TRAIN], minlength=problem.classes) / len(_TRAIN)
        guess = np.tile(share, (len(_VALID), 1))
    else:
        guess = np.full(len(_VALID), problem.target[_TRAIN].mean())
    gain = metric.gain(metric(truth, said), metric(truth, guess))
    promised(gain > 0.1 * metric(truth, guess), f"{family.name} hardly beats a guess: {metric.name} gains {gain:.3g}")


def _members_keep_theirs(family: ModelFamily, task: Task) -> None:
    problem = tiny_problem(task)
    for _, promise in member_contract(_fit(family, problem).member, problem.matrix):
        promise()
