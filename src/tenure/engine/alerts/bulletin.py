"""What is told in one message, and its words: for a mailbox as text and as HTML."""

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
_STYLE: Final = "font-family:system-ui,sans-serif;font-size:15px;line-height:1.45;color:#1a1a1a;max-width:640px"


@dataclass(frozen=True, slots=True)
class Bulletin:
    """One message: its id, the project, when it was written, and the alarms that changed, as `facts_of` gives them."""

    id: str
    project: str
    at: str
    version: int | None
    alarms: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, message: Message, project: str) -> Bulletin:
        """Return what a kept message tells."""
        content = json.loads(message.content)
        return cls(message.id, project, iso(message.created_us), content["version"], tuple(content["alarms"]))

    @property
    def is_test(self) -> bool:
        """Say whether it only tries the way."""
        return not self.alarms

    @property
    def headline(self) -> str:
        """Return one line for all of it."""
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


def subject(bulletin: Bulletin) -> str:
    """Return the subject of an e-mail: one line, not too long."""
    text = " ".join(f"[{bulletin.project}] {bulletin.headline}".split())
    return text if len(text) <= _SUBJECT_LENGTH else f"{text[: _SUBJECT_LENGTH - 3]}..."


def text(bulletin: Bulletin) -> str:
    """Return the message as plain text."""
    parts = [f"{bulletin.project}: {bulletin.headline}"]
    for alarm in bulletin.alarms:
        lines = [f"{alarm['id']} ({alarm['change']}, {alarm['severity']}): {alarm['headline']}"]
        lines += [f"  {name + ':':9}{value}" for name, value in _facts(alarm)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def html(bulletin: Bulletin) -> str:
    """Return the message as HTML that any mail program shows."""
    parts = [f'<div style="{_STYLE}">', f"<p><b>{escape(bulletin.project)}</b>: {escape(bulletin.headline)}</p>"]
    for alarm in bulletin.alarms:
        head = f"{alarm['id']} ({alarm['change']}, {alarm['severity']})"
        parts.append(f'<h3 style="margin:16px 0 4px">{escape(head)}</h3><p>{escape(alarm["headline"])}</p><table>')
        for name, value in _facts(alarm):
            shown = f"<code>{escape(value)}</code>" if name == "take it" else escape(value)
            parts.append(
                f'<tr><td style="padding-right:12px;vertical-align:top;color:#666">{name}</td><td>{shown}</td></tr>'
            )
        parts.append("</table>")
    return "".join([*parts, "</div>\n"])


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
