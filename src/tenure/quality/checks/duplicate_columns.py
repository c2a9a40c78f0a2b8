"""Which columns say the same as an earlier one?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import polars as pl

from tenure.core.data import Column, Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.model.probe import quick_numbers
from tenure.quality.evidence import QualityEvidence


class DuplicateColumns:
    """Finds copies: equal values, a number in other units (correlation exactly 1 or -1), or a category renamed."""

    name: ClassVar[str] = "duplicate_columns"
    rank: ClassVar[int] = 12
    threshold: ClassVar[Threshold] = Threshold(warn=1.0)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement for each copy (the first of its kind is kept), or one for all when there is none."""
        first: dict[str, str] = {}
        confirmed: dict[str, str] = {}
        found = 0
        for column in evidence.columns:
            original = first.setdefault(_content(evidence.frame[column.name], column), column.name)
            if original == column.name:
                continue
            # Equal on the sample: look at the whole table before anything is left out.
            if original not in confirmed:
                confirmed[original] = _content(evidence.table[original], evidence.schema[original])
            if confirmed[original] != _content(evidence.table[column.name], column):
                continue
            found += 1
            yield Measurement(
                self.name,
                1.0,
                subject=column.name,
                says=f"{column.name!r} says the same as {original!r} in every row; it was left out.",
                evidence={"useless": [column.name], "because": f"says the same as {original!r}"},
            )
        if not found:
            yield Measurement(self.name, 0.0, says="No column is a copy of another.")


def _content(series: pl.Series, column: Column) -> str:
    """Return a text that is equal for columns with the same content up to unit, sign and names of levels."""
    if column.kind in (Kind.CATEGORICAL, Kind.BOOLEAN):
        text = series.cast(pl.String).fill_null("\0")
        order = text.unique(maintain_order=True)
        codes = text.replace_strict(order, np.arange(order.len()), return_dtype=pl.Int64).to_numpy()
        return hashlib.sha1(codes.tobytes(), usedforsecurity=False).hexdigest()
    if column.kind is Kind.TEXT:
        return hashlib.sha1(series.hash(seed=0).to_numpy().tobytes(), usedforsecurity=False).hexdigest()
    values = quick_numbers(series, column.kind)
    seen = values[~np.isnan(values)]
    spread = float(np.std(seen)) if seen.size else 0.0
    if spread > 0:
        values = np.round((values - seen.mean()) / spread, 5) + 0.0
        values *= np.sign(values[np.flatnonzero(np.nan_to_num(values))[0]])
        values += 0.0
    return hashlib.sha1(values.tobytes(), usedforsecurity=False).hexdigest()
