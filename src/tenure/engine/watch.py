"""Look at the model in office and act on what is seen: the only clock, and the one staircase back to the front door."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from tenure.core.data import Snapshot
from tenure.core.errors import SourceMissingError, TemporaryError, TenureError, UnreadableDataError
from tenure.core.evidence import Finding, QualityReport, blocking
from tenure.core.health import HealthReport
from tenure.core.lifecycle import Action, Alias, Release, Verb
from tenure.core.modelling import Leaderboard
from tenure.engine.alerts.delivery import deliver
from tenure.engine.alerts.look import observe_alarms
from tenure.engine.events import HEALTH_EVENT
from tenure.engine.loop import choose, same_cause
from tenure.engine.policy import Policy, Situation
from tenure.engine.recall import record_in, records_of
from tenure.engine.runner import WALKED_EVENT, Walk, run_walk
from tenure.engine.workspace import Workspace
from tenure.ingest.stage import source_fingerprint
from tenure.monitoring.stage import Watched, check_health, compare_file
from tenure.release.stage import rollback
from tenure.state.leases import Lease
from tenure.state.shelf import Shelf

ACTION_EVENT: Final = "action"
_WATCH_LEASE: Final = "watch"
_REMEMBERED_ACTS: Final = 50


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen and chosen, and what came of it where it was carried out.

    `waiting` is what was chosen before for the same cause and waits for a person: nothing new is chosen, nothing is
    well either.
    """

    health: HealthReport
    action: Action
    waiting: Verb | None = None
    walk: Walk | None = None
    release: Release | None = None


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
    return Watched(
        version,
        record_in(records, "snapshot", Snapshot),
        record_in(records, "quality", QualityReport),
        record_in(records, "leaderboard", Leaderboard),
        answer=lambda rows: workspace.scorer(version).raw(rows),
    )


def look(workspace: Workspace) -> Look:
    """Judge the model in office and choose what the policy would do; nothing is done, and the ledger stays as it is.

    Raises:
        NoChampionError: no model was promoted yet.
    """
    return _chosen(workspace, _judged(workspace))


def _chosen(workspace: Workspace, health: HealthReport) -> Look:
    situation = _situation(workspace)
    action = choose(health, Policy(autonomy=workspace.project.operations.autonomy), situation)
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


def look_and_act(workspace: Workspace) -> Look:
    """Examine, choose, and carry out what the policy leaves to tenure; one watcher at a time.

    Raises:
        ProjectBusyError: another watcher or run holds the project.
    """
    with Lease(workspace.database, _WATCH_LEASE, clock=workspace.context.clock):
        health = examine(workspace)
        deliver(workspace)  # before any act: a walk takes minutes, and who is paged should not wait for it
        done = _carry_out(workspace, _chosen(workspace, health))
        _note_action(workspace, done)
        return done


def _note_action(workspace: Workspace, done: Look) -> None:
    """Put every act into the ledger, and a keep only where it is not what was said last: looks are many."""
    action, verb = done.action, done.action.verb
    last = workspace.ledger.events(kind=ACTION_EVENT, newest_first=True, limit=1)
    if verb is Verb.KEEP and last and (last[0].data["verb"], last[0].reason) == (verb.value, action.reason):
        return
    workspace.ledger.append(
        ACTION_EVENT,
        actor=workspace.context.actor,
        reason=action.reason,
        inputs=(workspace.context.artifacts.put_record(done.health),),
        output=workspace.context.artifacts.put_record(action),
        output_type="Action",
        data={"verb": verb.value, "carried_out": action.carried_out},
    )


def _carry_out(workspace: Workspace, seen: Look) -> Look:
    if workspace.project.operations.autonomy != "auto":
        return seen
    why = f"policy: {seen.action.reason}"
    if seen.action.verb is Verb.RETRAIN:
        return _retrained(workspace, seen, why)
    if seen.action.verb is Verb.ROLL_BACK:
        moved = rollback(workspace.context, workspace.registry, to=None, reason=why, cause=seen.health.digest)
        return replace(seen, action=replace(seen.action, carried_out=True), release=moved)
    return seen


def _retrained(workspace: Workspace, seen: Look, why: str) -> Look:
    """Walk once more; a walk that fails for a lasting reason counts as done, so that the next look tells a person."""
    done = replace(seen.action, carried_out=True)
    try:
        return replace(seen, action=done, walk=run_walk(workspace, why=why))
    except TemporaryError:
        raise
    except TenureError as error:
        failed = replace(done, reason=f"{done.reason} The walk failed [{error.code}]: {error.message}")
        return replace(seen, action=failed)


def _situation(workspace: Workspace) -> Situation:
    previous = workspace.registry.holder(Alias.PREVIOUS)
    acts = workspace.ledger.events(
        kind=ACTION_EVENT, without={"verb": Verb.KEEP.value}, limit=_REMEMBERED_ACTS, newest_first=True
    )
    walked = workspace.ledger.events(kind=WALKED_EVENT, newest_first=True, limit=1)
    source = source_fingerprint(workspace.context)
    known = bool(walked) and source is not None and walked[0].data["source"] is not None
    same = known and walked[0].data["source"] == source
    return Situation(
        champion=workspace.champion().number,
        previous=None if previous is None else previous.number,
        new_rows=not same if known else None,
        walked_in_vain=f"run {walked[0].run_id} saw the same rows ({walked[0].reason})" if same else None,
        past=tuple(
            workspace.context.artifacts.get_record(Action, event.output)
            for event in reversed(acts)
            if event.output is not None
        ),
    )
