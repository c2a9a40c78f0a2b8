"""Which outcomes are likely for a row, given its features and what the model said of it.

Classes: confidence-based performance estimation (NannyML 2022; Bialek et al. 2024, "Estimating model performance under
covariate shift without labels") with probabilities corrected by a small booster that starts from the stated ones and
sees the features too. That is calibration row by row, so nothing has to be reweighted to the window.
Values: direct loss estimation: a booster of the size of the error, times residuals in units of it.
Rounds are chosen forward, on blocks of rows after those that were learned from; none at all where none helps.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from tenure.core.metrics import Targets
from tenure.core.modelling import Floats, Task
from tenure.model.fitted import tempered
from tenure.monitoring.estimation.label_shift import with_prior

_ROUNDS: Final = 120
_BLOCKS: Final = 5
LEAST_ROWS: Final = 200
"""With fewer known rows there is nothing to learn from."""
SMALL_BOOSTER: Final[dict[str, Any]] = {
    "learning_rate": 0.08,
    "num_leaves": 8,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "seed": 0,
}
_EDGE: Final = 1e-4
"""Stated probabilities count as this far from 0 and 1 at least."""


class OutcomeModel(Protocol):
    """Draws outcomes."""

    @property
    def method(self) -> str:
        """Return what the record calls it."""
        ...

    def draw(self, cells: Floats, predicted: Floats, rng: np.random.Generator, times: int) -> list[Targets]:
        """Return outcomes of rows with features `cells` (n, columns), each a target array (n,), `times` times."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """The chance of the positive class: what was stated, corrected by a booster of features where there is one."""

    booster: lgb.Booster | None
    shares: tuple[float, float] | None = None
    """The share of the positive class where this was learned, and here; None where nothing says that it changed."""

    @property
    def method(self) -> str:
        """Return what the record calls it."""
        return "cbpe" if self.shares is None else "label-shift"

    def of(self, cells: Floats, predicted: Floats) -> Floats:
        """Return the corrected probability of the positive class, shape (n,)."""
        stated = predicted[:, 1]
        chance = stated if self.booster is None else _chance(_logit(stated) + _raw(self.booster, cells, stated))
        return chance if self.shares is None else with_prior(chance, *self.shares)

    def draw(self, cells: Floats, predicted: Floats, rng: np.random.Generator, times: int) -> list[Targets]:
        """Return drawn class codes (int64)."""
        chance = self.of(cells, predicted)
        return [(rng.random(len(chance)) < chance).astype(np.int64) for _ in range(times)]


@dataclass(frozen=True, slots=True, eq=False)
class ClassChances:
    """The chances of more than two classes: the stated ones at one temperature."""

    temperature: float
    method: str = "cbpe"

    def draw(self, cells: Floats, predicted: Floats, rng: np.random.Generator, times: int) -> list[Targets]:
        """Return drawn class codes (int64)."""
        upto = np.cumsum(tempered(predicted, self.temperature), axis=1)
        last = predicted.shape[1] - 1
        return [np.minimum((rng.random((len(upto), 1)) > upto).sum(axis=1), last) for _ in range(times)]


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """The error of a value: its expected size by a booster of features, times known residuals in units of that size."""

    booster: lgb.Booster | None
    size: float
    units: Floats

    @property
    def method(self) -> str:
        """Return what the record calls it."""
        return "dle"

    def sizes(self, cells: Floats, predicted: Floats) -> Floats:
        """Return the expected absolute error of each row, shape (n,)."""
        if self.booster is None:
            return np.full(len(predicted), self.size)
        return self.size * np.exp(_raw(self.booster, cells, predicted))

    def draw(self, cells: Floats, predicted: Floats, rng: np.random.Generator, times: int) -> list[Targets]:
        """Return drawn values (float64)."""
        size = self.sizes(cells, predicted)
        return [predicted + size * rng.choice(self.units, len(size)) for _ in range(times)]


def learn_outcomes(task: Task, cells: Floats, predicted: Floats, target: Targets) -> OutcomeModel:
    """Learn which outcomes are likely from known rows: features `cells` (n, columns), what was said, what came true."""
    if task is Task.BINARY:
        return _learn_chances(cells, predicted[:, 1], (target == 1).astype(np.float64))
    if task is Task.MULTICLASS:
        return ClassChances(_temperature(predicted, target))
    return _learn_residuals(cells, predicted, target.astype(np.float64))


def _learn_chances(cells: Floats, stated: Floats, truth: Floats) -> Chances:
    start = _logit(stated)
    rounds, _ = _best_rounds("binary", cells, stated, truth, start)
    return Chances(_boosted("binary", cells, stated, truth, start, rounds) if rounds else None)


def _learn_residuals(cells: Floats, predicted: Floats, target: Floats) -> Residuals:
    residual = target - predicted
    size = float(np.abs(residual).mean()) or 1.0
    relative, start = np.abs(residual) / size, np.zeros(len(residual))
    rounds, told = _best_rounds("poisson", cells, predicted, relative, start)
    booster = _boosted("poisson", cells, predicted, relative, start, rounds) if rounds else None
    return Residuals(booster, size, residual[-len(told) :] / (size * np.exp(told)))


def _best_rounds(objective: str, cells: Floats, said: Floats, truth: Floats, start: Floats) -> tuple[int, Floats]:
    """Return the rounds of the lowest loss on later rows, and what those rounds told of all rows but the first block.

    With nothing to learn: no rounds, and zeros for all rows.
    """
    n = len(truth)
    if n < LEAST_ROWS or np.ptp(truth) == 0:
        return 0, np.zeros(n)
    steps = range(0, _ROUNDS + 1, 10)
    cuts = [n * block // _BLOCKS for block in range(1, _BLOCKS + 1)]
    told = np.zeros((len(steps), n))
    for begin, end in pairwise(cuts):
        booster = _boosted(objective, cells[:begin], said[:begin], truth[:begin], start[:begin], _ROUNDS)
        for at, rounds in enumerate(steps):
            if rounds:
                told[at, begin:end] = _raw(booster, cells[begin:end], said[begin:end], rounds)
    later = slice(cuts[0], n)
    losses = [_loss(objective, truth[later], start[later] + raw[later]) for raw in told]
    best = int(np.argmin(losses))
    return steps[best], told[best, later]


def _loss(objective: str, truth: Floats, raw: Floats) -> float:
    """Return the mean loss of the objective: of a logit, or of the logarithm of a mean."""
    if objective == "binary":
        return float(np.mean(np.logaddexp(0.0, raw) - truth * raw))
    return float(np.mean(np.exp(raw) - truth * raw))


def _boosted(objective: str, cells: Floats, said: Floats, truth: Floats, start: Floats, rounds: int) -> lgb.Booster:
    params = SMALL_BOOSTER | {"objective": objective, "boost_from_average": False}
    data = lgb.Dataset(np.column_stack([cells, said]), truth, init_score=start, params=params)
    return lgb.train(params, data, num_boost_round=rounds)


def _raw(booster: lgb.Booster, cells: Floats, said: Floats, rounds: int | None = None) -> Floats:
    raw: Floats = np.asarray(booster.predict(np.column_stack([cells, said]), raw_score=True, num_iteration=rounds))
    return raw


def _logit(chance: Floats) -> Floats:
    inside = np.clip(chance, _EDGE, 1.0 - _EDGE)
    logits: Floats = np.log(inside / (1.0 - inside))
    return logits


def _chance(logit: Floats) -> Floats:
    chances: Floats = 1.0 / (1.0 + np.exp(-logit))
    return chances


def _temperature(predicted: Floats, target: NDArray[Any]) -> float:
    """Return the temperature, on a grid, at which the stated chances fit the known rows best."""
    if len(target) == 0:
        return 1.0
    grid = np.exp(np.linspace(-1.2, 1.2, 25))
    rows = np.arange(len(target))
    chosen = [tempered(predicted, float(t))[rows, target.astype(np.int64)] for t in grid]
    return float(grid[int(np.argmin([-np.log(np.maximum(part, 1e-15)).mean() for part in chosen]))])
