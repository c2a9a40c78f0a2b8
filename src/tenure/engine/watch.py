"""Look at the model in office and act on what is seen: the only clock, and the one staircase back to the front door."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tenure.core.data import Snapshot
from tenure.core.errors import TemporaryError, TenureError
from tenure.core.evidence import QualityReport
from tenure.core.lifecycle import Action, Alias, HealthReport, Release, Verb
from tenure.core.modelling import Leaderboard
from tenure.engine.loop import choose
from tenure.engine.policy import Policy, Situation
from tenure.engine.recall import record_in, records_of
from tenure.engine.runner import WALKED_EVENT, Walk, run_walk
from tenure.engine.workspace import Workspace
from tenure.ingest.stage import source_fingerprint
from tenure.monitoring.stage import check_health
from tenure.release.stage import rollback
from tenure.state.leases import Lease

HEALTH_EVENT: Final = "health"
ACTION_EVENT: Final = "action"
_WATCH_LEASE: Final = "watch"
_REMEMBERED_ACTS: Final = 50


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen and chosen, and what came of it where it was carried out."""

    health: HealthReport
    action: Action
    walk: Walk | None = None
    release: Release | None = None


def examine(workspace: Workspace) -> HealthReport:
    """Judge the traffic of the model in office and keep the report in the ledger.

    Raises:
        NoChampionError: no model was promoted yet.
    """
    version = workspace.champion()
    records = records_of(workspace, version.run_id)
    health = check_health(
        workspace.context,
        workspace.traffic,
        version,
        record_in(records, "snapshot", Snapshot),
        record_in(records, "quality", QualityReport),
        record_in(records, "leaderboard", Leaderboard),
    )
    workspace.ledger.append(
        HEALTH_EVENT,
        actor=workspace.context.actor,
        reason=health.headline,
        output=workspace.context.artifacts.put_record(health),
        output_type="HealthReport",
        data={"status": health.status.value, "headline": health.headline, "version": version.label},
    )
    return health


def look(workspace: Workspace) -> Look:
    """Examine the model in office and choose what the policy would do; nothing is done."""
    health = examine(workspace)
    policy = Policy(autonomy=workspace.project.operations.autonomy)
    return Look(health, choose(health, policy, _situation(workspace)))


def look_and_act(workspace: Workspace) -> Look:
    """Examine, choose, and carry out what the policy leaves to tenure; one watcher at a time.

    Raises:
        ProjectBusyError: another watcher or run holds the project.
    """
    with Lease(workspace.database, _WATCH_LEASE, clock=workspace.context.clock):
        seen = look(workspace)
        done = _carry_out(workspace, seen)
        workspace.ledger.append(
            ACTION_EVENT,
            actor=workspace.context.actor,
            reason=done.action.reason,
            inputs=(seen.health.digest,),
            output=workspace.context.artifacts.put_record(done.action),
            output_type="Action",
            data={"verb": done.action.verb.value, "carried_out": done.action.carried_out},
        )
        return done


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
    acts = [e for e in workspace.ledger.events(kind=ACTION_EVENT) if e.data["verb"] != Verb.KEEP.value]
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
            for event in acts[-_REMEMBERED_ACTS:]
            if event.output is not None
        ),
    )
