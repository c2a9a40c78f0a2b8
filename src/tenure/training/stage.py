"""Training: from rows and a plan to a leaderboard and a model, within a budget that nothing may pass."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np

from tenure.core.contract import Contract
from tenure.core.data import Snapshot
from tenure.core.evidence import QualityReport
from tenure.core.lifecycle import Incumbent
from tenure.core.metrics import log_losses
from tenure.core.modelling import Floats, Importance, Leaderboard, Task, ValidationPlan
from tenure.core.ports import Context, ModelFamily
from tenure.core.retraining import Recipe, Way
from tenure.model.fitted import FittedModel
from tenure.model.intervals import ProbabilityInterval, ValueInterval
from tenure.model.rows import row_ids
from tenure.training.budget import TRAINING_SHARE, Budget, refuse
from tenure.training.calibration import Calibration, calibrate, probability_interval, residual_interval
from tenure.training.closing import close
from tenure.training.honesty import expected_score
from tenure.training.importance import Judged, measure_importance
from tenure.training.keeping import kept
from tenure.training.leaderboard import candidates, honest_scores, oof_table, trim
from tenure.training.material import Material, families_of, prepare, proposals_of
from tenure.training.race import BASELINE, Race
from tenure.training.refresh import refresh
from tenure.training.row_time import RowLimit
from tenure.training.served import Ensemble
from tenure.training.threshold import Choice, choose_threshold
from tenure.training.track import Track
from tenure.training.twin import twin_of
from tenure.training.warmth import WARM_SHARE, WARM_START, proven_first, proven_of

__all__ = ["WARM_START", "train"]

_SALT: Final = 5
_IMPORTANCE_ROWS: Final = 2_000
_IMPORTANCE_SECONDS: Final = 0.25
"""At least; the only thing that may run over the budget."""
_EXPECTING_SHARE: Final = 0.3
"""Of the time left after the last fit, for asking the members of other folds; importance has the rest."""


@dataclass(frozen=True, eq=False)
class _Answer:
    """What the ensemble says after calibration, and the decisions made on top of it."""

    predicted: Floats
    calibration: Calibration
    choice: Choice | None
    interval: ValueInterval | None = None
    sure: ProbabilityInterval | None = None


def train(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    plan: ValidationPlan,
    recipe: Recipe | None = None,
    basis: Incumbent | None = None,
    *,
    seconds: float | None = None,
) -> Leaderboard:
    """Fit candidates on the plan's folds until the budget ends, and keep the best ensemble of them as a model.

    `seconds` is the wall time; left out, 70 % of the project's budget. With `training.trials` no clock is looked at.
    A `recipe` says which rows are learned from, and how much each counts; the search then begins with what the model
    `basis` is made of, in 40 % of the time. Recipes that keep the model of `basis` correct it instead (`refresh`).

    Raises:
        BudgetError: not even the baseline could be fitted.
        UnknownPluginError: the project file names a family that nobody provides.
        ExtraMissingError: the project file names a family whose package is not installed.
    """
    started = ctx.timer()
    if recipe is not None and recipe.way is not Way.REFIT:
        return refresh(ctx, snapshot, quality, plan, recipe, basis)
    trials = ctx.project.training.trials
    if trials is not None:
        seconds = inf
    elif seconds is None:
        seconds = TRAINING_SHARE * ctx.project.training.budget * (1.0 if basis is None else WARM_SHARE)
    workers = os.cpu_count() or 1
    budget = Budget(seconds, ctx.deadline(seconds), workers=workers)
    families = families_of(ctx)
    material = prepare(ctx, snapshot, quality, plan, budget.deadline, recipe)
    race = _run_race(ctx, material, budget, families, proven_of(ctx, basis))
    ensemble = close(race)
    answer = _decide(ctx, snapshot, material, ensemble)
    score, baseline = honest_scores(material, plan, ensemble, answer.predicted)
    expected, expected_says = expected_score(
        material,
        plan,
        ensemble,
        answer.predicted,
        score,
        calibrate=answer.calibration.apply,
        deadline=ctx.deadline(_EXPECTING_SHARE * budget.deadline.left),
    )
    ranked, trimmed = candidates(race, material, ensemble), trim(race, material, plan, ensemble)
    if trimmed is not None:
        ctx.log.note(trimmed.says)
    model = kept(ctx, _model(ctx, snapshot, quality, material, ensemble, answer), material.clean)
    ids = row_ids(material.clean, snapshot.schema, ensemble.rows)
    oof = ctx.artifacts.put_table(oof_table(material, ensemble, answer.predicted, ids=ids))
    baseline_oof = ctx.artifacts.put_table(oof_table(material, ensemble, ensemble.baseline, ids=ids))
    # Last, because it can use whatever time is left.
    importance = _importance(ctx, material, ensemble, answer.calibration, budget)
    return Leaderboard(
        task=material.problem.task.value,
        metric=material.metric.name,
        candidates=ranked,
        model=model,
        oof=oof,
        baseline_oof=baseline_oof,
        score=score,
        expected=expected,
        expected_says=expected_says,
        baseline=baseline,
        naive_score=next((c for c in ranked if c.family != BASELINE and c.complete), ranked[0]).score,
        importance=importance,
        threshold=None if answer.choice is None else answer.choice.threshold,
        threshold_reason="" if answer.choice is None else answer.choice.reason,
        calibration=answer.calibration.name,
        calibration_reason=answer.calibration.reason,
        budget_seconds=0.0 if trials is not None else seconds,
        seconds=ctx.timer() - started,
        stopped_because=race.stopped_because,
        clean=quality.clean,
        made_from=(snapshot.digest, quality.digest, plan.digest),
        row_us=ensemble.row_time.microseconds,
        trim=trimmed,
        recipe="" if recipe is None else recipe.name,
        twin=twin_of(material, ensemble),
    )


def _run_race(
    ctx: Context, material: Material, budget: Budget, families: list[ModelFamily], proven: Sequence[str]
) -> Race:
    """Race the families' configurations, those named in `proven` first."""
    race = Race(
        material.problem,
        material.course,
        budget,
        Track(material.problem, workers=budget.workers),
        ctx.log,
        absolute=material.metric.name == "mae",
        trials=ctx.project.training.trials,
        limit=RowLimit.of(ctx.project.serving.max_latency_ms, material.plan),
        looks=not proven,
    )
    race.run(proven_first(proposals_of(ctx, families, material.problem), proven))
    if not any(entrant.family.name == BASELINE for entrant in race.complete()):
        raise refuse(ctx.project.training.budget)
    ctx.log.note(f"{len(race.complete())} candidates were fitted. {race.stopped_because}")
    return race


def _decide(ctx: Context, snapshot: Snapshot, material: Material, ensemble: Ensemble) -> _Answer:
    """Calibrate, and choose threshold or interval; only rows of choosing folds are looked at."""
    task = material.problem.task
    seen = ensemble.chosen_on
    rows = ensemble.rows[seen]
    target, counts = material.problem.target[rows], material.counts_of(rows)
    if task is Task.REGRESSION:
        interval = residual_interval(target, ensemble.predicted[seen], weight=counts)
        return _Answer(ensemble.predicted, Calibration(), None, interval)
    calibration, adjusted = calibrate(target, ensemble.predicted[seen], ensemble.folds, weight=counts)
    predicted = calibration.apply(ensemble.predicted).copy()
    predicted[seen] = adjusted
    if task is Task.MULTICLASS:
        return _Answer(predicted, calibration, None)
    positive = adjusted[:, -1]
    choice = choose_threshold(target, positive, ctx.project.value, positive=snapshot.classes[-1], weight=counts)
    return _Answer(predicted, calibration, choice, sure=probability_interval(target, positive, weight=counts))


def _importance(
    ctx: Context, material: Material, ensemble: Ensemble, calibration: Calibration, budget: Budget
) -> tuple[Importance, ...]:
    """Measure importance by the members that never saw the judged rows."""
    rng = ctx.rng(_SALT)
    rows = rng.permutation(ensemble.judged)[:_IMPORTANCE_ROWS]
    problem = material.problem
    target = problem.target[rows]

    def loss(matrix: Floats) -> float:
        said = ensemble.judge(matrix)
        if problem.task is Task.REGRESSION:
            return float(np.mean(np.square(target[: len(said)] - said)))
        return float(np.mean(log_losses(target[: len(said)], calibration.apply(said))))

    judged = Judged(problem.matrix[rows], material.plan.sources, loss, ensemble.contributions)
    deadline = ctx.deadline(max(budget.deadline.left, _IMPORTANCE_SECONDS))
    return measure_importance(judged, rng=rng, deadline=deadline)


def _model(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    material: Material,
    ensemble: Ensemble,
    answer: _Answer,
) -> FittedModel:
    schema = snapshot.schema
    return FittedModel(
        task=material.problem.task,
        classes=snapshot.classes,
        target=schema.target or "",
        schema=schema,
        contract=ctx.artifacts.get_record(Contract, quality.contract),
        plan=material.plan,
        members=ensemble.members,
        temperature=answer.calibration.temperature,
        threshold=None if answer.choice is None else answer.choice.threshold,
        threshold_reason="" if answer.choice is None else answer.choice.reason,
        interval=answer.interval,
        metric=material.metric.name,
        key=schema.key,
        time=schema.time,
        probability_interval=answer.sure,
        curve=answer.calibration.curve,
    )
