"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import polars as pl

from tenure.core.errors import DuplicateColumnError
from tenure.core.ports import Log
from tenure.ingest.files import digest_of_files, find_files, has_suffix, read_all, unreadable


class Parquet:
    """Reads Parquet files with the types that they hold."""

    name: ClassVar[str] = "parquet"

    def accepts(self, source: str) -> bool:
        """Say whether the name is that of a Parquet file."""
        return has_suffix(source, (".parquet", ".pq")) and not source.endswith(".gz")

    def fingerprint(self, source: str, query: str | None, folder: Path) -> str | None:
        """Return the hash of the bytes of all files."""
        return digest_of_files(find_files(source, folder))

    def read(self, source: str, query: str | None, folder: Path, log: Log) -> pl.DataFrame:
        """Return all rows of all files.

        Raises:
            SourceMissingError: there is no such file.
            EmptyDataError: no rows.
            UnreadableDataError: a file is damaged, or differs from the others in its columns.
            DuplicateColumnError: a file holds a column name twice.
        """
        return read_all(find_files(source, folder), _read_file)


def _read_file(path: Path) -> pl.DataFrame:
    with reading_parquet(path):
        return pl.read_parquet(path, hive_partitioning=False, glob=False)


@contextmanager
def reading_parquet(path: Path) -> Iterator[None]:
    """Turn what polars says of a file that cannot be read into our errors.

    Raises:
        DuplicateColumnError, UnreadableDataError: as in `Parquet.read`.
    """
    try:
        yield
    except pl.exceptions.DuplicateError as error:
        raise DuplicateColumnError(
            f"{path.name} holds a column name twice: {error}.",
            where=str(path),
            hint="Give every column a name of its own.",
        ) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error, what="is no Parquet file that can be read") from error
