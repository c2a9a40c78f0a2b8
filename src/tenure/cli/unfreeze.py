"""`tenure unfreeze`."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli.freeze import freeze_facts
from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers
from tenure.cli.person import login_name
from tenure.engine.workspace import open_workspace
from tenure.state import freezes

app = typer.Typer(add_completion=False)


@app.command()
@answers
def unfreeze(
    why: Annotated[str, typer.Option(help="Why; it goes to the ledger.", show_default=False)] = "",
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """End a freeze."""
    with open_workspace(project) as workspace:
        before = freeze_facts(workspace)
        if before is not None:
            freezes.unfreeze(workspace.ledger, actor=login_name(), why=why.strip())
    return Reply(result={"ended": before}, shows=["Not frozen any more." if before else "Nothing was frozen."])
