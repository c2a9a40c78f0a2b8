"""A page as Markdown: the same words and tables, without the drawings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tenure.reporting.blocks import Block, Cell, Drawings, Facts, Pairs, Paragraph, Section, Table
from tenure.reporting.page import Page
from tenure.reporting.words import plain_spaces

_MARKS: Final = re.compile(r"([\\`*_{}\[\]<>|#])")


def as_markdown(page: Page) -> str:
    """Return a page as Markdown."""
    hero = page.hero
    lines = [f"# {_text(hero.headline)}", "", f"{_text(page.project)}, {_text(page.what)}, {page.dated}", ""]
    lines += [f"*{_text(hero.question)}*", ""] if hero.question else []
    lines += [line for text in hero.lead for line in (_text(text), "")]
    lines += _block(hero.facts)
    lines += [_text(hero.next), ""]
    for section in page.owner:
        lines += _section(section)
    if page.engineer:
        lines += ["## For the engineer", "", _text(page.engineer_lead), ""]
        for section in page.engineer:
            lines += _section(section, level=3)
    return plain_spaces("\n".join([*lines, _text(page.footer)]) + "\n")


def _text(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _section(section: Section, *, level: int = 2) -> Iterator[str]:
    yield from (f"{'#' * level} {_text(section.title)}", "")
    for block in section.blocks:
        yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield from (_text(block.text), "")
    elif isinstance(block, Facts):
        yield from (f"- **{_text(fact.figure)}** {_text(fact.says)}" for fact in block.items)
        yield ""
    elif isinstance(block, Pairs):
        yield from (f"- {_text(name)}: {_text(value)}" for name, value in block.items)
        yield ""
    elif isinstance(block, Drawings):
        for figure in block.figures:
            yield from (f"{_text(figure.title)}. {_text(figure.alt)}", "")
    elif isinstance(block, Table):
        yield from _table(block)


def _table(table: Table) -> Iterator[str]:
    def row(cells: tuple[Cell, ...]) -> str:
        return "| " + " | ".join(_text(cell.text) for cell in cells) + " |"

    yield from (f"**{_text(table.caption)}**", "")
    yield "| " + " | ".join(map(_text, table.head)) + " |"
    yield "|" + "---|" * len(table.head)
    yield from (row(cells) for cells in table.rows)
    yield ""
    if table.note:
        yield from (_text(table.note), "")
