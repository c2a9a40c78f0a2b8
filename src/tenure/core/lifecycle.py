"""What happens to a model: decisions, versions, releases, dossiers, predictions, outcomes, actions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tenure.core.evidence import Finding
from tenure.core.modelling import Score
from tenure.core.records import Record
from tenure.core.retraining import Recipe


class Alias(StrEnum):
    """The offices that a version can hold."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    PREVIOUS = "previous"


class Outcome(StrEnum):
    """What the gate says, and what a release came to."""

    PROMOTE = "promote"
    HOLD = "hold"
    REJECT = "reject"
    LADDER = "ladder"
    """Only of a release: the version passed the gate, and is on the ladder to the office."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Challenger minus champion on the same rows, turned so that a positive gain is better.

    `gain`, `low`, `high` are in units of the metric (95 % interval, paired). `against` is the champion's version
    ("v3") or "baseline". `value_gain` is money per 1,000 decisions where the owner gave values.
    """

    metric: str
    against: str
    challenger: Score
    champion: Score
    gain: float
    low: float
    high: float
    rows: int
    value_gain: float | None = None
    value_low: float | None = None
    value_high: float | None = None


@dataclass(frozen=True, slots=True)
class Incumbent(Record):
    """The model in office as the gate sees it: its version, bundle digest, and leaderboard record's digest."""

    version: int
    model: str
    leaderboard: str


@dataclass(frozen=True, slots=True)
class GateDecision(Record):
    """Promote, hold or reject, because of these findings.

    `same_model` says that the candidate already holds the office (nothing to do). `incumbent` is the version in office
    that it was decided against, None for an empty office.
    """

    outcome: Outcome
    reason: str
    because: tuple[Finding, ...] = ()
    comparison: Comparison | None = None
    model: str = ""
    made_from: tuple[str, ...] = ()
    same_model: bool = False
    incumbent: int | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered model: `number` counts from 1 in a project; `model` is its bundle digest."""

    number: int
    model: str
    run_id: str
    leaderboard: str
    created_at: str
    note: str = ""

    @property
    def label(self) -> str:
        """Return the version as people write it: v3."""
        return f"v{self.number}"


@dataclass(frozen=True, slots=True)
class AliasMove:
    """One move of an office from a version to another, with its cause."""

    alias: Alias
    before: int | None
    after: int | None
    at: str
    actor: str
    reason: str
    cause: str | None = None
    """Digest of the record that caused the move."""


@dataclass(frozen=True, slots=True)
class Release(Record):
    """What a gate decision changed: the version, which aliases moved, and what to roll back to.

    `outcome` is that of the gate, but hold where the office changed meanwhile, and ladder where the version has to show
    on live traffic first that it is better.
    """

    version: int | None
    outcome: Outcome
    moves: tuple[AliasMove, ...] = ()
    rollback_to: int | None = None
    model: str = ""
    reason: str = ""
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dossier(Record):
    """The documents about a run: artifact digests of the HTML page and of the Markdown model card."""

    page: str
    card: str
    title: str = ""
    headline: str = ""
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """What was said: one answered prediction.

    `at` is when it was answered, `event_at` when it was about (the row's own time, else `at`), both ISO 8601 UTC.
    `probabilities` are in class order; `low` and `high` are between what the value lies (90 %), or
    the probability of the positive class (binary). `violations` are the rules of the contract that the row broke
    (`field`, `rule`); a `quarantined` one is kept, and nothing is learned from it. `route` is the way that the version
    was chosen, where it was not simply the one in office.
    """

    id: str
    version: int
    at: str
    event_at: str
    features: dict[str, Any]
    prediction: str | float
    probabilities: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    key: str | None = None
    violations: tuple[dict[str, Any], ...] = ()
    quarantined: bool = False
    route: str | None = None


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """What came true.

    Joined to a prediction by `prediction_id`, or by `key`; a later `known_at` corrects an earlier one.
    """

    value: str | float
    known_at: str
    prediction_id: str | None = None
    key: str | None = None


class Verb(StrEnum):
    """What the loop can choose."""

    KEEP = "keep"
    RETRAIN = "retrain"
    ROLL_BACK = "roll back"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Action(Record):
    """What the loop chose, the finding that caused it, and whether it was carried out or only proposed."""

    verb: Verb
    reason: str
    cause: Finding | None = None
    carried_out: bool = False
    proposal: str | None = None
    """The command that a person can run, where the policy leaves the act to them."""
    recipe: Recipe | None = None
    """What a retraining is to learn from; None for all rows."""
    prospect: str | None = None
    """Digest of the prospect that spoke for it, or against."""
    made_from: tuple[str, ...] = ()
