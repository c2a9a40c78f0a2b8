"""Alarms, and how they follow from what a look at health found: one for each cause, never a storm. Pure.

A sighting holds the symptoms of one kind of cause. Symptoms that belong to an alarm keep it alive; new ones join the
open alarm of their kind, or open one for all of them together. An alarm ends once a window was judged without its
symptoms, and takes up again, rather than begin anew, where they are back within the cool-off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

_SHOWN: Final = 3


class Severity(StrEnum):
    """Whom an alarm is for."""

    NOTICE = "notice"
    """Whoever looks: something changed, harmless so far."""
    PAGE = "page"
    """A person, now."""


class AlarmStatus(StrEnum):
    """What is being done about an alarm."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class AlarmChange(StrEnum):
    """What can happen to an alarm."""

    OPENED = "opened"
    GREW = "grew"
    ESCALATED = "escalated"
    CALMED = "calmed"
    STILL = "still there"
    """Nobody has acknowledged it for long; told again, and no event."""
    WOKE = "woke"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that is wrong, such as a column: in words, since which window, and what it costs in words."""

    name: str
    severity: Severity
    says: str
    hint: str = ""
    since: str | None = None
    price: str | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a look found of one kind of cause, dearest symptom first.

    `version` is the version that it concerns, None where any version would meet it. `window` names the judged window.
    Where nothing could be `judged`, what is missing from `symptoms` is not known to be gone; nor what is `doubtful`.
    """

    kind: str
    lead: str = ""
    version: int | None = None
    window: str | None = None
    symptoms: tuple[Symptom, ...] = ()
    judged: bool = True
    doubtful: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Alarm:
    """One cause that people are told of. Moments are microseconds since 1970.

    `covers` names all symptoms that it ever had, `symptoms` those of the latest window that showed any, `window`.
    `windows` counts the windows that showed some. `told_us` is when it last paged anyone; it `stands` while those who
    were told do not know that it ended. `health` is the digest of the health record of its latest change, `who` and
    `why` are of the latest act of a person.
    """

    number: int
    kind: str
    version: int | None
    severity: Severity
    status: AlarmStatus
    headline: str
    covers: tuple[str, ...]
    symptoms: tuple[Symptom, ...]
    opened_us: int
    seen_us: int
    windows: int = 1
    window: str | None = None
    health: str = ""
    until_us: int | None = None
    ended_us: int | None = None
    told_us: int | None = None
    stands: bool = False
    who: str = ""
    why: str = ""

    @property
    def label(self) -> str:
        """Return what people call it: A7."""
        return f"A{self.number}"

    @property
    def is_live(self) -> bool:
        """Say whether it has not ended."""
        return self.status is not AlarmStatus.RESOLVED

    @property
    def since(self) -> str | None:
        """Return the earliest window of its symptoms."""
        return min((symptom.since for symptom in self.symptoms if symptom.since is not None), default=None)


@dataclass(frozen=True, slots=True)
class Manners:
    """How people are told: also of `notices`, again after `repeat_us`; what is back within `cool_us` is not new.

    `tells` is false where there is nobody to tell.
    """

    notices: bool
    repeat_us: int
    cool_us: int
    tells: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """An alarm after a look, what happened to it (None: it was only seen), why, and whether to tell people."""

    alarm: Alarm
    change: AlarmChange | None = None
    reason: str = ""
    tell: bool = False


def reconcile(
    alarms: Sequence[Alarm],
    sightings: Sequence[Sighting],
    *,
    version: int | None,
    first_number: int,
    now_us: int,
    manners: Manners,
) -> list[Step]:
    """Return what a look at `version` makes of the alarms: those that live, and those that ended lately.

    Each step changes another alarm; the same look again changes nothing more.
    """
    look = _Look(now_us, manners, first_number)
    for sighting in sightings:
        mine = [alarm for alarm in alarms if (alarm.kind, alarm.version) == (sighting.kind, sighting.version)]
        look.take(sighting, mine)
    for alarm in alarms:
        if alarm.is_live and alarm.version not in (None, version):
            look.end(alarm, f"v{version} took office.")
    return look.steps


class _Look:
    """The steps of one look as they come."""

    def __init__(self, now_us: int, manners: Manners, first_number: int) -> None:
        self.steps: list[Step] = []
        self._now, self._manners, self._next = now_us, manners, first_number

    def take(self, sighting: Sighting, alarms: Sequence[Alarm]) -> None:
        known = [alarm for alarm in alarms if alarm.is_live or self._may_take_up(alarm, sighting)]
        groups: dict[int, list[Symptom]] = {}
        new: list[Symptom] = []
        for symptom in sighting.symptoms:
            # Of several that cover it the living one, and of those the latest.
            home = max(
                (alarm for alarm in known if symptom.name in alarm.covers),
                key=lambda alarm: (alarm.is_live, alarm.number),
                default=None,
            )
            (new if home is None else groups.setdefault(home.number, [])).append(symptom)
        host = _host(known, new)
        if new and host is None:
            self._open(sighting, tuple(new))
        elif host is not None:
            groups.setdefault(host.number, []).extend(new)
        for alarm in known:
            if alarm.number in groups:
                self._see(alarm, sighting, _dearest_first(groups[alarm.number], sighting))
            elif alarm.is_live:
                self._miss(alarm, sighting)

    def _may_take_up(self, alarm: Alarm, sighting: Sighting) -> bool:
        ended = alarm.ended_us or 0
        is_same_window = sighting.window is not None and alarm.window == sighting.window
        return is_same_window or self._now - ended <= self._manners.cool_us

    def _open(self, sighting: Sighting, symptoms: tuple[Symptom, ...]) -> None:
        alarm = Alarm(
            number=self._next,
            kind=sighting.kind,
            version=sighting.version,
            severity=_worst(symptoms),
            status=AlarmStatus.OPEN,
            headline=_headline(sighting.lead, symptoms),
            covers=tuple(sorted({symptom.name for symptom in symptoms})),
            symptoms=symptoms,
            opened_us=self._now,
            seen_us=self._now,
            window=sighting.window,
        )
        self._next += 1
        self._note(alarm, AlarmChange.OPENED, alarm.headline)

    def _see(self, alarm: Alarm, sighting: Sighting, symptoms: tuple[Symptom, ...]) -> None:
        severity = _worst(symptoms)
        is_new_window = sighting.window != alarm.window
        rises = severity is Severity.PAGE and alarm.severity is Severity.NOTICE
        if not alarm.is_live and not is_new_window and not rises:
            return  # a person ended it and knows of this window
        seen = replace(
            alarm,
            headline=_headline(sighting.lead, symptoms),
            covers=tuple(sorted({*alarm.covers, *(symptom.name for symptom in symptoms)})),
            symptoms=symptoms,
            seen_us=self._now,
            windows=alarm.windows + is_new_window,
            window=sighting.window,
        )
        if not alarm.is_live:
            back = replace(seen, severity=severity, status=AlarmStatus.OPEN, ended_us=None, until_us=None)
            self._note(back, AlarmChange.REOPENED, f"It is back. {back.headline}")
        elif rises:
            worse = replace(seen, severity=severity, status=AlarmStatus.OPEN, until_us=None)
            self._note(worse, AlarmChange.ESCALATED, f"It needs a person now. {worse.headline}")
        elif self._is_over_slept(alarm):
            awake = replace(seen, status=AlarmStatus.OPEN, until_us=None)
            self._note(awake, AlarmChange.WOKE, f"The snooze ended and it is still there. {awake.headline}")
        elif severity is Severity.NOTICE and alarm.severity is Severity.PAGE and is_new_window:
            self._note(
                replace(seen, severity=severity), AlarmChange.CALMED, f"It pages nobody any more. {seen.headline}"
            )
        elif seen.covers != alarm.covers:
            self._note(seen, AlarmChange.GREW, f"More came to it. {seen.headline}")
        else:
            self._note(seen, None, "")

    def _miss(self, alarm: Alarm, sighting: Sighting) -> None:
        names = {symptom.name for symptom in alarm.symptoms}
        is_new = sighting.window is None or sighting.window != alarm.window
        if sighting.judged and is_new and not names & sighting.doubtful:
            where = "" if sighting.window is None else f" from {sighting.window[:16]}"
            self.end(alarm, f"The window{where} was judged without it.")
        elif self._is_over_slept(alarm):
            awake = replace(alarm, status=AlarmStatus.OPEN, until_us=None)
            self._note(awake, AlarmChange.WOKE, f"The snooze ended and nothing was judged since. {alarm.headline}")
        else:
            self._note(alarm, None, "")

    def _is_over_slept(self, alarm: Alarm) -> bool:
        return alarm.status is AlarmStatus.SNOOZED and (alarm.until_us or 0) <= self._now

    def end(self, alarm: Alarm, reason: str) -> None:
        ended = replace(alarm, status=AlarmStatus.RESOLVED, ended_us=self._now, until_us=None, stands=False)
        self.steps.append(Step(ended, AlarmChange.RESOLVED, reason, tell=alarm.stands))

    def _note(self, alarm: Alarm, change: AlarmChange | None, reason: str) -> None:
        """Add a step; who is told of it does not hear of it again before the time to repeat is over."""
        if not self._is_told(alarm, change):
            self.steps.append(Step(alarm, change, reason))
        elif alarm.severity is Severity.NOTICE:
            self.steps.append(Step(replace(alarm, stands=True), change, reason, tell=True))
        else:
            told = replace(alarm, stands=True, told_us=self._now)
            self.steps.append(Step(told, change or AlarmChange.STILL, reason, tell=True))

    def _is_told(self, alarm: Alarm, change: AlarmChange | None) -> bool:
        if not self._manners.tells:
            return False
        if alarm.severity is Severity.NOTICE:
            return self._manners.notices and change is AlarmChange.OPENED
        if alarm.status is not AlarmStatus.OPEN:
            return False
        is_due = alarm.told_us is None or self._now - alarm.told_us >= self._manners.repeat_us
        return is_due or change is AlarmChange.WOKE


def _host(alarms: Sequence[Alarm], symptoms: Sequence[Symptom]) -> Alarm | None:
    """Return the alarm that new symptoms join: one that is open; what is no page may join any that lives."""
    if not symptoms:
        return None
    quiet = _worst(symptoms) is Severity.NOTICE
    open_ones = [a for a in alarms if a.status is AlarmStatus.OPEN or (quiet and a.is_live)]
    return max(open_ones, key=lambda alarm: alarm.number, default=None)


def _dearest_first(symptoms: Sequence[Symptom], sighting: Sighting) -> tuple[Symptom, ...]:
    return tuple(symptom for symptom in sighting.symptoms if symptom in symptoms)


def _worst(symptoms: Sequence[Symptom]) -> Severity:
    return Severity.PAGE if any(symptom.severity is Severity.PAGE for symptom in symptoms) else Severity.NOTICE


def _headline(lead: str, symptoms: Sequence[Symptom]) -> str:
    """Return what the worst symptom says, after `lead` where it is a page, and how many others there are."""
    first = next((symptom for symptom in symptoms if symptom.severity is _worst(symptoms)), symptoms[0])
    others = [symptom.name for symptom in symptoms if symptom.name != first.name]
    names = ", ".join(others[:_SHOWN])
    more = f" {len(others)} more{':' if len(others) <= _SHOWN else ', such as'} {names}." if others else ""
    before = f"{lead} " if lead and first.severity is Severity.PAGE else ""
    return f"{before}{first.says}{more}"
