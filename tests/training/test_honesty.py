from __future__ import annotations

import time
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from training_worlds import forward_blocks, planted

from tenure.core.metrics import metric_named
from tenure.core.modelling import Floats, Fold, Scheme, Score, Task, ValidationPlan
from tenure.core.ports import Deadline
from tenure.core.uncertainty import measured_on, score_with_interval
from tenure.model.fitted import WeightedMember
from tenure.model.plan import ColumnPlan
from tenure.training.budget import Course
from tenure.training.families.lightgbm import LightGBMFamily
from tenure.training.honesty import expected_score, gain_of_mean, next_period
from tenure.training.material import Material
from tenure.training.scores import score
from tenure.training.served import Ensemble

METRIC = {Task.BINARY: "roc_auc", Task.MULTICLASS: "log_loss", Task.REGRESSION: "rmse"}


def same(answer: Floats) -> Floats:
    return answer


def members_of(folds: int, rows: int, *, unseen: bool, seed: int) -> tuple[Floats, Floats, Floats]:
    """Return a target, one member's values of new rows, and what the others say: independent errors of sd 0.5."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=rows)
    target = signal + rng.normal(size=rows)
    said = signal + 0.5 * rng.normal(size=(folds, rows))
    # A linear smoother that saw a row moves towards it, and so do its differences from the others shrink.
    seen = said[1:] if unseen else target + 0.6 * (said[1:] - target)
    return target, said[0], seen


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_the_gain_of_a_mean_of_values_is_what_theory_says(folds: int) -> None:
    metric = metric_named("rmse", task=Task.REGRESSION)
    target, own, others = members_of(folds, 40_000, unseen=True, seed=folds)
    expected = np.sqrt(1 + 0.25) - np.sqrt(1 + 0.25 / folds)
    assert gain_of_mean(metric, Task.REGRESSION, target, own, others) == pytest.approx(expected, rel=0.1)


def test_members_that_saw_the_row_promise_less_but_not_more() -> None:
    metric = metric_named("rmse", task=Task.REGRESSION)
    target, own, others = members_of(5, 40_000, unseen=False, seed=1)
    truth = np.sqrt(1 + 0.25) - np.sqrt(1 + 0.05)
    assert 0.5 * truth < gain_of_mean(metric, Task.REGRESSION, target, own, others) < truth


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), folds=st.integers(3, 8), name=st.sampled_from(["log_loss", "roc_auc", "accuracy"]))
def test_a_mean_is_never_promised_to_lose(seed: int, folds: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, 300)
    said = rng.beta(2, 2, size=(folds, 300))
    shares = np.stack([1 - said, said], axis=2)
    metric = metric_named(name, task=Task.BINARY)
    assert gain_of_mean(metric, Task.BINARY, target, shares[0], shares[1:]) >= 0.0
    assert gain_of_mean(metric, Task.BINARY, target, shares[0], np.stack([shares[1]] * 4)) == pytest.approx(0, abs=1e-9)
    assert gain_of_mean(metric, Task.BINARY, target, shares[0], shares[1:2]) == 0.0


def test_a_score_measured_again_lies_in_its_interval_as_often_as_it_says() -> None:
    metric = metric_named("log_loss", task=Task.BINARY)
    rng = np.random.default_rng(7)
    held = narrow = 0
    for _ in range(400):
        shares = rng.beta(2, 2, 400)
        target = (rng.random(400) < shares).astype(np.int64)
        said = np.column_stack([1 - shares, shares])
        first = score_with_interval(metric, target[:300], said[:300])
        again = metric(target[300:], said[300:])
        stated = measured_on(first, 100)
        held += stated.low <= again <= stated.high
        narrow += first.low <= again <= first.high
    assert 0.92 < held / 400 < 0.985
    assert narrow / 400 < 0.8


@pytest.mark.parametrize(
    ("name", "spread", "least"), [("rmse", 0.2, 0.94), ("roc_auc", 0.2, 0.94), ("rmse", 0.3, 0.88)]
)
def test_one_more_period_lies_between_the_ends_as_often_as_they_say(name: str, spread: float, least: float) -> None:
    errors = np.exp(np.random.default_rng(3).normal(-1.5, spread, size=(2000, 5)))
    drawn = 1 - errors if name == "roc_auc" else errors
    held = [low <= row[4] <= high for row in drawn for low, high in [next_period([period(name, v) for v in row[:4]])]]
    assert least < np.mean(held) < 0.985


def test_a_period_without_error_leaves_the_ends_where_the_metric_can_be() -> None:
    for values in ([1.0, 1.0], [1.0, 0.9, 1.0]):
        low, high = next_period([period("roc_auc", value) for value in values])
        assert low <= high <= 1.0
        assert np.isfinite(low)


def test_equal_periods_still_err_by_their_rows() -> None:
    low, high = next_period([Score("roc_auc", 0.8, 0.76, 0.84, 500)] * 4)
    assert low < 0.76
    assert high > 0.84


def period(metric: str, value: float) -> Score:
    return Score(metric, float(value), float(value) - 1e-4, float(value) + 1e-4, 1000)


def bag(task: Task, folds: int = 5, *, seed: int = 0) -> tuple[Material, ValidationPlan, Ensemble]:
    """Return short LightGBMs of each fold, as cross validation leaves them."""
    problem = planted(task, rows=900, classes=3, seed=seed)
    block = np.arange(900) % folds
    course = Course(
        tuple(Fold(np.flatnonzero(block != b), np.flatnonzero(block == b)) for b in range(folds)), None, 900
    )
    family = LightGBMFamily()
    configuration = family.configurations(problem.shape)[0]
    never = Deadline(1e9, time.monotonic)
    fits = [family.fit(configuration, problem, fold.train, None, rounds=60, deadline=never) for fold in course.choosing]
    members = [fit.member for fit in fits if fit is not None]
    rows = np.concatenate([fold.valid for fold in course.choosing])
    said = [member.predict(problem.matrix[fold.valid]) for member, fold in zip(members, course.choosing, strict=True)]
    ends = np.cumsum([len(fold.valid) for fold in course.choosing])
    ensemble = Ensemble(
        weights={configuration.name: 1.0},
        members=tuple(WeightedMember(configuration.name, 1 / folds, member) for member in members),
        rows=rows,
        predicted=np.concatenate(said),
        baseline=np.concatenate(said),
        reported=np.ones(len(rows), dtype=bool),
        folds=tuple(np.arange(end - len(part), end) for end, part in zip(ends, said, strict=True)),
        judges=(),
        judged=rows[:1],
        reports={},
        bags=tuple((WeightedMember(configuration.name, 1.0, member),) for member in members),
        served_folds=folds,
    )
    return in_room(problem, course, Scheme.CROSS, ensemble)


def in_room(problem: Any, course: Course, scheme: Scheme, ensemble: Ensemble) -> Any:
    metric = metric_named(METRIC[problem.task], task=problem.task)
    clean = pl.DataFrame({"at": np.arange(course.rows)})
    material = Material(clean, ColumnPlan([]), problem, course, metric)
    return material, ValidationPlan(scheme, "by hand", len(course.choosing), "", metric.name, "By hand."), ensemble


def state(material: Material, plan: ValidationPlan, ensemble: Ensemble, deadline: Deadline) -> tuple[Score, Score, str]:
    rows = ensemble.rows[ensemble.reported]
    said = ensemble.predicted[ensemble.reported]
    measured = score(material.metric, material.problem.target[rows], said)
    stated, says = expected_score(
        material, plan, ensemble, ensemble.predicted, measured, calibrate=same, deadline=deadline
    )
    return measured, stated, says


@pytest.mark.parametrize("task", list(Task))
def test_the_bag_is_promised_more_than_its_parts_and_keeps_it(task: Task, plenty: Deadline) -> None:
    material, plan, ensemble = bag(task)
    measured, stated, says = state(material, plan, ensemble, plenty)
    new = planted(task, rows=9000, classes=3, seed=99)
    each = np.stack([part.member.predict(new.matrix) for part in ensemble.members])
    truth = material.metric(new.target, each.mean(axis=0))
    single = np.mean([material.metric(new.target, one) for one in each])
    gain, promised = material.metric.gain(truth, single), material.metric.gain(stated.value, measured.value)
    assert 0 < promised < 1.3 * gain
    assert stated.low <= truth <= stated.high
    assert stated.high - stated.low > 1.9 * (measured.high - measured.low)
    assert "300 new rows" in says
    assert "together, as they serve" in says


def test_a_passed_deadline_still_gives_a_promise(plenty: Deadline) -> None:
    material, plan, ensemble = bag(Task.REGRESSION)
    _, hurried, _ = state(material, plan, ensemble, Deadline(0.0, time.monotonic))
    _, unhurried, _ = state(material, plan, ensemble, plenty)
    assert hurried.value == pytest.approx(unhurried.value, rel=0.03)
    assert hurried != unhurried


def test_two_folds_are_promised_what_they_measured(plenty: Deadline) -> None:
    material, plan, ensemble = bag(Task.BINARY, folds=2)
    measured, stated, says = state(material, plan, ensemble, plenty)
    assert stated.value == measured.value
    assert says == "The interval is for the score as measured on 300 new rows."


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_periods_that_differ_widen_the_interval(plenty: Deadline, shift: float) -> None:
    problem = planted(Task.REGRESSION, rows=1000)
    blocks = forward_blocks(1000, 5)[:, 0]
    folds = [Fold(np.flatnonzero(blocks < b), np.flatnonzero(blocks == b), reports=b == 4) for b in range(1, 5)]
    rows = np.concatenate([fold.valid for fold in folds])
    rng = np.random.default_rng(0)
    said = problem.target[rows] + rng.normal(size=800) * (20.0 + shift * (np.arange(800) // 200 == 1))
    ensemble = forward_ensemble(rows, said)
    measured, stated, says = state(
        *in_room(problem, Course(tuple(folds[:3]), folds[3], 1000), Scheme.FORWARD, ensemble), plenty
    )
    assert stated.value == measured.value
    assert stated.low <= measured.low
    assert stated.high >= measured.high
    assert (stated.high > 60) == (shift > 0)
    assert says.startswith("Scores of 4 past periods ranged from ")


def forward_ensemble(rows: NDArray[np.int64], said: Floats) -> Ensemble:
    return Ensemble(
        weights={},
        members=(),
        rows=rows,
        predicted=said,
        baseline=said,
        reported=np.arange(800) >= 600,
        folds=tuple(np.arange(at, at + 200) for at in (0, 200, 400)),
        judges=(),
        judged=rows[:1],
        reports={},
    )
