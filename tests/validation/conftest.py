"""Fixtures for the validation room: a table walked through ingest and quality."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tenure.core.modelling import Fold, ValidationPlan
from tenure.core.ports import Context
from tenure.core.retraining import Recipe
from tenure.ingest.stage import ingest
from tenure.quality.stage import assess_quality
from tenure.validation.stage import design_validation

Design = Callable[..., tuple[ValidationPlan, list[Fold], pl.DataFrame]]


@pytest.fixture
def design(make_context: Callable[..., Context], tmp_path: Path) -> Design:
    """Return a function that takes a table (or the path of one) to its plan, folds and clean table."""

    def run(
        rows: pl.DataFrame | Path,
        *,
        task: str,
        target: str,
        data: str = "",
        more: str = "",
        recipe: Recipe | None = None,
    ) -> tuple[ValidationPlan, list[Fold], pl.DataFrame]:
        path = rows if isinstance(rows, Path) else tmp_path / "rows.parquet"
        if isinstance(rows, pl.DataFrame):
            rows.write_parquet(path)
        ctx = make_context(
            f'[project]\nname = "test"\ntask = "{task}"\n[data]\nsource = "{path}"\ntarget = "{target}"\n{data}\n{more}'
            '\n[training]\nbudget = "600s"'
        )
        snapshot = ingest(ctx)
        quality = assess_quality(ctx, snapshot)
        plan = design_validation(ctx, snapshot, quality, recipe)
        folds = list(plan.folds(ctx.artifacts.get_array(plan.blocks)))
        return plan, folds, ctx.artifacts.get_table(quality.clean)

    return run
