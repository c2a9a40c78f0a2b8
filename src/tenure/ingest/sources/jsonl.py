"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import polars as pl

from tenure.core.errors import UnreadableDataError
from tenure.core.ports import Log
from tenure.ingest.files import content_of, digest_of_files, find_files, has_suffix, read_all, unreadable
from tenure.ingest.text_files import as_utf8


class JsonLines:
    """Reads files with one JSON object a line; a key that a line lacks is an empty cell."""

    name: ClassVar[str] = "jsonl"

    def accepts(self, source: str) -> bool:
        """Say whether the name is that of a file of JSON lines, packed with gzip or not."""
        return has_suffix(source, (".jsonl", ".ndjson"))

    def fingerprint(self, source: str, query: str | None, folder: Path) -> str | None:
        """Return the hash of the bytes of all files."""
        return digest_of_files(find_files(source, folder))

    def read(self, source: str, query: str | None, folder: Path, log: Log) -> pl.DataFrame:
        """Return all rows; the columns are the keys of the first line in its order, then all others by name.

        Raises:
            SourceMissingError: there is no such file.
            EmptyDataError: no rows.
            UnreadableDataError: a line is not a JSON object, or the file is no text.
        """
        return read_all(find_files(source, folder), lambda path: _read_file(path, log))


def _read_file(path: Path, log: Log) -> pl.DataFrame:
    text = as_utf8(content_of(path), where=str(path))
    if text.note:
        log.note(f"{path.name} {text.note}.")
    try:
        table = pl.read_ndjson(text.content, infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        point_at_bad_line(path, text.content.split(b"\n"))
        raise unreadable(path, error, what="does not read as JSON lines") from error
    # The reader's own order of columns is not that of the lines.
    first = list(json.loads(text.content.lstrip().split(b"\n", 1)[0]))
    return table[first + sorted(set(table.columns) - set(first))]


def point_at_bad_line(path: Path, lines: Iterable[bytes]) -> None:
    """Raise for the first line that is not a JSON object.

    Raises:
        UnreadableDataError: there is such a line.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        problem = _problem(line)
        if problem:
            raise UnreadableDataError(
                f"Line {number} of {path.name} {problem}.",
                where=f"{path}, line {number}",
                hint='Every line must be one object, such as {"age": 31, "plan": "basic"}.',
            )


def _problem(line: bytes) -> str | None:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        return f"is not JSON: {error.msg} at character {error.pos + 1}"
    return None if isinstance(value, dict) else f"is JSON, but a {type(value).__name__} instead of an object"
