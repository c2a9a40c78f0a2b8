"""Choose what to do about a health report: the only way back to the front door. Pure; the caller acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.health import HealthReport, WindowHealth
from tenure.core.lifecycle import Action, Verb
from tenure.core.retraining import Prospect, Recipe
from tenure.engine.policy import Policy, Situation
from tenure.monitoring.alarm import POOLED_WINDOWS, REALISED_SCORE, REALISED_VALUE, noted
from tenure.monitoring.drift_findings import DRIFT, ESTIMATED_SCORE
from tenure.monitoring.freshness import FEED_CHECKS
from tenure.monitoring.rules import RULES

_REALISED: Final = (REALISED_SCORE, REALISED_VALUE)
_MENDED: Final = (*_REALISED, DRIFT, ESTIMATED_SCORE)
"""What a version that climbs may be the remedy for."""
PROSPECT: Final = "prospect"
_PROPOSALS: Final = {
    Verb.RETRAIN: "tenure approve",
    Verb.ROLL_BACK: "tenure approve",
    Verb.ESCALATE: "tenure monitor",
}


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the health report alone asks for."""

    verb: Verb
    reason: str
    cause: Finding | None = None
    recipe: Recipe | None = None


def choose(health: HealthReport, policy: Policy, situation: Situation) -> Action:
    """Choose keep, retrain, roll back or escalate, with the finding that caused it.

    Called by `tenure watch` after each health check. A broken check or a broken feed is escalated and never trained
    on. The same act is never chosen twice for one cause: what was done and did not help is escalated, what was
    proposed or escalated waits for a person. `carried_out` is always false here; under `auto` the caller carries out
    a retraining or rollback and records that.
    """
    wish = _with_version(_wish(health, situation), health)
    wish = _while_climbing(wish, health, situation, policy)
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
    return Action(wish.verb, wish.reason, wish.cause, proposal=proposal, made_from=(health.digest,), recipe=wish.recipe)


def _in_words(verb: Verb) -> str:
    return {Verb.RETRAIN: "retrain the model", Verb.ROLL_BACK: "roll back"}[verb]


def _wish(health: HealthReport, situation: Situation) -> _Wish:
    """Return what is asked for: proof of harm first, then what makes the findings doubtful, then what they say."""
    if situation.harm is not None:
        return _Wish(Verb.ROLL_BACK, f"The version in office does harm. {situation.harm.says}", situation.harm)
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
    if situation.prospect is not None and situation.prospect.chosen is not None and not situation.resting:
        return _Wish(Verb.RETRAIN, situation.prospect.says, asked_by(situation.prospect), situation.prospect.chosen)
    return _wish_without_remedy(health, situation)


def _wish_without_remedy(health: HealthReport, situation: Situation) -> _Wish:
    """Return what is asked for where no probe promised that a new model would pay, or none could be asked."""
    harm = next((f for f in health.findings if f.verdict is Verdict.FAIL and f.check in _REALISED), None)
    if harm is not None:
        if situation.prospect is None and not situation.unasked and not _faults_lately(health):
            return _Wish(Verb.RETRAIN, f"The model is worse than promised. {harm.says}", harm)
        return _Wish(Verb.ESCALATE, f"{_why_no_retraining(health, situation)} {harm.says}", harm)
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
    return _Wish(Verb.KEEP, health.headline or "Nothing calls for an act.")


def _why_no_retraining(health: HealthReport, situation: Situation) -> str:
    if _faults_lately(health):
        return "The model did worse on rows that were broken; retraining would learn them."
    if situation.unasked:
        return f"The model is worse than promised, and what would do better could not be asked. {situation.unasked}"
    if situation.resting:
        return f"The model is worse than promised. {situation.resting}"
    said = "" if situation.prospect is None else f" {situation.prospect.says}"
    return f"The model is worse than promised, and no way of learning promises to do better yet.{said}"


def asked_by(prospect: Prospect) -> Finding:
    """Return a prospect as the finding that a retraining is caused by: one for each block that it was judged on."""
    measurement = Measurement(
        "probability that a new model pays",
        prospect.probability,
        subject=None if prospect.chosen is None else prospect.chosen.name,
        says=prospect.says,
        evidence={"version": prospect.version, "since": max(prospect.starts, default=prospect.at)},
    )
    return Finding(PROSPECT, Verdict.WARN, measurement)


def _faults_lately(health: HealthReport) -> bool:
    """Say whether a rule of the contract broke in the latest windows whose outcomes were judged."""
    return any(window.faults for window in _of_version(health, health.version)[-POOLED_WINDOWS:])


def _of_version(health: HealthReport, version: int | None) -> list[WindowHealth]:
    return [window for window in health.windows if version in window.versions and window.realised is not None]


def _while_climbing(wish: _Wish, health: HealthReport, situation: Situation, policy: Policy) -> _Wish:
    """Wait for a remedy that is on its way; where nobody lets it go up, people are told as if there were none."""
    ill = wish.cause is not None and wish.cause.verdict is Verdict.FAIL and wish.cause.check in _MENDED
    waits = wish.verb is Verb.RETRAIN or ill
    if not situation.climbing or not waits or policy.autonomy == "observe":
        return wish
    return _Wish(Verb.KEEP, f"{situation.climbing} {health.headline}")


def _without_idle_retraining(wish: _Wish, situation: Situation) -> _Wish:
    """Do not choose a retraining that cannot change anything: tell a person of an illness, let a mere slip be."""
    if wish.verb is not Verb.RETRAIN or situation.walked_in_vain is None or wish.recipe is not None:
        return wish
    idle = f"Retraining would change nothing: {situation.walked_in_vain}."
    is_illness = wish.cause is not None and wish.cause.verdict is Verdict.FAIL
    return _Wish(Verb.ESCALATE if is_illness else Verb.KEEP, f"{wish.reason} {idle}", wish.cause)


def _without_repeats(wish: _Wish, health: HealthReport, situation: Situation) -> _Wish:
    """Never choose one act twice for one cause, but retrain again once there are new rows to learn from.

    A prospect is a new cause with every block of outcomes.
    """
    if wish.verb is Verb.KEEP or wish.cause is None:
        return wish
    earlier = [action for action in situation.past if action.cause and same_cause(action.cause, wish.cause)]
    same = [action for action in earlier if action.verb is wish.verb]
    if not same:
        return wish
    if wish.cause.check == PROSPECT and same[-1].carried_out:
        return _Wish(Verb.KEEP, f"What the latest outcomes asked for is done. {health.headline}")
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
