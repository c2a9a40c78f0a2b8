"""Validation: decide how candidates are compared, and say why in one sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from tenure.core.data import Snapshot
from tenure.core.errors import ConfigError
from tenure.core.evidence import QualityReport
from tenure.core.metrics import DEFAULT_METRIC, metric_named
from tenure.core.modelling import Indices, Scheme, ValidationPlan
from tenure.core.ports import Context, Deadline
from tenure.core.retraining import Recipe
from tenure.model.target import encode_target
from tenure.validation.detect import Structure, detect_structure
from tenure.validation.naive import Comparison, Sample, compare_splits, most_rows, sample_rows
from tenure.validation.splits import Blocks, dealt_blocks, group_time_blocks, strata_of, time_blocks

_SHARE_OF_BUDGET: Final = 0.07
_LEAST_SECONDS: Final = 1.5
_HOLDOUT_FROM: Final = 100_000
_FEW_ROWS: Final = 500
_FOLDS_OF_FEW: Final = 10
_HOLDOUT_SHARES: Final = (0.8, 0.1, 0.1)
_SALT: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Split:
    """Blocks with the way they were made. `units` are the rows that were kept together, where any were."""

    splitter: str
    scheme: Scheme
    blocks: Blocks
    reason: str
    embargo: float = 0.0
    units: Indices | None = None

    @property
    def block_count(self) -> int:
        return int(self.blocks[:, 0].max()) + 1


def design_validation(
    ctx: Context, snapshot: Snapshot, quality: QualityReport, recipe: Recipe | None = None, *, compare: bool = True
) -> ValidationPlan:
    """Choose how candidates will be compared, and say why in one sentence.

    Time comes first because it copies how the model will be used; a group that owns several rows is kept on one side
    of every split; exact copies too. `validation.splitter` overrules the choice. `compare` also asks a quick model
    what a plain random split would have claimed. A `recipe` says how many of the newest rows judge; what it promises
    was asked on the rows before, so no random split is asked about.

    Raises:
        ConfigError: the project asks for a metric or splitter that does not fit the data.
    """
    deadline = ctx.deadline(max(_LEAST_SECONDS, _SHARE_OF_BUDGET * ctx.project.training.budget))
    task = ctx.project.project.task
    metric = metric_named(ctx.project.validation.metric or DEFAULT_METRIC[task], task=task)
    frame = ctx.artifacts.get_table(quality.clean)
    structure = detect_structure(frame, snapshot.schema, frozenset(quality.dropped))
    target = encode_target(frame[snapshot.schema.target or ""], task, snapshot.classes)
    strata = strata_of(target, classification=task.is_classification)
    split = _choose(ctx, structure, strata, recipe)
    ctx.log.note(f"{split.splitter}: {split.reason}")
    group = structure.group if split.splitter.startswith("group") or split.units is structure.groups else None
    time = structure.time if split.splitter.endswith("time-blocks") else None
    plan = ValidationPlan(
        scheme=split.scheme,
        splitter=split.splitter,
        block_count=split.block_count,
        blocks=ctx.artifacts.put_array(split.blocks),
        metric=metric.name,
        reason=split.reason,
        group=group,
        time=time,
        embargo_seconds=split.embargo,
        made_from=(snapshot.digest, quality.digest),
    )
    if not compare or recipe is not None:
        return plan
    said = _against_naive(ctx, snapshot, quality, frame, split, plan, deadline)
    return replace(plan, naive=said.naive, planned=said.planned, naive_says=said.says)


def _choose(ctx: Context, structure: Structure, strata: Indices, recipe: Recipe | None) -> _Split:
    wish = ctx.project.validation.splitter
    if wish is not None:
        return _asked_for(ctx, structure, strata, wish, recipe)
    split = _in_time(ctx, structure, strata, recipe)
    if split is None and recipe is not None:
        split = _in_order(ctx, strata, recipe)
    if split is not None:
        return split
    if len(strata) > _HOLDOUT_FROM:
        split = _holdout(ctx, structure, strata)
    elif _owners(structure) > 1:
        split = _by_group(ctx, structure, strata)
    else:
        split = _stratified(ctx, structure, strata)
    if structure.time is None:
        return split
    return replace(split, reason=f"{structure.time!r} has too few different values to cut in time. {split.reason}")


def _owners(structure: Structure) -> int:
    """Return how many groups there are, 0 where no group repeats."""
    return 0 if structure.groups is None else int(np.unique(structure.groups).size)


def _asked_for(ctx: Context, structure: Structure, strata: Indices, wish: str, recipe: Recipe | None) -> _Split:
    """Follow `validation.splitter`.

    Raises:
        ConfigError: it needs a time or group column, or enough different times, and there is none.
    """
    split: _Split | None = None
    if wish == "time-blocks":
        split = _forward(ctx, structure, strata, recipe)
    elif wish == "group-time-blocks":
        split = _in_time(ctx, structure, strata, recipe)
    elif wish == "group-k-fold" and _owners(structure) > 1:
        split = _by_group(ctx, structure, strata)
    elif wish == "holdout":
        split = _holdout(ctx, structure, strata)
    elif wish in ("k-fold", "stratified-k-fold"):
        split = _stratified(ctx, structure, strata if wish == "stratified-k-fold" else np.zeros_like(strata))
        split = replace(split, splitter=wish)
    if split is None or split.splitter != wish:
        raise ConfigError(
            f"The splitter {wish!r} does not fit these data.",
            where="validation.splitter",
            hint="Time blocks need a time column with several values (data.time), groups a column whose values "
            "repeat (data.group); leave the key out and the data decide.",
        )
    return replace(split, reason=f"The project file asks for {wish}. {split.reason}")


def _fold_count(ctx: Context, rows: int) -> int:
    """Return the folds asked for; left out, 10 below 500 rows and 5 above."""
    spec = ctx.project.validation
    few = rows < _FEW_ROWS and "folds" not in spec.model_fields_set
    return max(2, min(_FOLDS_OF_FEW if few else spec.folds, rows))


def _in_time(ctx: Context, structure: Structure, strata: Indices, recipe: Recipe | None) -> _Split | None:
    """Cut in time, with new groups in every block where groups come and go; None where time cannot be cut in three."""
    if structure.moments is None:
        return None
    if structure.groups is not None:
        delay, count = _delay(ctx, recipe), ctx.project.validation.folds
        classes = strata if ctx.project.project.task.is_classification else None
        newest = _newest(ctx, strata, recipe)
        blocks = group_time_blocks(
            structure.moments, structure.groups, count, delay=delay, classes=classes, newest=newest
        )
        if blocks is not None:
            reason = (
                f"Predictions are made after {structure.time!r} and for new values of {structure.group!r}, "
                "so models are judged on later rows of groups they have never seen."
            )
            return _Split("group-time-blocks", Scheme.FORWARD, blocks, reason, delay, structure.groups)
    return _forward(ctx, structure, strata, recipe)


def _delay(ctx: Context, recipe: Recipe | None) -> float:
    """Return how long outcomes take (seconds): the owner's word, or what a recipe learned of it."""
    return max(ctx.project.data.outcome_delay, 0.0 if recipe is None else recipe.delay)


def _newest(ctx: Context, strata: Indices, recipe: Recipe | None) -> int | None:
    """Return how many of the newest rows judge a recipe; None for an equal share."""
    newest = None if recipe is None else recipe.judged
    fits = newest is not None and newest < len(strata) // 2 and ctx.project.validation.folds >= 3
    return newest if fits else None


def _in_order(ctx: Context, strata: Indices, recipe: Recipe) -> _Split | None:
    """Cut rows without times in the order in which they came: those of the source, then those of the log."""
    classes = strata if ctx.project.project.task.is_classification else None
    blocks = time_blocks(
        np.arange(len(strata), dtype=np.float64),
        ctx.project.validation.folds,
        delay=float(recipe.lag),
        classes=classes,
        newest=_newest(ctx, strata, recipe),
    )
    if blocks is None:
        return None
    reason = "A recipe is judged on the newest rows, and rows without times stand in the order in which they came."
    return _Split("time-blocks", Scheme.FORWARD, blocks, reason)


def _forward(ctx: Context, structure: Structure, strata: Indices, recipe: Recipe | None) -> _Split | None:
    """Cut in time; where the outcome is known too late for any past to learn from, say so and ignore the delay."""
    if structure.moments is None:
        return None
    delay, count, newest = _delay(ctx, recipe), ctx.project.validation.folds, _newest(ctx, strata, recipe)
    classes = strata if ctx.project.project.task.is_classification else None
    reason = (
        f"Predictions are made after {structure.time!r}, so models learn from the past and are judged on later rows"
    )
    if structure.groups is not None:
        reason += f" (values of {structure.group!r} go on through time and may lie on both sides)"
    blocks = time_blocks(structure.moments, count, delay=delay, classes=classes, newest=newest)
    if blocks is not None:
        waits = f", each outcome known {_days(delay)} late" if delay else ""
        return _Split("time-blocks", Scheme.FORWARD, blocks, f"{reason}{waits}.", delay)
    blocks = time_blocks(structure.moments, count, classes=classes, newest=newest) if delay else None
    if blocks is None:
        return None
    reason += f"; the outcome delay of {_days(delay)} is too long for the time that the data cover and was left out."
    return _Split("time-blocks", Scheme.FORWARD, blocks, reason)


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:.3g} days" if seconds >= 86_400 else f"{seconds / 3600:.3g} hours"


def _holdout(ctx: Context, structure: Structure, strata: Indices) -> _Split:
    units = structure.groups if structure.groups is not None else structure.copies
    blocks = dealt_blocks(strata, _HOLDOUT_SHARES, ctx.rng(_SALT), units=units)
    reason = (
        f"{len(strata):,} rows are enough to judge on a tenth and report on another tenth, "
        f"drawn at random{_kept_together(structure, units)}."
    )
    return _Split("holdout", Scheme.FORWARD, blocks, reason, units=units)


def _by_group(ctx: Context, structure: Structure, strata: Indices) -> _Split:
    count = min(_fold_count(ctx, len(strata)), _owners(structure))
    blocks = dealt_blocks(strata, [1.0] * count, ctx.rng(_SALT), units=structure.groups)
    reason = f"One {structure.group!r} owns several rows, so all its rows stay on one side of every split."
    return _Split("group-k-fold", Scheme.CROSS, blocks, reason, units=structure.groups)


def _stratified(ctx: Context, structure: Structure, strata: Indices) -> _Split:
    count = _fold_count(ctx, len(strata))
    blocks = dealt_blocks(strata, [1.0] * count, ctx.rng(_SALT), units=structure.copies)
    is_classes = ctx.project.project.task.is_classification
    name = "stratified-k-fold" if is_classes else "k-fold"
    alike = "classes" if is_classes else "targets"
    reason = (
        f"Rows stand alone, so they are dealt into {count} random folds with equal shares of all {alike}"
        f"{_kept_together(structure, structure.copies)}."
    )
    return _Split(name, Scheme.CROSS, blocks, reason, units=structure.copies)


def _kept_together(structure: Structure, units: Indices | None) -> str:
    if units is None:
        return ""
    if units is structure.groups:
        return f", each {structure.group!r} in one part"
    return f", exact copies ({100 * structure.copy_share:.2g} % of rows) kept together"


def _against_naive(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    frame: pl.DataFrame,
    split: _Split,
    plan: ValidationPlan,
    deadline: Deadline,
) -> Comparison:
    """Score a quick model under the plan and under a random split, on a sample that keeps order and units whole."""
    rng = ctx.rng(_SALT, 1)
    columns = tuple(column for column in snapshot.schema.features if column.name not in quality.dropped)
    if not columns:
        return Comparison(None, None, "There is no feature to compare splits with.")
    in_time = plan.time is not None
    units = None if in_time else split.units
    task, classes = ctx.project.project.task, len(snapshot.classes)
    most = most_rows(task, classes, tied=in_time or plan.group is not None)
    rows = sample_rows(frame.height, len(columns), rng, most=most, units=units, ordered=in_time)
    target = encode_target(frame[rows][snapshot.schema.target or ""], task, snapshot.classes)
    sample = Sample(frame[rows], snapshot.schema, columns, target, task, classes, plan.group, plan.time)
    folds = [(fold.train, fold.valid) for fold in plan.folds(split.blocks[rows]) if fold.train.size and fold.valid.size]
    return compare_splits(
        sample,
        metric_named(plan.metric, task=task),
        folds,
        blocks=plan.block_count,
        is_random=not in_time and split.units is None,
        rng=rng,
        deadline=deadline,
    )
