"""Put documents where people look for them: `reports/` in the project folder."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tenure.core.errors import DiskFullError, FolderReadOnlyError
from tenure.core.lifecycle import Dossier
from tenure.core.ports import Context
from tenure.engine.workspace import REPORTS_FOLDER


@dataclass(frozen=True, slots=True)
class Published:
    """Where the documents of a walk lie."""

    page: Path
    card: Path


def publish(context: Context, dossier: Dossier) -> Published:
    """Write the dossier's page and model card below the project folder and return their paths."""
    folder = context.folder / REPORTS_FOLDER
    page, card = folder / "dossier.html", folder / "model-card.md"
    write_whole(page, context.artifacts.get_bytes(dossier.page))
    write_whole(card, context.artifacts.get_bytes(dossier.card))
    return Published(page, card)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part.

    Raises:
        DiskFullError, FolderReadOnlyError: it cannot be written; the old content stays.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, PermissionError) or error.errno == 30:  # read-only file system
            raise FolderReadOnlyError(
                f"{path} cannot be written: {error.strerror}.", where=str(path), hint="Choose a folder you may write."
            ) from error
        raise DiskFullError(
            f"{path} could not be written: {error.strerror}.", where=str(path), hint="Free some space and run again."
        ) from error
