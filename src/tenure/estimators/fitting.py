"""Train on a table in memory: the product's own validation and training, without a project folder."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Final

import polars as pl

from tenure.core.data import Role, Schema, Snapshot
from tenure.core.evidence import QualityReport
from tenure.core.modelling import Leaderboard, ValidationPlan
from tenure.core.ports import Context, Deadline
from tenure.core.project import DataSection, Project, ProjectSection, TrainingSection, ValidationSection
from tenure.estimators.inputs import Lesson
from tenure.estimators.memory import MemoryArtifacts, read_files, write_files
from tenure.model.bundle import read_bundle
from tenure.model.fitted import FittedModel
from tenure.quality.contract import infer_contract
from tenure.training.stage import train
from tenure.validation.stage import design_validation

_NO_DATE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What is learned must not depend on the date."""
_CONTRACT_ROWS: Final = 50_000
_READING_SECONDS: Final = 0.1
_READING_SHARE: Final = 0.01
"""Of the budget, for reading the model back."""


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a fit leaves: the leaderboard, how candidates were compared, the model and the files of its bundle."""

    leaderboard: Leaderboard
    plan: ValidationPlan
    model: FittedModel
    files: dict[str, bytes]


def project_for(
    lesson: Lesson, *, name: str, metric: str | None, training: TrainingSection, folds: int | None
) -> Project:
    """Return the project file that would say the same."""
    schema = lesson.schema
    return Project(
        project=ProjectSection(name=name, task=lesson.task),
        data=DataSection(
            source="memory",
            target=schema.target or "",
            time=schema.time,
            group=schema.group,
            key=schema.key,
            weight=schema.weight,
        ),
        validation=ValidationSection(metric=metric) if folds is None else ValidationSection(metric=metric, folds=folds),
        training=training,
    )


def learn(lesson: Lesson, project: Project, deadline: Deadline) -> Learned:
    """Design the validation, train until the deadline (or for the project's trials), and read the model back.

    Raises:
        BudgetError: the time was too short for even the baseline.
        ConfigError: the metric does not fit the task.
        UnknownPluginError, ExtraMissingError: a named family is not there.
    """
    with tempfile.TemporaryDirectory(prefix="tenure-fit-") as place:
        artifacts = MemoryArtifacts(Path(place))
        ctx = Context(
            project=project,
            folder=Path(place),
            artifacts=artifacts,
            clock=lambda: _NO_DATE,
            timer=time.monotonic,
            seed=project.training.seed,
        )
        snapshot = Snapshot(
            table=artifacts.put_table(lesson.frame),
            rows=lesson.frame.height,
            schema=lesson.schema,
            source=project.data.source,
            classes=lesson.classes,
        )
        # Every row and column is used: it was scikit-learn's checks that looked at them.
        quality = QualityReport(
            clean=snapshot.table,
            rows=snapshot.rows,
            contract=artifacts.put_record(infer_contract(_sample(lesson.frame), _promised(lesson.schema))),
            made_from=(snapshot.digest,),
        )
        plan = design_validation(ctx, snapshot, quality, compare=False)
        leaderboard = train(ctx, snapshot, quality, plan, seconds=_left(project, deadline))
        bundle = artifacts.get_tree(leaderboard.model)
        return Learned(leaderboard, plan, read_bundle(bundle), read_files(bundle))


def _left(project: Project, deadline: Deadline) -> float:
    if project.training.trials is not None:
        return inf
    return max(deadline.left - _READING_SECONDS - _READING_SHARE * deadline.seconds, 0.0)


def _sample(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.gather_every(max(frame.height // _CONTRACT_ROWS, 1))


def _promised(schema: Schema) -> Schema:
    """Return the columns that later rows will have too."""
    return Schema(tuple(column for column in schema.columns if column.role in (Role.FEATURE, Role.TARGET)))


def model_from(files: dict[str, bytes]) -> FittedModel:
    """Return the model whose bundle has these files.

    Raises:
        BundleError: the files are damaged.
    """
    with tempfile.TemporaryDirectory(prefix="tenure-model-") as place:
        write_files(files, Path(place))
        return read_bundle(Path(place))
