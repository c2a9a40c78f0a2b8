"""What people are told of the ladder: who stands where since when, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from tenure.core.ladder import Rung, Step
from tenure.core.operations import PromotionSection
from tenure.engine.workspace import Workspace
from tenure.release.climbing import Place, place_above
from tenure.state.ladder import Ladder

_PLACES: Final = {
    Step.SHADOW: "in shadow",
    Step.CANARY: "canary",
    Step.OFFICE: "in office",
    Step.WITHDRAWN: "withdrawn",
}


def place_words(step: Step, share: float) -> str:
    """Return a place in two or three words."""
    return f"{_PLACES[step]}, {share:.0%} of the keys" if step is Step.CANARY else _PLACES[step]


def standing_words(workspace: Workspace) -> str | None:
    """Return what the version on the ladder has done on its step, in a sentence; None while there is none on it."""
    rung = Ladder(workspace.registry).standing()
    if rung is None:
        return None
    in_earnest, in_shadow = workspace.traffic.answered_since(rung.version, datetime.fromisoformat(rung.since))
    since = moment_words(rung.since)
    if rung.step is Step.SHADOW:
        beside = f"v{rung.version} has answered {_requests(in_shadow)} beside v{rung.against}"
        return f"{beside} since {since}, for the log only"
    return f"v{rung.version} has answered {_requests(in_earnest)}, {rung.share:.0%} of the keys, since {since}"


def next_words(promotion: PromotionSection, rung: Rung) -> str:
    """Return what the next step is, and what it needs, in a sentence."""
    then, wanted = _then(place_above(promotion, rung)), _wanted(promotion, rung)
    return f"Next: {then}, after {wanted}, or once it is better beyond chance, if nothing speaks against it."


def _then(place: Place) -> str:
    step, share = place
    return "the office" if step is Step.OFFICE else f"{share:.0%} of the keys in earnest"


def _wanted(promotion: PromotionSection, rung: Rung) -> str:
    if rung.step is Step.SHADOW:
        return f"{promotion.shadow_rows:,} rows and one window"
    return f"{promotion.canary_rows:,} rows whose outcome is known, some of them its own, and one window"


def moment_words(moment: str) -> str:
    """Return an ISO time as Tuesday, 24 November 2026, 09:30 UTC."""
    when = datetime.fromisoformat(moment)
    return f"{when:%A}, {when.day} {when:%B %Y, %H:%M} UTC"


def _requests(count: int) -> str:
    return f"{count:,} request{'' if count == 1 else 's'}"
