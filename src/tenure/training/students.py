"""Try a student in the place of an ensemble that takes too long, and judge it against what fits without one.

Each fold has its own student, of a teacher that never saw the fold's rows, so that what is stated is honest; the one to
serve learns from all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Indices, Task
from tenure.core.uncertainty import mean_with_interval
from tenure.model.fitted import WeightedMember
from tenure.training.distillation import DistilledFamily, Lesson, plan_lesson
from tenure.training.ensemble import Pool
from tenure.training.race import Race
from tenure.training.row_time import RowTime
from tenure.training.track import Entrant, Fit, Job

Members = Sequence[WeightedMember]

NO_TIME: Final = "There was no room or no time for a student of it."
_ACCEPTED: Final = 0.25
"""Of what is lost without a student, how much it may lose (methods.md 9, point 4)."""


@dataclass(frozen=True, eq=False)
class Student:
    """A student that was accepted: its fits of the choosing folds, and its lesson."""

    entrant: Entrant
    lesson: Lesson


@dataclass(frozen=True, eq=False)
class Teacher:
    """An ensemble that takes too long for a row, and what is left without it.

    `by_fold` are its members for each choosing fold, and for the reporting one if there is one; `rounds` the most that
    one of them took. `predicted` and `pruned` are what it and the ensemble within the limit say of the choosing rows;
    where none is within the limit, the baseline stands for it. `refits` are the seconds it still needs to learn from
    all rows.
    """

    by_fold: tuple[Members, ...]
    rounds: int
    row_time: RowTime
    predicted: Floats
    pruned: Floats
    refits: float = 0.0


def try_student(race: Race, teacher: Teacher) -> tuple[Student | None, str]:
    """Return a student that keeps at least three quarters of what pruning loses; or None, and why not."""
    losing = _losses(race, teacher.pruned) - _losses(race, teacher.predicted)
    lost, low, _ = mean_with_interval(losing)
    if low <= 0:
        return None, "Leaving members out loses nothing that can be measured."
    if race.problem.task is Task.MULTICLASS:
        return None, "Answers of more than two classes are not distilled."
    folds = [*race.course.choosing, *([race.course.reporting] if race.course.reporting else [])]
    lesson = plan_lesson(
        race.problem,
        race.limit,
        teacher=teacher.row_time,
        rounds=teacher.rounds,
        fits=len(folds) + 1,
        seconds=race.budget.racing(teacher.refits).left,
        workers=race.track.workers,
    )
    if lesson is None:
        return None, NO_TIME
    entrant = Entrant(DistilledFamily(()), lesson.configuration)
    jobs = [_job(members, lesson, fold.train, fold.valid) for members, fold in zip(teacher.by_fold, folds, strict=True)]
    fits = _grown(race, jobs)
    if fits is None:
        return None, NO_TIME
    entrant.fits = dict(enumerate(fits[: len(race.course.choosing)]))
    entrant.report = fits[-1] if race.course.reporting else None
    race.entrants.append(entrant)
    short = float(np.mean(_losses(race, entrant.predicted()) - _losses(race, teacher.predicted)))
    if short > _ACCEPTED * lost:
        return None, f"A student of it would lose {short / lost:.0%} of that."
    return Student(entrant, lesson), ""


def finish(race: Race, student: Student, members: Members) -> Fit | None:
    """Return the student to serve, whom `members` teach all rows.

    None where the time does not do, or somebody interrupts.
    """
    everything = race.course.refitted
    fits = _grown(race, [_job(members, student.lesson, everything, everything[:1])])
    return None if fits is None else fits[0]


def _job(members: Members, lesson: Lesson, train: Indices, asked: Indices) -> Job:
    return Job(Entrant(DistilledFamily(members), lesson.configuration), train, None, asked, inf, lesson.rounds)


def _grown(race: Race, jobs: Sequence[Job]) -> list[Fit] | None:
    try:
        done = race.track.run(jobs, race.budget.racing(0.0))
    except KeyboardInterrupt:
        return None
    fits = [fit for fit in done if fit is not None]
    return fits if len(fits) == len(jobs) else None


def _losses(race: Race, predicted: Floats) -> Floats:
    """Return the loss of each choosing row, times its weight."""
    rows = np.concatenate([fold.valid for fold in race.course.choosing])
    losses: Floats = Pool.of(
        race.problem.task, race.problem.target[rows], [predicted], absolute=race.absolute
    ).row_losses()[0]
    weight = race.problem.weight
    return losses if weight is None else losses * weight[rows]
