"""Population stability index, corrected for sample size and for the number of columns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import ClassVar, Final

from tenure.core.data import Column, Kind, Schema, WindowPair
from tenure.core.evidence import Measurement, Threshold
from tenure.monitoring.evidence import KNOWN, evidence
from tenure.monitoring.layout import layout_of
from tenure.monitoring.sketches import sketch

_WATCHED: Final = (Kind.NUMERIC, Kind.BOOLEAN, Kind.CATEGORICAL)
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


class PopulationStabilityIndex:
    """How far each column moved between two windows, where chance does not explain it.

    The two tables are sketched and compared as `monitoring.evidence` compares windows of traffic.
    """

    name: ClassVar[str] = "psi"
    threshold: ClassVar[Threshold] = Threshold(warn=KNOWN.psi)

    def measure(self, pair: WindowPair) -> Iterable[Measurement]:
        """Yield one measurement a column: the corrected index, or the reason why there is none."""
        layout = layout_of(pair.reference, Schema(tuple(_watched(pair))))
        before, now = (sketch(rows, layout, start=_NO_TIME, end=_NO_TIME) for rows in (pair.reference, pair.current))
        for shift in evidence(before, now, layout):
            yield shift.measured(self.name)


def _watched(pair: WindowPair) -> Iterable[Column]:
    in_both = set(pair.reference.columns) & set(pair.current.columns)
    return (column for column in pair.schema.columns if column.kind in _WATCHED and column.name in in_both)
