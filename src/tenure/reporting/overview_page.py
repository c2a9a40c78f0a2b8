"""The page at the root of the server: who is in office, how it does, what waits for a person, what was done and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import tenure
from tenure.core.health import Health
from tenure.core.ladder import Rung, Step
from tenure.core.project import Project
from tenure.reporting.blocks import Cell, Entries, Entry, Fact, Facts, Pairs, Paragraph, Section, Table
from tenure.reporting.health_page import CHIPS
from tenure.reporting.page import Hero, Page, render
from tenure.reporting.words import of_100, whole


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that was done: when (ISO), who did it, what kind of thing it is, and why."""

    at: str
    who: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """One proposal that waits: its name, what would be done, why, since when and until when (ISO)."""

    label: str
    verb: str
    reason: str
    at: str
    expires: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page tells. `champion` is None while no model is in office; `rung` is where a version stands."""

    at: str
    champion: str | None
    since: str = ""
    because: str = ""
    previous: str | None = None
    status: Health | None = None
    headline: str = ""
    predictions: int = 0
    outcomes: int = 0
    rung: Rung | None = None
    frozen: str = ""
    waiting: tuple[Waiting, ...] = ()
    deeds: tuple[Deed, ...] = ()
    has_health_page: bool = False


def overview_page(overview: Overview, project: Project) -> str:
    """Return the state of a project as one self-contained HTML page; nothing can be done there."""
    name, champion = project.project.name, overview.champion
    chip, tone = CHIPS[overview.status] if overview.status is not None else ("Not looked at yet", "quiet")
    headline = "No model is in office yet." if champion is None else overview.headline or f"{champion} is in office."
    page = Page(
        title=f"{name}: overview",
        project=name,
        what="overview",
        dated=overview.at[:16].replace("T", " ") + " UTC",
        hero=Hero(
            chip=chip,
            tone=tone,
            question=project.project.question,
            headline=headline,
            lead=tuple(_lead(overview)),
            facts=Facts(tuple(_facts(overview))),
            next=_next(overview, project),
            undo=f"puts {overview.previous} back in office." if overview.previous else None,
            source="",
        ),
        owner=tuple(_sections(overview)),
        engineer=(),
        engineer_lead="",
        footer=f"Written by tenure {tenure.__version__} from the ledger. Load it again to see what is new.",
    )
    return render(page)


def _lead(overview: Overview) -> Iterator[str]:
    if overview.champion is not None:
        yield f"{overview.champion} is in office since {_minute(overview.since)}: {overview.because}"
    if overview.frozen:
        yield f"Frozen: {overview.frozen}."


def _facts(overview: Overview) -> Iterator[Fact]:
    if overview.champion is None:
        return
    yield Fact(overview.champion, "answers", "")
    yield Fact(whole(overview.predictions), "predictions are in the log", "")
    share = overview.outcomes / overview.predictions if overview.predictions else 0.0
    yield Fact(whole(overview.outcomes), f"outcomes are known, of {of_100(min(share, 1.0))} predictions", "")


def _next(overview: Overview, project: Project) -> str:
    if overview.champion is None:
        return "Train one with: tenure run"
    if overview.waiting:
        return f"{overview.waiting[0].label} waits for an answer: tenure approvals"
    autonomy = {
        "observe": "The watcher looks and tells; it does nothing by itself.",
        "propose": "The watcher looks, and asks before it does anything.",
        "auto": "The watcher looks, and does what pays by itself.",
    }
    return autonomy[project.operations.autonomy]


def _sections(overview: Overview) -> Iterator[Section]:
    if overview.waiting:
        yield Section("waits", "Waits for you", (Entries(tuple(map(_entry, overview.waiting))),))
    if overview.rung is not None:
        yield Section("ladder", "On the ladder", (_ladder(overview.rung),))
    if overview.deeds:
        rows = tuple(
            (Cell(_minute(deed.at)), Cell(deed.who), Cell(deed.what), Cell(deed.why)) for deed in overview.deeds
        )
        table = Table("The latest first", ("when (UTC)", "who", "what", "why"), rows, "")
        yield Section("done", "What was done, and why", (table,))
    if overview.has_health_page:
        text = "The whole page of its health, with every chart, is at health.html beside this one."
        yield Section("health", "Health", (Paragraph(text),))


def _entry(waiting: Waiting) -> Entry:
    todo = f'tenure approve {waiting.label}, or tenure decline {waiting.label} --why "..."'
    since = f"Since {_minute(waiting.at)}; it lapses on {waiting.expires[:10]}."
    return Entry(f"{waiting.label}: {waiting.verb}", "waits", "warn", f"{waiting.reason} {since}", "", todo, "")


def _ladder(rung: Rung) -> Pairs:
    where = {Step.SHADOW: "shadow: it answers beside the champion, for the log only"}
    step = where.get(rung.step, f"{rung.step}: it answers {rung.share:.0%} of the keys in earnest")
    items = (
        ("Version", f"v{rung.version}, against v{rung.against}"),
        ("Step", step),
        ("Since", _minute(rung.since)),
        ("Because", rung.says),
    )
    return Pairs(items, rung.digest)


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
