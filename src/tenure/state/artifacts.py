"""A content-addressed store in a local folder: bytes, tables, arrays, records and whole folders by their SHA-256.

`<folder>/<aa>/<digest>` is a file, or a folder for a tree. What is new is built in `<folder>/.partial/` and renamed
into place when it is whole and on disk, so a killed process leaves nothing that could be mistaken for an artifact.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.errors import ArtifactError
from tenure.core.files import writing
from tenure.core.records import Record, digest_of
from tenure.state.host import host_name, process_birth

R = TypeVar("R", bound=Record)

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PARTIAL: Final = ".partial"
_CHUNK: Final = 1 << 20
_ROW_GROUP: Final = 131_072
_DAY: Final = 86_400.0


class LocalArtifacts:
    """Keeps artifacts in a local folder; writes are atomic, and every read is checked against the digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._partial = folder / _PARTIAL
        if self._partial.is_dir():
            self._sweep()

    # ---- bytes ----

    def put_bytes(self, content: bytes) -> str:
        """Keep `content` and return its SHA-256.

        Raises:
            DiskFullError: the disk is full; nothing half-written is kept.
            FolderReadOnlyError: the folder cannot be written.
        """
        digest = hashlib.sha256(content).hexdigest()
        target = self._path(digest)
        if target.is_file() and _file_digest(target) == digest:
            return digest
        with writing(target), self._new() as new:
            _write_file(new, content)
            target.parent.mkdir(exist_ok=True)
            new.replace(target)
            _sync_folder(target.parent)
        return digest

    def get_bytes(self, digest: str) -> bytes:
        """Return the bytes that `digest` names.

        Raises:
            ArtifactError: nothing is stored under it, or what is stored is damaged.
        """
        target = self._path(digest)
        try:
            content = target.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _missing(digest, target) from error
        except IsADirectoryError as error:
            raise _unfit(digest, target, "is a folder, not a file") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise _damaged(digest, target)
        return content

    # ---- tables and arrays ----

    def put_table(self, table: pl.DataFrame) -> str:
        """Keep a table as Parquet and return its digest; equal tables give equal digests."""
        buffer = io.BytesIO()
        # Chunks, statistics and row groups must not depend on how the table came about.
        table.rechunk().write_parquet(
            buffer, compression="zstd", compression_level=3, statistics=False, row_group_size=_ROW_GROUP
        )
        return self.put_bytes(buffer.getvalue())

    def get_table(self, digest: str) -> pl.DataFrame:
        """Return the table that `digest` names; errors as in `get_bytes`."""
        try:
            return pl.read_parquet(io.BytesIO(self.get_bytes(digest)))
        except pl.exceptions.ComputeError as error:
            raise _unfit(digest, self._path(digest), "is not a table") from error

    def put_array(self, array: NDArray[Any]) -> str:
        """Keep an array as .npy (row-major, no objects) and return its digest."""
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(array, order="C"), allow_pickle=False)
        return self.put_bytes(buffer.getvalue())

    def get_array(self, digest: str) -> NDArray[Any]:
        """Return the array that `digest` names; errors as in `get_bytes`."""
        try:
            array: NDArray[Any] = np.load(io.BytesIO(self.get_bytes(digest)), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise _unfit(digest, self._path(digest), "is not an array") from error
        return array

    # ---- records ----

    def put_record(self, record: Record) -> str:
        """Keep a record; the digest is the record's own."""
        return self.put_bytes(record.stored)

    def get_record(self, kind: type[R], digest: str) -> R:
        """Return the record that `digest` names.

        Raises:
            ArtifactError: it is missing, damaged, or of another type than `kind`.
        """
        try:
            stored = json.loads(self.get_bytes(digest))
        except ValueError as error:
            raise _unfit(digest, self._path(digest), "is not a record") from error
        found = stored.get("type") if isinstance(stored, dict) else None
        if found != kind.__name__:
            raise _unfit(digest, self._path(digest), f"is a {found or 'nameless thing'}, not a {kind.__name__}")
        return kind.from_dict(stored["content"])

    # ---- folders ----

    def put_tree(self, folder: Path) -> str:
        """Keep all files below `folder` and return the digest of their sorted (path, SHA-256) list.

        Raises:
            ArtifactError: `folder` is not a folder.
            DiskFullError, FolderReadOnlyError: as in `put_bytes`.
        """
        if not folder.is_dir():
            raise ArtifactError(f"{folder} is not a folder.", where=str(folder), hint="Give a folder to keep.")
        digest = _tree_digest(folder)
        target = self._path(digest)
        if target.is_dir() and _tree_digest(target) == digest:
            return digest
        with writing(target), self._new() as new:
            new.mkdir()
            for source in _files_below(folder):
                copy = new / source.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                _copy_file(source, copy)
            target.parent.mkdir(exist_ok=True)
            self._put_in_place(new, target)
        if _tree_digest(target) != digest:
            raise ArtifactError(
                f"{folder} changed while it was kept.", where=str(folder), hint="Keep it when nothing writes to it."
            )
        return digest

    def get_tree(self, digest: str) -> Path:
        """Return the folder that `digest` names, to be read only.

        Raises:
            ArtifactError: it is missing, or a file in it was changed, added or removed.
        """
        target = self._path(digest)
        if not target.exists():
            raise _missing(digest, target)
        if not target.is_dir():
            raise _unfit(digest, target, "is a file, not a folder")
        if _tree_digest(target) != digest:
            raise _damaged(digest, target)
        return target

    # ---- how it is kept ----

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ArtifactError(
                f"{digest!r} is not a digest.", where=str(self.folder), hint="A digest has 64 hexadecimal digits."
            )
        return self.folder / digest[:2] / digest

    @contextmanager
    def _new(self) -> Iterator[Path]:
        """Give a path to build at, in a folder of its own that goes away whatever happens."""
        self._partial.mkdir(parents=True, exist_ok=True)
        pid = os.getpid()
        own = Path(tempfile.mkdtemp(prefix=f"{host_name()},{pid},{process_birth(pid)},", dir=self._partial))
        try:
            yield own / "new"
        finally:
            shutil.rmtree(own, ignore_errors=True)

    def _put_in_place(self, new: Path, target: Path) -> None:
        """Rename a finished tree to its name; a damaged one that has the name makes way."""
        for folder in (new, *(path for path in new.rglob("*") if path.is_dir())):
            _sync_folder(folder)
        try:
            new.rename(target)
        except OSError:
            # The name is taken: another process kept the same tree a moment ago, or it was damaged since.
            if not target.is_dir():
                raise
            if _tree_digest(target) != target.name:
                target.rename(new.with_name("old"))
                new.rename(target)
        _sync_folder(target.parent)

    def _sweep(self) -> None:
        """Remove what killed processes left half-built: those of this machine at once, others after a day."""
        try:
            os.utime(self._partial)
        except OSError:
            return  # a reader without the right to write leaves them to a writer; they do no harm
        now = self._partial.stat().st_mtime  # by the clock of the disk, which also stamped the leftovers
        for left in list(self._partial.iterdir()):
            host, _, rest = left.name.partition(",")
            pid, _, rest = rest.partition(",")
            birth = rest.partition(",")[0]
            ours = host == host_name() and pid.isdecimal()
            dead = process_birth(int(pid)) != birth if ours else now - _age_mark(left, now) > _DAY
            if dead:
                shutil.rmtree(left, ignore_errors=True)


def _age_mark(path: Path, now: float) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return now  # its owner finished just now


def _write_file(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _copy_file(source: Path, copy: Path) -> None:
    with source.open("rb") as old, copy.open("xb") as new:
        shutil.copyfileobj(old, new, _CHUNK)
        new.flush()
        os.fsync(new.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the names in `folder` last through a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _tree_digest(folder: Path) -> str:
    """Return the identity of a folder: its files' relative paths and contents; empty folders do not count."""
    return digest_of(sorted((path.relative_to(folder).as_posix(), _file_digest(path)) for path in _files_below(folder)))


def _missing(digest: str, path: Path) -> ArtifactError:
    return ArtifactError(
        f"The artifact {digest[:12]} is not in the store.",
        where=str(path),
        hint="Restore it from a backup, or run again to make it anew.",
    )


def _damaged(digest: str, path: Path) -> ArtifactError:
    return ArtifactError(
        f"The artifact {digest[:12]} is damaged: its content is not what its name promises.",
        where=str(path),
        hint="Delete it, then restore it from a backup or run again to make it anew.",
    )


def _unfit(digest: str, path: Path, what: str) -> ArtifactError:
    return ArtifactError(
        f"The artifact {digest[:12]} {what}.",
        where=str(path),
        hint="Ask for it as what it is; if a record names it wrongly, the state was damaged.",
    )
