"""`tenure freeze`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers
from tenure.cli.person import login_name
from tenure.core.errors import ConfigError
from tenure.core.quiet import zone_of
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state import freezes

app = typer.Typer(add_completion=False)


@app.command()
@answers
def freeze(
    until: Annotated[
        str | None,
        typer.Option(help="Day on which it ends (at its start, in operations.time_zone), or a moment.", metavar="DAY"),
    ] = None,
    why: Annotated[str, typer.Option(help="Why; it goes to the ledger.", show_default=False)] = "",
    everything: Annotated[bool, typer.Option("--everything", help="No rollback by itself either.")] = False,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """Let nothing be retrained or promoted by itself until further notice; rollbacks go on."""
    with open_workspace(project) as workspace:
        freezes.freeze(
            workspace.ledger,
            actor=login_name(),
            until=None if until is None else _moment(workspace, until),
            everything=everything,
            why=why.strip(),
        )
        result = freeze_facts(workspace)
    says = "" if result is None else result["says"]
    return Reply(result={"frozen": result}, shows=[f"Frozen: {says}.", "End it with: tenure unfreeze"])


def freeze_facts(workspace: Workspace) -> dict[str, Any] | None:
    """Return the freeze in force, for programs and people, or None."""
    found = freezes.freeze_of(workspace.ledger, workspace.context.clock())
    if found is None:
        return None
    return {
        "since": found.since.isoformat(),
        "until": None if found.until is None else found.until.isoformat(),
        "who": found.who,
        "why": found.why,
        "everything": found.everything,
        "says": found.says,
    }


def _moment(workspace: Workspace, text: str) -> datetime:
    operations = workspace.project.operations
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no day and no moment.", where="--until", hint="For example: --until 2027-01-02"
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone_of(operations.time_zone))
    if moment <= workspace.context.clock():
        raise ConfigError(f"{text} is over.", where="--until", hint="Name a day to come.")
    return moment
