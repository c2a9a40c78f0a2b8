"""`TenureClassifier`: scikit-learn's classifier over the training room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from tenure.core.modelling import Floats, Task
from tenure.estimators.base import TenureEstimator
from tenure.estimators.inputs import class_texts


class TenureClassifier(ClassifierMixin, TenureEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier that finds, tunes and blends models of several families within a budget.

    Parameters:
        budget: wall seconds of `fit`, reading and saving included; or a text such as "5min".
        trials: number of configurations to try instead. Nothing then depends on the clock, and the same `random_state`
            gives identical predictions.
        families: names of model families, such as ["linear", "lightgbm"]; None for all that are installed.
        metric: what is made best: roc_auc (default for two classes), log_loss (default for more), accuracy and others.
        folds: blocks of rows to validate on; None lets the number of rows decide.
        categorical_features: names or positions of columns that hold levels; text and categorical types always do.
        time_ordered: rows are in the order of time, so models are judged on later rows.
        random_state: an int, a numpy RandomState or None.

    Attributes:
        classes_: labels in the order of probabilities.
        n_features_in_, feature_names_in_: columns of X; names only where all of them are text.
        feature_importances_: (d,) share of the model's skill that is lost without each column.
        score_: the honest score of the ensemble with its 95 % interval, as measured.
        expected_: the score to expect of the served model on new rows, with its 95 % interval.
        leaderboard_: a polars table of all candidates, the best first.
        validation_: how candidates were compared, and why.
        model_: the model as the rest of tenure knows it.
    """

    def predict(self, X: Any) -> Any:
        """Return the likeliest class of each row, (n,), in the type of y."""
        scored = self._score_rows(X)
        assert scored.probabilities is not None
        labels = self.classes_[scored.probabilities.argmax(axis=1)]
        return self._contained(labels, [self.model_.target], X)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, (n, k), in the order of `classes_`."""
        scored = self._score_rows(X)
        assert scored.probabilities is not None
        probabilities: Floats = scored.probabilities
        return self._contained(probabilities, list(self.model_.classes), X)

    def _read_target(self, target: NDArray[Any]) -> tuple[Task, pl.Series, tuple[str, ...]]:
        """Read labels, and set `classes_`.

        Raises:
            ValueError: the labels are continuous, or all the same.
        """
        check_classification_targets(target)
        self.classes_, codes = np.unique(target, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"A classifier needs at least two classes; y holds one class, {self.classes_[0]!r}.")
        texts = class_texts(self.classes_)
        task = Task.BINARY if len(texts) == 2 else Task.MULTICLASS
        return task, pl.Series(texts).gather(codes), texts

    def _restore(self, files: dict[str, bytes], folder: Path) -> None:
        super()._restore(files, folder)
        self.classes_ = np.array(self.model_.classes)
