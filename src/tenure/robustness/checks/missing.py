"""What happens when cells are empty at random? (methods.md 4, test 5)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.robustness.damage import thinned
from tenure.robustness.evidence import ModelEvidence, loss_in_words

_RATES: Final = (0.05, 0.10, 0.30)
_NAME: Final = "skill lost for each share of empty cells"


class RandomMissing:
    """Share of skill lost, divided by the share of cells made empty: 1 means that skill fades as fast as the data."""

    name: ClassVar[str] = "missing"
    threshold: ClassVar[Threshold] = Threshold(warn=4.0)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Empty 5, 10 and 30 % of all cells."""
        if evidence.no_skill is not None:
            yield Measurement(_NAME, np.nan, skipped=evidence.no_skill)
            return
        rng = evidence.rng(self.name)
        columns = [column.name for column in evidence.columns]
        for rate in _RATES:
            lost = evidence.skill_lost(thinned(evidence.sample, columns, rng, rate=rate))
            yield Measurement(
                _NAME,
                lost / rate,
                f"{100 * rate:.0f} % of cells",
                f"With {100 * rate:.0f} % of all cells empty, the model {loss_in_words(lost)}.",
                "Watch the share of empty cells; the contract says how many are usual.",
                evidence={"lost": lost},
            )
