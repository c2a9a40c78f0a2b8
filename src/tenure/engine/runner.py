"""Walk the life cycle: run each stage once, keep its record, take finished ones again, resume what was cut off."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tenure.core.data import Snapshot
from tenure.core.errors import QualityBlockError, TenureError
from tenure.core.evidence import QualityReport, blocking
from tenure.core.lifecycle import Dossier, GateDecision, Incumbent, Outcome, Release
from tenure.core.ports import Context
from tenure.core.records import Record
from tenure.engine.plan import LIFECYCLE, Stage, code_digest, plugins_digest, stage_key, stage_salt, walk_key
from tenure.engine.publish import Published, publish
from tenure.engine.reasons import reason_of
from tenure.engine.workspace import Workspace
from tenure.ingest.stage import source_fingerprint
from tenure.state.leases import Lease
from tenure.state.ledger import Run

UP_TO_DATE: Final = "up-to-date"
WALK_LEASE: Final = "walk"
WALKED_EVENT: Final = "walked"


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a walk as it went: how long it took, whether an earlier record was taken, and why."""

    stage: str
    reason: str
    seconds: float
    reused: bool


@dataclass(slots=True)
class Walk:
    """A walk as it went. `outcome` is promote, hold, reject or up-to-date."""

    run_id: str
    outcome: str = ""
    reason: str = ""
    key: str = ""
    resumed: bool = False
    version: int | None = None
    steps: list[Step] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    published: Published | None = None

    @property
    def changed_office(self) -> bool:
        """Say whether a new version took office."""
        return self.outcome == Outcome.PROMOTE.value


def run_walk(workspace: Workspace, *, fresh: bool = False, why: str = "asked for") -> Walk:
    """Run the life cycle once over the newest data, under the project's lease.

    A run that was cut off is resumed. `fresh` takes no earlier record again. `why` goes to the ledger.

    Raises:
        ProjectBusyError: another process is running this project.
        QualityBlockError: a data-quality finding blocks.
        TenureError: whatever a stage raised; the run is marked as failed and the records so far are kept.
    """
    with Lease(workspace.database, WALK_LEASE, clock=workspace.context.clock):
        run, resumed = _start_or_resume(workspace, fresh=fresh, why=why)
        walk = Walk(run.id, resumed=resumed)
        try:
            _walk(workspace, run, walk)
        except TenureError as error:
            workspace.ledger.end_run(run.id, status="failed", reason=f"{error.code}: {error.message}")
            raise
        said = f"{walk.outcome}: {walk.reason}"
        if walk.outcome != UP_TO_DATE:
            workspace.ledger.append(
                WALKED_EVENT,
                actor=workspace.context.actor,
                run_id=run.id,
                reason=said,
                data={"key": walk.key, "source": source_fingerprint(workspace.context)},
            )
        workspace.ledger.end_run(run.id, status="finished", reason=said)
        return walk


def _start_or_resume(workspace: Workspace, *, fresh: bool, why: str) -> tuple[Run, bool]:
    """Return the run to walk: the one that was cut off if it wanted the same, else a new one."""
    project = workspace.project.digest()
    cut_off = workspace.ledger.unfinished_run()
    if cut_off is not None:
        same_wish = cut_off.data["project"] == project and cut_off.data["code"] == code_digest()
        if same_wish and not fresh:
            workspace.context.log.note(f"resuming run {cut_off.id}, which was cut off")
            return cut_off, True
        workspace.ledger.end_run(cut_off.id, status="superseded", reason="cut off, and now something else is asked for")
    incumbent = workspace.incumbent()
    run_id = uuid.uuid4().hex[:12]
    data = {
        "project": project,
        "code": code_digest(),
        "fresh": fresh,
        "incumbent": None if incumbent is None else incumbent.to_dict(),
    }
    workspace.ledger.start_run(run_id, actor=workspace.context.actor, reason=why, data=data)
    return workspace.ledger.run(run_id), False


def _walk(workspace: Workspace, run: Run, walk: Walk) -> None:
    held = run.data["incumbent"]
    outside = {
        "incumbent": None if held is None else Incumbent.from_dict(held),
        "registry": workspace.registry,
        "run_id": run.id,
    }
    for position, stage in enumerate(LIFECYCLE):
        workspace.context.log.progress(position / len(LIFECYCLE), f"{stage.name}: {stage.does}")
        record = _run_stage(workspace, run, walk, stage, outside)
        walk.records[stage.gives] = record
        if isinstance(record, Snapshot) and _nothing_new(workspace, run, walk, record):
            return
        if isinstance(record, QualityReport):
            _stop_if_blocked(record)
        if isinstance(record, GateDecision):
            walk.outcome, walk.reason = record.outcome.value, record.reason
        if isinstance(record, Release):
            walk.version = record.version
        if isinstance(record, Dossier):
            walk.published = publish(workspace.context, record)
    workspace.context.log.progress(1.0, "done")


def _run_stage(workspace: Workspace, run: Run, walk: Walk, stage: Stage, outside: dict[str, Any]) -> Record:
    """Return the record of one stage: an earlier one with the same key, or a new one, kept in one transaction."""
    context, ledger = workspace.context, workspace.ledger
    inputs = [walk.records[name].digest for name in stage.needs]
    salt = stage_salt(
        stage,
        source=(source_fingerprint(context) or run.id) if stage.name == "ingest" else "",
        plugins=plugins_digest(context.folder),
        incumbent=outside["incumbent"],
        run_id=run.id,
        fresh=run.data["fresh"],
    )
    key = stage_key(stage, context.project, inputs, salt)
    finished = ledger.finished_stage(stage.name, key)
    if finished is not None:
        record = context.artifacts.get_record(stage.kind, finished.artifact)
        ledger.reuse_stage(run.id, finished)
        walk.steps.append(Step(stage.name, reason_of(record), 0.0, reused=True))
        context.log.note(f"{stage.name}: taken again from run {finished.run_id}")
        return record
    started = context.timer()
    staged = replace(context, log=_Part(context, stage.name))
    record = stage.run(staged, *(walk.records[name] for name in stage.needs), *(outside[name] for name in stage.takes))
    seconds = context.timer() - started
    reason = reason_of(record)
    ledger.finish_stage(
        run_id=run.id,
        stage=stage.name,
        key=key,
        record=record,
        artifact=context.artifacts.put_record(record),
        actor=context.actor,
        inputs=inputs,
        reason=reason,
        seconds=seconds,
    )
    walk.steps.append(Step(stage.name, reason, seconds, reused=False))
    context.log.note(f"{stage.name}: {reason} [{seconds:.1f} s]")
    return record


def _nothing_new(workspace: Workspace, run: Run, walk: Walk, snapshot: Snapshot) -> bool:
    """Say whether the last finished walk saw the same rows under the same wish; if so there is nothing to do."""
    walk.key = walk_key(workspace.context, snapshot)
    last = workspace.ledger.events(kind=WALKED_EVENT, newest_first=True, limit=1)
    if run.data["fresh"] or walk.resumed or not last or last[0].data["key"] != walk.key:
        return False
    walk.outcome = UP_TO_DATE
    walk.reason = f"neither rows nor project file changed since run {last[0].run_id}"
    return True


def _stop_if_blocked(report: QualityReport) -> None:
    stopped = blocking(report.findings)
    if stopped:
        worst = stopped[0]
        raise QualityBlockError(
            f"{len(stopped)} data-quality findings block the run; first: {worst.says}",
            where=f"quality.{worst.check}" + (f": {worst.subject}" if worst.subject else ""),
            hint=worst.measurement.hint or "Look at the findings with: tenure explain --findings",
        )


class _Part:
    """A log that puts the stage's name before each line."""

    def __init__(self, context: Context, stage: str) -> None:
        self._log, self._stage = context.log, stage
        self._at = next(i for i, s in enumerate(LIFECYCLE) if s.name == stage)

    def note(self, text: str) -> None:
        self._log.note(f"{self._stage}: {text}")

    def progress(self, share: float, text: str = "") -> None:
        self._log.progress(
            (self._at + min(max(share, 0.0), 1.0)) / len(LIFECYCLE), f"{self._stage}: {text}".rstrip(": ")
        )
