"""Alarms in the database: with their events and messages or not at all, whoever looks and whoever is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tenure.core.alarms import AlarmChange, AlarmStatus, Manners, Severity, Sighting, Symptom
from tenure.core.errors import AlarmMissingError, AlarmStateError
from tenure.state.alarms import ALARM_EVENT, Alarms, facts_of
from tenure.state.database import Database
from tenure.state.ledger import Ledger
from tenure.state.outbox import LOST, MESSAGE_LOST_EVENT, SENT, WAITING, Address, Outbox

DAY = 86_400
MANNERS = Manners(notices=False, repeat_us=DAY * 10**6, cool_us=2 * DAY * 10**6)
HOOK, MAIL = Address("webhook", "1"), Address("e-mail", "1")


@pytest.fixture
def ledger(database: Database, clock: Any) -> Ledger:
    return Ledger(database, clock)


@pytest.fixture
def alarms(database: Database, ledger: Ledger, clock: Any) -> Alarms:
    return Alarms(database, ledger, clock)


@pytest.fixture
def outbox(database: Database, ledger: Ledger, clock: Any) -> Outbox:
    return Outbox(database, ledger, clock)


def broken(window: str, *columns: str) -> Sighting:
    says = "{0!r} is empty in 40% of rows; 0% was normal in training."
    symptoms = tuple(
        Symptom(name, Severity.PAGE, says.format(name), hint="Ask.", since="2026-01-01T00:00:00+00:00")
        for name in columns
    )
    return Sighting("feed", "The rows that come in are broken.", None, window, symptoms)


def look(alarms: Alarms, *sightings: Sighting, to: Sequence[Address] = (HOOK, MAIL), digest: str = "d1") -> list[str]:
    """Look, and return what changed."""
    steps = alarms.observe(sightings, version=1, health=lambda: digest, manners=MANNERS, addresses=to, actor="watch")
    return [f"{step.alarm.label} {step.change}" for step in steps]


def kinds(ledger: Ledger) -> list[tuple[str, str]]:
    return [(event.data["alarm"], event.data["change"]) for event in ledger.events(kind=ALARM_EVENT)]


# ---- looks ----


def test_an_alarm_comes_back_as_it_was_written(alarms: Alarms, ledger: Ledger, clock: Any) -> None:
    assert look(alarms, broken("w1", "age", "plan")) == ["A1 opened"]
    (alarm,) = alarms.all()
    assert (alarm.label, alarm.status, alarm.severity, alarm.covers) == ("A1", "open", "page", ("age", "plan"))
    assert [symptom.name for symptom in alarm.symptoms] == ["age", "plan"]
    assert (alarm.health, alarm.window, alarm.since) == ("d1", "w1", "2026-01-01T00:00:00+00:00")
    assert facts_of(alarm)["opened"] == clock().isoformat()
    assert kinds(ledger) == [("A1", "opened")]
    assert ledger.events(kind=ALARM_EVENT)[0].inputs == ("d1",)
    assert ledger.verify() == 1


def test_a_message_goes_to_each_address_for_all_that_changed_at_one_look(alarms: Alarms, outbox: Outbox) -> None:
    look(alarms, broken("w1", "age"), Sighting("check", "", None, "w1", (Symptom("psi", Severity.PAGE, "It broke."),)))
    messages = outbox.all()
    assert {message.address for message in messages} == {HOOK, MAIL}
    assert len({message.id for message in messages}) == 2
    for message in messages:
        assert [alarm["id"] for alarm in json.loads(message.content)["alarms"]] == ["A1", "A2"]
    look(alarms, broken("w1", "age"), Sighting("check", "", None, "w1", (Symptom("psi", Severity.PAGE, "It broke."),)))
    assert len(outbox.all()) == 2


def test_what_needs_a_person_comes_first_in_a_message(alarms: Alarms, outbox: Outbox, clock: Any) -> None:
    look(alarms, broken("w1", "age"))
    clock.advance(DAY)
    other = Sighting("check", "", None, "w2", (Symptom("psi", Severity.PAGE, "It broke."),))
    assert look(alarms, broken("w2"), other) == ["A1 resolved", "A2 opened"]
    told = json.loads(outbox.all()[-1].content)["alarms"]
    assert [(alarm["id"], alarm["change"]) for alarm in told] == [("A2", "opened"), ("A1", "resolved")]


def test_a_look_that_fails_leaves_neither_alarm_nor_event_nor_message(
    alarms: Alarms, ledger: Ledger, outbox: Outbox
) -> None:
    def no_room() -> str:
        raise OSError("no room for the record")

    with pytest.raises(OSError, match="no room"):
        alarms.observe(
            [broken("w1", "age")], version=1, health=no_room, manners=MANNERS, addresses=[HOOK], actor="watch"
        )
    assert (alarms.all(ended=True), ledger.events(), outbox.all()) == ([], [], [])


def test_the_health_record_is_kept_only_where_something_changed(alarms: Alarms) -> None:
    look(alarms, broken("w1", "age"), digest="d1")
    look(alarms, broken("w2", "age"), digest="d2")
    assert (alarms.all()[0].health, alarms.all()[0].windows) == ("d1", 2)


def test_an_ended_alarm_is_taken_up_again(alarms: Alarms, ledger: Ledger, clock: Any) -> None:
    for window, columns in (("w1", ["age"]), ("w2", []), ("w3", ["age"])):
        look(alarms, broken(window, *columns))
        clock.advance(3600)
    assert kinds(ledger) == [("A1", "opened"), ("A1", "resolved"), ("A1", "reopened")]
    clock.advance(3 * DAY)
    look(alarms, broken("w4"))
    clock.advance(3 * DAY)
    assert look(alarms, broken("w5", "age")) == ["A2 opened"]


def test_open_alarms_are_counted_by_severity(alarms: Alarms) -> None:
    moved = Sighting("drift", "", 1, "w1", (Symptom("plan", Severity.NOTICE, "It moved."),))
    assert alarms.open_counts() == {Severity.NOTICE: 0, Severity.PAGE: 0}
    look(alarms, broken("w1", "age"), moved)
    assert alarms.open_counts() == {Severity.NOTICE: 1, Severity.PAGE: 1}
    alarms.acknowledge("A1", why="mine", actor="ann")
    assert alarms.open_counts() == {Severity.NOTICE: 1, Severity.PAGE: 0}


# ---- people ----


def test_what_a_person_does_is_in_the_ledger_with_who_and_why(alarms: Alarms, ledger: Ledger, clock: Any) -> None:
    look(alarms, broken("w1", "age"))
    alarms.acknowledge("a1", why="I ask the CRM team", actor="ann")
    alarms.snooze("1", seconds=3 * DAY, actor="bob")
    alarms.resolve("A1", why="a test feed", actor="ann")
    alarms.reopen("A1", actor="bob")
    assert [(event.actor, event.reason) for event in ledger.events(kind=ALARM_EVENT)[1:]] == [
        ("ann", "A1 acknowledged: I ask the CRM team"),
        ("bob", "A1 snoozed: Not before 2026-01-04 00:00 UTC."),
        ("ann", "A1 resolved: a test feed"),
        ("bob", "A1 reopened: What was done about it is taken back."),
    ]
    (alarm,) = alarms.all()
    assert (alarm.status, alarm.ended_us, alarm.until_us, alarm.who) == (AlarmStatus.OPEN, None, None, "bob")


def test_an_alarm_that_is_not_there_is_named_with_those_that_are(alarms: Alarms) -> None:
    look(alarms, broken("w1", "age"))
    for name in ("A2", "B1", "", "A1; DROP TABLE alarms", "A0", "A99999999999", "１"):
        with pytest.raises(AlarmMissingError) as caught:
            alarms.acknowledge(name, why="x", actor="ann")
        assert "A1" in caught.value.hint


def test_what_does_not_fit_its_state_is_refused(alarms: Alarms, ledger: Ledger, clock: Any) -> None:
    look(alarms, broken("w1", "age"))
    with pytest.raises(AlarmStateError, match="A1 is open"):
        alarms.reopen("A1", actor="ann")
    alarms.resolve("A1", why="x", actor="ann")
    for act in (alarms.acknowledge, alarms.resolve):
        with pytest.raises(AlarmStateError, match="A1 has ended"):
            act("A1", why="x", actor="ann")
    clock.advance(9 * DAY)
    assert look(alarms, broken("w2", "age")) == ["A2 opened"]
    with pytest.raises(AlarmStateError, match="A2 stands for the cause of A1"):
        alarms.reopen("A1", actor="ann")
    assert len(kinds(ledger)) == 3


# ---- messages ----


def test_a_message_is_claimed_once_tried_again_and_given_up_in_the_ledger(
    alarms: Alarms, outbox: Outbox, ledger: Ledger, clock: Any
) -> None:
    look(alarms, broken("w1", "age"), to=[HOOK])
    first = outbox.claim()
    assert first is not None
    assert outbox.claim() is None
    outbox.later(first, "503 Service Unavailable", seconds=30)
    clock.advance(29)
    assert outbox.claim() is None
    clock.advance(1)
    again = outbox.claim()
    assert again is not None
    assert (again.id, again.tries, again.content) == (first.id, 2, first.content)
    outbox.lost(again, "404 Not Found", label="${HOOK}", actor="watch")
    clock.advance(DAY)
    assert outbox.claim() is None
    assert [message.status for message in outbox.all()] == [LOST]
    (event,) = ledger.events(kind=MESSAGE_LOST_EVENT)
    assert event.reason == "A message by webhook to ${HOOK} is given up after 2 tries: 404 Not Found"


def test_a_message_whose_sender_died_is_claimed_again_after_a_while(alarms: Alarms, outbox: Outbox, clock: Any) -> None:
    look(alarms, broken("w1", "age"), to=[HOOK])
    first = outbox.claim()
    clock.advance(301)
    second = outbox.claim()
    assert first is not None
    assert second is not None
    assert second.id == first.id
    outbox.sent(second, "204 No Content")
    clock.advance(DAY)
    assert outbox.claim() is None
    assert [(message.status, message.said) for message in outbox.all()] == [(SENT, "204 No Content")]


# ---- many at once, and killed ----

LOOKING = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tenure.core.alarms import Manners, Severity, Sighting, Symptom
from tenure.state.alarms import Alarms
from tenure.state.database import open_database
from tenure.state.ledger import Ledger
from tenure.state.outbox import Address, Outbox
url, folder, name = sys.argv[1:]
database = open_database(url or None, Path(folder))
clock = lambda: datetime.now(UTC)
ledger = Ledger(database, clock)
alarms, outbox = Alarms(database, ledger, clock), Outbox(database, ledger, clock)
print("ready", flush=True)
sys.stdin.readline()
for at in range(40):
    found = tuple(Symptom(f"c{i}", Severity.PAGE, "It is empty.") for i in range(at // 4 + 1))
    alarms.observe([Sighting("feed", "", None, f"w{at // 4:03}", found)], version=1, health=lambda: "d",
                   manners=Manners(False, 10**12, 10**12), addresses=[Address("webhook", "1")], actor=name)
    if (message := outbox.claim()) is not None:
        print(message.id, flush=True)
        outbox.sent(message, "200 OK")
    print("looked", flush=True)
"""


def _start(url: str | None, folder: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LOOKING, url or "", str(folder), name]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "ready\n"
    return watcher


def test_watchers_at_once_open_one_alarm_and_send_one_message(
    open_state: Callable[[], Database], state_url: str | None, tmp_path: Path, clock: Any
) -> None:
    database = open_state()
    watchers = [_start(state_url, tmp_path / ".tenure", f"watch {n}") for n in range(2)]
    for watcher in watchers:
        assert watcher.stdin is not None
        watcher.stdin.write("go\n")
        watcher.stdin.flush()
    sent = [line for watcher in watchers for line in watcher.communicate()[0].splitlines() if line != "looked"]
    assert [watcher.returncode for watcher in watchers] == [0, 0]
    assert len(sent) == 1
    ledger = Ledger(database, clock)
    assert kinds(ledger) == [("A1", "opened"), *[("A1", "grew")] * 9]
    assert ledger.verify() == 10


def test_a_killed_watcher_leaves_the_message_of_every_alarm_it_opened(
    open_state: Callable[[], Database], state_url: str | None, tmp_path: Path, clock: Any
) -> None:
    database = open_state()
    watcher = _start(state_url, tmp_path / ".tenure", "watch")
    assert watcher.stdin is not None
    assert watcher.stdout is not None
    watcher.stdin.write("go\n")
    watcher.stdin.flush()
    watcher.stdout.readline()
    watcher.send_signal(signal.SIGKILL)
    watcher.communicate()
    ledger = Ledger(database, clock)
    messages = Outbox(database, ledger, clock).all()
    opened = [kind for kind in kinds(ledger) if kind[1] == AlarmChange.OPENED]
    assert len(opened) == len(messages) == len(Alarms(database, ledger, clock).all()) == 1
    assert messages[0].status in (WAITING, SENT)
    ledger.verify()
