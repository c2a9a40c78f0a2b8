"""`tenure exclude`: stretches of time that nothing is learned from."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from tenure.cli.options import HERE, DryRunOption, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers, table
from tenure.cli.values import moment_option
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.exclusions import Exclusion, Exclusions, Period

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Keep rows of some times from being learned from: faulty windows, poisoned labels.",
)

WhyOption = Annotated[str, typer.Option(help="Why; it goes to the ledger.", show_default=False)]


@app.command("list")
@answers
def list_exclusions(
    every: Annotated[bool, typer.Option("--all", help="Also those that were taken back.")] = False,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """Show the stretches of time that nothing is learned from."""
    with open_workspace(project) as workspace:
        exclusions = _exclusions(workspace)
        found = exclusions.all() if every else exclusions.active()
    rows = [(str(one.number), *_days(one.period), one.by, _cause(one)) for one in found]
    shows: list[Any] = (
        [table(">number", "from", "until before", "by", "why", rows=rows)] if found else ["Nothing is excluded."]
    )
    return Reply(result={"exclusions": [_shown(one) for one in found]}, shows=shows)


@app.command()
@answers
def add(
    begin: Annotated[str, typer.Argument(help="The first moment, ISO 8601, UTC where no zone is given.")],
    end: Annotated[str, typer.Argument(help="The first moment after it.")],
    why: WhyOption,
    project: ProjectOption = HERE,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Let nothing be learned from what happened between two moments."""
    period = Period.between(moment_option(begin, "BEGIN"), moment_option(end, "END"))
    first, last = _days(period)
    with open_workspace(project) as workspace:
        actor = workspace.context.actor
        if dry_run:
            return Reply(
                result={"dry_run": True, "period": period.texts},
                shows=[f"Rows from {first} until before {last} would be learned from no more."],
            )
        added = _exclusions(workspace).add(period, cause=why, actor=actor)
    return Reply(
        result={"dry_run": False, "exclusion": _shown(added)},
        shows=[
            f"Rows from {first} until before {last} are learned from no more, from the next run on.",
            f"Take it back with: tenure exclude undo {added.number} --why TEXT",
        ],
    )


@app.command()
@answers
def undo(
    number: Annotated[int, typer.Argument(help="The exclusion's number, as tenure exclude list shows it.")],
    why: WhyOption,
    project: ProjectOption = HERE,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Take an exclusion back: its rows may be learned from again."""
    with open_workspace(project) as workspace:
        exclusions = _exclusions(workspace)
        if dry_run:
            found = replace(exclusions.find(number), undone=why, undone_by="person")
        else:
            found = exclusions.undo(number, reason=why, actor=workspace.context.actor)
    first, last = _days(found.period)
    may = "could be" if dry_run else "are"
    return Reply(
        result={"dry_run": dry_run, "exclusion": _shown(found)},
        shows=[f"Rows from {first} until before {last} {may} learned from again, from the next run on."],
    )


def _exclusions(workspace: Workspace) -> Exclusions:
    return Exclusions(workspace.database, workspace.ledger)


def _days(period: Period) -> tuple[str, str]:
    """Return both ends for people, without what is zero."""
    begin, end = (text.removesuffix("+00:00").removesuffix("T00:00:00") for text in period.texts)
    return begin, end


def _cause(one: Exclusion) -> str:
    return one.cause if one.undone is None else f"{one.cause} Taken back: {one.undone}"


def _shown(one: Exclusion) -> dict[str, Any]:
    begin, end = one.period.texts
    return {
        "number": one.number,
        "begin": begin,
        "end": end,
        "why": one.cause,
        "by": one.by,
        "actor": one.actor,
        "at": one.at,
        "faults": list(one.faults),
        "undone": one.undone,
        "undone_by": one.undone_by,
    }
