"""The calendar parts of a moment, in whole numbers only."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

CALENDAR_PARTS: Final = ("month", "day", "weekday", "hour", "minute", "season_sin", "season_cos")

CLOCK_PARTS: Final = {"hour": 3_600_000_000, "minute": 60_000_000}
"""Parts that count within the day, and the microseconds of one."""

_DAY: Final = 86_400_000_000
_MINUTE: Final = 60_000_000
_SEASON: Final = tuple(2 * math.pi * day / 365.25 for day in range(367))
_SEASON_SIN: Final = np.array([math.sin(angle) for angle in _SEASON])
_SEASON_COS: Final = np.array([math.cos(angle) for angle in _SEASON])


def calendar_of(moment: Any) -> dict[str, Any]:
    """Return the calendar parts of microseconds since 1970 (int64 array, or one whole number).

    Days to civil dates in whole numbers only, after Hinnant, "chrono-compatible low-level date algorithms".
    """
    days, minute = moment // _DAY, moment % _DAY // _MINUTE
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    march = (5 * of_year + 2) // 153
    month = march + 3 - 12 * (march >= 10)
    before = year + era * 400 + (month <= 2) - 1
    new_year = 365 * before + before // 4 - before // 100 + before // 400 - 719_162
    season = days - new_year
    return {
        "month": month,
        "day": of_year - (153 * march + 2) // 5 + 1,
        "weekday": (days + 3) % 7,
        "hour": minute // 60,
        "minute": minute,
        "season_sin": _SEASON_SIN[season],
        "season_cos": _SEASON_COS[season],
    }


def parts_of_day(day: int, parts: Iterable[str]) -> tuple[float, ...]:
    """Return parts that a whole day shares, for days since 1970."""
    found = calendar_of(day * _DAY)
    return tuple(float(found[part]) for part in parts)
