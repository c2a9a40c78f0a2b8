"""Write the dossier of a run and keep what is needed to look at it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reporting_worlds import Walk

from tenure.core.lifecycle import Dossier
from tenure.core.ports import Context
from tenure.core.project import parse_project
from tenure.reporting.stage import write_dossier
from tenure.state.artifacts import LocalArtifacts

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Written:
    """A run, its dossier, and the text of page and card."""

    ctx: Context
    walk: Walk
    dossier: Dossier
    page: str
    card: str


def context(text: str, folder: Path) -> Context:
    project = parse_project(text)
    artifacts = LocalArtifacts(folder / "artifacts")
    return Context(project=project, folder=folder, artifacts=artifacts, clock=lambda: NOW, timer=time.monotonic)


def write(ctx: Context, walk: Walk) -> Written:
    dossier = write_dossier(ctx, *walk.records)
    page, card = (ctx.artifacts.get_bytes(digest).decode() for digest in (dossier.page, dossier.card))
    return Written(ctx, walk, dossier, page, card)
