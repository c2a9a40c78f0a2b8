"""The simple policies: never, every so often, each month, at an alarm; and the champion continued."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from peers.streams.replay import Swap, View
from tenure.core.ports import Probe
from tenure.core.retraining import Way


@dataclass
class Static:
    """The first model stays for ever."""

    def decide(self, view: View) -> Swap | None:
        """Change nothing."""
        return None


@dataclass
class Every:
    """Retrains every `gap` windows on the newest `share` of what is known, where any label is new."""

    gap: int = 1
    share: float = 1.0
    learned: int = -1

    def decide(self, view: View) -> Swap | None:
        """Retrain when it is time."""
        due = (view.window - view.stream.first) % self.gap == 0
        return self.retrained(view) if due else None

    def retrained(self, view: View) -> Swap | None:
        """Return a model of all that is known, None where that is nothing new."""
        if view.known <= max(self.learned, view.stream.first - 1):
            return None
        self.learned = view.known
        return Swap(view.newest(self.share), "all" if self.share == 1 else f"newest {self.share:g}")


@dataclass
class Monthly(Every):
    """Retrains when a month has ended, by the calendar; every fourth window where a table's time is no date."""

    def decide(self, view: View) -> Swap | None:
        """Retrain when the last window ended in another month than the one before."""
        months, stream = view.stream.months, view.stream
        if months is None:
            return self.retrained(view) if (view.window - stream.first) % 4 == 0 else None
        last, before = stream.edges[view.window] - 1, stream.edges[view.window - 1] - 1
        return self.retrained(view) if months[last] != months[before] else None


@dataclass
class OnAlarm(Every):
    """Retrains on all that is known, or the newest share, when an alarm rings and any label is new.

    `alarm` looks at a view and says whether it rings; a ring is kept until there is something new to learn.
    """

    alarm: Callable[[View], bool] = lambda view: False
    rung: bool = False

    def decide(self, view: View) -> Swap | None:
        """Retrain when the alarm rang."""
        self.rung |= self.alarm(view)
        swap = self.retrained(view) if self.rung else None
        self.rung = self.rung and swap is None
        return swap


@dataclass
class Continued:
    """The first model goes on: every fourth window it gets more trees, grown on all rows that became known since.

    It is always the first model that is continued. Continued ones that are continued again fall apart within months.
    """

    gap: int = 4
    learned: int = -1
    first: Probe | None = None

    def decide(self, view: View) -> Swap | None:
        """Grow when it is time, where any label is new."""
        self.first = self.first or view.champion
        start = view.stream.first
        if (view.window - start) % self.gap or view.known < start or view.known <= self.learned:
            return None
        self.learned = view.known
        rows = np.arange(int(view.stream.edges[start]), view.end)
        return Swap(view.fit(view.stream.problem, rows, None, way=Way.CONTINUE, base=self.first), "continued")
