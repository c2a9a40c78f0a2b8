"""The alarms of a project: each change is one transaction with its ledger event and the messages that tell of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from tenure.core.alarms import Alarm, AlarmChange, AlarmStatus, Manners, Severity, Sighting, Step, Symptom, reconcile
from tenure.core.errors import AlarmMissingError, AlarmStateError, did_you_mean
from tenure.core.records import canonical, plain
from tenure.state.database import Database
from tenure.state.ledger import LOCK, Ledger
from tenure.state.outbox import Address, post
from tenure.state.tables import ALARMS
from tenure.state.times import iso, micros

ALARM_EVENT: Final = "alarm"
_NAME: Final = re.compile(r"[aA]?([1-9][0-9]{0,8})")


class Alarms:
    """Opens, follows and ends alarms, for all processes that share the database."""

    def __init__(self, db: Database, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._ledger = ledger
        self._clock = clock

    # ---- what a look found ----

    def observe(
        self,
        sightings: Sequence[Sighting],
        *,
        version: int | None,
        health: Callable[[], str],
        manners: Manners,
        addresses: Sequence[Address] = (),
        actor: str,
    ) -> tuple[Step, ...]:
        """Follow a look at `version`, and return what changed: at most one message goes to each address.

        `health` keeps the health record and returns its digest; it is called only where something changed.
        """
        now_us = micros(self._clock())
        with self._db.begin(lock=LOCK) as connection:
            known = _relevant(connection, sightings, since_us=now_us - manners.cool_us)
            before = {alarm.number: alarm for alarm in known}
            steps = reconcile(
                known,
                sightings,
                version=version,
                first_number=_last_number(connection) + 1,
                now_us=now_us,
                manners=replace(manners, tells=bool(addresses)),
            )
            changed = tuple(step for step in steps if step.change is not None)
            digest = health() if changed else ""
            noted = [
                step if step.change is None else replace(step, alarm=replace(step.alarm, health=digest))
                for step in steps
            ]
            for step in noted:
                if step.alarm != before.get(step.alarm.number):
                    _write(connection, step.alarm, is_new=step.alarm.number not in before)
                if step.change not in (None, AlarmChange.STILL):
                    self._append(connection, step.alarm, step.change, step.reason, actor)
            told = sorted((step for step in noted if step.tell), key=_most_urgent_first)
            if told:
                content = {"version": version, "health": digest, "alarms": [_told(step) for step in told]}
                post(connection, addresses, content, now_us=now_us)
        return tuple(step for step in noted if step.change is not None)

    # ---- what a person does ----

    def acknowledge(self, name: str, *, why: str, actor: str) -> Alarm:
        """Note that a person takes care of an alarm: nobody is told of it again unless it gets worse.

        Raises:
            AlarmMissingError: there is no such alarm.
            AlarmStateError: it has ended.
        """
        return self._act(name, AlarmChange.ACKNOWLEDGED, why, actor, status=AlarmStatus.ACKNOWLEDGED, until_us=None)

    def snooze(self, name: str, *, seconds: float, why: str = "", actor: str) -> Alarm:
        """Let nobody be told of an alarm for some seconds, unless it gets worse; errors as in `acknowledge`."""
        until = self._clock() + timedelta(seconds=seconds)
        reason = why or f"Not before {until:%Y-%m-%d %H:%M} UTC."
        return self._act(name, AlarmChange.SNOOZED, reason, actor, status=AlarmStatus.SNOOZED, until_us=micros(until))

    def resolve(self, name: str, *, why: str, actor: str) -> Alarm:
        """End an alarm; it is reopened where a later window shows it again. Errors as in `acknowledge`."""
        ended = {"ended_us": micros(self._clock()), "until_us": None, "told_us": None, "stands": False}
        return self._act(name, AlarmChange.RESOLVED, why, actor, status=AlarmStatus.RESOLVED, **ended)

    def reopen(self, name: str, *, why: str = "", actor: str) -> Alarm:
        """Take back an acknowledgement, snooze or resolution.

        Raises:
            AlarmMissingError: there is no such alarm.
            AlarmStateError: it is open, or a later alarm stands for its cause.
        """
        reason = why or "What was done about it is taken back."
        return self._act(
            name, AlarmChange.REOPENED, reason, actor, status=AlarmStatus.OPEN, ended_us=None, until_us=None
        )

    def _act(self, name: str, change: AlarmChange, why: str, actor: str, **values: Any) -> Alarm:
        with self._db.begin(lock=LOCK) as connection:
            alarm = _found(connection, name)
            _check(connection, alarm, change)
            changed = replace(alarm, who=actor, why=why, **values)
            _write(connection, changed, is_new=False)
            self._append(connection, changed, change, why, actor)
        return changed

    def _append(
        self, connection: Connection, alarm: Alarm, change: AlarmChange | None, reason: str, actor: str
    ) -> None:
        self._ledger.append(
            ALARM_EVENT,
            actor=actor,
            reason=f"{alarm.label} {change}: {reason}",
            inputs=(alarm.health,) if alarm.health else (),
            data={
                "alarm": alarm.label,
                "change": str(change),
                "severity": alarm.severity,
                "status": alarm.status,
                "kind": alarm.kind,
                "version": alarm.version,
            },
            connection=connection,
        )

    # ---- what there is ----

    def all(self, *, ended: bool = False) -> list[Alarm]:
        """Return the alarms that live, or every one; pages first, the latest first."""
        query = select(ALARMS).order_by(ALARMS.c.number.desc())
        if not ended:
            query = query.where(ALARMS.c.status != AlarmStatus.RESOLVED)
        with self._db.read() as connection:
            alarms = [_alarm(row) for row in connection.execute(query)]
        return sorted(alarms, key=lambda alarm: (not alarm.is_live, alarm.severity is not Severity.PAGE))

    def open_counts(self) -> dict[Severity, int]:
        """Return how many alarms of each severity nobody acknowledged or snoozed."""
        query = (
            select(ALARMS.c.severity, func.count())
            .where(ALARMS.c.status == AlarmStatus.OPEN)
            .group_by(ALARMS.c.severity)
        )
        with self._db.read() as connection:
            found = Counter({Severity(severity): count for severity, count in connection.execute(query)})
        return {severity: found[severity] for severity in Severity}


def moments_of(alarm: Alarm) -> dict[str, str | None]:
    """Return the moments of an alarm as ISO 8601 texts."""
    given = {"opened": alarm.opened_us, "seen": alarm.seen_us, "until": alarm.until_us, "ended": alarm.ended_us}
    return {name: None if moment is None else iso(moment) for name, moment in given.items()}


def facts_of(alarm: Alarm) -> dict[str, Any]:
    """Return what programs are told of an alarm, as plain data."""
    return {
        "id": alarm.label,
        "kind": alarm.kind,
        "version": alarm.version,
        "severity": alarm.severity.value,
        "status": alarm.status.value,
        "headline": alarm.headline,
        "since": alarm.since,
        "windows": alarm.windows,
        **moments_of(alarm),
        "health": alarm.health,
        "who": alarm.who,
        "why": alarm.why,
        "symptoms": plain(alarm.symptoms),
    }


def _most_urgent_first(step: Step) -> tuple[bool, bool]:
    return step.change is AlarmChange.RESOLVED, step.alarm.severity is not Severity.PAGE


def _told(step: Step) -> dict[str, Any]:
    return facts_of(step.alarm) | {"change": str(step.change), "reason": step.reason}


def _relevant(connection: Connection, sightings: Sequence[Sighting], *, since_us: int) -> list[Alarm]:
    """Return the alarms that live, those that ended since then, and those that ended in the windows just judged."""
    a, windows = ALARMS.c, sorted({sighting.window for sighting in sightings if sighting.window is not None})
    near = or_(a.status != AlarmStatus.RESOLVED, a.ended_us >= since_us, a.last_window.in_(windows))
    return [_alarm(row) for row in connection.execute(select(ALARMS).where(near).order_by(a.number))]


def _last_number(connection: Connection) -> int:
    return connection.execute(select(func.max(ALARMS.c.number))).scalar() or 0


def _found(connection: Connection, name: str) -> Alarm:
    number = _NAME.fullmatch(name.strip())
    row = None
    if number is not None:
        row = connection.execute(select(ALARMS).where(ALARMS.c.number == int(number[1]))).one_or_none()
    if row is None:
        live = connection.execute(select(ALARMS.c.number).where(ALARMS.c.status != AlarmStatus.RESOLVED)).scalars()
        labels = [f"A{known}" for known in live]
        hint = did_you_mean(name, labels) if labels else "No alarm is open. See the ended ones: tenure alarms --all"
        raise AlarmMissingError(f"There is no alarm {name!r}.", where=name, hint=hint)
    return _alarm(row)


def _check(connection: Connection, alarm: Alarm, change: AlarmChange) -> None:
    if change is not AlarmChange.REOPENED:
        if not alarm.is_live:
            raise AlarmStateError(
                f"{alarm.label} has ended.",
                where=alarm.label,
                hint=f"To take that back: tenure alarms reopen {alarm.label}",
            )
        return
    if alarm.status is AlarmStatus.OPEN:
        raise AlarmStateError(f"{alarm.label} is open.", where=alarm.label, hint="See all of them: tenure alarms")
    if alarm.is_live:
        return
    same = select(ALARMS).where(ALARMS.c.status != AlarmStatus.RESOLVED, ALARMS.c.kind == alarm.kind)
    for row in connection.execute(same):
        other = _alarm(row)
        if other.version == alarm.version and {*other.covers} & {*alarm.covers}:
            raise AlarmStateError(
                f"{other.label} stands for the cause of {alarm.label} by now.",
                where=alarm.label,
                hint=f"Use {other.label} instead.",
            )


def _write(connection: Connection, alarm: Alarm, *, is_new: bool) -> None:
    row = asdict(alarm) | {
        "covers": canonical(alarm.covers).decode(),
        "symptoms": canonical(alarm.symptoms).decode(),
        "last_window": alarm.window,
    }
    del row["window"]
    if is_new:
        connection.execute(insert(ALARMS).values(row))
    else:
        connection.execute(update(ALARMS).where(ALARMS.c.number == alarm.number).values(row))


def _alarm(row: Row[Any]) -> Alarm:
    content = dict(row._mapping)
    symptoms = tuple(
        Symptom(**{**symptom, "severity": Severity(symptom["severity"])})
        for symptom in json.loads(content.pop("symptoms"))
    )
    return Alarm(
        covers=tuple(json.loads(content.pop("covers"))),
        symptoms=symptoms,
        window=content.pop("last_window"),
        severity=Severity(content.pop("severity")),
        status=AlarmStatus(content.pop("status")),
        **content,
    )
