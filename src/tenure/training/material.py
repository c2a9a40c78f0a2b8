"""Gather what is learned from: the clean table, the encoded matrix that all fits share, the folds, the proposals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Kind, Snapshot
from tenure.core.errors import DataError, ExtraMissingError
from tenure.core.evidence import QualityReport
from tenure.core.metrics import Metric, metric_named
from tenure.core.modelling import Configuration, Floats, Indices, Scheme, ValidationPlan
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Context, Deadline, ModelFamily, Problem
from tenure.core.retraining import Recipe
from tenure.model.plan import ColumnPlan
from tenure.model.target import encode_target
from tenure.training.budget import Course
from tenure.training.families.own import OwnFamily
from tenure.training.features.crossfit import Outcomes
from tenure.training.features.fit import fit_encoding
from tenure.training.race import BASELINE
from tenure.training.recency import Recency

_SALT: Final = 4


@dataclass(frozen=True, eq=False)
class Material:
    """The clean table and what was made of it once.

    `counts` (n,) is how much each row counts where answers are judged, None where all count the same; in learning the
    weights of the problem hold, in which newer rows may count more.
    """

    clean: pl.DataFrame
    plan: ColumnPlan
    problem: Problem
    course: Course
    metric: Metric
    counts: Floats | None = None

    def counts_of(self, rows: Indices) -> Floats | None:
        """Return how much some rows count where answers are judged."""
        return None if self.counts is None else self.counts[rows]


def prepare(
    ctx: Context,
    snapshot: Snapshot,
    quality: QualityReport,
    plan: ValidationPlan,
    deadline: Deadline,
    recipe: Recipe | None = None,
) -> Material:
    """Read and encode the clean table; texts as far as the time until `deadline` allows.

    `recipe` says which rows are learned from and how much each counts; all are encoded, so that all can be judged.

    Fits get one thread each, because several run side by side and results must not depend on the number of cores.
    """
    task, schema = ctx.project.project.task, snapshot.schema
    clean = ctx.artifacts.get_table(quality.clean)
    target: NDArray[Any] = encode_target(clean[schema.target or ""], task, snapshot.classes)
    blocks = ctx.artifacts.get_array(plan.blocks)
    follows = plan.scheme is Scheme.FORWARD or plan.group is not None
    outcomes = Outcomes.of(
        task,
        len(snapshot.classes),
        target,
        rng=ctx.rng(_SALT, 1),
        folds=tuple(plan.folds(blocks)) if follows else (),
    )
    recency = None if recipe is None else Recency.of(recipe, clean, schema)
    course = Course.of(plan, blocks, None if recency is None else recency.learned)
    encoding = fit_encoding(
        clean,
        schema,
        rng=ctx.rng(_SALT),
        outcomes=outcomes,
        dropped=quality.dropped,
        deadline=deadline,
        in_time=course.in_time,
    )
    columns = encoding.plan
    counts = row_weights(clean, schema.weight)
    for unread in [c.name for c in schema.features if c.kind is Kind.TEXT and c.name not in columns.inputs]:
        if unread not in quality.dropped:
            ctx.log.note(f"The texts of {unread} would take too long to read, and are left out.")
    problem = Problem(
        task=task,
        classes=len(snapshot.classes),
        matrix=np.ascontiguousarray(encoding.matrix),
        names=columns.names,
        categorical=columns.categorical,
        target=target,
        weight=counts if recency is None else recency.weighted(counts),
        seed=ctx.seed,
        threads=1,
        in_time=course.in_time,
    )
    return Material(
        clean=clean,
        plan=columns,
        problem=problem,
        course=course,
        metric=metric_named(plan.metric, task=task),
        counts=counts,
    )


def row_weights(clean: pl.DataFrame, name: str | None) -> Floats | None:
    """Return how much each row counts, 1 on average; None where all count the same.

    Raises:
        DataError: a weight is missing, negative or no number, or all are 0.
    """
    if name is None:
        return None
    weights: Floats = clean[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    bad = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if bad.size or not weights.any():
        said = f"holds no usable number in row {bad[0] + 1}" if bad.size else "is 0 in every row"
        raise DataError(
            f"The weight column {name!r} {said}.",
            where="data.weight",
            hint="Give every row a number that is 0 or larger, or leave data.weight out.",
        )
    return np.array(weights / weights.mean())


def families_of(ctx: Context) -> list[ModelFamily]:
    """Return the families that the project names (all when it names none), and always the baseline.

    Raises:
        UnknownPluginError: the project names a family that nobody provides.
    """
    named = ctx.project.training.families
    names = plugin_names("family", project=ctx.folder) if named is None else (BASELINE, *named)
    others = [name for name in dict.fromkeys(names) if name != OwnFamily.name]
    families: list[ModelFamily] = [plugin("family", name, project=ctx.folder)() for name in others]
    own = ctx.project.training.own
    return [*families, OwnFamily(own, ctx.folder)] if own else families


def proposals_of(
    ctx: Context, families: list[ModelFamily], problem: Problem
) -> Iterator[tuple[ModelFamily, Configuration]]:
    """Yield every configuration of the families that can learn this task; without features, only the baseline's.

    Raises:
        ExtraMissingError: the project names a family whose package is not installed.
    """
    for family in families:
        if problem.task not in family.traits.tasks or not (problem.names or family.name == BASELINE):
            continue
        if isinstance(family, OwnFamily):
            family.rehearse(problem)
        try:
            configurations = family.configurations(problem.shape)
        except ExtraMissingError as error:
            if family.name in (ctx.project.training.families or ()):
                raise
            ctx.log.note(f"The family {family.name} is left out: {error.message}")
            continue
        for configuration in configurations:
            yield family, configuration
