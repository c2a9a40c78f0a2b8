"""Read a source into a typed table: the one way in for training rows and for rows to predict."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tenure.core.data import Schema
from tenure.core.errors import ConfigError, EmptyDataError
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Log, Source
from tenure.core.secrets import redacted
from tenure.ingest.cells import Typed, conform, typed


def source_for(source: str, folder: Path) -> Source:
    """Return the plug-in that reads `source`: the first, by name, that accepts it.

    Raises:
        ConfigError: no plug-in reads such a source.
    """
    names = plugin_names("source", project=folder)
    for name in names:
        candidate: Source = plugin("source", name, project=folder)()
        if candidate.accepts(source):
            return candidate
    raise ConfigError(
        f"Nothing reads a source like {redacted(source)!r}.",
        where="data.source",
        hint=f"Readers: {', '.join(names)}. Save the rows as .csv, .parquet or .jsonl, or name a database URL.",
    )


def read_table(source: str, query: str | None, folder: Path, log: Log) -> Typed:
    """Read all rows and give every column one of six types; relative paths start at `folder`.

    Raises:
        ConfigError, SourceMissingError, EmptyDataError, UnreadableDataError, DuplicateColumnError,
        SourceUnreachableError, CredentialError: as the source's plug-in says.
    """
    return typed(_rows(source, query, folder, log))


def read_rows(source: str, query: str | None, folder: Path, log: Log, *, schema: Schema) -> pl.DataFrame:
    """Read rows to predict, with the types that `schema` was learnt with; columns that it lacks are kept as they are.

    Raises:
        The errors of `read_table`.
    """
    return conform(_rows(source, query, folder, log), schema)


def _rows(source: str, query: str | None, folder: Path, log: Log) -> pl.DataFrame:
    table = source_for(source, folder).read(source, query, folder, log)
    if table.height == 0 or table.width == 0:
        raise EmptyDataError(
            f"{redacted(source)} holds no rows.", where="data.source", hint="Look at how the data were written."
        )
    return table
