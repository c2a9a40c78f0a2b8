"""Problems with a planted truth, and timers that move when they are looked at."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Task
from tenure.core.ports import Problem


def ticking(step: float = 0.01) -> Callable[[], float]:
    """Return a timer that moves by `step` seconds whenever somebody looks at it."""
    ticks = itertools.count()
    return lambda: next(ticks) * step


def planted(task: Task, *, rows: int = 600, classes: int = 4, seed: int = 0, threads: int = 1) -> Problem:
    """Return a problem whose target follows a number and a category; other numbers are noise, some cells empty."""
    rng = np.random.default_rng(seed)
    strong, noise = rng.normal(size=rows), rng.normal(size=(rows, 2))
    category = rng.integers(0, 5, rows).astype(float)
    signal = strong + np.array([-1.0, 0.5, 0.0, 1.0, -0.5])[category.astype(int)]
    strong[rng.random(rows) < 0.05] = np.nan
    return Problem(
        task=task,
        classes={Task.BINARY: 2, Task.MULTICLASS: classes, Task.REGRESSION: 0}[task],
        matrix=np.column_stack([strong, category, noise]),
        names=("strong", "category", "noise_0", "noise_1"),
        categorical=(False, True, False, False),
        target=planted_target(task, signal, classes, rng),
        seed=seed,
        threads=threads,
    )


def planted_target(
    task: Task, signal: NDArray[np.float64], classes: int, rng: np.random.Generator
) -> NDArray[np.generic]:
    if task is Task.REGRESSION:
        return 100.0 + 20.0 * signal + rng.normal(size=len(signal))
    if task is Task.BINARY:
        return (rng.random(len(signal)) < 1 / (1 + np.exp(-3 * signal))).astype(np.int64)
    cuts = np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1])
    return np.searchsorted(cuts, signal).astype(np.int64)


def forward_blocks(rows: int, count: int = 4) -> NDArray[np.int16]:
    """Return blocks of rows that follow each other, with outcomes known at once."""
    block = (np.arange(rows) * count // rows).astype(np.int16)
    return np.column_stack([block, block + 1]).astype(np.int16)
