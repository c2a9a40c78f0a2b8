"""The rule of the gate: pure, short, and a tie keeps the champion."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tenure.core.evidence import Finding, blocking
from tenure.core.lifecycle import Comparison, GateDecision, Outcome


def decide(
    findings: Sequence[Finding],
    comparison: Comparison | None,
    *,
    min_gain: float,
    same_model: bool = False,
    why_not: str = "",
    margin: float | None = None,
) -> GateDecision:
    """Promote only what passed everything and is better beyond doubt; a tie keeps the champion.

    `same_model` says that the candidate already holds the office. `comparison` is None where none was possible;
    then `why_not` says why. With `margin` (units of the metric) past blocks spoke for the candidate already, and it
    need only be better here too, and not worse by more than that beyond doubt.
    """
    if stopped := blocking(findings):
        return GateDecision(Outcome.REJECT, _blocked(stopped), stopped, comparison, same_model=same_model)
    if same_model:
        return GateDecision(Outcome.HOLD, "The candidate already holds the office.", same_model=True)
    if comparison is None:
        return GateDecision(Outcome.HOLD, why_not or "The candidate could not be compared with anything.")
    if comparison.low > min_gain:
        return GateDecision(Outcome.PROMOTE, _better(comparison), comparison=comparison)
    if margin is not None and comparison.gain > min_gain and comparison.low > -margin:
        return GateDecision(Outcome.PROMOTE, _no_worse(comparison, margin), comparison=comparison)
    return GateDecision(Outcome.HOLD, _in_doubt(comparison, min_gain), comparison=comparison)


def _blocked(stopped: Sequence[Finding]) -> str:
    count = "One finding blocks" if len(stopped) == 1 else f"{len(stopped)} findings block"
    return f"{count}; the gravest: {stopped[0].says}"


def _against(comparison: Comparison) -> str:
    return "the baseline" if comparison.against == "baseline" else f"the champion {comparison.against}"


def _better(comparison: Comparison) -> str:
    return (
        f"Better than {_against(comparison)} beyond doubt on {comparison.rows:,} rows: "
        f"{comparison.metric} gains {comparison.gain:.4g}, and at least {comparison.low:.4g}."
    )


def _no_worse(comparison: Comparison, margin: float) -> str:
    return (
        f"Past blocks spoke for it, and on {comparison.rows:,} rows of the newest it is better than "
        f"{_against(comparison)} again: {comparison.metric} gains {comparison.gain:.4g} "
        f"({comparison.low:.4g} to {comparison.high:.4g}), and does not lose {margin:.4g} beyond doubt."
    )


def _in_doubt(comparison: Comparison, min_gain: float) -> str:
    rival = _against(comparison)
    if math.isnan(comparison.low) or math.isnan(comparison.gain):
        return f"The gain over {rival} could not be measured, so nothing changes."
    if comparison.high < 0:
        return f"Worse than {rival} on {comparison.rows:,} rows: {comparison.metric} loses {-comparison.gain:.4g}."
    wanted = f" more than {min_gain:.4g} is wanted" if min_gain > 0 else " a tie changes nothing"
    return (
        f"Not better than {rival} beyond doubt on {comparison.rows:,} rows: the gain in {comparison.metric} "
        f"may be as small as {comparison.low:.4g};{wanted}."
    )
