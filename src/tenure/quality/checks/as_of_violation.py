"""Does a date lie after the moment of the prediction?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from tenure.core.data import Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.model.probe import quick_numbers
from tenure.quality.evidence import QualityEvidence


class AsOfViolation:
    """Measures the share of rows in which a date is later than the row's own time."""

    name: ClassVar[str] = "as_of_violation"
    rank: ClassVar[int] = 18
    threshold: ClassVar[Threshold] = Threshold(warn=0.001)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement for each date among the features."""
        dates = [column for column in evidence.columns if column.kind is Kind.DATETIME]
        if evidence.schema.time is None or not dates:
            yield Measurement(self.name, 0.0, skipped="There is no date beside a time column to compare it with.")
            return
        now = quick_numbers(evidence.table[evidence.schema.time], Kind.DATETIME)
        for column in dates:
            with np.errstate(invalid="ignore"):
                later = float(np.mean(quick_numbers(evidence.table[column.name], Kind.DATETIME) > now))
            yield Measurement(
                self.name,
                later,
                subject=column.name,
                says=f"{column.name!r} is later than {evidence.schema.time!r} in {100 * later:.2g} % of rows.",
                hint=f"If it is filled in afterwards, set data.columns.{column.name}.available = 'after'.",
                evidence={"suspects": [column.name]},
            )
