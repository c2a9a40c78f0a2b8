"""Write the leaderboard: every candidate with its score, and the ensemble's out-of-fold predictions as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from tenure.core.modelling import Candidate, Floats, Fold, Score, Trim, ValidationPlan, Way
from tenure.core.uncertainty import paired_gain
from tenure.training.distillation import STUDENT
from tenure.training.material import Material
from tenure.training.race import Race
from tenure.training.scores import clusters_of, mean_score, score
from tenure.training.served import Ensemble, Untrimmed
from tenure.training.track import Entrant, Fit

_NOT_RUN: Final = float("nan")
_COMPARED_ROWS: Final = 50_000


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
    return material.metric(material.problem.target[rows], fit.predicted, weight=material.counts_of(rows))


def _choosing_score(entrant: Entrant, race: Race, material: Material) -> Score:
    """Return the score on the choosing folds: of all rows at once, or the mean of forward folds.

    Rows of different times are not ranked against each other: how often the target is true changes with time.
    """
    metric, seed, target = material.metric, material.problem.seed, material.problem.target
    places = sorted(entrant.fits)
    parts = [race.course.choosing[at].valid for at in places]
    if race.course.reporting is None:
        rows = np.concatenate(parts)
        return score(metric, target[rows], entrant.predicted(), weight=material.counts_of(rows), seed=seed)
    said = [entrant.fits[at].predicted for at in places]
    return mean_score(
        [
            score(metric, target[rows], told, weight=material.counts_of(rows), seed=seed)
            for rows, told in zip(parts, said, strict=True)
        ]
    )


def honest_scores(
    material: Material, plan: ValidationPlan, ensemble: Ensemble, predicted: Floats
) -> tuple[Score, Score]:
    """Return the scores of the ensemble and of the baseline on the reported rows, with intervals."""
    rows = ensemble.rows[ensemble.reported]
    target, weight = material.problem.target[rows], material.counts_of(rows)
    clusters, seed = clusters_of(material.clean, plan, rows), material.problem.seed
    ours, base = (
        score(material.metric, target, said[ensemble.reported], clusters=clusters, weight=weight, seed=seed)
        for said in (predicted, ensemble.baseline)
    )
    return ours, base


def trim(race: Race, material: Material, plan: ValidationPlan, ensemble: Ensemble) -> Trim | None:
    """Return what the ensemble lost so that a row is answered in time; None where it lost nothing.

    The difference is that of the reported rows, evenly spaced ones where they are very many.
    """
    before = ensemble.untrimmed
    if before is None:
        return None
    told = np.flatnonzero(ensemble.reported)
    told = told[:: -(-len(told) // _COMPARED_ROWS)]
    rows = ensemble.rows[told]
    gain, low, high = paired_gain(
        material.metric,
        material.problem.target[rows],
        ensemble.predicted[told],
        before.predicted[told],
        clusters=clusters_of(material.clean, plan, rows),
        seed=material.problem.seed,
    )
    way = Way.DISTILLED if STUDENT in ensemble.weights else Way.PRUNED
    left_out = tuple(sorted(name for name in before.weights if name not in ensemble.weights))
    found = Trim(
        way=way,
        left_out=left_out,
        aim_us=race.limit.allowed,
        before_us=before.row_time.microseconds,
        after_us=ensemble.row_time.microseconds,
        lost=-gain,
        low=-high,
        high=-low,
        rows=len(rows),
        says="",
    )
    return replace(found, says=_trim_in_words(found, before, ensemble, material.metric.label))


def _trim_in_words(found: Trim, before: Untrimmed, ensemble: Ensemble, metric: str) -> str:
    if found.way is Way.DISTILLED:
        done = "so one student that learned to answer as it does serves in its place"
    else:
        parts = [f"without {', '.join(found.left_out)}"] if found.left_out else []
        if ensemble.served_folds < len(ensemble.bags):
            parts.append(f"with the members of {ensemble.served_folds} of {len(ensemble.bags)} folds")
        done = "so it serves " + (" and ".join(parts) or "with other weights")
    before_us, aim, after = (_milliseconds(time) for time in (found.before_us, found.aim_us, found.after_us))
    says = (
        f"The whole ensemble is thought to need {before_us} for a row where {aim} are aimed at, {done} in {after}. "
        f"That costs {found.lost:.4g} ({found.low:.4g} to {found.high:.4g}; below 0 is a gain) of the {metric} "
        f"on the same {found.rows:,} rows."
    )
    missed = " Even that is more than aimed at." if found.after_us > found.aim_us else ""
    return f"{says}{missed} {before.note}".rstrip()


def _milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1_000:.2g} ms"


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
