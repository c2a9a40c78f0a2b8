"""Whether an act may be done now by itself: autonomy, freeze, budgets, quiet hours. Pure; facts are brought along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from tenure.core.operations import OperationsSection
from tenure.core.quiet import zone_of
from tenure.state.freezes import Freeze

MONTH: Final = timedelta(days=30)
RETRAINS, COMPUTE = "retrains_per_month", "compute_per_month"


class Act(StrEnum):
    """What may or may not be done."""

    RETRAIN = "retrain"
    PROMOTE = "promote"
    """A step up the ladder, or into office."""
    WITHDRAW = "withdraw"
    """Off the ladder."""
    ROLL_BACK = "roll back"


class Answer(StrEnum):
    """What is said to an act."""

    GO = "go"
    WAIT = "wait"
    ASK = "ask"
    """A person has to approve it."""
    TELL = "tell"
    """It is not done; people are told what they could do."""


@dataclass(frozen=True, slots=True)
class Spent:
    """A retraining of the last month: when it began, and the seconds that it took."""

    at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What a permit depends on besides policy and time. `walks` are the watcher's own, of a month or more.

    `approved` says that a person said yes to this very act: that stands for autonomy and for the budgets.
    """

    act: Act
    freeze: Freeze | None = None
    walks: tuple[Spent, ...] = ()
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Permit:
    """The answer, in words, with the `rule` of the project file (or "freeze") that it comes from.

    Where it is to wait, `start` is the moment from which nothing known speaks against it; None where no such moment is
    known.
    """

    answer: Answer
    says: str = ""
    rule: str = ""
    start: datetime | None = None

    @property
    def given(self) -> bool:
        """Say whether it may be done now."""
        return self.answer is Answer.GO

    @property
    def is_budget(self) -> bool:
        """Say whether a spent budget holds it back, which a person should know."""
        return self.rule in (RETRAINS, COMPUTE)


def permit(operations: OperationsSection, now: datetime, facts: Facts) -> Permit:
    """Say whether `facts.act` may be done at `now`, and else why not and from when.

    What takes a model back is bound by no hours and no budget: a rollback waits for a freeze of everything only, and
    for the autonomy that it needs; a version leaves the ladder unless everything is frozen.
    """
    first = _at(operations, now, facts)
    if first.answer is not Answer.WAIT or first.start is None:
        return first
    start = first.start
    while (next_one := _at(operations, start, facts)).answer is Answer.WAIT:  # each rule ends later than it is met
        if next_one.start is None:
            return replace(first, start=None)
        start = next_one.start
    return replace(first, start=start, says=f"{first.says} Not before {_shown(start, operations)}.")


def _at(operations: OperationsSection, now: datetime, facts: Facts) -> Permit:
    """Return the answer at one moment; where it is to wait, `start` is when this one rule lets go."""
    held = _frozen(now, facts)
    if facts.act is Act.WITHDRAW:
        return held or Permit(Answer.GO)
    if operations.autonomy == "observe" and not facts.approved:
        return Permit(Answer.TELL, "tenure only observes here.", "autonomy")
    if held is not None:
        return held
    if operations.autonomy == "propose" and not facts.approved:
        return Permit(Answer.ASK, "A person has to approve it.", "autonomy")
    if facts.act is Act.ROLL_BACK:
        return Permit(Answer.GO)
    return _spent(operations, now, facts) or _quiet(operations, now) or Permit(Answer.GO)


def _frozen(now: datetime, facts: Facts) -> Permit | None:
    freeze = facts.freeze
    if freeze is None or (freeze.until is not None and freeze.until <= now):
        return None
    if facts.act in (Act.WITHDRAW, Act.ROLL_BACK) and not freeze.everything:
        return None
    why = f": {freeze.why.rstrip('.')}" if freeze.why else ""
    return Permit(Answer.WAIT, f"Frozen by {freeze.who} since {freeze.since:%Y-%m-%d}{why}.", "freeze", freeze.until)


def _spent(operations: OperationsSection, now: datetime, facts: Facts) -> Permit | None:
    if facts.approved or facts.act is not Act.RETRAIN:
        return None
    walks = sorted((walk for walk in facts.walks if now - MONTH < walk.at <= now), key=lambda walk: walk.at)
    most, budget = operations.retrains_per_month, operations.compute_per_month
    if most is not None and len(walks) >= most:
        says = f"{len(walks)} of {most} retrainings in 30 days are spent."
        return Permit(Answer.WAIT, says, RETRAINS, _when_fits(walks, lambda left: len(left) < most))
    if budget is not None and (total := sum(walk.seconds for walk in walks)) >= budget:
        says = f"{total / 60:,.1f} of {budget / 60:,.1f} minutes of training in 30 days are spent."
        fits = _when_fits(walks, lambda left: sum(walk.seconds for walk in left) < budget)
        return Permit(Answer.WAIT, says, COMPUTE, fits)
    return None


def _when_fits(walks: list[Spent], fits: Callable[[list[Spent]], bool]) -> datetime | None:
    """Return when so many walks are older than a month that the rest fits in; None where nothing ever does."""
    return next((walks[gone - 1].at + MONTH for gone in range(1, len(walks) + 1) if fits(walks[gone:])), None)


def _quiet(operations: OperationsSection, now: datetime) -> Permit | None:
    until = operations.quiet.until(now)
    return None if until is None else Permit(Answer.WAIT, "It is a quiet time.", "quiet", until)


def _shown(moment: datetime, operations: OperationsSection) -> str:
    return f"{moment.astimezone(zone_of(operations.time_zone)):%Y-%m-%d %H:%M} ({operations.time_zone})"
