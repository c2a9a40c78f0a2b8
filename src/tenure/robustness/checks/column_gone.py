"""Which single column can the model not do without? (methods.md 4, test 6)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.robustness.damage import SKILL_LOST, emptied
from tenure.robustness.evidence import ModelEvidence, loss_in_words

_COLUMNS: Final = 10


class ColumnGone:
    """Share of skill lost when a whole column stays empty; above one half it is a single point of failure."""

    name: ClassVar[str] = "column_gone"
    threshold: ClassVar[Threshold] = Threshold(warn=0.5)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Empty the most important columns, one at a time."""
        if evidence.no_skill is not None:
            yield Measurement(SKILL_LOST, np.nan, skipped=evidence.no_skill)
            return
        for column in evidence.columns[:_COLUMNS]:
            if evidence.deadline.passed:
                yield Measurement(SKILL_LOST, np.nan, column.name, skipped="the time was up.")
                continue
            lost = evidence.skill_lost(emptied(evidence.sample, column.name))
            single = ": a single point of failure." if lost > self.threshold.warn else "."
            yield Measurement(
                SKILL_LOST,
                lost,
                column.name,
                f"Without {column.name} the model {loss_in_words(lost)}{single}",
                f"Watch {column.name} closely, and agree with its owner on what happens when it fails.",
            )
