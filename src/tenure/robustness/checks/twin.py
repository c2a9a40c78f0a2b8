"""Is the model that serves the one that was tested? (methods.md 7.3)

What is reported of the newest block comes from a twin that did not learn from it; the model that serves did.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.robustness.evidence import ModelEvidence

_NAME: Final = "difference from its twin"


class Twin:
    """How far the answers of the model that serves are from going along with its twin's (1 less their correlation)."""

    name: ClassVar[str] = "twin"
    threshold: ClassVar[Threshold] = Threshold(warn=0.05, fail=0.2)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Tell what training measured on rows that both learned from."""
        if evidence.twin is None:
            yield Measurement(_NAME, np.nan, skipped="there is no twin that learned from mostly the same rows.")
            return
        yield Measurement(
            _NAME,
            1.0 - evidence.twin,
            says=f"The answers of the model that serves correlate by {evidence.twin:.3f} with those of its twin, which "
            "was tested on the newest rows and did not learn from them.",
            hint="What was measured may not hold for the model that serves: give more time, or look at what is special "
            "about the newest rows.",
        )
