"""`tenure outcomes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import Reply, answers
from tenure.cli.progress import told
from tenure.core.data import Role, Schema
from tenure.engine.outcomes import outcome_model, outcome_records
from tenure.engine.workspace import open_workspace
from tenure.ingest.table import read_rows

app = typer.Typer(add_completion=False)


@app.command()
@answers
def outcomes(
    data: Annotated[str, typer.Argument(help="Table with the prediction's id or the key, and the outcome.")],
    project: ProjectOption = HERE,
    query: Annotated[str | None, typer.Option(help="SQL, where DATA is a database URL.")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Record what came true for earlier predictions; repeats do no harm, later news corrects."""
    with told(quiet=quiet) as log, open_workspace(project, log=log) as workspace:
        model = outcome_model(workspace)
        # The outcome is taken as it stands, so that what the target cannot be is refused and not read as empty.
        asked = Schema(tuple(column for column in model.schema.columns if column.role is not Role.TARGET))
        table = read_rows(data, query, Path.cwd(), log, schema=asked)
        counts = workspace.traffic.record_outcomes(outcome_records(model, table, now=workspace.context.clock()))
    return Reply(
        result={"rows": table.height, "counts": counts},
        shows=[
            f"{table.height:,} outcomes: {counts.joined:,} joined, {counts.corrected:,} corrected, "
            f"{counts.repeated:,} known already, {counts.waiting:,} wait for their prediction."
        ],
    )
