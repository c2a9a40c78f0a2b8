"""`tenure diagnose`."""

from __future__ import annotations

import typer
from rich.console import RenderableType

from tenure.cli.options import HERE, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import ALARM, OK, Reply, answers
from tenure.cli.progress import told
from tenure.core.diagnosis import Diagnosis, Suspect
from tenure.engine.diagnose import diagnose as diagnosed
from tenure.engine.workspace import open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def diagnose(project: ProjectOption = HERE, quiet: QuietOption = False, as_json: JsonOption = False) -> Reply:
    """Say why the model is not working: what changed, where, since when, how sure, what to do."""
    with told(quiet=quiet) as log, open_workspace(project, log=log) as workspace:
        found = diagnosed(workspace)
    return Reply(result={"diagnosis": found}, shows=diagnosis_shows(found), exit_code=ALARM if found.is_ill else OK)


def diagnosis_shows(found: Diagnosis) -> list[RenderableType]:
    """Return what a person sees of a diagnosis: the headline, each suspect, what was ruled out, what is not known."""
    shows: list[RenderableType] = [f"{found.status.value}: {found.headline}"]
    for place, suspect in enumerate(found.suspects, start=1):
        shows += ["", *_suspect_lines(place, suspect)]
    for title, lines in (("Ruled out", found.ruled_out), ("Not known", found.unknown)):
        if lines:
            shows += ["", f"{title}:", *(f"  - {line}" for line in lines)]
    return shows


def _suspect_lines(place: int, suspect: Suspect) -> list[str]:
    since = "" if suspect.since is None else f", since {suspect.since[:16].replace('T', ' ')}"
    return [
        f"{place}. {suspect.sureness.value}: {suspect.what}",
        f"   where: {suspect.where}{since}",
        f"   how sure: {suspect.why_sure}",
        f"   do: {suspect.todo}",
        f"   command: {suspect.command}",
    ]
