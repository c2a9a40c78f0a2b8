"""Fit the quick models of the contest of recipes: small LightGBM ensembles, one thread each, on shared bins."""

from __future__ import annotations

import warnings
from typing import Any, Final

import lightgbm as lgb
import numpy as np

from tenure.core.modelling import Floats, Indices, Task
from tenure.core.ports import Probe, Problem
from tenure.core.retraining import Way
from tenure.training.boosting import binned_rows

_ROUNDS: Final = 60
_MORE_ROUNDS: Final = 0.2
"""Rounds that a continued model gets, as a share of the first ones."""
_LARGEST_STEP: Final = 2.0
"""Of a leaf grown on top of sure answers: where those are wrong, Newton's step is far too long."""
_OBJECTIVES: Final = {Task.BINARY: "binary", Task.MULTICLASS: "multiclass", Task.REGRESSION: "l2"}
_FEWEST_IN_LEAF: Final = 20


class TreeProbe:
    """Trees in layers: those learned first, and what was grown on top of them. Answers are summed raw scores."""

    __slots__ = ("layers", "task")

    def __init__(self, layers: tuple[lgb.Booster, ...], task: Task) -> None:
        self.layers = layers
        self.task = task

    def raw(self, matrix: Floats) -> Floats:
        """Return scores before the objective's link, (n,) or (n, k)."""
        parts = [np.asarray(layer.predict(matrix, raw_score=True, num_threads=1)) for layer in self.layers]
        total: Floats = np.sum(parts, axis=0, dtype=np.float64)
        return total

    def predict(self, matrix: Floats) -> Floats:
        """Return probabilities (n, k) or values (n,)."""
        raw = self.raw(matrix)
        if self.task is Task.REGRESSION:
            return raw
        if self.task is Task.BINARY:
            raw = np.column_stack([np.zeros_like(raw), raw])
        raised = np.exp(raw - raw.max(axis=1, keepdims=True))
        shares: Floats = raised / raised.sum(axis=1, keepdims=True)
        return shares


class QuickProber:
    """Learns every probe with the same small configuration, so that only rows and weights make the difference."""

    def __init__(self, *, rounds: int = _ROUNDS, leaves: int = 15, rate: float = 0.15) -> None:
        self.rounds = rounds
        self.leaves = leaves
        self.rate = rate

    def fit(
        self,
        problem: Problem,
        rows: Indices,
        weight: Floats | None,
        *,
        way: Way = Way.REFIT,
        base: Probe | None = None,
        mix: float | None = None,
    ) -> TreeProbe:
        """Return a probe of these rows: learned anew, grown on top of `base`, or `base` with its leaves learned again.

        Raises:
            ValueError: nothing to learn from, or the way needs a base that is a `TreeProbe`.
        """
        if len(rows) == 0:
            raise ValueError("a probe needs rows to learn from")
        if way is Way.REFIT:
            return TreeProbe((self._grown(problem, rows, weight, self.rounds, None),), problem.task)
        if not isinstance(base, TreeProbe):
            raise ValueError(f"{way} starts from another probe")
        if way is Way.CONTINUE:
            start = base.raw(problem.matrix[rows])
            more = max(int(self.rounds * _MORE_ROUNDS), 1)
            return TreeProbe((*base.layers, self._grown(problem, rows, weight, more, start)), problem.task)
        if way is Way.LEAVES:
            return self._with_new_leaves(problem, rows, weight, base, 0.9 if mix is None else mix)
        raise ValueError(f"{way} needs no probe")

    def _grown(
        self, problem: Problem, rows: Indices, weight: Floats | None, rounds: int, start: Floats | None
    ) -> lgb.Booster:
        part = binned_rows(problem, rows).construct()
        if weight is not None:
            part.set_weight(weight)
        if start is not None:
            part.set_init_score(start)
        params = self._params(problem, len(rows))
        if start is not None and problem.task.is_classification:
            params["max_delta_step"] = _LARGEST_STEP
        return lgb.train(params, part, num_boost_round=rounds)

    def _with_new_leaves(
        self, problem: Problem, rows: Indices, weight: Floats | None, base: TreeProbe, mix: float
    ) -> TreeProbe:
        """Learn the leaves of the first layer again; layers grown on top stay as they are."""
        first, *others = base.layers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            again = first.refit(problem.matrix[rows], problem.target[rows], decay_rate=mix, weight=weight)
        return TreeProbe((again, *others), problem.task)

    def _params(self, problem: Problem, rows: int) -> dict[str, Any]:
        params: dict[str, Any] = {
            "objective": _OBJECTIVES[problem.task],
            "learning_rate": self.rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": int(np.clip(rows // 50, 1, _FEWEST_IN_LEAF)),
            "num_threads": problem.threads,
            "seed": problem.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        if problem.task is Task.MULTICLASS:
            params["num_class"] = problem.classes
        return params
