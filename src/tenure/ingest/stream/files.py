"""Files whose rows can be read from any place: which columns they hold, where each run of rows lies, and those rows."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import polars as pl
import polars.selectors as cs

from tenure.core.errors import UnreadableDataError
from tenure.core.ports import Log
from tenure.ingest.delimited import plain_stretches
from tenure.ingest.files import unreadable
from tenure.ingest.sources.csv import form_and_names, read_plain
from tenure.ingest.sources.jsonl import point_at_bad_line
from tenure.ingest.sources.parquet import reading_parquet
from tenure.ingest.stream.text import BLOCK, blocks_of, bytes_at


@dataclass(frozen=True, slots=True)
class Run:
    """Rows that follow each other in a file: from byte `start` on `size` bytes (Parquet: from row `start` on)."""

    start: int
    size: int
    rows: int


class RowFile(Protocol):
    """A file whose rows can be read from any place.

    `dtypes` are its columns as they are stored. `commas` says whether a cell of text may hold a comma.
    """

    path: Path
    dtypes: dict[str, pl.DataType]
    commas: bool

    def runs(self, rows: int) -> list[Run]:
        """Return where each `rows` rows lie, in order."""
        ...

    def read(self, run: Run, columns: Sequence[str]) -> pl.DataFrame:
        """Return the rows of one run as they are stored."""
        ...


class PlainCsv:
    """Delimited UTF-8 text, the text beginning at byte `start`; every column is text."""

    def __init__(self, path: Path, start: int, log: Log) -> None:
        self.path = path
        head = next(blocks_of(path, start))
        self._form, self._names = form_and_names(head, path, log)
        self._begin = start + self._form.rest
        self.dtypes: dict[str, pl.DataType] = {name: pl.String() for name in self._names}
        self.commas = self._form.delimiter != ","
        self._plain_runs = cache(self._find_runs)

    def plain_runs(self, rows: int) -> list[Run] | None:
        """Return what `runs` does, or None where the text must be read cell by cell."""
        return self._plain_runs(rows)

    def runs(self, rows: int) -> list[Run]:
        """Return where each `rows` rows lie.

        Raises:
            UnreadableDataError: the text must be read cell by cell.
        """
        found = self._plain_runs(rows)
        if found is None:
            raise _changed(self.path)
        return found

    def _find_runs(self, rows: int) -> list[Run] | None:
        found = plain_stretches(self._blocks(), self._form, begin=self._begin, every=rows)
        return None if found is None else [Run(each.start, each.size, each.records) for each in found]

    def read(self, run: Run, columns: Sequence[str]) -> pl.DataFrame:
        """Return the rows of one run, every cell as text, blank cells as null."""
        table = read_plain(bytes_at(self.path, run.start, run.size), self._form, self._names, run.rows)
        if table is None:
            raise _changed(self.path)
        return table[list(columns)]

    def _blocks(self) -> Iterator[bytes]:
        """Yield the text, and note on the way whether a cell may hold a comma: only one in quotes can."""
        mark = self._form.quote.encode()
        for block in blocks_of(self.path, self._begin):
            self.commas = self.commas or mark in block
            yield block


class PlainJsonLines:
    """UTF-8 text with one JSON object a line; the types are those that hold the values of all lines."""

    commas = True

    def __init__(self, path: Path, *, block: int = BLOCK) -> None:
        self.path = path
        try:
            self.dtypes: dict[str, pl.DataType] = self._widest(block)
        except pl.exceptions.PolarsError as error:
            raise self._unreadable(error) from error

    def _widest(self, block: int) -> dict[str, pl.DataType]:
        """Return the types that polars would find in all lines, from blocks of them.

        Blocks that bring a new key or type are kept and looked at together, so that its own rules join the types.
        """
        kept, widest = b"", dict[str, pl.DataType]()
        with self.path.open("rb") as file:
            while lines := file.readlines(block):
                found = _dtypes_of(b"".join(lines))
                if any(dtype != pl.Null and dtype != widest.get(name) for name, dtype in found.items()):
                    kept += b"".join(lines)
                    widest |= _dtypes_of(kept)
                widest = found | widest
        return widest

    def runs(self, rows: int) -> list[Run]:
        """Return where each `rows` lines that are not blank lie."""
        found, start, seen, end = [], 0, 0, 0
        for line in self._lines():
            end += len(line)
            seen += not line.isspace()
            if seen == rows:
                found.append(Run(start, end - start, seen))
                start, seen = end, 0
        return [*found, Run(start, end - start, seen)] if seen else found

    def read(self, run: Run, columns: Sequence[str]) -> pl.DataFrame:
        """Return the rows of one run; a key that a line lacks is null."""
        try:
            table = pl.read_ndjson(bytes_at(self.path, run.start, run.size), schema=self.dtypes)
        except pl.exceptions.PolarsError as error:
            raise self._unreadable(error) from error
        if table.height != run.rows:
            raise _changed(self.path)
        return table[list(columns)]

    def _lines(self) -> Iterator[bytes]:
        with self.path.open("rb", buffering=BLOCK) as file:
            yield from file

    def _unreadable(self, error: Exception) -> UnreadableDataError:
        point_at_bad_line(self.path, self._lines())
        return unreadable(self.path, error, what="does not read as JSON lines")


def _dtypes_of(lines: bytes) -> dict[str, pl.DataType]:
    if lines.isspace():
        return {}
    return dict(pl.scan_ndjson(io.BytesIO(lines), infer_schema_length=None).collect_schema())


class ParquetRows:
    """A Parquet file."""

    commas = True

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading_parquet(path):
            self.dtypes: dict[str, pl.DataType] = dict(self._scan().collect_schema())

    def runs(self, rows: int) -> list[Run]:
        """Return runs of `rows` rows."""
        with reading_parquet(self.path):
            height = int(self._scan().select(pl.len()).collect().item())
        return [Run(start, 0, min(rows, height - start)) for start in range(0, height, rows)]

    def read(self, run: Run, columns: Sequence[str]) -> pl.DataFrame:
        """Return the rows of one run; only `columns` are read."""
        with reading_parquet(self.path):
            return self._scan().slice(run.start, run.rows).select(cs.by_name(*columns)).collect()

    def _scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.path, hive_partitioning=False, glob=False)


def _changed(path: Path) -> UnreadableDataError:
    return UnreadableDataError(
        f"{path.name} changed while it was read.", where=str(path), hint="Start again when nobody writes it any more."
    )
