"""Keep the artifacts of one fit in memory, so that the table in hand is neither written nor read again."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.errors import ArtifactError
from tenure.core.records import Record, digest_of

R = TypeVar("R", bound=Record)

_HASHED_ROWS: Final = 200_000
"""At once, as hashing takes the memory of the rows again."""


class MemoryArtifacts:
    """Keeps artifacts while it lives; what is got is the very object that was put, and nobody may change it.

    Only folders are kept on disk, below `folder`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, Any] = {}

    def put_bytes(self, content: bytes) -> str:
        """Keep bytes and return their SHA-256."""
        return self._keep(hashlib.sha256(content).hexdigest(), content)

    def get_bytes(self, digest: str) -> bytes:
        """Return the bytes that `digest` names; every `get` raises ArtifactError where there is no such thing."""
        return cast("bytes", self._get(digest, bytes))

    def put_table(self, table: pl.DataFrame) -> str:
        """Keep a table and return the SHA-256 of its columns and of what polars makes of each row."""
        columns = [[name, str(dtype)] for name, dtype in table.schema.items()]
        rows = hashlib.sha256()
        if table.width:
            for part in table.iter_slices(_HASHED_ROWS):
                rows.update(part.hash_rows(seed=0).to_numpy().tobytes())
        return self._keep(digest_of([columns, rows.hexdigest()]), table)

    def get_table(self, digest: str) -> pl.DataFrame:
        """Return the table that `digest` names."""
        return cast("pl.DataFrame", self._get(digest, pl.DataFrame))

    def put_array(self, array: NDArray[Any]) -> str:
        """Keep an array and return the SHA-256 of type, shape and values."""
        values = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return self._keep(digest_of([str(array.dtype), list(array.shape), values]), array)

    def get_array(self, digest: str) -> NDArray[Any]:
        """Return the array that `digest` names."""
        return cast("NDArray[Any]", self._get(digest, np.ndarray))

    def put_record(self, record: Record) -> str:
        """Keep a record; the digest is the record's own."""
        return self._keep(record.digest, record)

    def get_record(self, kind: type[R], digest: str) -> R:
        """Return the record that `digest` names."""
        return cast("R", self._get(digest, kind))

    def put_tree(self, folder: Path) -> str:
        """Copy a folder and return the digest of its files' paths and contents."""
        digest = digest_of(
            sorted((name, hashlib.sha256(content).hexdigest()) for name, content in read_files(folder).items())
        )
        copy = self._folder / digest
        if not copy.exists():
            shutil.copytree(folder, copy)
        return self._keep(digest, copy)

    def get_tree(self, digest: str) -> Path:
        """Return the folder that `digest` names."""
        return cast("Path", self._get(digest, Path))

    def _keep(self, digest: str, thing: object) -> str:
        self._kept.setdefault(digest, thing)
        return digest

    def _get(self, digest: str, kind: type[Any]) -> object:
        found = self._kept.get(digest)
        if not isinstance(found, kind):
            raise ArtifactError(
                f"There is no {kind.__name__} with the digest {digest[:12]} in this fit.",
                hint="Artifacts of a fit live as long as the fit; ask while it runs.",
            )
        return found


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below `folder` by their relative paths."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Write contents by relative paths below `folder`, which is made where it is missing."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
