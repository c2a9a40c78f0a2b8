"""A table of any size as parts that are read one by one, each row as it would be read in the whole table."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from tenure.core.data import Schema
from tenure.core.errors import EmptyDataError
from tenure.core.ports import Log, Silent
from tenure.core.secrets import redacted
from tenure.ingest.cells import Style, conform, number_styles, texts_to_read_as_numbers
from tenure.ingest.files import find_files, read_all
from tenure.ingest.sources.csv import Csv, form_and_names, read_cells
from tenure.ingest.sources.jsonl import JsonLines
from tenure.ingest.sources.parquet import Parquet
from tenure.ingest.sources.sql import Sql, one_below_the_other
from tenure.ingest.stream.files import ParquetRows, PlainCsv, PlainJsonLines, RowFile, Run
from tenure.ingest.stream.spool import spooled
from tenure.ingest.stream.text import blocks_of, plain_start, unpacked
from tenure.ingest.table import source_for

_CELLS: Final = 1_000_000
"""About so many cells are spooled at once."""


def identity_of(source: str, query: str | None, folder: Path) -> dict[str, Any]:
    """Return what tells the input from another as plain data; of files path, size and time of the last change.

    Raises:
        SourceMissingError, ConfigError: there is no such input, or nothing reads it.
    """
    reader = source_for(source, folder)
    if isinstance(reader, Csv | JsonLines | Parquet):
        stats = ((path.resolve(), path.stat()) for path in find_files(source, folder))
        return {"files": [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats]}
    digest = reader.fingerprint(source, query, folder)
    return {"source": redacted(source), "query": query, "digest": digest}


@dataclass(frozen=True, eq=False)
class RowStream:
    """A table in parts. `parts` are the numbers of rows in each, `columns` all names in the table."""

    parts: tuple[int, ...]
    columns: tuple[str, ...]
    _files: tuple[RowFile, ...]
    _places: tuple[tuple[tuple[int, Run], ...], ...]
    _dtypes: dict[str, pl.DataType]
    _schema: Schema
    _styles: dict[str, Style]

    @property
    def rows(self) -> int:
        """Return the number of all rows."""
        return sum(self.parts)

    def first_row(self, part: int) -> int:
        """Return how many rows stand before a part."""
        return sum(self.parts[:part])

    def read(self, part: int, columns: Collection[str]) -> pl.DataFrame:
        """Return one part with those of `columns` that the table has, typed as the schema says. Safe between threads.

        Raises:
            UnreadableDataError: a file changed meanwhile, or is damaged.
        """
        wanted = [name for name in self.columns if name in columns]
        return conform(_read(self._files, self._places[part], self._dtypes, wanted), self._schema, styles=self._styles)


def open_rows(
    source: str, query: str | None, folder: Path, log: Log, *, schema: Schema, part_rows: int, spool: Path
) -> RowStream:
    """Find where the rows of `source` lie, in parts of `part_rows` rows; relative paths start at `folder`.

    What cannot be read from any place is first written to `spool`, and taken from there when it is asked for again: a
    query's rows, packed text, text with stray quotes. Text in another encoding than UTF-8, and what a project's own
    plug-in reads, is read whole for that.

    Raises:
        The errors of `read_table`.
    """
    files, dtypes = _files_of(source, query, folder, log, part_rows=part_rows, spool=spool)
    runs = [(at, run) for at, file in enumerate(files) for run in file.runs(part_rows)]
    if not runs:
        raise EmptyDataError(
            f"{redacted(source)} holds no rows.", where="data.source", hint="Look at how the data were written."
        )
    places = _grouped(runs, part_rows)
    return RowStream(
        parts=tuple(sum(run.rows for _, run in place) for place in places),
        columns=tuple(dtypes),
        _files=files,
        _places=places,
        _dtypes=dtypes,
        _schema=schema,
        _styles=_styles_of(files, places, dtypes, schema),
    )


def _files_of(
    source: str, query: str | None, folder: Path, log: Log, *, part_rows: int, spool: Path
) -> tuple[tuple[RowFile, ...], dict[str, pl.DataType]]:
    """Return the files that the rows can be read from in parts, and the columns' types that hold all their values."""
    reader = source_for(source, folder)
    if isinstance(reader, Sql):
        log.note("The rows are read from the database first.")
        batches = _spooled(spool / "query", lambda: reader.batches(source, query, folder))
        if not batches:
            raise EmptyDataError("The query gives no rows.", where="data.query", hint="Run it by hand and look.")
        return batches, dict(one_below_the_other([pl.DataFrame(schema=batch.dtypes) for batch in batches]).schema)
    if not isinstance(reader, Csv | JsonLines | Parquet):
        files = _spooled(spool / "whole", lambda: [reader.read(source, query, folder, log)])
        return files, files[0].dtypes
    found: list[tuple[Path, RowFile]] = []
    for at, path in enumerate(find_files(source, folder)):
        own = spool / f"file-{at:06d}"
        if isinstance(reader, Csv):
            found += [(path, file) for file in _csv(path, log, own, part_rows)]
        elif isinstance(reader, JsonLines):
            found += [(path, file) for file in _json_lines(path, log, own)]
        else:
            found.append((path, ParquetRows(path)))
    by_path = dict(found)  # the files spooled from one are alike
    widest = read_all(list(by_path), lambda path: _one_empty_row(by_path[path].dtypes))
    return tuple(file for _, file in found), dict(widest.schema)


def _one_empty_row(dtypes: dict[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame([pl.Series(name, [None], dtype=dtype) for name, dtype in dtypes.items()])


def _csv(path: Path, log: Log, spool: Path, part_rows: int) -> tuple[RowFile, ...]:
    text = unpacked(path, spool)
    start = plain_start(text)
    if start is not None and not next(blocks_of(text, start)).isspace():
        file = PlainCsv(text, start, log)
        runs = file.plain_runs(part_rows)
        if runs:
            return (file,)
        if runs is None:
            return _spooled(spool / "rows", lambda: _cell_by_cell(text, start, path))
    return _spooled(spool / "rows", lambda: [Csv().read(str(path), None, path.parent, log)])


def _cell_by_cell(text: Path, start: int, path: Path) -> Iterator[pl.DataFrame]:
    head = next(blocks_of(text, start))
    form, names = form_and_names(head, path, Silent())
    with text.open("rb") as file:
        file.seek(start + form.rest)
        lines = io.TextIOWrapper(file, encoding="utf-8", newline="")
        before = head.count(b"\n", 0, form.rest)
        yield from read_cells(lines, path, form, names, before=before, rows=max(_CELLS // len(names), 1_000))


def _json_lines(path: Path, log: Log, spool: Path) -> tuple[RowFile, ...]:
    text = unpacked(path, spool)
    if plain_start(text) == 0:
        return (PlainJsonLines(text),)
    return _spooled(spool / "rows", lambda: [JsonLines().read(str(path), None, path.parent, log)])


def _spooled(folder: Path, batches: Callable[[], Iterable[pl.DataFrame]]) -> tuple[RowFile, ...]:
    return tuple(ParquetRows(path) for path in spooled(folder, batches))


def _grouped(runs: Sequence[tuple[int, Run]], part_rows: int) -> tuple[tuple[tuple[int, Run], ...], ...]:
    """Put runs that follow each other together where they fit into one part: many small files are few parts."""
    parts: list[list[tuple[int, Run]]] = []
    room = 0
    for place in runs:
        if place[1].rows > room:
            parts.append([])
            room = part_rows
        parts[-1].append(place)
        room -= place[1].rows
    return tuple(tuple(part) for part in parts)


def _styles_of(
    files: Sequence[RowFile],
    places: Sequence[Sequence[tuple[int, Run]]],
    dtypes: dict[str, pl.DataType],
    schema: Schema,
) -> dict[str, Style]:
    """Return how numbers stand in text; the rows are read for that only where it can make a difference."""
    if not any(file.commas for file in files) or not texts_to_read_as_numbers(dtypes, schema):
        return {}
    texts = [name for name, dtype in dtypes.items() if dtype in (pl.String, pl.Categorical, pl.Enum)]
    return number_styles(lambda: (_read(files, place, dtypes, texts) for place in places), schema)


def _read(
    files: Sequence[RowFile],
    place: Sequence[tuple[int, Run]],
    dtypes: dict[str, pl.DataType],
    columns: Sequence[str],
) -> pl.DataFrame:
    """Return the rows of one part as they are stored, with the types that hold all values of the table."""
    tables = []
    for at, run in place:
        table = files[at].read(run, columns)
        tables.append(pl.DataFrame([table[name].cast(dtypes[name]) for name in columns]))
    return pl.concat(tables)
