"""Write a file whole or not at all, and say in words what the disk refuses."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tenure.core.errors import DiskFullError, FolderReadOnlyError, TenureError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CLOSED: Final = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENOENT,
        errno.ELOOP,
        errno.ENAMETOOLONG,
    }
)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and its folder where there is none; a reader sees the old content or the new one, never a part.

    Raises:
        DiskFullError, FolderReadOnlyError: it cannot be written; the old content stays.
    """
    with written(path, content):
        pass


@contextmanager
def written(path: Path, content: bytes) -> Iterator[None]:
    """Write a file beside its place, do what the block does, then put it there; after an exception nothing changed.

    Raises:
        DiskFullError, FolderReadOnlyError: it cannot be written; the block was not entered.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".tenure-", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            yield
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses while `path` is written into errors with a remedy.

    Raises:
        DiskFullError: no space, quota or file size is left.
        FolderReadOnlyError: the folder cannot be made or written.
    """
    try:
        yield
    except OSError as error:
        known = as_known(error, path)
        if known is None:
            raise
        raise known from error


def as_known(error: OSError, path: Path | None) -> TenureError | None:
    """Return what an error met while writing `path` stands for, or None where it is no usual refusal of a disk.

    Without a path nobody knows which file it was.
    """
    where = None if path is None else str(path)
    if error.errno in _FULL:
        return DiskFullError(
            f"There is no space left to write {where or 'the file'}.",
            where=where,
            hint="Free some space on that disk and run again. Nothing half-written was kept.",
        )
    if error.errno in _CLOSED:
        return FolderReadOnlyError(
            f"{where or 'The file'} cannot be written: {os.strerror(error.errno).lower()}.",
            where=where,
            hint="Make the folder writable for this user, or choose another one.",
        )
    return None
