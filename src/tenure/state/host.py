"""What the machine says: its name, whether a process still lives, and what its disk refuses."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tenure.core.errors import DiskFullError, FolderReadOnlyError, TenureError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CLOSED: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP}
)


def host_name() -> str:
    """Return the name of this machine (or container)."""
    return platform.node() or "localhost"


def process_birth(pid: int) -> str | None:
    """Return what tells a process from later ones with the same number; None where no such process lives.

    Linux: the start time in clock ticks since boot. Elsewhere an empty text for every living process.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The second field is the command in parentheses and may hold spaces; what counts comes after it.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    if os.name != "posix":
        return ""  # signal 0 would end the process there; a lease then waits for its time to run out
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""


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
        known = disk_error(error.errno, path)
        if known is None:
            raise
        raise known from error


def disk_error(number: int | None, path: Path) -> TenureError | None:
    """Return the error that an `errno` met while writing `path` stands for, or None."""
    if number in _FULL:
        return DiskFullError(
            f"There is no space left to write {path}.",
            where=str(path),
            hint="Free some space on that disk and run again. Nothing half-written was kept.",
        )
    if number in _CLOSED:
        return FolderReadOnlyError(
            f"{path} cannot be written: {os.strerror(number or 0).lower()}.",
            where=str(path),
            hint="Make the folder writable for this user, or move the project to a folder that is.",
        )
    return None
