"""Is there a group of rows that the model serves badly? (methods.md 4, test 12)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.core.metrics import log_losses
from tenure.core.modelling import Floats
from tenure.robustness.evidence import ModelEvidence
from tenure.robustness.slices import weak_slices

_COLUMNS: Final = 12
_LEAST_ROWS: Final = 400
_LEAST_SHARE: Final = 0.02
_TOLD: Final = 3
_NAME: Final = "loss of the worst group over that of all rows"


class WorstSlice:
    """Mean loss of the worst confirmed group of rows, divided by that of all rows."""

    name: ClassVar[str] = "worst_slice"
    threshold: ClassVar[Threshold] = Threshold(warn=2.0)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Search groups by one or two columns on half of the rows, confirm them on the other half."""
        honest = evidence.honest
        if honest.frame.height < _LEAST_ROWS:
            yield Measurement(_NAME, np.nan, skipped=f"{honest.frame.height} rows are too few to search and confirm.")
            return
        loss = _row_loss(evidence)
        found = weak_slices(
            honest.frame,
            evidence.columns[:_COLUMNS],
            loss,
            evidence.rng(self.name),
            ratio=self.threshold.warn,
            share=_LEAST_SHARE,
        )
        if not found:
            yield Measurement(_NAME, 1.0, says="No group of rows was found that the model serves worse than the rest.")
            return
        for one in found[:_TOLD]:
            yield Measurement(
                _NAME,
                one.ratio,
                one.says,
                f"Where {one.says}, errors are {one.ratio:.1f} times the usual ({one.rows:,} rows, "
                f"{100 * one.share:.0f} %).",
                "Look at these rows: a column that explains them may be missing, or they may need a person.",
                evidence={"share": one.share, "rows": one.rows},
            )


def _row_loss(evidence: ModelEvidence) -> Floats:
    """Return a loss for each row: that of the metric where it has one, else log-loss or squared error."""
    honest = evidence.honest
    if evidence.metric.row_loss is not None:
        return evidence.metric.row_loss(honest.target, honest.predicted)
    if evidence.task.is_classification:
        return log_losses(honest.target, honest.predicted)
    squares: Floats = np.square(honest.target - honest.predicted)
    return squares
