"""How columns ran over windows, from their sketches, for charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from tenure.core.data import Kind
from tenure.core.health import Course
from tenure.monitoring.inputs import DECISION, PREDICTION
from tenure.monitoring.layout import ColumnLayout
from tenure.monitoring.reference import Normal
from tenure.monitoring.sketches import ColumnSketch
from tenure.monitoring.watching import Looked

_WINDOWS: Final = 60
_COLUMNS: Final = 24


def courses_of(normal: Normal, looked: Sequence[Looked], importance: Mapping[str, float]) -> tuple[Course, ...]:
    """Return the course of the prediction, the decision, and at most 24 columns over the latest 60 windows.

    Columns that moved or broke in the latest window come first, then the more important ones.
    """
    if not looked:
        return ()
    recent = looked[-_WINDOWS:]
    unwell = {*recent[-1].moved, *recent[-1].broken}

    def rank(column: ColumnLayout) -> tuple[bool, bool, float]:
        is_answer = column.name in (PREDICTION, DECISION)
        return not is_answer, column.name not in unwell, -importance.get(column.name, 0.0)

    drawn = [column for column in sorted(normal.layout.columns, key=rank) if column.kind is not Kind.DATETIME]
    return tuple(_course(column, normal, recent) for column in drawn[:_COLUMNS])


def _course(column: ColumnLayout, normal: Normal, recent: Sequence[Looked]) -> Course:
    usual = normal.merged.columns[column.name]
    sketches = [item.answered.columns[column.name] for item in recent]
    starts = tuple(item.start.isoformat() for item in recent)
    missing = tuple(_short(sketch.missing_share) if sketch.rows else None for sketch in sketches)
    if column.is_text or column.kind is Kind.BOOLEAN:
        return _of_level(column, usual, sketches, starts, missing)
    low, middle, high = ([_short(sketch.quantile(q)) for sketch in sketches] for q in (0.1, 0.5, 0.9))
    return Course(
        column.name,
        starts,
        tuple(middle),
        missing,
        low=tuple(low),
        high=tuple(high),
        usual_low=_short(usual.quantile(0.1)),
        usual_middle=_short(usual.quantile(0.5)),
        usual_high=_short(usual.quantile(0.9)),
        usual_missing=_short(usual.missing_share),
    )


def _of_level(
    column: ColumnLayout,
    usual: ColumnSketch,
    sketches: Sequence[ColumnSketch],
    starts: tuple[str, ...],
    missing: tuple[float | None, ...],
) -> Course:
    """Return the share of the level that changed most in the latest window, of the commonest one where none did."""
    gaps = np.abs(sketches[-1].shares - usual.shares)
    at = int(np.argmax(gaps)) if gaps.size and gaps.max() >= 0.05 else int(np.argmax(usual.shares))
    names = [*column.levels, "all other values"] if column.is_text else ["false", "true"]
    return Course(
        column.name,
        starts,
        tuple(_short(float(sketch.shares[at])) if sketch.known else None for sketch in sketches),
        missing,
        level=names[at] if at < len(names) else str(at),
        usual_middle=_short(float(usual.shares[at])),
        usual_missing=_short(usual.missing_share),
    )


def _short(value: float | None) -> float | None:
    """Return a number with six telling digits: charts need no more, and the report stays small."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")
