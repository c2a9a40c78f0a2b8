"""Which version answers which request: the one rule, for the server and for whoever replays traffic."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from tenure.core.ladder import Rung, Step
from tenure.core.project import ServingSection

_SHARES: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Routing:
    """What the challenger does: the share of requests that it answers for the log only, and of keys in earnest."""

    shadow: float = 0.0
    canary: float = 0.0

    @property
    def is_idle(self) -> bool:
        """Say whether the challenger has nothing to do."""
        return not self.shadow and not self.canary

    def is_canary(self, key: str | None, ident: str) -> bool:
        """Say whether the challenger answers a row: by its key, or where it has none by its prediction's id."""
        return falls_within(self.canary, key or ident)


def routing_of(serving: ServingSection, *, champion: int, challenger: int | None, rung: Rung | None) -> Routing:
    """Return what the challenger does while `rung` is the latest step on the ladder.

    On the ladder it shadows every request, or answers its share of the keys; where the champion is not the one that it
    climbs against, nothing. A challenger that is not on the ladder does what the project file says.
    """
    if challenger is None or challenger == champion:
        return Routing()
    if rung is None or rung.version != challenger or rung.step not in (Step.SHADOW, Step.CANARY):
        return Routing(serving.shadow, serving.canary)
    if rung.against != champion:
        return Routing()
    return Routing(shadow=1.0) if rung.step is Step.SHADOW else Routing(canary=rung.share)


def falls_within(share: float, name: str) -> bool:
    """Say whether a name is among the given share of all names: always the same ones, and more as the share grows."""
    place = int.from_bytes(hashlib.blake2b(name.encode(errors="replace"), digest_size=4).digest(), "big")
    return place < share * _SHARES
