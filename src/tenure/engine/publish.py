"""Put documents where people look for them: `reports/` in the project folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tenure.core.files import write_whole
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
