"""Which columns only number or name the rows?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.data import Column, Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.model.probe import quick_numbers
from tenure.quality.evidence import QualityEvidence

_FEWEST_ROWS: Final = 50
_DISTINCT: Final = 0.95
_WORDS: Final = frozenset(
    {"id", "ids", "key", "uuid", "guid", "index", "idx", "rownum", "no", "nr", "number", "serial"}
)
_SPLIT: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")


class IdColumns:
    """Measures the share of distinct values; names of rows and counters of rows are left out."""

    name: ClassVar[str] = "id_columns"
    rank: ClassVar[int] = 14
    threshold: ClassVar[Threshold] = Threshold(warn=1.0)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement for each identifier among the features, or one for all when there is none."""
        found = 0
        for column in evidence.columns:
            share = _distinct_share(evidence, column)
            if share < _DISTINCT or not _names_rows(evidence, column):
                continue
            found += 1
            yield Measurement(
                self.name,
                share,
                subject=column.name,
                says=f"{column.name!r} is different in almost every row ({100 * share:.3g} %) and only names it; "
                "it was left out.",
                hint=f"If it identifies a row, write data.key = {column.name!r}.",
                evidence={"useless": [column.name], "because": "only names the row"},
            )
        if not found:
            yield Measurement(self.name, 0.0, says="No feature is an identifier.")


def _distinct_share(evidence: QualityEvidence, column: Column) -> float:
    series = evidence.table[column.name]
    given = series.len() - series.null_count()
    if given < _FEWEST_ROWS or column.kind not in (Kind.CATEGORICAL, Kind.NUMERIC) or series.dtype.is_float():
        return 0.0
    start = series.head(1_000).drop_nulls()
    if start.len() and start.n_unique() < _DISTINCT * start.len():
        return 0.0
    return series.drop_nulls().n_unique() / given


def _names_rows(evidence: QualityEvidence, column: Column) -> bool:
    """Say whether a column of distinct values is a name, a counter, or whole numbers called an id."""
    if column.kind is Kind.CATEGORICAL:
        return True
    values = quick_numbers(evidence.table[column.name], column.kind)
    values = values[~np.isnan(values)]
    steps = np.diff(values)
    counts_rows = bool(np.all(steps > 0) or np.all(steps < 0))
    called_id = bool({word.lower() for word in _SPLIT.split(column.name)} & _WORDS)
    return counts_rows or called_id
