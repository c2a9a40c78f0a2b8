"""What the loop may do by itself, and the facts that it may look at besides the health report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tenure.core.lifecycle import Action


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is done without asking.

    observe: nothing is ever done or prepared, people are told. propose: the command to run is proposed.
    auto: the caller carries the act out. `probation` is how many judged windows a version that took office is on trial
    for, in which a collapse rolls it back rather than retrains.
    """

    autonomy: Literal["observe", "propose", "auto"] = "propose"
    probation: int = 4


@dataclass(frozen=True, slots=True)
class Situation:
    """Facts besides the health report.

    `champion` and `previous` are version numbers. `new_rows` says whether the source holds other rows than the latest
    walk saw; None where only reading would tell. `walked_in_vain` says in words what the latest walk on exactly these
    rows came to, None where there was no such walk. `past` holds earlier actions but keeps, oldest first.
    """

    champion: int
    previous: int | None = None
    new_rows: bool | None = None
    walked_in_vain: str | None = None
    past: tuple[Action, ...] = ()
