"""Bet against "nothing has changed", window by window, and count what the bets have won.

For each summary a predictive t statistic with five degrees of freedom, whatever the data promise: real windows have
heavy tails. Windows that resemble the one before are judged by what is new in them (an autoregression of order one).
The p-value buys e = p^(-3/4) / 4, which is 1 on average when nothing changed (Vovk and Wang 2021), and a Shiryaev-
Roberts sum R = (1 + 0.8 R) e collects: without a change its mean grows by less than 1 a window, so a weighted mean of
such sums reaches A no sooner than after A windows on average (e-detectors: Shin, Ramdas and Rinaldo 2024).

Arrays have the axes (worlds, windows, summaries): one world live, many when the past is replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from tenure.core.modelling import Floats

NEEDED: Final = 8
FREEDOM: Final = 5
_KAPPA: Final = 0.25
_LEAST_P: Final = 1e-12
_MEMORY: Final = 0.8
_LEARN_BELOW: Final = 5.0
_CAP: Final = 2.0
_STICKIEST: Final = 0.9
_GRID: Final = np.linspace(0.0, np.log1p(1e6), 4_096)
_LOG_E: Final = np.log(_KAPPA) - (1 - _KAPPA) * np.log(
    np.maximum(2 * stdtr(FREEDOM, -np.sqrt(np.expm1(_GRID))), _LEAST_P)
)


@dataclass(frozen=True, slots=True, eq=False)
class Stakes:
    """What is bet on each summary: `weight` sums to 1, `floor` is the least variance between windows.

    `group` numbers the column that a summary belongs to. `bar` is the mean run length that an alarm waits for.
    """

    weight: Floats
    floor: Floats
    group: NDArray[np.int64]
    bar: float


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """What known windows say is normal, for each world and summary."""

    centre: Floats
    between: Floats
    sampling: Floats
    doubt: Floats
    stickiness: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Summaries of windows: `values`, their sampling `variances` and, where seasons were taken out, their `doubt`."""

    values: Floats
    variances: Floats
    doubt: Floats | float = 0.0


def normal_of(known: Windows, stakes: Stakes, *, spent: Floats | float = 0.0) -> Normal:
    """Learn what is normal from known windows; values that are not to be learned from are NaN.

    A summary that fewer than eight windows know has no centre (NaN) and is not bet on. Windows that say less than
    usual, because they are small, count less. `spent` is how many degrees of freedom went into the values already.
    """
    values, held = known.values, np.isfinite(known.values)
    count = np.maximum(held.sum(axis=1), 1)
    variances = np.where(held, known.variances, 0.0)
    usual = (variances.sum(axis=1) / count)[:, None]
    weight = np.where(held, np.minimum(1.0, np.maximum(usual, 1e-300) / np.maximum(variances, 1e-300)), 0.0)
    mass = np.maximum(weight.sum(axis=1), 1e-300)
    sampling = (weight * variances).sum(axis=1) / mass
    centre = (weight * np.where(held, values, 0.0)).sum(axis=1) / mass
    apart = np.where(held, values - centre[:, None], 0.0) * np.sqrt(weight)
    centre = np.where(held.sum(axis=1) >= NEEDED, centre, np.nan)
    squares = (apart**2).sum(axis=1)
    stickiness = _stickiness(apart, squares, count)
    doubt = _doubt_of_mean(stickiness, np.maximum(mass, 2.0))
    total = squares / (mass * (1 - doubt)) * (count / np.maximum(count - spent, 1.0))
    between = np.maximum(total - sampling, stakes.floor)
    return Normal(centre, between, sampling, doubt, stickiness)


def _stickiness(apart: Floats, squares: Floats, count: NDArray[np.int64]) -> Floats:
    """Return the correlation of neighbours, each summary's own pulled towards that of all (empirical Bayes)."""
    varies = squares > 1e-18
    own = (apart[:, 1:] * apart[:, :-1]).sum(axis=1) / np.where(varies, squares, 1.0)
    own = np.where(varies, (own + 1 / count) / np.maximum(1 - 4 / count, 0.2), 0.0)
    many = np.maximum(varies.sum(axis=1, keepdims=True), 1)
    common = (own * varies).sum(axis=1, keepdims=True) / many
    spread = (varies * (own - common) ** 2).sum(axis=1, keepdims=True) / np.maximum(many - 1, 1)
    noise = 1 / count
    real = np.maximum(spread - noise, 0.0)
    found: Floats = np.clip(common + real / (real + noise) * (own - common), 0.0, _STICKIEST)
    return found


def _doubt_of_mean(stickiness: Floats, mass: Floats) -> Floats:
    """Return the variance of a mean of `mass` windows over that of one window."""
    r = stickiness
    return np.minimum(((1 + r) / (1 - r) - 2 * r * (1 - r**mass) / (mass * (1 - r) ** 2)) / mass, 0.9)


def bets(windows: Windows, before: Floats, normal: Normal) -> Floats:
    """Return the e-value of each summary of each window; 1 where there is nothing to judge.

    `before` (worlds, summaries) are the values of the window before the first.
    """
    centre, stickiness = normal.centre[:, None], normal.stickiness[:, None]
    apart = windows.values - centre
    earlier = np.concatenate([before[:, None] - centre, apart[:, :-1]], axis=1)
    carried = np.where(np.isfinite(earlier), stickiness, 0.0)
    usual = np.maximum(normal.sampling[:, None], 1e-300)
    variance = normal.between[:, None] * np.maximum(1.0, windows.variances / usual) + windows.variances
    factor = 1 - carried**2 + (1 - carried) ** 2 * normal.doubt[:, None] + windows.doubt
    fresh = apart - carried * np.where(np.isfinite(earlier), earlier, 0.0)
    with np.errstate(over="ignore"):
        z2 = np.minimum(fresh**2 / (variance * factor), 1e6)
    won = np.exp(np.interp(np.log1p(z2), _GRID, _LOG_E))
    return np.where(np.isfinite(z2), won, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Winnings:
    """How the sums ran: `level` of each summary over the bar (worlds, windows, summaries), and where to go on."""

    level: Floats
    learned: NDArray[np.bool_]
    last: Floats


def collected(won: Floats, last: Floats, stakes: Stakes) -> Winnings:
    """Collect e-values (worlds, windows, summaries) in Shiryaev-Roberts sums that start at `last`.

    A sum is held at twice what alarms alone, so that it comes down within a few windows once all is as before. A
    window is learned from, column by column, while the mean sum of the column stays below 5.
    """
    cap = _CAP * stakes.bar / stakes.weight
    columns = int(stakes.group.max()) + 1
    share = np.zeros((stakes.group.size, columns))
    share[np.arange(stakes.group.size), stakes.group] = 1.0
    share /= share.sum(axis=0)
    sums = np.empty_like(won)
    now = last
    for t in range(won.shape[1]):
        now = np.minimum((1 + _MEMORY * now) * won[:, t], cap)
        sums[:, t] = now
    learned = (sums @ share < _LEARN_BELOW)[..., stakes.group]
    return Winnings(sums * (stakes.weight / stakes.bar), learned, now)


def run(base: Windows, live: Windows, stakes: Stakes) -> Floats:
    """Return the level (worlds, windows) of live windows after `base`; what is normal is learned again as they pass."""
    known = np.concatenate([base.values, np.full_like(live.values, np.nan)], axis=1)
    variances = np.concatenate([base.variances, live.variances], axis=1)
    first = base.values.shape[1]
    steps = live.values.shape[1]
    level = np.empty(live.values.shape[:2])
    last, before = np.zeros_like(base.values[:, 0]), base.values[:, -1]
    at = 0
    while at < steps:
        until = min(at + step_after(first + at), steps)
        normal = normal_of(Windows(known[:, : first + at], variances[:, : first + at]), stakes)
        part = slice(at, until)
        came = Windows(live.values[:, part], live.variances[:, part])
        got = collected(bets(came, before, normal), last, stakes)
        level[:, part] = got.level.sum(axis=2)
        known[:, first + at : first + until] = np.where(got.learned, came.values, np.nan)
        last, before, at = got.last, came.values[:, -1], until
    return level


def step_after(known: int) -> int:
    """Return for how many windows that which `known` windows said is normal stays in force."""
    return max(known // 8, 1)


def alarmed(level: Floats) -> NDArray[np.bool_]:
    """Return whether the alarm is on in each window of `level` (worlds, windows): from 1 until below a tenth."""
    on = np.zeros(level.shape, dtype=bool)
    now = np.zeros(level.shape[0], dtype=bool)
    for t in range(level.shape[1]):
        now = np.where(now, level[:, t] >= 0.1, level[:, t] >= 1.0)
        on[:, t] = now
    return on
