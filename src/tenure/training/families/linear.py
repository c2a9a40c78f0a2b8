"""Linear models: logistic, softmax and ridge regression, fitted by L-BFGS along a path of penalties.

A round is one step along the path, from a strong penalty to a weak one; each step starts where the last one ended.
Own code instead of scikit-learn's, because a fit has to stop at its deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from tenure.core.modelling import Configuration, DataShape, Floats, Indices, Task, Traits
from tenure.core.ports import Deadline, Fitted, Problem
from tenure.model.design import LinearDesign
from tenure.model.members.linear import LinearMember

_PATH: Final = tuple(0.0004 * 4**step for step in range(10))
"""Inverse strength of the penalty at each step, as scikit-learn's C."""
_CELLS: Final = 10_000_000
"""Rows are sampled down to this many design cells."""
_FEWEST_PIECES: Final = 8
_MOST_PIECES: Final = 20
_ALL_PIECES: Final = 160
_ROWS_A_PIECE: Final = 100
_MOST_CUT: Final = 300
_STEPS: Final = 40

Narrow = NDArray[np.float32]


class LinearFamily:
    """Weighted sums of standardised numbers and one-hot levels."""

    name: ClassVar[str] = "linear"
    traits: ClassVar[Traits] = Traits(tasks=frozenset(Task))

    def configurations(self, shape: DataShape) -> Sequence[Configuration]:
        """Propose one path of penalties."""
        return (Configuration("linear", self.name, {"path": list(_PATH)}, rank=10),)

    def fit(
        self,
        configuration: Configuration,
        problem: Problem,
        train: Indices,
        valid: Indices | None,
        *,
        rounds: int | None,
        deadline: Deadline,
    ) -> Fitted | None:
        """Follow the path while the validated rows gain, or for `rounds` steps."""
        if deadline.left == 0:
            return None
        seen = _sample(train, len(problem.names), problem.seed)
        pieces = _pieces(len(seen), problem.categorical.count(False))
        design = LinearDesign.fit(problem.matrix[seen], problem.categorical, pieces=pieces)
        rows = _sample(seen, design.width, problem.seed)
        scale = _Scale.of(problem.task, problem.target[rows])
        fitting = _Fitting.of(problem, design, scale, rows, deadline)
        checking = None if valid is None else _Fitting.of(problem, design, scale, valid, deadline)
        best = start = fitting.start()
        best_loss, steps = np.inf, 0
        for strength in configuration.params["path"][: rounds or None]:
            start = fitting.solve(start, 1.0 / (strength * len(rows)))
            loss = 0.0 if checking is None else checking.loss(start)
            if checking is not None and loss >= best_loss:
                break
            best, best_loss, steps = start, loss, steps + 1
            if deadline.passed:
                break
        return Fitted(scale.member(design, best, problem.target[rows]), steps) if steps else None


def _pieces(rows: int, numbers: int) -> int:
    """Return into how many pieces each number is cut: fewer where rows are few, none where numbers are very many."""
    if numbers > _MOST_CUT:
        return 0
    shared = min(max(_ALL_PIECES // max(numbers, 1), _FEWEST_PIECES), _MOST_PIECES)
    return min(shared, rows // _ROWS_A_PIECE, _CELLS // max(rows * numbers, 1))


def _sample(rows: Indices, width: int, seed: int) -> Indices:
    """Return as many of the rows as a design of that width can have."""
    most = max(_CELLS // max(width, 1), 1000)
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


@dataclass(frozen=True)
class _Scale:
    """Moves a regression target to mean 0 and spread 1 while fitting, so that one path of penalties fits all."""

    task: Task
    centre: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, task: Task, target: NDArray[Any]) -> _Scale:
        if task is not Task.REGRESSION:
            return cls(task)
        return cls(task, float(np.mean(target)), float(np.std(target)) or 1.0)

    def shrunk(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return the target in the units of the fit."""
        if self.task is not Task.REGRESSION:
            return target
        return ((target - self.centre) / self.spread).astype(np.float32)

    def member(self, design: LinearDesign, answer: Floats, target: NDArray[Any]) -> LinearMember:
        """Return the member of the fitted weights, the last row of which is the intercept."""
        coefficients, intercept = answer[:-1] * self.spread, answer[-1] * self.spread + self.centre
        limits = LinearMember.limits_of(target) if self.task is Task.REGRESSION else None
        return LinearMember(self.task, design, coefficients, intercept, limits=limits)


@dataclass(frozen=True, eq=False)
class _Fitting:
    """The penalised loss of one task on one design, and its minimiser."""

    task: Task
    classes: int
    design: Narrow
    target: NDArray[Any]
    weight: Narrow
    deadline: Deadline

    @classmethod
    def of(cls, problem: Problem, design: LinearDesign, scale: _Scale, rows: Indices, deadline: Deadline) -> _Fitting:
        weight = np.ones(len(rows)) if problem.weight is None else problem.weight[rows]
        return cls(
            problem.task,
            problem.classes,
            design.transform(problem.matrix[rows], np.float32),
            scale.shrunk(problem.target[rows]),
            (weight / weight.sum()).astype(np.float32),
            deadline,
        )

    @property
    def outputs(self) -> int:
        return self.classes if self.task is Task.MULTICLASS else 1

    def start(self) -> Floats:
        """Return weights of zero, (width + 1, outputs); the last row is the intercept."""
        return np.zeros((self.design.shape[1] + 1, self.outputs))

    def solve(self, start: Floats, penalty: float) -> Floats:
        """Return the weights at the minimum, or where the deadline stopped the search."""
        slope = self._slopes()

        def evaluate(flat: Floats) -> tuple[float, Floats]:
            weights = flat.reshape(start.shape)
            loss, pull = slope(self._score(weights))
            gradient = np.empty_like(weights)
            gradient[:-1] = self.design.T @ pull + penalty * weights[:-1]
            gradient[-1] = pull.sum(axis=0)
            return loss + 0.5 * penalty * float(np.sum(weights[:-1] ** 2)), gradient.ravel()

        def stop(_: Floats) -> None:
            if self.deadline.passed:
                raise StopIteration

        options = {"maxiter": _STEPS, "ftol": 1e-7, "gtol": 1e-5}
        found = minimize(evaluate, start.ravel(), jac=True, method="L-BFGS-B", callback=stop, options=options)
        answer: Floats = found.x.reshape(start.shape)
        return answer

    def loss(self, weights: Floats) -> float:
        """Return the mean loss of the weights, without the penalty."""
        return self._slopes()(self._score(weights))[0]

    def _score(self, weights: Floats) -> Narrow:
        narrow = weights.astype(np.float32)
        score: Narrow = self.design @ narrow[:-1] + narrow[-1]
        return score

    def _slopes(self) -> Callable[[Narrow], tuple[float, Narrow]]:
        """Return the function from scores (n, outputs) to the mean loss and its slope in the scores."""
        return {Task.BINARY: self._logistic, Task.MULTICLASS: self._softmax, Task.REGRESSION: self._squares}[self.task]

    def _logistic(self, score: Narrow) -> tuple[float, Narrow]:
        sign = (2.0 * self.target - 1.0).astype(np.float32)[:, None]
        margin = sign * score
        loss = np.logaddexp(np.float32(0.0), -margin)
        pull = -sign * np.exp(-np.logaddexp(np.float32(0.0), margin))
        return float(self.weight @ loss[:, 0]), pull * self.weight[:, None]

    def _softmax(self, score: Narrow) -> tuple[float, Narrow]:
        raised = np.exp(score - score.max(axis=1, keepdims=True))
        shares = raised / raised.sum(axis=1, keepdims=True)
        rows = np.arange(len(self.target))
        loss = -np.log(np.clip(shares[rows, self.target], 1e-30, None))
        shares[rows, self.target] -= 1.0
        return float(self.weight @ loss), shares * self.weight[:, None]

    def _squares(self, score: Narrow) -> tuple[float, Narrow]:
        miss = score - self.target[:, None]
        return 0.5 * float(self.weight @ np.square(miss[:, 0])), miss * self.weight[:, None]
