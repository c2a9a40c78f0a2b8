"""What a page is made of: a few kinds of blocks, so that every part of every page looks alike.

`kind` picks the macro in `templates/blocks.html.j2` that draws a block. `source` is the digest of the record that the
numbers come from; the page carries it as `data-source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tenure.core.evidence import Finding, Verdict
from tenure.reporting.advice import Advice
from tenure.reporting.figures import Figure
from tenure.reporting.words import check_in_words


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain sentences."""

    kind: ClassVar[str] = "paragraph"
    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One number set large, and what it means."""

    figure: str
    says: str
    source: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Two to four large numbers side by side."""

    kind: ClassVar[str] = "facts"
    items: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Drawings:
    """Figures: one under the other, or `small` ones in two columns where there is room."""

    kind: ClassVar[str] = "drawings"
    figures: tuple[Figure, ...]
    small: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: text, a number, a range, code, a verdict's badge, or a number with a bar of length `share` (0 to 1)."""

    text: str
    kind: str = "text"
    share: float = 0.0
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head.

    A `dense` table keeps its columns on a phone, any other becomes one block a row; `folded` hides the rows until
    asked for.
    """

    kind: ClassVar[str] = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: str
    note: str = ""
    folded: bool = False
    dense: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A labelled length (0 to 1) with its number and a sentence."""

    label: str
    share: float
    figure: str
    says: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """Labelled lengths under one another."""

    kind: ClassVar[str] = "bars"
    caption: str
    items: tuple[Bar, ...]
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """One finding told to the owner; red only where it blocks."""

    title: str
    says: str
    urgent: bool
    source: str


@dataclass(frozen=True, slots=True)
class Remarks:
    """Findings told one under the other."""

    kind: ClassVar[str] = "remarks"
    items: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: what, what it costs and what to do; the badge says the upshot in two words.

    `tone` colours the badge as a verdict's; `urgent` is true only where somebody has to act.
    """

    title: str
    badge: str
    tone: str
    says: str
    cost: str
    todo: str
    source: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Entries:
    """Things that happened, the dearest first."""

    kind: ClassVar[str] = "entries"
    items: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """Things to do, in order."""

    kind: ClassVar[str] = "steps"
    items: tuple[Advice, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names with their values."""

    kind: ClassVar[str] = "pairs"
    items: tuple[tuple[str, str], ...]
    source: str


Block = Paragraph | Facts | Drawings | Table | Bars | Remarks | Entries | Steps | Pairs


@dataclass(frozen=True, slots=True)
class Section:
    """A headed part of the page; `name` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]
    lead: str = ""


BADGES = {
    Verdict.PASS: "passed",
    Verdict.WARN: "look",
    Verdict.FAIL: "failed",
    Verdict.ERROR: "broke",
    Verdict.SKIPPED: "skipped",
}


def badge(verdict: Verdict) -> Cell:
    """Return the cell that shows a verdict as a word, coloured only where action is needed."""
    return Cell(BADGES[verdict], "badge", tone=verdict.value)


def remark(finding: Finding, source: str) -> Remark:
    """Tell a finding to the owner; what to do about it stands under advice."""
    name = check_in_words(finding.check)
    name = name[:1].upper() + name[1:]
    title = f"{name}: {finding.subject}" if finding.subject else name
    return Remark(title, finding.says, finding.verdict.blocks, source)
