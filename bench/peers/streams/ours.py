"""Our policy on a stream: the product's own question, asked at each window whose labels have become known.

The rows that have not happened are cut off, and labels that are not known yet are blanked before the product sees them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from peers.streams.replay import Swap, View
from peers.streams.stream import HORIZON, Stream
from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Prober
from tenure.core.retraining import Prospect, Recipe, Way
from tenure.retraining.consider import consider
from tenure.retraining.history import History, Incumbent, Making, Terms
from tenure.retraining.making import make
from tenure.training.probes import QuickProber

FORMER: Final = 5
"""Earlier champions that may be brought back."""
FIRST: Final = Recipe("first")


@dataclass
class Ours:
    """The product's policy of retraining; `options` are handed to the question as they are.

    `prospects` keeps every answer, `incumbent` how the model in office was made, `former` the ones before it. In the
    windows of `timed` the question is asked a second time without the bank, and `seconds` keeps its CPU time.
    """

    options: dict[str, Any] = field(default_factory=dict)
    terms: Callable[[Stream], Terms] = lambda stream: terms_of(stream)
    incumbent: Incumbent | None = None
    former: list[Incumbent] = field(default_factory=list)
    prospects: list[Prospect] = field(default_factory=list)
    timed: Sequence[int] = ()
    seconds: list[float] = field(default_factory=list)

    def decide(self, view: View) -> Swap | None:
        """Ask whether a new model would pay, and make the one that does."""
        stream = view.stream
        if self.incumbent is None:
            self.incumbent = Incumbent(1, (Making(FIRST, stream.moment(stream.first - 1)),))
        if not view.newly:
            return None
        if view.window in self.timed:
            started = time.process_time()
            self._asked(view, past(view), QuickProber())
            self.seconds.append(time.process_time() - started)
        history = past(view)
        prospect = self._asked(view, history, view)
        self.prospects.append(prospect)
        if prospect.chosen is None:
            return None
        making = self._making(prospect.chosen, view.now)
        model = make(history, making, view, most=self.terms(stream).most_rows)
        self.former = [old for old in (*self.former, self.incumbent) if old.making != making][-FORMER:]
        self.incumbent = Incumbent(max(self.incumbent.version, *(o.version for o in self.former)) + 1, making)
        return Swap(model, prospect.chosen.name, prospect.chosen.is_retraining)

    def _asked(self, view: View, history: History, prober: Prober) -> Prospect:
        assert self.incumbent is not None
        return consider(
            history,
            self.incumbent,
            self.terms(view.stream),
            prober,
            now=view.now,
            trigger="matured window",
            memory=tuple(self.prospects),
            former=tuple(self.former),
            **self.options,
        )

    def _making(self, chosen: Recipe, now: int) -> tuple[Making, ...]:
        assert self.incumbent is not None
        if chosen.way is Way.REFIT:
            return (Making(chosen, now),)
        if chosen.way is Way.RESTORE:
            return next(old.making for old in self.former if old.version == chosen.version)
        return (*self.incumbent.making, Making(chosen, now))


def terms_of(stream: Stream) -> Terms:
    """Return what is asked of a new model: the benchmark's own cost and horizon."""
    return Terms(volume=stream.volume, cost=stream.cost, horizon=HORIZON, most_rows=100_000)


def past(view: View) -> History:
    """Return all that is known at a view's moment, and nothing that is not."""
    stream, seen = view.stream, view.seen
    target = stream.problem.target[:seen].copy()
    target[view.end :] = 0
    problem = replace(stream.problem, matrix=stream.problem.matrix[:seen], target=target, shared={})
    known = stream.known(view.delay)[:seen]
    blanked = replace(stream, problem=problem)

    def loss(rows: Indices, answers: Floats) -> Floats:
        return blanked.losses(rows, answers)

    return History(problem, stream.times[:seen], known, stream.window[:seen], np.ones(seen, dtype=np.bool_), loss)
