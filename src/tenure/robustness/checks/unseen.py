"""What happens when a category appears that was never seen? (methods.md 4, test 8)"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.data import Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.robustness.damage import unseen
from tenure.robustness.evidence import ModelEvidence, loss_in_words

_SHARE: Final = 0.05
_COLUMNS: Final = 10
_NAME: Final = "share of skill lost"


class UnseenCategories:
    """Share of skill lost when 1 in 20 cells of a column holds an unseen value; infinite where no number comes."""

    name: ClassVar[str] = "unseen"
    threshold: ClassVar[Threshold] = Threshold(warn=0.10, fail=sys.float_info.max)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Replace cells, one column at a time."""
        columns = evidence.of_kind(Kind.CATEGORICAL, most=_COLUMNS)
        reason = evidence.no_skill if columns else "no column holds categories."
        if reason is not None:
            yield Measurement(_NAME, np.nan, skipped=reason)
            return
        rng = evidence.rng(self.name)
        rows = evidence.sample.height
        for position, column in enumerate(columns):
            at = np.sort(rng.choice(rows, max(round(_SHARE * rows), 1), replace=False))
            if position and evidence.deadline.passed:
                yield Measurement(_NAME, np.nan, column.name, skipped="the time was up.")
                continue
            touched = evidence.sample[at]
            strange = unseen(touched, column.name)
            said = evidence.scorer.raw(strange)
            finite = bool(np.isfinite(said).all())
            lost = evidence.skill_lost(strange, at) if finite else float("inf")
            yield Measurement(
                _NAME,
                lost,
                column.name,
                f"With 1 in 20 unseen values in {column.name}, the model {loss_in_words(lost)}."
                if finite
                else f"Unseen values in {column.name} give predictions that are no numbers.",
                "Watch for new values of this column; the contract counts them when rows are served.",
                evidence={"rows": int(at.size)},
            )
