"""The member that is a linear model on a design made of the encoded matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tenure.core.modelling import Floats, Indices, Task

_LEVELS: Final = 30
_TAIL: Final = 0.005
_CHUNK: Final = 1 << 20
_QUANTILE_ROWS: Final = 100_000


@dataclass(frozen=True, eq=False)
class LinearDesign:
    """How the encoded matrix becomes columns that a linear model can use.

    Numbers are clipped at their outer 0.5 %, standardised, and 0 where missing; a flag tells where they were missing;
    the 30 most frequent levels of each category become one column each, and one more says "missing or unseen" where
    training had missing values. `number`, `flag` and `level_of` are column positions in the encoded matrix, `level` the
    codes; `means` (of all design columns) is where explanations count from.
    """

    number: Indices
    low: Floats
    high: Floats
    centre: Floats
    scale: Floats
    flag: Indices
    level_of: Indices
    level: Floats
    means: Floats

    @property
    def width(self) -> int:
        """Return how many design columns there are."""
        return len(self.number) + len(self.flag) + len(self.level_of)

    @property
    def origins(self) -> Indices:
        """Return, for each design column, its column in the encoded matrix."""
        return np.concatenate([self.number, self.flag, self.level_of])

    @classmethod
    def fit(cls, matrix: Floats, categorical: Sequence[bool]) -> Self:
        """Learn the design from an encoded matrix (n, d), NaN for missing.

        Quantiles are taken from at most 100,000 evenly spaced rows.
        """
        rows = matrix[:: max(1, matrix.shape[0] // _QUANTILE_ROWS)]
        numbers: list[tuple[int, float, float, float, float]] = []
        flags: list[int] = []
        levels: list[tuple[int, float]] = []
        for at, is_category in enumerate(categorical):
            column = rows[:, at]
            known = column[~np.isnan(column)]
            if 0 < known.size < column.size:
                flags.append(at)
            if is_category:
                levels += [(at, code) for code in _frequent(known)]
            elif known.size:
                low, high = _clipping(known)
                clipped = np.clip(known, low, high)
                spread = float(np.std(clipped))
                if spread > 0:
                    numbers.append((at, low, high, float(np.mean(clipped)), spread))
        number, flag, level = (
            np.array(numbers, dtype=np.float64).reshape(-1, 5).T,
            np.array(flags, dtype=np.int64),
            np.array(levels, dtype=np.float64).reshape(-1, 2).T,
        )
        draft = cls(
            number=number[0].astype(np.int64),
            low=number[1],
            high=number[2],
            centre=number[3],
            scale=number[4],
            flag=flag,
            level_of=level[0].astype(np.int64),
            level=level[1],
            means=np.zeros(number.shape[1] + flag.size + level.shape[1]),
        )
        return replace(draft, means=draft.transform(rows).mean(axis=0, dtype=np.float64))

    def transform(self, matrix: Floats, dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """Return the design of an encoded matrix: (n, width). `dtype` float32 halves the memory for fitting."""
        design = np.empty((matrix.shape[0], self.width), dtype=dtype)
        step = max(1, _CHUNK // max(self.width, 1))
        numbers, flags = len(self.number), len(self.number) + len(self.flag)
        for start in range(0, matrix.shape[0], step):
            rows, out = matrix[start : start + step], design[start : start + step]
            scaled = (np.minimum(np.maximum(rows[:, self.number], self.low), self.high) - self.centre) / self.scale
            out[:, :numbers] = np.where(np.isnan(scaled), 0.0, scaled)
            out[:, numbers:flags] = np.isnan(rows[:, self.flag])
            out[:, flags:] = rows[:, self.level_of] == self.level
        return design

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _frequent(codes: Floats) -> list[float]:
    """Return the most frequent codes; of two levels only the second, as the first says nothing new."""
    values, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_LEVELS]
    kept = sorted(values[order].tolist())
    return kept[1:] if len(values) == 2 else kept


def _clipping(known: Floats) -> tuple[float, float]:
    """Return where to clip: the outer 0.5 %, or the ends where nearly all values are equal."""
    low, high = (float(q) for q in np.quantile(known, (_TAIL, 1 - _TAIL)))
    return (low, high) if low < high else (float(known.min()), float(known.max()))


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
