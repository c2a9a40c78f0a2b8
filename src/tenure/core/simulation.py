"""What a flight through a project's history came to: windows, acts, policies side by side, and the whole simulation."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tenure.core.health import Span
from tenure.core.records import Record


class Deed(StrEnum):
    """What can happen in a flight."""

    ALARM = "alarm"
    """A person would have been told."""
    RETRAIN = "retrain"
    """A model was learned anew."""
    CORRECTION = "correction"
    """The model was corrected, or an earlier one brought back, without learning anew."""
    PROMOTION = "promotion"
    """A version took office."""
    ROLLBACK = "rollback"
    """The office went back to an earlier version."""
    HELD = "held"
    """What was made did not get into office."""
    STEP = "step"
    """A version went up or down the ladder."""
    ESCALATION = "escalation"
    """It was left to a person, who does not exist in a flight."""
    PROPOSAL = "proposal"
    """It was proposed to a person, who does not exist in a flight."""
    MISSED = "missed"
    """A look could not be taken."""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that was done, in words: when (ISO time), after which window (from 0), and by which record."""

    deed: Deed
    at: str
    window: int
    says: str
    version: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Reign:
    """A version's time in office, from `since` to before `until` (None: to the end); `made` says how it was made."""

    version: int
    since: str
    until: str | None
    made: str = ""


@dataclass(frozen=True, slots=True)
class WindowResult:
    """How one window went under a policy.

    `known` rows have an outcome; `amount` is the money made on them, the sum of their losses, or metric times rows, as
    `Simulation.measure` says; `metric` is the metric of the window, None where it has none. `version` answered most.
    """

    rows: int
    known: int
    amount: float
    metric: float | None
    version: int
    status: str = ""


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """How a policy did over all windows. Spans are 95 %.

    `total` is the money, or the metric over all windows. `over_static` is how much better than without tenure,
    `regret` how much worse than the best in hindsight, both positive in the metric's or money's own units.
    `bad_promotions` counts those that were worse than what they replaced beyond chance. `changes` says in words what
    the policy file changes.
    """

    name: str
    changes: tuple[str, ...]
    windows: tuple[WindowResult, ...]
    acts: tuple[Act, ...]
    reigns: tuple[Reign, ...]
    total: Span
    over_static: Span
    regret: Span
    worst: int
    bad_promotions: int = 0
    walks: int = 0
    reused: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def count(self, deed: Deed) -> int:
        """Return how many acts of one kind there were."""
        return sum(act.deed is deed for act in self.acts)


@dataclass(frozen=True, slots=True)
class Duel:
    """How much better policy `one` did than `other` on the same windows (95 %), positive is better."""

    one: str
    other: str
    gain: Span


class Measure(StrEnum):
    """What flights are compared by."""

    MONEY = "money"
    """The owner's money."""
    LOSS = "loss"
    """The mean of a loss of each row, from which the metric follows."""
    METRIC = "metric"
    """The metric of each window, weighted by its rows."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long it took, beside the naive way (seconds): rows one by one, whole walks, nothing shared.

    `naive` is an estimate: `row_seconds` was measured on a sample, a walk counts with the project's `whole_budget`, and
    looks count as they were. `walk_budget` is what a walk was given here. Both budgets are None where the project
    counts trials and not seconds: a walk then counts as long as one took here.
    """

    seconds: float
    naive: float
    row_seconds: float
    rows: int
    walks: int
    walk_budget: float | None
    whole_budget: float | None

    @property
    def factor(self) -> float:
        """Return how many times faster it was."""
        return self.naive / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Simulation(Record):
    """Policies flown through the same windows of history, side by side.

    `unit` is the currency or the metric's name. `starts` and `ends` (ISO) are those of the windows. `best` holds the
    amounts by window of the best model in hindsight among all that were flown. `delay` is how long outcomes took
    (seconds), `learned` the rows that the first model learned from. `is_cost` says that the money is what errors cost.
    `notes` say in words what limits it.
    """

    measure: Measure
    unit: str
    metric: str
    greater_is_better: bool
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    policies: tuple[PolicyResult, ...]
    best: tuple[float, ...]
    best_total: Span
    duels: tuple[Duel, ...]
    learned: int
    delay: float
    pace: Pace
    planned: int
    is_cost: bool = False
    notes: tuple[str, ...] = ()
    made_from: tuple[str, ...] = ()

    @property
    def interrupted(self) -> bool:
        """Say whether fewer windows were flown than there are."""
        return len(self.starts) < self.planned

    def policy(self, name: str) -> PolicyResult:
        """Return the result of a policy that was flown."""
        return next(result for result in self.policies if result.name == name)
