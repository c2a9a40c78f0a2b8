"""The page itself: one self-contained HTML file, without scripts and without a single request to anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

import tenure
from tenure.reporting.advice import Advice
from tenure.reporting.blocks import Facts, Section
from tenure.reporting.engineer import engineer_sections
from tenure.reporting.owner import headline, lead, owner_sections, tell
from tenure.reporting.story import Story, Told
from tenure.reporting.words import short

_JOINTS: Final = re.compile(r"([_./])(?=\w)")
_TEMPLATES: Final = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True, slots=True)
class Hero:
    """The top of a page: the answer first. `tone` is "" (all well), "quiet" or "alarm" (somebody has to act)."""

    chip: str
    tone: str
    question: str
    headline: str
    lead: tuple[str, ...]
    facts: Facts
    next: str
    undo: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Form:
    """Asks whoever reads the page to approve or decline; it is sent to the page's own address."""

    approve: str = "Approve"
    decline: str = "Decline"


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page as data; `owner` and `engineer` are its two parts, a `form` stands above them."""

    title: str
    project: str
    what: str
    dated: str
    hero: Hero
    owner: tuple[Section, ...]
    engineer: tuple[Section, ...]
    engineer_lead: str
    footer: str
    version: str = tenure.__version__
    form: Form | None = None


@cache
def templates() -> Environment:
    """Return the room's templates; every value is escaped, and a name that does not exist is an error."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["breakable"] = _breakable
    return environment


def _breakable(text: str) -> Markup:
    """Return text that may break after an underscore, a dot or a slash, as long column names need."""
    return Markup(_JOINTS.sub(r"\1<wbr>", str(escape(text))))


def render(page: Page) -> str:
    """Return the page as HTML."""
    return templates().get_template("page.html.j2").render(page=page).lstrip()


def dossier_page(story: Story, advice: tuple[Advice, ...]) -> tuple[Page, Told]:
    """Return the dossier of a run as a page, the owner's part first, and what was told there for the card."""
    told = tell(story)
    office = story.office
    moved = story.release.moves[0].at[:10] if story.release.moves else ""
    name = story.project.project.name
    tone = "alarm" if office.alarm else ("" if office.chip == "In office" else "quiet")
    page = Page(
        title=f"{name}: {office.says}",
        project=name,
        what="model dossier",
        dated=moved,
        hero=Hero(
            chip=office.chip,
            tone=tone,
            question=story.project.project.question,
            headline=headline(story, told),
            lead=lead(story, told),
            facts=Facts(told.facts),
            next=office.next,
            undo=office.undo,
            source=story.decision.digest,
        ),
        owner=owner_sections(story, told, advice),
        engineer=engineer_sections(story),
        engineer_lead="How the model was made, judged and let through, with every record it rests on.",
        footer=f"Written by tenure {tenure.__version__} from the release record {short(story.release.digest)}. "
        "This file needs no network and may be passed on as it is.",
    )
    return page, told
