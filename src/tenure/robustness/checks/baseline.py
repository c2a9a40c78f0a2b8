"""Is the model better than the baseline at all? (methods.md 4, test 24)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.core.uncertainty import paired_gain
from tenure.robustness.evidence import ModelEvidence


class BaselineDominance:
    """Where zero lies in the interval of the gain over the baseline: below 0 better beyond doubt, above 1 worse."""

    name: ClassVar[str] = "baseline"
    threshold: ClassVar[Threshold] = Threshold(warn=0.0, fail=1.0)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Compare out-of-fold predictions of model and baseline on the same rows."""
        honest, metric = evidence.honest, evidence.metric
        gain, low, high = paired_gain(
            metric, honest.target, honest.predicted, honest.baseline, clusters=honest.clusters
        )
        if low > 0:
            says = f"The model beats the baseline beyond doubt: {metric.label} gains {gain:.3g}, at least {low:.3g}."
        elif high < 0:
            says = f"The model is worse than the baseline: {metric.label} loses {-gain:.3g}."
        else:
            says = f"It is not sure that the model beats the baseline: the gain in {metric.label} may be {low:.3g}."
        yield Measurement(
            "place of zero in the gain's interval",
            _place_of_zero(gain, low, high),
            says=says,
            hint="Give it more rows or better columns, or leave the question to the baseline.",
            evidence={"gain": gain, "gain_low": low, "gain_high": high, "rows": len(honest.target)},
        )


def _place_of_zero(gain: float, low: float, high: float) -> float:
    if np.isnan(gain):
        return gain
    if not np.isfinite(high - low):
        return 0.5
    if high > low:
        return -low / (high - low)
    return 0.5 if gain == 0 else float(np.copysign(np.inf, -gain))
