"""Try to break the model: the door of the robustness room."""

from __future__ import annotations

import math
from typing import Any, Final

from tenure.core.data import Snapshot
from tenure.core.errors import ConfigError, did_you_mean
from tenure.core.evidence import (
    Finding,
    Measurement,
    QualityReport,
    RobustnessReport,
    Verdict,
    judged,
)
from tenure.core.modelling import Leaderboard, ValidationPlan
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Context, Deadline
from tenure.robustness.evidence import ModelEvidence, gather

_KIND: Final = "robustness-check"
_SHARE_OF_BUDGET: Final = 0.10
_LEAST_SECONDS: Final = 1.5

ALWAYS: Final = (
    "baseline",
    "parity",
    "determinism",
    "twin",
    "latency",
    "calibration",
    "worst_slice",
    "unseen",
    "unit_slip",
    "missing",
)
"""Run even when time is up: what they find does most harm, and they are cheap."""

THEN: Final = ("coverage", "extremes", "dtype_slip", "invariance", "column_gone", "noise")
"""Run while time lasts, by harm and cheapness; checks of the project's own come before these."""


def probe(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    plan: ValidationPlan,
    leaderboard: Leaderboard,
) -> RobustnessReport:
    """Run every robustness check on the leading model within a tenth of the budget.

    A check that was not reached, or that the project file skips, leaves a finding that says so.

    Raises:
        ConfigError: the project file skips a check that does not exist.
    """
    started = ctx.timer()
    deadline = ctx.deadline(max(_SHARE_OF_BUDGET * ctx.project.training.budget, _LEAST_SECONDS))
    names = _in_order(plugin_names(_KIND, project=ctx.folder))
    _refuse_unknown(ctx.project.robustness.skip, names)
    evidence = gather(ctx, snapshot, quality, plan, leaderboard, deadline=deadline)
    findings: list[Finding] = []
    for position, name in enumerate(names):
        ctx.log.progress(position / len(names), f"checking {name}")
        findings.extend(_findings(ctx, name, evidence, deadline))
    return RobustnessReport(
        findings=tuple(findings),
        model=leaderboard.model,
        seconds=ctx.timer() - started,
        made_from=(snapshot.digest, quality.digest, plan.digest, leaderboard.digest),
    )


def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    own = tuple(name for name in names if name not in ALWAYS and name not in THEN)
    return tuple(name for name in (*ALWAYS, *own, *THEN) if name in names)


def _refuse_unknown(skip: list[str], names: tuple[str, ...]) -> None:
    for name in skip:
        if name not in names:
            raise ConfigError(
                f"There is no robustness check {name!r} to skip.",
                where="robustness.skip",
                hint=did_you_mean(name, names),
            )


def _findings(ctx: Context, name: str, evidence: ModelEvidence, deadline: Deadline) -> tuple[Finding, ...]:
    if name in ctx.project.robustness.skip:
        return (_skipped(name, "the project file says so (robustness.skip)."),)
    if deadline.passed and name not in ALWAYS:
        return (_skipped(name, "the time for robustness checks was up."),)
    check: Any = plugin(_KIND, name, project=ctx.folder)()
    return judged(name, check.threshold, lambda: check.measure(evidence), seen=ctx.log.note)


def _skipped(name: str, why: str) -> Finding:
    hint = "Give the run a larger budget, or take the name out of robustness.skip, to have it checked."
    return Finding(name, Verdict.SKIPPED, Measurement(name, math.nan, skipped=why, hint=hint))
