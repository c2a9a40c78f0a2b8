"""What the loop may do by itself, and the facts that it may look at besides the health report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tenure.core.evidence import Finding
from tenure.core.lifecycle import Action
from tenure.core.retraining import Prospect


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is done without asking.

    observe: nothing is ever done or prepared, people are told. propose: the command to run is proposed.
    auto: the caller carries the act out.
    """

    autonomy: Literal["observe", "propose", "auto"] = "propose"


@dataclass(frozen=True, slots=True)
class Situation:
    """Facts besides the health report.

    `champion` is a version number. `new_rows` says whether the source holds other rows than the latest
    walk saw; None where only reading would tell. `walked_in_vain` says in words what the latest walk on exactly these
    rows came to, None where there was no such walk. `past` holds earlier actions but keeps, oldest first.

    `prospect` says whether a new model would pay, None where it could not be asked. `harm` is the proof that the
    version in office does worse than the one before, or does not answer as it must. `unasked` is why it could not be
    asked whether a new model would pay. `climbing` says in words what
    stands on the ladder, `resting` why no new model is tried now; both are empty where there is nothing to say.
    """

    champion: int
    new_rows: bool | None = None
    walked_in_vain: str | None = None
    past: tuple[Action, ...] = ()
    prospect: Prospect | None = None
    harm: Finding | None = None
    unasked: str = ""
    climbing: str = ""
    resting: str = ""
