"""`TenureRegressor`: scikit-learn's regressor over the training room."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from tenure.core.modelling import Task
from tenure.estimators.base import TenureEstimator


class TenureRegressor(RegressorMixin, TenureEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A regressor that finds, tunes and blends models of several families within a budget.

    Parameters:
        budget: wall seconds of `fit`, reading and saving included; or a text such as "5min".
        trials: number of configurations to try instead. Nothing then depends on the clock, and the same `random_state`
            gives identical predictions.
        families: names of model families, such as ["linear", "lightgbm"]; None for all that are installed.
        metric: what is made best: rmse (default), mae or r2.
        folds: blocks of rows to validate on; None lets the number of rows decide.
        categorical_features: names or positions of columns that hold levels; text and categorical types always do.
        time_ordered: rows are in the order of time, so models are judged on later rows.
        random_state: an int, a numpy RandomState or None.

    Attributes:
        n_features_in_, feature_names_in_: columns of X; names only where all of them are text.
        feature_importances_: (d,) share of the model's skill that is lost without each column.
        score_: the honest score of the ensemble with its 95 % interval, as measured.
        expected_: the score to expect of the served model on new rows, with its 95 % interval.
        leaderboard_: a polars table of all candidates, the best first.
        validation_: how candidates were compared, and why.
        model_: the model as the rest of tenure knows it.
    """

    def predict(self, X: Any) -> Any:
        """Return the value of each row, (n,) float64."""
        values = self._score_rows(X).values
        assert values is not None
        return self._contained(values, [self.model_.target], X)

    def predict_interval(self, X: Any) -> Any:
        """Return low and high end of each row's 90 % interval, (n, 2) float64."""
        scored = self._score_rows(X)
        assert scored.low is not None
        assert scored.high is not None
        return self._contained(np.column_stack([scored.low, scored.high]), ["low", "high"], X)

    def _read_target(self, target: NDArray[Any]) -> tuple[Task, pl.Series, tuple[str, ...]]:
        """Read values; ValueError where they are no numbers."""
        return Task.REGRESSION, pl.Series(target.astype(np.float64)), ()
