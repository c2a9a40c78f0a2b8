"""Look at the source now and then, and not at every look: a database would be asked, and a large file read, each time.

What was seen last lies in a small file of its own. In the ledger, a look an hour would drown what was decided.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from tenure.core.errors import TenureError
from tenure.core.files import write_whole
from tenure.engine.workspace import STATE_FOLDER, Workspace
from tenure.ingest.stage import source_fingerprint

_FILE: Final = "source.look"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen when (ISO), and of which source: the digest of that section of the project file."""

    at: str
    source: str
    fingerprint: str | None


def source_is_due(workspace: Workspace) -> bool:
    """Say whether `operations.source_every` has passed since the source was looked at."""
    return _remembered(workspace) is None


def known_fingerprint(workspace: Workspace) -> str | None:
    """Return what changes with the source's content, as it was at the last look; look again where that is due.

    None where only reading tells, or where the source was away.
    """
    seen = _remembered(workspace)
    if seen is None:
        seen = _Seen(workspace.context.clock().isoformat(), _source(workspace), _asked(workspace))
        with suppress(TenureError):  # a full disk: it is looked at once more than it need be
            write_whole(workspace.folder / STATE_FOLDER / _FILE, json.dumps(asdict(seen)).encode())
    return seen.fingerprint


def _asked(workspace: Workspace) -> str | None:
    try:
        return source_fingerprint(workspace.context)
    except TenureError as error:  # what is served goes on being watched while the source is away
        workspace.context.log.note(f"The source could not be looked at: {error.message}")
        return None


def _remembered(workspace: Workspace) -> _Seen | None:
    """Return what was seen last, unless that is too long ago, lies in the future, or is of another source.

    Where a run has read the source since then, what was seen before it says nothing any more.
    """
    try:
        seen = _Seen(**json.loads((workspace.folder / STATE_FOLDER / _FILE).read_bytes()))
        age = workspace.context.clock() - datetime.fromisoformat(seen.at)
    except (OSError, ValueError, TypeError):
        return None
    every = timedelta(seconds=workspace.project.operations.source_every)
    if seen.source != _source(workspace) or not timedelta(0) <= age < every:
        return None
    runs = workspace.ledger.runs(limit=1)
    return None if runs and runs[0].started_at > seen.at else seen


def _source(workspace: Workspace) -> str:
    return workspace.project.digest("data")
