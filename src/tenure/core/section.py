"""What every section of the project file is made of: a model that refuses unknown keys, and durations as text."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

_UNITS: Final = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION: Final = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)\s*$")


def seconds_of(text: str | float) -> float:
    """Return the seconds that a duration such as "60s", "30 min", "12h", "7d" or "2w" stands for.

    Raises:
        ValueError: the text is not a duration.
    """
    if isinstance(text, int | float):
        return float(text)
    found = _DURATION.match(text)
    if not found:
        raise ValueError(f"{text!r} is not a duration; write for example '60s', '30m', '12h', '7d'")
    return float(found[1]) * _UNITS[found[2]]


Duration = Annotated[
    float,
    BeforeValidator(seconds_of),
    WithJsonSchema({"type": "string", "pattern": _DURATION.pattern, "examples": ["60s", "12h", "7d"]}),
]


class Section(BaseModel):
    """Base of every section: unknown keys are refused, values are never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)
