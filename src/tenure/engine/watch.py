"""Look at the model in office and act on what is seen: the only clock, and the one staircase back to the front door."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Final

import polars as pl

from tenure.core.data import Snapshot
from tenure.core.errors import SourceMissingError, TemporaryError, UnreadableDataError
from tenure.core.evidence import Finding, QualityReport, blocking
from tenure.core.health import HealthReport
from tenure.core.ladder import Rung, Step
from tenure.core.lifecycle import Action, Release, Verb
from tenure.core.modelling import Leaderboard
from tenure.core.retraining import Prospect, Recipe
from tenure.engine.acts import Begun, begin, begun_as, is_done, note, past_acts, unfinished
from tenure.engine.alerts.delivery import deliver
from tenure.engine.alerts.look import observe_alarms
from tenure.engine.approvals import proposals_of, propose, review
from tenure.engine.approved import ACTS, carry_out_answered
from tenure.engine.deeds import is_correction, resting, retrained, rolled_back
from tenure.engine.events import HEALTH_EVENT
from tenure.engine.ladder import climb
from tenure.engine.logged_rows import note_faulty_windows, pinned, with_log
from tenure.engine.loop import choose, same_cause
from tenure.engine.permission import may, tell_once
from tenure.engine.permits import Act
from tenure.engine.policy import Policy, Situation
from tenure.engine.probation import probation
from tenure.engine.prospects import latest_prospect, not_asked, prospect_for
from tenure.engine.recall import record_in, records_of
from tenure.engine.runner import WALKED_EVENT, Walk
from tenure.engine.source_looks import known_fingerprint
from tenure.engine.workspace import Workspace
from tenure.monitoring.alarm import noted
from tenure.monitoring.freshness import FEED_CHECKS
from tenure.monitoring.rules import RULES
from tenure.monitoring.stage import Watched, check_health, compare_file
from tenure.state.exclusions import Exclusion
from tenure.state.ladder import Ladder
from tenure.state.leases import Lease
from tenure.state.ledger import Event
from tenure.state.proposals import Proposal, ProposalState
from tenure.state.shelf import Shelf

WATCH_LEASE: Final = "watch"
_LAPSED: Final = ProposalState.LAPSED


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen and chosen, and what came of it where it was carried out.

    `waiting` is what was chosen before for the same cause and waits for a person: nothing new is chosen, nothing is
    well either. `rungs` are the steps that a version took on the ladder, `excluded` the stretches that nothing is
    learned from any more. A look that first had to finish what an earlier one began has the health of that one.
    """

    health: HealthReport
    action: Action
    waiting: Verb | None = None
    walk: Walk | None = None
    release: Release | None = None
    rungs: tuple[Rung, ...] = ()
    excluded: tuple[Exclusion, ...] = ()


def examine(workspace: Workspace) -> HealthReport:
    """Judge the traffic of the model in office; what is new about it goes to the ledger, and its alarms are followed.

    What people are to be told lies in the outbox afterwards: `deliver` sends it.

    Raises:
        NoChampionError: no model was promoted yet.
    """
    health = _judged(workspace)
    last = workspace.ledger.events(kind=HEALTH_EVENT, newest_first=True, limit=1)
    data = {
        "status": health.status.value,
        "version": f"v{health.version}",
        "windows": f"{len(health.windows)} to {health.windows[-1].start}" if health.windows else "",
        "ripe": sum(window.ripe for window in health.windows),
        "blocking": [f"{finding.check}: {finding.subject}" for finding in blocking(health.findings)],
    }
    known = {} if not last else {name: value for name, value in last[0].data.items() if name != "headline"}
    if known != data:  # the headline may count days, which are no news
        workspace.ledger.append(
            HEALTH_EVENT,
            actor=workspace.context.actor,
            reason=health.headline,
            output=workspace.context.artifacts.put_record(health),
            output_type="HealthReport",
            data=data | {"headline": health.headline},
        )
    observe_alarms(workspace, health)
    return health


def compare_rows(workspace: Workspace, path: Path) -> tuple[int, tuple[Finding, ...]]:
    """Hold a file of rows against what the model in office learned from; return how many rows, and what moved.

    Raises:
        NoChampionError: no model was promoted yet.
        SourceMissingError, UnreadableDataError: the file is not there, or is no Parquet or CSV.
    """
    if not path.is_file():
        raise SourceMissingError(f"There is no file {path}.", where=str(path), hint="Give a Parquet or CSV file.")
    try:
        return compare_file(workspace.context, Shelf(workspace.database), _watched(workspace), path)
    except pl.exceptions.PolarsError as error:
        raise UnreadableDataError(
            f"{path} cannot be read: {error}", where=str(path), hint="Give a Parquet or CSV file."
        ) from error


def _judged(workspace: Workspace) -> HealthReport:
    return check_health(workspace.context, workspace.traffic, Shelf(workspace.database), _watched(workspace))


def _watched(workspace: Workspace) -> Watched:
    version = workspace.champion()
    records = records_of(workspace, version.run_id)
    scorer = cache(lambda: workspace.scorer(version))  # loaded where it is asked at all, and once
    return Watched(
        version,
        record_in(records, "snapshot", Snapshot),
        record_in(records, "quality", QualityReport),
        record_in(records, "leaderboard", Leaderboard),
        answer=lambda rows: scorer().raw(rows),
    )


def look(workspace: Workspace) -> Look:
    """Judge the model in office and choose what the policy would do; nothing is done, and the ledger stays as it is.

    Whether a new model would pay is not asked, for that takes its time: the last answer counts.

    Raises:
        NoChampionError: no model was promoted yet.
    """
    health = _judged(workspace)
    return _chosen(workspace, health, latest_prospect(workspace, workspace.champion().number))


def look_and_act(workspace: Workspace) -> Look:
    """Examine, choose, and carry out what the policy leaves to tenure; one watcher at a time.

    What an earlier look began, or a person approved, is finished first.

    Raises:
        ProjectBusyError: another watcher or run holds the project, or took it over from this one.
    """
    with Lease(workspace.database, WATCH_LEASE, clock=workspace.context.clock) as lease:
        resumed, waits = _resumed(workspace, lease)
        if resumed is not None:
            return resumed
        health = examine(workspace)
        excluded = note_faulty_windows(workspace, health)
        deliver(workspace)  # before any act: a walk takes minutes, and who is paged should not wait for it
        harm = _new_harm(workspace, health)
        rungs = _climbed(workspace, health) if harm is None else ()
        if any(rung.step is Step.OFFICE for rung in rungs):
            health = examine(workspace)
        asked = harm is None and not waits
        seen = _chosen(workspace, health, prospect_for(workspace, health) if asked else None, harm)
        lease.renew()  # what was seen is stale where another leads by now
        if not waits:
            review(workspace, seen.action)
        elif seen.action.verb is not Verb.ROLL_BACK:  # nothing is begun beside it but what cannot wait
            seen = _kept(seen, waits)
        done = _carry_out(workspace, lease, _held_back(workspace, seen))
        return replace(done, rungs=rungs, excluded=excluded)


def _resumed(workspace: Workspace, lease: Lease) -> tuple[Look | None, str]:
    """Go on with what a person approved and with what was begun; return the look that it makes, or why it waits.

    What cannot be done now must not keep the model from being watched.
    """
    try:
        carry_out_answered(workspace, act=partial(_as_approved, lease))
        begun = unfinished(workspace)
        if begun is None:
            return None, ""
        permit = may(workspace, ACTS[begun.action.verb], approved=True)
        if permit.given:
            return finish(workspace, lease, begun), ""
        return None, f"What was begun waits. {permit.says}"
    except TemporaryError as error:
        lease.renew()  # raises where it is the lease that was lost
        workspace.context.log.note(f"what was begun waits: {error.message}")
        return None, f"What was begun waits. {error.message}"


def _kept(seen: Look, why: str) -> Look:
    return replace(seen, action=replace(seen.action, verb=Verb.KEEP, reason=why, cause=None, recipe=None))


def _new_harm(workspace: Workspace, health: HealthReport) -> Finding | None:
    """Return the proof that the version in office does harm; None where people were told already that it stays."""
    harm = probation(workspace)
    if harm is None:
        return None
    told = noted(harm, version=health.version)
    past = past_acts(workspace)
    known = any(a.verb is Verb.ESCALATE and a.cause is not None and same_cause(a.cause, told) for a in past)
    return None if known else harm


def carry_out_approved(workspace: Workspace) -> tuple[Proposal, ...]:
    """Carry out what a person approved, unless a watcher is at it, and return what is done.

    Raises:
        ProjectBusyError: a watcher holds the project; it does it at its next look.
    """
    with Lease(workspace.database, WATCH_LEASE, clock=workspace.context.clock) as lease:
        return carry_out_answered(workspace, act=partial(_as_approved, lease))


def _climbed(workspace: Workspace, health: HealthReport) -> tuple[Rung, ...]:
    """Let the version on the ladder go up, or take it off, as its evidence says; none goes up on a broken feed."""
    if workspace.project.operations.autonomy == "observe":
        return ()
    is_broken = any(f.verdict.blocks and f.check in (*RULES, *FEED_CHECKS) for f in health.findings)
    return climb(
        workspace,
        may_rise=not is_broken and may(workspace, Act.PROMOTE, approved=True).given,
        may_withdraw=may(workspace, Act.WITHDRAW, approved=True).given,
    )


def _chosen(workspace: Workspace, health: HealthReport, prospect: Prospect | None, harm: Finding | None = None) -> Look:
    situation = _situation(workspace, health, prospect, harm)
    action = choose(health, Policy(autonomy=workspace.project.operations.autonomy), situation)
    if action.verb is Verb.RETRAIN and prospect is not None:
        action = replace(action, prospect=workspace.context.artifacts.put_record(prospect))
    return Look(health, action, waiting=_waiting(action, situation))


def _waiting(action: Action, situation: Situation) -> Verb | None:
    """Return what an earlier look chose for the cause of a keep, where a person has not answered it yet."""
    if action.verb is not Verb.KEEP or action.cause is None:
        return None
    earlier = [act for act in situation.past if act.cause is not None and same_cause(act.cause, action.cause)]
    if any(act.verb is Verb.ESCALATE for act in earlier):
        return Verb.ESCALATE
    if not earlier or earlier[-1].carried_out:
        return None
    answered = earlier[-1].verb is Verb.RETRAIN and situation.walked_in_vain is not None
    return None if answered else earlier[-1].verb


def _held_back(workspace: Workspace, seen: Look) -> Look:
    """Keep instead of an act that may not be done now; of a spent budget a person is told once."""
    if workspace.project.operations.autonomy != "auto" or seen.action.verb not in ACTS:
        return seen
    permit = may(workspace, ACTS[seen.action.verb])
    if permit.given:
        return seen
    verb = Verb.ESCALATE if tell_once(workspace, permit) else Verb.KEEP
    reason = f"{permit.says} Wanted: {seen.action.verb.value}. {seen.action.reason}"
    return replace(seen, action=replace(seen.action, verb=verb, reason=reason, cause=None, recipe=None))


def _carry_out(workspace: Workspace, lease: Lease, seen: Look) -> Look:
    """Do what was chosen where that is left to tenure, propose it where a person is to say yes, and note it."""
    acts = seen.action.verb in ACTS
    if acts and workspace.project.operations.autonomy == "auto":
        return finish(workspace, lease, begin(workspace, lease, seen.action, seen.health))
    if acts and workspace.project.operations.autonomy == "propose":
        propose(workspace, seen.action)
        deliver(workspace)
    note(workspace, seen.action, workspace.context.artifacts.put_record(seen.health), lease=lease)
    return seen


def finish(workspace: Workspace, lease: Lease, begun: Begun) -> Look:
    """Do what was begun, or find it done, and note it; a version that left the office meanwhile is left alone.

    Raises:
        ProjectBusyError: the lease was lost to another watcher, who finishes it.
        TemporaryError: it cannot be done now; the next look goes on with it.
    """
    lease.renew()
    done = retrained(workspace, begun) if begun.action.verb is Verb.RETRAIN else rolled_back(workspace, begun)
    note(workspace, done.action, begun.health, begun=begun, lease=lease)
    health = workspace.context.artifacts.get_record(HealthReport, begun.health)
    return Look(health, done.action, walk=done.walk, release=done.release)


def _as_approved(lease: Lease, workspace: Workspace, action: Action, why: str) -> str:
    """Carry out what a person approved, once, and say what it came to."""
    earlier = begun_as(workspace, action)
    if earlier is not None and is_done(workspace, earlier):
        return "It was done before."
    if earlier is None:
        health = workspace.context.artifacts.get_record(HealthReport, action.made_from[0])
        earlier = begin(workspace, lease, action, health)
    workspace.context.log.note(why)
    return finish(workspace, lease, earlier).action.reason


def _situation(
    workspace: Workspace, health: HealthReport, prospect: Prospect | None, harm: Finding | None
) -> Situation:
    walked = workspace.ledger.events(kind=WALKED_EVENT, newest_first=True, limit=1)
    same = _saw_the_same(workspace, walked[0]) if walked and blocking(health.findings) else None
    chosen = None if prospect is None else prospect.chosen
    return Situation(
        champion=workspace.champion().number,
        new_rows=None if same is None else not same,
        walked_in_vain=f"run {walked[0].run_id} saw the same rows ({walked[0].reason})" if same else None,
        past=past_acts(workspace, lapsed=[p.action for p in proposals_of(workspace).all() if p.state is _LAPSED]),
        prospect=prospect,
        unasked="" if prospect is not None else not_asked(workspace, workspace.champion().number),
        harm=harm,
        climbing=_climbing(workspace, chosen),
        resting="" if chosen is None else resting(workspace, health, chosen),
    )


def _saw_the_same(workspace: Workspace, walked: Event) -> bool | None:
    """Say whether a walk saw the rows that there are now; None where nobody can tell. It reads through the log."""
    before, source = walked.data["source"], with_log(known_fingerprint(workspace), pinned(workspace))
    return None if before is None or source is None else bool(before == source)


def _climbing(workspace: Workspace, chosen: Recipe | None) -> str:
    """Say what stands on the ladder; a mere correction there is no reason not to learn anew, which takes its place."""
    standing = Ladder(workspace.registry).standing()
    if standing is None:
        return ""
    gives_way = chosen is not None and chosen.is_retraining and is_correction(workspace, standing.run_id)
    return "" if gives_way else standing.says
