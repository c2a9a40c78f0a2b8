"""What can be planted in a synthetic business: the event, and those that change the world (`faults` has the others).

Each event says in `expects` what somebody who watches should notice, what is right to do and what is a mistake. An
event changes nothing outside of its time. One of your own is a subclass of `Event`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats

Moments = NDArray[np.int64]
"""Microseconds since 1970, UTC."""
NEVER: Final = 253_402_300_799_000_000
"""The last second of the year 9999: when an outcome is known that never comes."""
_LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
DEVIATIONS: Final = {"spend": 10.0, "visits": 2.0, "months": 20.0, "age": 12.0, "noise": 1.0}
"""The standard deviations of the numbers of a business in which nothing is planted, about."""
_MICROSECONDS_A_DAY: Final = 86_400_000_000.0


class Sign(StrEnum):
    """What somebody who watches should notice."""

    SCORE = "the score falls"
    INPUTS = "the inputs move"
    RATE = "the share or level of outcomes moves"
    FEED = "rows are broken"
    OUTCOMES = "outcomes are late, missing or wrong"
    TRAFFIC = "rows stay away"


class Act(StrEnum):
    """What can be done about it."""

    RETRAIN = "retrain"
    RECALIBRATE = "recalibrate"
    RESTORE = "restore an earlier version"
    ROLL_BACK = "roll back"
    ESCALATE = "tell a person"
    EXCLUDE = "keep the rows out of training"


@dataclass(frozen=True, slots=True)
class Expects:
    """The truth about an event for whoever watches: at least one of `notice`, one of `do`, none of `leave`.

    Empty `notice` or `do`: nothing need be noticed or done. `says` is the reason.
    """

    notice: tuple[Sign, ...] = ()
    do: tuple[Act, ...] = ()
    leave: tuple[Act, ...] = ()
    says: str = ""


Columns = dict[str, NDArray[Any]]
"""Columns of a block by name: numbers with NaN, or texts with "" where nothing is known."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something planted from `start` until before `end` (aware times).

    The hooks get the moments of the rows (n,) and, where they throw dice, a generator that no other event shares.
    """

    start: datetime = _EARLIEST
    end: datetime = _LATEST

    @property
    def expects(self) -> Expects:
        """Return what somebody who watches should notice, do and leave alone."""
        return Expects()

    def inside(self, at: Moments) -> NDArray[np.bool_]:
        """Say which moments the event covers, shape (n,)."""
        return (at >= micros_of(self.start)) & (at < micros_of(self.end))

    def busier(self, at: Moments, outcome: Floats, rate: float) -> Floats:
        """Return by what the traffic is multiplied at rows with these outcomes; `rate` is the usual share of yes."""
        return np.ones(len(at))

    def busiest(self, rate: float) -> float:
        """Return the largest value that `busier` can have."""
        return 1.0

    def move_inputs(self, columns: Columns, at: Moments, rng: np.random.Generator) -> None:
        """Change what is true of the rows, in place, before their outcomes are drawn."""

    def concept(self, at: Moments, rng: np.random.Generator) -> tuple[int, Floats] | None:
        """Return to which concept the world moves and how far, 0 to 1, at each row; None where it stays."""
        return None

    def lift(self, at: Moments) -> Floats:
        """Return what is added to the score that makes the outcome: log-odds, or deviations of the mean."""
        return np.zeros(len(at))

    def odds(self, at: Moments) -> Floats:
        """Return the log of the factor on the odds of a yes that `busier` makes."""
        return np.zeros(len(at))

    def break_feed(self, columns: Columns, at: Moments, rng: np.random.Generator) -> None:
        """Change what is told of the rows, in place; their outcomes stay as they are."""

    def mislabel(self, reported: Floats, at: Moments, rng: np.random.Generator) -> None:
        """Change what is told of the outcomes, in place."""

    def delay(self, at: Moments, known: Moments, rng: np.random.Generator) -> Moments:
        """Return when outcomes are known of rows at these moments that would be known at `known`."""
        return known

    def acted_on(
        self, at: Moments, acted: NDArray[np.bool_], reported: Floats, known: Moments, luck: Floats
    ) -> tuple[Floats, Moments]:
        """Return outcomes and when they are known, once it is settled which rows were acted on; `luck` is a die."""
        return reported, known


@dataclass(frozen=True, kw_only=True)
class ConceptChange(Event):
    """What the inputs mean for the outcome changes to concept `to`, by `size` of the way.

    sudden: at the start. gradual: more and more rows follow the new concept, all of them after `over`.
    incremental: the concept itself moves there over `over`. recurring: old and new take turns, each for `over`,
    the new one first.
    """

    to: int = 1
    size: float = 1.0
    shape: Literal["sudden", "gradual", "incremental", "recurring"] = "sudden"
    over: timedelta = timedelta(days=56)

    @property
    def expects(self) -> Expects:
        """Return the truth for whoever watches."""
        again = (Act.RETRAIN, Act.RESTORE) if self.shape == "recurring" else (Act.RETRAIN,)
        return Expects((Sign.SCORE,), again, says="What was learned no longer holds; newer rows teach what does.")

    def concept(self, at: Moments, rng: np.random.Generator) -> tuple[int, Floats]:
        """Return the concept and how far the world has moved to it."""
        since = (at - micros_of(self.start)) / (self.over / _MICROSECOND)
        if self.shape == "sudden":
            far = np.ones(len(at))
        elif self.shape == "gradual":
            far = (rng.random(len(at)) < since).astype(np.float64)
        elif self.shape == "incremental":
            far = np.clip(since, 0.0, 1.0)
        else:
            far = (np.floor(since) % 2 == 0).astype(np.float64)
        return self.to, np.where(self.inside(at), self.size * far, 0.0)


@dataclass(frozen=True, kw_only=True)
class InputsMove(Event):
    """Inputs move, while what they mean stays (covariate shift).

    A number `column` moves by `by` of its deviations; of a category, the share `by` of the rows takes `level`, which
    may be new. It takes `ramp` until all of it has happened. `harms` says whether a model is worse for it.
    """

    column: str = "noise"
    by: float = 1.5
    level: str | None = None
    ramp: timedelta = timedelta(0)
    harms: bool = False

    @property
    def expects(self) -> Expects:
        """Return the truth for whoever watches."""
        if self.harms:
            return Expects(
                (Sign.INPUTS, Sign.SCORE), (Act.RETRAIN, Act.ESCALATE), says="Rows come from where little was learned."
            )
        return Expects((), (), (Act.RETRAIN, Act.ROLL_BACK), says="The inputs move and the model is as good as before.")

    def move_inputs(self, columns: Columns, at: Moments, rng: np.random.Generator) -> None:
        """Move the column."""
        since = (at - micros_of(self.start)) / _MICROSECONDS_A_DAY
        days = self.ramp / timedelta(days=1)
        share = np.where(self.inside(at), np.clip(since / days, 0.0, 1.0) if days else 1.0, 0.0)
        if self.level is None:
            columns[self.column] = columns[self.column] + share * self.by * DEVIATIONS[self.column]
        else:
            columns[self.column] = np.where(rng.random(len(at)) < share * self.by, self.level, columns[self.column])


@dataclass(frozen=True, kw_only=True)
class BaseRate(Event):
    """Outcomes are a yes more often (label shift): rows of each class look as before, their shares change.

    `by` is added to the log-odds of a yes. Of amounts, the level moves by `by` deviations of what inputs explain.
    """

    by: float = 1.0
    amounts: bool = False

    @property
    def expects(self) -> Expects:
        """Return the truth for whoever watches."""
        return Expects(
            (Sign.RATE, Sign.SCORE, Sign.INPUTS),
            (Act.RECALIBRATE, Act.RETRAIN),
            says="Ranks stay right and the level is wrong: correcting the answers is enough.",
        )

    def busier(self, at: Moments, outcome: Floats, rate: float) -> Floats:
        """Return the factors on the two classes that keep the traffic as it was."""
        if self.amounts:
            return np.ones(len(at))
        yes, no = self._factors(rate)
        return np.where(self.inside(at), np.where(outcome > 0.5, yes, no), 1.0)

    def busiest(self, rate: float) -> float:
        """Return the largest factor."""
        return 1.0 if self.amounts else max(self._factors(rate))

    def odds(self, at: Moments) -> Floats:
        """Return the log of the factor on the odds of a yes."""
        return np.where(self.inside(at) & (not self.amounts), self.by, 0.0)

    def lift(self, at: Moments) -> Floats:
        """Return what is added to the score."""
        return np.where(self.inside(at) & self.amounts, self.by, 0.0)

    def _factors(self, rate: float) -> tuple[float, float]:
        odds = rate / (1 - rate) * np.exp(self.by)
        new = odds / (1 + odds)
        return new / rate, (1 - new) / (1 - rate)


@dataclass(frozen=True, kw_only=True)
class Season(Event):
    """A wave of `period` with its top at `top`: in the traffic, in how much is spent, and in the outcomes.

    `traffic` is a share of the usual traffic, `spend` deviations, `rate` what is added to the score, each at the top.
    """

    period: timedelta = timedelta(days=365.25)
    top: datetime = datetime(2024, 12, 15, tzinfo=UTC)
    traffic: float = 0.2
    spend: float = 0.2
    rate: float = 0.2

    @property
    def expects(self) -> Expects:
        """Return the truth for whoever watches."""
        return Expects((), (), (Act.ROLL_BACK,), says="It comes and goes every year or week.")

    def busier(self, at: Moments, outcome: Floats, rate: float) -> Floats:
        """Return the factor on the traffic."""
        return 1.0 + self.traffic * self._wave(at)

    def busiest(self, rate: float) -> float:
        """Return the largest factor."""
        return 1.0 + abs(self.traffic)

    def move_inputs(self, columns: Columns, at: Moments, rng: np.random.Generator) -> None:
        """Move how much is spent."""
        columns["spend"] = columns["spend"] + self.spend * DEVIATIONS["spend"] * self._wave(at)

    def lift(self, at: Moments) -> Floats:
        """Return what is added to the score."""
        return self.rate * self._wave(at)

    def _wave(self, at: Moments) -> Floats:
        turn = (at - micros_of(self.top)) / (self.period / _MICROSECOND)
        return np.where(self.inside(at), np.cos(2 * np.pi * turn), 0.0)


def micros_of(moment: datetime) -> int:
    """Return an aware time as microseconds since 1970."""
    return (moment - _EARLIEST) // _MICROSECOND
