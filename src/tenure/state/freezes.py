"""Freezes: a person says that nothing is changed by itself for a while. The latest event of the kind counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tenure.state.ledger import Ledger

FREEZE_EVENT: Final = "freeze"


@dataclass(frozen=True, slots=True)
class Freeze:
    """Who froze the project, when and why. `until` is None where only a person ends it.

    Retraining and promotion wait; with `everything` so does a rollback.
    """

    since: datetime
    who: str
    until: datetime | None = None
    everything: bool = False
    why: str = ""

    @property
    def says(self) -> str:
        """Return it in words."""
        what = "everything, rollbacks too" if self.everything else "retraining and promotion"
        end = "until a person ends it" if self.until is None else f"until {self.until:%Y-%m-%d %H:%M %Z}"
        why = f": {self.why}" if self.why else ""
        return f"{what}, by {self.who} {end}{why}"


def freeze_of(ledger: Ledger, now: datetime) -> Freeze | None:
    """Return the freeze that is in force at `now`, or None."""
    last = ledger.events(kind=FREEZE_EVENT, newest_first=True, limit=1)
    if not last or not last[0].data["frozen"]:
        return None
    data = last[0].data
    until = None if data["until"] is None else datetime.fromisoformat(data["until"])
    if until is not None and until <= now:
        return None
    return Freeze(datetime.fromisoformat(last[0].at), last[0].actor, until, data["everything"], data["why"])


def freeze(ledger: Ledger, *, actor: str, until: datetime | None, everything: bool, why: str) -> None:
    """Freeze from now on; an earlier freeze is replaced."""
    end = "" if until is None else f" until {until.isoformat()}"
    what = "Everything" if everything else "Retraining and promotion"
    ledger.append(
        FREEZE_EVENT,
        actor=actor,
        reason=f"{what} frozen{end}{f': {why}' if why else '.'}",
        data={
            "frozen": True,
            "until": None if until is None else until.isoformat(),
            "everything": everything,
            "why": why,
        },
    )


def unfreeze(ledger: Ledger, *, actor: str, why: str) -> None:
    """End the freeze."""
    ledger.append(
        FREEZE_EVENT, actor=actor, reason=f"Not frozen any more{f': {why}' if why else '.'}", data={"frozen": False}
    )
