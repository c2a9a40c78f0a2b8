"""Watch what goes into the model and what comes out: rules of the contract and drift, window by window."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from tenure.core.contract import Contract
from tenure.core.data import Column, Kind, Schema, WindowPair
from tenure.core.evidence import Finding, Verdict, blocking, judged
from tenure.core.modelling import Task
from tenure.core.ports import DriftTest
from tenure.model.values import numbers_of, texts_of
from tenure.monitoring.alarm import noted
from tenure.monitoring.rules import RULES, broken_rules
from tenure.monitoring.windows import TrafficWindow

PREDICTION: Final = "the prediction"
_NUMBERS: Final = (Kind.NUMERIC, Kind.BOOLEAN)


@dataclass(frozen=True, slots=True, eq=False)
class InputWatch:
    """What windows are held against: the training rows, their out-of-fold predictions, the contract, the tests.

    `reference` holds the watched columns as float64 or text, and the prediction. `level` is the chance of a false
    fault in one window, `importance` maps columns to their share of the model's skill.
    """

    reference: pl.DataFrame
    schema: Schema
    contract: Contract
    tests: Sequence[DriftTest]
    level: float
    importance: dict[str, float]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the watched columns that come in with a row."""
        return tuple(column.name for column in self.schema.columns if column.name != PREDICTION)

    def look(self, came: pl.DataFrame, predictions: pl.Series, *, seen: Callable[[str], None]) -> tuple[Finding, ...]:
        """Return the findings of one window: `came` as decoded, `predictions` of the judged version (null elsewhere).

        A column whose feed is broken is not tested for drift as well: faults are not drift.
        """
        faults = broken_rules(came, self.contract, self.reference, self.columns, level=self.level)
        broken = {finding.subject for finding in faults if finding.verdict.blocks}
        schema = Schema(tuple(column for column in self.schema.columns if column.name not in broken))
        current = as_read(came, self.schema).with_columns(predictions.alias(PREDICTION))
        pair = WindowPair(self.reference, current, schema)
        drift = [finding for test in self.tests for finding in _run(test, pair, seen)]
        return (*faults, *(self._weighed(finding) for finding in drift))

    def _weighed(self, finding: Finding) -> Finding:
        share = self.importance.get(finding.subject or "")
        return finding if share is None else noted(finding, importance=share)


def _run(test: DriftTest, pair: WindowPair, seen: Callable[[str], None]) -> tuple[Finding, ...]:
    return judged(test.name, test.threshold, lambda: test.measure(pair), seen=seen)


def watched_schema(schema: Schema, dropped: dict[str, str], contract: Contract, task: Task) -> Schema:
    """Return the columns to watch: features that the model reads, and the prediction."""
    promised = {rule.name for rule in contract.columns}
    features = [column for column in schema.features if column.name not in dropped and column.name in promised]
    kind = Kind.CATEGORICAL if task is Task.MULTICLASS else Kind.NUMERIC
    return Schema((*features, Column(PREDICTION, "", kind)))


def came_in(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return what was sent in each row of `Traffic.joined`, untouched by any schema; what was not sent is null.

    Numbers and texts in one column give texts, nested values their JSON text, and "NaN", as JSON carries a missing
    number, null: so one odd cell never hides the others.
    """
    sent = [json.loads(text) for text in rows["features"]]
    told = {name: [_flat(row.get(name)) for row in sent] for name in columns if any(name in row for row in sent)}
    return pl.DataFrame([pl.Series(name, values, strict=False) for name, values in told.items()], height=rows.height)


def _flat(value: Any) -> str | float | bool | None:
    if value == "NaN":
        return None
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value)


def as_read(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Return the columns of `schema` that `frame` has, read as the model reads them: float64 with NaN, or text."""
    read = {
        column.name: pl.Series(numbers_of(frame[column.name]))
        if column.kind in _NUMBERS
        else texts_of(frame[column.name])
        for column in schema.columns
        if column.name in frame.columns
    }
    return pl.DataFrame(read, height=frame.height)


def predictions_of(rows: pl.DataFrame, *, task: Task, classes: tuple[str, ...], version: int) -> pl.Series:
    """Return what `version` said in each row of `Traffic.joined`, null where another one answered.

    Binary: probability of the positive class; multiclass: the label; regression: the value.
    """
    column = {Task.BINARY: f"p_{len(classes) - 1}", Task.MULTICLASS: "prediction", Task.REGRESSION: "value"}[task]
    if column not in rows.columns:
        return pl.Series(PREDICTION, [None] * rows.height, dtype=pl.Float64)
    said = pl.when(pl.col("version") == version).then(pl.col(column)).alias(PREDICTION)
    return rows.select(said).to_series()


def reference_frame(
    clean: pl.DataFrame, oof: pl.DataFrame, schema: Schema, *, task: Task, classes: tuple[str, ...], rows: Any
) -> pl.DataFrame:
    """Return the training rows at positions `rows` as the model reads them, with their out-of-fold predictions."""
    if task is Task.MULTICLASS:
        chances = oof.select([f"p_{code}" for code in range(len(classes))]).to_numpy()
        said = pl.Series(np.array(classes)[np.argmax(chances, axis=1)].tolist(), dtype=pl.String)
    else:
        said = oof["p_1" if task is Task.BINARY else "p_0"].cast(pl.Float64)
    by_row = pl.DataFrame({"row": oof["row"].cast(pl.Int64), PREDICTION: said}).unique("row", keep="first")
    chosen = pl.DataFrame({"row": pl.Series(rows, dtype=pl.Int64)})
    joined = chosen.join(by_row, on="row", how="left", maintain_order="left")
    return as_read(clean[rows], schema).with_columns(joined[PREDICTION])


@dataclass(frozen=True, slots=True)
class WindowFindings:
    """The findings of one window's inputs and predictions."""

    window: TrafficWindow
    findings: tuple[Finding, ...] = ()

    @property
    def drifted(self) -> tuple[str, ...]:
        """Return the columns that moved, sorted."""
        drift = (finding for finding in self.findings if finding.check not in RULES)
        moved = {finding.subject for finding in drift if finding.verdict in (Verdict.WARN, Verdict.FAIL)}
        return tuple(sorted(name for name in moved if name))


def with_since(looked: Sequence[WindowFindings]) -> tuple[Finding, ...]:
    """Return the findings of the last window; what blocks is noted with the start of its unbroken run of windows."""
    *before, last = looked
    result = []
    for finding in last.findings:
        since = last.window.start
        for earlier in reversed(before):
            if (finding.check, finding.subject) not in {(f.check, f.subject) for f in blocking(earlier.findings)}:
                break
            since = earlier.window.start
        result.append(noted(finding, since=since.isoformat()) if finding.verdict.blocks else finding)
    return tuple(result)
