"""Say which columns of a window moved, from sketches: how far, how surely, and in plain words. For colour, no alarm.

Numbers are compared in ten bins of the reference, categories by level; empty cells are a bin of their own. The
population stability index grows as windows shrink, so (bins - 1)(1/m + 1/n) is taken off. A column is coloured only
where chance does not explain it (q-values of Benjamini and Hochberg 1995 over the columns) and it moved far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import betainc, betaincc, chdtrc, xlogy

from tenure.core.data import Kind
from tenure.core.evidence import Measurement
from tenure.core.health import Span
from tenure.core.modelling import Floats, Indices
from tenure.monitoring.figures import figure
from tenure.monitoring.layout import ColumnLayout, Layout
from tenure.monitoring.sketches import ColumnSketch, WindowSketch

_BINS: Final = 10
_LEAST_EXPECTED: Final = 5.0
_LEAST_VALUES: Final = 20
_SMALL: Final = 500
_MANY_OTHERS: Final = 0.05
_Z90: Final = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Demand:
    """What colours a column: a q-value of at most `q` and a corrected index of at least `psi`."""

    q: float
    psi: float


_NOTHING: Final = Span(0.0, 0.0, 0.0)
KNOWN: Final = Demand(q=0.05, psi=0.10)
LEARNING: Final = Demand(q=0.01, psi=0.25)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How one column of a window compares with the reference.

    `psi` is the corrected index with its 90 % interval, `p` the chance of such a difference if nothing changed.
    `says` tells what moved most; `skipped` why the column cannot be compared.
    """

    column: str
    psi: Span = _NOTHING
    p: float = 1.0
    q: float = 1.0
    coloured: bool = False
    says: str = ""
    skipped: str | None = None

    def measured(self, name: str) -> Measurement:
        """Return the evidence as what the check `name` measured: 0 unless the column is coloured."""
        if self.skipped is not None:
            return Measurement(name, 0.0, subject=self.column, skipped=self.skipped)
        return Measurement(
            name,
            max(self.psi.value, 0.0) if self.coloured else 0.0,
            subject=self.column,
            says=f"{self.column!r} moved: {self.says}." if self.coloured else f"{self.column!r} looks as usual.",
            hint="Look at what changed in this column. Drift alone is no reason to retrain.",
            evidence={
                "psi_corrected": round(self.psi.value, 6),
                "psi_low": round(self.psi.low, 6),
                "psi_high": round(self.psi.high, 6),
                "p": self.p,
                "q": self.q,
            },
        )


def evidence(
    reference: WindowSketch, window: WindowSketch, layout: Layout, *, learning: bool = False
) -> tuple[Evidence, ...]:
    """Return the evidence of each column of `layout`, in its order; never raises for data.

    `reference` is the merged sketch of what was normal. While the detector is `learning`, more is demanded of colour.
    """
    demand = LEARNING if learning else KNOWN
    shifts = [_shift(column, reference, window) for column in layout.columns]
    tested = [shift for shift in shifts if shift.skipped is None]
    q = dict(zip((s.column for s in tested), q_values([s.p for s in tested]), strict=True))
    return tuple(shift if shift.skipped is not None else _told(shift, q[shift.column], demand) for shift in shifts)


def _told(shift: Evidence, q: float, demand: Demand) -> Evidence:
    is_coloured = q <= demand.q and shift.psi.value >= demand.psi
    return Evidence(shift.column, shift.psi, shift.p, q, is_coloured, shift.says)


def q_values(p_values: Sequence[float]) -> list[float]:
    """Return the smallest false discovery rate at which each hypothesis is rejected (Benjamini and Hochberg 1995)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    scaled = p[order] * p.size / (np.arange(p.size) + 1)
    q = np.empty_like(p)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return [float(value) for value in q]


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Counts of a column before and now, cell by cell: bins or levels, then the cells that are tested alone, too.

    The last `alone` cells are empty cells and, of texts, all that is rare or new. `ordered` says that neighbouring
    cells resemble each other.
    """

    before: Floats
    now: Floats
    alone: int
    ordered: bool

    def kept(self, group: Indices) -> _Cells:
        """Return the cells with the ordinary ones joined by `group`, those without a count left out."""
        size = int(group.max()) + 1 if group.size else 0
        joined = [
            np.append(np.bincount(group, weights=counts[: group.size], minlength=size), counts[group.size :]).astype(
                float
            )
            for counts in (self.before, self.now)
        ]
        filled = joined[0] + joined[1] > 0
        return _Cells(joined[0][filled], joined[1][filled], int(filled[size:].sum()), self.ordered)


def _shift(column: ColumnLayout, reference: WindowSketch, window: WindowSketch) -> Evidence:
    old, new = reference.columns.get(column.name), window.columns.get(column.name)
    if old is None or new is None:
        return Evidence(column.name, skipped="the column was not sketched.")
    reason = _why_not(column, old, new)
    if reason is not None:
        return Evidence(column.name, skipped=reason)
    whole = _cells(column, old, new)
    cells = whole.kept(_groups(whole))
    if cells.before.size < 2:
        reason = "the column holds one value only." if (whole.before > 0).sum() < 2 else "every value is rare."
        return Evidence(column.name, skipped=reason)
    psi = _index(cells)
    apart = [_chance_of_share(cells, at) for at in range(cells.before.size - cells.alone, cells.before.size)]
    chances = [chance for chance in (_chance(cells), *apart) if chance is not None]
    p = min(1.0, len(chances) * min(chances, default=1.0))
    return Evidence(column.name, psi, p, says=_words(old, new))


def _why_not(column: ColumnLayout, old: ColumnSketch, new: ColumnSketch) -> str | None:
    if column.kind is Kind.DATETIME:
        return "dates move on by themselves."
    if old.known < _LEAST_VALUES:
        return f"the reference holds only {old.known} usable values."
    if new.rows < _LEAST_VALUES:
        return f"the window holds only {new.rows} rows."
    return None


def _cells(column: ColumnLayout, old: ColumnSketch, new: ColumnSketch) -> _Cells:
    empty = [np.array([float(sketch.rows - sketch.known)]) for sketch in (old, new)]
    counts = [sketch.counts.astype(np.float64) for sketch in (old, new)]
    alone, filled = 1, int((old.counts > 0).sum())
    if column.is_text:
        alone = 1 if old.other_share >= _MANY_OTHERS else 2
    elif filled <= 2:  # a constant or a flag: whatever is not the common value, however rare, is tested alone
        main = int(np.argmax(old.counts))
        counts = [np.array([part[main], part.sum() - part[main]]) for part in counts]
        alone = 2
    elif filled > _BINS:
        before_middle = np.cumsum(old.counts) - old.counts / 2
        tenth = np.minimum((before_middle * _BINS / old.known).astype(np.int64), _BINS - 1)
        group = np.unique(tenth, return_inverse=True)[1]
        counts = [np.bincount(group, weights=part).astype(np.float64) for part in counts]
    before, now = (np.concatenate([part, gone]) for part, gone in zip(counts, empty, strict=True))
    return _Cells(before, now, alone, ordered=not column.is_text)


def _groups(cells: _Cells) -> Indices:
    """Return groups of ordinary cells such that each expects at least five of the window."""
    ordinary: Floats = cells.before[: cells.before.size - cells.alone]
    expected = ordinary * cells.now.sum() / cells.before.sum()
    if not cells.ordered:
        rare = expected < _LEAST_EXPECTED
        if cells.alone == 1:  # many levels were too rare to keep, and chance decided which
            rare[-1] = True
        group: Indices = np.cumsum(~rare) - 1
        group[rare] = int((~rare).sum())
        return group
    group = np.zeros(ordinary.size, dtype=np.int64)
    at, filled = 0, 0.0
    for i, value in enumerate(expected):
        group[i] = at
        filled += value
        if filled >= _LEAST_EXPECTED:
            at, filled = at + 1, 0.0
    last = at - 1 if filled < _LEAST_EXPECTED and at else at  # the tail did not fill a cell of its own
    return np.minimum(group, last)


def _index(cells: _Cells) -> Span:
    """Return the index less its bias, with a 90 % interval: delta method, and the noise of an index that is 0."""
    n, m, size = float(cells.before.sum()), float(cells.now.sum()), cells.before.size
    old, new = (cells.before + 0.5) / (n + 0.5 * size), (cells.now + 0.5) / (m + 0.5 * size)
    ratio = np.log(new / old)
    inverse = 1 / m + 1 / n
    value = float((new - old) @ ratio) - (size - 1) * inverse
    of_new, of_old = ratio + 1 - old / new, -ratio + 1 - new / old
    variance = (new @ of_new**2 - (new @ of_new) ** 2) / m + (old @ of_old**2 - (old @ of_old) ** 2) / n
    reach = _Z90 * float(np.sqrt(variance + 2 * (size - 1) * inverse**2))
    return Span(value, max(value - reach, 0.0), max(value + reach, 0.0))


def _chance(cells: _Cells) -> float | None:
    """Return the p-value of a chi-square test, of a G test with the correction of Williams (1976) in small windows.

    Cells that are tested alone take part where five of the window are expected; None where fewer than two cells do.
    """
    total = cells.before + cells.now
    expected = total * cells.now.sum() / total.sum()
    takes_part = expected >= _LEAST_EXPECTED
    takes_part[: cells.before.size - cells.alone] = True
    before, now = cells.before[takes_part], cells.now[takes_part]
    if before.size < 2 or now.sum() == 0:
        return None
    rows = np.stack([before, now])
    table = rows.sum(axis=1, keepdims=True) * rows.sum(axis=0) / rows.sum()
    free = before.size - 1
    if now.sum() >= _SMALL:
        return float(chdtrc(free, ((rows - table) ** 2 / table).sum()))
    whole = rows.sum()
    williams = 1 + ((whole / rows.sum(axis=1)).sum() - 1) * ((whole / rows.sum(axis=0)).sum() - 1) / (6 * whole * free)
    return float(chdtrc(free, 2 * (xlogy(rows, rows / table)).sum() / williams))


def _chance_of_share(cells: _Cells, at: int) -> float:
    """Return the two-sided p-value of one cell's share: given its total, the window's part is binomial."""
    total, part = cells.before[at] + cells.now[at], cells.now[at]
    share = cells.now.sum() / (cells.before.sum() + cells.now.sum())
    at_least = float(betainc(part, total - part + 1, share)) if part > 0 else 1.0
    at_most = float(betaincc(part + 1, total - part, share)) if part < total else 1.0
    return min(1.0, 2 * min(at_least, at_most))


def _words(old: ColumnSketch, new: ColumnSketch) -> str:
    """Say what moved most: empty cells, a level, or the middle or the range of the numbers."""
    gaps = np.abs(new.shares - old.shares)
    emptied = abs(new.missing_share - old.missing_share)
    if new.known == 0 or emptied >= gaps.sum() / 2:
        return f"empty cells went from {percent(old.missing_share)} to {percent(new.missing_share)}"
    if old.layout.is_text:
        most = int(np.argmax(gaps))
        levels = old.layout.levels
        level = f"{levels[most][:40]!r}" if most < len(levels) else "values that were rare or unknown before"
        return f"the share of {level} went from {percent(old.shares[most])} to {percent(new.shares[most])}"
    if old.low == old.high:
        differ = 1 - float(new.shares[int(np.argmax(old.counts))])
        return f"it always was {figure(old.low or 0.0)}, and now {percent(differ)} of it differ"
    if old.counts.size == 2:
        return f"the share of {_upper(old)} went from {percent(old.shares[1])} to {percent(new.shares[1])}"
    (before_low, before, before_high), (low, middle, high) = (
        [sketch.quantile(q) or 0.0 for q in (0.1, 0.5, 0.9)] for sketch in (old, new)
    )
    if abs(middle - before) >= 0.1 * max(before_high - before_low, 0.0) and middle != before:
        return f"its median went from {figure(before)} to {figure(middle)}"
    return (
        f"its median stayed near {figure(middle)}, and the range of its middle 80 % "
        f"went from {figure(before_low)}..{figure(before_high)} to {figure(low)}..{figure(high)}"
    )


def _upper(sketch: ColumnSketch) -> str:
    if sketch.layout.kind is Kind.BOOLEAN:
        return "true"
    return figure(sketch.layout.values[1]) if len(sketch.layout.values) == 2 else "the higher values"


def percent(share: float) -> str:
    """Return a share for people: 12%, 1.2% or 0%."""
    return f"{share:.0%}" if share >= 0.095 or share == 0 else f"{share:.1%}"
