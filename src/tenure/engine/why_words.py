"""Say a rebuilt prediction as its owner would: what was said, what spoke for it, what came of it, who stood behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from tenure.core.lifecycle import Alias
from tenure.core.modelling import Task
from tenure.engine.explain import Contribution
from tenure.engine.scoring import NO_ACTION
from tenure.engine.standing import Standing
from tenure.engine.why import Why
from tenure.reporting.words import listing, money, number, of_100, plain_spaces, sentence

_NAMED: Final = 3
_SMALL: Final = 0.02
"""What adds less than this share of the largest effect is not named."""


def words(told: Why) -> tuple[str, ...]:
    """Return a few sentences without any term of the trade."""
    return tuple(plain_spaces(line) for line in _lines(told))


def _lines(told: Why) -> Iterator[str]:
    yield _said(told)
    yield from _reasons(told)
    if told.record.violations:
        broken = [f"{one['field']} ({one['rule']})" for one in told.record.violations]
        aside = " It was set aside: nothing is learned from it." if told.record.quarantined else ""
        yield f"The row broke the data contract: {listing(broken)}.{aside}"
    yield _outcome(told)
    yield _right(told)
    if told.standing.rungs:
        yield f"Its last step on the ladder by then: {sentence(told.standing.rungs[-1].says)}"
    yield (
        "Made again from the stored model, the answer is the same to the last bit."
        if told.rebuilt.is_equal
        else "Made again from the stored model, the answer is NOT the one that was logged."
    )


def _said(told: Why) -> str:
    record = told.record
    about = "" if record.key is None else f" about {record.key}"
    start = f"On {_moment(record.at)} v{record.version}"
    if told.task is Task.REGRESSION:
        between = "" if record.low is None else f" (nine times in ten between {_number(record.low)} and "
        between += "" if record.high is None else f"{_number(record.high)})"
        return f"{start} said{about}: {told.target} is {_number(record.prediction)}{between}."
    if told.task is Task.MULTICLASS:
        sure = record.probabilities[told.classes.index(str(record.prediction))]
        return f"{start} said{about}: of such rows, {of_100(sure)} have {told.target} = {record.prediction}."
    between = (
        ""
        if record.low is None or record.high is None
        else f" (between {_hundred(record.low)} and {_hundred(record.high)})"
    )
    to_do = f"do nothing ({NO_ACTION})" if told.decision == NO_ACTION else told.decision
    share = of_100(record.probabilities[-1])
    said = f"of such rows, {share} have {told.target} = {told.classes[-1]}{between}, so: {to_do}."
    why = f" {sentence(told.rebuilt.threshold_reason)}" if told.rebuilt.threshold_reason else ""
    return f"{start} said{about}: {said}{why}"


def _reasons(told: Why) -> Iterator[str]:
    found = told.rebuilt.contributions
    largest = max((abs(one.effect) for one in found), default=0.0)
    told_of = [one for one in found if abs(one.effect) > _SMALL * largest]
    what = {
        Task.BINARY: f"{told.target} = {told.classes[-1]}" if told.classes else "",
        Task.MULTICLASS: str(told.record.prediction),
        Task.REGRESSION: "a higher value",
    }[told.task]
    for lead, some in (
        (f"What spoke for {what}", [one for one in told_of if one.effect > 0]),
        ("What spoke against", [one for one in told_of if one.effect < 0]),
    ):
        if some:
            yield f"{lead}: {_named(some)}."


def _named(some: Sequence[Contribution]) -> str:
    named = [f"{one.feature} {_shown(one.value)} ({one.effect:+.2g})" for one in some[:_NAMED]]
    more = len(some) - _NAMED
    return listing([*named, f"{more} more"] if more > 0 else named)


def _shown(value: Any) -> str:
    if value is None:
        return "is empty"
    text = number(value, digits=4) if isinstance(value, float) else str(value)
    return f"= {text if len(text) <= 40 else text[:37] + '...'}"


def _outcome(told: Why) -> str:
    if told.outcome is None:
        return "What came true is not known yet."
    says = f"What came true: {told.outcome.value}, known on {_moment(told.outcome.known_at)}."
    made = told.made
    if made is None:
        return says
    if made.otherwise is None:
        return f"{says} The error cost {money(-made.money, made.currency)}."
    other = "to act" if told.decision == NO_ACTION else "not to act"
    return (
        f"{says} The decision made {money(made.money, made.currency)}; {other} would have made "
        f"{money(made.otherwise, made.currency)}."
    )


def _right(told: Why) -> str:
    version, standing = f"v{told.record.version}", told.standing
    if standing.move is None:
        return f"{version} did not hold an office then: it was asked by name. {_gate(standing)}".rstrip()
    place = "was in office" if standing.office is Alias.CHAMPION else "was on trial with some of the keys"
    left = "" if standing.left is None else f" (it had left it at {_moment(standing.left)}, and a server went on)"
    since = f"{version} {place} since {_moment(standing.move.at)}{left}, by {standing.move.actor}"
    if standing.was_decided_by_gate:
        return f"{since}. {_gate(standing)}"
    return f"{since}: {sentence(standing.move.reason)} {_gate(standing)}".rstrip()


def _gate(standing: Standing) -> str:
    if standing.decision is None:
        return ""
    return f"The gate had said {standing.decision.outcome.value}: {sentence(standing.decision.reason)}"


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return f"{moment.day} {moment:%B %Y at %H:%M} UTC"


def _hundred(share: float) -> str:
    return f"{100 * share:.0f}"


def _number(value: str | float) -> str:
    return number(float(value), digits=4)
