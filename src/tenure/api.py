"""The Python face: open a project, run it, use its champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.errors import DataError
from tenure.core.lifecycle import ModelVersion
from tenure.core.modelling import Floats
from tenure.core.project import Project
from tenure.core.section import seconds_of
from tenure.engine.runner import Walk, run_walk
from tenure.engine.scoring import prediction_records
from tenure.engine.texts import check_rows
from tenure.engine.watch import Look, look
from tenure.engine.workspace import Workspace, open_workspace, utc_now
from tenure.ingest.project_file import init_project
from tenure.model.frames import as_polars
from tenure.model.scorer import Scorer


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one row. `probability` is that of the positive class (binary) or of the predicted one.

    `interval` is between what the value lies (regression, 90 %), or the probability (binary).
    """

    prediction: str | float
    probability: float | None
    version: str
    interval: tuple[float, float] | None = None
    id: str | None = None


class Champion:
    """The model in office, loaded and verified.

    Frames may be polars, pandas or pyarrow; rows keep their order.
    """

    def __init__(self, workspace: Workspace, version: ModelVersion) -> None:
        self._workspace = workspace
        self._version = version
        self._scorer: Scorer = workspace.scorer(version)

    @property
    def version(self) -> str:
        """Return the version in office, such as v3."""
        return self._version.label

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes in the order of probabilities (positive last), empty for regression."""
        return self._scorer.model.classes

    def predict(self, frame: Any) -> NDArray[Any]:
        """Return the predicted class (text) or value (float64) of each row, shape (n,).

        Raises:
            SchemaChangedError: a column that the model needs is missing, or a date column holds what is no date.
        """
        scored = self._scorer.score(as_polars(frame))
        return np.asarray(scored.values if scored.labels is None else scored.labels)

    def predict_proba(self, frame: Any) -> Floats:
        """Return the probability of each class, shape (n, k), positive class last.

        Raises:
            DataError: the model predicts values, not classes.
        """
        scored = self._scorer.score(as_polars(frame))
        if scored.probabilities is None:
            raise DataError(
                "This model predicts values and has no probabilities.", hint="Use predict, or table for its interval."
            )
        return scored.probabilities

    def table(self, frame: Any) -> pl.DataFrame:
        """Return key (if any), prediction, probability or interval, and version of each row."""
        rows = as_polars(frame)
        model = self._scorer.model
        key = rows[model.key] if model.key is not None and model.key in rows.columns else None
        return self._scorer.score(rows).to_frame(model, version=self.version, key=key)

    def predict_one(self, row: Mapping[str, Any], *, log: bool = False) -> Prediction:
        """Return the answer for one row; `log` writes it to the prediction log and gives its id.

        A column that is not in `row` is missing.

        Raises:
            SchemaChangedError: a date column holds what is no date.
            DataError: a text is not valid Unicode.
        """
        check_rows([row])
        scored = self._scorer.score_row(row)
        record = prediction_records(self._scorer.model, self._version, [row], scored, at=utc_now())[0]
        if log:
            self._workspace.traffic.log_predictions([record])
        probability = None
        if record.probabilities:
            binary = len(record.probabilities) == 2
            probability = record.probabilities[-1] if binary else max(record.probabilities)
        interval = None if record.low is None or record.high is None else (record.low, record.high)
        return Prediction(record.prediction, probability, self.version, interval, record.id if log else None)

    def explain(self, frame: Any) -> pl.DataFrame:
        """Return what each feature added to the raw score of each row; the column `base` holds the start."""
        return self._scorer.explain(as_polars(frame))

    def __repr__(self) -> str:
        return f"<champion {self.version} of {self._workspace.project.project.name!r}>"


class OpenProject:
    """An opened project; `tenure.open` makes it. Use as a context manager, or call `close`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def project(self) -> Project:
        """Return what the project file says."""
        return self._workspace.project

    @property
    def folder(self) -> Path:
        """Return the project's folder."""
        return self._workspace.folder

    def run(self, *, budget: str | float | None = None, fresh: bool = False) -> Walk:
        """Walk from the data to a decision and return how it went; errors as in `tenure run`."""
        if budget is None:
            return run_walk(self._workspace, fresh=fresh)
        with open_workspace(self.folder, actor="api", budget_seconds=seconds_of(budget)) as workspace:
            return run_walk(workspace, fresh=fresh)

    @property
    def champion(self) -> Champion:
        """Return the model in office.

        Raises:
            NoChampionError: no model was promoted yet.
            BundleError: the stored model is damaged.
        """
        return Champion(self._workspace, self._workspace.champion())

    def look(self) -> Look:
        """Judge recent traffic of the model in office and say what the policy would do; nothing is done."""
        return look(self._workspace)

    def close(self) -> None:
        """Let go of the project's state."""
        self._workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<project {self.project.project.name!r} in {self.folder}>"


def open(folder: str | Path = ".") -> OpenProject:
    """Open the project in `folder`.

    Raises:
        ProjectMissingError, ConfigError: there is no project file, or it cannot be used.
    """
    return OpenProject(open_workspace(Path(folder), actor="api"))


def init(data: str | Path, *, target: str, out: str | Path | None = None, **options: Any) -> OpenProject:
    """Look at a table, write a project file beside it or into `out`, and open the project.

    `options` are those of `tenure init`: time, group, key, positive, name.
    """
    return open(init_project(str(data), target=target, out=None if out is None else Path(out), **options).folder)
