"""Begin a search with what the model in office is made of: most of it still does well, so less time is enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from tenure.core.lifecycle import Incumbent
from tenure.core.modelling import Configuration, Leaderboard
from tenure.core.ports import Context, ModelFamily

WARM_SHARE: Final = 0.4
"""Of the time of a full search (methods.md 7.2, point 5: 30 to 50 %)."""
WARM_START: Final = (
    f"This was a warm start with {WARM_SHARE:.0%} of the time of a full search, which may still find a better one."
)
_MOST: Final = 6
_AGAIN: Final = "-again"

Proposal = tuple[ModelFamily, Configuration]


def proven_of(ctx: Context, basis: Incumbent | None) -> tuple[str, ...]:
    """Return the candidates that the model in office is made of, the weightiest first; none without one.

    Where a student answers in their place, the best complete ones.
    """
    if basis is None:
        return ()
    board = ctx.artifacts.get_record(Leaderboard, basis.leaderboard)
    ranked = [candidate for candidate in board.candidates if candidate.complete]  # the best first
    chosen = sorted((c for c in ranked if c.weight > 0), key=lambda candidate: -candidate.weight)
    names = [candidate.name.replace(_AGAIN, "") for candidate in chosen or ranked[:_MOST]]
    return tuple(dict.fromkeys(names))


def proven_first(proposals: Iterable[Proposal], proven: Sequence[str]) -> list[Proposal]:
    """Return the proposals with ranks such that those named in `proven` run first, in that order."""
    place = {name: at - len(proven) for at, name in enumerate(proven)}
    moved = ((f, replace(c, rank=place[c.name]) if c.name in place else c) for f, c in proposals)
    return list(moved)
