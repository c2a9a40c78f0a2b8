"""Write the leaderboard: every candidate with its score, and the ensemble's out-of-fold predictions as tables."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from tenure.core.modelling import Candidate, Floats, Score, ValidationPlan
from tenure.training.closing import Ensemble
from tenure.training.material import Material
from tenure.training.race import Entrant, Race
from tenure.training.scores import clusters_of, mean_score, score

_NOT_RUN: Final = float("nan")


def candidates(race: Race, material: Material, ensemble: Ensemble) -> tuple[Candidate, ...]:
    """Return every configuration that was fitted on at least one fold, the best first, incomplete ones last."""
    found = [_candidate(entrant, race, material, ensemble) for entrant in race.entrants if entrant.fits]
    metric = material.metric
    return tuple(sorted(found, key=lambda c: (not c.complete, -metric.gain(c.score.value, 0.0), c.name)))


def _candidate(entrant: Entrant, race: Race, material: Material, ensemble: Ensemble) -> Candidate:
    metric, target = material.metric, material.problem.target
    folds = race.course.choosing
    by_fold = [
        metric(target[fold.valid], entrant.fits[at].predicted) if at in entrant.fits else _NOT_RUN
        for at, fold in enumerate(folds)
    ]
    if race.course.reporting is not None:
        told = ensemble.reports.get(entrant.name)
        by_fold.append(_NOT_RUN if told is None else metric(target[race.course.reporting.valid], told.predicted))
    last = entrant.fits[max(entrant.fits)].fitted
    return Candidate(
        name=entrant.name,
        family=entrant.family.name,
        params=entrant.configuration.params | last.chosen,
        score=_choosing_score(entrant, race, material),
        fold_scores=tuple(by_fold),
        seconds=entrant.seconds,
        rounds=entrant.rounds(len(race.course.choosing[max(entrant.fits)].train)),
        weight=ensemble.weights.get(entrant.name, 0.0),
        complete=entrant.complete(race.course),
    )


def _choosing_score(entrant: Entrant, race: Race, material: Material) -> Score:
    """Return the score on the choosing folds: of all rows at once, or the mean of forward folds.

    Rows of different times are not ranked against each other: how often the target is true changes with time.
    """
    metric, seed = material.metric, material.problem.seed
    folds = [race.course.choosing[at] for at in sorted(entrant.fits)]
    targets = [material.problem.target[fold.valid] for fold in folds]
    if race.course.reporting is None:
        return score(metric, np.concatenate(targets), entrant.predicted(), seed=seed)
    said = [entrant.fits[at].predicted for at in sorted(entrant.fits)]
    return mean_score([score(metric, target, p, seed=seed) for target, p in zip(targets, said, strict=True)])


def honest_scores(
    material: Material, plan: ValidationPlan, ensemble: Ensemble, predicted: Floats
) -> tuple[Score, Score]:
    """Return the scores of the ensemble and of the baseline on the reported rows, with intervals."""
    rows = ensemble.rows[ensemble.reported]
    target = material.problem.target[rows]
    clusters = clusters_of(material.clean, plan, rows)
    ours, base = (
        score(material.metric, target, said[ensemble.reported], clusters=clusters, seed=material.problem.seed)
        for said in (predicted, ensemble.baseline)
    )
    return ours, base


def oof_table(material: Material, ensemble: Ensemble, predicted: Floats) -> pl.DataFrame:
    """Return out-of-fold predictions with the columns that `Leaderboard.oof` promises, in the order of the rows."""
    order = np.argsort(ensemble.rows, kind="stable")
    rows = ensemble.rows[order]
    told = predicted[order].reshape(len(rows), -1)
    return pl.DataFrame(
        {
            "row": rows,
            "row_id": [material.ids[at] for at in rows],
            "reported": ensemble.reported[order],
            "target": material.problem.target[rows],
        }
        | {f"p_{at}": told[:, at] for at in range(told.shape[1])}
    )
