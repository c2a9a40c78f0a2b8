"""The best that can be had in hindsight with the same learner: when to retrain, and on which of the newest rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from peers.streams.bank import Bank
from tenure.core.modelling import Floats

SHARES: Final = (1.0, 0.5, 0.25, 0.125)
"""The training windows among which the oracle chooses: the newest share of the rows that are known."""


@dataclass(frozen=True)
class Plan:
    """The cheapest plan: its cost, retrainings and loss taken together, and (window, choice) of each retraining."""

    cost: float
    retrains: tuple[tuple[int, int], ...]


def cheapest(first_model: Floats, offers: Mapping[int, Sequence[Floats]], cost: float) -> Plan:
    """Return the plan with the least total of losses and retrainings, by dynamic programming.

    `first_model` (T,) is the summed loss of the first model in each window. `offers[t]` are the models that can be had
    at the start of window t, each as its summed losses (T,), of which only those from t on are looked at. The best cost
    from t on, with a model just made at t, is the least over the next time of retraining.
    """
    windows = len(first_model)
    rest = np.zeros(windows + 1)  # the least cost from the start of a window on, if a new model is made then
    rest[:windows] = np.inf
    chosen: dict[int, tuple[int, int]] = {}
    for at in sorted(offers, reverse=True):
        for number, losses in enumerate(offers[at]):
            until = np.concatenate([[np.inf], np.cumsum(losses[at:])])  # until the start of at, at + 1, ...
            totals = cost + until + rest[at:]
            best = int(np.argmin(totals))
            if totals[best] < rest[at]:
                rest[at], chosen[at] = totals[best], (number, at + best)
    totals = np.concatenate([[0.0], np.cumsum(first_model)]) + rest
    at = int(np.argmin(totals))
    least, retrains = float(totals[at]), []
    while at < windows:
        number, after = chosen[at]
        retrains.append((at, number))
        at = after
    return Plan(least, tuple(retrains))


def oracle(bank: Bank, delay: int) -> tuple[Plan, Floats]:
    """Return the cheapest plan on a stream, and the summed loss of each judged window under it (T,)."""
    stream = bank.stream
    start = stream.first
    first_model = sums(bank, int(stream.edges[start]), 1.0)
    offers, tables = {}, {}
    for window in stream.judged:
        known = stream.known_through(window, delay)
        if known >= start:
            tables[window - start] = [sums(bank, int(stream.edges[known + 1]), share) for share in SHARES]
            offers[window - start] = tables[window - start]
    plan = cheapest(first_model, offers, stream.cost)
    course = first_model.copy()
    for at, number in plan.retrains:
        course[at:] = tables[at][number][at:]
    return plan, course


def sums(bank: Bank, end: int, share: float) -> Floats:
    """Return the summed loss of a model in each judged window (T,); infinite where it learned from the window."""
    stream = bank.stream
    model = bank.newest(end, share)
    found = np.full(len(stream.judged), np.inf)
    after = int(np.searchsorted(stream.edges, model.first)) - stream.first
    rows = slice(int(stream.edges[stream.first + max(after, 0)]), int(stream.edges[-1]))
    if rows.start < rows.stop:
        losses = stream.losses(rows, model.answers(rows))
        starts = stream.edges[stream.first + max(after, 0) : -1] - rows.start
        found[max(after, 0) :] = np.add.reduceat(losses, starts)
    return found
