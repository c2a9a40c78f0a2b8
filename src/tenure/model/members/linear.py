"""The member that is a linear model on a design made of the encoded matrix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np

from tenure.core.modelling import Floats, Task
from tenure.model.design import LinearDesign

_CHUNK: Final = 1 << 20


class LinearMember:
    """Predicts with a linear score: softmax, sigmoid, or the value itself, kept within `limits`.

    `coefficients` is (width, outputs), `intercept` (outputs,): one output for binary tasks and regression, one for each
    class otherwise.
    """

    kind: ClassVar[str] = "linear"

    def __init__(
        self,
        task: Task,
        design: LinearDesign,
        coefficients: Floats,
        intercept: Floats,
        *,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.task = task
        self.design = design
        self.coefficients: Floats = np.ascontiguousarray(coefficients, dtype=np.float64).reshape(design.width, -1)
        self.intercept: Floats = np.array(intercept, dtype=np.float64).reshape(-1)
        self.limits = limits
        self._by_output = np.ascontiguousarray(self.coefficients.T)

    @staticmethod
    def limits_of(target: Floats) -> tuple[float, float]:
        """Return the range of a regression target, widened by a tenth of itself on both sides."""
        low, high = float(np.min(target)), float(np.max(target))
        room = 0.1 * (high - low)
        return low - room, high + room

    def predict(self, matrix: Floats) -> Floats:
        """Return probabilities (n, k) or values (n,)."""
        score = self._score(matrix)
        if self.task is Task.REGRESSION:
            return score[:, 0] if self.limits is None else np.clip(score[:, 0], *self.limits)
        if self.task is Task.BINARY:
            both = np.empty((len(score), 2))
            both[:, 1] = 1.0 / (1.0 + np.exp(-np.minimum(np.maximum(score[:, 0], -500.0), 500.0)))
            both[:, 0] = 1.0 - both[:, 1]
            return both
        score -= score.max(axis=1, keepdims=True)
        raised = np.exp(score)
        shares: Floats = raised / raised.sum(axis=1, keepdims=True)
        return shares

    def _score(self, matrix: Floats) -> Floats:
        """Return (n, outputs). Sums run along each row, never through BLAS, whose order depends on the row count."""
        outputs = len(self.intercept)
        score = np.empty((matrix.shape[0], outputs))
        step = max(1, _CHUNK // max(self.design.width * outputs, 1))
        for start in range(0, matrix.shape[0], step):
            design = self.design.transform(matrix[start : start + step])
            score[start : start + step] = (design[:, None, :] * self._by_output).sum(axis=2)
        return score + self.intercept

    def contributions(self, matrix: Floats) -> Floats:
        """Return (n, d + 1, outputs): coefficient times distance from the mean, in raw-score units; the base last."""
        shares = np.zeros((matrix.shape[0], matrix.shape[1] + 1, len(self.intercept)))
        moved = self.design.transform(matrix) - self.design.means
        for column, origin in enumerate(self.design.origins):
            shares[:, origin, :] += moved[:, column, None] * self.coefficients[column]
        shares[:, -1, :] = self.intercept + self.design.means @ self.coefficients
        return shares

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """Write `<stem>-<name>.npy` for each array and return what `load` needs."""
        arrays = {**self.design.arrays(), "coefficients": self.coefficients, "intercept": self.intercept}
        files = {name: f"{stem}-{name.replace('_', '-')}.npy" for name in arrays}
        for name, file in files.items():
            np.save(folder / file, arrays[name], allow_pickle=False)
        return {"task": self.task.value, "files": files, "limits": list(self.limits) if self.limits else None}

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Self:
        """Read the member again."""
        arrays = {name: np.load(folder / file, allow_pickle=False) for name, file in spec["files"].items()}
        coefficients, intercept = arrays.pop("coefficients"), arrays.pop("intercept")
        limits = (float(spec["limits"][0]), float(spec["limits"][1])) if spec["limits"] else None
        return cls(Task(spec["task"]), LinearDesign(**arrays), coefficients, intercept, limits=limits)
