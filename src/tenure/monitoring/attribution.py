"""Say where a fall of the realised metric comes from: which slices, and whether rows or answers changed.

A slice is one condition on one column. It is told when its rows fell further than all others beyond chance (Bonferroni
over all slices); its rows are then taken out and the rest is looked at again, so ten slices that overlap are one story.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri

from tenure.core.health import FallParts, SliceFall, Span
from tenure.core.metrics import Metric, log_losses
from tenure.core.modelling import Floats
from tenure.monitoring.figures import figure
from tenure.monitoring.price_losses import jackknifed
from tenure.monitoring.price_worlds import cells_of, refusal, weights_of
from tenure.monitoring.prices import Known

_BINS: Final = 8
_LEVELS: Final = 12
_LEAST_ROWS: Final = 20
_MOST_TOLD: Final = 5
_LEVEL: Final = 0.05
_CAP_AT: Final = 0.995

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    """One condition on one column, in words and on the rows of either side."""

    column: str
    says: str
    known: Flags
    came: Flags


def falls_by_slice(
    reference: Known, matured: Known, *, metric: Metric, columns: Sequence[str]
) -> tuple[SliceFall, ...]:
    """Return the fewest slices that tell where the mean row loss rose from `reference` to `matured`, worst first.

    The loss is that of the metric, log-loss or squared error where it has none; single losses are capped. Intervals are
    95 %, widened for having been chosen (Benjamini and Yekutieli 2005). Empty where nothing fell beyond chance, and
    where all rows fell alike.
    """
    before, now = _losses(reference, matured, metric)
    if min(before.size, now.size) < 2 * _LEAST_ROWS:
        return ()
    slices = [one for name in columns for one in _slices(name, reference.features, matured.features)]
    whole = float(now.mean() - before.mean())
    known, came = (np.ones(size, dtype=np.bool_) for size in (before.size, now.size))
    chosen: list[_Slice] = []
    parts: list[tuple[Flags, Flags]] = []
    while len(chosen) < _MOST_TOLD and (one := _outstanding(slices, before, now, known, came)) is not None:
        parts.append((one.known & known, one.came & came))
        chosen.append(one)
        known, came = known & ~one.known, came & ~one.came
    z = float(ndtri(1 - _LEVEL / 2 * len(chosen) / max(len(slices), 1)))
    told = [
        _told(one, before[kept], now[seen], whole, now.size, z) for one, (kept, seen) in zip(chosen, parts, strict=True)
    ]
    return tuple(sorted(told, key=lambda fall: -fall.share))


def _losses(reference: Known, matured: Known, metric: Metric) -> tuple[Floats, Floats]:
    """Return the row losses of both sides, capped alike."""
    loss = metric.row_loss
    if loss is None:
        loss = log_losses if reference.predicted.ndim == 2 else lambda target, predicted: np.square(target - predicted)
    before, now = (loss(rows.target, rows.predicted).astype(np.float64) for rows in (reference, matured))
    cap = float(np.quantile(np.concatenate([before, now]), _CAP_AT)) if before.size + now.size else 0.0
    if cap <= 0:  # nearly every row is right
        return before, now
    return np.minimum(before, cap), np.minimum(now, cap)


def _outstanding(slices: Sequence[_Slice], before: Floats, now: Floats, known: Flags, came: Flags) -> _Slice | None:
    """Return the slice whose rows fell surest beyond the other rows that are left, None where none did."""
    needed = float(ndtri(1 - _LEVEL / max(len(slices), 1)))
    best, strength = None, needed
    for one in slices:
        inside = _fall(before[one.known & known], now[one.came & came])
        outside = _fall(before[~one.known & known], now[~one.came & came])
        if inside is None:
            continue
        own = inside[0] / inside[1]
        beyond = own if outside is None else (inside[0] - outside[0]) / math.hypot(inside[1], outside[1])
        if min(own, beyond) > strength:
            best, strength = one, min(own, beyond)
    return best


def _fall(before: Floats, now: Floats) -> tuple[float, float] | None:
    """Return the rise of the mean loss and its standard error; None where there are too few rows."""
    if min(before.size, now.size) < _LEAST_ROWS:
        return None
    error = math.sqrt(before.var(ddof=1) / before.size + now.var(ddof=1) / now.size)
    return float(now.mean() - before.mean()), max(error, 1e-12)


def _told(one: _Slice, before: Floats, now: Floats, whole: float, rows: int, z: float) -> SliceFall:
    found = _fall(before, now)
    assert found is not None  # only slices with enough rows are chosen
    fall, error = found
    share = float(np.clip(fall * now.size / rows / whole, 0.0, 1.0)) if whole > 0 else 0.0
    return SliceFall(one.column, one.says, int(now.size), Span(fall, fall - z * error, fall + z * error), share)


def _slices(name: str, known: pl.DataFrame, came: pl.DataFrame) -> Iterator[_Slice]:
    """Yield the levels of a column, or its stretches from one edge to another end, and its empty cells."""
    if name not in known.columns or name not in came.columns:
        return
    before, now = known[name], came[name]
    yield from (
        _levels(name, before, now.cast(pl.String)) if before.dtype == pl.String else _stretches(name, before, now)
    )
    empty, now_empty = (_is_empty(values) for values in (before, now))
    yield _Slice(name, f"{name} is empty", empty, now_empty)


def _is_empty(values: pl.Series) -> Flags:
    empty = values.is_null()
    return (empty | values.is_nan().fill_null(value=True) if values.dtype.is_float() else empty).to_numpy()


def _levels(name: str, before: pl.Series, now: pl.Series) -> Iterator[_Slice]:
    both = pl.concat([before, now.rename(before.name)]).drop_nulls()
    for level in both.value_counts(sort=True)[before.name].head(_LEVELS).to_list():
        inside = ((values == level).fill_null(value=False).to_numpy() for values in (before, now))
        yield _Slice(name, f"{name} is {level}", *inside)


def _stretches(name: str, before: pl.Series, now: pl.Series) -> Iterator[_Slice]:
    known, came = (values.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy() for values in (before, now))
    finite = known[np.isfinite(known)]
    if finite.size == 0:
        return
    values = np.unique(finite)
    if values.size <= _BINS:
        for value in values:
            yield _Slice(name, f"{name} is {figure(float(value))}", known == value, came == value)
        return
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, _BINS + 1)[1:-1], method="higher"))
    for edge in edges:
        yield _Slice(name, f"{name} is below {figure(float(edge))}", known < edge, came < edge)
        yield _Slice(name, f"{name} is {figure(float(edge))} or more", known >= edge, came >= edge)
    for low, high in itertools.pairwise(edges):
        words = f"{name} is between {figure(float(low))} and {figure(float(high))}"
        yield _Slice(name, words, (known >= low) & (known < high), (came >= low) & (came < high))


def fall_in_two(
    reference: Known, matured: Known, *, metric: Metric, columns: Sequence[str], rng: np.random.Generator
) -> FallParts | None:
    """Split a fall of the metric: what other rows cost, and what is answered worse on the same rows (90 %).

    Reference rows weighted to look like the matured ones in `columns` stand for the model as it was on the rows that
    came; what is left of the fall is the concept's (or the feed's). None where the metric is not defined on the rows.
    """
    rows, came = len(reference.target), len(matured.target)
    if min(rows, came) < _LEAST_ROWS:
        return None
    cells = [
        cells_of(reference.features[name], matured.features[name].cast(reference.features[name].dtype, strict=False))
        for name in columns
        if name in reference.features.columns and name in matured.features.columns
    ]
    weights = weights_of(cells, rng) if cells else np.ones(rows)

    def score(known: Known, weight: Floats) -> float:
        at = weight > 0
        return metric(known.target[at], known.predicted[at], weight=weight[at])

    def whole(both: Floats) -> float:
        return metric.gain(score(reference, both[:rows]), score(matured, both[rows:]))

    def composition(both: Floats) -> float:
        return metric.gain(score(reference, both[:rows]), score(reference, both[:rows] * weights))

    def concept(both: Floats) -> float:
        return metric.gain(score(reference, both[:rows] * weights), score(matured, both[rows:]))

    total = jackknifed(whole, rows + came, rng)
    if not np.isfinite(total.value):
        return None
    reason = refusal(weights, max((cell.unsupported() for cell in cells), default=0.0))
    if reason is not None:
        return FallParts(metric.name, total, refused=reason)
    return FallParts(
        metric.name, total, jackknifed(composition, rows + came, rng), jackknifed(concept, rows + came, rng)
    )
