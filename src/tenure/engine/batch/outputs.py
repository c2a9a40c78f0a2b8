"""Where answers go: one file, a folder of part files, or a table of a database."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import polars as pl

from tenure.core.errors import ConfigError
from tenure.core.files import writing
from tenure.engine.batch.job import Job, sync_folder

_BLOCK: Final = 1 << 23


class Output(Protocol):
    """What becomes of finished parts.

    `place` is what people see and `identity` what tells it from others, both without secrets. `form` is how a part is
    written: csv, jsonl or parquet. `folder` is where the job lies.
    """

    place: str
    identity: str
    form: str
    folder: Path

    def check(self) -> None:
        """Raise before anything is scored where the output cannot be written."""
        ...

    def begin(self, job: Job, dtypes: pl.Schema) -> frozenset[int]:
        """Get ready for parts with these columns, and return those that were taken before and lie in no file."""
        ...

    def take(self, job: Job, part: int, first_row: int) -> None:
        """Take a finished part; parts come in order, each once."""
        ...

    def finish(self, job: Job, parts: int, rows: int) -> None:
        """Put the whole output in its place; before, a reader sees what was there, or nothing."""
        ...


class FileOutput:
    """One file: the parts one after the other."""

    def __init__(self, path: Path, form: str) -> None:
        self.path = path.absolute()
        self.place = str(path)
        self.identity = str(self.path)
        self.form = form
        self.folder = self.path.with_name(f"{path.name}.parts")

    def check(self) -> None:
        """Raise where a folder stands in the file's place."""
        if self.path.is_dir():
            raise ConfigError(
                f"{self.path} is a folder.", where="--out", hint=f"Write a folder of parts with --out {self.path}/"
            )

    def begin(self, job: Job, dtypes: pl.Schema) -> frozenset[int]:
        """Return none: a part lies in the job's folder until the end."""
        return frozenset()

    def take(self, job: Job, part: int, first_row: int) -> None:
        """Do nothing: a part lies in the job's folder until the end."""

    def finish(self, job: Job, parts: int, rows: int) -> None:
        """Put the parts together beside their place, then rename."""
        whole = job.folder / f"whole.{self.form}"
        paths = [job.part(number) for number in range(parts)]
        with writing(self.path):
            if len(paths) == 1:
                shutil.copyfile(paths[0], whole)
            elif self.form == "parquet":
                pl.scan_parquet(paths, glob=False, hive_partitioning=False).sink_parquet(whole)
            else:
                _concatenate(paths, whole)
            with whole.open("rb+") as file:
                os.fsync(file.fileno())
            whole.replace(self.path)
            sync_folder(self.path.parent)


class FolderOutput:
    """A folder of Parquet files, one for each part."""

    form = "parquet"

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.place = f"{path}/"
        self.identity = f"{self.path}/"
        self.folder = self.path.with_name(f"{path.name}.parts")

    def check(self) -> None:
        """Raise where the folder holds what no earlier job wrote."""
        if not self.path.exists():
            return
        odd = self.path if not self.path.is_dir() else next(self._others(), None)
        if odd is not None:
            raise ConfigError(
                f"{self.path} cannot be replaced: {odd.name} is no part of an earlier output.",
                where="--out",
                hint="Name a new folder, or an empty one.",
            )

    def begin(self, job: Job, dtypes: pl.Schema) -> frozenset[int]:
        """Return none: a part lies in the job's folder until the end."""
        return frozenset()

    def take(self, job: Job, part: int, first_row: int) -> None:
        """Do nothing: a part lies in the job's folder until the end."""

    def finish(self, job: Job, parts: int, rows: int) -> None:
        """Rename the folder of parts; what an earlier job wrote goes then."""
        with writing(self.path):
            for temporary in job.parts.glob(".*"):
                temporary.unlink()
            if self.path.exists():
                self.path.rename(job.folder / "before")
            job.parts.rename(self.path)
            sync_folder(self.path.parent)

    def _others(self) -> Iterator[Path]:
        return (path for path in self.path.iterdir() if not path.match("part-[0-9]*.parquet"))


def write_part(job: Job, part: int, table: pl.DataFrame) -> Path:
    """Write a part beside its place and return where; `settle_part` makes it finished."""
    temporary = job.parts / f".part-{part:06d}"
    with writing(temporary), temporary.open("wb") as file:
        if job.form == "csv":
            table.write_csv(file, include_header=part == 0)
        elif job.form == "parquet":
            table.write_parquet(file)
        else:
            table.write_ndjson(file)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def settle_part(job: Job, part: int, written: Path) -> None:
    """Rename a written part to where finished parts lie."""
    with writing(written):
        written.replace(job.part(part))
        sync_folder(job.parts)


def _concatenate(paths: list[Path], whole: Path) -> None:
    with whole.open("wb") as file:
        for path in paths:
            with path.open("rb") as part:
                shutil.copyfileobj(part, file, _BLOCK)
