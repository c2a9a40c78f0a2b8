"""Say what a run would do, stage by stage, from the same table and keys as the run."""

from __future__ import annotations

from dataclasses import dataclass

from tenure.core.records import Record
from tenure.engine.plan import LIFECYCLE, plugins_digest, stage_key, stage_salt
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
    context, ledger = workspace.context, workspace.ledger
    cut_off = ledger.unfinished_run()
    run_id = "" if cut_off is None else cut_off.id
    source = source_fingerprint(context)
    records: dict[str, Record] = {}
    steps = []
    for stage in LIFECYCLE:
        if not all(name in records for name in stage.needs):
            waits = ", ".join(name for name in stage.needs if name not in records)
            steps.append(Preview(stage.name, stage.does, True, f"needs a new {waits}"))
            continue
        salt = stage_salt(
            stage,
            source=source or run_id,
            plugins=plugins_digest(context.folder),
            incumbent=workspace.incumbent(),
            run_id=run_id,
            fresh=fresh,
        )
        key = stage_key(stage, context.project, [records[name].digest for name in stage.needs], salt)
        finished = ledger.finished_stage(stage.name, key)
        if finished is None:
            unknown = stage.name == "ingest" and source is None
            why = "only reading tells what is there" if unknown else "no finished record has this key"
            steps.append(Preview(stage.name, stage.does, True, why))
            continue
        records[stage.gives] = context.artifacts.get_record(stage.kind, finished.artifact)
        steps.append(Preview(stage.name, stage.does, False, f"finished in run {finished.run_id}"))
    return tuple(steps)
