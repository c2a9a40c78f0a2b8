"""Rows that cannot be read from any place, such as those of a query, are written down once, as Parquet in a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import polars as pl

from tenure.core.files import writing

_DONE: Final = "done"


def spooled(folder: Path, batches: Callable[[], Iterable[pl.DataFrame]]) -> list[Path]:
    """Write each batch to a file of its own and return the files in order.

    Where that was done before, wholly, the files that are there are returned and `batches` is not called.

    Raises:
        DiskFullError, FolderReadOnlyError: they cannot be written.
    """
    with writing(folder):
        if not (folder / _DONE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for number, batch in enumerate(batches()):
                with (folder / f"rows-{number:06d}.parquet").open("wb") as file:
                    batch.write_parquet(file, compression="lz4")
                    file.flush()
                    os.fsync(file.fileno())
            (folder / _DONE).touch()
    return sorted(folder.glob("rows-*.parquet"))
