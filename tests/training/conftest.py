"""Deadlines that never come, and the records that the training stage reads, built by hand."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from tenure.core.contract import Contract
from tenure.core.data import Column, Kind, Role, Schema, Snapshot
from tenure.core.evidence import QualityReport
from tenure.core.metrics import DEFAULT_METRIC
from tenure.core.modelling import Scheme, Task, ValidationPlan
from tenure.core.ports import Context, Deadline


@pytest.fixture
def plenty() -> Deadline:
    """Return a deadline that never comes."""
    return Deadline(1e9, time.monotonic)


Trained = tuple[Context, Snapshot, QualityReport, ValidationPlan]


@pytest.fixture
def records(make_context: Callable[..., Context]) -> Callable[..., Trained]:
    """Return a function that makes what `train` reads, from a table and the kinds and roles of its columns."""

    def make(
        frame: pl.DataFrame,
        task: Task,
        *,
        columns: dict[str, tuple[Kind, Role]] | None = None,
        blocks: NDArray[np.int16] | None = None,
        scheme: Scheme = Scheme.CROSS,
        metric: str | None = None,
        budget: str = "60s",
        more: str = "",
        **plan: object,
    ) -> Trained:
        ctx = make_context(
            f'[project]\nname = "x"\ntask = "{task}"\n[data]\nsource = "x"\ntarget = "target"\n'
            f'[training]\nbudget = "{budget}"\n{more}'
        )
        schema = Schema(tuple(_column(name, frame[name], columns or {}) for name in frame.columns))
        table = ctx.artifacts.put_table(frame)
        classes = tuple(sorted(frame["target"].cast(pl.String).unique())) if task.is_classification else ()
        snapshot = Snapshot(table, frame.height, schema, "by hand", classes)
        contract = ctx.artifacts.put_record(Contract(columns=(), rows=frame.height))
        quality = QualityReport(clean=table, rows=frame.height, contract=contract)
        if blocks is None:
            blocks = np.zeros((frame.height, 2), dtype=np.int16)
            blocks[:, 0] = np.arange(frame.height) % 3
        validation = ValidationPlan(
            scheme=scheme,
            splitter="by hand",
            block_count=int(blocks[:, 0].max()) + 1,
            blocks=ctx.artifacts.put_array(blocks),
            metric=metric or DEFAULT_METRIC[task],
            reason="By hand.",
            **plan,
        )
        return ctx, snapshot, quality, validation

    return make


def _column(name: str, series: pl.Series, known: dict[str, tuple[Kind, Role]]) -> Column:
    guess = Kind.CATEGORICAL if series.dtype == pl.String else Kind.NUMERIC
    kind, role = known.get(name, (guess, Role.TARGET if name == "target" else Role.FEATURE))
    return Column(name, str(series.dtype), kind, role)
