"""Close the race: who is served and with what weight, and what the ensemble says of rows that did not form it.

Cross validation: the members of the folds are served as they are (a bag), and the weights that mix a fold's
predictions were chosen on the other folds. Forward: weights are chosen on the folds before the last, the last fold is
only reported, and the chosen configurations learn once more from all rows.
What would take too long for a row gives way to what does not (`trimming`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Fold
from tenure.core.ports import Deadline
from tenure.model.fitted import WeightedMember
from tenure.training.budget import affordable
from tenure.training.distillation import STUDENT
from tenure.training.ensemble import Pool, choose_weights, cross_fitted_weights, mix
from tenure.training.race import BASELINE, Race
from tenure.training.row_time import RowTime
from tenure.training.served import Ensemble, Untrimmed, named, positions, weighted
from tenure.training.students import NO_TIME, Teacher, finish, try_student
from tenure.training.track import Entrant, Fit, Job
from tenure.training.trimming import Choice, choose_folds, choose_mixture

_MOST_LEAVES: Final = 1_500_000
"""Bounds memory, and a row's time to a few milliseconds; the best candidate alone may have more."""
_MOST_SEEDS: Final = 5
_SPARE: Final = 1.3
"""Another seed is fitted where the time left is so many times what the last one took."""


def close(race: Race) -> Ensemble:
    """Return the ensemble that the race leads to, within the limit for one row."""
    if race.course.reporting is None:
        return _close_cross(race)
    return _close_forward(race, race.course.reporting)


def _close_cross(race: Race) -> Ensemble:
    entrants = _within_leaves(race.complete(), race)
    full = _of_folds(race, entrants, choose_weights, len(race.course.choosing))
    if full.row_time.microseconds <= race.limit.allowed:
        return full
    candidates = race.complete()
    choose, folds = choose_folds(race, candidates)
    pruned = _of_folds(race, candidates, choose, folds)
    fits = pruned.row_time.microseconds <= race.limit.allowed
    instead = pruned.predicted if fits else pruned.baseline
    student, note = try_student(race, Teacher(full.crossed, _rounds(entrants), full.row_time, full.predicted, instead))
    fit = None if student is None else finish(race, student, full.members)
    untrimmed = Untrimmed(full.predicted, full.weights, full.row_time, note)
    if student is None or fit is None:
        return replace(pruned, untrimmed=replace(untrimmed, note=note or NO_TIME))
    return replace(
        pruned,
        weights={STUDENT: 1.0},
        members=_alone(fit),
        predicted=student.entrant.predicted(),
        judges=_alone(student.entrant.fits[0]),
        bags=(),
        crossed=(),
        served_folds=1,
        row_time=race.row_times.whole([fit]),
        untrimmed=untrimmed,
    )


def _of_folds(race: Race, entrants: Sequence[Entrant], choose: Choice, served: int) -> Ensemble:
    """Return the bag of the members of so many folds, with the weights that `choose` finds for a pool."""
    course = race.course
    pool = race.pool(entrants)
    folds = positions(course.choosing)
    weights = choose(pool)
    predictions = [entrant.predicted() for entrant in entrants]
    each = cross_fitted_weights(pool, folds, choose)
    mixed = [mix(w, [p[at] for p in predictions]) for w, at in zip(each, folds, strict=True)]
    fits = [[entrant.fits[at] for entrant in entrants] for at in range(len(folds))]
    bags = tuple(weighted(entrants, weights, mine) for mine in fits)
    return Ensemble(
        weights=named(entrants, weights),
        members=tuple(replace(part, weight=part.weight / served) for bag in bags[:served] for part in bag),
        rows=np.concatenate([fold.valid for fold in course.choosing]),
        predicted=np.concatenate(mixed),
        baseline=_baseline(race).predicted(),
        reported=np.ones(len(pool.target), dtype=bool),
        folds=folds,
        judges=bags[0],
        judged=course.choosing[0].valid,
        reports={},
        bags=bags,
        crossed=tuple(weighted(entrants, own, mine) for own, mine in zip(each, fits, strict=True)),
        served_folds=served,
        row_time=race.row_times.whole(
            [fit for mine in fits[:served] for fit, weight in zip(mine, weights, strict=True) if weight > 0]
        ),
    )


def _close_forward(race: Race, reporting: Fold) -> Ensemble:
    """Choose weights on the choosing folds and report how they fare; then choose once more with the newest rows.

    What is reported is how this way of choosing does on rows that came later.
    """
    end = race.budget.racing(0.0)
    entrants = race.complete()
    pools = race.pool(entrants), _whole_pool(race, entrants, reporting)
    weights, served = (race.mixture(entrants, pool) for pool in pools)
    chosen = _chosen(entrants, served)
    if race.row_times.affords(chosen, race.course):
        return _learned_again(race, reporting, entrants, weights, served, end)
    fewer, served_fewer = (choose_mixture(race, entrants, pool) for pool in pools)
    fits = race.row_times.affords(_chosen(entrants, served_fewer), race.course)
    teacher = _teacher(race, entrants, weights, chosen, instead=fewer if fits else None)
    student, note = try_student(race, teacher)
    untrimmed = Untrimmed(_said(entrants, weights), named(entrants, served), teacher.row_time, note)
    if student is None:
        pruned = _learned_again(race, reporting, entrants, fewer, served_fewer, end)
        return replace(pruned, untrimmed=untrimmed)
    whole = _learned_again(race, reporting, entrants, weights, served, end)
    told = _report(student.entrant)
    # The student of the report stands in where time is short, as other members do.
    fit = finish(race, student, whole.members) or told
    return replace(
        whole,
        weights={STUDENT: 1.0},
        members=_alone(fit),
        predicted=np.concatenate([student.entrant.predicted(), told.predicted]),
        judges=_alone(told),
        reports={**whole.reports, STUDENT: told},
        row_time=race.row_times.whole([fit]),
        untrimmed=untrimmed,
    )


def _teacher(
    race: Race, entrants: Sequence[Entrant], weights: Floats, served: Sequence[Entrant], *, instead: Floats | None
) -> Teacher:
    """Return the mixture as a teacher, of which the entrants `served` would learn from all rows.

    `instead` are the weights of what stays within the limit, None where nothing does.
    """
    course = race.course
    fits = [*([e.fits[at] for e in entrants] for at in range(len(course.choosing))), [_report(e) for e in entrants]]
    answers = [entrant.predicted() for entrant in entrants]
    return Teacher(
        by_fold=tuple(weighted(entrants, weights, mine) for mine in fits),
        rounds=_rounds(served),
        row_time=race.limit.whole(*(race.row_times.served(entrant, course) for entrant in served)),
        predicted=mix(weights, answers),
        pruned=_baseline(race).predicted() if instead is None else mix(instead, answers),
        refits=sum(_seconds_again(race, entrant) for entrant in served),
    )


def _learned_again(
    race: Race, reporting: Fold, entrants: Sequence[Entrant], weights: Floats, served: Floats, end: Deadline
) -> Ensemble:
    """Return the ensemble that `weights` report of; its members learn from all rows, with the weights `served`."""
    base = _baseline(race)
    choosing = sum(len(fold.valid) for fold in race.course.choosing)
    ready = _affordable(race, entrants, served, end)
    members, row_time = _refitted(race, entrants, ready, end)
    return Ensemble(
        weights=named(entrants, ready),
        members=members,
        rows=np.concatenate([*(fold.valid for fold in race.course.choosing), reporting.valid]),
        predicted=_said(entrants, weights),
        baseline=np.concatenate([base.predicted(), _report(base).predicted]),
        reported=np.arange(choosing + len(reporting.valid)) >= choosing,
        folds=positions(race.course.choosing),
        judges=weighted(entrants, weights, [_report(entrant) for entrant in entrants]),
        judged=reporting.valid,
        reports={entrant.name: _report(entrant) for entrant in entrants},
        row_time=row_time,
    )


def _said(entrants: Sequence[Entrant], weights: Floats) -> Floats:
    """Return what a mixture says of the choosing folds' rows, and then of the reporting fold's."""
    answers = [entrant.predicted() for entrant in entrants], [_report(entrant).predicted for entrant in entrants]
    return np.concatenate([mix(weights, part) for part in answers])


def _report(entrant: Entrant) -> Fit:
    """Return what a complete entrant said of the reporting fold."""
    return entrant.report or entrant.fits[max(entrant.fits)]


def _whole_pool(race: Race, entrants: Sequence[Entrant], reporting: Fold) -> Pool:
    """Return what was said of all validated rows: a fold counts half of the next one, as the newest rows are most like
    those to come.
    """
    folds = [fold.valid for fold in race.course.choosing] + [reporting.valid]
    rows = np.concatenate(folds)
    by_age = np.concatenate([np.full(len(fold), 0.5 ** (len(folds) - at)) for at, fold in enumerate(folds)])
    answers = [np.concatenate([entrant.predicted(), _report(entrant).predicted]) for entrant in entrants]
    weight = by_age if race.problem.weight is None else by_age * race.problem.weight[rows]
    return Pool.of(race.problem.task, race.problem.target[rows], answers, absolute=race.absolute, weight=weight)


def _affordable(race: Race, entrants: Sequence[Entrant], weights: Floats, end: Deadline) -> Floats:
    """Return the weights without entrants that the time left does not allow to learn from all rows."""
    costs = [_seconds_again(race, entrant) for entrant in entrants]
    kept = np.zeros(len(entrants))
    kept[affordable(costs, weights.tolist(), end.left)] = 1.0
    shares: Floats = weights * kept
    return np.array(shares / shares.sum())


def _seconds_again(race: Race, entrant: Entrant) -> float:
    """Return the wall seconds that an entrant will need to learn from all rows."""
    return entrant.pace * race.course.closing_work / race.track.workers


def _refitted(
    race: Race, entrants: Sequence[Entrant], weights: Floats, end: Deadline
) -> tuple[tuple[WeightedMember, ...], RowTime]:
    """Fit the chosen on all rows, again with other seeds while time, leaves and a row's limit allow: their mean is
    steadier. Return the members and what a row takes them.

    The member of the report stands in where time is short, or where somebody interrupts.
    """
    pairs = [(entrant, float(weight)) for entrant, weight in zip(entrants, weights, strict=True) if weight > 0]
    chosen = sorted(pairs, key=lambda pair: -pair[1])
    everything = race.course.refitted
    fits: list[list[Fit]] = [[] for _ in chosen]
    for seed in range(_MOST_SEEDS):
        before = end.now
        runners = [at for at, (entrant, _) in enumerate(chosen) if seed == 0 or entrant.family.traits.seeded]
        jobs = [
            Job(entrant, everything, None, everything[:1], end.left, entrant.rounds(len(everything)), seed)
            for entrant in (chosen[at][0] for at in runners)
        ]
        try:
            done = race.track.run(jobs, end)
        except KeyboardInterrupt:
            break
        for at, job, fit in zip(runners, jobs, done, strict=True):
            if fit is not None and fit.is_grown(job):
                fits[at].append(fit)
        another = (seed + 2) / (seed + 1)
        leaves = sum(fit.fitted.leaves for mine in fits for fit in mine) * another
        if end.left == inf or end.left < _SPARE * (end.now - before) or leaves > _MOST_LEAVES:
            break
        if not race.limit.affords(*(race.row_times.of(fit).times(another) for mine in fits for fit in mine)):
            break
    kept = [found or [_report(entrant)] for (entrant, _), found in zip(chosen, fits, strict=True)]
    members = tuple(
        WeightedMember(entrant.name, weight / len(mine), fit.fitted.member)
        for (entrant, weight), mine in zip(chosen, kept, strict=True)
        for fit in mine
    )
    return members, race.row_times.whole([fit for mine in kept for fit in mine])


def _within_leaves(entrants: list[Entrant], race: Race) -> list[Entrant]:
    """Return the entrants that have weight, the weightiest first, while their trees stay within the cap."""
    kept: list[Entrant] = []
    total = 0
    for entrant in _by_weight(entrants, race):
        leaves = sum(fit.fitted.leaves for fit in entrant.fits.values())
        if not kept or total + leaves <= _MOST_LEAVES:
            kept.append(entrant)
            total += leaves
    return kept


def _by_weight(entrants: list[Entrant], race: Race) -> list[Entrant]:
    chosen = [entrant for entrant in entrants if entrant.name in race.weights]
    return sorted(chosen, key=lambda entrant: -race.weights[entrant.name])


def _alone(fit: Fit) -> tuple[WeightedMember, ...]:
    return (WeightedMember(STUDENT, 1.0, fit.fitted.member),)


def _rounds(entrants: Sequence[Entrant]) -> int:
    return max((fit.fitted.rounds or 0 for entrant in entrants for fit in entrant.fits.values()), default=0)


def _chosen(entrants: Sequence[Entrant], weights: Floats) -> list[Entrant]:
    return [entrant for entrant, weight in zip(entrants, weights, strict=True) if weight > 0]


def _baseline(race: Race) -> Entrant:
    return next(entrant for entrant in race.entrants if entrant.family.name == BASELINE)
