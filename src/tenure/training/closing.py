"""Close the race: who is served and with what weight, and what the ensemble says of rows that did not form it.

Cross validation: the members of the folds are served as they are (a bag), and the weights that mix a fold's
predictions were chosen on the other folds. Forward: weights are chosen on the folds before the last, the last fold is
only reported, and the chosen configurations learn once more from all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Fold, Indices
from tenure.core.ports import Deadline
from tenure.model.fitted import WeightedMember
from tenure.model.scorer import Explains
from tenure.training.budget import affordable
from tenure.training.ensemble import choose_weights, cross_fitted_weights, mix
from tenure.training.race import BASELINE, Entrant, Fit, Job, Race

_MOST_LEAVES: Final = 150_000
"""About half a millisecond for one row (methods.md 9); the best candidate alone may have more."""
_ENOUGH_ROUNDS: Final = 0.8


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
        """Return the mean size (n, d) of each number's part in the raw scores of the judges that can explain them."""
        total = np.zeros(matrix.shape)
        for part in self.judges:
            if isinstance(part.member, Explains):
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
    entrants = _within_leaves(race.complete(), race, lambda e: sum(fit.fitted.leaves for fit in e.fits.values()))
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
    course = race.course
    end = race.budget.racing(0.0)
    entrants = _within_leaves(race.complete(), race, lambda e: max(fit.fitted.leaves for fit in e.fits.values()))
    entrants = _within_time(entrants, race, end)
    weights = choose_weights(race.pool(entrants))
    selected = [entrant for entrant, weight in zip(entrants, weights, strict=True) if weight > 0]
    shares = [float(weight) for weight in weights if weight > 0]
    base = _baseline(race)
    reports = _reports(race, [*selected, base], reporting, end)
    refits = _refits(race, selected, reports, end)
    chosen = mix(weights, [entrant.predicted() for entrant in entrants])
    told = mix(np.array(shares), [reports[entrant.name].predicted for entrant in selected])
    return Ensemble(
        weights=_named(entrants, weights),
        members=_weighted(selected, shares, refits),
        rows=np.concatenate([*(fold.valid for fold in course.choosing), reporting.valid]),
        predicted=np.concatenate([chosen, told]),
        baseline=np.concatenate([base.predicted(), reports[base.name].predicted]),
        reported=np.arange(len(chosen) + len(told)) >= len(chosen),
        folds=_positions(course.choosing),
        judges=_weighted(selected, shares, [reports[entrant.name] for entrant in selected]),
        judged=reporting.valid,
        reports=reports,
    )


def _reports(race: Race, entrants: Sequence[Entrant], reporting: Fold, end: Deadline) -> dict[str, Fit]:
    """Fit up to the reporting fold and ask about it; the last choosing fold's member answers where time is short.

    The closing fits of all rows get their share of the time left.
    """
    jobs = _jobs(race, entrants, reporting.train, reporting.valid, share=len(reporting.train), end=end)
    done = race.track.run(jobs, end)
    return {
        job.entrant.name: fit if fit is not None and _is_grown(fit, job) else _last_member(race, job.entrant, reporting)
        for job, fit in zip(jobs, done, strict=True)
    }


def _refits(race: Race, entrants: Sequence[Entrant], reports: dict[str, Fit], end: Deadline) -> list[Fit]:
    """Fit on all rows; the member of the report stands in where time is short."""
    everything = np.arange(race.course.rows)
    jobs = _jobs(race, entrants, everything, everything[:1], share=race.course.closing_work, end=end)
    done = race.track.run(jobs, end)
    return [
        fit if fit is not None and _is_grown(fit, job) else reports[job.entrant.name]
        for job, fit in zip(jobs, done, strict=True)
    ]


def _jobs(
    race: Race, entrants: Sequence[Entrant], train: Indices, asked: Indices, *, share: int, end: Deadline
) -> list[Job]:
    """Return one job for each entrant; `share` of the closing work is what the jobs may use of the time left."""
    seconds = end.left * min(share / race.course.closing_work, 1.0)
    slot = race.budget.slot(seconds, len(train), [[len(train)] * len(entrants)])
    return [Job(entrant, train, None, asked, slot, entrant.rounds(len(train))) for entrant in entrants]


def _is_grown(fit: Fit, job: Job) -> bool:
    """Say whether a fit had the time for nearly all of its rounds."""
    return job.rounds is None or (fit.fitted.rounds or 0) >= _ENOUGH_ROUNDS * job.rounds


def _last_member(race: Race, entrant: Entrant, reporting: Fold) -> Fit:
    """Return the member of the last choosing fold, asked about the reporting fold."""
    fit = entrant.fits[max(entrant.fits)]
    predicted = fit.fitted.member.predict(race.problem.matrix[reporting.valid])
    return Fit(fit.fitted, predicted, fit.train_rows, 0.0)


def _within_leaves(entrants: list[Entrant], race: Race, leaves: Callable[[Entrant], int]) -> list[Entrant]:
    """Return the entrants that have weight, the weightiest first, while their trees stay within the cap."""
    kept: list[Entrant] = []
    total = 0
    for entrant in _by_weight(entrants, race):
        if not kept or total + leaves(entrant) <= _MOST_LEAVES:
            kept.append(entrant)
            total += leaves(entrant)
    return kept


def _within_time(entrants: list[Entrant], race: Race, end: Deadline) -> list[Entrant]:
    """Return the entrants whose closing fits the time allows, the weightiest first."""
    costs = [entrant.pace * race.course.closing_work / race.track.workers for entrant in entrants]
    weights = [race.weights[entrant.name] for entrant in entrants]
    return [entrants[at] for at in affordable(costs, weights, end.left)]


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


def _weighted(entrants: Sequence[Entrant], shares: Sequence[float], fits: Sequence[Fit]) -> tuple[WeightedMember, ...]:
    parts = zip(entrants, shares, fits, strict=True)
    return tuple(WeightedMember(entrant.name, share, fit.fitted.member) for entrant, share, fit in parts)


def _named(entrants: Sequence[Entrant], weights: Floats) -> dict[str, float]:
    return {e.name: float(weight) for e, weight in zip(entrants, weights, strict=True) if weight > 0}
