"""Does the model stay sane far outside of what it has seen? (methods.md 4, test 10)"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np
import polars as pl

from tenure.core.data import Column, Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.core.modelling import Floats
from tenure.robustness.damage import constant
from tenure.robustness.evidence import ModelEvidence

_ROWS: Final = 20
_COLUMNS: Final = 20
_FAR: Final = (1e9, -1e9, np.inf, -np.inf)


class ExtremeValues:
    """How far predictions leave the range of the target, in ranges; infinite where they are not numbers at all."""

    name: ClassVar[str] = "extremes"
    threshold: ClassVar[Threshold] = Threshold(warn=0.5, fail=sys.float_info.max)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Put absurd numbers into one numeric column at a time."""
        columns = evidence.of_kind(Kind.NUMERIC, most=_COLUMNS)
        if not columns:
            yield Measurement("ranges beyond the target", np.nan, skipped="no column is numeric.")
        for column in columns:
            if evidence.deadline.passed:
                yield Measurement("ranges beyond the target", np.nan, column.name, skipped="the time was up.")
                continue
            beyond = _beyond(evidence, evidence.scorer.raw(_absurd(evidence.sample.head(_ROWS), column)))
            yield Measurement("ranges beyond the target", beyond, column.name, _says(column.name, beyond), _HINT)


_HINT: Final = "Let the contract refuse values far outside of what was seen; it does so when rows are served."


def _absurd(rows: pl.DataFrame, column: Column) -> pl.DataFrame:
    values = rows[column.name].cast(pl.Float64)
    upper, lower = values.quantile(0.75) or 0.0, values.quantile(0.25) or 0.0
    far = (*_FAR, upper + 10 * (upper - lower + 1.0))
    return pl.concat([constant(rows, column.name, value) for value in far])


def _beyond(evidence: ModelEvidence, predicted: Floats) -> float:
    if not np.isfinite(predicted).all():
        return float("inf")
    if evidence.task.is_classification:
        return float(max(np.max(predicted) - 1.0, -np.min(predicted), 0.0))
    low, high = float(np.min(evidence.honest.target)), float(np.max(evidence.honest.target))
    span = max(high - low, 1e-12)
    return float(max(np.max(predicted) - high, low - np.min(predicted), 0.0)) / span


def _says(column: str, beyond: float) -> str:
    if np.isinf(beyond):
        return f"With absurd numbers in {column}, some predictions are no numbers."
    if beyond > ExtremeValues.threshold.warn:
        return f"With absurd numbers in {column}, predictions lie {beyond:.1f} ranges beyond anything seen."
    return f"With absurd numbers in {column}, predictions stay within reason."
