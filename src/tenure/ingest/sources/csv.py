"""Delimited text: CSV and its relatives."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Final

import polars as pl

from tenure.core.errors import DuplicateColumnError, EmptyDataError, UnreadableDataError
from tenure.core.ports import Log
from tenure.ingest.delimited import Form, find_form, plain_records
from tenure.ingest.files import content_of, digest_of_files, find_files, has_suffix, read_all
from tenure.ingest.text_files import as_utf8

_EMPTY: Final = ["", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"]
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Csv:
    """Reads delimited text files into columns of text; encoding, delimiter, quotes and header are found out."""

    name: ClassVar[str] = "csv"

    def accepts(self, source: str) -> bool:
        """Say whether the name is that of a text file, packed with gzip or not."""
        return has_suffix(source, (".csv", ".tsv", ".tab", ".psv", ".txt"))

    def fingerprint(self, source: str, query: str | None, folder: Path) -> str | None:
        """Return the hash of the bytes of all files."""
        return digest_of_files(find_files(source, folder))

    def read(self, source: str, query: str | None, folder: Path, log: Log) -> pl.DataFrame:
        """Return all rows with every column as text, as it stands in the file; blank cells are null.

        Raises:
            SourceMissingError: there is no such file.
            EmptyDataError: no rows.
            DuplicateColumnError: the header holds a name twice.
            UnreadableDataError: mixed encodings, no text, or a line with more or fewer cells than the header.
        """
        return read_all(find_files(source, folder), lambda path: _read_file(path, log))


def _read_file(path: Path, log: Log) -> pl.DataFrame:
    text = as_utf8(content_of(path), where=str(path))
    if text.note:
        log.note(f"{path.name} {text.note}.")
    content = text.content if b"\n" in text.content else text.content.replace(b"\r", b"\n")
    form, names = form_and_names(content, path, log)
    body = content[form.rest :]
    if not body or body.isspace():
        raise EmptyDataError(
            f"{path.name} holds a header and no rows.", where=str(path), hint="Look at how the file was written."
        )
    table = None
    if (records := plain_records(content, form)) is not None:
        table = read_plain(body, form, names, records)
    if table is not None:
        return table
    lines = io.StringIO(body.decode(), newline="")
    return next(read_cells(lines, path, form, names, before=content.count(b"\n", 0, form.rest)))


def form_and_names(content: bytes, path: Path, log: Log) -> tuple[Form, list[str]]:
    """Return how the text is cut, its first record being data where there is no header, and the columns' names.

    `content` may be the start of a longer text. Errors as in `Csv.read`.
    """
    form = find_form(content, where=str(path))
    names = _column_names(form, path)
    if _is_data(form.first):
        log.note(f"{path.name} has no header; its columns are called {names[0]} to {names[-1]}.")
        form = Form(form.delimiter, form.quote, form.first, 0)
    return form, names


def _column_names(form: Form, path: Path) -> list[str]:
    """Return the names in the header; a cell without text is named by its position.

    Raises:
        DuplicateColumnError: a name stands twice.
    """
    if _is_data(form.first):
        return [f"column_{position}" for position in range(1, len(form.first) + 1)]
    names = [cell.strip() or f"column_{position}" for position, cell in enumerate(form.first, start=1)]
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        shown = ", ".join(repr(name) for name in repeated[:5])
        raise DuplicateColumnError(
            f"The header of {path.name} holds {shown} more than once.",
            where=str(path),
            hint="Give every column a name of its own.",
        )
    return names


def _is_data(first: tuple[str, ...]) -> bool:
    """Say whether the first record holds numbers only, so that it cannot be a header."""
    return bool(first) and all(_NUMBER.fullmatch(cell.strip()) for cell in first)


def read_plain(body: bytes, form: Form, names: list[str], records: int) -> pl.DataFrame | None:
    """Return the table of a text that is plain enough for the fast reader, else None; blank cells are null."""
    try:
        table = pl.read_csv(
            body,
            has_header=False,
            schema=dict.fromkeys(names, pl.String),
            separator=form.delimiter,
            quote_char=form.quote,
            null_values=_EMPTY,
        )
    except pl.exceptions.PolarsError:
        return None  # the careful reader says what is wrong, or reads it
    return table if table.height == records else None


def read_cells(
    lines: Iterable[str], path: Path, form: Form, names: list[str], *, before: int, rows: int | None = None
) -> Iterator[pl.DataFrame]:
    """Read cell by cell: slower, takes stray quotes and blank lines, and knows the number of a wrong line.

    Yields tables of `rows` rows (left out: one of all), blank cells as null. `before` counts the lines before these.

    Raises:
        UnreadableDataError: a line has more or fewer cells than there are names, or a quote is never closed.
    """
    reader = csv.reader(lines, delimiter=form.delimiter, quotechar=form.quote)
    columns: list[list[str | None]] = [[] for _ in names]
    line, full = before + 1, False
    try:
        for record in reader:
            if record or len(columns) == 1:
                _check_width(record or [""], names, path, line)
                for column, cell in zip(columns, record or [""], strict=True):
                    column.append(None if cell in _EMPTY else cell)
            line = before + reader.line_num + 1
            full = rows is not None and len(columns[0]) == rows
            if full:
                yield _table(names, columns)
                columns = [[] for _ in names]
    except csv.Error as error:
        raise UnreadableDataError(
            f"{path.name} cannot be cut into cells at line {line}: {error}.",
            where=f"{path}, line {line}",
            hint="Look for a quote that is opened there and never closed.",
        ) from error
    if columns[0] or not full:
        yield _table(names, columns)


def _table(names: list[str], columns: list[list[str | None]]) -> pl.DataFrame:
    return pl.DataFrame(dict(zip(names, columns, strict=True)), schema=dict.fromkeys(names, pl.String))


def _check_width(record: list[str], names: list[str], path: Path, line: int) -> None:
    if len(record) == len(names):
        return
    raise UnreadableDataError(
        f"Line {line} of {path.name} has {len(record)} cells, the header has {len(names)}.",
        where=f"{path}, line {line}",
        hint="Mend that line; a cell that holds the delimiter or a line break must stand in quotes.",
    )
