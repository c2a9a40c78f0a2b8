"""The gate: gather findings and a fair comparison, then let the one rule decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from tenure.core.data import Snapshot
from tenure.core.evidence import Finding, QualityReport, RobustnessReport
from tenure.core.lifecycle import GateDecision, Incumbent
from tenure.core.metrics import metric_named, positive
from tenure.core.modelling import Leaderboard, Task, ValidationPlan
from tenure.core.ports import Context
from tenure.core.retraining import Recipe
from tenure.core.uncertainty import clusters_of
from tenure.core.value import share_of_actions
from tenure.promotion.compare import Compared, compare, honest_rows, predictions, target_of
from tenure.promotion.decide import decide
from tenure.promotion.value import value_finding, worth_of

_TOLERATED: Final = 0.25
"""Share of the skill over the baseline that a candidate of proven promise may lose at the low end of its interval."""


def gate(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    plan: ValidationPlan,
    leaderboard: Leaderboard,
    robustness: RobustnessReport,
    incumbent: Incumbent | None,
    recipe: Recipe | None = None,
) -> GateDecision:
    """Decide whether the candidate takes office: promote, hold or reject, with the reason in words.

    A candidate with a `recipe` was asked for because past blocks spoke for it: here it need not be better beyond doubt,
    only better, and not worse by more than a quarter of the skill beyond doubt: few rows tell no more.
    """
    same_model = incumbent is not None and incumbent.model == leaderboard.model
    ctx.log.progress(0.1, "comparing with the model in office")
    compared = Compared(None) if same_model else compare(ctx, snapshot, quality, plan, leaderboard, incumbent)
    ctx.log.progress(0.9, "deciding")
    decision = decide(
        (*quality.findings, *robustness.findings),
        compared.comparison,
        # What the owner asks for is said of the owner's metric.
        min_gain=0.0 if leaderboard.judged_by else ctx.project.promotion.min_gain,
        same_model=same_model,
        why_not=compared.says,
        margin=None if recipe is None else _TOLERATED * _skill(ctx, leaderboard),
    )
    reason = decision.reason if compared.comparison is None else f"{compared.says} {decision.reason}".strip()
    return replace(
        decision,
        reason=reason,
        because=(*decision.because, *_worth(ctx, quality, plan, leaderboard)),
        model=leaderboard.model,
        incumbent=None if incumbent is None else incumbent.version,
        made_from=(
            snapshot.digest,
            quality.digest,
            plan.digest,
            leaderboard.digest,
            robustness.digest,
            *(() if incumbent is None else (incumbent.digest,)),
        ),
    )


def _skill(ctx: Context, leaderboard: Leaderboard) -> float:
    """Return how much better than the baseline the candidate is, in the metric that models are compared by."""
    if not leaderboard.judged_by:
        return abs(leaderboard.score.value - leaderboard.baseline.value)
    task = Task(leaderboard.task)
    metric = metric_named(leaderboard.judged_by, task=task)
    own, plain = (honest_rows(ctx.artifacts.get_table(d)) for d in (leaderboard.oof, leaderboard.baseline_oof))
    one, other = (metric(target_of(oof, task), predictions(oof, task)) for oof in (own, plain))
    return abs(metric.gain(one, other))


def _worth(ctx: Context, quality: QualityReport, plan: ValidationPlan, leaderboard: Leaderboard) -> tuple[Finding, ...]:
    """Return what deciding by the candidate is worth, where the owner said what decisions are worth."""
    value = ctx.project.value
    if Task(leaderboard.task) is not Task.BINARY or not value.is_given:
        return ()
    honest = honest_rows(ctx.artifacts.get_table(leaderboard.oof))
    clean = ctx.artifacts.get_table(quality.clean)
    worth = worth_of(
        target_of(honest, Task.BINARY) == 1,
        positive(predictions(honest, Task.BINARY)),
        value,
        threshold=value.break_even if leaderboard.threshold is None else leaderboard.threshold,
        share=share_of_actions(
            value, ctx.project.monitoring, clean[plan.time].to_numpy() if plan.time else None, rows=clean.height
        ),
        clusters=clusters_of(clean[honest["row"].cast(pl.Int64)], group=plan.group, time=plan.time),
    )
    return (value_finding(worth, value),)
