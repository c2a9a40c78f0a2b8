"""`tenure log`: what the traffic log holds, its rows as a file, and letting go of old months."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tenure.cli.options import HERE, DryRunOption, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers, table
from tenure.cli.values import moment_option, seconds_option
from tenure.core.errors import ConfigError
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.traffic import Pruned

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Show, export and prune the log of predictions and outcomes."
)


@app.command()
@answers
def status(project: ProjectOption = HERE, as_json: JsonOption = False) -> Reply:
    """Say how much is logged, month by month, and what waits or is set aside."""
    with open_workspace(project) as workspace:
        traffic = workspace.traffic
        months = traffic.months()
        bounds = traffic.logged_between()
        result = {
            "predictions": traffic.prediction_count(),
            "oldest": None if bounds is None else bounds[0],
            "newest": None if bounds is None else bounds[1],
            "outcomes": traffic.outcome_count(),
            "waiting_outcomes": traffic.waiting_count(),
            "quarantined": traffic.quarantined_count(),
            "keep_seconds": workspace.project.state.keep,
            "months": months,
        }
    told = [
        ("predictions", f"{result['predictions']:,}"),
        ("said between", "nothing yet" if bounds is None else f"{bounds[0]} and {bounds[1]}"),
        ("with an outcome", f"{result['outcomes']:,}"),
        ("outcomes that wait", f"{result['waiting_outcomes']:,}"),
        ("quarantined", f"{result['quarantined']:,}"),
    ]
    rows = [(m.month, f"{m.predictions:,}", f"{m.quarantined:,}", _megabytes(m.size_bytes)) for m in months]
    return Reply(
        result=result,
        shows=[table("", "", rows=told), "", table("month", ">predictions", ">quarantined", ">MB", rows=rows)],
    )


@app.command()
@answers
def export(
    out: Annotated[Path, typer.Option(help="Where to write: .parquet or .csv.")],
    since: Annotated[str | None, typer.Option(help="Only what was said from this moment on, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="Only what was said before this moment, ISO 8601.")] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """Write predictions with their outcomes to a file, however long the log is."""
    if out.suffix.lower() not in (".parquet", ".csv"):
        raise ConfigError(
            f"{out.name} does not say which form to write.", where="--out", hint="End it in .parquet or .csv."
        )
    given = {"since": since, "until": until}
    bounds = {name: None if text is None else moment_option(text, f"--{name}") for name, text in given.items()}
    with open_workspace(project) as workspace:
        count = workspace.traffic.export(out, **bounds)
    return Reply(
        result={"predictions": count, "out": str(out)},
        shows=[f"{count:,} predictions written to {out}."],
        artifacts=[str(out)],
    )


@app.command()
@answers
def prune(
    keep: Annotated[str | None, typer.Option(help="How long to keep, as 400d; left out: state.keep.")] = None,
    archive: Annotated[
        Path | None, typer.Option(help="First write each month that goes to a Parquet file in this folder.")
    ] = None,
    project: ProjectOption = HERE,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Let go of the months that are older than the log is to be kept."""
    with open_workspace(project) as workspace:
        pruned = workspace.traffic.prune(
            _kept(workspace, keep),
            workspace.context.clock(),
            archive=archive,
            actor=workspace.context.actor,
            dry_run=dry_run,
        )
    return Reply(
        result={"dry_run": dry_run, "predictions": pruned.predictions, "pruned": pruned},
        shows=_told(pruned, dry_run=dry_run),
        artifacts=list(pruned.archives),
    )


def _told(pruned: Pruned, *, dry_run: bool) -> list[Any]:
    until = pruned.horizon[:10]
    if not (pruned.months or pruned.waiting):
        return [f"Nothing was said before {until}; nothing goes."]
    rows = [(one.month, f"{one.predictions:,}") for one in pruned.months]
    verb = "would go" if dry_run else "went"
    lines: list[Any] = [table("month", ">predictions", rows=rows)] if rows else []
    lines.append(
        f"{pruned.predictions:,} predictions and {pruned.waiting:,} outcomes that waited {verb}: all before {until}."
    )
    if pruned.archives:
        lines.append(f"Archived in {', '.join(pruned.archives)}.")
    return lines


def _kept(workspace: Workspace, keep: str | None) -> float:
    seconds = seconds_option(keep, "--keep") or workspace.project.state.keep
    if seconds is None:
        raise ConfigError(
            "Nothing says how long the log is to be kept.",
            where="state.keep",
            hint='Give --keep 400d, or write keep = "400d" below [state] in tenure.toml.',
        )
    return seconds


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:,.1f}"
