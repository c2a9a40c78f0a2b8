"""What decisions are worth in the owner's money: by row, expected and realised, beside doing nothing and acting on all.

A decision follows Elkan 2001: act where the calibrated probability is above the break-even point, and where actions
are scarce on the rows of greatest expected value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.evidence import Finding, Measurement, Threshold
from tenure.core.modelling import Floats
from tenure.core.project import MonitoringSection, ValueSection
from tenure.core.uncertainty import Clusters, mean_with_interval

Yes = NDArray[np.bool_]
PER: Final = 1_000
"""Values are told per this many decisions."""

_THRESHOLD: Final = Threshold(warn=0.0)


def share_of_actions(
    value: ValueSection, monitoring: MonitoringSection, times: pl.Series | None, *, rows: int
) -> float | None:
    """Return the share of rows that can be acted on: capacity over rows in a window; None where nothing limits it.

    `times` are the rows' own times; without times or a window in rows nobody can tell how many rows share a window.
    """
    if value.capacity is None:
        return None
    if monitoring.window_rows is not None:
        return min(value.capacity / monitoring.window_rows, 1.0)
    if times is None or not times.dtype.is_temporal() or monitoring.window_seconds is None or rows == 0:
        return None
    stamps = times.cast(pl.Datetime("us")).dt.timestamp("ms").drop_nulls()
    span = float(np.ptp(stamps.to_numpy())) / 1_000 if len(stamps) else 0.0
    windows = max(span / monitoring.window_seconds, 1.0)
    return min(value.capacity * windows / rows, 1.0)


def acted(probability: Floats, *, threshold: float, share: float | None = None) -> Yes:
    """Return which rows are acted on: those at or above `threshold`, at most `share` of all rows where given."""
    chosen: Yes = probability >= threshold
    if share is None:
        return chosen
    room = min(math.floor(share * len(probability)), int(chosen.sum()))
    best = np.argsort(-probability, kind="stable")[:room]
    limited = np.zeros(len(probability), dtype=np.bool_)
    limited[best] = True
    return limited


def realised(is_yes: Yes, action: Yes, value: ValueSection) -> Floats:
    """Return the money that each decision made, now that the truth is known, shape (n,)."""
    on_yes = np.where(action, value.true_positive, value.false_negative)
    on_no = np.where(action, value.false_positive, value.true_negative)
    money: Floats = np.where(is_yes, on_yes, on_no).astype(np.float64)
    return money


def expected(probability: Floats, action: Yes, value: ValueSection) -> Floats:
    """Return the money that each decision is expected to make, believing the probabilities, shape (n,)."""
    on_yes = np.where(action, value.true_positive, value.false_negative)
    on_no = np.where(action, value.false_positive, value.true_negative)
    money: Floats = probability * on_yes + (1.0 - probability) * on_no
    return money


def cost_of_errors(target: Floats, predicted: Floats, error_cost: float) -> Floats:
    """Return the money that each predicted number made: minus `error_cost` for every unit it was off, shape (n,)."""
    money: Floats = -error_cost * np.abs(target - predicted)
    return money


@dataclass(frozen=True, slots=True)
class Worth:
    """Money per 1,000 decisions: by the model (with its 95 % interval), as the model expected it, and without it."""

    realised: float
    low: float
    high: float
    expected: float
    nothing: float
    everything: float

    @property
    def best_without(self) -> float:
        """Return what the better of doing nothing and acting on all makes."""
        return max(self.nothing, self.everything)


def worth_of(
    is_yes: Yes,
    probability: Floats,
    value: ValueSection,
    *,
    threshold: float,
    share: float | None = None,
    clusters: Clusters | None = None,
) -> Worth:
    """Return what deciding by `probability` is worth per 1,000 decisions, beside the two policies without a model.

    With scarce actions, acting on all means acting on as many rows as there is room for, picked blindly.
    """
    action = acted(probability, threshold=threshold, share=share)
    mean, low, high = mean_with_interval(realised(is_yes, action, value), clusters=clusters)
    nobody, all_rows = np.zeros(len(is_yes), dtype=np.bool_), np.ones(len(is_yes), dtype=np.bool_)
    idle = float(np.mean(realised(is_yes, nobody, value)))
    busy = float(np.mean(realised(is_yes, all_rows, value)))
    reach = 1.0 if share is None else min(share, 1.0)
    return Worth(
        realised=PER * mean,
        low=PER * low,
        high=PER * high,
        expected=PER * float(np.mean(expected(probability, action, value))),
        nothing=PER * idle,
        everything=PER * (reach * busy + (1.0 - reach) * idle),
    )


def value_finding(worth: Worth, value: ValueSection) -> Finding:
    """Return the worth as a finding: a model that makes no more than the best policy without it is a warning."""
    money = value.currency
    says = (
        f"Deciding by this model makes about {worth.realised:,.0f} {money} per {PER:,} decisions "
        f"({worth.low:,.0f} to {worth.high:,.0f}); to do nothing makes {worth.nothing:,.0f}, "
        f"to {value.action} in every case {worth.everything:,.0f}."
    )
    measurement = Measurement(
        "value lost against the best policy without a model",
        worth.best_without - worth.realised,
        says=says,
        hint="If this is a loss, check the amounts under [value] in the project file, then the threshold.",
        low=worth.best_without - worth.high,
        high=worth.best_without - worth.low,
        evidence={
            "realised": worth.realised,
            "expected": worth.expected,
            "nothing": worth.nothing,
            "everything": worth.everything,
            "per_decisions": PER,
            "currency": money,
        },
    )
    return _THRESHOLD.judge(measurement, check="value")
