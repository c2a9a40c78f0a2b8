"""What happens when a category appears that was never seen? (methods.md 4, test 8)"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Final

import numpy as np

from tenure.core.data import Column, Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.core.modelling import Indices
from tenure.robustness.damage import SKILL_LOST, column_by_column, unseen
from tenure.robustness.evidence import ModelEvidence, loss_in_words

_SHARE: Final = 0.05
_COLUMNS: Final = 10


class UnseenCategories:
    """Share of skill lost when 1 in 20 cells of a column holds an unseen value; infinite where no number comes."""

    name: ClassVar[str] = "unseen"
    threshold: ClassVar[Threshold] = Threshold(warn=0.10, fail=sys.float_info.max)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Replace cells, one column at a time."""
        columns = evidence.of_kind(Kind.CATEGORICAL, most=_COLUMNS)
        yield from column_by_column(
            evidence,
            columns,
            partial(_strange, evidence),
            check=self.name,
            share=_SHARE,
            none="no column holds categories.",
        )


def _strange(evidence: ModelEvidence, column: Column, at: Indices) -> Measurement:
    said = evidence.scorer.raw(unseen(evidence.sample[at], column.name))
    finite = bool(np.isfinite(said).all())
    lost = evidence.skill_lost_by(said, at) if finite else float("inf")
    return Measurement(
        SKILL_LOST,
        lost,
        column.name,
        f"With 1 in 20 unseen values in {column.name}, the model {loss_in_words(lost)}."
        if finite
        else f"Unseen values in {column.name} give predictions that are no numbers.",
        "Watch for new values of this column; the contract counts them when rows are served.",
        evidence={"rows": int(at.size)},
    )
