"""`tenure decline`."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli.approvals import facts_of
from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers
from tenure.cli.person import login_name, said
from tenure.engine import approvals
from tenure.engine.workspace import open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def decline(
    proposal: Annotated[
        str | None, typer.Argument(help="Which one, such as P3; left out: the only one that waits.")
    ] = None,
    why: Annotated[str, typer.Option(help="Why; it goes to the ledger.", show_default=False)] = "",
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """Say no to an act that waits for a person."""
    with open_workspace(project) as workspace:
        given = approvals.decline(workspace, proposal, who=login_name(), why=said(why))
    return Reply(result={"proposal": facts_of(given)}, shows=[f"{given.label}, to {given.verb}, is declined."])
