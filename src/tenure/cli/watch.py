"""`tenure watch`."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tenure.cli.monitor import health_shows
from tenure.cli.options import HERE, DryRunOption, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import ALARM, APPROVAL, OK, REJECTED, ROLLED_BACK, Reply, answers, sentence
from tenure.cli.progress import told
from tenure.cli.stopping import Stop, Stopped
from tenure.core.errors import TenureError
from tenure.core.files import write_whole
from tenure.core.health import Health
from tenure.core.lifecycle import Outcome, Verb
from tenure.core.ports import Log
from tenure.core.project import load_project
from tenure.engine.approvals import answer_stamp
from tenure.engine.events import HEALTH_EVENT
from tenure.engine.overview import HEALTH_PAGE
from tenure.engine.watch import Look, look, look_and_act
from tenure.engine.workspace import REPORTS_FOLDER, Workspace, open_workspace, utc_now
from tenure.reporting.health_page import health_page

app = typer.Typer(add_completion=False)

_BLINK: Final = 1.0


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
        return _watched(project, log)


def _watched(project: Path, log: Log) -> Reply:
    """Look on and on until told to stop: between looks at once, within one where nothing is left half written."""
    looks = 0
    pause = load_project(project).operations.check_every
    with Stop() as stop:
        while not stop.is_asked:
            try:
                seen = _one_look(project, stop.heeded(log), dry_run=False)
                log.note(f"{_minute(utc_now())} {_line(seen)}")
                looks += 1
                pause = load_project(project).operations.check_every
            except TenureError as error:  # a watcher outlives an outage, and a file that is being edited; it says so
                log.note(f"{_minute(utc_now())} not now [{error.code}]: {error.message}")
            except Stopped:
                log.note(f"{_minute(utc_now())} stopped in the middle of an act; the next look goes on with it")
            _wait(project, stop, pause)
    return Reply(result={"looks": looks}, shows=[f"Stopped after {looks:,} looks."])


def _wait(project: Path, stop: Stop, seconds: float) -> None:
    """Wait for the next look: until its time has come, a person has answered a proposal, or a signal says to stop."""
    stamp = answer_stamp(project.resolve())
    answers_before, due = stamp.look(), time.monotonic() + seconds
    while not stop.is_asked and time.monotonic() < due and stamp.look() == answers_before:
        stop.wait(min(_BLINK, max(due - time.monotonic(), 0.0)))


def _one_look(project: Path, log: Log, *, dry_run: bool) -> Look:
    with open_workspace(project, log=log, actor="watch") as workspace:
        if dry_run:
            return look(workspace)
        before = _last_health(workspace)
        seen = look_and_act(workspace)
        if _last_health(workspace) != before:
            _write_page(workspace, seen)
        return seen


def _last_health(workspace: Workspace) -> int:
    last = workspace.ledger.events(kind=HEALTH_EVENT, newest_first=True, limit=1)
    return last[0].seq if last else 0


def _write_page(workspace: Workspace, seen: Look) -> None:
    """Write the page of its health anew, for whoever opens it on the server."""
    page = health_page(seen.health, workspace.project, action=seen.action)
    write_whole(workspace.folder / REPORTS_FOLDER / HEALTH_PAGE, page.encode())


def _line(seen: Look) -> str:
    """Return one look as one line."""
    headline = "" if seen.health.headline in seen.action.reason else seen.health.headline
    arrow = " -> " if headline else ""
    return " ".join(f"{headline}{arrow}{seen.action.verb.value}: {seen.action.reason}".split())


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _reply(seen: Look) -> Reply:
    action = seen.action
    result: dict[str, Any] = {"health": seen.health, "action": action, "walk": None, "release": seen.release}
    result |= {"rungs": seen.rungs, "excluded": [one.cause for one in seen.excluded]}
    shows = [*health_shows(seen.health), ""]
    shows.append(f"Chosen: {action.verb.value}. {action.reason}")
    if action.proposal is not None:
        shows.append(f"Proposed: {action.proposal}")
    if seen.walk is not None:
        walk = seen.walk
        result["walk"] = {"run": walk.run_id, "outcome": walk.outcome, "reason": walk.reason, "version": walk.version}
        shows.append(f"The walk ended in {walk.outcome}: {sentence(walk.reason)}")
    shows += [rung.says for rung in seen.rungs]
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
