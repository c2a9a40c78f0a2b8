"""What every robustness check looks at: the model as it will serve, rows to damage, and honest predictions."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.contract import Contract
from tenure.core.data import Column, Kind, Snapshot
from tenure.core.evidence import QualityReport
from tenure.core.metrics import Metric, metric_named
from tenure.core.modelling import Floats, Indices, Leaderboard, Task, ValidationPlan
from tenure.core.ports import Context, Deadline
from tenure.core.uncertainty import Clusters, clusters_of
from tenure.model.scorer import Scorer

Targets = NDArray[Any]

_MOST_HONEST_ROWS: Final = 20_000
_MOST_ROWS: Final = 5_000
_LEAST_ROWS: Final = 300
_ROWS_PER_SECOND: Final = 120
"""Rows to damage for each second of probing: all checks together score each of them some twenty times."""
_USUAL_WIDTH: Final = 50


@dataclass(frozen=True, slots=True, eq=False)
class HonestRows:
    """Rows with predictions by models that never saw them.

    `target` holds class codes or values, `predicted` and `baseline` are (n, k) or (n,); the baseline says
    the same of every row. `clusters` says which rows count together, None where each stands alone.
    """

    frame: pl.DataFrame
    target: Targets
    predicted: Floats
    baseline: Floats
    clusters: Clusters | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ModelEvidence:
    """The model in question and all that is needed to question it. Built for one probing and dropped.

    `sample` are the rows to damage, `target` their truth, `clean` what the served model says of them undamaged, and
    `baseline` what the baseline says. The served model may have learned from these rows, so only what it loses on
    them is telling, never its score. `columns` are the features the model reads, most important first. `twin` is how
    its answers correlate with those of the model that was tested, None where these are one.
    """

    scorer: Scorer
    folder: Path
    metric: Metric
    sample: pl.DataFrame
    target: Targets
    clean: Floats
    baseline: Floats
    honest: HonestRows
    columns: tuple[Column, ...]
    max_latency_ms: float
    deadline: Deadline
    timer: Callable[[], float]
    seed: int = 0
    twin: float | None = None

    @property
    def task(self) -> Task:
        """Return the kind of answer."""
        return self.scorer.model.task

    @property
    def contract(self) -> Contract:
        """Return what each column promises."""
        return self.scorer.model.contract

    @property
    def scale(self) -> float:
        """Return the unit of differences between answers: 1 for probabilities, else the target's spread."""
        if self.task.is_classification:
            return 1.0
        return max(float(np.std(self.honest.target)), 1e-12)

    @property
    def skill(self) -> float:
        """Return how much better the model is than the baseline on the undamaged sample."""
        return self.metric.gain(self.metric(self.target, self.clean), self.metric(self.target, self.baseline))

    @property
    def no_skill(self) -> str | None:
        """Return why a share of lost skill has no meaning here, or None where it has one."""
        if np.isnan(self.skill):
            return "the sample is too small to score."
        return None if self.skill > 0 else "the model is no better than the baseline, so it has no skill to lose."

    def rng(self, check: str) -> np.random.Generator:
        """Return a random generator that depends on the seed and the check's name, not on what ran before."""
        return np.random.default_rng((self.seed, zlib.crc32(check.encode())))

    def of_kind(self, *kinds: Kind, most: int | None = None) -> tuple[Column, ...]:
        """Return the features of these kinds, most important first, at most `most` of them."""
        return tuple(column for column in self.columns if column.kind in kinds)[:most]

    def rows(self, count: int) -> list[dict[str, Any]]:
        """Return the first rows of the sample as a caller would send them, without the target."""
        frame = self.sample.head(count)
        return frame.drop(self.scorer.model.target, strict=False).to_dicts()

    def skill_lost(self, damaged: pl.DataFrame, at: Indices | None = None) -> float:
        """Return the share of skill lost when the model sees `damaged` instead of the sample.

        `at` are the positions of the sample that `damaged` stands for; None means all of it.
        """
        return self.skill_lost_by(self.scorer.raw(damaged), at)

    def skill_lost_by(self, said: Floats, at: Indices | None = None) -> float:
        """Return the share of skill lost with `said` in place of the undamaged predictions (at the positions `at`)."""
        predicted = self.clean.copy()
        predicted[slice(None) if at is None else at] = said
        lost = self.metric.gain(self.metric(self.target, self.clean), self.metric(self.target, predicted))
        return lost / self.skill


def loss_in_words(lost: float) -> str:
    """Return what losing this share of skill means, to follow "the model"."""
    if lost > 1:
        return "does worse than the baseline"
    if lost < 0.005:
        return "loses nothing"
    return f"loses {100 * lost:.0f} % of its skill"


def gather(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    plan: ValidationPlan,
    leaderboard: Leaderboard,
    *,
    deadline: Deadline,
) -> ModelEvidence:
    """Load the model and choose the rows: honest ones, and among them a sample to damage.

    How many depends on the budget and the width of the table, never on how fast this machine is.
    """
    task = Task(leaderboard.task)
    folder = ctx.artifacts.get_tree(leaderboard.model)
    scorer = Scorer.load(folder, verify=False)
    clean = ctx.artifacts.get_table(quality.clean)
    oof = ctx.artifacts.get_table(leaderboard.oof)
    reported = oof.filter("reported") if oof["reported"].any() else oof
    both = reported.join(_renamed(ctx.artifacts.get_table(leaderboard.baseline_oof)), on="row", maintain_order="left")
    both = both[_some(ctx, both.height, _MOST_HONEST_ROWS)]
    frame = clean[both["row"].cast(pl.Int64)]
    target = both["target"].to_numpy().astype(np.int64 if task.is_classification else np.float64)
    honest = HonestRows(
        frame=frame,
        target=target,
        predicted=_matrix(both, "p_", task),
        baseline=_same_for_all(_matrix(both, "base_", task)),
        clusters=clusters_of(frame, group=plan.group, time=plan.time),
    )
    chosen = _some(ctx, both.height, _sample_size(deadline.seconds, len(snapshot.schema.features)))
    return ModelEvidence(
        scorer=scorer,
        folder=folder,
        metric=metric_named(leaderboard.metric, task=task),
        sample=frame[chosen],
        target=target[chosen],
        clean=scorer.raw(frame[chosen]),
        baseline=honest.baseline[chosen],
        honest=honest,
        columns=_by_importance(scorer, leaderboard),
        max_latency_ms=ctx.project.serving.max_latency_ms,
        deadline=deadline,
        timer=ctx.timer,
        seed=ctx.seed,
        twin=leaderboard.twin,
    )


def _sample_size(seconds: float, width: int) -> int:
    wanted = _ROWS_PER_SECOND * seconds * _USUAL_WIDTH / max(width, _USUAL_WIDTH)
    return int(np.clip(wanted, _LEAST_ROWS, _MOST_ROWS))


def _some(ctx: Context, rows: int, most: int) -> Indices:
    if rows <= most:
        return np.arange(rows)
    return np.sort(ctx.rng(rows, most).choice(rows, most, replace=False))


def _renamed(baseline: pl.DataFrame) -> pl.DataFrame:
    names = [name for name in baseline.columns if name.startswith("p_")]
    return baseline.select("row", *(pl.col(name).alias(name.replace("p_", "base_", 1)) for name in names))


def _matrix(table: pl.DataFrame, stem: str, task: Task) -> Floats:
    width = sum(name.startswith(stem) for name in table.columns)
    matrix: Floats = table.select([f"{stem}{i}" for i in range(width)]).to_numpy().astype(np.float64)
    return matrix if task.is_classification else matrix[:, 0]


def _same_for_all(baseline: Floats) -> Floats:
    """Return the baseline's mean answer for every row.

    Fold by fold it differs by a hair, always to the wrong side (a fold with more yes was left out of its own mean), and
    a ranking metric would take that hair for a ranking.
    """
    return np.broadcast_to(baseline.mean(axis=0), baseline.shape).copy()


def _by_importance(scorer: Scorer, leaderboard: Leaderboard) -> tuple[Column, ...]:
    rank = {importance.feature: -importance.share for importance in leaderboard.importance}
    read = set(scorer.model.plan.inputs)
    columns = [column for column in scorer.model.schema.columns if column.name in read]
    return tuple(sorted(columns, key=lambda column: rank.get(column.name, 0.0)))
