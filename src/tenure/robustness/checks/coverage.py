"""Do prediction intervals hold what they promise? (methods.md 4, test 30)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.robustness.evidence import ModelEvidence

_PROMISED: Final = 0.90
_Z95: Final = 1.96
_NAME: Final = "distance to the promised share"


class IntervalCoverage:
    """How far the share of true values inside the 90 % interval is from 90 %, beyond what chance explains."""

    name: ClassVar[str] = "coverage"
    threshold: ClassVar[Threshold] = Threshold(warn=0.03)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Put the interval around out-of-fold values and count."""
        interval = evidence.scorer.model.interval
        if interval is None:
            yield Measurement(_NAME, np.nan, skipped="the model gives no intervals.")
            return
        target, said = evidence.honest.target, evidence.honest.predicted
        low, high = interval.around(said)
        inside = (target >= low) & (target <= high)
        share = float(inside.mean())
        chance = _Z95 * float(np.sqrt(_PROMISED * (1 - _PROMISED) / inside.size))
        yield Measurement(
            _NAME,
            max(abs(share - _PROMISED) - chance, 0.0),
            says=f"{100 * share:.0f} of 100 true values lie inside the interval that promises 90.",
            hint="Retrain on newer rows; until then read the interval as narrower or wider than it says.",
            evidence={"share": share, "rows": int(inside.size)},
        )
