"""What came of sending a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """How it goes on with a message."""

    SENT = "sent"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it, in words that hold no secret; `detail` is what the other side wrote, which is not kept."""

    way: Way
    said: str
    detail: str = ""
