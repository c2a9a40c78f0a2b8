"""`tenure simulate`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from tenure.cli.options import HERE, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import INTERRUPTED, OK, Reply, answers, table
from tenure.cli.progress import told
from tenure.cli.values import moment_option, seconds_option
from tenure.core.files import write_whole
from tenure.core.simulation import Deed, Simulation
from tenure.engine.simulation.fleet import Plan
from tenure.engine.simulation.fleet import simulate as flown
from tenure.engine.simulation.policies import AS_IT_IS, policies_named
from tenure.engine.workspace import REPORTS_FOLDER, open_workspace
from tenure.reporting.markdown import as_markdown
from tenure.reporting.page import render
from tenure.reporting.simulation_page import page_of
from tenure.reporting.simulation_words import ahead_words, counted, duel_words, headline, policy_words, total_words
from tenure.reporting.words import plain_spaces, sentence

app = typer.Typer(add_completion=False)


@app.command()
@answers
def simulate(
    project: ProjectOption = HERE,
    start: Annotated[
        str | None, typer.Option("--from", help="From when on rows come; left out: after a third of them.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when; left out: to the end.")] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="A TOML file with what it changes, or as-it-is, static, every-window. May be given again."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Wall clock of each walk; left out: a sixth of the project's, 5s at least.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the page; left out: reports/simulation.html of the project.")
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Fly policies through the project's own history: what they would have done, and what it would have been worth."""
    plan = Plan(
        policies=policies_named(policy) if policy else (AS_IT_IS,),
        start=_moment(start, "--from"),
        until=_moment(until, "--until"),
        budget=seconds_option(budget, "--budget"),
    )
    with told(quiet=quiet) as log, open_workspace(project, log=log) as workspace:
        simulation = flown(workspace, plan)
        path = out if out is not None else workspace.folder / REPORTS_FOLDER / "simulation.html"
        page = page_of(simulation, workspace.project)
    write_whole(path, render(page).encode())
    card = path.with_suffix(".md")
    write_whole(card, as_markdown(page).encode())
    return Reply(
        result={"simulation": simulation, "headline": plain_spaces(headline(simulation)), "page": str(path)},
        shows=[*_shows(simulation), "", f"Page: {path}"],
        exit_code=INTERRUPTED if simulation.interrupted else OK,
        warnings=list(simulation.notes),
        artifacts=[str(path), str(card)],
    )


def _moment(text: str | None, option: str) -> datetime | None:
    """Return the moment of an option; without a zone it counts as UTC."""
    if text is None:
        return None
    moment = moment_option(text, option)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _shows(simulation: Simulation) -> list[RenderableType]:
    head = ("policy", ">came to (95 %)", ">ahead of no tenure (95 %)", ">alarms", ">retrained", ">took office")
    rows = [
        (
            policy_words(policy.name),
            plain_spaces(total_words(simulation, policy.total)),
            "" if policy is simulation.policies[0] else plain_spaces(ahead_words(simulation, policy.over_static)),
            policy.count(Deed.ALARM),
            policy.count(Deed.RETRAIN),
            policy.count(Deed.PROMOTION),
        )
        for policy in simulation.policies
    ]
    shows: list[RenderableType] = [plain_spaces(headline(simulation)), "", table(*head, rows=rows), ""]
    shows += [plain_spaces(counted(policy)) for policy in simulation.policies[1:]]
    if len(simulation.policies) > 2:
        shows += [plain_spaces(duel_words(simulation, d.one, d.other, d.gain)) for d in simulation.duels]
    return [*shows, *(sentence(note) for note in simulation.notes)]
