"""From records to figures: cost, regret between the oracle and doing nothing, bad promotions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from scipy.stats import beta

from peers.monitors.results import Record
from peers.streams.contest import ORACLE, STATIC
from tenure.core.modelling import Floats

LITTLE: Final = 0.01
"""Where the oracle saves less than this share of the static model's cost there is hardly anything to gain."""


@dataclass(frozen=True, eq=False)
class Run:
    """One policy on one stream under one delay, beside the oracle and the static model of the same stream and delay."""

    told: Record
    best: Record
    still: Record

    @property
    def stream(self) -> dict[str, Any]:
        """Return what is to be known of the stream."""
        found: dict[str, Any] = self.best["stream"]
        return found

    @cached_property
    def retrains(self) -> int:
        """Return how often a model was learned anew."""
        return sum(change.get("retrained", True) for change in self.told["changes"])

    @property
    def corrections(self) -> int:
        """Return how often the model was only corrected or an earlier one brought back."""
        return len(self.told["changes"]) - self.retrains

    @property
    def cost(self) -> float:
        """Return losses and the price of the retrainings."""
        return sum(self.told["losses"]) + self.stream["cost"] * self.retrains

    @property
    def oracle(self) -> float:
        """Return the cost of the best plan in hindsight."""
        return sum(self.best["losses"]) + self.stream["cost"] * len(self.best["changes"])

    @property
    def static(self) -> float:
        """Return the cost of doing nothing."""
        return float(sum(self.still["losses"]))

    @property
    def regret(self) -> float:
        """Return the share of what could be saved that was not: 0 for the oracle, 1 for doing nothing."""
        return (self.cost - self.oracle) / (self.static - self.oracle)

    @property
    def regret_with_corrections(self) -> float:
        """Return the same, had each correction cost as much as a retraining."""
        return self.regret + self.stream["cost"] * self.corrections / (self.static - self.oracle)

    @property
    def over_static(self) -> float:
        """Return by which share the cost is above that of doing nothing."""
        return self.cost / self.static - 1

    @property
    def has_much_to_gain(self) -> bool:
        """Say whether the oracle saves more than a little."""
        return self.oracle < (1 - LITTLE) * self.static

    @property
    def worst(self) -> float:
        """Return the mean loss a row of the worst window."""
        return float((np.array(self.told["losses"]) / np.array(self.stream["sizes"])).max())

    @property
    def cpu(self) -> float:
        """Return the CPU seconds for everything that the policy asked for, as if nothing had been kept."""
        return float(self.told.get("fitting", 0.0) + self.told.get("own", 0.0))

    @property
    def bad(self) -> int:
        """Return how many changes were for the worse beyond chance: the 95 % interval of the gain is below zero."""
        return sum(change["high"] < 0 for change in self.told["changes"] if "high" in change)

    @property
    def course(self) -> Floats:
        """Return the cost up to the end of each window, as a share of what the static model cost in all (T,)."""
        costs = np.array(self.told["losses"])
        for change in self.told["changes"]:
            if change.get("retrained", True):
                costs[change["window"] - self.stream["first"]] += self.stream["cost"]
        return np.cumsum(costs)


def latest(records: Iterable[Record]) -> dict[tuple[str, int, str], Record]:
    """Return the last record of each policy on each stream and delay, made of the stream as it was last."""
    told = list(records)
    made = {record["set"]: record["made"] for record in told}
    return {
        (record["set"], record["delay"], record["policy"]): record
        for record in told
        if record["made"] == made[record["set"]]
    }


def runs(records: Iterable[Record]) -> list[Run]:
    """Return all runs that have the oracle and the static model beside them."""
    last, found = latest(records), []
    for (name, delay, policy), told in last.items():
        best, still = last.get((name, delay, ORACLE)), last.get((name, delay, STATIC))
        if policy != ORACLE and "missing" not in told and best is not None and still is not None:
            found.append(Run(told, best, still))
    return found


def missing(records: Iterable[Record]) -> dict[str, str]:
    """Return the policies that could not be run, and why."""
    return {policy: told["missing"] for (_, _, policy), told in latest(records).items() if "missing" in told}


def share_between(count: int, of: int) -> tuple[float, float]:
    """Return the exact 95 % interval (Clopper and Pearson) of a share of which `count` in `of` were seen."""
    low = float(beta.ppf(0.025, count, of - count + 1)) if count else 0.0
    high = float(beta.ppf(0.975, count + 1, of - count)) if count < of else 1.0
    return low, high


def mean(values: Sequence[float]) -> float:
    """Return the mean, NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")
