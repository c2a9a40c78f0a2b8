"""How many rows are there twice, and do equal rows have unequal targets?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import polars as pl

from tenure.core.data import Role
from tenure.core.evidence import Measurement, Threshold
from tenure.quality.evidence import QualityEvidence


class DuplicateRows:
    """Measures the share of rows that equal an earlier one, key and ignored columns aside."""

    name: ClassVar[str] = "duplicate_rows"
    rank: ClassVar[int] = 6
    threshold: ClassVar[Threshold] = Threshold(warn=0.2)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield the share of repeated rows; its evidence holds the share of rows with a twin of another target."""
        schema, table = evidence.schema, evidence.table
        kept = [c.name for c in schema.columns if c.role not in (Role.KEY, Role.IGNORED, Role.TARGET, Role.WEIGHT)]
        if not kept or schema.target is None:
            yield Measurement(self.name, 0.0, skipped="There are no columns to compare.")
            return
        hashes = pl.DataFrame({"row": table.select(kept).hash_rows(seed=0), "target": table[schema.target]})
        repeated = 1 - hashes.n_unique() / table.height
        groups = hashes.group_by("row", "target").len().group_by("row").agg(pl.col("len").max())
        contradicted = 1 - int(groups["len"].sum()) / table.height
        says = f"{100 * repeated:.2g} % of rows repeat an earlier row."
        if contradicted > 0.001 and evidence.task.is_classification:
            says += f" {100 * contradicted:.2g} % differ from their twins in the target: no model can be right on them."
        yield Measurement(
            self.name,
            repeated,
            says=says,
            hint="Ask whether rows were delivered twice; equal rows stay on one side of every split.",
            evidence={"contradicted": contradicted},
        )
