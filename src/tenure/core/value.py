"""What decisions are worth in the owner's money, decision by decision.

A decision follows Elkan 2001: act where the calibrated probability is above the break-even point, and where actions
are scarce on the rows of greatest expected value.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats
from tenure.core.project import MonitoringSection, ValueSection

Flags = NDArray[np.bool_]
PER: Final = 1_000
"""Values are told per this many decisions."""


def share_of_actions(
    value: ValueSection, monitoring: MonitoringSection, times: NDArray[Any] | None, *, rows: int
) -> float | None:
    """Return the share of rows that can be acted on: capacity over rows in a window; None where nothing limits it.

    `times` are the own times of all `rows` (datetime64, NaT where unknown); without them, or a window in rows, nobody
    can tell how many rows share a window.
    """
    if value.capacity is None:
        return None
    if monitoring.window_rows is not None:
        return min(value.capacity / monitoring.window_rows, 1.0)
    if times is None or monitoring.window_seconds is None or rows == 0 or not np.issubdtype(times.dtype, np.datetime64):
        return None
    stamps = times[~np.isnat(times)].astype("datetime64[ms]").astype(np.int64)
    span = float(np.ptp(stamps)) / 1_000 if stamps.size else 0.0
    windows = max(span / monitoring.window_seconds, 1.0)
    return min(value.capacity * windows / rows, 1.0)


def acted(probability: Floats, *, threshold: float, share: float | None = None) -> Flags:
    """Return which rows are acted on: those at or above `threshold`, at most `share` of all rows where given."""
    chosen: Flags = probability >= threshold
    return chosen if share is None else likeliest(chosen, probability, most=math.floor(share * len(probability)))


def likeliest(chosen: Flags, probability: Floats, *, most: int) -> Flags:
    """Return the chosen rows, and where they are more than `most` the likeliest of them."""
    if int(chosen.sum()) <= most:
        return chosen
    best = np.zeros(len(chosen), dtype=np.bool_)
    best[np.argsort(np.where(chosen, -probability, np.inf), kind="stable")[:most]] = True
    return best


def realised(is_yes: Flags, action: Flags, value: ValueSection) -> Floats:
    """Return the money that each decision made, now that the truth is known, shape (n,)."""
    on_yes = np.where(action, value.true_positive, value.false_negative)
    on_no = np.where(action, value.false_positive, value.true_negative)
    return np.where(is_yes, on_yes, on_no).astype(np.float64)


def expected(probability: Floats, action: Flags, value: ValueSection) -> Floats:
    """Return the money that each decision is expected to make, believing the probabilities, shape (n,)."""
    on_yes = np.where(action, value.true_positive, value.false_negative)
    on_no = np.where(action, value.false_positive, value.true_negative)
    money: Floats = probability * on_yes + (1.0 - probability) * on_no
    return money


def by_nobody(is_yes: Flags, value: ValueSection) -> Floats:
    """Return the money that each decision makes when nobody is acted on, shape (n,)."""
    return realised(is_yes, np.zeros(len(is_yes), dtype=np.bool_), value)


def by_everybody(is_yes: Flags, value: ValueSection, *, share: float | None = None) -> Floats:
    """Return the money that each decision makes when everybody is acted on, shape (n,).

    With scarce actions that is the mean over blind picks of `share` of all rows.
    """
    everybody = realised(is_yes, np.ones(len(is_yes), dtype=np.bool_), value)
    return everybody if share is None else share * everybody + (1.0 - share) * by_nobody(is_yes, value)


def cost_of_errors(target: Floats, predicted: Floats, error_cost: float) -> Floats:
    """Return the money that each predicted number made: minus `error_cost` for every unit it was off, shape (n,)."""
    money: Floats = -error_cost * np.abs(target - predicted)
    return money
