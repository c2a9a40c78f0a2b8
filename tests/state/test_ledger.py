from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tenure.core.errors import LedgerError, RecordMissingError
from tenure.core.lifecycle import Incumbent
from tenure.state.database import Database, open_database
from tenure.state.ledger import Event, Ledger, StageRecord

RECORD = Incumbent(version=1, model="m" * 64, leaderboard="l" * 64)


@pytest.fixture
def ledger(database: Database, clock) -> Ledger:
    return Ledger(database, clock)


def finish(ledger: Ledger, run_id: str, stage: str, key: str) -> Event:
    return ledger.finish_stage(
        run_id=run_id,
        stage=stage,
        key=key,
        record=RECORD,
        artifact="a" * 64,
        actor="ada",
        inputs=("i" * 64,),
        reason="it was asked for",
        seconds=1.5,
    )


def test_events_come_back_as_they_were_appended(ledger: Ledger) -> None:
    event = ledger.append(
        "noted",
        actor="ada",
        reason="because",
        run_id="r1",
        stage="ingest",
        inputs=["x", "y"],
        output="o",
        output_type="Snapshot",
        data={"rows": 3, "share": float("nan"), "nested": {"name": "ü"}},
    )
    assert ledger.events() == [event]
    assert (event.seq, event.at, event.inputs) == (1, "2026-01-01T00:00:00+00:00", ("x", "y"))
    assert event.data == {"rows": 3, "share": "NaN", "nested": {"name": "ü"}}
    assert ledger.append("noted", actor="ada", reason="again").previous == event.hash


def test_events_are_found_by_kind_run_and_stage(ledger: Ledger) -> None:
    for number in range(6):
        ledger.append(f"kind{number % 2}", actor="ada", reason="", run_id=f"r{number % 3}", stage="s")
    assert [e.seq for e in ledger.events(kind="kind1")] == [2, 4, 6]
    assert [e.seq for e in ledger.events(run_id="r2", kind="kind1")] == [6]
    assert [e.seq for e in ledger.events(stage="s", limit=2, newest_first=True)] == [6, 5]
    assert ledger.events(stage="other") == []


def test_events_are_left_out_by_what_their_data_hold(ledger: Ledger) -> None:
    for verb in ("keep", "keep%", "retrain", "keep"):
        ledger.append("action", actor="ada", reason='"verb":"keep"', data={"verb": verb, "carried_out": False})
    assert [event.seq for event in ledger.events(without={"verb": "keep"})] == [2, 3]
    assert [event.seq for event in ledger.events(without={"verb": "keep"}, limit=1, newest_first=True)] == [3]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reason=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    data=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
        st.integers() | st.floats() | st.none() | st.booleans(),
        max_size=3,
    ),
)
def test_chain_holds_whatever_is_written(ledger: Ledger, reason: str, data: dict[str, object]) -> None:
    event = ledger.append("noted", actor="ada", reason=reason, data=data)
    assert ledger.verify() == event.seq
    assert ledger.events(newest_first=True, limit=1) == [event]


def test_empty_ledger_holds(ledger: Ledger) -> None:
    assert ledger.verify() == 0


@pytest.mark.parametrize(
    ("harm", "broken"),
    [
        ("UPDATE events SET reason = 'nicer' WHERE seq = 3", "Event 3 .* was changed"),
        ("UPDATE events SET actor = 'nobody' WHERE seq = 5", "Event 5 .* was changed"),
        ("UPDATE events SET data = '{}' WHERE seq = 4", "Event 4 .* was changed"),
        ("DELETE FROM events WHERE seq = 2", "Event 2 .* is missing"),
        ("UPDATE events SET seq = 0 WHERE seq = 1", "Event 1 .* is missing"),
        ("UPDATE events SET seq = 9 WHERE seq = 5", "Event 5 .* is missing"),
        ("UPDATE events SET hash = 'f' WHERE seq = 2", "Event 2 .* was changed"),
        ("UPDATE events SET previous = hash WHERE seq = 4", "Event 4 .* does not follow"),
    ],
)
def test_harm_to_any_event_is_found_and_named(ledger: Ledger, database: Database, harm: str, broken: str) -> None:
    for number in range(5):
        ledger.append("noted", actor="ada", reason=f"reason {number}", data={"n": number})
    assert ledger.verify() == 5
    with database.begin() as connection:
        connection.execute(text(harm))
    with pytest.raises(LedgerError, match=broken):
        ledger.verify()


def test_events_cut_off_at_the_end_are_missed(tmp_path: Path, clock) -> None:
    database = open_database(None, tmp_path / "cut")
    cut = Ledger(database, clock)
    cut.start_run("r1", actor="ada", reason="asked")
    finish(cut, "r1", "ingest", "k")
    with database.read() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("DELETE FROM events WHERE seq = 2")
        connection.exec_driver_sql("BEGIN")
    with pytest.raises(LedgerError, match=r"Event 2 .* missing at the end"):
        cut.verify()
    database.close()


APPENDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tenure.state.database import open_database
from tenure.state.ledger import Ledger
ledger = Ledger(open_database(sys.argv[1] or None, Path(sys.argv[2])), lambda: datetime.now(UTC))
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    print(ledger.append("noted", actor=sys.argv[4], reason=str(number)).seq, flush=True)
"""


def appender(state_url: str | None, tmp_path: Path, count: int, name: str) -> subprocess.Popen[str]:
    words = [state_url or "", str(tmp_path / ".tenure"), str(count), name]
    return subprocess.Popen([sys.executable, "-c", APPENDER, *words], stdout=subprocess.PIPE, text=True)


def test_processes_that_append_at_once_make_one_chain(
    state_url: str | None, open_state: Callable[[], Database], tmp_path: Path, clock
) -> None:
    ledger = Ledger(open_state(), clock)
    running = [appender(state_url, tmp_path, 20, f"process {n}") for n in range(3)]
    said = [process.communicate()[0].split()[1:] for process in running]
    assert sorted(int(seq) for seqs in said for seq in seqs) == list(range(1, 61))
    assert ledger.verify() == 60
    for n in range(3):
        mine = [event.reason for event in ledger.events() if event.actor == f"process {n}"]
        assert mine == [str(number) for number in range(20)]


def test_chain_stays_whole_when_appending_processes_are_killed(
    state_url: str | None, open_state: Callable[[], Database], tmp_path: Path, clock
) -> None:
    ledger = Ledger(open_state(), clock)
    running = [appender(state_url, tmp_path, 10**9, f"process {n}") for n in range(2)]
    acknowledged: list[int] = []
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        acknowledged += [int(process.stdout.readline()) for _ in range(5)]
    for process in running:
        process.kill()
        process.communicate()
    ledger.append("noted", actor="survivor", reason="still writable")
    count = ledger.verify()
    kept = {event.seq for event in ledger.events()}
    assert set(acknowledged) <= kept
    assert len(kept) == count > 10


def test_run_begins_and_ends_once(ledger: Ledger, clock) -> None:
    begun = ledger.start_run("r1", actor="ada", reason="asked", data={"fresh": False})
    assert ledger.unfinished_run() == begun == ledger.run("r1")
    assert begun.status == "running"
    with pytest.raises(LedgerError, match="already a run"):
        ledger.start_run("r1", actor="ada", reason="asked", data={})
    clock.advance(60)
    ended = ledger.end_run("r1", status="finished", reason="promoted v1")
    assert ended == ledger.run("r1")
    assert (ended.status, ended.ended_at, ended.data) == ("finished", "2026-01-01T00:01:00+00:00", {"fresh": False})
    assert ledger.unfinished_run() is None
    with pytest.raises(LedgerError, match="already finished"):
        ledger.end_run("r1", status="failed", reason="")
    with pytest.raises(RecordMissingError):
        ledger.run("r9")
    with pytest.raises(RecordMissingError):
        ledger.end_run("r9", status="failed", reason="")
    assert [event.kind for event in ledger.events()] == ["run-started", "run-finished"]


def test_runs_come_newest_first(ledger: Ledger) -> None:
    for name in ("b", "a", "c"):
        ledger.start_run(name, actor="ada", reason="asked", data={})
    ledger.end_run("c", status="superseded", reason="asked for something else")
    assert [run.id for run in ledger.runs(2)] == ["c", "a"]
    assert [run.id for run in ledger.runs()] == ["c", "a", "b"]
    unfinished = ledger.unfinished_run()
    assert unfinished is not None
    assert unfinished.id == "a"


def test_finished_stage_is_found_by_what_it_was_made_from(ledger: Ledger) -> None:
    event = finish(ledger, "r1", "ingest", "key1")
    finish(ledger, "r1", "quality", "key2")
    found = ledger.finished_stage("ingest", "key1")
    assert found == StageRecord("ingest", "key1", "a" * 64, RECORD.digest, "Incumbent", "r1", event.at, 1.5)
    assert (event.output, event.output_type, event.inputs) == ("a" * 64, "Incumbent", ("i" * 64,))
    assert ledger.finished_stage("ingest", "key2") is None
    assert [done.stage for done in ledger.run_stages("r1")] == ["ingest", "quality"]


def test_stage_finished_again_replaces_the_record_of_its_key(ledger: Ledger) -> None:
    finish(ledger, "r1", "ingest", "key1")
    finish(ledger, "r2", "ingest", "key1")
    found = ledger.finished_stage("ingest", "key1")
    assert found is not None
    assert found.run_id == "r2"


def test_reused_stage_remembers_the_run_that_made_it(ledger: Ledger) -> None:
    finish(ledger, "r1", "ingest", "key1")
    made = ledger.finished_stage("ingest", "key1")
    assert made is not None
    taken = ledger.reuse_stage("r2", made)
    again = ledger.reuse_stage("r3", taken)
    assert (taken.reused_from, again.reused_from) == ("r1", "r1")
    assert ledger.run_stages("r2") == [taken]
    assert ledger.finished_stage("ingest", "key1") == made
    assert ledger.verify() == 3


def test_stage_and_its_event_are_kept_both_or_neither(ledger: Ledger, database: Database) -> None:
    with pytest.raises(LedgerError, match="stop"), database.begin() as connection:
        append_then_fail(ledger, connection)
    assert ledger.events() == []
    finish(ledger, "r1", "ingest", "k")
    assert len(ledger.events()) == len(ledger.run_stages("r1")) == 1


def append_then_fail(ledger: Ledger, connection) -> None:
    ledger.append("noted", actor="ada", reason="", connection=connection)
    raise LedgerError("stop", hint="")
