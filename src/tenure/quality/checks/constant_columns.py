"""Which columns hold one value only, nothing at all, or have fallen silent?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import polars as pl

from tenure.core.evidence import Measurement, Threshold
from tenure.quality.evidence import QualityEvidence

_MODE: Final = 0.9999
_FEW: Final = 20
_NEWEST: Final = 0.1


class ConstantColumns:
    """Measures, for each column without news, the share of rows that hold its one value; such columns are left out."""

    name: ClassVar[str] = "constant_columns"
    rank: ClassVar[int] = 10
    threshold: ClassVar[Threshold] = Threshold(warn=1.0)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement for each column to leave out, or one for all when there is none."""
        found = 0
        for column in evidence.columns:
            series = evidence.table[column.name]
            reason, share = _silence(series, ordered=evidence.schema.time is not None)
            if reason:
                found += 1
                yield Measurement(
                    self.name,
                    share,
                    subject=column.name,
                    says=f"{column.name!r} {reason}; it was left out.",
                    evidence={"useless": [column.name], "because": reason},
                )
        if not found:
            yield Measurement(self.name, 0.0, says="Every column varies.")


def _silence(series: pl.Series, *, ordered: bool) -> tuple[str, float]:
    """Return why the column tells nothing ('' if it does), and the share of rows with its one value."""
    rows = series.len()
    if series.null_count() == rows:
        return "is empty in every row", 1.0
    newest = series.tail(int(rows * _NEWEST))
    expected = newest.len() * (1 - series.null_count() / rows)
    if ordered and expected >= _FEW and newest.null_count() == newest.len():
        return "has been empty for the newest tenth of the rows", series.null_count() / rows
    # Cheap, and true of most columns: the first thousand rows already hold many values.
    if series.head(1_000).n_unique() > 2 * _FEW:
        return "", 0.0
    most: int = series.alias("value").value_counts(sort=True, name="rows")["rows"].to_list()[0]
    if most == rows:
        return "holds one value only", 1.0
    if most / rows >= _MODE and rows - most < _FEW:
        return f"holds one value in all but {rows - most} rows", most / rows
    return "", most / rows
