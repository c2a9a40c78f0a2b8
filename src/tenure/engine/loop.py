"""Choose what to do about a health report: the only way back to the front door. Pure; the caller acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tenure.core.evidence import Finding, Verdict
from tenure.core.health import HealthReport, WindowHealth
from tenure.core.lifecycle import Action, Verb
from tenure.core.metrics import METRICS
from tenure.engine.policy import Policy, Situation
from tenure.monitoring.alarm import POOLED_WINDOWS, REALISED_SCORE, REALISED_VALUE, noted
from tenure.monitoring.drift_findings import DRIFT, ESTIMATED_SCORE
from tenure.monitoring.freshness import FEED_CHECKS
from tenure.monitoring.inputs import PREDICTION
from tenure.monitoring.rules import RULES

_REALISED: Final = (REALISED_SCORE, REALISED_VALUE)
_MATTERS: Final = 0.05
_PROPOSALS: Final = {
    Verb.RETRAIN: "tenure run",
    Verb.ROLL_BACK: "tenure rollback",
    Verb.ESCALATE: "tenure monitor",
}


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the health report alone asks for."""

    verb: Verb
    reason: str
    cause: Finding | None = None


def choose(health: HealthReport, policy: Policy, situation: Situation) -> Action:
    """Choose keep, retrain, roll back or escalate, with the finding that caused it.

    Called by `tenure watch` after each health check. A broken check or a broken feed is escalated and never trained
    on. The same act is never chosen twice for one cause: what was done and did not help is escalated, what was
    proposed or escalated waits for a person. `carried_out` is always false here; under `auto` the caller carries out
    a retraining or rollback and records that.
    """
    wish = _with_version(_wish(health, policy, situation), health)
    wish = _without_idle_retraining(wish, situation)
    wish = _without_repeats(wish, health, situation)
    if policy.autonomy == "observe" and wish.verb in (Verb.RETRAIN, Verb.ROLL_BACK):
        told = _Wish(Verb.ESCALATE, f"{wish.reason} A person should {_in_words(wish.verb)}.", wish.cause)
        told = _without_repeats(told, health, situation)
        return _action(told, health, proposal=_PROPOSALS[wish.verb] if told.verb is Verb.ESCALATE else None)
    if wish.verb is Verb.KEEP or (policy.autonomy == "auto" and wish.verb is not Verb.ESCALATE):
        return _action(wish, health, proposal=None)
    return _action(wish, health, proposal=_PROPOSALS[wish.verb])


def _with_version(wish: _Wish, health: HealthReport) -> _Wish:
    """Note in the cause which version it befell: after a change of champion the same finding is a new cause."""
    return wish if wish.cause is None else replace(wish, cause=noted(wish.cause, version=health.version))


def _action(wish: _Wish, health: HealthReport, *, proposal: str | None) -> Action:
    return Action(wish.verb, wish.reason, wish.cause, proposal=proposal, made_from=(health.digest,))


def _in_words(verb: Verb) -> str:
    return {Verb.RETRAIN: "retrain the model", Verb.ROLL_BACK: "roll back"}[verb]


def _wish(health: HealthReport, policy: Policy, situation: Situation) -> _Wish:
    """Return what the findings ask for; what makes them doubtful comes before what they say."""
    broken = _first(health.findings, Verdict.ERROR)
    if broken is not None:
        return _Wish(Verb.ESCALATE, f"A health check broke, so nothing is known for sure. {broken.says}", broken)
    fault = next((f for f in health.findings if f.verdict is Verdict.FAIL and f.check in RULES), None)
    if fault is not None:
        return _Wish(Verb.ESCALATE, f"The rows that come in are broken; retraining would learn it. {fault.says}", fault)
    feed = next((f for f in health.findings if f.verdict is Verdict.FAIL and f.check in FEED_CHECKS), None)
    if feed is not None:
        reason = f"What comes in or comes true cannot be relied on; retraining would learn it. {feed.says}"
        return _Wish(Verb.ESCALATE, reason, feed)
    harm = next((f for f in health.findings if f.verdict is Verdict.FAIL and f.check in _REALISED), None)
    if harm is not None:
        return _wish_after_harm(harm, health, policy, situation)
    drift = next(
        (f for f in health.findings if f.verdict is Verdict.FAIL and f.check in (DRIFT, ESTIMATED_SCORE)), None
    )
    if drift is not None:  # nobody can tell yet whether the world moved or the feed is wrong
        return _Wish(
            Verb.ESCALATE, f"The inputs moved, which is likely to do harm before outcomes tell. {drift.says}", drift
        )
    other = _first(health.findings, Verdict.FAIL)
    if other is not None:
        return _Wish(Verb.ESCALATE, f"A check fails for which no remedy is known. {other.says}", other)
    slipping = _slipping_with_drift(health)
    if slipping is not None:
        return _Wish(Verb.RETRAIN, f"The inputs moved and the model slips. {slipping.says}", slipping)
    return _Wish(Verb.KEEP, health.headline or "Nothing calls for an act.")


def _wish_after_harm(harm: Finding, health: HealthReport, policy: Policy, situation: Situation) -> _Wish:
    if _faults_lately(health):
        reason = f"The model did worse on rows that were broken; retraining would learn them. {harm.says}"
        return _Wish(Verb.ESCALATE, reason, harm)
    if _on_probation(health, policy, situation) and _previous_did_better(health, situation):
        reason = f"v{situation.champion} fell short right after it took office; v{situation.previous} did better."
        return _Wish(Verb.ROLL_BACK, f"{reason} {harm.says}", harm)
    return _Wish(Verb.RETRAIN, f"The model is worse than promised. {harm.says}", harm)


def _faults_lately(health: HealthReport) -> bool:
    """Say whether a rule of the contract broke in the latest windows whose outcomes were judged."""
    return any(window.faults for window in _of_version(health, health.version)[-POOLED_WINDOWS:])


def _of_version(health: HealthReport, version: int | None) -> list[WindowHealth]:
    return [window for window in health.windows if version in window.versions and window.realised is not None]


def _this_term(health: HealthReport, champion: int) -> list[WindowHealth]:
    """Return the judged windows since another version last answered: a version may come back into office."""
    judged = [window for window in health.windows if window.realised is not None]
    others = [at for at, window in enumerate(judged) if window.versions != (champion,)]
    return judged[others[-1] + 1 :] if others else judged


def _on_probation(health: HealthReport, policy: Policy, situation: Situation) -> bool:
    if situation.previous is None or len(_this_term(health, situation.champion)) > policy.probation:
        return False
    left = {
        action.cause.measurement.evidence.get("version")
        for action in situation.past
        if action.verb is Verb.ROLL_BACK and action.carried_out and action.cause is not None
    }
    return situation.previous not in left  # what was rolled back from is no place to go back to


def _previous_did_better(health: HealthReport, situation: Situation) -> bool:
    """Say whether the previous version's last windows alone were better than the champion's; yes if none is known."""
    before = [w for w in _of_version(health, situation.previous) if w.versions == (situation.previous,)]
    now = _this_term(health, situation.champion)
    if not before or not now or health.expected is None:
        return True
    return _mean_score(before[-POOLED_WINDOWS:], health) > _mean_score(now, health)


def _mean_score(windows: Sequence[WindowHealth], health: HealthReport) -> float:
    """Return the mean realised score weighted by rows, turned so that larger is better."""
    scores = [window.realised for window in windows if window.realised is not None]
    mean = sum(score.value * score.rows for score in scores) / sum(score.rows for score in scores)
    return mean if METRICS[scores[0].metric].greater_is_better else -mean


def _slipping_with_drift(health: HealthReport) -> Finding | None:
    """Return the finding of a score that slips because of drift, where all speaks for it.

    The latest window and the latest ones together must slip, and a column that matters to the model (or the
    prediction) must have moved in the two latest full windows: so much comes together by chance too seldom to count.
    """
    slips = [f for f in health.findings if f.verdict is Verdict.WARN and f.check == REALISED_SCORE]
    if len(slips) < 2 or _faults_lately(health):
        return None
    matters = {
        f.subject
        for f in health.findings
        if f.verdict is Verdict.WARN
        and (f.subject == PREDICTION or f.measurement.evidence.get("importance", 0.0) >= _MATTERS)
    }
    latest = max((i for i, window in enumerate(health.windows) if window.drifted), default=0)
    before = health.windows[latest - 1].drifted if latest > 0 else ()
    return slips[-1] if matters & set(before) else None


def _without_idle_retraining(wish: _Wish, situation: Situation) -> _Wish:
    """Do not choose a retraining that cannot change anything: tell a person of an illness, let a mere slip be."""
    if wish.verb is not Verb.RETRAIN or situation.walked_in_vain is None:
        return wish
    idle = f"Retraining would change nothing: {situation.walked_in_vain}."
    is_illness = wish.cause is not None and wish.cause.verdict is Verdict.FAIL
    return _Wish(Verb.ESCALATE if is_illness else Verb.KEEP, f"{wish.reason} {idle}", wish.cause)


def _without_repeats(wish: _Wish, health: HealthReport, situation: Situation) -> _Wish:
    """Never choose one act twice for one cause, but retrain again once there are new rows to learn from."""
    if wish.verb is Verb.KEEP or wish.cause is None:
        return wish
    earlier = [action for action in situation.past if action.cause and same_cause(action.cause, wish.cause)]
    same = [action for action in earlier if action.verb is wish.verb]
    if not same:
        return wish
    escalated = any(action.verb is Verb.ESCALATE for action in earlier)
    if wish.verb is Verb.RETRAIN and same[-1].carried_out and situation.new_rows:
        return wish
    if same[-1].carried_out and not escalated:
        reason = f"{wish.reason} The answer to this was to {wish.verb} already, and it did not help."
        return _Wish(Verb.ESCALATE, reason, wish.cause)
    waits = "A person was told" if escalated else f"To {wish.verb} was proposed"
    return _Wish(Verb.KEEP, f"{waits} and nothing is known to have changed since. {health.headline}", wish.cause)


def same_cause(one: Finding, other: Finding) -> bool:
    """Say whether two findings tell of one illness: kind, version, and when it began."""
    return _identity(one) == _identity(other)


def _identity(finding: Finding) -> tuple[object, ...]:
    evidence = finding.measurement.evidence
    kind = "realised" if finding.check in _REALISED else (finding.check, finding.subject)
    return kind, evidence.get("version"), evidence.get("since")


def _first(findings: Sequence[Finding], verdict: Verdict) -> Finding | None:
    return next((finding for finding in findings if finding.verdict is verdict), None)
