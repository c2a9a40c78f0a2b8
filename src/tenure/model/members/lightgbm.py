"""The member that is a LightGBM tree ensemble."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tenure.core.modelling import Floats, Task
from tenure.model.boosters import Booster, check


class LightGBMMember:
    """Predicts with a LightGBM model; `text` is what `Booster.model_to_string()` of the library gives.

    `threads` (for tables) must be the number that concurrent fits use.
    """

    kind: ClassVar[str] = "lightgbm"

    def __init__(self, task: Task, text: str, *, threads: int = 1) -> None:
        self.task = task
        self._booster = Booster(text, threads=threads)

    def predict(self, matrix: Floats) -> Floats:
        """Return probabilities (n, k) or values (n,)."""
        answer = self._booster.predict(matrix)
        if self.task is Task.MULTICLASS:
            return answer
        if self.task is Task.REGRESSION:
            return answer[:, 0]
        both = np.empty((len(answer), 2))  # much quicker on one row than stacking columns
        both[:, 1] = answer[:, 0]
        both[:, 0] = 1.0 - both[:, 1]
        return both

    @property
    def text(self) -> str:
        """Return the model as the library writes it."""
        return self._booster.text

    @property
    def used(self) -> Collection[int]:
        """Return the positions of the numbers that the trees read."""
        return self._booster.used

    def on_row(self, numbers: array[float], start: int = 0) -> Callable[[], Sequence[float]]:
        """Return what gives the answer for the numbers that lie in `numbers` from `start` on, in one thread only."""
        score, result = self._booster.on_row(numbers, start)

        def every() -> Sequence[float]:
            if status := score():
                check(status)
            return result.tolist()

        def both() -> Sequence[float]:
            if status := score():
                check(status)
            yes = result[0]
            return 1.0 - yes, yes

        return both if self.task is Task.BINARY else every

    def contributions(self, matrix: Floats) -> Floats:
        """Return (n, d + 1, outputs): tree SHAP values in raw-score units, the base last."""
        return self._booster.contributions(matrix).swapaxes(1, 2)

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """Write `<stem>.txt` and return what `load` needs."""
        name = f"{stem}.txt"
        (folder / name).write_text(self._booster.text, encoding="utf-8", newline="\n")
        return {"task": self.task.value, "file": name}

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Self:
        """Read the member again."""
        return cls(Task(spec["task"]), (folder / spec["file"]).read_text(encoding="utf-8"))
