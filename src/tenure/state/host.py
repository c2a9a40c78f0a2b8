"""What the machine says: its name, and whether a process still lives."""

from __future__ import annotations

import os
import platform
from pathlib import Path


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
