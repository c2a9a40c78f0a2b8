"""The member that is a small neural network: plain arrays and numpy, so that serving needs no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Indices, Task

_BLOCK: Final = 8
"""Rows multiplied at a time; a last block is filled up, so that every product has the same shape and the same bits."""
_CHUNK: Final = 1024
_MOST_ONE_HOT: Final = 8
_FAR: Final = 1e9
_QUANTILE_ROWS: Final = 100_000

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class MLPDesign:
    """How the encoded matrix becomes what the network reads.

    Numbers are centred at their median, divided by their interquartile range and clipped smoothly at 3; 0 where
    missing. Categories of up to 8 levels become one column a level, larger ones positions in a table of learned rows,
    of which the first stands for "missing or unseen". A flag tells where training had missing values.
    `number`, `flag`, `level_of` and `code_of` are column positions in the encoded matrix, `level` the codes, `sizes`
    the table rows of each larger category. `typical` is a row of medians and most frequent levels.
    """

    number: Indices
    centre: Floats
    factor: Floats
    flag: Indices
    level_of: Indices
    level: Floats
    code_of: Indices
    sizes: Indices
    typical: Floats

    @property
    def width(self) -> int:
        """Return how many things about a row the network can read."""
        return len(self.number) + len(self.flag) + len(self.level_of) + len(self.code_of)

    @classmethod
    def fit(cls, matrix: Floats, categorical: Sequence[bool]) -> Self:
        """Learn the design from an encoded matrix (n, d), NaN for missing; quantiles from at most 100,000 rows."""
        numbers: list[tuple[int, float, float]] = []
        flags: list[int] = []
        levels: list[tuple[int, float]] = []
        codes: list[tuple[int, int]] = []
        typical = np.full(matrix.shape[1], np.nan)
        for at, is_category in enumerate(categorical):
            column = matrix[:, at]
            known = column[~np.isnan(column)]
            if not known.size:
                continue
            found, counts = np.unique(known, return_counts=True)
            typical[at] = found[counts.argmax()] if is_category else np.median(known)
            if is_category and len(found) > _MOST_ONE_HOT:
                codes.append((at, int(found[-1]) + 2))
                continue
            if known.size < column.size:
                flags.append(at)
            if is_category:
                levels += [(at, code) for code in (found[1:] if len(found) == 2 else found)]
            elif len(found) > 1:
                numbers.append((at, *_robust_scale(known)))
        number = np.array(numbers, dtype=np.float64).reshape(-1, 3).T
        level = np.array(levels, dtype=np.float64).reshape(-1, 2).T
        code = np.array(codes, dtype=np.int64).reshape(-1, 2).T
        return cls(
            number=number[0].astype(np.int64),
            centre=number[1],
            factor=number[2],
            flag=np.array(flags, dtype=np.int64),
            level_of=level[0].astype(np.int64),
            level=level[1],
            code_of=code[0],
            sizes=code[1],
            typical=typical,
        )

    def numbers(self, matrix: Floats) -> Floats:
        """Return the scaled numbers, (n, numbers) between -3 and 3."""
        scaled = np.clip((matrix[:, self.number] - self.centre) * self.factor, -_FAR, _FAR)
        clipped = scaled / np.sqrt(1.0 + np.square(scaled / 3.0))
        return np.where(np.isnan(clipped), 0.0, clipped)

    def marks(self, matrix: Floats) -> Floats:
        """Return flags and one-hot levels, (n, flags + levels) of 0 and 1."""
        return np.hstack([np.isnan(matrix[:, self.flag]), matrix[:, self.level_of] == self.level]).astype(np.float64)

    def positions(self, matrix: Floats) -> Indices:
        """Return the position of each larger category's level in the one table of all of them, (n, larger)."""
        codes = matrix[:, self.code_of]
        seen = codes < self.sizes - 1  # false for NaN
        starts = np.cumsum(self.sizes) - self.sizes
        return starts + np.where(seen, codes + 1.0, 0.0).astype(np.int64)


def _robust_scale(known: Floats) -> tuple[float, float]:
    """Return the median, and the factor that makes the interquartile range 1, or the whole range 2."""
    few = known[:: max(1, known.size // _QUANTILE_ROWS)]
    low, middle, high = (float(q) for q in np.quantile(few, (0.25, 0.5, 0.75)))
    span = high - low
    return middle, 1.0 / span if span > 0 else 2.0 / float(known.max() - known.min())


class MLPMember:
    """Predicts with a network whose arrays are float32, computed in float64.

    `arrays`: `frequency` and `phase` (numbers, waves), `mix` (numbers, waves, made) and `mix_bias` (numbers, made) of
    the periodic embedding of numbers; `table` (rows, size) of the learned levels; `weight_0`, `bias_0` ... of the
    layers, (in, out) and (out,). There is one output for binary tasks and regression, one for each class otherwise.
    Values are kept within `limits`.
    """

    kind: ClassVar[str] = "mlp"

    def __init__(
        self,
        task: Task,
        design: MLPDesign,
        arrays: Mapping[str, NDArray[Any]],
        *,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.task = task
        self.design = design
        self.arrays: Arrays = {name: np.asarray(array, dtype=np.float32) for name, array in arrays.items()}
        self.limits = limits
        self._wide: dict[str, Floats] = {name: array.astype(np.float64) for name, array in self.arrays.items()}
        self._last = sum(name.startswith("weight_") for name in arrays) - 1

    def predict(self, matrix: Floats) -> Floats:
        """Return probabilities (n, k) or values (n,)."""
        score = self._score(matrix)
        if self.task is Task.REGRESSION:
            return score[:, 0] if self.limits is None else np.clip(score[:, 0], *self.limits)
        if self.task is Task.BINARY:
            both = np.empty((len(score), 2))
            both[:, 1] = 1.0 / (1.0 + np.exp(-np.clip(score[:, 0], -500.0, 500.0)))
            both[:, 0] = 1.0 - both[:, 1]
            return both
        raised = np.exp(score - score.max(axis=1, keepdims=True))
        shares: Floats = raised / raised.sum(axis=1, keepdims=True)
        return shares

    def _score(self, matrix: Floats) -> Floats:
        """Return (n, outputs), multiplied in blocks of eight rows: the order of BLAS's sums depends on the shape."""
        score = np.empty((len(matrix), len(self._wide[f"bias_{self._last}"])))
        for start in range(0, len(matrix), _CHUNK):
            rows = matrix[start : start + _CHUNK]
            filled = np.zeros((-(-len(rows) // _BLOCK) * _BLOCK, matrix.shape[1]))
            filled[: len(rows)] = rows
            hidden = self._inputs(filled).reshape(len(filled) // _BLOCK, _BLOCK, -1)
            for layer in range(self._last + 1):
                hidden = hidden @ self._wide[f"weight_{layer}"] + self._wide[f"bias_{layer}"]
                if layer < self._last:
                    hidden /= 1.0 + np.exp(-np.maximum(hidden, -500.0))
            score[start : start + _CHUNK] = hidden.reshape(len(filled), -1)[: len(rows)]
        return score

    def _inputs(self, matrix: Floats) -> Floats:
        """Return numbers, their periodic embeddings, flags and levels, and table rows, side by side."""
        design, arrays, rows = self.design, self._wide, len(matrix)
        numbers = design.numbers(matrix)
        waves = np.cos(2.0 * np.pi * (numbers[:, :, None] * arrays["frequency"] + arrays["phase"]))
        blocks = np.ascontiguousarray(waves.reshape(rows // _BLOCK, _BLOCK, *waves.shape[1:]).transpose(0, 2, 1, 3))
        mixed = (blocks @ arrays["mix"]).transpose(0, 2, 1, 3).reshape(rows, *arrays["mix_bias"].shape)
        embedded = (mixed + arrays["mix_bias"]).reshape(rows, -1)
        levels = arrays["table"][design.positions(matrix)].reshape(rows, -1)
        return np.concatenate([numbers, embedded, design.marks(matrix), levels], axis=1)

    def contributions(self, matrix: Floats) -> Floats:
        """Return (n, d + 1, outputs): what each column changes in the raw score on the way from the typical row.

        The mean of two ways, from the first column to the last and back: Shapley values over two orders, which add up
        to the score before limits.
        """
        columns = matrix.shape[1]
        shares = np.zeros((len(matrix), columns + 1, len(self._wide[f"bias_{self._last}"])))
        for order in (range(columns), range(columns)[::-1]):
            way = np.tile(self.design.typical, (len(matrix), 1))
            before = base = self._score(way)
            for column in order:
                way[:, column] = matrix[:, column]
                after = self._score(way)
                shares[:, column, :] += 0.5 * (after - before)
                before = after
            shares[:, -1, :] = base
        return shares

    def save(self, folder: Path, stem: str) -> dict[str, Any]:
        """Write `<stem>-<name>.npy` for each array and return what `load` needs."""
        arrays = {f"design_{f.name}": getattr(self.design, f.name) for f in fields(self.design)} | self.arrays
        files = {name: f"{stem}-{name.replace('_', '-')}.npy" for name in arrays}
        for name, file in files.items():
            np.save(folder / file, arrays[name], allow_pickle=False)
        return {"task": self.task.value, "files": files, "limits": list(self.limits) if self.limits else None}

    @classmethod
    def load(cls, folder: Path, spec: Mapping[str, Any]) -> Self:
        """Read the member again."""
        arrays = {name: np.load(folder / file, allow_pickle=False) for name, file in spec["files"].items()}
        design = MLPDesign(**{f.name: arrays.pop(f"design_{f.name}") for f in fields(MLPDesign)})
        limits = (float(spec["limits"][0]), float(spec["limits"][1])) if spec["limits"] else None
        return cls(Task(spec["task"]), design, arrays, limits=limits)
