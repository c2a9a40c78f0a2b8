"""Why a model is not working: suspects ranked by how much speaks against them, and what was ruled out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tenure.core.health import FallParts, Health
from tenure.core.records import Record


class Sureness(StrEnum):
    """How much speaks for a suspect, from the evidence alone."""

    CERTAIN = "certain"
    """A fact: a rule that was broken beyond chance, a check that crashed."""
    LIKELY = "likely"
    """Harm beyond chance and tolerance, and what explains it."""
    POSSIBLE = "possible"
    """It moved and may do harm, or it came at the right time."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One thing that may be why: what changed, where, since when, how sure, and what to do.

    `kind` is one of feed, check, support, promotion, column, rows, concept, value, unexplained. `since` is an ISO
    time. `why_sure` is one sentence with the numbers, `numbers` the same for programs; `command` what to type.
    """

    kind: str
    what: str
    where: str
    sureness: Sureness
    why_sure: str
    todo: str
    command: str
    since: str | None = None
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Diagnosis(Record):
    """The answer to 'why is the model not working': the likeliest suspect first.

    `ruled_out` holds what was looked at and is not why, `unknown` what could not be looked at; each in one sentence.
    """

    version: int | None
    status: Health
    headline: str
    suspects: tuple[Suspect, ...] = ()
    ruled_out: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    parts: FallParts | None = None
    made_from: tuple[str, ...] = ()

    @property
    def is_ill(self) -> bool:
        """Say whether something must be done."""
        return self.status is Health.ILL
