"""Walk the life cycle: run each stage once, keep its record, take finished ones again, resume what was cut off."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from tenure.core.data import Snapshot
from tenure.core.errors import ArtifactError, QualityBlockError, TenureError
from tenure.core.evidence import QualityReport, blocking
from tenure.core.lifecycle import Alias, Dossier, GateDecision, Incumbent, Outcome, Release
from tenure.core.ports import Context
from tenure.core.records import Record
from tenure.core.retraining import Recipe, Way
from tenure.engine.logged_rows import Pin, excluded_periods, logged, pinned, with_log
from tenure.engine.plan import LIFECYCLE, Stage, code_digest, plugins_digest, stage_key, stage_salt, walk_key
from tenure.engine.publish import Published, publish
from tenure.engine.reasons import reason_of
from tenure.engine.workspace import Workspace
from tenure.ingest.stage import source_fingerprint
from tenure.state.leases import Lease
from tenure.state.ledger import Event, Run
from tenure.state.registry import MOVED_EVENT
from tenure.training.stage import WARM_START

UP_TO_DATE: Final = "up-to-date"
WALK_LEASE: Final = "walk"
WALKED_EVENT: Final = "walked"
_YOUNG: Final = timedelta(days=1)
"""A run that was cut off longer ago goes on only where the log has nothing new."""


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a walk as it went: how long it took, whether an earlier record was taken, and why."""

    stage: str
    reason: str
    seconds: float
    reused: bool


@dataclass(slots=True)
class Walk:
    """A walk as it went. `outcome` is promote, hold, reject, ladder or up-to-date.

    `source` is the fingerprint of the rows that were read, of the source and of the log, None where there is none.
    `overtaken` says that another version took office while the candidate was made, so that the comparison is still to
    be done. `warm` says that the search began with what the model in office is made of, in a part of the time.
    """

    run_id: str
    outcome: str = ""
    reason: str = ""
    key: str = ""
    source: str | None = None
    resumed: bool = False
    overtaken: bool = False
    warm: bool = False
    version: int | None = None
    steps: list[Step] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    published: Published | None = None

    @property
    def changed_office(self) -> bool:
        """Say whether a new version took office."""
        return self.outcome == Outcome.PROMOTE.value


def run_walk(
    workspace: Workspace,
    *,
    fresh: bool = False,
    why: str = "asked for",
    recipe: Recipe | None = None,
    ladder: bool = False,
    as_of: datetime | None = None,
) -> Walk:
    """Run the life cycle once over the newest data, under the project's lease.

    A run for the same that was cut off is resumed. `fresh` takes no earlier record again. `why` goes to the ledger.
    `recipe` says what the model is made from (left out: a full search over all rows), `ladder` that a candidate which
    passes the gate is not put in office at once. Of the log, outcomes count that were known at `as_of` (left out: now).

    Raises:
        ProjectBusyError: another process is running this project, or took it over from this one.
        QualityBlockError: a data-quality finding blocks.
        TenureError: whatever a stage raised; the run is marked as failed and the records so far are kept.
    """
    wish = Wish(fresh=fresh, recipe=recipe, ladder=ladder, as_of=as_of)
    with Lease(workspace.database, WALK_LEASE, clock=workspace.context.clock) as lease:
        run, resumed = _start_or_resume(workspace, wish, why=why)
        walk = Walk(run.id, resumed=resumed)
        try:
            _walk(workspace, lease, run, walk)
        except TenureError as error:
            _end_failed(workspace, lease, run, error)
            raise
        lease.renew()
        said = f"{walk.outcome}: {walk.reason}"
        noted = workspace.ledger.events(kind=WALKED_EVENT, run_id=run.id, limit=1)
        if walk.outcome != UP_TO_DATE and not walk.overtaken and not noted:
            workspace.ledger.append(
                WALKED_EVENT,
                actor=workspace.context.actor,
                run_id=run.id,
                reason=said,
                data={"key": walk.key, "source": walk.source}
                | {name: run.data[name] for name in ("recipe", "ladder", "logged")},
            )
        workspace.ledger.end_run(run.id, status="finished", reason=said)
        return walk


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a walk; `run_walk` says what each means."""

    fresh: bool = False
    recipe: Recipe | None = None
    ladder: bool = False
    as_of: datetime | None = None

    @property
    def data(self) -> dict[str, Any]:
        """Return how the wish stands in the data of a run, but for `fresh`, which a run may be beyond the wish."""
        return {"recipe": None if self.recipe is None else self.recipe.to_dict(), "ladder": self.ladder}


def resumable(workspace: Workspace, source: str | None, wish: Wish) -> Run | None:
    """Return the run that was cut off, where going on with it gives what a new run would give; else None.

    That is so while project file, code, what is asked for, rows (`source` is the fingerprint of the source, and the
    log counts as it stood when the run began, for a day) and the model in office are what they were. A run whose own
    release moved the office goes on only while its version still holds it.
    """
    run = workspace.ledger.unfinished_run()
    if run is None or run.data["project"] != workspace.project.digest() or run.data["code"] != code_digest():
        return None
    wanted = run.data["source"] == source and run.data["fresh"] >= wish.fresh
    same = all(run.data[name] == value for name, value in wish.data.items())
    return run if wanted and same and _same_log(workspace, run, wish) and _same_office(workspace, run) else None


def pin_of(run: Run) -> Pin:
    """Return which rows of the log the run learns from."""
    return Pin.from_dict(run.data["logged"])


def _same_log(workspace: Workspace, run: Run, wish: Wish) -> bool:
    pin = pin_of(run)
    if pin.excluded != excluded_periods(workspace):
        return False
    if wish.as_of is not None:
        return pin.as_of == wish.as_of
    return workspace.context.clock() - pin.as_of < _YOUNG or pinned(workspace).digest == pin.digest


def incumbent_of(run: Run) -> Incumbent | None:
    """Return the model that was in office when the run began."""
    held = run.data["incumbent"]
    return None if held is None else Incumbent.from_dict(held)


def last_walk_of(workspace: Workspace, key: str) -> Event | None:
    """Return the event of the latest finished walk if it had the same key (`walk_key`), else None."""
    last = workspace.ledger.events(kind=WALKED_EVENT, newest_first=True, limit=1)
    return last[0] if last and last[0].data["key"] == key else None


def _same_office(workspace: Workspace, run: Run) -> bool:
    moves = [event.data["moves"] for event in workspace.ledger.events(kind=MOVED_EVENT, run_id=run.id)]
    own = [move[Alias.CHAMPION.value]["after"] for move in moves if Alias.CHAMPION.value in move]
    before, now = incumbent_of(run), workspace.incumbent()
    expected = own[-1] if own else None if before is None else before.version
    return expected == (None if now is None else now.version)


def _start_or_resume(workspace: Workspace, wish: Wish, *, why: str) -> tuple[Run, bool]:
    """Return the run to walk: the one that was cut off if it would give the same, else a new one."""
    source = source_fingerprint(workspace.context)
    run = resumable(workspace, source, wish)
    if run is not None:
        workspace.context.log.note(f"resuming run {run.id}, which was cut off")
        return run, True
    cut_off = workspace.ledger.unfinished_run()
    if cut_off is not None:
        said = "cut off, and since then the wish, the rows or the model in office changed"
        workspace.ledger.end_run(cut_off.id, status="superseded", reason=said)
    incumbent = workspace.incumbent()
    run_id = uuid.uuid4().hex[:12]
    data = {
        "project": workspace.project.digest(),
        "code": code_digest(),
        "fresh": wish.fresh,
        "source": source,
        "incumbent": None if incumbent is None else incumbent.to_dict(),
        "logged": pinned(workspace, wish.as_of).to_dict(),
    }
    workspace.ledger.start_run(run_id, actor=workspace.context.actor, reason=why, data=data | wish.data)
    return workspace.ledger.run(run_id), False


def _end_failed(workspace: Workspace, lease: Lease, run: Run, error: TenureError) -> None:
    """Mark the run as failed while it is ours; what goes wrong here is said, and does not hide the error itself."""
    try:
        lease.renew()
        workspace.ledger.end_run(run.id, status="failed", reason=f"{error.code}: {error.message}")
    except TenureError as second:
        workspace.context.log.note(f"run {run.id} could not be marked as failed: {second.message}")


def _from_outside(workspace: Workspace, run: Run) -> dict[str, Any]:
    """Return what stages may take from outside the walk, by name."""
    incumbent, held = incumbent_of(run), run.data["recipe"]
    recipe = None if held is None else Recipe.from_dict(held)
    basis = None if recipe is None else incumbent
    if recipe is not None and recipe.version is not None:
        version = workspace.registry.version(recipe.version)
        basis = Incumbent(version.number, version.model, version.leaderboard)
    return {
        "logged": logged(workspace, pin_of(run)),
        "recipe": recipe,
        "basis": basis,
        "incumbent": incumbent,
        "registry": workspace.registry,
        "run_id": run.id,
        "ladder": run.data["ladder"],
    }


def _walk(workspace: Workspace, lease: Lease, run: Run, walk: Walk) -> None:
    outside = _from_outside(workspace, run)
    walk.warm = outside["basis"] is not None and outside["recipe"].way is Way.REFIT
    for position, stage in enumerate(LIFECYCLE):
        workspace.context.log.progress(position / len(LIFECYCLE), f"{stage.name}: {stage.does}")
        lease.renew()
        record = _stage_record(workspace, lease, run, walk, stage, outside)
        walk.records[stage.gives] = record
        if isinstance(record, Snapshot) and _nothing_new(workspace, run, walk, record):
            return
        if isinstance(record, QualityReport):
            _stop_if_blocked(record)
        if isinstance(record, GateDecision):
            walk.outcome, walk.reason = record.outcome.value, record.reason
        if isinstance(record, Release):
            walk.version = record.version
            walk.overtaken = walk.outcome != Outcome.HOLD.value and record.outcome is Outcome.HOLD
            walk.outcome, walk.reason = record.outcome.value, record.reason
        if isinstance(record, Dossier):
            walk.published = publish(workspace.context, record)
    if walk.warm and walk.outcome in (Outcome.HOLD, Outcome.REJECT) and not walk.overtaken:
        walk.reason = f"{walk.reason} {WARM_START}"
    workspace.context.log.progress(1.0, "done")


def _stage_record(
    workspace: Workspace, lease: Lease, run: Run, walk: Walk, stage: Stage, outside: dict[str, Any]
) -> Record:
    """Return the record of one stage: an earlier one with the same key, or a new one, kept in one transaction."""
    context, ledger = workspace.context, workspace.ledger
    inputs = [walk.records[name].digest for name in stage.needs]
    plugins, pin = plugins_digest(context), pin_of(run)

    def key_of(source: str | None) -> str:
        salt = stage_salt(
            stage,
            source=with_log(source, pin) or run.id,
            plugins=plugins,
            incumbent=outside["incumbent"],
            run_id=run.id,
            fresh=run.data["fresh"],
            recipe=outside["recipe"],
            basis=outside["basis"],
        )
        return stage_key(stage, context.project, inputs, salt)

    source = run.data["source"]
    record = _taken_again(workspace, run, walk, stage, key_of(source))
    if record is None:
        record, seconds = _new_record(context, walk, stage, outside)
        if stage.name == "ingest" and source_fingerprint(context) != source:
            source = None  # rows came while others were read: nobody knows whose fingerprint these rows have
            context.log.note("ingest: the source changed while it was read; the next run will read it again")
        reason = reason_of(record)
        lease.renew()
        ledger.finish_stage(
            run_id=run.id,
            stage=stage.name,
            key=key_of(source),
            record=record,
            artifact=context.artifacts.put_record(record),
            actor=context.actor,
            inputs=inputs,
            reason=reason,
            seconds=seconds,
        )
        walk.steps.append(Step(stage.name, reason, seconds, reused=False))
        context.log.note(f"{stage.name}: {reason} [{seconds:.1f} s]")
    if stage.name == "ingest":
        walk.source = with_log(source, pin)
    return record


def _new_record(context: Context, walk: Walk, stage: Stage, outside: dict[str, Any]) -> tuple[Record, float]:
    """Do the work of one stage; return its record and the seconds it took."""
    started = context.timer()
    staged = replace(context, log=_Part(context, stage.name))
    record = stage.run(staged, *(walk.records[name] for name in stage.needs), *(outside[name] for name in stage.takes))
    return record, context.timer() - started


def _taken_again(workspace: Workspace, run: Run, walk: Walk, stage: Stage, key: str) -> Record | None:
    """Return the finished record with this key, or None where there is none or what it stands on is damaged."""
    context = workspace.context
    finished = workspace.ledger.finished_stage(stage.name, key)
    if finished is None:
        return None
    try:
        record = whole_record(context, stage, finished.artifact)
    except ArtifactError as error:
        context.log.note(f"{stage.name}: the record of run {finished.run_id} cannot be taken again: {error.message}")
        return None
    workspace.ledger.reuse_stage(run.id, finished)
    walk.steps.append(Step(stage.name, reason_of(record), 0.0, reused=True))
    context.log.note(f"{stage.name}: taken again from run {finished.run_id}")
    return record


def whole_record(context: Context, stage: Stage, artifact: str) -> Record:
    """Return a stage's stored record, whose own tables and models are there and undamaged too.

    Raises:
        ArtifactError: one of them is missing or damaged.
    """
    record = context.artifacts.get_record(stage.kind, artifact)
    for digest in filter(None, (getattr(record, name) for name in stage.keeps)):
        context.artifacts.get_bytes(digest)
    for digest in filter(None, (getattr(record, name) for name in stage.trees)):
        context.artifacts.get_tree(digest)
    return record


def _nothing_new(workspace: Workspace, run: Run, walk: Walk, snapshot: Snapshot) -> bool:
    """Say whether the last finished walk saw the same rows under the same wish; if so there is nothing to do."""
    recipe = run.data["recipe"]
    walk.key = walk_key(
        workspace.context,
        snapshot,
        recipe=None if recipe is None else Recipe.from_dict(recipe),
        ladder=run.data["ladder"],
    )
    last = last_walk_of(workspace, walk.key)
    if run.data["fresh"] or walk.resumed or last is None:
        return False
    walk.outcome = UP_TO_DATE
    walk.reason = f"neither rows nor project file changed since run {last.run_id}"
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
