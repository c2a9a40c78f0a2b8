"""Sum up windows in a few numbers a column, from sketches alone, each with the variance that chance gives it.

Numbers: mean and log variance of normal scores, share of empty cells. Categories: shares of the common levels and of
all that is rare or new, mean surprise, share of empty cells. All but the log variance are linear in the counts, or
shares on the scale where their variance is known (Freeman and Tukey 1950): so windows of any size sum up to the same
value on average, an empty cell is no special case, and the variance at a window's size needs no estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tenure.core.data import Kind
from tenure.core.modelling import Floats
from tenure.monitoring.layout import KEPT_LEVELS, ColumnLayout, Layout
from tenure.monitoring.sketches import ColumnSketch, WindowSketch

SPREAD: Final = "spread"
_TOP_LEVELS: Final = 3
_MANY_OTHERS: Final = 0.05
_LUCK: Final = 0.8
_LEAST: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class _ColumnScale:
    """How one column is summed up.

    `scores` are weights of its bins with mean 0 in the reference, `variance` their variance there, `fourth` their
    fourth moment over the squared variance; `watched` are lists of bins whose share is followed. The allowances are
    variances to grant the share of the last list, and the mean of the scores.
    """

    name: str
    scores: Floats | None
    variance: float
    fourth: float | None
    watched: tuple[tuple[int, ...], ...]
    others_allowance: float = 0.0
    mean_allowance: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class SummaryScale:
    """What windows are summed up with, learned from the whole reference once."""

    columns: tuple[_ColumnScale, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SummaryTable:
    """Summaries of windows: `values` and the sampling `variances` (windows, summaries), NaN where there is nothing.

    `columns` (summaries,) says which column a summary belongs to, `names` what it is. `allowances` (summaries,) is the
    variance to grant for what the scale learned from the reference by chance: which rare levels it keeps.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    values: Floats
    variances: Floats
    allowances: Floats


def scale_of(reference: WindowSketch, layout: Layout) -> SummaryScale:
    """Return the scale that the merged reference gives; columns that it does not hold are left out."""
    held = (column for column in layout.columns if column.name in reference.columns)
    return SummaryScale(tuple(_column_scale(column, reference.columns[column.name]) for column in held))


def summaries(windows: Sequence[WindowSketch], scale: SummaryScale) -> SummaryTable:
    """Return the summaries of `windows`, in their order.

    The variance of a summary is the one that rows drawn at random from the reference would give at the window's size,
    and never less than what a single row can do: so no first odd row among thousands looks like a shift.
    """
    parts = [part for column in scale.columns for part in _summed_up(column, windows)]
    shape = (len(windows), len(parts))
    return SummaryTable(
        columns=tuple(part.column for part in parts),
        names=tuple(part.name for part in parts),
        values=np.column_stack([part.value for part in parts]) if parts else np.empty(shape),
        variances=np.column_stack([part.variance for part in parts]) if parts else np.empty(shape),
        allowances=np.array([part.allowance for part in parts]),
    )


def _column_scale(column: ColumnLayout, sketch: ColumnSketch) -> _ColumnScale:
    counts = np.asarray(sketch.counts, dtype=np.float64)
    share = (counts + 0.5) / (counts.sum() + 0.5 * counts.size)
    if column.is_text:
        return _text_scale(column, counts, share)
    if column.kind is Kind.DATETIME:  # dates move on by themselves
        return _ColumnScale(column.name, None, 0.0, None, ())
    filled = np.flatnonzero(counts)
    if filled.size < 2 or counts.size <= 2:  # a flag, or one value only: the share of each rarer bin tells all
        main = int(np.argmax(counts))
        rest = tuple(i for i in range(counts.size) if i != main)
        return _ColumnScale(column.name, None, 0.0, None, (rest,) if rest else ())
    scores = ndtri(np.cumsum(share) - share / 2)
    scores = scores - share @ scores
    variance = float(share @ scores**2)
    return _ColumnScale(column.name, scores, variance, float(share @ scores**4) / variance**2, ())


def _text_scale(column: ColumnLayout, counts: Floats, share: Floats) -> _ColumnScale:
    """Follow the commonest levels, all that is rare or new, and how surprising values are under the reference.

    Which levels were kept, and how common they look, is partly chance of the reference itself: the windows of the
    reference look a little more like it than any later one, by about what the allowances say.
    """
    order = np.argsort(-counts[:-1], kind="stable")
    top = order[: max(min(_TOP_LEVELS, int((counts[:-1] > 0).sum()) - 1), 1)]
    watched = tuple((int(level),) for level in top)
    surprise = -np.log(share)
    scores = surprise - share @ surprise
    variance = float(share @ scores**2)
    rows, optimism = max(float(counts.sum()), 1.0), 0.0
    if len(column.levels) == KEPT_LEVELS and counts[-1] > 0:
        last = float(counts[:-1].min())
        close = int((counts[:-1] <= last + 2 * last**0.5).sum())
        optimism = _LUCK * last**0.5 * close / rows
    others = optimism / max(float(share[-1] * (1 - share[-1])), _LEAST) ** 0.5
    fit = ((counts > 0).sum() - 1) / rows / max(variance, _LEAST) ** 0.5
    is_open = share[-1] >= _MANY_OTHERS
    return _ColumnScale(
        column.name,
        None if is_open else scores,
        variance,
        None,
        (*watched, (counts.size - 1,)),
        others_allowance=others**2,
        mean_allowance=(fit + others) ** 2,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    column: str
    name: str
    value: Floats
    variance: Floats
    allowance: float = 0.0


def _summed_up(column: _ColumnScale, windows: Sequence[WindowSketch]) -> list[_Part]:
    came = [window.columns.get(column.name) for window in windows]
    bins = next((sketch.counts.size for sketch in came if sketch is not None), 0)
    counts = np.array([np.zeros(bins) if sketch is None else sketch.counts for sketch in came], dtype=np.float64)
    rows = np.array([0 if sketch is None else sketch.rows for sketch in came], dtype=np.float64)
    counts = counts.reshape(len(windows), bins)
    given = counts.sum(axis=1)
    parts = [_share(column.name, "empty", rows - given, rows)]
    for at in column.watched:
        allowance = column.others_allowance if at is column.watched[-1] else 0.0
        hits = counts[:, list(at)].sum(axis=1)
        parts.append(_share(column.name, f"share of {at}", hits, given, allowance))
    if column.scores is not None:
        parts.append(_mean(column, counts, given))
    if column.scores is not None and column.fourth is not None:
        parts.append(_log_variance(column, column.scores, column.fourth, counts, given))
    return parts


def _share(column: str, name: str, hits: Floats, rows: Floats, allowance: float = 0.0) -> _Part:
    """Return shares as angles of Freeman and Tukey: variance 1 / (rows + 1/2) whatever the share."""
    known = rows > 0
    angle = np.arcsin(np.sqrt(hits / (rows + 1))) + np.arcsin(np.sqrt((hits + 1) / (rows + 1)))
    return _Part(column, name, *_where(known, angle, 1 / (rows + 0.5)), allowance)


def _mean(column: _ColumnScale, counts: Floats, rows: Floats) -> _Part:
    assert column.scores is not None
    many = np.maximum(rows, 1)
    deviation = max(column.variance, _LEAST) ** 0.5
    value = counts @ column.scores / many / deviation
    one_row = float(np.abs(column.scores).max()) / deviation
    variance = np.maximum(1 / many, (one_row / many) ** 2)
    return _Part(column.name, "mean", *_where(rows > 0, value, variance), column.mean_allowance)


def _log_variance(column: _ColumnScale, scores: Floats, fourth: float, counts: Floats, rows: Floats) -> _Part:
    """Return the log variance of the scores; one row like the reference is added, so that it is always defined."""
    many = rows + 1
    mean = counts @ scores / many
    value = np.log(np.maximum((counts @ scores**2 + column.variance) / many - mean**2, 1e-6) / column.variance)
    one_row = float((scores**2).max()) / column.variance
    variance = np.maximum(max(fourth - 1, 0.0) / many, (one_row / many) ** 2)
    return _Part(column.name, SPREAD, *_where(rows > 1, value, variance))


def _where(known: NDArray[np.bool_], value: Floats, variance: Floats) -> tuple[Floats, Floats]:
    return np.where(known, value, np.nan), np.where(known, variance, np.nan)
