"""What happens when numbers tremble? (methods.md 4, test 1)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.data import Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.robustness.damage import SKILL_LOST, noisy
from tenure.robustness.evidence import ModelEvidence, loss_in_words

_DRAWS: Final = 3
_SHARE: Final = 0.05


class NumericNoise:
    """Share of skill lost under noise of 5 % of each number's interquartile range."""

    name: ClassVar[str] = "noise"
    threshold: ClassVar[Threshold] = Threshold(warn=0.15)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Add noise to all numeric columns at once, three times, and take the mean."""
        columns = [column.name for column in evidence.of_kind(Kind.NUMERIC)]
        reason = evidence.no_skill if columns else "no column is numeric."
        if reason is not None:
            yield Measurement(SKILL_LOST, np.nan, skipped=reason)
            return
        rng = evidence.rng(self.name)
        draws = [evidence.skill_lost(noisy(evidence.sample, columns, rng, share=_SHARE)) for _ in range(_DRAWS)]
        lost = float(np.mean(draws))
        yield Measurement(
            SKILL_LOST,
            lost,
            says=f"When all numbers tremble a little, the model {loss_in_words(lost)}.",
            hint="Predictions lean on fine differences between numbers; measure those more exactly, or round them.",
            low=min(draws),
            high=max(draws),
            evidence={"interval": "smallest and largest of three draws"},
        )
