"""Population stability index, corrected for sample size and for the number of columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import chdtrc

from tenure.core.data import WindowPair
from tenure.core.evidence import Measurement, Threshold
from tenure.core.modelling import Floats
from tenure.monitoring.figures import figure

_BINS: Final = 10
_FALSE_DISCOVERIES: Final = 0.05
_LEAST_EXPECTED: Final = 5.0
_LEAST_VALUES: Final = 20


class PopulationStabilityIndex:
    """How far each column moved between two windows, where chance does not explain it.

    Ten equal-mass bins of the reference for numbers, levels for categories; bins that expect fewer than five values
    are pooled. The plain index grows as windows shrink, so (bins - 1)(1/m + 1/n) is taken off. A column counts only
    where a chi-square test, corrected for the number of columns (Benjamini and Hochberg 1995, q = 0.05), tells the
    windows apart: else its value is 0, and `evidence` still holds the index.
    """

    name: ClassVar[str] = "psi"
    threshold: ClassVar[Threshold] = Threshold(warn=0.10)

    def measure(self, pair: WindowPair) -> Iterable[Measurement]:
        """Yield one measurement a column: the corrected index, or the reason why there is none."""
        shifts = list(_shifts(pair))
        tested = [shift for shift in shifts if shift.skipped is None]
        real = dict(zip((s.column for s in tested), _discoveries([s.p for s in tested]), strict=True))
        for shift in shifts:
            if shift.skipped is not None:
                yield Measurement(self.name, 0.0, subject=shift.column, skipped=shift.skipped)
            else:
                yield _measured(self.name, shift, is_real=real[shift.column])


@dataclass(frozen=True, slots=True)
class _Shift:
    """One column compared: corrected index, p-value of the chi-square test, and what moved in words."""

    column: str
    index: float = 0.0
    p: float = 1.0
    says: str = ""
    skipped: str | None = None


def _measured(name: str, shift: _Shift, *, is_real: bool) -> Measurement:
    says = f"{shift.column!r} moved: {shift.says}." if is_real else f"{shift.column!r} looks as it did in training."
    return Measurement(
        name,
        max(shift.index, 0.0) if is_real else 0.0,
        subject=shift.column,
        says=says,
        hint="Look at what changed in this column. Drift alone is no reason to retrain.",
        evidence={"psi_corrected": round(shift.index, 6), "p": float(shift.p)},
    )


def _shifts(pair: WindowPair) -> Iterator[_Shift]:
    for column, reference, current in pair.numeric():
        kept, came = reference[np.isfinite(reference)], current[np.isfinite(current)]
        reason = _too_thin(kept.size, came.size)
        yield _Shift(column, skipped=reason) if reason else _numeric_shift(column, kept, came)
    for column, reference_text, current_text in pair.categorical():
        old, new = reference_text.cast(pl.String).drop_nulls(), current_text.cast(pl.String).drop_nulls()
        reason = _too_thin(len(old), len(new))
        yield _Shift(column, skipped=reason) if reason else _categorical_shift(column, old, new)


def _too_thin(reference: int, current: int) -> str | None:
    if reference < _LEAST_VALUES:
        return f"the reference holds only {reference} usable values."
    if current < _LEAST_VALUES:
        return f"the window holds only {current} usable values."
    return None


def _numeric_shift(column: str, reference: Floats, current: Floats) -> _Shift:
    distinct = np.unique(reference)
    if distinct.size < 2:
        return _Shift(column, skipped="the column is constant in the reference.")
    if distinct.size <= _BINS:
        edges = (distinct[1:] + distinct[:-1]) / 2
    else:
        edges = np.unique(np.quantile(reference, np.linspace(0, 1, _BINS + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(edges, part, side="left"), minlength=edges.size + 1)
        for part in (reference, current)
    ]
    before, now = float(np.median(reference)), float(np.median(current))
    says = f"its median went from {figure(before)} to {figure(now)}"
    if np.isclose(before, now):
        says = f"its spread or its rare values changed, its median stayed near {figure(before)}"
    return _compared(column, *_pooled_neighbours(counts[0], counts[1]), says)


def _categorical_shift(column: str, reference: pl.Series, current: pl.Series) -> _Shift:
    levels, codes = np.unique(reference.to_numpy().astype(str), return_inverse=True)
    if levels.size < 2:
        return _Shift(column, skipped="the column is constant in the reference.")
    text = current.to_numpy().astype(str)
    at = np.clip(np.searchsorted(levels, text), 0, levels.size - 1)
    at = np.where(levels[at] == text, at, levels.size)  # what the reference never held gets a bin of its own
    before = np.bincount(codes, minlength=levels.size + 1)
    now = np.bincount(at, minlength=levels.size + 1)
    gap = now / now.sum() - before / before.sum()
    most = int(np.argmax(np.abs(gap)))
    level = repr(str(levels[most])) if most < levels.size else "values never seen in training"
    says = f"the share of {level} went from {before[most] / before.sum():.0%} to {now[most] / now.sum():.0%}"
    rare = before * now.sum() / before.sum() < _LEAST_EXPECTED
    if (~rare).sum() == 0:
        return _Shift(column, skipped="every value is too rare to compare.")
    pooled_before, pooled_now = before[~rare], now[~rare]
    if rare.any():
        pooled_before, pooled_now = np.append(pooled_before, before[rare].sum()), np.append(pooled_now, now[rare].sum())
    return _compared(column, pooled_before, pooled_now, says)


def _pooled_neighbours(
    before: NDArray[np.int64], now: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join each bin that expects too few values of the window with the next ones."""
    expected = before * now.sum() / before.sum()
    group, filled, groups = 0, 0.0, []
    for value in expected:
        groups.append(group)
        filled += value
        if filled >= _LEAST_EXPECTED:
            group, filled = group + 1, 0.0
    at = np.array(groups)
    if filled and group:  # the tail did not fill a bin of its own
        at = np.minimum(at, group - 1)
    return np.bincount(at, weights=before).astype(np.int64), np.bincount(at, weights=now).astype(np.int64)


def _compared(column: str, before: NDArray[np.int64], now: NDArray[np.int64], says: str) -> _Shift:
    kept = (before + now) > 0
    before, now = before[kept], now[kept]
    bins, n, m = before.size, float(before.sum()), float(now.sum())
    if bins < 2:
        return _Shift(column, skipped="the window is too small to compare.")
    share_before, share_now = (before + 0.5) / (n + 0.5 * bins), (now + 0.5) / (m + 0.5 * bins)
    index = float(np.sum((share_now - share_before) * np.log(share_now / share_before)))
    total = (before + now) / (n + m)
    chi2 = float(np.sum((before - n * total) ** 2 / (n * total)) + np.sum((now - m * total) ** 2 / (m * total)))
    return _Shift(column, index - (bins - 1) * (1 / m + 1 / n), float(chdtrc(bins - 1, chi2)), says)


def _discoveries(p_values: list[float]) -> list[bool]:
    """Return which hypotheses the Benjamini-Hochberg step-up rule rejects."""
    if not p_values:
        return []
    p = np.array(p_values)
    order = np.argsort(p)
    below = p[order] <= _FALSE_DISCOVERIES * (np.arange(p.size) + 1) / p.size
    cut = int(np.flatnonzero(below).max()) + 1 if below.any() else 0
    rejected = np.zeros(p.size, dtype=bool)
    rejected[order[:cut]] = True
    return [bool(r) for r in rejected]
