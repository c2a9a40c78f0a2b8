"""Streams with a planted change, and a prober that learns in no time: shares of yes by cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tenure.core.metrics import log_losses
from tenure.core.modelling import Floats, Indices, Task
from tenure.core.ports import Probe, Problem
from tenure.core.retraining import Way
from tenure.retraining.history import History

DAY = 86_400_000_000


class CellProbe:
    """Answers the share of yes that was seen in the row's cell (one of eight)."""

    def __init__(self, shares: Floats) -> None:
        self.shares = shares

    def predict(self, matrix: Floats) -> Floats:
        yes = self.shares[cells(matrix)]
        return np.column_stack([1 - yes, yes])


@dataclass
class CellProber:
    """Learns shares by cell; keeps which rows it was shown."""

    seen: list[Indices] = field(default_factory=list)

    def fit(
        self,
        problem: Problem,
        rows: Indices,
        weight: Floats | None,
        *,
        way: Way = Way.REFIT,
        base: Probe | None = None,
        mix: float | None = None,
    ) -> CellProbe:
        self.seen.append(rows)
        counts = np.ones(len(rows)) if weight is None else weight
        at = cells(problem.matrix[rows])
        yes = np.bincount(at, counts * problem.target[rows], minlength=8)
        shares = (yes + 1) / (np.bincount(at, counts, minlength=8) + 2)
        if way is not Way.REFIT:
            assert isinstance(base, CellProbe)
            shares = 0.5 * shares + 0.5 * base.shares
        return CellProbe(shares)


def cells(matrix: Floats) -> Indices:
    """Return the cell of each row, 0 to 7."""
    return ((matrix > 0) @ np.array([1, 2, 4])).astype(np.int64)


def stream(
    *,
    windows: int = 20,
    volume: int = 400,
    changes_at: int | None = None,
    back_at: int | None = None,
    delay: int = 0,
    seed: int = 0,
) -> History:
    """Make a stream of yes and no whose rule turns around at the start of window `changes_at`, and back again."""
    rng = np.random.default_rng(seed)
    rows = windows * volume
    matrix = rng.normal(size=(rows, 3))
    window = np.arange(rows) // volume
    scores = np.array([-2.0, -1.0, 1.0, 2.0, -1.0, 1.0, 0.5, -0.5])[cells(matrix)]
    if changes_at is not None:
        is_turned = (window >= changes_at) & (window < (windows if back_at is None else back_at))
        scores = np.where(is_turned, -scores, scores)
    target = (rng.random(rows) < 1 / (1 + np.exp(-scores))).astype(np.int64)
    times = window * DAY + np.arange(rows) % volume * (DAY // volume)
    return history(matrix, target, times, times + delay * DAY, window)


def history(matrix: Floats, target: Any, times: Any, known: Any, window: Any) -> History:
    """Make a history of binary outcomes with log-loss."""
    problem = Problem(Task.BINARY, 2, matrix, ("a", "b", "c"), (False,) * 3, target, threads=1)
    everything = np.ones(len(target), dtype=bool)
    return History(problem, times, known, window, everything, lambda rows, said: log_losses(target[rows], said))


def told_otherwise(this: History, where: Any) -> History:
    """Return the history with the outcomes of some rows turned around."""
    target = np.where(where, 1 - this.problem.target, this.problem.target)
    return history(this.problem.matrix, target, this.times, this.known, this.window)
