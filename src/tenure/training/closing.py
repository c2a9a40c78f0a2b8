"""Close the race: who is served and with what weight, and what the ensemble says of rows that did not form it.

Cross validation: the members of the folds are served as they are (a bag), and the weights that mix a fold's
predictions were chosen on the other folds. Forward: weights are chosen on the folds before the last, the last fold is
only reported, and the chosen configurations learn once more from all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Fold, Indices
from tenure.core.ports import Deadline
from tenure.model.fitted import WeightedMember
from tenure.model.members.mlp import MLPMember
from tenure.model.scorer import Explains
from tenure.training.budget import affordable
from tenure.training.ensemble import Pool, choose_weights, cross_fitted_weights, mix
from tenure.training.race import BASELINE, Race
from tenure.training.track import Entrant, Fit, Job

_MOST_LEAVES: Final = 1_500_000
"""A few milliseconds for one row; the best candidate alone may have more."""
_MOST_SEEDS: Final = 5
_MOST_ASKED_ONE_BY_ONE: Final = 200
_SPARE: Final = 1.3
"""Another seed is fitted where the time left is so many times what the last one took."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The members to serve, and out-of-fold predictions.

    `rows` are positions in the clean table, in fold order; `predicted`, `baseline`, `reported` belong to them, and
    `folds` are positions in `rows` of each choosing fold. `judges` never saw the rows `judged`; `reports` are the fits
    that reported (forward only), by candidate.
    """

    weights: dict[str, float]
    members: tuple[WeightedMember, ...]
    rows: Indices
    predicted: Floats
    baseline: Floats
    reported: NDArray[np.bool_]
    folds: tuple[Indices, ...]
    judges: tuple[WeightedMember, ...]
    judged: Indices
    reports: dict[str, Fit]

    @property
    def chosen_on(self) -> Indices:
        """Return the positions in `rows` of all choosing folds."""
        return np.concatenate(self.folds)

    def judge(self, matrix: Floats) -> Floats:
        """Return what the judges say of an encoded matrix."""
        parts = [part.weight * part.member.predict(matrix) for part in self.judges]
        answer: Floats = np.sum(parts, axis=0)
        return answer

    def contributions(self, matrix: Floats) -> Floats:
        """Return the mean size (n, d) of each number's part in the raw scores of the judges that can explain them.

        Networks are asked twice a column, so of wide tables they are not.
        """
        total = np.zeros(matrix.shape)
        is_wide = matrix.shape[1] > _MOST_ASKED_ONE_BY_ONE
        for part in self.judges:
            if isinstance(part.member, Explains) and not (is_wide and isinstance(part.member, MLPMember)):
                shares = np.abs(part.member.contributions(matrix)[:, :-1, :])
                total += part.weight * shares.mean(axis=2)
        return total


def close(race: Race) -> Ensemble:
    """Return the ensemble that the race leads to."""
    if race.course.reporting is None:
        return _close_cross(race)
    return _close_forward(race, race.course.reporting)


def _close_cross(race: Race) -> Ensemble:
    course = race.course
    entrants = _within_leaves(race.complete(), race)
    pool = race.pool(entrants)
    folds = _positions(course.choosing)
    weights = choose_weights(pool)
    predictions = [entrant.predicted() for entrant in entrants]
    each = cross_fitted_weights(pool, folds)
    mixed = [mix(w, [p[at] for p in predictions]) for w, at in zip(each, folds, strict=True)]
    count = len(folds)
    members = [_fold_members(entrants, weights, at) for at in range(count)]
    rows = np.concatenate([fold.valid for fold in course.choosing])
    return Ensemble(
        weights=_named(entrants, weights),
        members=tuple(
            WeightedMember(part.name, part.weight / count, part.member) for parts in members for part in parts
        ),
        rows=rows,
        predicted=np.concatenate(mixed),
        baseline=_baseline(race).predicted(),
        reported=np.ones(len(rows), dtype=bool),
        folds=folds,
        judges=tuple(members[0]),
        judged=course.choosing[0].valid,
        reports={},
    )


def _close_forward(race: Race, reporting: Fold) -> Ensemble:
    """Choose weights on the choosing folds and report how they fare; then choose once more with the newest rows.

    What is reported is how this way of choosing does on rows that came later.
    """
    course = race.course
    end = race.budget.racing(0.0)
    entrants = race.complete()
    reports = {entrant.name: entrant.report for entrant in entrants if entrant.report is not None}
    weights = race.mixture(entrants, race.pool(entrants))
    base = _baseline(race)
    told = [reports[entrant.name].predicted for entrant in entrants]
    chosen = mix(weights, [entrant.predicted() for entrant in entrants])
    served = _weights_to_serve(race, entrants, told, reporting, end)
    return Ensemble(
        weights=_named(entrants, served),
        members=_refitted(race, entrants, served, end),
        rows=np.concatenate([*(fold.valid for fold in course.choosing), reporting.valid]),
        predicted=np.concatenate([chosen, mix(weights, told)]),
        baseline=np.concatenate([base.predicted(), reports[base.name].predicted]),
        reported=np.arange(len(chosen) + len(reporting.valid)) >= len(chosen),
        folds=_positions(course.choosing),
        judges=_weighted(entrants, weights, [reports[entrant.name] for entrant in entrants]),
        judged=reporting.valid,
        reports=reports,
    )


def _weights_to_serve(
    race: Race, entrants: Sequence[Entrant], told: Sequence[Floats], reporting: Fold, end: Deadline
) -> Floats:
    """Choose weights on all validated rows: a fold counts half of the next one, as the newest rows are most like those
    to come. Entrants that the time left does not allow to learn from all rows are left out.
    """
    folds = [fold.valid for fold in race.course.choosing] + [reporting.valid]
    rows = np.concatenate(folds)
    by_age = np.concatenate([np.full(len(fold), 0.5 ** (len(folds) - at)) for at, fold in enumerate(folds)])
    answers = [np.concatenate([entrant.predicted(), said]) for entrant, said in zip(entrants, told, strict=True)]
    weight = by_age if race.problem.weight is None else by_age * race.problem.weight[rows]
    pool = Pool.of(race.problem.task, race.problem.target[rows], answers, absolute=race.absolute, weight=weight)
    weights = race.mixture(entrants, pool)
    costs = [entrant.pace * race.course.closing_work / race.track.workers for entrant in entrants]
    kept = np.zeros(len(entrants))
    kept[affordable(costs, weights.tolist(), end.left)] = 1.0
    shares: Floats = weights * kept
    return np.array(shares / shares.sum())


def _refitted(race: Race, entrants: Sequence[Entrant], weights: Floats, end: Deadline) -> tuple[WeightedMember, ...]:
    """Fit the chosen on all rows, again with other seeds while time and leaves allow: their mean is steadier.

    The member of the report stands in where time is short, or where somebody interrupts.
    """
    weighted = [(entrant, float(weight)) for entrant, weight in zip(entrants, weights, strict=True) if weight > 0]
    chosen = sorted(weighted, key=lambda pair: -pair[1])
    everything = np.arange(race.course.rows)
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
        leaves = sum(fit.fitted.leaves for mine in fits for fit in mine) * (seed + 2) / (seed + 1)
        if end.left == inf or end.left < _SPARE * (end.now - before) or leaves > _MOST_LEAVES:
            break
    return tuple(
        WeightedMember(entrant.name, weight / len(mine), fit.fitted.member)
        for (entrant, weight), found in zip(chosen, fits, strict=True)
        for mine in [found or [entrant.report or entrant.fits[max(entrant.fits)]]]
        for fit in mine
    )


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


def _baseline(race: Race) -> Entrant:
    return next(entrant for entrant in race.entrants if entrant.family.name == BASELINE)


def _positions(folds: Sequence[Fold]) -> tuple[Indices, ...]:
    """Return where the rows of each fold stand when all are put one after the other."""
    ends = np.cumsum([len(fold.valid) for fold in folds])
    return tuple(np.arange(end - len(fold.valid), end) for end, fold in zip(ends, folds, strict=True))


def _fold_members(entrants: Sequence[Entrant], weights: Floats, at: int) -> list[WeightedMember]:
    pairs = zip(entrants, weights, strict=True)
    return [WeightedMember(e.name, float(weight), e.fits[at].fitted.member) for e, weight in pairs if weight > 0]


def _weighted(entrants: Sequence[Entrant], weights: Floats, fits: Sequence[Fit]) -> tuple[WeightedMember, ...]:
    parts = zip(entrants, weights, fits, strict=True)
    return tuple(WeightedMember(e.name, float(weight), fit.fitted.member) for e, weight, fit in parts if weight > 0)


def _named(entrants: Sequence[Entrant], weights: Floats) -> dict[str, float]:
    return {e.name: float(weight) for e, weight in zip(entrants, weights, strict=True) if weight > 0}
