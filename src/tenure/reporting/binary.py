"""What a yes/no model tells its owner: what it is worth, and whom to act on."""

from __future__ import annotations

from typing import Final

from tenure.core.value import acted
from tenure.reporting.blocks import Fact
from tenure.reporting.earnings import worth_section
from tenure.reporting.story import Story, Told
from tenure.reporting.whom import whom_section
from tenure.reporting.words import (
    chance,
    hundredths,
    money,
    money_range,
    of_100,
    of_100_range,
)
from tenure.reporting.worth import Reach, Worth, curve_of, reach, worth_of

_EVEN_CHANCE: Final = 0.5


def tell_binary(story: Story) -> Told:
    """Return headline, facts and sections of a yes/no model, in money where the owner gave values."""
    answers, value = story.answers, story.project.value
    yes, score = answers.target == 1, answers.score
    threshold = story.leaderboard.threshold
    if threshold is None:
        threshold = value.break_even if value.is_given else _EVEN_CHANCE
    chosen = acted(score, threshold=threshold, share=story.room)
    who = reach(yes, score, chosen, threshold=threshold, clusters=answers.clusters)
    worth = worth_of(yes, chosen, value, room=story.room, clusters=answers.clusters) if value.is_given else None
    curve = curve_of(yes, score, value, clusters=answers.clusters)
    return Told(
        earns=_earns(story, worth, who),
        lead=(*_sure(story, worth), *_hits(story, who)),
        facts=_facts(story, worth, who),
        sections=(worth_section(story, worth, who, curve), whom_section(story, who, threshold, curve)),
    )


def _earns(story: Story, worth: Worth | None, who: Reach) -> str:
    if worth is None:
        if who.hit is None:
            return "flags nobody at its present cut-off"
        return f"finds {of_100(who.found.value)} cases with {story.yes}"
    currency = story.project.value.currency
    simple = _simple(story, worth)
    gain = worth.over_simple
    if gain.value <= 0:
        return f"earns no more than {simple}"
    more = f", {money(gain.value, currency)} more than {simple}" if worth.best_simple == "everybody" else ""
    return f"earns about {money(worth.over_nobody.value, currency)} per 1,000 decisions{more}"


def _simple(story: Story, worth: Worth) -> str:
    """Return in words the better policy that needs no model."""
    if worth.best_simple == "nobody":
        return "doing nothing"
    return "acting on everyone" if story.room is None else "acting blindly"


def _sure(story: Story, worth: Worth | None) -> tuple[str, ...]:
    """Say how sure the money is, against the better policy that needs no model."""
    if worth is None:
        return ()
    currency = story.project.value.currency
    simple = _simple(story, worth)
    gain = worth.over_simple
    bounds = money_range(gain, currency)
    if gain.low > 0:
        return (f"Against {simple}, we are 95 % sure that it adds {bounds} per 1,000 decisions.",)
    if gain.high < 0:
        return (f"Against {simple}, we are 95 % sure that it loses money: the difference is {bounds}.",)
    return (f"Against {simple} we cannot be sure yet: the difference may be {bounds} per 1,000 decisions.",)


def _hits(story: Story, who: Reach) -> tuple[str, ...]:
    if who.hit is None:
        return (f"No case reaches the cut-off of {chance(who.cut)}, so nobody is acted on.",)
    return (
        f"Of 100 cases it flags, about {hundredths(who.hit.value)} turn out to be {story.yes} "
        f"({of_100_range(who.hit, rare=False)}); picking at random would give {hundredths(who.base)}.",
    )


def _facts(story: Story, worth: Worth | None, who: Reach) -> tuple[Fact, ...]:
    source = story.leaderboard.oof
    facts: list[Fact] = []
    if worth is not None:
        currency = story.project.value.currency
        says = f"per 1,000 decisions ({money_range(worth.model, currency)})"
        facts.append(Fact(money(worth.model.value, currency), says, source))
    if who.hit is not None:
        facts.append(Fact(of_100(who.hit.value), f"cases it flags are {story.yes} ({of_100_range(who.hit)})", source))
    facts.append(Fact(of_100(who.found.value), f"cases with {story.yes} are found ({of_100_range(who.found)})", source))
    if worth is None:
        facts.insert(0, Fact(of_100(who.flagged), "cases are flagged", source))
    return tuple(facts)
