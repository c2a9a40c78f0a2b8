"""`tenure ladder`."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from tenure.cli.options import HERE, DryRunOption, JsonOption, ProjectOption
from tenure.cli.output import OK, REJECTED, Reply, answers, table
from tenure.core.errors import ProjectBusyError, RecordMissingError
from tenure.core.ladder import Rung, Step
from tenure.engine.ladder import judge
from tenure.engine.ladder_words import moment_words, next_words, place_words, standing_words
from tenure.engine.workspace import Workspace, open_workspace
from tenure.release.climbing import rise, withdraw
from tenure.release.verify import verify
from tenure.state.ladder import Ladder

app = typer.Typer(
    add_completion=False,
    help="Show where a new version stands on its way to the office; take it off, or put it in office at once.",
)

_SHOWN: Final = 12
ReasonOption = Annotated[str, typer.Option(help="Why; it goes to the ledger.")]


@app.callback(invoke_without_command=True)
def ladder(context: typer.Context, project: ProjectOption = HERE, as_json: JsonOption = False) -> None:
    """Show where a new version stands on its way to the office; take it off, or put it in office at once."""
    if context.invoked_subcommand is None:
        _shown(project=project, as_json=as_json)
        return
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":  # it would be passed over without a word
            raise typer.BadParameter(f"Write options after {context.invoked_subcommand}.")


@answers
def _shown(*, project: ProjectOption, as_json: JsonOption) -> Reply:
    with open_workspace(project) as workspace:
        rungs = Ladder(workspace.registry).rungs(limit=_SHOWN)
        rung = Ladder(workspace.registry).standing()
        result: dict[str, Any] = {"standing": rung, "rungs": rungs, "evidence": (), "against": "", "says": None}
        shows: list[Any] = []
        if rung is None:
            shows.append(
                "No version is on the ladder. One that tenure trains by itself gets there when it passes the gate."
            )
        else:
            seen = judge(workspace, rung)
            says = standing_words(workspace)
            result |= {"evidence": seen.evidence, "against": seen.against, "says": says}
            shows += [f"{says}.", next_words(workspace.project.promotion, rung), ""]
            rows = [(finding.check, finding.verdict.value, finding.says) for finding in seen.evidence]
            shows.append(table("check", "", "what it says", rows=rows))
            if seen.against:
                shows += ["", f"The next look takes it off: {seen.against}"]
    if rungs:
        taken = [
            (moment_words(one.since), f"v{one.version}", place_words(one.step, one.share), one.says) for one in rungs
        ]
        shows += ["", table("since", "version", "where", "why", rows=taken)]
    return Reply(result=result, shows=shows)


@app.command("withdraw")
@answers
def take_off(
    reason: ReasonOption = "asked for by hand",
    project: ProjectOption = HERE,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Take the version off the ladder; the champion stays."""
    with open_workspace(project) as workspace:
        rung = _standing(workspace)
        if dry_run:
            return _dry(rung, Step.WITHDRAWN, f"v{rung.version} would be withdrawn; v{rung.against} stays in office.")
        taken = withdraw(workspace.context, workspace.registry, rung, because=f"{reason}.")
    return _reply(rung, taken, Step.WITHDRAWN)


@app.command()
@answers
def promote(
    reason: ReasonOption = "asked for by hand",
    project: ProjectOption = HERE,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Put the version in office at once, without the steps that remain; its model is verified first."""
    with open_workspace(project) as workspace:
        rung = _standing(workspace)
        if dry_run:
            verify(workspace.context, workspace.registry.version(rung.version).model, f"v{rung.version}")
            return _dry(rung, Step.OFFICE, f"v{rung.version} loads, reproduces its stored rows, and would take office.")
        why = f"The remaining steps were skipped: {reason}."
        taken = rise(workspace.context, workspace.registry, rung, (Step.OFFICE, 1.0), evidence=(), why=why)
    return _reply(rung, taken, Step.OFFICE)


def _standing(workspace: Workspace) -> Rung:
    rung = Ladder(workspace.registry).standing()
    if rung is None:
        raise RecordMissingError(
            "No version is on the ladder.",
            where="ladder",
            hint="See who holds which office with: tenure status",
        )
    return rung


def _dry(rung: Rung, step: Step, says: str) -> Reply:
    return Reply(result={"standing": rung, "would_be": step}, shows=[says])


def _reply(rung: Rung, taken: Rung | None, wanted: Step) -> Reply:
    if taken is None:
        raise ProjectBusyError(
            f"v{rung.version} moved on the ladder meanwhile; nothing was done.",
            where=f"v{rung.version}",
            hint="Look where it stands with tenure ladder, then say again what is still wanted.",
        )
    shows: list[Any] = [taken.says]
    if taken.step is Step.OFFICE:
        shows.append(f"Undo with: tenure rollback --to v{taken.against}")
    exit_code = OK if taken.step is wanted else REJECTED
    return Reply(result={"before": rung, "after": taken}, shows=shows, exit_code=exit_code)
