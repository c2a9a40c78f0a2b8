"""`tenure history`."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers, table
from tenure.engine.workspace import Workspace, open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def history(
    project: ProjectOption = HERE,
    limit: Annotated[int, typer.Option(min=1, help="How many events, newest last.")] = 30,
    versions: Annotated[bool, typer.Option("--versions", help="Versions and every move of an office instead.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Check the ledger's chain of hashes as well.")] = False,
    as_json: JsonOption = False,
) -> Reply:
    """Show what was decided, when, by whom and why."""
    with open_workspace(project) as workspace:
        reply = _versions(workspace) if versions else _events(workspace, limit)
        if verify:
            count = workspace.ledger.verify()
            reply.result["verified_events"] = count
            reply.shows.append(f"The ledger is whole: {count} events, each bound to the one before.")
    return reply


def _events(workspace: Workspace, limit: int) -> Reply:
    events = list(reversed(workspace.ledger.events(newest_first=True, limit=limit)))
    rows = [(e.at[:19].replace("T", " "), e.actor, e.kind, e.stage or "", e.reason) for e in events]
    return Reply(result={"events": events}, shows=[table("when (UTC)", "who", "what", "stage", "why", rows=rows)])


def _versions(workspace: Workspace) -> Reply:
    versions, moves = workspace.registry.versions(), workspace.registry.moves()
    made = [(v.label, v.created_at[:19].replace("T", " "), v.run_id, v.model[:12]) for v in versions]
    moved = [
        (m.at[:19].replace("T", " "), m.actor, m.alias.value, _label(m.before), _label(m.after), m.reason)
        for m in moves
    ]
    return Reply(
        result={"versions": versions, "moves": moves},
        shows=[
            table("version", "made (UTC)", "run", "model", rows=made),
            "",
            table("when (UTC)", "who", "office", "from", "to", "why", rows=moved),
        ],
    )


def _label(number: int | None) -> str:
    return "nobody" if number is None else f"v{number}"
