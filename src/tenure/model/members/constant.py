"""The member that says the same of every row: the share of each class, or the mean."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tenure.core.modelling import Floats, Task


class ConstantMember:
    """Predicts one answer: `answer` holds the class probabilities (k,), or a single value for regression."""

    kind: ClassVar[str] = "constant"

    def __init__(self, task: Task, answer: Sequence[float]) -> None:
        self.task = task
        self.answer: Floats = np.array(answer, dtype=np.float64)

    def predict(self, matrix: Floats) -> Floats:
        """Return the answer for every row: (n, k) or (n,)."""
        rows = matrix.shape[0]
        if not self.task.is_classification:
            return np.full(rows, self.answer[0])
        return np.tile(self.answer, (rows, 1))

    @property
    def used(self) -> Collection[int]:
        """Return that no number is read."""
        return ()

    def on_row(self, numbers: array[float]) -> Callable[[], Sequence[float]]:
        """Return what gives the answer."""
        answer: list[float] = self.answer.tolist()
        return lambda: answer

    def contributions(self, matrix: Floats) -> Floats:
        """Return (n, d + 1, outputs): nothing for any feature; last the raw score itself."""
        raw = self._raw()
        shares = np.zeros((matrix.shape[0], matrix.shape[1] + 1, len(raw)))
        shares[:, -1, :] = raw
        return shares

    def _raw(self) -> Floats:
        if not self.task.is_classification:
            return self.answer
        logs: Floats = np.log(np.clip(self.answer, 1e-15, None))
        return logs[1:] - logs[:1] if self.task is Task.BINARY else logs

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """Return what `load` needs; there are no files."""
        return {"task": self.task.value, "answer": self.answer.tolist()}

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Self:
        """Rebuild the member."""
        return cls(Task(spec["task"]), spec["answer"])
