"""Write the leaderboard: every candidate with its score, and the ensemble's out-of-fold predictions as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from tenure.core.modelling import Candidate, Floats, Fold, Indices, Score, ValidationPlan
from tenure.training.closing import Ensemble
from tenure.training.material import Material
from tenure.training.race import Race
from tenure.training.scores import clusters_of, mean_score, score
from tenure.training.track import Entrant, Fit

_NOT_RUN: Final = float("nan")


def candidates(race: Race, material: Material, ensemble: Ensemble) -> tuple[Candidate, ...]:
    """Return every configuration that was fitted on at least one fold, the best first, incomplete ones last."""
    found = [_candidate(entrant, race, material, ensemble) for entrant in race.entrants if entrant.fits]
    metric = material.metric
    return tuple(sorted(found, key=lambda c: (not c.complete, -metric.gain(c.score.value, 0.0), c.name)))


def _candidate(entrant: Entrant, race: Race, material: Material, ensemble: Ensemble) -> Candidate:
    told = [(fold, entrant.fits.get(at)) for at, fold in enumerate(race.course.choosing)]
    if race.course.reporting is not None:
        told.append((race.course.reporting, ensemble.reports.get(entrant.name)))
    last = entrant.fits[max(entrant.fits)].fitted
    return Candidate(
        name=entrant.name,
        family=entrant.family.name,
        params=entrant.configuration.params | last.chosen,
        score=_choosing_score(entrant, race, material),
        fold_scores=tuple(_NOT_RUN if fit is None else _metric_of(material, fold, fit) for fold, fit in told),
        seconds=entrant.seconds,
        rounds=entrant.rounds(len(race.course.choosing[max(entrant.fits)].train)),
        weight=ensemble.weights.get(entrant.name, 0.0),
        complete=entrant.complete(race.course),
    )


def _metric_of(material: Material, fold: Fold, fit: Fit) -> float:
    rows = fold.valid
    return material.metric(material.problem.target[rows], fit.predicted, weight=_weight_of(material, rows))


def _weight_of(material: Material, rows: Indices) -> Floats | None:
    return None if material.problem.weight is None else material.problem.weight[rows]


def _choosing_score(entrant: Entrant, race: Race, material: Material) -> Score:
    """Return the score on the choosing folds: of all rows at once, or the mean of forward folds.

    Rows of different times are not ranked against each other: how often the target is true changes with time.
    """
    metric, seed, target = material.metric, material.problem.seed, material.problem.target
    places = sorted(entrant.fits)
    parts = [race.course.choosing[at].valid for at in places]
    if race.course.reporting is None:
        rows = np.concatenate(parts)
        return score(metric, target[rows], entrant.predicted(), weight=_weight_of(material, rows), seed=seed)
    said = [entrant.fits[at].predicted for at in places]
    return mean_score(
        [
            score(metric, target[rows], told, weight=_weight_of(material, rows), seed=seed)
            for rows, told in zip(parts, said, strict=True)
        ]
    )


def honest_scores(
    material: Material, plan: ValidationPlan, ensemble: Ensemble, predicted: Floats
) -> tuple[Score, Score]:
    """Return the scores of the ensemble and of the baseline on the reported rows, with intervals."""
    rows = ensemble.rows[ensemble.reported]
    target, weight = material.problem.target[rows], _weight_of(material, rows)
    clusters, seed = clusters_of(material.clean, plan, rows), material.problem.seed
    ours, base = (
        score(material.metric, target, said[ensemble.reported], clusters=clusters, weight=weight, seed=seed)
        for said in (predicted, ensemble.baseline)
    )
    return ours, base


def oof_table(material: Material, ensemble: Ensemble, predicted: Floats, *, ids: Sequence[str]) -> pl.DataFrame:
    """Return out-of-fold predictions with the columns that `Leaderboard.oof` promises, in the order of the rows.

    `ids` name the ensemble's rows across snapshots.
    """
    order = np.argsort(ensemble.rows, kind="stable")
    rows = ensemble.rows[order]
    told = predicted[order].reshape(len(rows), -1)
    return pl.DataFrame(
        {
            "row": rows,
            "row_id": [ids[at] for at in order],
            "reported": ensemble.reported[order],
            "target": material.problem.target[rows],
        }
        | {f"p_{at}": told[:, at] for at in range(told.shape[1])}
    )
