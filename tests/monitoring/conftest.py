"""A planted world for monitoring: a known chance of leaving, a model that knows it, and traffic that can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Column, Kind, Role, Schema, Snapshot
from tenure.core.evidence import QualityReport
from tenure.core.health import HealthReport
from tenure.core.lifecycle import ModelVersion, OutcomeRecord, PredictionRecord
from tenure.core.metrics import metric_named
from tenure.core.modelling import Importance, Leaderboard, Score, Task
from tenure.core.ports import Context
from tenure.core.project import parse_project
from tenure.core.uncertainty import score_with_interval
from tenure.monitoring.stage import Watched, check_health
from tenure.state.database import open_database
from tenure.state.shelf import Shelf
from tenure.state.traffic import Traffic

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = timedelta(days=7)
WISH = """
[project]
name = "planted"
task = "binary"
[data]
source = "nowhere.csv"
target = "left"
positive = "yes"
{data}
[value]
true_positive = 15.0
false_positive = -10.0
[monitoring]
window = "{window}"
"""
KINDS = {
    "strong": Kind.NUMERIC,
    "amount": Kind.NUMERIC,
    "noise": Kind.NUMERIC,
    "flag": Kind.BOOLEAN,
    "plan": Kind.CATEGORICAL,
}


def features(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    return {
        "strong": rng.normal(size=rows),
        "amount": np.exp(rng.normal(3, 1, size=rows)),
        "noise": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
        "flag": rng.random(rows) < 0.3,
        "plan": rng.choice(["basic", "plus", "max"], size=rows, p=[0.5, 0.3, 0.2]),
    }


def chance_of(columns: dict[str, np.ndarray]) -> np.ndarray:
    logit = 1.5 * np.nan_to_num(columns["strong"]) + np.where(columns["plan"] == "basic", 0.8, -0.5) - 0.5
    return 1 / (1 + np.exp(-logit))


def answers(frame: pl.DataFrame) -> np.ndarray:
    """Return what the model says of rows with the schema's types."""
    strong = frame["strong"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    plan = frame["plan"].fill_null("").to_numpy().astype(str)
    chance = chance_of({"strong": strong, "plan": plan})
    return np.column_stack([1 - chance, chance])


def table(columns: dict[str, np.ndarray]) -> pl.DataFrame:
    return pl.DataFrame(columns).with_columns(pl.col("noise").fill_nan(None))


def rule(name: str, frame: pl.DataFrame) -> ColumnRule:
    column, kind = frame[name], KINDS[name]
    share = column.null_count() / frame.height
    numeric = kind is Kind.NUMERIC
    return ColumnRule(
        name=name,
        kind=kind,
        role=Role.FEATURE,
        dtype=str(column.dtype),
        required=False,
        null_share=share,
        max_null_share=share,
        low=float(column.min()) - 5 * float(column.std()) if numeric else None,
        high=float(column.max()) + 5 * float(column.std()) if numeric else None,
        levels=tuple(sorted(column.unique().to_list())) if kind is Kind.CATEGORICAL else None,
    )


@dataclass
class PlantedWorld:
    """Training records in the store of `ctx`, and a traffic log to fill."""

    ctx: Context
    traffic: Traffic
    shelf: Shelf
    clock: Any
    rows: int = 2_000
    count: int = 0
    seed: int = 11
    snapshot: Snapshot = field(init=False)
    quality: QualityReport = field(init=False)
    leaderboard: Leaderboard = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        columns = features(rng, self.rows)
        chance = chance_of(columns)
        left = rng.random(self.rows) < chance
        frame = table(columns).with_columns(pl.Series("left", np.where(left, "yes", "no")))
        kept = [Column(name, str(frame[name].dtype), kind) for name, kind in KINDS.items()]
        target = Column("left", "String", Kind.CATEGORICAL, Role.TARGET)
        store = self.ctx.artifacts
        digest = store.put_table(frame)
        self.snapshot = Snapshot(digest, frame.height, Schema((*kept, target)), "planted", ("no", "yes"))
        contract = Contract(tuple(rule(name, frame) for name in KINDS), frame.height)
        self.quality = QualityReport(clean=digest, rows=frame.height, contract=store.put_record(contract))
        predicted = np.column_stack([1 - chance, chance])
        oof = pl.DataFrame(
            {
                "row": np.arange(self.rows),
                "row_id": [str(i) for i in range(self.rows)],
                "reported": np.ones(self.rows, dtype=bool),
                "target": left.astype(np.int64),
                "p_0": predicted[:, 0],
                "p_1": predicted[:, 1],
            }
        )
        metric = metric_named("roc_auc", task=Task.BINARY)
        score = score_with_interval(metric, left.astype(np.int64), predicted)
        self.leaderboard = Leaderboard(
            task="binary",
            metric="roc_auc",
            candidates=(),
            model="m" * 64,
            oof=store.put_table(oof),
            baseline_oof="",
            score=score,
            baseline=Score("roc_auc", 0.5, 0.5, 0.5, self.rows),
            naive_score=score,
            importance=(Importance("strong", 0.8), Importance("plan", 0.2), Importance("noise", 0.0)),
        )

    def week(
        self,
        number: int,
        *,
        rows: int = 400,
        version: int = 1,
        change: Callable[[dict[str, np.ndarray]], None] = lambda columns: None,
        concept: float = 1.0,
        outcomes: bool = True,
        known_share: float = 1.0,
        delay: timedelta = timedelta(0),
        late: timedelta = timedelta(0),
    ) -> None:
        """Log one week of traffic: `change` alters inputs before the model sees them, `concept` scales the truth.

        With `late` the week is brought in that much later than it was about.
        """
        rng = np.random.default_rng((5, number, rows))
        columns = features(rng, rows)
        truth = 0.5 + concept * (chance_of(columns) - 0.5)  # concept 1: as learned; 0: a coin; -1: turned round
        change(columns)
        said = chance_of(columns)
        sent = [
            {name: None if value != value else value for name, value in zip(columns, row, strict=True)}
            for row in zip(*(values.tolist() for values in columns.values()), strict=True)
        ]
        began = START + number * WEEK
        at = [began + WEEK * (i / rows) for i in range(rows)]
        ids = [f"p{self.count + i}" for i in range(rows)]
        self.count += rows
        self.traffic.log_predictions(
            [
                PredictionRecord(
                    id=ids[i],
                    version=version,
                    at=(at[i] + late).isoformat(),
                    event_at=at[i].isoformat(),
                    features=row,
                    prediction="yes" if said[i] >= 0.5 else "no",
                    probabilities=(float(1 - said[i]), float(said[i])),
                )
                for i, row in enumerate(sent)
            ]
        )
        left = rng.random(rows) < truth
        known = rng.random(rows) < known_share
        if outcomes:
            self.traffic.record_outcomes(
                [
                    OutcomeRecord("yes" if left[i] else "no", (at[i] + delay).isoformat(), prediction_id=ids[i])
                    for i in range(rows)
                    if known[i]
                ]
            )
        self.clock.now = max(self.clock.now, began + WEEK + late)

    def health(self, version: int = 1, answer: Callable[[pl.DataFrame], np.ndarray] = answers) -> HealthReport:
        model = ModelVersion(version, "m" * 64, "run", self.leaderboard.digest, START.isoformat())
        watched = Watched(model, self.snapshot, self.quality, self.leaderboard, answer=answer)
        return check_health(self.ctx, self.traffic, self.shelf, watched)


@pytest.fixture
def planted(make_context: Callable[..., Context], tmp_path: Path, clock: Any) -> Iterator[Callable[..., PlantedWorld]]:
    """Return a function that makes a planted world on a new traffic log."""
    opened = []

    def make(*, data: str = "", window: str = "7d") -> PlantedWorld:
        database = open_database(None, tmp_path / f"state{len(opened)}")
        opened.append(database)
        ctx = make_context(project=parse_project(WISH.format(data=data, window=window)))
        return PlantedWorld(ctx, Traffic(database), Shelf(database), clock)

    yield make
    for database in opened:
        database.close()
