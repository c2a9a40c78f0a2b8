"""`tenure rollback`."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli.options import HERE, DryRunOption, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers
from tenure.engine.recall import version_named
from tenure.engine.workspace import Workspace, open_workspace
from tenure.release.stage import rollback as roll_back
from tenure.release.stage import rollback_target

app = typer.Typer(add_completion=False)


@app.command()
@answers
def rollback(
    project: ProjectOption = HERE,
    to: Annotated[
        str | None, typer.Option(help="Version to put in office, such as v2; left out: the previous one.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; it goes to the ledger.")] = "asked for by hand",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Put an earlier version back in office; it is loaded and verified before anything moves."""
    with open_workspace(project) as workspace:
        number = None if to is None else version_named(workspace, to).number
        before = workspace.champion()
        if dry_run:
            return _dry(workspace, number)
        release = roll_back(workspace.context, workspace.registry, to=number, reason=reason, cause=None)
    return Reply(
        result={"release": release, "before": before.label, "after": f"v{release.version}"},
        shows=[
            f"v{release.version} is back in office; {before.label} left it.",
            f"Undo with: tenure rollback --to {before.label}",
        ],
    )


def _dry(workspace: Workspace, number: int | None) -> Reply:
    target = rollback_target(workspace.registry, number)
    workspace.scorer(target)
    return Reply(
        result={"would_move": {"champion": target.label}, "verified": True},
        shows=[f"{target.label} loads, reproduces its stored rows, and would take office."],
    )
