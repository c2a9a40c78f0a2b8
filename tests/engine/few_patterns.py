"""A project whose rows have few patterns, so that equal rows are the rule, and its log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.engine.workspace import Workspace

START = datetime(2025, 11, 3, tzinfo=UTC)
PROJECT = """
[project]
name = "churn"
task = "binary"
[data]
source = "data/*.csv"
target = "left"
positive = "yes"
[training]
trials = 3
[monitoring]
window = "200 rows"
"""


def few_patterns(rows: int, seed: int, *, rate: float = 0.3) -> pl.DataFrame:
    """Return rows of six patterns; x leaves far more often than the others."""
    rng = np.random.default_rng(seed)
    a, b = rng.choice(["x", "y", "z"], rows), rng.choice(["u", "v"], rows)
    left = rng.random(rows) < np.where(a == "x", 0.8, rate)
    return pl.DataFrame({"a": a, "b": b, "left": np.where(left, "yes", "no")})


def project_of(folder: Path, source: pl.DataFrame, text: str = PROJECT) -> Path:
    """Make the project."""
    (folder / "data").mkdir(parents=True)
    source.write_csv(folder / "data" / "first.csv")
    (folder / "tenure.toml").write_text(text)
    return folder


def lived(
    workspace: Workspace, frame: pl.DataFrame, *, first: int = 0, start: datetime = START, version: int = 1
) -> None:
    """Log answered rows, ten minutes apart, with their outcomes at once."""
    moments = [(start + timedelta(minutes=10 * n)).isoformat() for n in range(frame.height)]
    sent = frame.drop("left").to_dicts()
    workspace.traffic.log_predictions(
        [
            PredictionRecord(f"p{first + n}", version, at, at, row, "no", (0.6, 0.4))
            for n, (at, row) in enumerate(zip(moments, sent, strict=True))
        ]
    )
    workspace.traffic.record_outcomes(
        [
            OutcomeRecord(said, at, f"p{first + n}")
            for n, (at, said) in enumerate(zip(moments, frame["left"], strict=True))
        ]
    )
