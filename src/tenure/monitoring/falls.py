"""Watch the realised score fall, window by window: how far each window is on its way to an alarm.

Each window's fall below the promise gives a one-sided predictive t statistic, that an e-value (Vovk, Wang 2021), and
those add up by Shiryaev and Roberts' rule (Shin, Ramdas, Rinaldo 2024): small falls count when they last. A third of
the room for false alarms goes to single windows, so that a collapse is seen at once. Windows wobble, and neighbours
wobble alike: both are learned from quiet windows, and e-values are tempered where neighbours are alike. The limit is
not taken from theory: quiet years with the same spread are replayed, and the limit is the lowest that keeps the rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from tenure.core.modelling import Floats

WARN_SHARE: Final = 1 / 3
_SINGLE_SHARE: Final = 1 / 3
_DEGREES: Final = 5.0
_QUIET: Final = 5.0
_PRIOR_WINDOWS: Final = 4.0
_PRIOR_PAIRS: Final = 6.0
_PRIOR_LIKENESS: Final = 0.2
_MOST_ALIKE: Final = 0.9
_EDGE: Final = 1e-9
_SMALLEST: Final = 1e-12
_OVERSHOOT: Final = 3.0
_RUNS: Final = 300
_REPLAYED: Final = 104
_MOST_KNOWN: Final = 60
_LEAST_COUNT: Final = 30.0
_STEP: Final = 1.25


@dataclass(frozen=True, slots=True)
class Spread:
    """What moves the fall of a quiet window, in units of the metric.

    `sampling` is the standard deviation for `rows` rows by sampling alone, `skewness` its skewness, `reference` how
    far the promise itself may be off (standard deviation), `wobble` what is expected between windows beyond sampling
    before any is known.
    """

    sampling: float
    rows: int
    skewness: float
    reference: float
    wobble: float

    @property
    def margin(self) -> float:
        """Return how far below the promise a window may lie because the promise was lucky (one-sided 95 %)."""
        return 1.64 * self.reference

    def variance(self, rows: NDArray[np.int64]) -> Floats:
        """Return the variance of the fall of windows of `rows` rows by sampling alone."""
        variance: Floats = self.sampling**2 * self.rows / rows
        return variance


@dataclass(frozen=True, slots=True, eq=False)
class FallCourse:
    """How windows stood on their way to an alarm: `levels` (n,), 1 is one.

    `wobble` is the standard deviation between quiet windows beyond sampling, `alike` the correlation of neighbours,
    both as known after the last window; `known` counts quiet windows.
    """

    levels: Floats
    wobble: float
    alike: float
    known: int


@dataclass(frozen=True, slots=True)
class FallLimit:
    """What is an alarm, and the rate of false alarms that it had when quiet years were replayed.

    An alarm is a sum of e-values of `limit`, or a single window that chance explains at most in `single` of windows.
    `rate` is alarms a window, over `replayed` windows.
    """

    limit: float
    single: float
    rate: float
    replayed: int


class _Learned:
    """What quiet windows tell of `runs` courses side by side, in running sums; doubtful windows are set apart."""

    def __init__(self, runs: int, wobble: float) -> None:
        self.wobble = wobble
        self.sums = np.zeros((6, runs))
        self.doubtful = np.zeros((6, runs))
        self.before = np.full(runs, np.nan)

    def take(self, fall: Floats, variance: Floats, *, quiet: NDArray[np.bool_], alarmed: NDArray[np.bool_]) -> None:
        """Take in one window of each run.

        A window on the way to an alarm waits: it counts as quiet too once the course calmed down without one, so that
        bad luck is learned as well as good.
        """
        paired = np.isfinite(self.before)
        before = np.where(paired, self.before, 0.0)
        one = np.ones_like(fall)
        new = np.stack([one, fall, fall**2, variance, np.where(paired, fall * before, 0.0), paired * one])
        self.doubtful = np.where(alarmed, 0.0, self.doubtful + new)
        self.sums = self.sums + np.where(quiet, self.doubtful, 0.0)
        self.doubtful = np.where(quiet, 0.0, self.doubtful)
        self.before = np.where(alarmed, np.nan, fall)

    def between(self) -> Floats:
        """Return the variance between quiet windows beyond sampling, shrunk to what was expected."""
        known, total, squares, sampling, _, _ = self.sums
        count = np.maximum(known, 1.0)
        free = np.maximum(known - 1.0, 0.0)
        excess = squares - total**2 / count - free * sampling / count
        variance: Floats = np.maximum(excess + _PRIOR_WINDOWS * self.wobble**2, 0.0) / (free + _PRIOR_WINDOWS)
        return variance * (1.0 + 1.0 / count)

    def alike(self) -> Floats:
        """Return the correlation of neighbouring quiet windows, shrunk to a mild one."""
        known, total, squares, _, products, pairs = self.sums
        count = np.maximum(known, 1.0)
        mean = total / count
        spread = squares / count - mean**2
        varies = spread > _EDGE * mean**2 + np.finfo(np.float64).tiny
        seen = (products / np.maximum(pairs, 1.0) - mean**2) / np.where(varies, spread, np.inf) + 1.0 / count
        shrunk = (np.clip(seen, -1.0, 1.0) * pairs + _PRIOR_LIKENESS * _PRIOR_PAIRS) / (pairs + _PRIOR_PAIRS)
        return np.clip(shrunk, 0.0, _MOST_ALIKE)


def _course(
    falls: Floats, variances: Floats, *, tolerated: float, wobble: float, limit: float, single: float, quiet: int
) -> tuple[Floats, _Learned]:
    """Return how each of many courses, `falls` (runs, windows), adds up; the first `quiet` windows are only learned."""
    runs, windows = falls.shape
    learned = _Learned(runs, wobble)
    total = np.zeros(runs)
    levels = np.zeros((runs, windows))
    for at in range(windows):
        fall, variance = falls[:, at], np.broadcast_to(variances[at], runs)
        if at < quiet:
            yes = np.ones(runs, dtype=np.bool_)
            learned.take(fall, variance, quiet=yes, alarmed=~yes)
            continue
        z = (fall - tolerated) / np.sqrt(variance + learned.between())
        chance = np.clip(stdtr(_DEGREES, -z), _SMALLEST, 1.0)
        alike = learned.alike()
        evidence = (0.5 / np.sqrt(chance)) ** ((1.0 - alike) / (1.0 + alike))
        total = np.minimum((1.0 + total) * evidence, _OVERSHOOT * limit)
        level = np.maximum(total / limit, single / chance)
        levels[:, at] = level
        learned.take(fall, variance, quiet=(total < _QUIET) & (level < WARN_SHARE), alarmed=level >= 1.0)
    return levels[:, quiet:], learned


def fall_limit(
    spread: Spread, earlier: Floats, rows: NDArray[np.int64], *, tolerance: float, level: float
) -> FallLimit:
    """Return the lowest limit that alarms in at most `level` of quiet windows, by replay.

    `earlier` (n,) are the falls of windows of `rows` rows known to be quiet, such as those of the reference. What they
    leave open about the wobble is drawn anew for every replayed course. Rates too low to be counted are taken to fall
    as the limit rises. Limits lie on a grid, so that a little more data seldom moves an alarm.
    """
    rng = np.random.default_rng(0)
    earlier, rows = earlier[-_MOST_KNOWN:], rows[-_MOST_KNOWN:]
    falls, variances = _quiet_years(spread, earlier, rows, rng)
    windows = falls.shape[1] - earlier.size
    replayed = int(_RUNS * windows)
    counted = max(level, _LEAST_COUNT / replayed)

    def rate(limit: float) -> float:
        levels, _ = _course(
            falls,
            variances,
            tolerated=tolerance + spread.margin,
            wobble=spread.wobble,
            limit=limit,
            single=_SINGLE_SHARE * counted,
            quiet=earlier.size,
        )
        over = levels >= 1.0
        alarms = int(np.count_nonzero(over[:, 1:] & ~over[:, :-1])) + int(np.count_nonzero(over[:, 0]))
        return alarms / replayed

    low = int(np.ceil(np.log(max(0.02 / counted, 2.0)) / np.log(_STEP)))
    high = max(int(np.ceil(np.log(10.0 / counted) / np.log(_STEP))), low)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if rate(_STEP**middle) <= counted else (middle + 1, high)
    seen = rate(_STEP**low)
    further = counted / level
    return FallLimit(_STEP**low * further, _SINGLE_SHARE * level, seen / further, replayed)


def _quiet_years(
    spread: Spread, earlier: Floats, rows: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return courses (runs, windows) as quiet as `earlier` was, which they begin with as many windows as."""
    learned = _Learned(1, spread.wobble)
    yes = np.ones(1, dtype=np.bool_)
    for fall, variance in zip(earlier, spread.variance(rows), strict=True):
        learned.take(np.array([fall]), np.array([variance]), quiet=yes, alarmed=~yes)
    free = _PRIOR_WINDOWS + max(earlier.size - 1, 0)
    wobble = np.sqrt(learned.between()[0] * free / rng.chisquare(free, _RUNS))
    every = wobble**2 + spread.sampling**2
    alike = learned.alike()[0] + rng.normal(size=_RUNS) * 0.8 / np.sqrt(_PRIOR_PAIRS + earlier.size)
    alike = np.clip(alike * every / np.maximum(wobble**2, np.finfo(np.float64).tiny), 0.0, _MOST_ALIKE)
    windows = earlier.size + _REPLAYED
    fresh = rng.standard_t(_DEGREES, (_RUNS, windows)) * np.sqrt((_DEGREES - 2) / _DEGREES)
    drawn = np.empty_like(fresh)
    drawn[:, 0] = fresh[:, 0]
    for at in range(1, windows):
        drawn[:, at] = alike * drawn[:, at - 1] + np.sqrt(1 - alike**2) * fresh[:, at]
    z = rng.normal(size=(_RUNS, windows))
    sampled = spread.sampling * (z + (z**2 - 1) * spread.skewness / 6)
    lucky = spread.reference * rng.normal(size=(_RUNS, 1)) * (np.arange(windows) >= earlier.size)
    return sampled + wobble[:, None] * drawn + lucky, np.full(windows, spread.sampling**2)


def watch_falls(
    falls: Floats,
    rows: NDArray[np.int64],
    *,
    earlier: Floats,
    earlier_rows: NDArray[np.int64],
    spread: Spread,
    tolerance: float,
    limit: FallLimit,
) -> FallCourse:
    """Return how the windows with `falls` (n,) below the promise stood on their way to an alarm, in order of time."""
    levels, learned = _course(
        np.concatenate([earlier, falls])[None, :],
        spread.variance(np.concatenate([earlier_rows, rows])),
        tolerated=tolerance + spread.margin,
        wobble=spread.wobble,
        limit=limit.limit,
        single=limit.single,
        quiet=earlier.size,
    )
    return FallCourse(
        levels[0], float(np.sqrt(learned.between()[0])), float(learned.alike()[0]), int(learned.sums[0, 0])
    )
