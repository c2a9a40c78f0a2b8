"""Watch windows for drift with one dial, false alarms a year, and tell which columns raised the alarm.

The windows themselves are the unit: how far they wobbled while all was well decides what counts as a shift, not how
many rows they have. See `betting` for the statistics and docs/decisions for why.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import numpy as np

from tenure.core.health import AlarmRate
from tenure.core.modelling import Floats
from tenure.monitoring.betting import (
    NEEDED,
    Stakes,
    Windows,
    alarmed,
    bets,
    collected,
    normal_of,
    step_after,
)
from tenure.monitoring.inputs import PREDICTION
from tenure.monitoring.layout import Layout
from tenure.monitoring.replay import measured_rate
from tenure.monitoring.seasons import Seasons, calendar_of, seasons_of
from tenure.monitoring.sketches import WindowSketch, merged
from tenure.monitoring.summaries import SPREAD, SummaryTable, scale_of, summaries

_FLOOR_SHARE: Final = 0.2
_PREDICTION_SHARE: Final = 0.2
_SERIES_SHARE: Final = 0.1
_STILL: Final = 0.03
_STILL_PREDICTION: Final = 0.1
_STILL_SERIES: Final = 0.01
_TELLING: Final = 0.01
_REPLAYED: Final = 20  # with fewer, a replay draws the same window too often, and alarms far more than life does


@dataclass(frozen=True, slots=True)
class Series:
    """One more number a window that is watched, such as how well a classifier tells the window from the reference.

    `reference` and `windows` hold one value for each window, None where there is none; `variance` is what chance
    gives one value.
    """

    reference: Sequence[float | None]
    windows: Sequence[float | None]
    variance: float = 0.0


@dataclass(frozen=True, slots=True)
class DriftCourse:
    """How the drift detector ran over the live windows.

    `levels` says how far it stood on its way to an alarm (1 is one), `alarmed` whether the alarm was on: from level 1
    until the level has come back below 0.1. `columns` are the levels of single columns (of 0.01 and more; they sum up
    to the whole), `blame` the same as shares of the whole. `rate` is the dial and what it was measured to mean.
    """

    levels: tuple[float, ...]
    alarmed: tuple[bool, ...]
    columns: tuple[dict[str, float], ...]
    blame: tuple[dict[str, float], ...]
    rate: AlarmRate


def watch_drift(
    reference: Sequence[WindowSketch],
    windows: Sequence[WindowSketch],
    *,
    layout: Layout,
    weights: Mapping[str, float],
    allowed_per_year: float,
    windows_per_year: float,
    rng: np.random.Generator,
    faulty: Sequence[Collection[str]] = (),
    accepted: Sequence[bool] = (),
    extra: Mapping[str, Series] | None = None,
    measured: bool = True,
) -> DriftCourse:
    """Run the drift detector over live `windows`, oldest first, after the windows of the `reference`.

    `weights` are the columns' shares of the model's skill. `faulty` names for each window the columns whose feed was
    broken: they, the prediction and the series of that window are passed over and never learned from. `accepted` marks
    windows that a person declared normal: they are learned from whatever they hold, and the detector starts anew.
    While fewer than eight windows are known the detector learns and raises nothing. Unless the false alarms are to be
    `measured`, the reference is not replayed.
    """
    table = _everything(reference, windows, layout, extra or {})
    moments = [(window.start, window.end) for window in (*reference, *windows)]
    known = _Known.of(table, moments, len(reference), faulty, accepted)
    stakes = _stakes(table, weights, windows_per_year / allowed_per_year)
    level = _levels(known, stakes)
    names = list(dict.fromkeys(table.columns))
    by_column = level @ (stakes.group[:, None] == np.arange(len(names)))
    whole = by_column.sum(axis=1)
    columns = tuple(_telling(names, row) for row in by_column)
    blame = tuple(
        _telling(names, row / total) if total > 0 else {} for row, total in zip(by_column, whole, strict=True)
    )
    return DriftCourse(
        levels=tuple(whole.tolist()),
        alarmed=tuple(alarmed(whole[None])[0].tolist()),
        columns=columns,
        blame=blame,
        rate=_rate(known, stakes, allowed_per_year, windows_per_year, rng if measured else None),
    )


def _telling(names: Sequence[str], row: Floats) -> dict[str, float]:
    order = np.argsort(-row, kind="stable")
    return {names[i]: float(row[i]) for i in order if row[i] >= _TELLING}


def _everything(
    reference: Sequence[WindowSketch], windows: Sequence[WindowSketch], layout: Layout, extra: Mapping[str, Series]
) -> SummaryTable:
    """Return the summaries of all windows, the series among them."""
    both = [*reference, *windows]
    scale = scale_of(merged(reference or windows[:NEEDED], layout), layout)
    table = summaries(both, scale)
    values = [table.values, *(_column([*s.reference, *s.windows], len(both)) for s in extra.values())]
    variances = [table.variances, *(np.full((len(both), 1), s.variance) for s in extra.values())]
    return SummaryTable(
        (*table.columns, *extra),
        (*table.names, *("series" for _ in extra)),
        np.hstack(values),
        np.hstack(variances),
        np.append(table.allowances, np.zeros(len(extra))),
    )


def _column(values: Sequence[float | None], count: int) -> Floats:
    told = [np.nan if value is None else value for value in values]
    return np.array(told, dtype=np.float64).reshape(count, 1)


def _stakes(table: SummaryTable, weights: Mapping[str, float], bar: float) -> Stakes:
    """Share the stakes: a fifth on the prediction, a tenth on each series, the rest on columns by their importance."""
    names = list(dict.fromkeys(table.columns))
    series = {name for name, what in zip(table.columns, table.names, strict=True) if what == "series"}
    inputs = [name for name in names if name not in series and name != PREDICTION]
    share = np.maximum([weights.get(name, 0.0) for name in inputs], 0.0)
    share = share / share.sum() if share.sum() > 0 else np.ones(len(inputs))
    share = np.maximum(share, _FLOOR_SHARE / max(len(inputs), 1))
    fixed = dict.fromkeys(series, _SERIES_SHARE) | ({PREDICTION: _PREDICTION_SHARE} if PREDICTION in names else {})
    left = max(1 - sum(fixed.values()), _FLOOR_SHARE)
    of_column = fixed | dict(zip(inputs, (left * share / max(share.sum(), 1e-300)).tolist(), strict=True))
    of_each = np.array([of_column[name] / table.columns.count(name) for name in table.columns])
    still = [
        _STILL_SERIES if name in series else _STILL_PREDICTION if name == PREDICTION else _STILL
        for name in table.columns
    ]
    floor = np.array(still) ** 2 * np.where(np.array(table.names) == SPREAD, 2.0, 1.0) + table.allowances
    group = np.array([names.index(name) for name in table.columns], dtype=np.int64)
    return Stakes(of_each / max(of_each.sum(), 1e-300), floor, group, bar)


@dataclass(slots=True, eq=False)
class _Known:
    """All windows, and what has been learned from so far (NaN elsewhere)."""

    values: Floats
    variances: Floats
    moments: Sequence[tuple[datetime, datetime]]
    first: int
    accepted: frozenset[int]
    learned: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.learned = self.values.copy()
        self.learned[self.first :] = np.nan

    @classmethod
    def of(
        cls,
        table: SummaryTable,
        moments: Sequence[tuple[datetime, datetime]],
        first: int,
        faulty: Sequence[Collection[str]],
        accepted: Sequence[bool],
    ) -> _Known:
        values = table.values.copy()
        whole = {name for name, what in zip(table.columns, table.names, strict=True) if what == "series"} | {PREDICTION}
        for i, broken in enumerate(faulty):
            if broken:
                out = [name in broken or name in whole for name in table.columns]
                values[first + i, out] = np.nan
        return cls(
            values,
            table.variances,
            moments,
            first,
            frozenset(first + i for i, is_accepted in enumerate(accepted) if is_accepted),
        )

    def count(self, at: int) -> int:
        """Return how many windows before `at` something was learned from."""
        return int(np.isfinite(self.learned[:at]).any(axis=1).sum())

    def seasons(self, at: int, until: int) -> Seasons:
        """Return what seasons explain in the windows up to `until`, as learned before `at`."""
        learned = np.concatenate([self.learned[:at], np.full_like(self.values[at:until], np.nan)])
        return seasons_of(learned, calendar_of(self.moments[:until]))


def _levels(known: _Known, stakes: Stakes) -> Floats:
    """Return the level of each summary in each live window (windows, summaries)."""
    steps, summaries_ = known.values.shape[0], known.values.shape[1]
    level = np.zeros((steps - known.first, summaries_))
    last = np.zeros(summaries_)
    at = known.first
    while at < steps:
        count = known.count(at)
        if count < NEEDED or at in known.accepted:
            known.learned[at], last = known.values[at], np.zeros(summaries_)
            at += 1
            continue
        until = min([at + step_after(count), steps, *(i for i in known.accepted if i > at)])
        seasons = known.seasons(at, until)
        past = Windows((known.learned[:at] - seasons.effect[:at])[None], known.variances[None, :at])
        values = known.values[:until] - seasons.effect
        came = Windows(values[None, at:], known.variances[None, at:until], seasons.doubt[None, at:])
        won = bets(came, values[None, at - 1], normal_of(past, stakes, spent=seasons.spent))
        got = collected(won, last[None], stakes)
        level[at - known.first : until - known.first] = got.level[0]
        known.learned[at:until] = np.where(got.learned[0], known.values[at:until], np.nan)
        last, at = got.last[0], until
    return level


def _rate(
    known: _Known, stakes: Stakes, allowed: float, windows_per_year: float, rng: np.random.Generator | None
) -> AlarmRate:
    """Return the dial, and what it was measured to mean on the reference's windows, or on those learned since."""
    steps = known.values.shape[0]
    count = known.count(steps)
    rate = AlarmRate(allowed, windows_per_year, stakes.bar, count, NEEDED, learning=count < NEEDED)
    at = known.first if known.count(known.first) >= _REPLAYED else steps
    values = known.learned[:at] - known.seasons(at, at).effect
    held = np.isfinite(values).any(axis=1)
    if rng is None or held.sum() < _REPLAYED or stakes.weight.size == 0:
        return rate
    own = Windows(values[held], known.variances[:at][held])
    span, replayed = measured_rate(own, stakes, windows_per_year=windows_per_year, rng=rng)
    return replace(rate, measured=span, replayed=replayed)
