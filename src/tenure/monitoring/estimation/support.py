"""Whether rows with known outcomes can speak for the rows of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import lightgbm as lgb
import numpy as np

from tenure.core.metrics import auc
from tenure.core.modelling import Floats, Indices
from tenure.monitoring.estimation.outcomes import SMALL_BOOSTER

_ROWS: Final = 4_000
_FOLDS: Final = 3
_ROUNDS: Final = 40
_CLIP: Final = 0.99
_WEIGHT: Final = 0.9
"""Columns are looked at, the weightiest first, until they make up this share of what the model uses."""
_PARAMS: Final = SMALL_BOOSTER | {"learning_rate": 0.1}


@dataclass(frozen=True, slots=True)
class Support:
    """How well known rows speak for a window.

    `covered` is the share of the window's rows that known rows could stand for: the mean over known rows of the odds
    that such a row is of the window; 1 where all could. `effective_rows` is how many known rows are left once they are
    weighted to look like the window (Kish). `separability` is the area under the ROC curve of telling the two apart;
    `subject` the column that tells most.
    """

    covered: float
    effective_rows: float
    separability: float
    subject: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The rows with known outcomes, in the columns that the model uses and what it said of them.

    `columns` are positions in the matrix of features, `names` theirs and that of what was said; `cells` has shape
    (rows, len(names)).
    """

    columns: tuple[int, ...]
    names: tuple[str, ...]
    cells: Floats
    rows: int

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        cells: Floats,
        said: Floats,
        importance: Mapping[str, float] | None = None,
        *,
        rows: int,
    ) -> Self:
        """Keep the columns that the model uses, by `importance`, else by a booster of what it said; `rows` is known.

        Columns that merely run on with time would tell any two stretches of time apart, whatever the model does.
        """
        weights = _used(cells, said) if importance is None else np.array([importance.get(n, 0.0) for n in names])
        columns = _weightiest(np.maximum(weights, 0.0))
        at = spread(len(said), _ROWS)
        kept = np.column_stack([cells[at][:, columns], said[at]])
        return cls(tuple(columns), (*(names[c] for c in columns), "the prediction"), kept, rows)

    def widened(self, cells: Floats, said: Floats) -> Self:
        """Return the ground with later rows (n, all columns) added: half of it, or all where they are fewer."""
        at = spread(len(said), _ROWS // 2)
        later = np.column_stack([cells[at][:, list(self.columns)], said[at]])
        first = self.cells[spread(len(self.cells), _ROWS - len(at))]
        return replace(self, cells=np.vstack([first, later]), rows=self.rows + len(said))

    def support(self, cells: Floats, said: Floats) -> Support:
        """Return how well the known rows speak for rows with these features (n, all columns) and predictions (n,)."""
        if len(said) == 0:
            return Support(covered=0.0, effective_rows=0.0, separability=float("nan"))
        at = spread(len(said), _ROWS)
        window = np.column_stack([cells[at][:, list(self.columns)], said[at]])
        rows = np.vstack([self.cells, window])
        of_window = np.arange(len(rows)) >= len(self.cells)
        chance, gain = _told_apart(rows, of_window.astype(np.float64))
        odds = chance[~of_window] / (1.0 - chance[~of_window]) * (len(self.cells) / len(window))
        weight = np.minimum(odds, np.quantile(odds, _CLIP))
        effective = float(weight.sum() ** 2 / np.square(weight).sum()) / len(weight)
        covered = min(float(odds.mean()), 1.0)
        subject = self.names[int(np.argmax(gain))] if gain.any() else None
        return Support(covered, effective * covered * self.rows, auc(of_window, chance), subject)


def _told_apart(rows: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """Return the chance of being of the window, by boosters that did not see the row, and the gain of each column."""
    # Rows stand in a fixed order, so every third one is as good as a drawn one.
    fold = np.arange(len(rows)) % _FOLDS
    chance, gain = np.empty(len(rows)), np.zeros(rows.shape[1])
    for number in range(_FOLDS):
        away = fold == number
        params = _PARAMS | {"objective": "binary"}
        booster = lgb.train(params, lgb.Dataset(rows[~away], truth[~away], params=params), num_boost_round=_ROUNDS)
        chance[away] = np.asarray(booster.predict(rows[away]))
        gain += booster.feature_importance("gain")
    return np.clip(chance, 1e-9, 1 - 1e-9), gain


def _used(cells: Floats, said: Floats) -> Floats:
    """Return how much each column tells of what the model said: gains of a booster."""
    if cells.shape[1] == 0 or len(said) == 0:
        return np.zeros(cells.shape[1])
    at = spread(len(said), _ROWS)
    params = _PARAMS | {"objective": "regression"}
    booster = lgb.train(params, lgb.Dataset(cells[at], said[at], params=params), num_boost_round=_ROUNDS)
    gains: Floats = booster.feature_importance("gain").astype(np.float64)
    return gains


def _weightiest(weights: Floats) -> list[int]:
    order = np.argsort(-weights, kind="stable")
    upto = np.cumsum(weights[order]) / max(float(weights.sum()), 1e-300)
    needed = int(np.searchsorted(upto, _WEIGHT)) + 1
    return [int(column) for column in order[:needed] if weights[column] > 0]


def spread(rows: int, most: int) -> Indices:
    """Return positions of at most `most` rows, evenly spread."""
    return np.arange(rows) if rows <= most else np.linspace(0, rows - 1, most).astype(np.int64)
