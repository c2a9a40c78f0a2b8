"""`tenure approve`."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli.approvals import facts_of
from tenure.cli.options import HERE, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import Reply, answers, sentence
from tenure.cli.person import login_name
from tenure.cli.progress import told
from tenure.core.errors import ProjectBusyError
from tenure.engine import approvals
from tenure.engine.watch import carry_out_approved
from tenure.engine.workspace import open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def approve(
    proposal: Annotated[
        str | None, typer.Argument(help="Which one, such as P3; left out: the only one that waits.")
    ] = None,
    why: Annotated[str, typer.Option(help="Why; it goes to the ledger.", show_default=False)] = "",
    project: ProjectOption = HERE,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Say yes to an act that waits for a person, and carry it out unless a watcher does."""
    with told(quiet=quiet) as log, open_workspace(project, log=log, actor=login_name()) as workspace:
        given = approvals.approve(workspace, proposal, who=login_name(), why=why.strip())
        try:
            done = {one.number: one for one in carry_out_approved(workspace)}
        except ProjectBusyError as error:
            line = f"{given.label} is approved. {error.message} It carries this out next."
            return Reply(result={"proposal": facts_of(given)}, shows=[line])
    now = done.get(given.number, given)
    line = sentence(now.says) if given.number in done else "It is approved, and waits for its time; see above."
    return Reply(result={"proposal": facts_of(now)}, shows=[f"{now.label}, to {now.verb}: {line}"])
