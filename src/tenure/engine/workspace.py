"""One opened project: its wish, its state, and the context that stages get."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tenure.core.errors import ArtifactError, BundleError, NoChampionError
from tenure.core.lifecycle import Alias, Incumbent, ModelVersion
from tenure.core.ports import Context, Log, Silent
from tenure.core.project import Project, load_project
from tenure.core.secrets import with_secrets
from tenure.model.own.code import look_in
from tenure.model.scorer import Scorer
from tenure.state.artifacts import LocalArtifacts
from tenure.state.database import Database, open_database
from tenure.state.ledger import Ledger
from tenure.state.registry import Registry
from tenure.state.stamp import Stamp
from tenure.state.traffic import Traffic

STATE_FOLDER: Final = ".tenure"
JOURNAL_FOLDER: Final = "journal"
METRICS_FOLDER: Final = "metrics"
REPORTS_FOLDER: Final = "reports"


def utc_now() -> datetime:
    """Return the time of the machine's clock, aware and in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Workspace:
    """An opened project. Use as a context manager, or call `close`."""

    context: Context
    database: Database
    ledger: Ledger
    registry: Registry
    traffic: Traffic
    stamp: Stamp

    @property
    def project(self) -> Project:
        """Return the wish."""
        return self.context.project

    @property
    def folder(self) -> Path:
        """Return the project folder."""
        return self.context.folder

    @property
    def journal_folder(self) -> Path:
        """Return where serving processes write what they answered."""
        return self.folder / STATE_FOLDER / JOURNAL_FOLDER

    @property
    def metrics_folder(self) -> Path:
        """Return where serving processes write what they count."""
        return self.folder / STATE_FOLDER / METRICS_FOLDER

    def close(self) -> None:
        """Let go of the state database."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def champion(self) -> ModelVersion:
        """Return the version in office.

        Raises:
            NoChampionError: no model was promoted yet.
        """
        holder = self.registry.holder(Alias.CHAMPION)
        if holder is None:
            raise NoChampionError(
                "No model is in office yet.", where=str(self.folder), hint="Train one with: tenure run"
            )
        return holder

    def scorer(self, version: ModelVersion) -> Scorer:
        """Load the model of a version; its manifest and stored rows are verified first.

        Raises:
            BundleError: the model is damaged or missing.
        """
        try:
            return Scorer.load(self.context.artifacts.get_tree(version.model))
        except ArtifactError as error:
            raise BundleError(
                f"The model of {version.label} is damaged: {error.message}",
                where=error.where,
                hint="Put another version in office with tenure rollback --to, or train again: tenure run --fresh",
            ) from error

    def incumbent(self) -> Incumbent | None:
        """Return the model in office as the gate sees it, or None where there is none."""
        holder = self.registry.holder(Alias.CHAMPION)
        return None if holder is None else Incumbent(holder.number, holder.model, holder.leaderboard)


def open_workspace(
    folder: Path,
    *,
    log: Log | None = None,
    actor: str = "user",
    budget_seconds: float | None = None,
    project: Project | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Workspace:
    """Open the project in `folder`; `budget_seconds` overrules the project file's budget.

    `project` stands for the project file where it is given, `clock` tells the time of everything that is noted.

    Raises:
        ProjectMissingError, ConfigError: the project file is not there or cannot be used.
        StateUnreachableError, CredentialError, FolderReadOnlyError: the state cannot be opened.
    """
    folder = folder.resolve()
    project = project or load_project(folder)
    look_in(folder)  # a stored model of the owner's own may need a module from there
    if budget_seconds is not None:
        project = project.model_copy(
            update={"training": project.training.model_copy(update={"budget": budget_seconds})}
        )
    state = folder / STATE_FOLDER
    url = None if project.state.url is None else with_secrets(project.state.url, where="state.url")
    artifacts = LocalArtifacts(state / "artifacts")
    database = open_database(url, state)
    ledger = Ledger(database, clock)
    context = Context(
        project=project,
        folder=folder,
        artifacts=artifacts,
        clock=clock,
        timer=time.monotonic,
        log=log or Silent(),
        seed=project.training.seed,
        actor=actor,
    )
    stamp = Stamp(state / "office.stamp")
    registry = Registry(database, ledger, clock, moved=stamp.press)
    traffic = Traffic(database, state / JOURNAL_FOLDER, warn=context.log.note)
    return Workspace(context, database, ledger, registry, traffic, stamp)
