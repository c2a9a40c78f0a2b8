"""Fixtures for the quality room: a table as a snapshot, walked through ingest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tenure.core.data import Snapshot
from tenure.core.evidence import QualityReport
from tenure.core.ports import Context
from tenure.ingest.stage import ingest
from tenure.quality.stage import assess_quality

Assess = Callable[..., tuple[Context, Snapshot, QualityReport]]


@pytest.fixture
def assess(make_context: Callable[..., Context], tmp_path: Path) -> Assess:
    """Return a function that takes a table (or the path of one) from ingest through quality."""

    def run(
        rows: pl.DataFrame | Path, *, task: str, target: str, data: str = "", more: str = ""
    ) -> tuple[Context, Snapshot, QualityReport]:
        path = rows if isinstance(rows, Path) else tmp_path / "rows.parquet"
        if isinstance(rows, pl.DataFrame):
            rows.write_parquet(path)
        ctx = make_context(
            f'[project]\nname = "test"\ntask = "{task}"\n[data]\nsource = "{path}"\ntarget = "{target}"\n{data}\n{more}'
            '\n[training]\nbudget = "600s"'
        )
        snapshot = ingest(ctx)
        return ctx, snapshot, assess_quality(ctx, snapshot)

    return run
