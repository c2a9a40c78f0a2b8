"""Replay one policy on one stream: each window is answered by the model in office, then the policy may change it.

What a policy may see is in its `View`, and nothing else: rows up to the moment, labels that are known by then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from peers.streams.bank import Bank, Kept
from peers.streams.stream import Stream
from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Probe, Problem
from tenure.core.retraining import Way

BATCHES: Final = 10
"""Stretches of rows of a window whose means stand for it in a paired comparison: neighbours are alike."""


class EarlyError(Exception):
    """A policy asked for what is not known yet."""


@dataclass(frozen=True)
class Swap:
    """Another model takes office; `retrained` says whether it was learned anew, or only corrected or brought back."""

    model: Probe
    name: str
    retrained: bool = True


class Policy(Protocol):
    """Decides at the start of each window whether another model takes office."""

    def decide(self, view: View) -> Swap | None:
        """Return what takes office, or None."""
        ...


@dataclass(eq=False)
class View:
    """What is known at the start of a window: all rows before it, and labels up to the window `known`.

    `served` are the models that answered the windows so far, by window. A policy adds to `spent` the CPU seconds that
    other processes took for it.
    """

    bank: Bank
    delay: int
    window: int
    champion: Probe
    served: dict[int, Probe]
    spent: float = 0.0

    @property
    def stream(self) -> Stream:
        """Return the stream; only its past may be read from it."""
        return self.bank.stream

    @property
    def known(self) -> int:
        """Return the last window with known labels."""
        return self.stream.known_through(self.window, self.delay)

    @property
    def newly(self) -> range:
        """Return the judged windows whose labels have just become known: one at most."""
        before = self.stream.known_through(self.window - 1, self.delay)
        return range(before + 1, self.known + 1)

    @property
    def now(self) -> int:
        """Return the moment, microseconds: the end of the last window."""
        return self.stream.moment(self.window - 1)

    @property
    def end(self) -> int:
        """Return the first row whose label is not known."""
        return int(self.stream.edges[self.known + 1])

    @property
    def seen(self) -> int:
        """Return the first row that has not happened yet."""
        return int(self.stream.edges[self.window])

    def newest(self, share: float = 1.0) -> Kept:
        """Return the model learned from the newest share of all rows with known labels."""
        return self.bank.newest(self.end, share)

    def fit(
        self,
        problem: Problem,
        rows: Indices,
        weight: Floats | None,
        *,
        way: Way = Way.REFIT,
        base: Probe | None = None,
        mix: float | None = None,
    ) -> Kept:
        """Return a model of the bank; a view is a `Prober` that refuses what is not known yet.

        Raises:
            EarlyError: the label of a row is not known yet.
        """
        if len(rows) and rows[-1] >= self.end:
            raise EarlyError(f"The label of row {rows[-1]} is not known at the start of window {self.window}.")
        return self.bank.fit(problem, rows, weight, way=way, base=base, mix=mix)

    def errors(self, window: int) -> Floats:
        """Return the errors of the model that answered a window, one a row.

        Raises:
            EarlyError: the labels of the window are not known yet.
        """
        if window > self.known:
            raise EarlyError(f"The labels of window {window} are not known at the start of window {self.window}.")
        rows = self.stream.rows(window)
        return self.stream.errors(rows, self.served[window].predict(self.stream.problem.matrix[rows]))


@dataclass(frozen=True)
class Change:
    """A swap, and how the new model did on the next window against the one it replaced.

    `gain` is the mean over the rows of how much smaller the loss is, with its 95 % interval by `BATCHES` stretches.
    """

    window: int
    name: str
    retrained: bool
    gain: float
    low: float
    high: float

    @property
    def is_bad(self) -> bool:
        """Say whether the new model is worse than the one it replaced, beyond chance."""
        return self.high < 0


@dataclass
class Course:
    """What came of a policy on a stream: the summed loss of each judged window, the changes, and what it cost.

    `fitting` is the CPU time of every model that it asked for, as if nothing had been kept; `own` that of its own
    thinking; `slowest` that of its slowest decision, fits included. `fresh` are CPU seconds of some decisions that were
    taken again with nothing kept.
    """

    losses: list[float] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    fitting: float = 0.0
    own: float = 0.0
    slowest: float = 0.0
    decisions: int = 0
    fresh: list[float] = field(default_factory=list)

    @property
    def retrains(self) -> int:
        """Return how often a model was learned anew."""
        return sum(change.retrained for change in self.changes)

    def cost(self, stream: Stream) -> float:
        """Return the total cost: losses, and what the retrainings cost."""
        return sum(self.losses) + stream.cost * self.retrains


def replay(bank: Bank, policy: Policy, delay: int, *, windows: Sequence[int] | None = None) -> Course:
    """Return the course of a policy; `windows` (all by default) must be the first ones that are judged."""
    stream = bank.stream
    course = Course()
    champion: Probe = bank.newest(int(stream.edges[stream.first]))
    served: dict[int, Probe] = {}
    for window in windows or stream.judged:
        swap = _decided(policy, View(bank, delay, window, champion, served), course)
        rows = stream.rows(window)
        matrix = stream.problem.matrix[rows]
        if swap is not None:
            before = stream.losses(rows, champion.predict(matrix))
            champion = swap.model
            after = stream.losses(rows, champion.predict(matrix))
            course.changes.append(Change(window, swap.name, swap.retrained, *paired(before - after)))
        served[window] = champion
        course.losses.append(float(stream.losses(rows, champion.predict(matrix)).sum()))
    return course


def _decided(policy: Policy, view: View, course: Course) -> Swap | None:
    """Return the policy's decision, and charge the course with what it would take where nothing is kept."""
    bank = view.bank
    bank.forget_what_was_asked()
    fitted, started = bank.fitting, time.process_time()
    swap = policy.decide(view)
    own = view.spent + time.process_time() - started - (bank.fitting - fitted)
    asked = sum(bank.asked.values())
    course.own += own
    course.fitting += asked
    course.slowest = max(course.slowest, own + asked)
    course.decisions += 1
    return swap


def paired(gains: Floats) -> tuple[float, float, float]:
    """Return the mean of paired differences and its 95 % interval, from the means of ten stretches of rows."""
    parts: NDArray[np.float64] = np.array([part.mean() for part in np.array_split(gains, min(BATCHES, len(gains)))])
    mean = float(gains.mean())
    if len(parts) < 2:
        return mean, -np.inf, np.inf
    half = float(student.ppf(0.975, len(parts) - 1) * parts.std(ddof=1) / np.sqrt(len(parts)))
    return mean, mean - half, mean + half
