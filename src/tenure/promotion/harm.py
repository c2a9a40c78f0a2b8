"""Bet on harm: whether one version does worse than another on the same rows, looked at as often as one likes.

Rows come in the order in which their outcomes became known, and are put into blocks: a new block begins when the one
before holds enough rows and covers enough time, so that what moves rows of one hour together stays within a block.
After each block a bet is settled on "this version is no worse than that one, beyond the margin": the mean excess of
loss, less what the block before lets expect where neighbours resemble each other, in units of a spread that earlier
blocks alone told. The wealth is a mean over four stakes that never change (testing by betting: Waudby-Smith and Ramdas
2024). While there is no harm it is 1 at most on average, so it ever reaches 20 in one of 20 cases at most (Ville 1939).

Simulated at every look over up to 300 blocks without harm, it reached 20 in at most 2.5 % of the worlds for independent
rows (also with heavy tails, a spread that grows tenfold, or blocks that move together) and in 5 % where neighbouring
blocks correlate by 0.5 or the candidate gains by rare rows only; where they correlate by 0.8, in 10 to 18 %. Within 28
blocks of 20 rows, an excess of 0.2 of a row's spread was found in 73 of 100 worlds, and one of 0.3 in 99.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tenure.core.metrics import METRICS, PROPER_LOSS, Metric, Targets
from tenure.core.modelling import Floats, Indices, Task
from tenure.core.uncertainty import mean_with_interval

OPEN: Final = -1
"""The block of rows that wait for it to be full."""
_STAKES: Final = np.array([0.05, 0.1, 0.2, 0.4])
_MOST_WON: Final = 4.0
"""One block, however bad, moves the wealth by no more than this many spreads."""
_LEAST_LEFT: Final = 0.05
_WATCHED_ONLY: Final = 4
_DOUBT: Final = 4.0
_STICKY: Final = 0.3
_STICKY_WEIGHT: Final = 8.0
_STICKIEST: Final = 0.9
_USUAL_ROWS: Final = 10.0
_LEAST_CHANCE: Final = 0.01
_LARGEST_ERROR: Final = 16.0
_OF_SKILL: Final = 0.02
_OF_LOSS: Final = 0.002


@dataclass(frozen=True, slots=True)
class Yardstick:
    """How losses of rows are measured, learned before any is compared.

    `metric` has a loss for each row; one row counts at most `cap`. `spread` is the usual standard deviation of a loss,
    `margin` what one version may be worse than another before it counts as harm. All in units of the loss.
    """

    metric: Metric
    cap: float
    spread: float
    margin: float

    def losses(self, target: Targets, predicted: Floats) -> Floats:
        """Return the loss of each row."""
        assert self.metric.row_loss is not None  # yardstick_of takes no other
        return np.minimum(self.metric.row_loss(target, predicted), self.cap)


def yardstick_of(metric: str, task: Task, target: Targets, predicted: Floats) -> Yardstick:
    """Return the yardstick for a task, from out-of-sample answers `predicted` to rows whose `target` is known.

    A metric that no single row has a part in is replaced by the proper loss of the task. Harm begins at 2 % of the
    skill over saying the same of all rows, and no lower than at 0.2 % of the loss.
    """
    measured = METRICS[metric]
    if measured.row_loss is None:
        measured = METRICS[PROPER_LOSS[task]]
    assert measured.row_loss is not None
    losses = measured.row_loss(target, predicted)
    cap = _LARGEST_ERROR * float(losses.mean()) if task is Task.REGRESSION else -float(np.log(_LEAST_CHANCE))
    capped = np.minimum(losses, cap)
    same = np.broadcast_to(
        target.mean() if predicted.ndim == 1 else np.bincount(target, minlength=predicted.shape[1]) / target.size,
        predicted.shape,
    )
    skill = float(np.minimum(measured.row_loss(target, same), cap).mean() - capped.mean())
    return Yardstick(
        metric=measured,
        cap=cap,
        spread=float(capped.std()),
        margin=max(_OF_SKILL * skill, _OF_LOSS * float(capped.mean())),
    )


def blocks_of(moments: Floats, *, least: int, span: float) -> Indices:
    """Return the block of each row, in the order in which outcomes became known; `OPEN` for those of an unfinished one.

    `moments` (n,) are what time rows are about, in seconds. A block is full once it holds `least` rows that cover
    `span` seconds. Rows that come later change no block that is full.
    """
    block = np.full(moments.size, OPEN, dtype=np.int64)
    start, number = 0, 0
    low = high = 0.0
    for at, moment in enumerate(moments.tolist()):
        low, high = (moment, moment) if at == start else (min(low, moment), max(high, moment))
        if at - start + 1 >= least and high - low >= span:
            block[start : at + 1] = number
            start, number = at + 1, number + 1
    return block


@dataclass(frozen=True, slots=True)
class Harm:
    """What the bets say: `wealth` is the most that they had won after any block, of `blocks` with `rows`.

    `excess` is how much more a row lost by the one version than by the other, on average, with its 95 % interval
    (clustered by block).
    """

    wealth: float
    rows: int
    blocks: int
    excess: float
    low: float
    high: float


def harm_of(excess: Floats, block: Indices, *, margin: float, spread: float) -> Harm:
    """Settle the bets on rows whose loss by one version exceeds that by the other by `excess` (n,).

    `block` is that of `blocks_of`; rows of an unfinished one wait. `margin` and `spread` are those of the yardstick.
    """
    settled = block != OPEN
    mean, low, high = mean_with_interval(excess[settled], clusters=block[settled])
    sums = _Sums.of(excess[settled] - margin, block[settled])
    return Harm(_wealth(sums, spread), int(settled.sum()), sums.mean.size, mean, low, high)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Blocks: how many rows, their mean, and the sum of squares around it."""

    rows: Floats
    mean: Floats
    squares: Floats

    @classmethod
    def of(cls, values: Floats, block: Indices) -> _Sums:
        rows = np.bincount(block).astype(np.float64)
        mean = np.bincount(block, weights=values) / np.maximum(rows, 1.0)
        squares = np.bincount(block, weights=np.square(values - mean[block])).astype(np.float64)
        return cls(rows, mean, squares)


def _wealth(blocks: _Sums, spread: float) -> float:
    """Return the most that the bets had won after any block; 1 before the first."""
    logs, most = np.zeros(_STAKES.size), 1.0
    for at in range(_WATCHED_ONLY, blocks.mean.size):
        won = min(_in_spreads(blocks, at, spread), _MOST_WON)
        logs += np.log(np.maximum(1.0 + _STAKES * won, _LEAST_LEFT))
        most = max(most, float(np.exp(logs).mean()))
    return most


def _in_spreads(blocks: _Sums, at: int, spread: float) -> float:
    """Return what is new in the mean of block `at`, in units of the spread that the blocks before it tell.

    What the block before lets expect is taken off where it was bad, and never where it was good: so a version that is
    ever less good than it was is not taken for a worse one.
    """
    rows, mean, squares = blocks.rows[:at], blocks.mean[:at], blocks.squares[:at]
    of_row = (squares.sum() + _USUAL_ROWS * spread**2) / (rows.sum() - at + _USUAL_ROWS)
    apart = (mean - np.average(mean, weights=rows)) * np.sqrt(rows)
    turn = float(np.square(apart).sum())
    crowded = max((_DOUBT + turn / of_row) / (_DOUBT + at - 1), 1.0) if of_row > 0 else 1.0
    together = (float(apart[1:] @ apart[:-1]) + turn / at) / turn if turn > 0 else 0.0
    sticky = min(max((_STICKY_WEIGHT * _STICKY + at * together) / (_STICKY_WEIGHT + at), 0.0), _STICKIEST)
    fresh = float(blocks.mean[at] - sticky * max(float(mean[-1]), 0.0))
    unit = float(np.sqrt(crowded * of_row / blocks.rows[at]))
    return fresh / unit if unit > 0 else 0.0
