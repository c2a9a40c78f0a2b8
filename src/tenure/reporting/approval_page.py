"""The page behind a link that asks a person to approve an act: what, why, at what cost, what else, how to undo it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import tenure
from tenure.core.health import Span
from tenure.core.lifecycle import Action, Verb
from tenure.core.project import Project
from tenure.core.retraining import Alternative, Prospect, Recipe, Way
from tenure.reporting.blocks import Cell, Fact, Facts, Pairs, Section, Table
from tenure.reporting.page import Form, Hero, Page, render
from tenure.reporting.words import money, number, plural, seconds_in_words, short, whole

_DOES: Final = {Verb.RETRAIN: "Retrain the model?", Verb.ROLL_BACK: "Put the version before back in office?"}
_WAYS: Final = {
    Way.REFIT: "learn anew",
    Way.CONTINUE: "go on from the model in office",
    Way.LEAVES: "keep its trees, learn their leaves again",
    Way.RECALIBRATE: "keep it, correct its answers",
    Way.RESTORE: "bring an earlier version back",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One proposal as it is shown: its name, the act, when it was asked and lapses (ISO), and how it stands.

    `standing` is "" while it waits for an answer, and `is_over` says that nobody answered it.
    """

    label: str
    action: Action
    at: str
    expires: str
    champion: str
    prospect: Prospect | None = None
    standing: str = ""
    is_over: bool = False


def approval_page(asked: Asked, project: Project) -> str:
    """Return one proposal as a self-contained HTML page; it can be answered there while it waits."""
    action, waits = asked.action, not asked.standing
    lead = [action.reason, asked.standing]
    page = Page(
        title=f"{project.project.name}: {asked.label}",
        project=project.project.name,
        what=f"proposal {asked.label}",
        dated=asked.at[:10],
        hero=Hero(
            chip="Waits for your answer" if waits else "Answered" if not asked.is_over else "No longer asked",
            tone="" if waits else "quiet",
            question=project.project.question,
            headline=_DOES.get(action.verb, action.verb.value),
            lead=tuple(text for text in lead if text),
            facts=Facts(_facts(asked, project)),
            next=_next(asked),
            undo=f"puts {asked.champion} back in office.",
            source=action.digest,
        ),
        owner=tuple(_sections(asked)),
        engineer=(),
        engineer_lead="",
        footer=f"Written by tenure {tenure.__version__} from the action record {short(action.digest)}.",
        form=Form() if waits else None,
    )
    return render(page)


def refusal_page(title: str, says: str, hint: str, project: str) -> str:
    """Return a page that says why nothing is shown, in the same look."""
    page = Page(
        title=f"{project}: {title}",
        project=project,
        what="approvals",
        dated="",
        hero=Hero(title, "quiet", "", says, (), Facts(()), hint, None, ""),
        owner=(),
        engineer=(),
        engineer_lead="",
        footer=f"Written by tenure {tenure.__version__}.",
    )
    return render(page)


def _next(asked: Asked) -> str:
    if asked.standing:
        return "Nothing can be answered here any more."
    return (
        "Nothing is done before somebody answers. Once approved, the watcher does it at its next look, outside quiet "
        f"hours; unanswered, this lapses on {asked.expires[:10]}, or earlier when its cause is gone."
    )


def _facts(asked: Asked, project: Project) -> tuple[Fact, ...]:
    prospect = asked.prospect
    if prospect is None:
        return ()
    chosen = next((one for one in prospect.alternatives if one.recipe == prospect.chosen), None)
    facts = [
        Fact(f"{prospect.probability:.0%}", f"sure that it pays; {prospect.bar:.0%} are asked for", prospect.digest),
        Fact(_amount(prospect.cost, prospect.unit, project), "what doing it costs", prospect.digest),
    ]
    if chosen is not None and chosen.total is not None:
        over = plural(prospect.horizon, "window")
        gain = _amount(chosen.total.value, prospect.unit, project)
        facts.insert(0, Fact(gain, f"expected gain over {over}, its cost taken off", prospect.digest))
    return tuple(facts)


def _sections(asked: Asked) -> list[Section]:
    sections = [Section("what", "What would be done", (_what(asked),))]
    prospect = asked.prospect
    if prospect is not None:
        sections.append(Section("instead", "What else was tried", (_alternatives(prospect),)))
    return sections


def _what(asked: Asked) -> Pairs:
    action, recipe = asked.action, asked.action.recipe
    items = [("In office", asked.champion), ("Why", action.reason)]
    if action.verb is Verb.RETRAIN:
        items.insert(0, ("How", recipe_words(recipe)))
        items.append(("Then", "The new version has to pass every check, and proves itself on live traffic first."))
    if asked.prospect is not None:
        items.append(("What spoke for it", asked.prospect.says))
    items.append(("On the machine", f"tenure approve {asked.label}"))
    return Pairs(tuple(items), action.digest)


def recipe_words(recipe: Recipe | None) -> str:
    """Return what a recipe does, in words."""
    if recipe is None:
        return "learn anew, from all rows"
    parts = [_WAYS[recipe.way]]
    if recipe.since is not None:
        parts.append(f"from rows since {recipe.since[:10]}")
    elif recipe.share < 1:
        parts.append(f"from the newest {recipe.share:.0%} of the rows")
    elif recipe.is_retraining:
        parts.append("from all rows")
    if recipe.half_life is not None:
        parts.append("newer ones weighing more")
    return ", ".join(parts)


def _alternatives(prospect: Prospect) -> Table:
    others = sorted(prospect.alternatives, key=lambda one: (one.recipe != prospect.chosen, -one.probability))
    caption = f"Each way, on the latest {plural(len(prospect.starts), 'block')} of {whole(prospect.rows)} rows"
    unit = "money" if _is_money(prospect.unit) else prospect.unit
    return Table(
        caption,
        ("way", f"gain a row, {unit} (90 %)", f"over {plural(prospect.horizon, 'window')}", "sure that it pays", ""),
        tuple(_row(one, prospect) for one in others),
        prospect.digest,
        note="Gains are against the model in office on the same rows. The best of many is judged more strictly.",
    )


def _row(one: Alternative, prospect: Prospect) -> tuple[Cell, ...]:
    remark = "chosen" if one.recipe == prospect.chosen else one.dropped
    return (
        Cell(f"{one.recipe.name}: {recipe_words(one.recipe)}"),
        Cell(_span(one.gain), "range"),
        Cell(_span(one.total), "range"),
        Cell("" if one.dropped else f"{one.probability:.0%}", "number"),
        Cell(f"{remark} ({seconds_in_words(one.seconds)})" if one.seconds else remark),
    )


def _span(span: Span | None) -> str:
    return "" if span is None else f"{number(span.value)} ({number(span.low)} to {number(span.high)})"


def _is_money(unit: str) -> bool:
    return len(unit) == 3 and unit.isupper()


def _amount(value: float, unit: str, project: Project) -> str:
    return money(value, unit) if unit == project.value.currency else f"{number(value)} {unit}"
