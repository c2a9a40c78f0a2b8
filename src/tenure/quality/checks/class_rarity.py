"""Is there enough of every class to learn and to judge it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import polars as pl

from tenure.core.evidence import Measurement, Threshold
from tenure.quality.evidence import QualityEvidence


class ClassRarity:
    """Measures 20 rows over the rows of the rarest class: above 1 the class is too rare to be judged."""

    name: ClassVar[str] = "class_rarity"
    rank: ClassVar[int] = 5
    threshold: ClassVar[Threshold] = Threshold(warn=1.0)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement about the rarest class."""
        if not evidence.task.is_classification:
            yield Measurement(self.name, 0.0, skipped="The target is a number.")
            return
        texts = evidence.table[evidence.schema.target or ""].cast(pl.String).alias("label").value_counts(name="rows")
        counts = dict(texts.iter_rows())
        rows = np.array([counts.get(label, 0) for label in evidence.classes])
        rarest = int(np.argmin(rows))
        share = rows[rarest] / max(int(rows.sum()), 1)
        yield Measurement(
            self.name,
            20.0 / max(int(rows[rarest]), 1),
            subject=evidence.classes[rarest],
            says=f"The rarest class, {evidence.classes[rarest]!r}, has {rows[rarest]} rows ({100 * share:.2g} %).",
            hint="Collect more of it, or join it with a class that is acted on in the same way.",
            evidence={"rows": int(rows[rarest])},
        )
