"""The model's honest answers beside the truth: out-of-fold predictions joined to the rows they were made for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tenure.core.data import Snapshot
from tenure.core.metrics import positive
from tenure.core.modelling import Floats, Indices, Leaderboard, Task, ValidationPlan
from tenure.core.ports import Artifacts
from tenure.core.uncertainty import Clusters, clusters_of


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What the model said of rows it had not seen, and what was true.

    `target` is (n,) class codes or values, `predicted` (n, k) probabilities or (n,) values, `baseline` the same of
    the simple rule it is measured against. `rows` are the clean rows themselves in the same order. `clusters` ties
    rows that belong together. `untouched` says that no choice of model looked at these rows.
    """

    task: Task
    classes: tuple[str, ...]
    target: Indices | Floats
    predicted: Floats
    baseline: Floats
    rows: pl.DataFrame
    clusters: Clusters | None
    untouched: bool

    @property
    def score(self) -> Floats:
        """Return the probability of yes (binary), of the likeliest class (multiclass), or the value: (n,)."""
        if self.task is Task.BINARY:
            return positive(self.predicted)
        if self.task is Task.MULTICLASS:
            best: Floats = self.predicted.max(axis=1)
            return best
        return self.predicted

    @property
    def count(self) -> int:
        """Return the number of answered rows."""
        return len(self.target)


def load_answers(
    artifacts: Artifacts, clean: pl.DataFrame, snapshot: Snapshot, plan: ValidationPlan, leaderboard: Leaderboard
) -> Answers:
    """Read the out-of-fold answers; only the rows that no choice looked at where some were kept apart."""
    table = artifacts.get_table(leaderboard.oof)
    baseline = artifacts.get_table(leaderboard.baseline_oof)
    untouched = bool(table["reported"].any())
    if untouched:
        table = table.filter(pl.col("reported"))
    table = table.sort("row")
    task = Task(leaderboard.task)
    at = table["row"].cast(pl.Int64)
    rows = clean[at.to_numpy()]
    beside = pl.DataFrame({"row": at}).join(baseline.with_columns(pl.col("row").cast(pl.Int64)), on="row", how="left")
    truth = table["target"].to_numpy()
    return Answers(
        task=task,
        classes=snapshot.classes,
        target=truth.astype(np.int64) if task.is_classification else truth.astype(np.float64),
        predicted=_said(table, task),
        baseline=_said(beside, task),
        rows=rows,
        clusters=clusters_of(rows, group=plan.group, time=plan.time),
        untouched=untouched,
    )


def _said(table: pl.DataFrame, task: Task) -> Floats:
    if task is Task.REGRESSION:
        return table["p_0"].cast(pl.Float64).to_numpy()
    count = sum(name.startswith("p_") for name in table.columns)
    said: Floats = table.select(pl.col(f"p_{c}").cast(pl.Float64) for c in range(count)).to_numpy()
    return said
