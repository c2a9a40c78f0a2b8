"""Does an empty cell tell the answer, as in a field that is filled in after the event?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.quality.evidence import QualityEvidence


class MissingnessOracle:
    """Measures how well it tells the target that a cell is empty: AUC, or for numbers (1 + r) / 2."""

    name: ClassVar[str] = "missingness_oracle"
    rank: ClassVar[int] = 32
    threshold: ClassVar[Threshold] = Threshold(warn=0.90)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement for each column above the threshold, or one for all when there is none."""
        most, found = 0.5, 0
        for column in evidence.in_time():
            empty = np.isnan(evidence.numbers(column))
            if not 0.005 <= empty.mean() <= 0.995:
                continue
            value = evidence.strength(evidence.table_skill(empty.astype(np.int64)))
            most = max(most, value)
            if value > self.threshold.warn:
                found += 1
                yield Measurement(
                    self.name,
                    value,
                    subject=column.name,
                    says=f"Whether {column.name!r} is empty already tells the target ({value:.2f} of 1).",
                    hint=f"A field filled in afterwards? Then set data.columns.{column.name}.available = 'after'.",
                    evidence={"suspects": [column.name]},
                )
        yield from evidence.cut_short(self.name)
        if not found and not evidence.deadline.passed:
            yield Measurement(self.name, most, says="Empty cells do not give the answer away.")
