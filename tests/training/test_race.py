from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from training_worlds import planted, ticking

from tenure.core.modelling import Configuration, DataShape, Fold, Indices, Task, Traits
from tenure.core.ports import Deadline, Fitted, Problem, Silent
from tenure.model.members.constant import ConstantMember
from tenure.training.budget import Budget, Course
from tenure.training.ensemble import steadied
from tenure.training.families.baseline import BaselineFamily
from tenure.training.race import INTERRUPTED, Race
from tenure.training.track import Entrant, Fit, Job, Track


class Guesser:
    """A family whose configurations guess values; it counts what it was asked to do."""

    name: ClassVar[str] = "guesser"
    traits: ClassVar[Traits] = Traits(tasks=frozenset(Task))

    def __init__(self, guesses: Sequence[float]) -> None:
        self.guesses = guesses
        self.fits: list[tuple[str, int]] = []

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        return [Configuration(f"guess-{at}", self.name, {"value": g}, rank=at) for at, g in enumerate(self.guesses)]

    def fit(
        self,
        configuration: Configuration,
        problem: Problem,
        train: Indices,
        valid: Indices | None,
        *,
        rounds: int | None,
        deadline: Deadline,
    ) -> Fitted | None:
        self.fits.append((configuration.name, len(train)))
        return Fitted(ConstantMember(problem.task, [configuration.params["value"]]))


def course(rows: int, folds: int = 3) -> Course:
    at = np.arange(rows)
    return Course(tuple(Fold(at[at % folds != f], at[at % folds == f]) for f in range(folds)), None, rows)


def race(problem: Problem, seconds: float = 1e6) -> Race:
    budget = Budget(seconds, Deadline(seconds, time.monotonic), workers=2)
    return Race(problem, course(len(problem.target)), budget, Track(problem, workers=2), Silent())


def proposals(guesser: Guesser, problem: Problem) -> list[tuple[BaselineFamily | Guesser, Configuration]]:
    families: list[BaselineFamily | Guesser] = [BaselineFamily(), guesser]
    return [(family, c) for family in families for c in family.configurations(problem.shape)]


def test_all_configurations_run_on_all_folds() -> None:
    problem = planted(Task.REGRESSION)
    run = race(problem)
    run.run(proposals(Guesser([100.0, 101.0, 102.0]), problem))
    assert [e.name for e in run.complete()] == ["baseline", "guess-0", "guess-1", "guess-2"]
    assert run.stopped_because == "Every configuration was tried."
    assert sum(run.weights.values()) == pytest.approx(1.0)


def test_the_hopeless_are_dropped_after_their_first_fold() -> None:
    problem = planted(Task.REGRESSION)
    guesser = Guesser([100.0, 900.0])
    run = race(problem)
    run.run(proposals(guesser, problem))
    hopeless = next(e for e in run.entrants if e.name == "guess-1")
    assert hopeless.dropped == "far behind on the first fold"
    assert len(hopeless.fits) < 3


def test_the_race_ends_when_candidates_no_longer_help() -> None:
    problem = planted(Task.REGRESSION)
    guesser = Guesser([100.0] * 30)
    run = race(problem)
    run.run(proposals(guesser, problem))
    assert run.stopped_because == "More candidates no longer helped."
    assert len(run.entrants) < 12


def test_where_more_no_longer_helps_the_best_run_again_with_other_seeds() -> None:
    class Seeded(Guesser):
        traits: ClassVar[Traits] = Traits(tasks=frozenset(Task), seeded=True)

    problem = planted(Task.REGRESSION)
    run = race(problem)
    run.run(proposals(Seeded([100.0] * 30), problem))
    assert run.stopped_because == "More candidates no longer helped."
    assert any(entrant.seed > 0 for entrant in run.complete())
    assert "guess-29" not in {entrant.name for entrant in run.entrants}


def test_a_race_without_time_has_no_entrants() -> None:
    problem = planted(Task.REGRESSION)
    run = race(problem, seconds=0.0)
    run.run(proposals(Guesser([1.0]), problem))
    assert not run.complete()
    assert run.stopped_because == "The time was up."


def test_more_rows_need_a_few_more_rounds() -> None:
    entrant = Entrant(BaselineFamily(), Configuration("x", "x"))
    member = ConstantMember(Task.REGRESSION, [0.0])
    for at, (rounds, rows) in enumerate([(100, 100), (120, 300)]):
        entrant.fits[at] = Fit(Fitted(member, rounds), np.zeros(1), rows, 1.0)
    assert entrant.rounds(250) == 119
    assert 119 < (entrant.rounds(1000) or 0) < 230


class Endless(Guesser):
    """A family that learns until its deadline, or until somebody interrupts."""

    started: ClassVar[threading.Event] = threading.Event()

    def fit(
        self,
        configuration: Configuration,
        problem: Problem,
        train: Indices,
        valid: Indices | None,
        *,
        rounds: int | None,
        deadline: Deadline,
    ) -> Fitted | None:
        if configuration.params["value"] == 0.0:
            self.started.wait()
            raise KeyboardInterrupt
        self.started.set()
        while not deadline.passed:
            pass
        return None


def test_an_interrupt_ends_the_fits_under_way_and_goes_on() -> None:
    problem = planted(Task.REGRESSION)
    family = Endless([0.0, 1.0])
    rows = np.arange(10)
    jobs = [Job(Entrant(family, c), rows, None, rows, 1e9) for c in family.configurations(problem.shape)]
    with pytest.raises(KeyboardInterrupt):
        Track(problem, workers=2).run(jobs, Deadline(1e9, time.monotonic))


class Interrupting(Guesser):
    """A family that somebody interrupts at its second configuration."""

    def fit(
        self,
        configuration: Configuration,
        problem: Problem,
        train: Indices,
        valid: Indices | None,
        *,
        rounds: int | None,
        deadline: Deadline,
    ) -> Fitted | None:
        if configuration.params["value"] == 0.0:
            raise KeyboardInterrupt
        return super().fit(configuration, problem, train, valid, rounds=rounds, deadline=deadline)


def test_an_interrupted_race_keeps_the_best_so_far() -> None:
    problem = planted(Task.REGRESSION)
    run = race(problem)
    run.trials = 3
    run.run(proposals(Interrupting([100.0, 0.0, 50.0]), problem))
    assert run.stopped_because == INTERRUPTED
    assert [entrant.name for entrant in run.complete()] == ["baseline", "guess-0"]
    assert run.budget.deadline.passed


def test_a_race_that_is_interrupted_before_anything_was_learned_ends() -> None:
    class Never(BaselineFamily):
        def fit(self, *_: object, **__: object) -> Fitted | None:
            raise KeyboardInterrupt

    problem = planted(Task.REGRESSION)
    family = Never()
    with pytest.raises(KeyboardInterrupt):
        race(problem).run([(family, c) for c in family.configurations(problem.shape)])


def test_trials_bound_what_is_tried_besides_baseline_and_linear() -> None:
    problem = planted(Task.REGRESSION)
    run = race(problem)
    run.trials = 2
    run.run(proposals(Guesser([100.0, 101.0, 102.0]), problem))
    assert [entrant.name for entrant in run.complete()] == ["baseline", "guess-0", "guess-1"]


def test_good_candidates_share_half_of_the_weight_in_time_order() -> None:
    losses = np.array([1.0, 1.05, 1.4, 3.0, np.inf])
    drawn = steadied(np.array([1.0, 0.0, 0.0, 0.0, 0.0]), losses, floor=4.0)
    assert drawn.tolist() == pytest.approx([0.75, 0.25, 0.0, 0.0, 0.0])
    assert drawn.sum() == pytest.approx(1.0)


class Filling(Guesser):
    """A family that learns as long as it may, as boosting does on very many rows; it moves a clock of its own."""

    now = 0.0

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        return [replace(found, look={}) for found in super().configurations(shape)]

    def fit(
        self,
        configuration: Configuration,
        problem: Problem,
        train: Indices,
        valid: Indices | None,
        *,
        rounds: int | None,
        deadline: Deadline,
    ) -> Fitted | None:
        found = super().fit(configuration, problem, train, valid, rounds=rounds, deadline=deadline)
        self.now += deadline.left if rounds is None else min(rounds * len(train) * 1e-6, deadline.left)
        return None if found is None else replace(found, rounds=rounds or 100)


def test_where_looks_say_that_time_is_short_a_learner_still_gets_all_of_it() -> None:
    problem = planted(Task.REGRESSION, rows=120_000)
    family = Filling([100.0, 101.0, 102.0, 900.0])
    budget = Budget(60.0, Deadline(60.0, lambda: family.now), workers=1)
    at = np.arange(120_000)
    both = (Fold(at[12_000:], at[:12_000]),)
    run = Race(problem, Course(both, None, 120_000).shortened(), budget, Track(problem, workers=1), Silent())
    run.run(proposals(family, problem))
    assert "guesser" in {entrant.family.name for entrant in run.complete()}
    assert {rows for name, rows in family.fits if name.endswith("?")} <= set(range(10_000, 108_000))
    assert len([name for name, _ in family.fits if name.endswith("?")]) == 4


class Stranger(Guesser):
    """A family that is not ready when it is first asked."""

    name: ClassVar[str] = "stranger"

    def fit(self, configuration: Configuration, *given: Any, deadline: Deadline, **named: Any) -> Fitted | None:
        self.fits.append((configuration.name, 0))
        return None if len(self.fits) == 1 else Fitted(ConstantMember(Task.REGRESSION, [100.0]))


def test_a_family_that_could_not_be_looked_at_follows_the_first_heat() -> None:
    class Quick(Filling):
        def fit(self, *given: Any, rounds: int | None, deadline: Deadline) -> Fitted | None:
            return super().fit(*given, rounds=rounds, deadline=deadline.within(0.01))

    problem = planted(Task.REGRESSION)
    family, stranger = Quick([100.0, 101.0, 102.0, 103.0]), Stranger([100.0])
    budget = Budget(60.0, Deadline(60.0, lambda: family.now), workers=1)
    run = Race(problem, course(600), budget, Track(problem, workers=1), Silent())
    late = [(stranger, replace(each, name="strange", rank=90)) for each in stranger.configurations(problem.shape)]
    run.run([*proposals(family, problem), *late])
    names = [entrant.name for entrant in run.entrants]
    assert names.index("strange") == 3
    assert len(names) > 4


def test_a_fit_is_not_started_after_the_end() -> None:
    problem = planted(Task.REGRESSION)
    guesser = Guesser([1.0])
    rows = np.arange(10)
    job = Job(Entrant(guesser, guesser.configurations(problem.shape)[0]), rows, None, rows, 100.0)
    assert Track(problem, workers=1).run([job], Deadline(0.005, ticking())) == [None]
    assert not guesser.fits
