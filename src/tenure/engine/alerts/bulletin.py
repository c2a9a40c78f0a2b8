"""What is told in one message, alarms or a proposal, and its words: for a mailbox as text and as HTML."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from tenure.core.alarms import AlarmChange
from tenure.state.outbox import Message
from tenure.state.times import iso

_SUBJECT_LENGTH: Final = 140
_MOST_SYMPTOMS: Final = 8
_LINK: Final = "answer"
_COMMANDS: Final = ("take it", "yes", "no")
_STYLE: Final = "font-family:system-ui,sans-serif;font-size:15px;line-height:1.45;color:#1a1a1a;max-width:640px"


@dataclass(frozen=True, slots=True)
class Bulletin:
    """One message: its id, the project, when it was written, and the alarms that changed, as `facts_of` gives them.

    Or the facts of a `proposal` that waits for a person; `link` is where they answer it, which is known only when the
    message goes out.
    """

    id: str
    project: str
    at: str
    version: int | None
    alarms: tuple[dict[str, Any], ...]
    proposal: dict[str, Any] | None = None
    link: str | None = None

    @classmethod
    def of(cls, message: Message, project: str) -> Bulletin:
        """Return what a kept message tells."""
        content = json.loads(message.content)
        alarms, proposal = tuple(content["alarms"]), content.get("proposal")
        return cls(message.id, project, iso(message.created_us), content["version"], alarms, proposal)

    @property
    def is_test(self) -> bool:
        """Say whether it only tries the way."""
        return not self.alarms and self.proposal is None

    @property
    def headline(self) -> str:
        """Return one line for all of it."""
        if self.proposal is not None:
            return f"{self.proposal['id']} to {self.proposal['verb']} waits for your answer"
        if self.is_test:
            return "This is a test. Alarms will come this way."
        first = self.alarms[0]
        more = f" (and {len(self.alarms) - 1} more)" if len(self.alarms) > 1 else ""
        done = "resolved: " if first["change"] == AlarmChange.RESOLVED else ""
        return f"{first['id']} {done}{first['headline']}{more}"


def command_for(alarm: dict[str, Any]) -> str | None:
    """Return the command that takes an alarm, None where it has ended."""
    if alarm["change"] == AlarmChange.RESOLVED:
        return None
    return f'tenure alarms ack {alarm["id"]} --why "I look into it"'


def commands_of(proposal: dict[str, Any]) -> dict[str, str]:
    """Return the commands that answer a proposal."""
    return {
        "approve": f"tenure approve {proposal['id']}",
        "decline": f'tenure decline {proposal["id"]} --why "not now"',
    }


def subject(bulletin: Bulletin) -> str:
    """Return the subject of an e-mail: one line, not too long."""
    text = " ".join(f"[{bulletin.project}] {bulletin.headline}".split())
    return text if len(text) <= _SUBJECT_LENGTH else f"{text[: _SUBJECT_LENGTH - 3]}..."


def text(bulletin: Bulletin) -> str:
    """Return the message as plain text."""
    parts = [f"{bulletin.project}: {bulletin.headline}"]
    if bulletin.proposal is not None:
        parts.append("\n".join(f"  {name + ':':9}{value}" for name, value in _questions(bulletin)))
    for alarm in bulletin.alarms:
        lines = [f"{alarm['id']} ({alarm['change']}, {alarm['severity']}): {alarm['headline']}"]
        lines += [f"  {name + ':':9}{value}" for name, value in _facts(alarm)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def html(bulletin: Bulletin) -> str:
    """Return the message as HTML that any mail program shows."""
    parts = [f'<div style="{_STYLE}">', f"<p><b>{escape(bulletin.project)}</b>: {escape(bulletin.headline)}</p>"]
    if bulletin.proposal is not None:
        parts += _table(_questions(bulletin))
    for alarm in bulletin.alarms:
        head = f"{alarm['id']} ({alarm['change']}, {alarm['severity']})"
        parts.append(f'<h3 style="margin:16px 0 4px">{escape(head)}</h3><p>{escape(alarm["headline"])}</p>')
        parts += _table(_facts(alarm))
    return "".join([*parts, "</div>\n"])


def _table(facts: list[tuple[str, str]]) -> list[str]:
    rows = []
    for name, value in facts:
        shown = f"<code>{escape(value)}</code>" if name in _COMMANDS else escape(value)
        if name == _LINK:
            shown = f'<a href="{escape(value)}" rel="noreferrer">look at it and answer</a>'
        rows.append(
            f'<tr><td style="padding-right:12px;vertical-align:top;color:#666">{name}</td><td>{shown}</td></tr>'
        )
    return ["<table>", *rows, "</table>"]


def _questions(bulletin: Bulletin) -> list[tuple[str, str]]:
    """Return what a person wants to know of a proposal: what, why, what it costs, until when, and how to answer."""
    told = bulletin.proposal or {}
    prospect, commands = told.get("prospect") or {}, commands_of(told)
    cost = f"{prospect['cost']:,.4g} {prospect['unit']}" if prospect else None
    facts: list[tuple[str, str | None]] = [
        ("what", str(told["verb"])),
        ("why", told["reason"]),
        ("cost", cost),
        (_LINK, bulletin.link),
        ("yes", commands["approve"]),
        ("no", commands["decline"]),
        ("until", told["expires"][:10]),
    ]
    return [(name, value) for name, value in facts if value]


def _facts(alarm: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a person wants to know of an alarm: since when, what it costs, what to do, and how to take it."""
    symptoms = alarm["symptoms"]
    facts: list[tuple[str, str | None]] = [
        ("what", alarm["reason"] if alarm["change"] == AlarmChange.RESOLVED else None),
        *(("also", f"{one['name']}: {one['says']}") for one in symptoms[1:_MOST_SYMPTOMS]),
        ("also", f"{len(symptoms) - _MOST_SYMPTOMS} more" if len(symptoms) > _MOST_SYMPTOMS else None),
        ("since", f"{(alarm['since'] or alarm['opened'])[:10]}, seen in {_windows(alarm['windows'])}"),
        ("price", next((one["price"] for one in symptoms if one["price"]), None)),
        ("do", next((one["hint"] for one in symptoms if one["hint"]), None)),
        ("take it", command_for(alarm)),
    ]
    return [(name, value) for name, value in facts if value]


def _windows(count: int) -> str:
    return "1 window" if count == 1 else f"{count} windows"
