"""Take the weekday, the hour and the month out of summaries, where enough seasons show that they matter.

An effect is the mean of its windows, odd ones pulled in, shrunk by how surely the seasons differ at all (a soft
threshold at the 95 % point of the F test): noise alone is nearly always shrunk to nothing, so that taking seasons out
never makes quiet windows look restless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from tenure.core.modelling import Floats

Labels = NDArray[np.int64]

_DAY: Final = 86_400.0
_LEAST_SEASONS: Final = 3
_YEARS: Final = 2
_SURE: Final = 0.95
_ODD: Final = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """Where windows lie in each season that their length can show: one row of `labels` for each."""

    labels: tuple[Labels, ...]
    least: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Seasons:
    """What seasons explain: `effect` (windows, summaries), its `doubt` as a share of a window's variance, `spent`.

    `spent` (summaries,) is how many degrees of freedom the effects took. A window in a season that was never seen has
    NaN as its effect: nothing can be said of it.
    """

    effect: Floats
    doubt: Floats
    spent: Floats


def calendar_of(moments: Sequence[tuple[datetime, datetime]]) -> Calendar:
    """Return the hour of the day, the weekday and the month of windows (start, end), where their length allows."""
    lengths = [(end - start).total_seconds() for start, end in moments]
    length = float(np.median(lengths)) if lengths else 0.0
    middles = [start + (end - start) / 2 for start, end in moments]
    labels, least = [], []
    if 0 < length <= _DAY / 2:
        step = max(round(length / 3_600), 1)
        labels.append([start.hour // step for start, _ in moments])
        least.append(_LEAST_SEASONS)
    if 0 < length <= 1.5 * _DAY:
        labels.append([middle.weekday() for middle in middles])
        least.append(_LEAST_SEASONS)
    span = (moments[-1][1] - moments[0][0]).total_seconds() if moments else 0.0
    if 0 < length <= 45 * _DAY and span >= _YEARS * 365 * _DAY:
        labels.append([middle.month for middle in middles])
        least.append(_YEARS)
    return Calendar(tuple(np.array(label, dtype=np.int64) for label in labels), tuple(least))


def seasons_of(values: Floats, calendar: Calendar) -> Seasons:
    """Return what seasons explain in `values` (windows, summaries), learned where they are not NaN.

    `values` may be followed by windows that are all NaN: their effects are told, too.
    """
    shape = values.shape
    effect, doubt, spent = np.zeros(shape), np.zeros(shape), np.zeros(shape[1])
    for labels, least in zip(calendar.labels, calendar.least, strict=True):
        groups = np.unique(labels)
        member = labels[:, None] == groups  # (windows, groups)
        left = values - effect
        seen = np.array([np.isfinite(left[member[:, g]]).any(axis=1).sum() for g in range(groups.size)])
        learned = seen >= least
        if learned.sum() < 2 or seen[learned].sum() < 0.9 * seen.sum():
            continue
        found, share, many = _effects(left, member[:, learned])
        known = member[:, learned]
        told = known @ np.where(np.isfinite(found), found, 0.0)
        matters = share > 0
        strange: NDArray[np.bool_] = ~known.any(axis=1)
        told[strange[:, None] & matters] = np.nan
        effect = effect + told
        doubt = doubt + known @ (share / np.maximum(many, 1.0))
        spent = spent + share * (learned.sum() - 1)
    return Seasons(effect, doubt, spent)


def _effects(values: Floats, member: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Return shrunk effects (groups, summaries), the share that was kept (summaries,), and how many windows tell."""
    groups = member.shape[1]
    middle = np.stack([_median(values[member[:, g]]) for g in range(groups)])
    own = np.where(np.any(member, axis=1, keepdims=True), member @ np.nan_to_num(middle), np.nan)
    count = np.isfinite(values).sum(axis=0)
    usual = 1.4826 * _median(np.abs(values - own)) * np.sqrt(count / np.maximum(count - groups, 1))
    tamed = np.where(usual > 0, np.clip(values, own - _ODD * usual, own + _ODD * usual), values)
    known = np.isfinite(tamed)
    weights = member.T.astype(np.float64)
    many = weights @ known
    filled = np.where(known, tamed, 0.0)
    means = (weights @ filled) / np.maximum(many, 1.0)
    total = many.sum(axis=0)
    grand = (many * means).sum(axis=0) / np.maximum(total, 1.0)
    within = (known * (filled - member @ means) ** 2).sum(axis=0)
    between = (many * (means - grand) ** 2).sum(axis=0)
    free = np.maximum(total - groups, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(between > 1e-18, (between / (groups - 1)) / (within / free), 0.0)
        share = np.where(ratio > 0, np.maximum(1 - fdtri(groups - 1, free, _SURE) / ratio, 0.0), 0.0)
    share = np.where((total > groups) & (many >= 1).all(axis=0), share, 0.0)
    return share * (means - grand), share, many


def _median(values: Floats) -> Floats:
    """Return the median of each column, NaN left out; NaN where a column holds nothing."""
    ordered = np.sort(values, axis=0)  # NaN last
    count = np.isfinite(values).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, max(values.shape[0] - 1, 0))
    if values.shape[0] == 0:
        return np.full(values.shape[1], np.nan)
    at_low = np.take_along_axis(ordered, low[None], axis=0)[0]
    at_high = np.take_along_axis(ordered, high[None], axis=0)[0]
    middle: Floats = np.where(count > 0, (at_low + at_high) / 2, np.nan)
    return middle
