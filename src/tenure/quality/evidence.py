"""What quality checks receive: a sample of the clean table with the encoded target, and what they share.

A check is a plug-in under `quality/checks/` (or a project's `plugins/quality-check/`). It measures; in a measurement's
`evidence` it may name columns under two keys that the stage acts on:

* `leaks`: columns that know the answer. What happens to them is `quality.on_leakage`, in the project file.
* `suspects`: columns that may. They stay, and the finding is for a person to read.
* `useless`: columns that no model can use (constant, a copy, an identifier). They are left out.

`rank` (class attribute, 50 where missing) orders the checks, cheapest first, because time may run out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Column, Kind, Schema
from tenure.core.evidence import Measurement
from tenure.core.metrics import METRICS
from tenure.core.modelling import Floats, Indices, Task
from tenure.core.ports import Deadline
from tenure.model.probe import out_of_fold, quick_numbers

FOLDS: Final = 3
_BINS: Final = 64
_CONFIRM_FROM: Final = {True: 0.85, False: 0.7}
"""Skill (AUC, R2) of the binned table from which a depth-4 tree looks as well."""


@dataclass(frozen=True, slots=True, eq=False)
class QualityEvidence:
    """A sample of the clean table, in its order. Evidence: built, shown to the checks, dropped.

    `frame` holds `rows` of the `table` (the whole clean table); `target` is encoded as for models: int64 class codes,
    `classes` of them, or float64 values. `columns` are the features still in question: those not yet left out.
    """

    frame: pl.DataFrame
    table: pl.DataFrame
    schema: Schema
    columns: tuple[Column, ...]
    task: Task
    classes: tuple[str, ...]
    target: NDArray[Any]
    rng: np.random.Generator
    deadline: Deadline
    numbers_seen: dict[str, Floats] = field(default_factory=dict)
    skills_seen: dict[str, float] = field(default_factory=dict)

    @property
    def skill_name(self) -> str:
        """Return what `skill` measures, in words."""
        return "AUC" if self.task.is_classification else "R2"

    def strength(self, skill: float) -> float:
        """Return a skill on the scale of the AUC: 0.5 knows nothing, 1 knows all; an R2 counts as (1 + r) / 2."""
        if self.task.is_classification:
            return skill
        return 0.5 + 0.5 * math.sqrt(max(skill, 0.0)) if not math.isnan(skill) else skill

    def numbers(self, column: Column) -> Floats:
        """Return the column of the sample as float64, NaN where empty."""
        if column.name not in self.numbers_seen:
            self.numbers_seen[column.name] = quick_numbers(self.frame[column.name], column.kind)
        return self.numbers_seen[column.name]

    def in_time(self) -> Iterator[Column]:
        """Yield the columns for as long as there is time."""
        for column in self.columns:
            if self.deadline.passed:
                return
            yield column

    def cut_short(self, check: str) -> Iterator[Measurement]:
        """Yield a note that columns were left unseen, where the time is up."""
        if self.deadline.passed:
            yield Measurement(check, 0.0, skipped="The time was up before every column was looked at.")

    def folds(self) -> list[tuple[Indices, Indices]]:
        """Return the three random folds of the sample: rows to learn from, rows to judge on."""
        fold = self._fold_of_row()
        return [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(FOLDS)]

    def _fold_of_row(self) -> Indices:
        return np.random.default_rng(0).permutation(len(self.target)) % FOLDS

    def skill(self, column: Column) -> float:
        """Return how well this column alone tells the target, out of fold: AUC (mean over classes) or R2.

        A binned table looks first; where it sees much, a tree of depth 4 confirms it, and the better counts.
        """
        if column.name not in self.skills_seen:
            values = self.numbers(column)
            skill = self.table_skill(binned(values, exact=column.kind is Kind.CATEGORICAL))
            if skill >= _CONFIRM_FROM[self.task.is_classification]:
                skill = max(skill, self.probe_skill(values[:, None], self.target, rounds=1, depth=4))
            self.skills_seen[column.name] = skill
        return self.skills_seen[column.name]

    def table_skill(self, codes: Indices, target: NDArray[Any] | None = None) -> float:
        """Return the out-of-fold skill of predicting, for each code, the mean target of its code in the other folds."""
        truth = self.target if target is None else target
        cells = codes * FOLDS + self._fold_of_row()
        if self.task.is_classification:
            return _table_auc(cells, truth, len(self.classes))
        return _table_r2(cells, truth)

    def probe_skill(self, matrix: Floats, target: NDArray[Any], *, rounds: int, depth: int | None = None) -> float:
        """Return the out-of-fold skill of a quick booster on `matrix`; NaN where the deadline ended it."""
        result = out_of_fold(
            matrix,
            target,
            self.task,
            len(self.classes),
            self.folds(),
            rounds=rounds,
            depth=depth,
            deadline=self.deadline,
        )
        if result is None:
            return float("nan")
        rows, predicted = result
        return skill_of(self.task, target[rows], predicted)


def skill_of(task: Task, target: NDArray[Any], predicted: Floats) -> float:
    """Return AUC (mean over classes) or R2 of predictions in the house's shape."""
    metric = METRICS["roc_auc" if task.is_classification else "r2"]
    return metric(target, predicted)


def binned(values: Floats, *, exact: bool = False) -> Indices:
    """Return a code for each value: its quantile bin (64), or with `exact` the value itself; 0 where empty."""
    empty = np.isnan(values)
    codes = np.zeros(len(values), dtype=np.int64)
    seen = values[~empty]
    if seen.size == 0:
        return codes
    edges = np.unique(seen) if exact else np.unique(np.quantile(seen, np.linspace(0, 1, _BINS + 1)))
    codes[~empty] = 1 + np.searchsorted(edges, seen, side="left")
    return codes


def _table_auc(cells: Indices, target: NDArray[Any], classes: int) -> float:
    """Return the mean one-against-rest AUC of out-of-fold class shares, from counts by cell (code x fold)."""
    codes = int(cells.max()) // FOLDS + 1
    counts = np.bincount(cells * classes + target, minlength=codes * FOLDS * classes).astype(np.float64)
    counts = counts.reshape(codes, FOLDS, classes)
    learned = counts.sum(axis=1, keepdims=True) - counts
    prior = learned.sum(axis=0, keepdims=True)
    prior /= np.maximum(prior.sum(axis=2, keepdims=True), 1.0)
    shares = ((learned + prior) / (learned.sum(axis=2, keepdims=True) + 1.0)).reshape(-1, classes)
    held = counts.reshape(-1, classes)
    wanted = [1] if classes == 2 else list(range(classes))
    each = [_auc_of_counts(shares[:, c], held[:, c], held.sum(axis=1) - held[:, c]) for c in wanted]
    return float(np.nanmean(each)) if not np.all(np.isnan(each)) else float("nan")


def _auc_of_counts(scores: Floats, positives: Floats, negatives: Floats) -> float:
    _, level = np.unique(scores, return_inverse=True)
    pos, neg = np.bincount(level, weights=positives), np.bincount(level, weights=negatives)
    if pos.sum() == 0 or neg.sum() == 0:
        return float("nan")
    below = np.cumsum(neg) - neg
    return float(np.sum(pos * (below + neg / 2)) / (pos.sum() * neg.sum()))


def _table_r2(cells: Indices, target: Floats) -> float:
    centred = target - target.mean()
    codes = int(cells.max()) // FOLDS + 1
    shape = (codes, FOLDS)
    count = np.bincount(cells, minlength=codes * FOLDS).reshape(shape).astype(np.float64)
    total = np.bincount(cells, weights=centred, minlength=codes * FOLDS).reshape(shape)
    learned = (total.sum(axis=1, keepdims=True) - total) / (count.sum(axis=1, keepdims=True) - count + 1.0)
    spread = float(np.sum(centred**2))
    explained = float(np.sum(2 * learned * total - count * learned**2))
    return explained / spread if spread > 0 else float("nan")
