"""Does an answer depend on anything but its own row? (methods.md 4, test 16)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np
import polars as pl

from tenure.core.data import Role
from tenure.core.evidence import Measurement, Threshold
from tenure.robustness.answers import largest_difference
from tenure.robustness.evidence import ModelEvidence

_ROWS: Final = 200
_ALONE: Final = 20
_HINT: Final = "Do not serve this model: report the bundle as a bug."


class Invariance:
    """Largest change of an answer with row order, company in the batch, or columns that models never read."""

    name: ClassVar[str] = "invariance"
    threshold: ClassVar[Threshold] = Threshold(warn=1e-9, fail=1e-6)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Reverse, split and extend the batch, and shuffle what must not matter."""
        rows = evidence.sample.head(_ROWS)
        raw, said = evidence.scorer.raw, evidence.clean[: rows.height]
        alone = np.concatenate([raw(rows[i : i + 1]) for i in range(min(_ALONE, rows.height))])
        ways = (
            ("the order of rows", said[::-1], raw(rows.reverse())),
            ("the company in a batch", said[: len(alone)], alone),
            ("columns that models never read", said, raw(self._shuffled(evidence, rows))),
        )
        for subject, before, after in ways:
            apart = largest_difference(before, after) / evidence.scale
            same = apart <= self.threshold.warn
            yield Measurement(
                "largest change of an answer",
                apart,
                subject,
                f"Answers {'do not depend' if same else 'depend'} on {subject}.",
                _HINT,
                evidence={"rows": rows.height},
            )

    def _shuffled(self, evidence: ModelEvidence, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows with key, ignored and target columns shuffled, and a foreign column added."""
        unread = [
            column.name
            for column in evidence.scorer.model.schema.columns
            if column.role in (Role.KEY, Role.IGNORED, Role.TARGET, Role.WEIGHT) and column.name in rows.columns
        ]
        order = evidence.rng(self.name).permutation(rows.height)
        shuffled = rows.with_columns(rows[name][order].alias(name) for name in unread)
        return shuffled.with_columns(pl.lit(1).alias("a column that nobody asked for"))
