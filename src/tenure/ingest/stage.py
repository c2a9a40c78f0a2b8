"""The front door: read the source, say what its columns are, and keep exactly these rows."""

from __future__ import annotations

import polars as pl

from tenure.core.data import Role, Schema, Snapshot
from tenure.core.errors import TargetMissingError
from tenure.core.ports import Context
from tenure.core.project import DataSection
from tenure.core.secrets import redacted
from tenure.ingest.logged import Logged, recounted, with_logged, without_excluded
from tenure.ingest.roles import Declared, infer_schema, prepare
from tenure.ingest.table import read_table, source_for
from tenure.ingest.target import check_target, class_names


def ingest(ctx: Context, logged: Logged | None = None) -> Snapshot:
    """Read all rows of the source and return them as a snapshot with a schema.

    Rows are kept as they are read, rows without a target and infinities included: the quality room sets aside.
    With `logged`, rows of excluded times are left out, and rows of the log are added; what a column is and what it is
    for, the source alone decides.

    Raises:
        TargetMissingError: a column that the project file names is not in the data.
        TargetError: the target cannot be learned for this task.
        DataError, SourceUnreachableError, CredentialError: the source cannot be read.
    """
    data, task = ctx.project.data, ctx.project.project.task
    table = read_table(data.source, data.query, ctx.folder, ctx.log)
    ctx.log.progress(0.6, f"{table.frame.height:,} rows, {table.frame.width} columns")
    declared = Declared.of(data)
    if data.target not in table.frame.columns:
        raise TargetMissingError.from_column(data.target, table.frame.columns)
    declared.check(table.frame.columns)
    frame = prepare(table, declared, task)
    check_target(frame[data.target], task)
    schema = infer_schema(frame, declared, task, table)
    source, read = _described(data), frame.height
    if logged is not None:
        frame = without_excluded(frame, schema.time, logged.excluded, ctx.log)
        kept = frame.height
        frame = with_logged(frame, schema, logged.read(), ctx.log)
        if frame.height != kept or kept != read:
            check_target(frame[data.target], task)
            schema = recounted(schema, frame)
        if frame.height != kept:
            source = f"{source}, and {frame.height - kept:,} rows of the log"
    classes = class_names(frame[data.target], task, data.positive)
    _tell(ctx, frame, schema)
    return Snapshot(
        table=ctx.artifacts.put_table(frame),
        rows=frame.height,
        schema=schema,
        source=source,
        classes=classes,
    )


def source_fingerprint(ctx: Context) -> str | None:
    """Return what changes when the source's content does; None where only reading tells.

    Raises:
        SourceMissingError: there is no such file.
        ConfigError: nothing reads such a source.
    """
    data = ctx.project.data
    return source_for(data.source, ctx.folder).fingerprint(data.source, data.query, ctx.folder)


def _described(data: DataSection) -> str:
    source = redacted(data.source)
    return source if data.query is None else f"{source}: {data.query}"


def _tell(ctx: Context, frame: pl.DataFrame, schema: Schema) -> None:
    """Note what was guessed or left out, so that nobody has to wonder about it later."""
    declared = Declared.of(ctx.project.data).roles()
    for column in schema.columns:
        if column.role is Role.IGNORED or (column.name not in declared and column.role is not Role.FEATURE):
            ctx.log.note(f"{column.name}: {column.role.value}, {column.reason}")
        elif column.reason and column.name not in declared:
            ctx.log.note(f"{column.name}: {column.reason}")
        if frame[column.name].dtype == pl.Float64:
            infinite = int(frame[column.name].is_infinite().sum())
            if infinite:
                ctx.log.note(f"{column.name}: {infinite:,} infinite values")
