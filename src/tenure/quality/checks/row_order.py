"""Does a row's place in the table tell the answer?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.quality.evidence import QualityEvidence

_STRETCHES: Final = 64


class RowOrder:
    """Measures how well the stretch of the table (64 of them) tells the target: AUC, or for numbers (1 + r) / 2."""

    name: ClassVar[str] = "row_order"
    rank: ClassVar[int] = 36
    threshold: ClassVar[Threshold] = Threshold(warn=0.65)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement about the order of all rows."""
        if evidence.schema.time is not None:
            yield Measurement(self.name, 0.0, skipped="The rows are in the order of time, as they should be.")
            return
        rows = len(evidence.target)
        stretch = np.arange(rows) * min(_STRETCHES, max(rows // 10, 1)) // rows
        value = evidence.strength(evidence.table_skill(stretch))
        carries = value > self.threshold.warn
        yield Measurement(
            self.name,
            value,
            says=f"A row's place in the table tells part of the target ({value:.2f} of 1): "
            "the table is sorted, or there is a hidden time."
            if carries
            else "The order of rows says nothing about the target.",
            hint="If rows came in the order of time, name the column that says so in data.time.",
        )
