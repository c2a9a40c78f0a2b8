"""`tenure approvals`, and what `tenure approve` and `tenure decline` say of a proposal."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import APPROVAL, OK, Reply, answers, table
from tenure.core.records import plain
from tenure.engine.approvals import action_of, proposals_of, prospect_of
from tenure.engine.workspace import open_workspace
from tenure.state.proposals import Proposal

app = typer.Typer(add_completion=False)


@app.command()
@answers
def approvals(
    ended: Annotated[bool, typer.Option("--all", help="Also those that were answered or lapsed.")] = False,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """Show which acts wait for a person, and what speaks for them."""
    with open_workspace(project) as workspace:
        found = [one for one in proposals_of(workspace).all() if ended or one.is_waiting]
        waits = next((one for one in found if one.is_waiting), None)
        prospect = None if waits is None else prospect_of(workspace, action_of(workspace, waits))
    result = {"proposals": [facts_of(one) for one in found]}
    if not found:
        return Reply(result=result, shows=["No proposal waits for an answer. Answered ones: tenure approvals --all"])
    rows = [(one.label, one.verb.value, one.at[:16].replace("T", " "), one.in_words, one.reason) for one in found]
    shows: list[Any] = [table("proposal", "to", "since (UTC)", "state", "why", rows=rows)]
    if waits is not None:
        shows += ["", *([prospect.says] if prospect is not None else [])]
        shows.append(f'Answer: tenure approve {waits.label}, or tenure decline {waits.label} --why "..."')
    return Reply(result=result, shows=shows, exit_code=OK if waits is None else APPROVAL)


def facts_of(proposal: Proposal) -> dict[str, Any]:
    """Return what programs are told of a proposal."""
    facts: dict[str, Any] = plain(proposal)
    del facts["number"], facts["begun"]
    return {"id": proposal.label} | facts
