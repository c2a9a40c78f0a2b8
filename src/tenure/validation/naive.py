"""Score one quick model twice, under a plain random split and under the plan, and say the difference in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Column, Schema
from tenure.core.metrics import Metric
from tenure.core.modelling import Floats, Indices, Score, Task
from tenure.core.ports import Deadline
from tenure.core.uncertainty import clusters_of, paired_gain, score_with_interval
from tenure.model.probe import affordable_rounds, out_of_fold, probe_matrix

MOST_ROWS: Final = 20_000
_MOST_CELLS: Final = 2_000_000
_STRETCH: Final = 50
_MOST_FOLDS: Final = 10
_SHARE_FOR_FITS: Final = 0.4
_FEWEST_ROWS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a random split claims, what the plan says, and the difference as a sentence; None where time ran out."""

    naive: Score | None
    planned: Score | None
    says: str


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Rows to try both splits on, in the order of the clean table. `group` and `time` say which rows count together."""

    frame: pl.DataFrame
    schema: Schema
    columns: tuple[Column, ...]
    target: NDArray[Any]
    task: Task
    classes: int
    group: str | None
    time: str | None

    def clusters(self, rows: Indices) -> Indices | None:
        """Return which of the rows count together."""
        return clusters_of(self.frame[rows], group=self.group, time=self.time)


Folds = list[tuple[Indices, Indices]]


def sample_rows(
    rows: int, columns: int, rng: np.random.Generator, *, most: int = MOST_ROWS, units: Indices | None, ordered: bool
) -> Indices:
    """Return the positions of at most `most` rows, rising: whole stretches of time, whole units, or single rows."""
    most = min(most, max(_FEWEST_ROWS, _MOST_CELLS // max(columns, 1)))
    if rows <= most:
        return np.arange(rows)
    if units is not None:
        _, unit = np.unique(units, return_inverse=True)
    else:
        unit = np.arange(rows) // (_STRETCH if ordered else 1)
    place = rng.permutation(int(unit.max()) + 1)[unit]
    # Units in random order, whole ones, until there are enough.
    sizes = np.cumsum(np.bincount(place))
    return np.flatnonzero(place < max(int(np.searchsorted(sizes, most, side="right")), 1))


def most_rows(task: Task, classes: int, *, tied: bool) -> int:
    """Return how many rows the comparison can afford; intervals of an AUC over `tied` rows need many resamples."""
    if task is Task.MULTICLASS:
        return max(_FEWEST_ROWS, MOST_ROWS * 10 // (10 + classes * 2))
    return MOST_ROWS // 2 if tied and task is Task.BINARY else MOST_ROWS


def compare_splits(
    sample: Sample,
    metric: Metric,
    planned: Folds,
    *,
    blocks: int,
    is_random: bool,
    rng: np.random.Generator,
    deadline: Deadline,
) -> Comparison:
    """Score the probe under `planned` folds of the sample and under a random split in as many `blocks`; same rows.

    Where the plan is itself a plain random split (`is_random`), it is scored once.
    """
    matrix, _ = probe_matrix(sample.frame, sample.schema, sample.columns)
    planned = planned[-_MOST_FOLDS:]
    plain = _random_folds(sample.frame.height, min(blocks, _MOST_FOLDS), planned, rng)
    rounds = affordable_rounds(
        deadline.seconds * _SHARE_FOR_FITS,
        rows=sample.frame.height,
        features=matrix.shape[1],
        classes=sample.classes,
        fits=len(planned) + (0 if is_random else len(plain)),
    )
    results = [
        out_of_fold(matrix, sample.target, sample.task, sample.classes, folds, rounds=rounds, deadline=deadline)
        for folds in ([planned] if is_random else [planned, plain])
    ]
    found = [_in_order(*result) for result in results if result is not None]
    if len(found) < len(results):
        return Comparison(None, None, "There was no time to compare the plan with a plain random split.")
    rows = found[0][0]
    truth, clusters = sample.target[rows], sample.clusters(rows)
    honest, *other = [score_with_interval(metric, truth, predicted, clusters=clusters) for _, predicted in found]
    if not other:
        says = f"Rows are independent, so a plain random split is honest: a quick model has {_shown(metric, honest)}."
        return Comparison(honest, honest, says)
    _, low, high = paired_gain(metric, truth, found[1][1], found[0][1], clusters=clusters)
    return Comparison(other[0], honest, _in_words(metric, other[0], honest, low, high))


def _in_order(rows: Indices, predicted: Floats) -> tuple[Indices, Floats]:
    order = np.argsort(rows)
    return rows[order], predicted[order]


def _random_folds(rows: int, count: int, planned: Folds, rng: np.random.Generator) -> Folds:
    """Return random folds that validate the same rows as the plan, each row once."""
    fold = rng.permutation(rows) % count
    judged = np.zeros(rows, dtype=bool)
    for _, valid in planned:
        judged[valid] = True
    parts = [(np.flatnonzero(fold != f), np.flatnonzero((fold == f) & judged)) for f in range(count)]
    return [part for part in parts if part[1].size]


def _in_words(metric: Metric, naive: Score, honest: Score, low: float, high: float) -> str:
    """Say what the random split claims beside what the plan finds; `low` and `high` bound the difference."""
    said = f"With a quick model a plain random split claims {_shown(metric, naive)}, this plan finds "
    said += _number(honest.value)
    if low > 0:
        return f"{said}: the random figure would be too good to be true."
    if high < 0:
        return f"{said}: here the random figure is the more careful one."
    return f"{said}: the same within the error, so the stricter plan costs nothing."


def _shown(metric: Metric, score: Score) -> str:
    article = "an" if metric.label[0] in "aeiou" else "a"
    return f"{article} {metric.label} of {_number(score.value)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
