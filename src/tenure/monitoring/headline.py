"""Say in one plain sentence how the model is doing."""

from __future__ import annotations

from collections.abc import Sequence

from tenure.core.evidence import Finding, Verdict
from tenure.core.health import Health
from tenure.monitoring.alarm import REALISED_SCORE, REALISED_VALUE
from tenure.monitoring.drift_findings import DRIFT, ESTIMATED_SCORE
from tenure.monitoring.freshness import FEED_CHECKS
from tenure.monitoring.inputs import DECISION, PREDICTION
from tenure.monitoring.rules import ENOUGH_ROWS, RULES, VOLUME


def headline_of(status: Health, findings: Sequence[Finding]) -> str:
    """Return the sentence that the owner reads first."""
    if status is Health.ILL:
        return _of_illness(findings)
    if status is Health.CHANGED:
        return _of_change(findings)
    if status is Health.LEARNING:
        small = next((f for f in findings if f.check == ENOUGH_ROWS), None)
        return "Too early to tell: " + (small.measurement.skipped or "" if small else "nothing can be judged yet.")
    score = _first(findings, REALISED_SCORE, Verdict.PASS)
    if score is None:
        return "Rows look as they did in training. No outcomes can be judged yet."
    return f"The model does what was promised. {score.says}"


def _of_illness(findings: Sequence[Finding]) -> str:
    blocking = [finding for finding in findings if finding.verdict.blocks]
    faults = [finding for finding in blocking if finding.check in RULES]
    if faults:
        columns = len({finding.subject for finding in faults})
        more = f" {columns - 1} more {_columns(columns - 1, 'is', 'are')} broken too." if columns > 1 else ""
        return f"The rows that come in are broken: {faults[0].says}{more}"
    broken = next((finding for finding in blocking if finding.verdict is Verdict.ERROR), None)
    if broken is not None:
        return f"The health is not known. {broken.says}"
    feed = next((finding for finding in blocking if finding.check in FEED_CHECKS), None)
    if feed is not None:
        return f"Whether the model does well cannot be told. {feed.says}"
    shown = next((finding for finding in blocking if finding.check in (REALISED_SCORE, REALISED_VALUE)), None)
    if shown is not None:
        return f"The model is worse than promised. {shown.says}"
    if blocking[0].check in (DRIFT, ESTIMATED_SCORE):
        return f"The model is likely to be worse by now. {blocking[0].says}"
    return blocking[0].says


def _of_change(findings: Sequence[Finding]) -> str:
    warned = [finding for finding in findings if finding.verdict is Verdict.WARN]
    slipping = next((finding for finding in warned if finding.check in (REALISED_SCORE, REALISED_VALUE)), None)
    if slipping is not None:
        return f"The model may be slipping, within what chance explains. {slipping.says}"
    moved = sorted(
        (finding for finding in warned if finding.check != VOLUME),
        key=lambda finding: -float(finding.measurement.evidence.get("importance", 0.0)),
    )
    first = (moved or warned)[0]
    others = len({f.subject for f in moved} - {None, PREDICTION, DECISION, first.subject})
    more = f" {others} more {_columns(others)} moved too." if others > 0 else ""
    judged = _first(findings, REALISED_SCORE, Verdict.PASS) is not None
    harm = "No harm is shown." if judged else "Whether it does harm is not known before outcomes come."
    return f"Something changed: {first.says}{more} {harm}"


def _columns(count: int, one: str = "", many: str = "") -> str:
    return f"column {one}".rstrip() if count == 1 else f"columns {many}".rstrip()


def _first(findings: Sequence[Finding], check: str, verdict: Verdict) -> Finding | None:
    return next((finding for finding in findings if finding.check == check and finding.verdict is verdict), None)
