"""What one model of the owner's own learns from: prepared rows, their target and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Problem
from tenure.core.project import OwnSection
from tenure.model.design import LinearDesign
from tenure.model.members.own import prepared

CELLS: Final = 20_000_000
"""Rows are sampled down to this many cells of the prepared table."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """A prepared table (n, width) float64 with its target and weights (mean 1)."""

    table: Floats
    target: NDArray[Any]
    weight: Floats | None

    @classmethod
    def of(cls, problem: Problem, design: LinearDesign | None, rows: Indices) -> Self:
        """Prepare some rows of a problem."""
        weight = None if problem.weight is None else problem.weight[rows]
        if weight is not None:
            weight = weight / (weight.mean() or 1.0)
        return cls(prepared(design, problem.matrix[rows]), problem.target[rows], weight)

    def __len__(self) -> int:
        return len(self.table)

    def first(self, count: int) -> Lesson:
        """Return the first rows."""
        return Lesson(self.table[:count], self.target[:count], None if self.weight is None else self.weight[:count])


def design_of(own: OwnSection, problem: Problem, rows: Indices) -> LinearDesign | None:
    """Return how rows are prepared for the model; None where it reads the encoded matrix itself."""
    return LinearDesign.fit(problem.matrix[rows], problem.categorical) if own.input == "numbers" else None


def in_random_order(rows: Indices, width: int, seed: int) -> Indices:
    """Return the rows in random order, as many as a table of that width may have."""
    return np.random.default_rng(seed).permutation(rows)[: max(CELLS // max(width, 1), 1000)]
