"""`tenure watch`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from tenure.cli.monitor import health_shows
from tenure.cli.options import HERE, DryRunOption, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import ALARM, APPROVAL, OK, REJECTED, ROLLED_BACK, Reply, answers, sentence
from tenure.cli.progress import told
from tenure.core.errors import TenureError
from tenure.core.health import Health
from tenure.core.lifecycle import Outcome, Verb
from tenure.core.ports import Log
from tenure.core.project import load_project
from tenure.engine.watch import Look, look, look_and_act
from tenure.engine.workspace import open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def watch(
    project: ProjectOption = HERE,
    once: Annotated[bool, typer.Option("--once", help="Look once and end; left out: look on and on.")] = False,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Look at health and act on it: keep, retrain, roll back or escalate."""
    with told(quiet=quiet) as log:
        if once or dry_run:
            return _reply(_one_look(project, log, dry_run=dry_run))
        pause = load_project(project).operations.check_every
        while True:
            try:
                seen = _one_look(project, log, dry_run=False)
                log.note(f"{seen.health.headline} -> {seen.action.verb.value}: {seen.action.reason}")
                pause = load_project(project).operations.check_every
            except TenureError as error:  # a watcher outlives an outage, and a file that is being edited; it says so
                log.note(f"not now [{error.code}]: {error.message}")
            time.sleep(pause)


def _one_look(project: Path, log: Log, *, dry_run: bool) -> Look:
    with open_workspace(project, log=log, actor="watch") as workspace:
        return look(workspace) if dry_run else look_and_act(workspace)


def _reply(seen: Look) -> Reply:
    action = seen.action
    result: dict[str, Any] = {"health": seen.health, "action": action, "walk": None, "release": seen.release}
    shows = [*health_shows(seen.health), "", f"Chosen: {action.verb.value}. {action.reason}"]
    if action.proposal is not None:
        shows.append(f"Proposed: {action.proposal}")
    if seen.walk is not None:
        walk = seen.walk
        result["walk"] = {"run": walk.run_id, "outcome": walk.outcome, "reason": walk.reason, "version": walk.version}
        shows.append(f"The walk ended in {walk.outcome}: {sentence(walk.reason)}")
    if seen.release is not None:
        shows.append(f"v{seen.release.version} is back in office.")
    return Reply(result=result, shows=shows, exit_code=_exit_code(seen))


def _exit_code(seen: Look) -> int:
    if seen.release is not None:
        return ROLLED_BACK
    if seen.walk is not None:
        return OK if seen.walk.outcome in (Outcome.PROMOTE.value, Outcome.LADDER.value) else REJECTED
    if seen.action.verb is Verb.KEEP:
        return _exit_code_of_keep(seen)
    return ALARM if seen.action.verb is Verb.ESCALATE or seen.action.carried_out else APPROVAL


def _exit_code_of_keep(seen: Look) -> int:
    """Say again what an earlier look said: that nothing new is chosen does not make an ill model well."""
    if seen.health.status is Health.ILL or seen.waiting is Verb.ESCALATE:
        return ALARM
    return OK if seen.waiting is None else APPROVAL
