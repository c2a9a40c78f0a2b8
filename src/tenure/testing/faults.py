"""Faults to plant in a synthetic business, and what acting on predictions does: nothing of it is to be learned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats
from tenure.testing.planted import NEVER, Act, Columns, Event, Expects, Moments, Sign, micros_of

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class BrokenFeed(Event):
    """A column arrives wrong while the world stays as it is.

    unit: numbers are multiplied by `factor`. zeros: every number is 0. missing: nothing arrives. mixed: each row gets
    another row's value.
    """

    column: str = "spend"
    how: Literal["unit", "zeros", "missing", "mixed"] = "unit"
    factor: float = 100.0

    @property
    def expects(self) -> Expects:
        """Return the truth for whoever watches."""
        signs = (Sign.FEED, Sign.INPUTS, Sign.SCORE) if self.how != "mixed" else (Sign.SCORE,)
        return Expects(
            signs, (Act.ESCALATE, Act.EXCLUDE), (Act.RETRAIN,), says="The feed is wrong; nothing is to be learned."
        )

    def break_feed(self, columns: Columns, at: Moments, rng: np.random.Generator) -> None:
        """Break the column."""
        hit, column = np.flatnonzero(self.inside(at)), columns[self.column].copy()
        if self.how == "mixed":
            column[hit] = column[rng.permutation(hit)]
        elif self.how == "unit":
            column[hit] *= self.factor
        else:
            column[hit] = 0.0 if self.how == "zeros" else np.nan if column.dtype.kind == "f" else ""
        columns[self.column] = column


@dataclass(frozen=True, kw_only=True)
class WrongLabels(Event):
    """Outcomes of the share `share` of the rows are reported wrong.

    flipped: yes for no and no for yes; an amount as far below 100 as it is above. low: no, or an amount of 0.
    """

    share: float = 1.0
    how: Literal["flipped", "low"] = "flipped"

    @property
    def expects(self) -> Expects:
        """Return the truth for whoever watches."""
        return Expects(
            (Sign.SCORE, Sign.OUTCOMES, Sign.RATE),
            (Act.ESCALATE, Act.EXCLUDE),
            (Act.ROLL_BACK,),
            says="What is reported is not what happened.",
        )

    def mislabel(self, reported: Floats, at: Moments, rng: np.random.Generator) -> None:
        """Report outcomes wrong."""
        hit = self.inside(at) & (rng.random(len(at)) < self.share)
        amounts = bool(np.any((reported != 0) & (reported != 1)))
        turned = 200.0 - reported if amounts else 1.0 - reported
        reported[hit] = turned[hit] if self.how == "flipped" else 0.0


@dataclass(frozen=True, kw_only=True)
class LateOutcomes(Event):
    """Outcomes that would be known in this time are known later.

    late: by `by`. growing: by more and more, `by` at the end. held: not before the end. lost: never.
    """

    by: timedelta = timedelta(days=30)
    how: Literal["late", "growing", "held", "lost"] = "late"
    share: float = 1.0

    @property
    def expects(self) -> Expects:
        """Return the truth for whoever watches."""
        return Expects(
            (Sign.OUTCOMES,), (Act.ESCALATE,), (Act.RETRAIN, Act.ROLL_BACK), says="Nothing is known; nothing is worse."
        )

    def delay(self, at: Moments, known: Moments, rng: np.random.Generator) -> Moments:
        """Return when outcomes are known."""
        hit = self.inside(known) & (rng.random(len(at)) < self.share) & (known < NEVER)
        start, end, by = micros_of(self.start), micros_of(self.end), self.by // _MICROSECOND
        if self.how == "growing":
            later = known + (by * ((known - start) / (end - start))).astype(np.int64)
        else:
            later = {"late": known + by, "held": np.maximum(known, end), "lost": np.full_like(known, NEVER)}[self.how]
        return np.where(hit, later, known)


@dataclass(frozen=True, kw_only=True)
class NoTraffic(Event):
    """No rows come, or the share `share` of them stays away."""

    share: float = 1.0

    @property
    def expects(self) -> Expects:
        """Return the truth for whoever watches."""
        return Expects(
            (Sign.TRAFFIC,), (Act.ESCALATE,), (Act.RETRAIN, Act.ROLL_BACK), says="Who does not ask gets no answer."
        )

    def busier(self, at: Moments, outcome: Floats, rate: float) -> Floats:
        """Return the factor on the traffic."""
        return np.where(self.inside(at), 1.0 - self.share, 1.0)


@dataclass(frozen=True, kw_only=True)
class Prevents(Event):
    """Acting works: of the rows acted on that would be a yes, the share `works` becomes a no."""

    works: float = 0.6

    @property
    def expects(self) -> Expects:
        """Return the truth for whoever watches."""
        return Expects(
            (Sign.SCORE, Sign.RATE), (), (Act.ROLL_BACK,), says="The score falls because the model is heeded."
        )

    def acted_on(
        self, at: Moments, acted: NDArray[np.bool_], reported: Floats, known: Moments, luck: Floats
    ) -> tuple[Floats, Moments]:
        """Return outcomes and when they are known, as acting leaves them."""
        saved = self.inside(at) & acted & (luck < self.works) & (reported == 1.0)
        return np.where(saved, 0.0, reported), known


@dataclass(frozen=True, kw_only=True)
class SelectiveLabels(Event):
    """Only rows that were acted on get an outcome, and of the others the share `explored`."""

    explored: float = 0.05

    @property
    def expects(self) -> Expects:
        """Return the truth for whoever watches."""
        return Expects(
            (Sign.OUTCOMES, Sign.RATE), (), (Act.ROLL_BACK,), says="What is known is not like what is asked."
        )

    def acted_on(
        self, at: Moments, acted: NDArray[np.bool_], reported: Floats, known: Moments, luck: Floats
    ) -> tuple[Floats, Moments]:
        """Return outcomes and when they are known, as acting leaves them."""
        blind = self.inside(at) & ~acted & (luck >= self.explored)
        return reported, np.where(blind, NEVER, known)
