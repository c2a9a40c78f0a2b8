"""What a retraining would learn from, what it promised on past blocks, and what was chosen: recipes and prospects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tenure.core.health import Span
from tenure.core.records import Record


class Way(StrEnum):
    """How a recipe makes a model out of the one in office and of rows."""

    REFIT = "refit"
    """Learn anew, from some rows and weights."""
    CONTINUE = "continue"
    """Go on from the model in office: more trees, grown on newer rows."""
    LEAVES = "leaves"
    """Keep the trees and learn their leaves again, mixed with the old ones."""
    RECALIBRATE = "recalibrate"
    """Keep the model and correct its answers."""
    RESTORE = "restore"
    """Put an earlier version back to work."""


@dataclass(frozen=True, slots=True)
class Recipe(Record):
    """What a model is to be made from.

    `name` is unique among the alternatives of a prospect. `share` is the part of the newest rows that is learned from
    (1 for all), `since` an ISO time before which nothing is; `half_life` (share of all history, in rows) halves the
    weight of rows as they get older; `mix` is how much of an old leaf stays. `version` is what RESTORE restores. The
    gate judges on the newest `judged` rows, which the judged twin does not learn; None for a share of all. An outcome
    counts as known `delay` seconds after its row, or `lag` rows after it where rows have no times.
    """

    name: str
    way: Way = Way.REFIT
    share: float = 1.0
    half_life: float | None = None
    since: str | None = None
    mix: float | None = None
    version: int | None = None
    judged: int | None = None
    delay: float = 0.0
    lag: int = 0

    @property
    def is_retraining(self) -> bool:
        """Say whether a model is learned anew, and not only corrected or brought back."""
        return self.way in (Way.REFIT, Way.CONTINUE)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One recipe as it did on the latest blocks, each time learned from what was known before the block.

    `gains` are by block, how much better than the model in office on the same rows (mean of each row; units of
    `Prospect.unit`), None where it was dropped before; `gain` is over all of them (90 %). `total` is the forecast over
    the horizon, cost taken off. `dropped` says why it left the contest early.
    """

    recipe: Recipe
    gains: tuple[float | None, ...]
    gain: Span | None = None
    total: Span | None = None
    probability: float = 0.0
    seconds: float = 0.0
    dropped: str = ""


@dataclass(frozen=True, slots=True)
class Prospect(Record):
    """Whether a new model would pay: the contest of recipes on past blocks, and the forecast of the best.

    `trigger` says why it was asked ("matured window", "alarm", "age", "asked for"). `starts` are when the judged blocks
    began, `rows` how many they hold. `probability` that the best gains more than it costs, after the choice among all
    is taken into account, must reach `bar`; `chosen` is None where it does not. `cost` and the totals are in `unit` for
    `volume` rows a window over `horizon` windows: money ("EUR") where the owner said what decisions are worth, else
    units of the metric's loss. `says` puts it into words.
    """

    version: int
    at: str
    trigger: str
    chosen: Recipe | None
    probability: float
    bar: float
    alternatives: tuple[Alternative, ...]
    starts: tuple[str, ...]
    rows: int
    unit: str
    cost: float
    horizon: int
    volume: float
    says: str
    seconds: float = 0.0
    made_from: tuple[str, ...] = ()
