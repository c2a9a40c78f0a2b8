"""`tenure predict`."""

from __future__ import annotations

import io
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import Reply, answers
from tenure.cli.progress import told
from tenure.core.errors import ConfigError
from tenure.core.files import written
from tenure.core.project import redacted
from tenure.engine.scoring import score_table
from tenure.engine.workspace import open_workspace
from tenure.ingest.table import read_rows

app = typer.Typer(add_completion=False)
_FORMS: Final = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@app.command()
@answers
def predict(
    data: Annotated[str, typer.Argument(help="File, glob or database URL with the rows to score.")],
    out: Annotated[
        Path | None, typer.Option(help="Where to write: .csv, .parquet or .jsonl. Left out: CSV on stdout.")
    ] = None,
    project: ProjectOption = HERE,
    query: Annotated[str | None, typer.Option(help="SQL, where DATA is a database URL.")] = None,
    log: Annotated[
        bool, typer.Option("--log/--no-log", help="Keep each prediction in the log, for monitoring.")
    ] = True,
    ids: Annotated[bool, typer.Option("--ids", help="Also write each prediction's id, for outcomes.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Score a table with the model in office."""
    form = _form_of(out)
    with told(quiet=quiet) as progress, open_workspace(project, log=progress) as workspace:
        version = workspace.champion()
        scorer = workspace.scorer(version)
        rows = read_rows(data, query, Path.cwd(), progress, schema=scorer.model.schema)
        progress.note(f"{rows.height:,} rows from {redacted(data)}")
        scored = score_table(version, scorer, rows, at=workspace.context.clock())
        shown = scored.shown
        if ids:
            shown = shown.with_columns(id=pl.Series([record.id for record in scored.records]))
        content = _content(shown, form)
        # Logged only once the file is safely beside its place: what could not be written was not answered.
        with nullcontext() if out is None else written(out, content):
            if log:
                workspace.traffic.log_predictions(scored.records)
    result = {"rows": shown.height, "version": version.label, "columns": shown.columns, "logged": log}
    if out is None:
        result["predictions"] = shown.to_dicts()
        return Reply(result=result, shows=[content.decode().rstrip("\n")])
    return Reply(
        result=result | {"out": str(out)},
        shows=[f"{shown.height:,} rows scored by {version.label}, written to {out}."],
        artifacts=[str(out)],
    )


def _form_of(out: Path | None) -> str:
    if out is None:
        return "csv"
    form = _FORMS.get(out.suffix.lower())
    if form is None:
        raise ConfigError(
            f"{out.name} does not say which form to write.", where="--out", hint="End it in .csv, .parquet or .jsonl."
        )
    return form


def _content(frame: pl.DataFrame, form: str) -> bytes:
    buffer = io.BytesIO()
    if form == "csv":
        frame.write_csv(buffer)
    elif form == "parquet":
        frame.write_parquet(buffer)
    else:
        frame.write_ndjson(buffer)
    return buffer.getvalue()
