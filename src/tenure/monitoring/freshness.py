"""Faults of the feeds themselves: predictions or outcomes that stopped, and outcomes that cannot be right."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl
from scipy.special import bdtr, bdtrc

from tenure.core.evidence import Finding, Measurement, Threshold, Verdict
from tenure.core.modelling import Floats
from tenure.monitoring.figures import figure
from tenure.monitoring.maturity import LEAST_OUTCOMES, MATURE, DelayCurve, usual_gap
from tenure.monitoring.quarantine import QUARANTINED_ROWS
from tenure.monitoring.realised import Answered, moments_of
from tenure.monitoring.rules import FAULT_LEVEL, binomial_limit

TRAFFIC_FRESHNESS: Final = "traffic-freshness"
OUTCOME_FRESHNESS: Final = "outcome-freshness"
OUTCOME_VALUES: Final = "outcome-values"
FEED_CHECKS: Final = (TRAFFIC_FRESHNESS, OUTCOME_FRESHNESS, OUTCOME_VALUES, QUARANTINED_ROWS)
_WARN_GAPS: Final = 2.0
_FAIL_GAPS: Final = 4.0
_WARN_LONGEST: Final = 1.25
_FAIL_LONGEST: Final = 2.0
_LEAST_TIMES: Final = 20
_LEAST_SPAN: Final = 14 * 86_400.0
_LEAST_MISSED: Final = 20.0
_LOST_WARNS: Final = 0.2
_LOST_FAILS: Final = 0.4
_LEAST_CHANGE: Final = 0.02
_TENFOLD: Final = 10.0


def judge_traffic_freshness(said_at: pl.Series, now: datetime) -> Finding:
    """Judge how long ago the last prediction was said, against the gaps there were.

    `said_at` (Datetime) holds when predictions were said, in any order. The measurement is the silence over what warns:
    twice the usual gap, and a quarter more than the longest so far. Four times the usual and twice the longest fails,
    once two weeks are known, so that weekends are.
    """
    moments = moments_of(said_at)
    silence, gaps = _silence(moments, now)
    if gaps.size < _LEAST_TIMES:
        reason = f"only {gaps.size + 1} moments with predictions tell how often they come."
        return Finding(TRAFFIC_FRESHNESS, Verdict.SKIPPED, Measurement(TRAFFIC_FRESHNESS, 0.0, skipped=reason))
    usual, longest = usual_gap(gaps), float(gaps.max())
    warn = max(_WARN_GAPS * usual, _WARN_LONGEST * longest)
    fail = max(_FAIL_GAPS * usual, _FAIL_LONGEST * longest)
    known = float(gaps.sum()) >= _LEAST_SPAN
    measurement = Measurement(
        TRAFFIC_FRESHNESS,
        silence / warn,
        says=f"The last prediction was {_span(silence)} ago; {_span(longest)} was the longest gap before.",
        hint="Check whether the callers still reach the server; a model that is no longer used can be retired.",
        evidence={"silence_seconds": silence, "usual_seconds": usual, "longest_seconds": longest},
    )
    limits = Threshold(warn=1.0, fail=fail / warn) if known else Threshold(warn=1.0)
    return limits.judge(measurement, check=TRAFFIC_FRESHNESS)


def _silence(moments: Floats, now: datetime) -> tuple[float, Floats]:
    """Return the seconds since the last moment, and the gaps between distinct moments before."""
    present = now.astimezone(UTC).timestamp()
    came = np.unique(moments[np.isfinite(moments) & (moments <= present)])
    return (present - float(came[-1]) if came.size else 0.0), np.diff(came)


def _span(seconds: float) -> str:
    for size, name in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"


def judge_outcome_freshness(event_at: pl.Series, known_at: pl.Series, now: datetime, curve: DelayCurve) -> Finding:
    """Judge whether outcomes still come: the silence since the last one, and how many were due in it.

    The measurement is how many outcomes the delay curve says should have come since the last one did. It fails from
    20 on, where the silence is also longer than any gap between outcomes that usual ones explain.
    """
    known = moments_of(known_at)
    silence, gaps = _silence(known, now)
    if int(np.isfinite(known).sum()) < LEAST_OUTCOMES:
        reason = f"only {int(np.isfinite(known).sum())} outcomes are known."
        return Finding(OUTCOME_FRESHNESS, Verdict.SKIPPED, Measurement(OUTCOME_FRESHNESS, 0.0, skipped=reason))
    present = now.astimezone(UTC).timestamp()
    event = moments_of(event_at)
    waiting = event[np.isnan(known) & (event <= present)]
    before = curve.share_known(np.maximum(present - silence - waiting, -1.0))
    after = curve.share_known(present - waiting)
    due = float(((after - before) / np.maximum(1.0 - before, 1e-9)).sum())
    patience = max(_WARN_GAPS * usual_gap(gaps), _WARN_LONGEST * float(gaps.max(initial=0.0)))
    value = due if silence > patience else 0.0
    measurement = Measurement(
        OUTCOME_FRESHNESS,
        value,
        says=f"The last outcome came {_span(silence)} ago; about {due:,.0f} more were due since.",
        hint="Check the job that posts outcomes. Until it runs, nobody can tell how the model does.",
        evidence={"silence_seconds": silence, "patience_seconds": patience, "due": due},
    )
    return Threshold(warn=_LEAST_MISSED / 2, fail=_LEAST_MISSED).judge(measurement, check=OUTCOME_FRESHNESS)


def judge_lost_outcomes(rows: int, matured: float, curve: DelayCurve) -> Finding:
    """Judge how many outcomes of a window that should have them never came, beside the share that ever comes.

    `rows` and `matured` are those of the latest window older than `maturity.final_age`. The measurement is the share
    of the outcomes due that is missing, less what chance explains.
    """
    subject = "outcomes that are overdue"
    if not curve.settled or curve.outcomes < LEAST_OUTCOMES:
        reason = "nobody can tell yet which share of outcomes comes."
        return Finding(
            OUTCOME_FRESHNESS, Verdict.SKIPPED, Measurement(OUTCOME_FRESHNESS, 0.0, subject=subject, skipped=reason)
        )
    due = MATURE * curve.ceiling
    chance = 4.0 * float(np.sqrt(due * (1.0 - due) / rows)) if rows else due
    measurement = Measurement(
        OUTCOME_FRESHNESS,
        max(due - chance - matured, 0.0) / due,
        subject=subject,
        says=f"{matured:.0%} of the outcomes of a window that is old enough are known; {curve.ceiling:.0%} are usual.",
        hint="Check the job that posts outcomes: some are lost, or come much later than they did.",
        evidence={"rows": rows, "matured": matured, "usual": curve.ceiling},
    )
    return Threshold(warn=_LOST_WARNS, fail=_LOST_FAILS).judge(measurement, check=OUTCOME_FRESHNESS)


def judge_unread_outcomes(rows: pl.DataFrame, read: Answered) -> Finding:
    """Judge how many outcomes of `rows` (of `Traffic.joined`) the target cannot have; `read` are those it can.

    A class never seen in training is one, or a text where a number should be.
    """
    given, subject = int(rows["outcome"].is_not_null().sum()), "what outcomes say"
    if given < LEAST_OUTCOMES:
        return _skipped(subject, f"only {given} outcomes are known.")
    share = max(given - len(read), 0) / given
    limit = binomial_limit(given, 0.0, given, FAULT_LEVEL)
    measurement = Measurement(
        OUTCOME_VALUES,
        share,
        subject=subject,
        says=f"{share:.0%} of outcomes are none that the model knows: a new class, or not a number.",
        hint="Post outcomes as the target is written in training. If a new class is right, train on rows that hold it.",
        evidence={"rows": given},
    )
    return Threshold(warn=limit, fail=max(limit, _LEAST_CHANGE)).judge(measurement, check=OUTCOME_VALUES)


def judge_outcome_values(answers: Answered, reference: Answered) -> tuple[Finding, ...]:
    """Judge whether the outcomes of ripe windows can be right beside those of training.

    Outcomes that are all the same, and shares of a class or a size of values that changed tenfold, beyond chance, are
    faults of the outcome feed until a person says otherwise: retraining would learn them.
    """
    if len(answers) < LEAST_OUTCOMES or len(reference) < LEAST_OUTCOMES:
        return (_skipped("how outcomes spread", f"only {len(answers)} outcomes are known."),)
    return (_all_the_same(answers, reference), _tenfold(answers, reference))


def _all_the_same(answers: Answered, reference: Answered) -> Finding:
    """Measure the chance (as -log10) of outcomes that are all alike."""
    values, counts = np.unique(reference.target, return_counts=True)
    first = answers.target[0]
    alike = bool(np.all(answers.target == first))
    usual = float(counts[values == first].sum()) / len(reference)
    common = max(usual, 1.0 / len(reference))
    measurement = Measurement(
        OUTCOME_VALUES,
        -len(answers) * float(np.log10(common)) if alike else 0.0,
        subject="how outcomes spread",
        says=f"All {len(answers):,} outcomes are the same." if alike else "Outcomes differ, as they should.",
        hint="Check the job that posts outcomes: it may fill in one value.",
    )
    limit = -float(np.log10(FAULT_LEVEL))
    return Threshold(warn=limit, fail=limit).judge(measurement, check=OUTCOME_VALUES)


def _tenfold(answers: Answered, reference: Answered) -> Finding:
    """Measure by what factor outcomes changed: the share of a class, or the middle size of values."""
    if answers.predicted.ndim == 1:
        now, usual = (float(np.median(np.abs(side.target))) for side in (answers, reference))
        factor = max(now / usual, usual / now) if now > 0 and usual > 0 else 1.0
        subject, says = "the size of outcomes", f"Half of outcomes are beyond {figure(now)}; {figure(usual)} was usual."
    else:
        code, factor = _farthest_class(answers, reference)
        now, usual = (float((side.target == code).mean()) for side in (answers, reference))
        subject, says = (
            "the share of a class",
            f"{now:.2%} of outcomes are of class number {code}; {usual:.2%} were usual.",
        )
    measurement = Measurement(
        OUTCOME_VALUES,
        factor,
        subject=subject,
        says=says,
        hint="Check the job that posts outcomes, and its unit. Do not retrain on these rows before.",
        evidence={"rows": len(answers), "now": now, "usual": usual},
    )
    return Threshold(warn=_TENFOLD, fail=_TENFOLD).judge(measurement, check=OUTCOME_VALUES)


def _farthest_class(answers: Answered, reference: Answered) -> tuple[int, float]:
    """Return the class whose share changed most beyond chance, and by what factor; 1 where none did."""
    classes = answers.predicted.shape[1]
    rows, known = len(answers), len(reference)
    now = np.bincount(answers.target.astype(np.int64), minlength=classes)
    usual = np.bincount(reference.target.astype(np.int64), minlength=classes)
    share = (usual + 0.5) / (known + 1.0)
    level = FAULT_LEVEL / classes
    rare = (bdtr(now, rows, share) < level) | (bdtrc(now - 1, rows, share) < level)
    ratio = (now + 0.5) / (rows + 1.0) / share
    factor = np.where(rare, np.maximum(ratio, 1.0 / ratio), 1.0)
    code = int(np.argmax(factor))
    return code, float(factor[code])


def _skipped(subject: str, reason: str) -> Finding:
    return Finding(OUTCOME_VALUES, Verdict.SKIPPED, Measurement(OUTCOME_VALUES, 0.0, subject=subject, skipped=reason))
