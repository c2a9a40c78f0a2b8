"""What the two estimators share: parameters, fitting, explanations, bundles, pickling."""

from __future__ import annotations

import time as clock
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    check_random_state,
    validate_data,
)

from tenure.core.data import Role
from tenure.core.errors import BundleError
from tenure.core.modelling import Floats, Leaderboard, Task
from tenure.core.ports import Deadline
from tenure.core.project import Project, TrainingSection
from tenure.core.section import seconds_of
from tenure.estimators.fitting import Learned, learn, model_from, project_for
from tenure.estimators.inputs import Lesson, make_lesson, read_extras, read_features
from tenure.estimators.memory import read_files, write_files
from tenure.estimators.outputs import CONTAINERS, in_container
from tenure.ingest.cells import conform
from tenure.model.scorer import Scored, Scorer
from tenure.training.race import INTERRUPTED

_MOST_SEED: Final = 2**30


class TenureEstimator(BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """Finds, tunes and blends models of several families within a budget; base of classifier and regressor."""

    def __init__(
        self,
        budget: float | str = 60.0,
        *,
        trials: int | None = None,
        families: Sequence[str] | None = None,
        metric: str | None = None,
        folds: int | None = None,
        categorical_features: Sequence[str | int] | None = None,
        time_ordered: bool = False,
        random_state: Any = None,
    ) -> None:
        self.budget = budget
        self.trials = trials
        self.families = families
        self.metric = metric
        self.folds = folds
        self.categorical_features = categorical_features
        self.time_ordered = time_ordered
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, time: Any = None, groups: Any = None) -> Self:
        """Learn from rows X (n, d) and targets y (n,) until the budget ends.

        `sample_weight` (n,) is how much each row counts; rows of weight 0 are left out. `time` (n,), numbers or dates,
        is when each row's prediction would have been made: models are then judged on later rows. `groups` (n,) says
        which rows belong together: they stay on one side of every split.

        Raises:
            ValueError, TypeError: the input is not what scikit-learn allows.
            BudgetError: the budget was too short for even one model.
            ConfigError: the metric does not fit, or a family is not known or not installed.
        """
        deadline = Deadline(seconds_of(self.budget), clock.monotonic)
        target = validate_data(self, X="no_validation", y=y, y_numeric=is_regressor(self))
        features = read_features(self, X, reset=True)
        weight = None if sample_weight is None else _weights(sample_weight, features)
        if time is None and self.time_ordered:
            time = np.arange(features.height)
        extras = read_extras(features, weight=weight, time=time, groups=groups)
        check_consistent_length(features, target)
        if weight is not None and not weight.all():
            kept = weight > 0
            features, target, extras = features.filter(pl.Series(kept)), target[kept], extras.at(kept)
        task, column, classes = self._read_target(target)
        name = getattr(y, "name", None)
        lesson = make_lesson(
            features,
            column.alias(name if isinstance(name, str) else ""),
            extras,
            task=task,
            classes=classes,
            categorical=self.categorical_features,
        )
        self._keep(learn(lesson, self._project(lesson), deadline))
        return self

    @abstractmethod
    def _read_target(self, target: NDArray[Any]) -> tuple[Task, pl.Series, tuple[str, ...]]:
        """Return the task, the target as models learn it, and the texts of its classes."""

    def _project(self, lesson: Lesson) -> Project:
        seed = int(check_random_state(self.random_state).randint(_MOST_SEED))
        families = None if self.families is None else list(self.families)
        training = TrainingSection(budget=self.budget, trials=self.trials, families=families, seed=seed)
        return project_for(lesson, name=type(self).__name__, metric=self.metric, training=training, folds=self.folds)

    def _keep(self, learned: Learned) -> None:
        board = learned.leaderboard
        if board.stopped_because == INTERRUPTED:
            warnings.warn(
                f"The fit was stopped early and keeps the best of {len(board.candidates)} candidates.",
                ConvergenceWarning,
                stacklevel=3,
            )
        self.model_ = learned.model
        self.score_ = board.score
        self.expected_ = board.expected
        self.validation_ = learned.plan
        self.leaderboard_ = _as_table(board)
        share = {each.feature: each.share for each in board.importance}
        self.feature_importances_ = np.array([share.get(name, 0.0) for name in self._columns()])
        self._files = learned.files

    def _columns(self) -> list[str]:
        """Return the names of the columns of X; made-up ones where it has none."""
        return list(getattr(self, "feature_names_in_", [f"x{at}" for at in range(self.n_features_in_)]))

    def _scorer_and_rows(self, X: Any) -> tuple[Scorer, pl.DataFrame]:
        check_is_fitted(self)
        rows = read_features(self, X, reset=False)
        return Scorer(self.model_), conform(rows, self.model_.schema)

    def _score_rows(self, X: Any) -> Scored:
        scorer, rows = self._scorer_and_rows(X)
        return scorer.score(rows)

    def explain(self, X: Any) -> Any:
        """Return what each feature added to the raw score of each row, (n, d + 1); the last column is where all start.

        A row's sum is its log-odds of the last class, the margin of its likeliest class (more than two), or its value.
        Members of the ensemble that cannot explain themselves are left out.
        """
        scorer, rows = self._scorer_and_rows(X)
        found = scorer.explain(rows)
        base = found.columns[-1]
        zero = np.zeros(rows.height)
        parts = {name: found[name].to_numpy() if name in found.columns[:-1] else zero for name in self._columns()}
        parts |= {base: found[base].to_numpy()}
        return self._contained(np.column_stack(list(parts.values())), list(parts), X)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what `predict` and the like return: "default" (numpy), "pandas" or "polars"; None changes nothing.

        scikit-learn's scorers read arrays, so leave the default inside a search or a cross-validation.

        Raises:
            ValueError: there is no such container.
        """
        if transform is not None:
            if transform not in CONTAINERS:
                raise ValueError(f"set_output knows {', '.join(CONTAINERS)}; got {transform!r}.")
            self._sklearn_output_config = {"transform": transform}  # scikit-learn's name, so that clone copies it
        return self

    def _contained(self, values: NDArray[Any], names: list[str], X: Any) -> Any:
        container = getattr(self, "_sklearn_output_config", {}).get("transform", "default")
        return in_container(values, names, container=container, like=X)

    def to_bundle(self, path: str | Path) -> Path:
        """Write the model as a folder of text and arrays, such as the rest of tenure reads, and return the folder.

        Raises:
            FileExistsError: the folder is there and not empty.
        """
        check_is_fitted(self)
        folder = Path(path)
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not empty.")
        write_files(self._files, folder)
        return folder

    @classmethod
    def from_bundle(cls, path: str | Path) -> Self:
        """Return an estimator that predicts with the model of a bundle; class labels are text, as the bundle has them.

        What only a fit knows (`leaderboard_`, `score_`, `expected_`, `feature_importances_`) is not there.

        Raises:
            BundleError: there is no such model, it is damaged, or it is for another kind of task.
        """
        estimator = cls()
        estimator._restore(read_files(Path(path)), Path(path))
        return estimator

    def _restore(self, files: dict[str, bytes], folder: Path) -> None:
        model = model_from(files)
        if model.task.is_classification == is_regressor(self):
            raise BundleError(
                f"The model in {folder} is for {model.task.value}.",
                where=str(folder),
                hint="Read it with TenureClassifier for classes, with TenureRegressor for values.",
            )
        self.model_, self._files = model, files
        names = [column.name for column in model.schema.columns if column.role in (Role.FEATURE, Role.IGNORED)]
        self.n_features_in_ = len(names)
        if names != self._columns():
            self.feature_names_in_ = np.array(names, dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the model itself, which is in the bundle's files."""
        state = dict(super().__getstate__())
        state.pop("model_", None)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(state)
        if "_files" in state:
            self.model_ = model_from(state["_files"])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = self.trials is None
        return tags


def _weights(sample_weight: Any, features: pl.DataFrame) -> Floats:
    weights: Floats = _check_sample_weight(
        sample_weight, np.empty((features.height, 0)), dtype=np.float64, ensure_non_negative=True
    )
    return weights


def _as_table(board: Leaderboard) -> pl.DataFrame:
    """Return one row for each candidate, the best first, with its score on the rows that chose."""
    rows = [
        {
            "name": candidate.name,
            "family": candidate.family,
            "score": candidate.score.value,
            "low": candidate.score.low,
            "high": candidate.score.high,
            "weight": candidate.weight,
            "seconds": candidate.seconds,
            "rounds": candidate.rounds,
            "complete": candidate.complete,
        }
        for candidate in board.candidates
    ]
    return pl.DataFrame(rows, schema_overrides={"rounds": pl.Int64})
