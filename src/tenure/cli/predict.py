"""`tenure predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption, QuietOption
from tenure.cli.output import Reply, answers
from tenure.cli.progress import told
from tenure.core.errors import ConfigError
from tenure.core.lifecycle import ModelVersion
from tenure.core.secrets import redacted
from tenure.engine.batch.answers import MOST_REASONS, answer_table, extras_of
from tenure.engine.batch.outputs import FileOutput, FolderOutput, Output
from tenure.engine.batch.run import LOGGED_ROWS, Asked, score_in_parts
from tenure.engine.batch.table import TableOutput
from tenure.engine.workspace import STATE_FOLDER, Workspace, open_workspace
from tenure.ingest.table import read_rows
from tenure.model.scorer import Scorer

app = typer.Typer(add_completion=False)
_FORMS: Final = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@app.command()
@answers
def predict(
    data: Annotated[str, typer.Argument(help="File, glob or database URL with the rows to score.")],
    out: Annotated[
        str | None,
        typer.Option(
            help="Where to write: .csv, .parquet or .jsonl, a folder/ of Parquet files, or a database URL "
            "with --table. Left out: CSV on stdout."
        ),
    ] = None,
    project: ProjectOption = HERE,
    query: Annotated[str | None, typer.Option(help="SQL, where DATA is a database URL.")] = None,
    table: Annotated[str | None, typer.Option(help="Name of the table, where --out is a database URL.")] = None,
    reasons: Annotated[
        int, typer.Option(min=0, max=MOST_REASONS, help="Also write the columns that moved each prediction most.")
    ] = 0,
    action: Annotated[
        bool, typer.Option("--action/--no-action", help="Also write what to do with a predicted yes.")
    ] = False,
    ids: Annotated[bool, typer.Option("--ids", help="Also write each prediction's id, for outcomes.")] = False,
    log: Annotated[
        bool | None,
        typer.Option(
            "--log/--no-log",
            help=f"Keep each prediction in the log, for monitoring. Left out: up to {LOGGED_ROWS:,} rows.",
            show_default=False,
        ),
    ] = None,
    chunk_rows: Annotated[
        int | None, typer.Option(min=1, help="Rows that are scored and written at once. Left out: what fits the model.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Go on with a job that was cut off, or start it again.")
    ] = True,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> Reply:
    """Score a table with the model in office."""
    with told(quiet=quiet) as progress, open_workspace(project, log=progress) as workspace:
        output = _output_of(out, table, workspace)
        version = workspace.champion()
        scorer = workspace.scorer(version)
        extras = extras_of(workspace.project, scorer.model, reasons=reasons, action=action, ids=ids)
        asked = Asked(data, query, Path.cwd(), extras, part_rows=chunk_rows, log=log, fresh=not resume)
        if output is None:
            return _shown(workspace, version, scorer, asked)
        return _written(workspace, version, scorer, asked, output)


def _output_of(out: str | None, table: str | None, workspace: Workspace) -> Output | None:
    if out is not None and ("://" in out or out.startswith("${")):
        if table is None:
            raise ConfigError(
                "A database is to be written, and no table is named.", where="--table", hint="Add --table NAME."
            )
        return TableOutput(out, table, workspace.folder / STATE_FOLDER / "jobs")
    if table is not None:
        raise ConfigError("A table is named, and no database.", where="--out", hint="Add --out with a database URL.")
    if out is None:
        return None
    path = Path(out).expanduser()
    if out.endswith("/") or path.is_dir():
        return FolderOutput(path)
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise ConfigError(
            f"{path.name} does not say which form to write.",
            where="--out",
            hint="End it in .csv, .parquet or .jsonl, or in / for a folder of Parquet files.",
        )
    return FileOutput(path, form)


def _shown(workspace: Workspace, version: ModelVersion, scorer: Scorer, asked: Asked) -> Reply:
    """Score a table that fits into memory, and show it."""
    context = workspace.context
    rows = read_rows(asked.source, asked.query, asked.folder, context.log, schema=scorer.model.schema)
    context.log.note(f"{rows.height:,} rows from {redacted(asked.source)}")
    log = rows.height <= LOGGED_ROWS if asked.log is None else asked.log
    found = answer_table(version, scorer, rows, asked.extras, at=context.clock(), log=log)
    workspace.traffic.log_predictions(found.records)
    result = _result(found.table.height, version, found.table.columns, log)
    content = found.table.write_csv().rstrip("\n")
    return Reply(
        result=result | {"predictions": found.table.to_dicts()}, shows=[content], warnings=_not_logged(asked, log)
    )


def _written(workspace: Workspace, version: ModelVersion, scorer: Scorer, asked: Asked, output: Output) -> Reply:
    done = score_in_parts(workspace, version, scorer, asked, output)
    speed = (done.rows - done.resumed_rows) / max(done.seconds, 1e-9)
    shows = [f"{done.rows:,} rows scored by {version.label}, written to {output.place}."]
    if done.resumed_rows:
        shows.append(f"{done.resumed_rows:,} of them were finished before this start.")
    result = _result(done.rows, version, list(done.columns), done.logged) | {
        "out": output.place,
        "resumed_rows": done.resumed_rows,
        "seconds": round(done.seconds, 3),
        "rows_per_second": round(speed),
    }
    artifacts = [] if isinstance(output, TableOutput) else [output.place]
    return Reply(result=result, shows=[*shows], artifacts=artifacts, warnings=_not_logged(asked, done.logged))


def _result(rows: int, version: ModelVersion, columns: list[str], logged: bool) -> dict[str, Any]:
    return {"rows": rows, "version": version.label, "columns": columns, "logged": logged}


def _not_logged(asked: Asked, logged: bool) -> list[str]:
    """Return what to say where a table was too large to be logged unasked."""
    if logged or asked.log is not None:
        return []
    return [
        f"More than {LOGGED_ROWS:,} rows are not logged unless --log is given, so monitoring does not see them; "
        "--no-log says that this is meant."
    ]
