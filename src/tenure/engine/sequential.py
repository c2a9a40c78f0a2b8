"""Whether one version harms: its losses beside those of another, on the same rows, looked at as often as one likes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tenure.core.evidence import Finding, Measurement, Threshold
from tenure.core.project import MonitoringSection
from tenure.engine.pairs import Pairs, Voice
from tenure.engine.workspace import Workspace
from tenure.monitoring.figures import figure
from tenure.promotion.harm import Harm, Yardstick, blocks_of, harm_of, yardstick_of

HARM: Final = "harm"
CANARY_BAR: Final = 20.0
"""What bets must win to take a version off the ladder: chance does that in one of 20 climbs at most."""
ROLLBACK_BAR: Final = 100.0
"""What they must win to roll a version back."""
_PARTS: Final = 28
"""Blocks that a window is cut into: a quarter of a day, where it is a week."""
_LEAST_ROWS: Final = 10


def harm_finding(workspace: Workspace, one: Voice, other: Voice, pairs: Pairs, *, bar: float) -> tuple[Finding, ...]:
    """Return whether version `one` does worse than `other` on rows whose outcome is known; none while nobody can tell.

    Raises:
        ArtifactError: what `other` promised is gone.
    """
    if not len(pairs):
        return ()
    promise = other.promise
    stick = yardstick_of(other.board.metric, workspace.project.project.task, promise.target, promise.predicted)
    excess = stick.losses(pairs.target, pairs.one) - stick.losses(pairs.target, pairs.other)
    least, span = _block(workspace.project.monitoring)
    block = blocks_of(pairs.event_at, least=least, span=span)
    harm = harm_of(excess, block, margin=stick.margin, spread=stick.spread)
    lead = harm_of(-excess, block, margin=stick.margin, spread=stick.spread).wealth
    return () if not harm.blocks else (_told(one, other, stick, harm, lead, bar),)


def leads(evidence: Iterable[Finding]) -> bool:
    """Say whether the same bets, made the other way round, show that a version is better beyond chance."""
    return any(f.check == HARM and f.measurement.evidence["lead"] >= CANARY_BAR for f in evidence)


def speaks_for(evidence: Sequence[Finding]) -> bool:
    """Say whether outcomes speak for a version: it is better beyond chance, or loses less by its whole interval."""
    found = [finding.measurement for finding in evidence if finding.check == HARM]
    return leads(evidence) or any(one.high is not None and one.high < 0 for one in found)


def _block(monitoring: MonitoringSection) -> tuple[int, float]:
    """Return how many rows a block needs, and how many seconds it has to cover."""
    if monitoring.window_rows is not None:
        return max(_LEAST_ROWS, monitoring.window_rows // _PARTS), 0.0
    return _LEAST_ROWS, (monitoring.window_seconds or 0.0) / _PARTS


def _told(one: Voice, other: Voice, stick: Yardstick, harm: Harm, lead: float, bar: float) -> Finding:
    ours, theirs, size = one.version.label, other.version.label, f"{figure(abs(harm.excess))}"
    more = "more" if harm.excess > 0 else "less"
    says = (
        f"On the same {harm.rows:,} rows {ours} loses {size} {more} a row than {theirs} ({stick.metric.label}, "
        f"{figure(harm.low)} to {figure(harm.high)})"
    )
    better = "; that is better beyond chance" if lead >= CANARY_BAR else "; no harm is shown"
    beyond = "; that is harm beyond chance" if harm.wealth >= bar else better
    measured = Measurement(
        HARM,
        harm.wealth,
        says=f"{says}{beyond}.",
        hint="Look at where the two differ: tenure diagnose",
        low=harm.low,
        high=harm.high,
        evidence={
            "rows": harm.rows,
            "blocks": harm.blocks,
            "excess": harm.excess,
            "lead": lead,
            "margin": stick.margin,
            "loss": stick.metric.name,
            "version": one.version.number,
            "previous": other.version.number,
        },
    )
    return Threshold(warn=bar**0.5, fail=bar).judge(measured, check=HARM)
