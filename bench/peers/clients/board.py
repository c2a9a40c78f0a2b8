"""What was done to the server, what was seen, and whether that was as promised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Line(NamedTuple):
    """One thing that was done: `kept` is whether the server kept what it promises."""

    what: str
    seen: str
    kept: bool


@dataclass(frozen=True, slots=True)
class Target:
    """A server to ask: its URL and process, rows that its model knows, a folder to write to, and a secret, if any."""

    url: str
    process: int
    rows: list[dict[str, Any]]
    folder: Path
    secret: str | None = None


def table(part: str, lines: Iterable[Line]) -> str:
    """Return a part's lines as a table of Markdown."""
    rows = [f"| {_cell(what)} | {_cell(seen)} | {'yes' if kept else '**NO**'} |" for what, seen, kept in lines]
    return "\n".join([f"\n## {part}\n", "| done | seen | as promised |", "|---|---|---|", *rows])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
