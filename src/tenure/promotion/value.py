"""What deciding by a model is worth: realised and expected, beside doing nothing and acting on all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tenure.core.evidence import Finding, Measurement, Threshold
from tenure.core.modelling import Floats
from tenure.core.project import ValueSection
from tenure.core.uncertainty import Clusters, mean_with_interval
from tenure.core.value import PER, Flags, acted, by_everybody, by_nobody, expected, realised

_THRESHOLD: Final = Threshold(warn=0.0)


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
    is_yes: Flags,
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
    return Worth(
        realised=PER * mean,
        low=PER * low,
        high=PER * high,
        expected=PER * float(np.mean(expected(probability, action, value))),
        nothing=PER * float(np.mean(by_nobody(is_yes, value))),
        everything=PER * float(np.mean(by_everybody(is_yes, value, share=share))),
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
