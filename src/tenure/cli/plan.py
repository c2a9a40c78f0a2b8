"""`tenure plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers, table
from tenure.engine.preview import preview
from tenure.engine.workspace import Workspace, open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def plan(
    project: ProjectOption = HERE,
    fresh: Annotated[bool, typer.Option("--fresh", help="As if no earlier record could be taken again.")] = False,
    as_json: JsonOption = False,
) -> Reply:
    """Say what a run would do, and why."""
    with open_workspace(project) as workspace:
        return plan_reply(workspace, fresh=fresh)


def plan_reply(workspace: Workspace, *, fresh: bool) -> Reply:
    """Return the plan as a reply; `tenure run --dry-run` gives the same."""
    steps = preview(workspace, fresh=fresh)
    rows = [(s.stage, "run" if s.runs else "take again", s.does, s.why) for s in steps]
    budget = workspace.project.training.budget
    return Reply(
        result={"stages": steps, "budget_seconds": budget},
        shows=[
            table("stage", "will", "does", "why", rows=rows),
            "",
            f"Budget: {budget:g} s, of which learning takes up to {0.7 * budget:g} s. Start it with: tenure run",
        ],
    )
