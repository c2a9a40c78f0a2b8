"""Make a model from the one in office without a search: its answers corrected, its leaves learned again, trees added.

What it promises is prequential (Dawid 1984): each of the latest blocks is answered by the model as it would have been
made from what was known before the block. Rows that the model in office learned from are no evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Snapshot
from tenure.core.errors import EmptyDataError, NoChampionError, SchemaChangedError
from tenure.core.evidence import QualityReport
from tenure.core.lifecycle import Incumbent
from tenure.core.metrics import PROPER_LOSS, metric_named
from tenure.core.modelling import Floats, Indices, Leaderboard, Task, ValidationPlan
from tenure.core.ports import Context
from tenure.core.retraining import Recipe, Way
from tenure.core.uncertainty import measured_on
from tenure.model.correction import Correction, fit_correction
from tenure.model.fitted import FittedModel
from tenure.model.rows import row_ids
from tenure.model.scorer import Scorer
from tenure.model.target import encode_target
from tenure.training.calibration import probability_interval, residual_interval
from tenure.training.keeping import kept
from tenure.training.leaves import Lesson, continued, has_trees, with_new_leaves
from tenure.training.material import row_weights
from tenure.training.recency import Recency
from tenure.training.scores import clusters_of, score
from tenure.training.twin import correlation

JUDGED_WINDOWS: Final = 4
CORRECTION_WINDOWS: Final = 2
"""Answers are corrected by the latest windows only: what they need lately."""
_BLOCKS: Final = 4
_FEWEST_ROWS: Final = 100
"""With fewer rows to learn from a model stays as it is."""
_INTERVAL_ROWS: Final = 300
_NEW_ROWS: Final = 3


@dataclass(frozen=True, eq=False)
class _Matter:
    """The rows that count for a recipe, in order of time: `rows` are their positions in the clean table.

    `fresh` says which the model never saw; `moments` are microseconds, None where rows have no times.
    """

    ctx: Context
    recipe: Recipe
    model: FittedModel
    clean: pl.DataFrame
    rows: Indices
    matrix: Floats
    target: NDArray[Any]
    counts: Floats | None
    fresh: NDArray[np.bool_]
    moments: NDArray[np.int64] | None

    def counts_of(self, at: Indices) -> Floats | None:
        return None if self.counts is None else self.counts[self.rows[at]]

    def latest(self, at: Indices, windows: int) -> Indices:
        """Return the rows of the latest windows among some (ascending places)."""
        monitoring = self.ctx.project.monitoring
        if monitoring.window_rows is not None:
            return at[-windows * monitoring.window_rows :]
        if self.moments is None or monitoring.window_seconds is None or at.size == 0:
            return at
        width = timedelta(seconds=windows * monitoring.window_seconds) // timedelta(microseconds=1)
        lately: Indices = at[self.moments[at] > self.moments[at[-1]] - width]
        return lately

    def known_before(self, at: int) -> Indices:
        """Return the rows before the one at that place whose outcomes were known by then."""
        if self.moments is None:
            return np.arange(max(at - self.recipe.lag, 0))
        seconds = max(self.ctx.project.data.outcome_delay, self.recipe.delay)
        delay = timedelta(seconds=seconds) // timedelta(microseconds=1)
        known: Indices = np.flatnonzero(self.moments[:at] <= self.moments[at] - delay)
        return known

    def made_from(self, known: Indices) -> FittedModel:
        """Return the model that the recipe makes of what was known; as it is where that is too little."""
        way = self.recipe.way
        new = known[self.fresh[known]]
        if way is Way.RECALIBRATE:
            learned = self.latest(new, CORRECTION_WINDOWS)
            return self.model if learned.size < _FEWEST_ROWS else self._corrected(learned)
        if way is Way.RESTORE or new.size < _FEWEST_ROWS:
            return self.model
        if way is Way.CONTINUE:
            return continued(self.model, self._lesson(new, self.counts_of(new)))
        recency = Recency.of(self.recipe, self.clean, self.model.schema)
        learned = recency.learned(known)
        weights = recency.weighted(self.counts)
        lesson = self._lesson(learned, None if weights is None else weights[self.rows[learned]])
        return with_new_leaves(self.model, lesson, self.recipe.mix)

    def _lesson(self, at: Indices, weight: Floats | None) -> Lesson:
        return Lesson(self.matrix[at], self.target[at], weight)

    def _corrected(self, at: Indices) -> FittedModel:
        found = fit_correction(
            self.target[at],
            self.model.predict(self.matrix[at]),
            weight=self.counts_of(at),
            level_only=self.recipe.mix is not None,
        )
        return replace(self.model, correction=_after(self.model.correction, found))


@dataclass(frozen=True, eq=False)
class _Told:
    """What was said of the judged rows, in order: by the recipe and by the baseline, each before it was known."""

    at: Indices
    predicted: Floats
    baseline: Floats
    twin: float | None


def refresh(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    plan: ValidationPlan,
    recipe: Recipe,
    basis: Incumbent | None,
) -> Leaderboard:
    """Return the board of the model that a recipe makes of `basis`; its candidates are those of the search before.

    Raises:
        NoChampionError: there is no model to start from.
        EmptyDataError: no rows came since that model was made.
        SchemaChangedError: it answers another question, reads columns that are gone, or has no trees to go on from.
        BundleError, ArtifactError: what is kept of it cannot be read.
    """
    started = ctx.timer()
    if basis is None:
        raise NoChampionError(
            f"There is no model in office that {recipe.name!r} could start from.", hint="Train one with: tenure run"
        )
    before = ctx.artifacts.get_record(Leaderboard, basis.leaderboard)
    model = _model_of(ctx, snapshot, recipe, basis)
    matter = _matter(ctx, quality, recipe, model, before, label=f"v{basis.version}")
    ctx.log.note(f"{recipe.name}: {int(matter.fresh.sum()):,} rows came since v{basis.version} was made.")
    final = matter.made_from(np.arange(matter.rows.size))
    told = _told(matter, final)
    if final is not model:
        final = _with_intervals(final, matter, told)
    metric = metric_named(plan.metric, task=model.task)
    rows, target = matter.rows[told.at], matter.target[told.at]
    how: dict[str, Any] = {
        "clusters": clusters_of(matter.clean, plan, rows),
        "weight": matter.counts_of(told.at),
        "seed": ctx.seed,
    }
    measured = score(metric, target, told.predicted, **how)
    says = f"Each of the latest {rows.size:,} rows was answered by the model as it was before the row's outcome."
    ids = row_ids(matter.clean, snapshot.schema, rows)
    return replace(
        before,
        metric=metric.name,
        model=basis.model if final is model else kept(ctx, final, matter.clean),
        oof=ctx.artifacts.put_table(_oof(rows, ids, target, told.predicted)),
        baseline_oof=ctx.artifacts.put_table(_oof(rows, ids, target, told.baseline)),
        score=measured,
        expected=measured_on(measured, max(matter.clean.height // _NEW_ROWS, 1)),
        expected_says=says,
        baseline=score(metric, target, told.baseline, **how),
        stopped_because=f"Made from v{basis.version} ({recipe.name}), without a search.",
        budget_seconds=0.0,
        seconds=ctx.timer() - started,
        clean=quality.clean,
        made_from=(snapshot.digest, quality.digest, plan.digest, basis.digest),
        recipe=recipe.name,
        twin=told.twin,
        judged_by=_judged_by(recipe, model.task),
    )


def _judged_by(recipe: Recipe, task: Task) -> str:
    """Return the metric to compare by: a ranking does not see that probabilities were moved, or moved back."""
    moves = recipe.way in (Way.RECALIBRATE, Way.RESTORE)
    return PROPER_LOSS[task] if moves and task.is_classification else ""


def _model_of(ctx: Context, snapshot: Snapshot, recipe: Recipe, basis: Incumbent) -> FittedModel:
    model = Scorer.load(ctx.artifacts.get_tree(basis.model)).model
    if model.task is not ctx.project.project.task or tuple(model.classes) != tuple(snapshot.classes):
        raise SchemaChangedError(
            f"v{basis.version} answers another question: task or classes changed.",
            where="data.target",
            hint="Train a new model with: tenure run",
        )
    if recipe.way in (Way.LEAVES, Way.CONTINUE) and not has_trees(model):
        raise SchemaChangedError(
            f"v{basis.version} has no LightGBM trees to go on from.",
            where=recipe.name,
            hint="Train a new model with: tenure run",
        )
    return model


def _matter(
    ctx: Context, quality: QualityReport, recipe: Recipe, model: FittedModel, before: Leaderboard, *, label: str
) -> _Matter:
    clean = ctx.artifacts.get_table(quality.clean)
    Scorer(model).check_columns(clean.columns)
    seen = pl.Series(row_ids(ctx.artifacts.get_table(before.clean), model.schema), dtype=pl.String)
    fresh = ~pl.Series(row_ids(clean, model.schema), dtype=pl.String).is_in(seen.implode()).to_numpy()
    if fresh.sum() < 2 * _BLOCKS:
        raise EmptyDataError(
            f"Only {int(fresh.sum())} rows came since {label} was made, too few to judge a correction by.",
            where="data.source",
            hint="Wait for outcomes, or train on all rows with: tenure run",
        )
    # Old rows are encoded only for leaves, which learn from them too.
    rows = np.arange(clean.height) if recipe.way is Way.LEAVES else np.flatnonzero(fresh)
    part, time = clean[rows], model.time
    has_times = time is not None and part[time].dtype.is_temporal() and part[time].null_count() == 0
    moments = part[time].cast(pl.Datetime("us")).to_physical().to_numpy() if has_times and time else None
    return _Matter(
        ctx,
        recipe,
        model,
        clean,
        rows,
        model.plan.encode(model.dates.read_table(part)),
        encode_target(part[model.target], model.task, model.classes),
        row_weights(clean, model.schema.weight),
        fresh[rows],
        moments,
    )


def _told(matter: _Matter, final: FittedModel) -> _Told:
    """Answer the latest windows block by block, each by what was known before it; the last one's twin is `final`."""
    judged = matter.latest(np.flatnonzero(matter.fresh), JUDGED_WINDOWS)
    blocks = [block for block in np.array_split(judged, _BLOCKS) if block.size]
    said, plain = [], []
    made = matter.model
    for block in blocks:
        known = matter.known_before(int(block[0]))
        made = matter.made_from(known)
        said.append(made.predict(matter.matrix[block]))
        plain.append(_baseline(matter, known, block.size))
    earlier = np.concatenate(blocks[:-1]) if len(blocks) > 1 else judged
    twin = correlation(made.predict(matter.matrix[earlier]), final.predict(matter.matrix[earlier]))
    return _Told(judged, np.concatenate(said), np.concatenate(plain), twin)


def _baseline(matter: _Matter, known: Indices, rows: int) -> Floats:
    """Return what one says who knows only how often each class came, or the mean; before anything is known, of all."""
    target = matter.target[known] if known.size else matter.target
    if matter.model.task is Task.REGRESSION:
        return np.full(rows, float(target.mean()))
    shares = np.bincount(target, minlength=len(matter.model.classes)) / target.size
    return np.tile(shares, (rows, 1))


def _with_intervals(model: FittedModel, matter: _Matter, told: _Told) -> FittedModel:
    """Return the model with the intervals that its answers before the outcomes show, where these are enough."""
    if told.at.size < _INTERVAL_ROWS or model.task is Task.MULTICLASS:
        return model
    target, weight = matter.target[told.at], matter.counts_of(told.at)
    if model.task is Task.REGRESSION:
        return replace(model, interval=residual_interval(target, told.predicted, weight=weight))
    sure = probability_interval(target, told.predicted[:, -1], weight=weight)
    return replace(model, probability_interval=sure)


def _after(one: Correction | None, other: Correction) -> Correction:
    """Return the correction that does what both do, one after the other."""
    if one is None:
        return other
    offsets = other.slope * np.asarray(one.offsets) + np.asarray(other.offsets)
    return Correction(other.slope * one.slope, tuple(offsets.tolist()))


def _oof(rows: Indices, ids: list[str], target: NDArray[Any], predicted: Floats) -> pl.DataFrame:
    told = predicted.reshape(len(rows), -1)
    columns = {"row": rows, "row_id": ids, "reported": np.ones(len(rows), dtype=bool), "target": target}
    return pl.DataFrame(columns | {f"p_{at}": told[:, at] for at in range(told.shape[1])})
