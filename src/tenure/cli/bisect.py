"""`tenure bisect`."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.console import RenderableType

from tenure.cli.options import HERE, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import ALARM, OK, Reply, answers, table
from tenure.cli.progress import told
from tenure.core.errors import ConfigError
from tenure.engine.bisect.batches import by_batch
from tenure.engine.bisect.result import Bisected, By
from tenure.engine.bisect.versions import by_version
from tenure.engine.bisect.windows import by_window
from tenure.engine.workspace import open_workspace

app = typer.Typer(add_completion=False)
_WAYS: Final = {By.VERSION: by_version, By.WINDOW: by_window, By.BATCH: by_batch}


@app.command()
@answers
def bisect(
    metric: Annotated[str | None, typer.Option(help="Left out: the one that models are compared by.")] = None,
    by: Annotated[By | None, typer.Option(help="Along what to search. Left out: all three.")] = None,
    good: Annotated[str | None, typer.Option(help="The last that was good: a version, a batch or a date.")] = None,
    bad: Annotated[str | None, typer.Option(help="One that is bad: a version, a batch or a date.")] = None,
    project: ProjectOption = HERE,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Find the version, the window of traffic or the batch of training rows where a metric broke."""
    if by is None and (good is not None or bad is not None):
        raise ConfigError(
            "Ends are named, and not along what.", where="--by", hint="Add --by version, --by window or --by batch."
        )
    with told(quiet=quiet) as log, open_workspace(project, log=log) as workspace:
        found = []
        for way, search in _WAYS.items():
            if by in (None, way):
                log.note(f"searching by {way.value}")
                found.append(search(workspace, metric, good, bad))
    broke = any(one.found is not None for one in found)
    shows = [line for one in found for line in _shows(one)]
    return Reply(result={"bisect": found}, shows=shows, exit_code=ALARM if broke else OK)


def _shows(found: Bisected) -> list[RenderableType]:
    shows: list[RenderableType] = [f"By {found.by.value}: {found.says}"]
    if found.compared:
        shows.append(found.compared)
    rows = []
    for one in found.tried:
        score = None if one.score is None else f"{one.score.value:.4g} ({one.score.low:.4g} to {one.score.high:.4g})"
        gain = None if one.gain is None else f"{one.gain.value:+.4g} ({one.gain.low:+.4g} to {one.gain.high:+.4g})"
        rows.append((one.name, one.lean.value, score, gain, f"{one.rows:,}", one.says))
    if rows:
        shows.append(table(found.by.value, "is", f">{found.metric}", ">gain, paired", ">rows", "", rows=rows))
    shows += [f"  not known: {line}" for line in found.unknown]
    return [*shows, ""]
