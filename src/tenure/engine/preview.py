"""Say what a run would do, stage by stage, from the same table and keys as the run."""

from __future__ import annotations

from dataclasses import dataclass

from tenure.core.data import Snapshot
from tenure.core.errors import ArtifactError
from tenure.core.records import Record
from tenure.engine.logged_rows import pinned, with_log
from tenure.engine.plan import LIFECYCLE, Stage, plugins_digest, stage_key, stage_salt, walk_key
from tenure.engine.runner import Wish, incumbent_of, last_walk_of, pin_of, resumable, whole_record
from tenure.engine.workspace import Workspace
from tenure.ingest.stage import source_fingerprint


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen to one stage, and why."""

    stage: str
    does: str
    runs: bool
    why: str


def preview(workspace: Workspace, *, fresh: bool = False) -> tuple[Preview, ...]:
    """Return what `run_walk` would do now; nothing is run and nothing is written."""
    context = workspace.context
    source = source_fingerprint(context)
    cut_off = resumable(workspace, source, Wish(fresh=fresh))
    pin = pinned(workspace) if cut_off is None else pin_of(cut_off)
    run_id = "" if cut_off is None else cut_off.id
    records: dict[str, Record] = {}
    steps = []
    for stage in LIFECYCLE:
        if not all(name in records for name in stage.needs):
            waits = ", ".join(name for name in stage.needs if name not in records)
            steps.append(Preview(stage.name, stage.does, True, f"needs a new {waits}"))
            continue
        salt = stage_salt(
            stage,
            source=with_log(source, pin) or run_id,
            plugins=plugins_digest(context),
            incumbent=workspace.incumbent() if cut_off is None else incumbent_of(cut_off),
            run_id=run_id,
            fresh=fresh if cut_off is None else cut_off.data["fresh"],
        )
        key = stage_key(stage, context.project, [records[name].digest for name in stage.needs], salt)
        record, why = _earlier(workspace, stage, key)
        unknown = stage.name == "ingest" and source is None and record is None
        why = "only reading tells what is there" if unknown else why
        steps.append(Preview(stage.name, stage.does, record is None, why))
        if record is None:
            continue
        records[stage.gives] = record
        if isinstance(record, Snapshot) and cut_off is None and not fresh:
            last = last_walk_of(workspace, walk_key(context, record))
            if last is not None:
                return _all_kept(f"nothing changed since run {last.run_id}")
    return tuple(steps)


def _earlier(workspace: Workspace, stage: Stage, key: str) -> tuple[Record | None, str]:
    """Return the finished record that a run would take again, or None, and why."""
    finished = workspace.ledger.finished_stage(stage.name, key)
    if finished is None:
        return None, "no finished record has this key"
    try:
        return whole_record(workspace.context, stage, finished.artifact), f"finished in run {finished.run_id}"
    except ArtifactError as error:
        return None, f"the record of run {finished.run_id} is damaged: {error.message}"


def _all_kept(why: str) -> tuple[Preview, ...]:
    return tuple(Preview(stage.name, stage.does, False, why) for stage in LIFECYCLE)
