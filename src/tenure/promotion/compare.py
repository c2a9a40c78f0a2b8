"""Compare a candidate with the model in office on the same rows, each row predicted by models that never saw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Role, Snapshot
from tenure.core.errors import ArtifactError, BundleError, SchemaChangedError
from tenure.core.evidence import QualityReport
from tenure.core.lifecycle import Comparison, Incumbent
from tenure.core.metrics import metric_named, positive
from tenure.core.modelling import Floats, Indices, Leaderboard, Task, ValidationPlan
from tenure.core.ports import Context
from tenure.core.uncertainty import Clusters, clusters_of, mean_with_interval, paired_gain, score_with_interval
from tenure.core.value import PER, acted, cost_of_errors, realised, share_of_actions
from tenure.model.rows import row_ids
from tenure.model.scorer import Scorer

LEAST_ROWS: Final = 100
"""Fewer common rows than this decide nothing between two models."""
LEAST_ROWS_BASELINE: Final = 30
_MOST_LIVE_ROWS: Final = 20_000
_BASELINE: Final = "baseline"


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison, or None and the reason why there is none. `says` also tells what had to be done differently."""

    comparison: Comparison | None
    says: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows that both sides predicted out of sample.

    `row` are positions in the clean table, `target` class codes or values; `new` and `old` are predictions,
    (n, k) or (n,). `old_threshold` is the other side's own threshold for acting.
    """

    row: Indices
    target: NDArray[np.float64] | NDArray[np.int64]
    new: Floats
    old: Floats
    old_threshold: float | None


def compare(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    plan: ValidationPlan,
    leaderboard: Leaderboard,
    incumbent: Incumbent | None,
) -> Compared:
    """Compare the candidate with the incumbent, or with the baseline where there is none that can be compared."""
    honest = honest_rows(ctx.artifacts.get_table(leaderboard.oof))
    clean = ctx.artifacts.get_table(quality.clean)
    says = ""
    if incumbent is not None:
        label = f"v{incumbent.version}"
        try:
            rows = _with_champion(ctx, clean, honest, snapshot, leaderboard, incumbent)
        except (SchemaChangedError, BundleError, ArtifactError) as error:
            says = f"The champion {label} cannot be asked about these rows ({error.message}) So the baseline stands in."
        else:
            if rows.row.size < LEAST_ROWS:
                return Compared(None, _too_few(rows.row.size, f"the champion {label}", LEAST_ROWS))
            return Compared(_measured(ctx, clean, plan, leaderboard, rows, label))
    rows = _with_baseline(ctx, honest, leaderboard)
    if rows.row.size < LEAST_ROWS_BASELINE:
        return Compared(None, f"{says} {_too_few(rows.row.size, 'the baseline', LEAST_ROWS_BASELINE)}".strip())
    return Compared(_measured(ctx, clean, plan, leaderboard, rows, _BASELINE), says)


def _too_few(rows: int, rival: str, least: int) -> str:
    return f"Only {rows} rows can be compared fairly with {rival}; at least {least} are needed."


def honest_rows(oof: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of an out-of-fold table that no choice looked at; all rows where none was kept apart."""
    return oof.filter("reported") if oof["reported"].any() else oof


def predictions(table: pl.DataFrame, task: Task, *, stem: str = "p_") -> Floats:
    """Return the columns `stem`0, `stem`1, ... as probabilities (n, k), or as values (n,) for regression."""
    width = sum(name.startswith(stem) for name in table.columns)
    matrix: Floats = table.select([f"{stem}{i}" for i in range(width)]).to_numpy().astype(np.float64)
    return matrix if task.is_classification else matrix[:, 0]


def target_of(table: pl.DataFrame, task: Task) -> NDArray[np.float64] | NDArray[np.int64]:
    """Return the target column of an out-of-fold table as class codes or values."""
    values = table["target"].to_numpy()
    return values.astype(np.int64) if task.is_classification else values.astype(np.float64)


def _with_baseline(ctx: Context, honest: pl.DataFrame, leaderboard: Leaderboard) -> Rows:
    task = Task(leaderboard.task)
    baseline = _as_old(ctx.artifacts.get_table(leaderboard.baseline_oof), by="row")
    both = honest.join(baseline, on="row", how="inner", maintain_order="left")
    return Rows(
        both["row"].cast(pl.Int64).to_numpy(),
        target_of(both, task),
        predictions(both, task),
        _same_for_all(predictions(both, task, stem="old_")),
        leaderboard.threshold,
    )


def _same_for_all(baseline: Floats) -> Floats:
    """Return the baseline's mean answer for every row.

    Fold by fold it differs by a hair, always to the wrong side (a fold with more yes was left out of its own mean), and
    a ranking metric would take that hair for a ranking.
    """
    return np.broadcast_to(baseline.mean(axis=0), baseline.shape).copy()


def _as_old(oof: pl.DataFrame, *, by: str) -> pl.DataFrame:
    """Return an out-of-fold table's predictions under the names old_0, old_1, ..., with the column `by`."""
    names = [name for name in oof.columns if name.startswith("p_")]
    return oof.select(by, *(pl.col(name).alias(f"old_{name.removeprefix('p_')}") for name in names))


def _with_champion(
    ctx: Context,
    clean: pl.DataFrame,
    honest: pl.DataFrame,
    snapshot: Snapshot,
    leaderboard: Leaderboard,
    incumbent: Incumbent,
) -> Rows:
    """Return the rows that the champion can be asked about: its own out-of-fold rows, and rows it never saw (live).

    Raises:
        SchemaChangedError: the champion needs columns, or knows classes, that these rows do not have.
        BundleError, ArtifactError: what is kept of the champion cannot be read.
    """
    task = Task(leaderboard.task)
    scorer = Scorer.load(ctx.artifacts.get_tree(incumbent.model))
    _refuse_other_question(scorer, snapshot, task)
    _refuse_missing_columns(scorer, clean)
    before = ctx.artifacts.get_record(Leaderboard, incumbent.leaderboard)
    schema = scorer.model.schema
    trained_on = row_ids(ctx.artifacts.get_table(before.clean), schema)
    told = _as_old(ctx.artifacts.get_table(before.oof), by="row_id")
    here = pl.DataFrame({"row": np.arange(clean.height), "row_id": row_ids(clean, schema)})
    rows = (
        honest.drop("row_id")
        .with_columns(pl.col("row").cast(pl.Int64))
        .join(here.with_columns(pl.col("row").cast(pl.Int64)), on="row", how="left", maintain_order="left")
        .join(told, on="row_id", how="left", maintain_order="left")
    )
    unseen = ~rows["row_id"].is_in(trained_on).to_numpy()
    has_told = rows["old_0"].is_not_null().to_numpy()
    live = _at_most(np.flatnonzero(unseen & ~has_told), ctx)
    old = predictions(rows, task, stem="old_")
    if live.size:
        old[live] = scorer.raw(clean[rows["row"].to_numpy()[live]])
    usable = np.sort(np.concatenate([np.flatnonzero(has_told), live]))
    chosen = rows[usable]
    return Rows(
        chosen["row"].to_numpy(),
        target_of(chosen, task),
        predictions(chosen, task),
        old[usable],
        scorer.model.threshold,
    )


def _refuse_other_question(scorer: Scorer, snapshot: Snapshot, task: Task) -> None:
    if scorer.model.task is not task or tuple(scorer.model.classes) != tuple(snapshot.classes):
        raise SchemaChangedError(
            "It answers another question: task or classes changed.",
            where="data.target",
            hint="Compare with the baseline, as for a first model.",
        )


def _refuse_missing_columns(scorer: Scorer, clean: pl.DataFrame) -> None:
    scorer.check_columns(clean.columns)
    wanted = [column.name for column in scorer.model.schema.columns if column.role is not Role.IGNORED]
    gone = [name for name in wanted if name not in clean.columns]
    if gone:
        raise SchemaChangedError(
            f"Its rows had columns that are gone: {', '.join(gone)}.",
            where="data",
            hint="Compare with the baseline, as for a first model.",
        )


def _at_most(positions: Indices, ctx: Context) -> Indices:
    if positions.size <= _MOST_LIVE_ROWS:
        return positions
    return np.sort(ctx.rng(positions.size).choice(positions, _MOST_LIVE_ROWS, replace=False))


def _measured(
    ctx: Context, clean: pl.DataFrame, plan: ValidationPlan, leaderboard: Leaderboard, rows: Rows, against: str
) -> Comparison:
    task = Task(leaderboard.task)
    metric = metric_named(leaderboard.judged_by or leaderboard.metric, task=task)
    clusters = clusters_of(clean[rows.row], group=plan.group, time=plan.time)
    gain, low, high = paired_gain(metric, rows.target, rows.new, rows.old, clusters=clusters)
    money = _value_gain(ctx, clean, plan, leaderboard, rows, clusters)
    return Comparison(
        metric=metric.name,
        against=against,
        challenger=score_with_interval(metric, rows.target, rows.new, clusters=clusters),
        champion=score_with_interval(metric, rows.target, rows.old, clusters=clusters),
        gain=gain,
        low=low,
        high=high,
        rows=int(rows.row.size),
        value_gain=money[0] if money else None,
        value_low=money[1] if money else None,
        value_high=money[2] if money else None,
    )


def _value_gain(
    ctx: Context,
    clean: pl.DataFrame,
    plan: ValidationPlan,
    leaderboard: Leaderboard,
    rows: Rows,
    clusters: Clusters | None,
) -> tuple[float, float, float] | None:
    """Return what the candidate makes more per 1,000 decisions, with its interval; None without values."""
    value = ctx.project.value
    task = Task(leaderboard.task)
    if task is Task.REGRESSION and value.error_cost is not None:
        target = rows.target.astype(np.float64)
        more = cost_of_errors(target, rows.new, value.error_cost) - cost_of_errors(target, rows.old, value.error_cost)
    elif task is Task.BINARY and value.is_given:
        share = share_of_actions(
            value, ctx.project.monitoring, clean[plan.time].to_numpy() if plan.time else None, rows=clean.height
        )
        is_yes = rows.target == 1
        new = acted(positive(rows.new), threshold=_or_break_even(ctx, leaderboard.threshold), share=share)
        old = acted(positive(rows.old), threshold=_or_break_even(ctx, rows.old_threshold), share=share)
        more = realised(is_yes, new, value) - realised(is_yes, old, value)
    else:
        return None
    mean, low, high = mean_with_interval(more, clusters=clusters)
    return PER * mean, PER * low, PER * high


def _or_break_even(ctx: Context, threshold: float | None) -> float:
    return ctx.project.value.break_even if threshold is None else threshold
