"""What the machine says: its name, and whether a process still lives."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def host_name() -> str:
    """Return the name of this machine (or container)."""
    return platform.node() or "localhost"


def pid_space() -> str:
    """Return what process numbers belong to: containers may share a name and not see each other's processes."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:  # not Linux
        return ""


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


def locked(handle: int, *, wait: bool = True) -> bool:
    """Lock an open file against other handles, of any process of this machine, until it is closed.

    Without `wait`, False where another holds it. A process that ends lets go of its locks, however it ends.
    """
    import fcntl  # the server, which writes such files, runs on POSIX systems only

    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
