"""Quiet hours and days, when nothing is changed without a person: wall-clock times, through daylight saving too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_HOURS: Final = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})")
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY: Final = timedelta(days=1)
_FARTHEST: Final = timedelta(days=1000)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Times at which to be quiet, by the clocks on the wall of `zone`.

    `hours` are minutes after midnight; an end not after the start lies on the next day. `weekdays` count from Monday,
    0; `days` are first and last days of stretches.
    """

    zone: tzinfo
    hours: tuple[int, int] | None = None
    weekdays: frozenset[int] = frozenset()
    days: tuple[tuple[date, date], ...] = ()

    @classmethod
    def of(cls, hours: str | None, days: Sequence[str], zone: str) -> Quiet:
        """Read what the project file says.

        Raises:
            ValueError: it is no such time, day or zone; the message says which.
        """
        weekdays = frozenset(_WEEKDAYS.index(day) for day in map(_plain, days) if day in _WEEKDAYS)
        if len(weekdays) == len(_WEEKDAYS):
            raise ValueError("no day of the week is left; to stop all acts write autonomy = 'observe'")
        stretches = tuple(_stretch(day) for day in map(_plain, days) if day not in _WEEKDAYS)
        return cls(zone_of(zone), None if hours is None else _minutes(hours), weekdays, stretches)

    def until(self, now: datetime) -> datetime | None:
        """Return when the quiet that reigns at `now` ends, in UTC; None where it is not quiet.

        Times that touch or overlap are one. A time that the wall clock skips counts as the moment of the jump, one
        that it shows twice starts at the first and ends at the last.
        """
        end = now
        while end < now + _FARTHEST and (later := self._end_of_span(end)) is not None:
            end = later
        return None if end == now else end.astimezone(UTC)

    def _end_of_span(self, moment: datetime) -> datetime | None:
        ends = [end for start, end in self._spans(moment.astimezone(self.zone).date()) if start <= moment < end]
        return max(ends, default=None)

    def _spans(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """Give the spans that may hold a moment of `day`."""
        for first, last in self.days:
            yield self._moment(first, 0, fold=0), self._moment(last + _DAY, 0, fold=0)
        for near in (day - _DAY, day, day + _DAY):
            if near.weekday() in self.weekdays:
                yield self._moment(near, 0, fold=0), self._moment(near + _DAY, 0, fold=0)
            if self.hours is not None:
                start, end = self.hours
                until = near if end > start else near + _DAY
                yield self._moment(near, start, fold=0), self._moment(until, end, fold=1)

    def _moment(self, day: date, minutes: int, *, fold: int) -> datetime:
        """Return when the wall clock shows a time: the first (`fold` 0) or the last (1) of two, or the jump over it."""
        wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
        moment = wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
        if self._wall(moment) == wall:
            return moment
        early, late = (wall.replace(tzinfo=self.zone, fold=f).astimezone(UTC) for f in (1, 0))
        while late - early > timedelta(seconds=1):  # clocks jump at whole seconds
            middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
            early, late = (early, middle) if self._wall(middle) >= wall else (middle, late)
        return late

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name, such as Europe/Berlin.

    Raises:
        ValueError: there is none of that name.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write for example 'Europe/Berlin'") from error


def _plain(text: str) -> str:
    return text.strip().lower()


def _minutes(text: str) -> tuple[int, int]:
    found = _HOURS.fullmatch(text)
    numbers = [int(part) for part in found.groups()] if found else [99] * 4
    start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if numbers[1] > 59 or numbers[3] > 59 or start >= 24 * 60 or end > 24 * 60:
        raise ValueError(f"{text!r} is no span of the day; write for example '22:00-06:00'")
    if start == end:
        raise ValueError(f"{text!r} begins when it ends; name whole days in quiet_days")
    return start, end


def _stretch(text: str) -> tuple[date, date]:
    first, _, last = text.partition("/")
    try:
        stretch = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError as error:
        known = "'saturday', '2026-12-24' or '2026-12-24/2027-01-02'"
        raise ValueError(f"{text!r} is no day; write for example {known}") from error
    if not (date(1970, 1, 2) <= stretch[0] <= stretch[1] <= date(9000, 1, 1)):
        raise ValueError(f"{text!r} ends before it begins, or is no day of our time")
    return stretch
