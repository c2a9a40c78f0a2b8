"""`tenure init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from tenure.cli.options import HERE, DryRunOption, JsonOption, QuietOption
from tenure.cli.output import Reply, answers, table
from tenure.cli.progress import told
from tenure.ingest.project_file import NewProject, init_project

app = typer.Typer(add_completion=False)


@app.command()
@answers
def init(
    data: Annotated[str, typer.Argument(help="File, glob or database URL with the rows to learn from.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    time: Annotated[str | None, typer.Option(help="Column that says when the prediction is made.")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose equal values belong together.")] = None,
    key: Annotated[str | None, typer.Option(help="Column that identifies a row.")] = None,
    positive: Annotated[str | None, typer.Option(help="Value of the target that counts as yes.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the project.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the project.")] = HERE,
    query: Annotated[str | None, typer.Option(help="SQL, where DATA is a database URL.")] = None,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Look at a table and write a commented project file."""
    with told(quiet=quiet) as log:
        made = init_project(
            data, target=target, time=time, group=group, key=key, positive=positive, name=name, out=out, query=query,
            log=log, dry_run=dry_run,
        )  # fmt: skip
    if dry_run:
        return Reply(result={"text": made.text}, shows=[made.text.rstrip("\n")])
    return Reply(
        result={"folder": str(made.folder), "file": str(made.path), "guess": made.guess},
        shows=_shows(made),
        artifacts=[str(made.path)],
    )


def _shows(made: NewProject) -> list[RenderableType]:
    shows: list[RenderableType] = [f"Wrote {made.path}.", ""]
    shows += [sentence if sentence.endswith(".") else f"{sentence}." for sentence in made.guess.sentences.values()]
    if made.guess.suspicious:
        rows = [(s.column, s.reason) for s in made.guess.suspicious]
        shows += ["", table("look at this column", "why", rows=rows)]
    where = "" if made.folder == Path.cwd() else f" --project {made.folder}"
    shows += ["", f"Next: tenure run{where}"]
    return shows
