"""Outcomes of the log become rows to learn from once their whole cohort is ripe; faulty and excluded times never do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from small_worlds import small_world
from tenure.core.data import Snapshot
from tenure.core.health import HealthReport, WindowHealth
from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.core.ports import Silent
from tenure.engine.logged_rows import Pin, logged, note_faulty_windows, pinned, rows_fingerprint
from tenure.engine.preview import preview
from tenure.engine.runner import run_walk
from tenure.engine.workspace import Workspace, open_workspace
from tenure.ingest.stage import source_fingerprint
from tenure.state.exclusions import Exclusions, Period
from tenure.state.ledger import Run

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def serve(workspace: Workspace, count: int, *, first: int = 0, per_day: int = 20, **more: object) -> list[datetime]:
    """Log answered rows, so many a day, and return when each was."""
    frame = small_world(first + count, seed=11)[first:]
    moments = [at((first + n) / per_day) for n in range(count)]
    workspace.traffic.log_predictions(
        [
            replace(
                PredictionRecord(f"p{first + n}", 1, moment.isoformat(), moment.isoformat(), row, "no", (0.6, 0.4)),
                key=f"n{first + n}",
                **more,
            )
            for n, (row, moment) in enumerate(
                zip(frame.select("strong", "plan", "noise").to_dicts(), moments, strict=True)
            )
        ]
    )
    return moments


def tell(
    workspace: Workspace, moments: Sequence[datetime], delay: Callable[[int], float | None], *, first: int = 0
) -> None:
    """Record the outcome of each row so many days after it; None for never."""
    truth = small_world(first + len(moments), seed=11)["left"][first:]
    delays = [delay(first + n) for n in range(len(moments))]
    workspace.traffic.record_outcomes(
        [
            OutcomeRecord(value, (moment + timedelta(days=days)).isoformat(), f"p{first + n}")
            for n, (value, moment, days) in enumerate(zip(truth, moments, delays, strict=True))
            if days is not None
        ]
    )


@pytest.fixture
def workspace(office: Path) -> Workspace:
    return open_workspace(office)


class Cut(BaseException):
    """As if the power went out."""


class CutAt(Silent):
    def __init__(self, stage: str) -> None:
        self.stage = stage

    def progress(self, share: float, text: str = "") -> None:
        if text.startswith(f"{self.stage}: "):
            raise Cut


def walk_until(folder: Path, stage: str) -> Run:
    with open_workspace(folder, log=CutAt(stage)) as workspace:
        with pytest.raises(Cut):
            run_walk(workspace)
        run = workspace.ledger.unfinished_run()
        assert run is not None
        return run


def snapshot_of(workspace: Workspace, run: Run) -> Snapshot:
    return workspace.context.artifacts.get_record(Snapshot, workspace.ledger.run_stages(run.id)[0].artifact)


def test_without_outcomes_all_is_as_if_there_were_no_log(workspace: Workspace) -> None:
    with workspace:
        source = source_fingerprint(workspace.context)
        assert rows_fingerprint(workspace) == source
        serve(workspace, 100)
        pin = pinned(workspace, at(30))
        assert (pin.rows, pin.digest) == (0, None)
        assert rows_fingerprint(workspace, pin) == source
        assert not any(step.runs for step in preview(workspace))


def test_a_young_row_whose_outcome_came_early_does_not_enter(workspace: Workspace) -> None:
    """A yes is known after a day, a no after ten: of the last ten days only yes is known."""
    with workspace:
        truth = small_world(600, seed=11)["left"]
        tell(workspace, serve(workspace, 600), lambda n: 1.0 if truth[n] == "yes" else 10.0)
        pin = pinned(workspace, at(30))
        assert pin.until is not None
        assert at(19) <= pin.until <= at(20)
        rows = logged(workspace, pin).read()
        assert pin.rows == rows.height > 350
        assert rows["event_at"].max() <= pin.until
        share = rows["outcome"].eq("yes").mean()
        assert share == pytest.approx(float(truth[: rows.height].eq("yes").mean()))


def test_the_owners_word_on_the_delay_decides_by_the_clock(office: Path) -> None:
    file = office / "tenure.toml"
    file.write_text(file.read_text().replace('key = "customer"', 'key = "customer"\noutcome_delay = "7d"'))
    with open_workspace(office) as workspace:
        tell(workspace, serve(workspace, 200), lambda n: 1.0)
        assert pinned(workspace, at(10)).rows == 61
        assert pinned(workspace, at(12)).rows == 101
        assert pinned(workspace, at(3)).rows == 0


def test_what_is_known_later_is_not_known_yet(workspace: Workspace) -> None:
    with workspace:
        moments = serve(workspace, 400)
        tell(workspace, moments, lambda n: 2.0)
        then = pinned(workspace, at(12))
        assert 190 <= then.rows <= 201
        tell(workspace, serve(workspace, 100, first=400), lambda n: 2.0, first=400)
        assert pinned(workspace, at(12)) == then
        assert logged(workspace, then).read().height == then.rows
        assert pinned(workspace, at(40)).rows > 400
        assert Pin.from_dict(then.to_dict()) == then


def test_a_window_whose_outcomes_were_lost_does_not_enter(workspace: Workspace) -> None:
    with workspace:
        tell(workspace, serve(workspace, 1200), lambda n: None if 200 <= n < 400 and n % 10 else 1.0)
        pin = pinned(workspace, at(70))
        assert [period.begin for period in pin.lost] == [at(10)]
        kept = logged(workspace, pin).read()["id"].to_list()
        assert not any(200 <= int(name[1:]) < 400 for name in kept)
        assert len(kept) == pin.rows > 900


def test_nothing_of_the_log_is_learned_where_the_owner_does_not_want_it(office: Path) -> None:
    file = office / "tenure.toml"
    file.write_text(file.read_text() + "[operations]\nlearn_from_log = false\n")
    with open_workspace(office) as workspace:
        tell(workspace, serve(workspace, 200), lambda n: 1.0)
        assert pinned(workspace, at(60)).digest is None


def test_corrected_outcomes_are_something_new_to_learn_from(workspace: Workspace) -> None:
    with workspace:
        moments = serve(workspace, 300)
        tell(workspace, moments, lambda n: 1.0)
        before = pinned(workspace, at(60))
        tell(workspace, moments, lambda n: 1.0)
        assert pinned(workspace, at(60)).digest == before.digest
        corrected = [OutcomeRecord("yes", (at(n / 20) + timedelta(days=1)).isoformat(), f"p{n}") for n in range(150)]
        workspace.traffic.record_outcomes(corrected)
        after = pinned(workspace, at(60))
        assert (after.rows, after.latest) == (before.rows, before.latest)
        assert after.digest != before.digest
        assert rows_fingerprint(workspace, after) != rows_fingerprint(workspace, before)
        assert logged(workspace, after).read()["outcome"][:150].eq("yes").all()


def test_quarantined_rows_do_not_enter(workspace: Workspace) -> None:
    with workspace:
        tell(workspace, serve(workspace, 100), lambda n: 1.0)
        tell(workspace, serve(workspace, 100, first=100, quarantined=True), lambda n: 1.0, first=100)
        assert 90 <= pinned(workspace, at(60)).rows <= 100


def test_a_walk_learns_from_the_log_and_one_that_was_cut_off_sees_the_same_rows(office: Path) -> None:
    with open_workspace(office) as workspace:
        tell(workspace, serve(workspace, 300), lambda n: 1.0)
    first = walk_until(office, "validation")
    with open_workspace(office) as workspace:
        snapshot = snapshot_of(workspace, first)
        assert snapshot.rows == 900 + first.data["logged"]["rows"] > 1150
        assert f"{snapshot.rows - 900} rows of the log" in snapshot.source
        tell(workspace, serve(workspace, 100, first=300), lambda n: 1.0, first=300)
        assert pinned(workspace).rows > first.data["logged"]["rows"]
    again = walk_until(office, "validation")
    assert again.id == first.id
    with open_workspace(office) as workspace:
        made = workspace.ledger.events(kind="stage-finished", run_id=first.id)
        assert [event.stage for event in made] == ["ingest", "quality"]
        exclusions = Exclusions(workspace.database, workspace.ledger)
        exclusions.add(Period.between(at(3), at(5)), cause="poisoned", actor="ada")
    other = walk_until(office, "quality")
    assert other.id != first.id
    with open_workspace(office) as workspace:
        assert snapshot_of(workspace, other).rows == 900 + other.data["logged"]["rows"]
        assert other.data["logged"]["excluded"] == [[at(3).isoformat(), at(5).isoformat()]]


def test_a_finished_walk_says_what_it_learned_from_and_the_next_one_has_nothing_new(office: Path) -> None:
    with open_workspace(office) as workspace:
        tell(workspace, serve(workspace, 300), lambda n: 1.0)
        walk = run_walk(workspace)
        event = workspace.ledger.events(kind="walked", newest_first=True, limit=1)[0]
        assert (
            walk.source == event.data["source"] == rows_fingerprint(workspace) != source_fingerprint(workspace.context)
        )
        assert event.data["logged"]["rows"] == pinned(workspace).rows > 250
        assert run_walk(workspace).outcome == "up-to-date"
        assert not any(step.runs for step in preview(workspace))
        tell(workspace, serve(workspace, 100, first=300), lambda n: 1.0, first=300)
        assert preview(workspace)[0].runs


# ---- windows in which the feed was at fault ----


def window(number: int, *faults: str, looked: bool = True) -> WindowHealth:
    return WindowHealth(
        at(7 * number).isoformat(),
        at(7 * number + 7).isoformat(),
        100,
        1.0,
        faults=faults,
        drift=0.1 if looked else None,
    )


@pytest.fixture
def weekly(office: Path) -> Workspace:
    file = office / "tenure.toml"
    file.write_text(file.read_text().replace('"200 rows"', '"7d"'))
    return open_workspace(office)


def test_rows_of_the_open_window_wait_until_it_was_looked_at(weekly: Workspace) -> None:
    with weekly:
        tell(weekly, serve(weekly, 400), lambda n: 0.0)
        for day, end in ((13.9, 7), (14.1, 14)):
            pin = pinned(weekly, at(day))
            assert logged(weekly, pin).read()["event_at"].max() == at(end - 0.05)
            assert pin.age < 60


def excluded(workspace: Workspace) -> list[int]:
    active = Exclusions(workspace.database, workspace.ledger).active()
    assert all(one.period.end - one.period.begin == timedelta(days=7) for one in active)
    return [(one.period.begin - START).days // 7 for one in active]


def test_a_faulty_window_is_excluded_once_and_taken_back_when_it_is_found_clean(weekly: Workspace) -> None:
    with weekly:
        health = HealthReport(windows=(window(0), window(1, "missing-values: plan"), window(2)))
        (noted,) = note_faulty_windows(weekly, health)
        assert "missing-values: plan" in noted.cause
        assert note_faulty_windows(weekly, health) == ()
        assert excluded(weekly) == [1]
        assert note_faulty_windows(weekly, HealthReport(windows=(window(1, looked=False),))) == ()
        (back,) = note_faulty_windows(weekly, HealthReport(windows=(window(0), window(1))))
        assert back.undone is not None
        assert excluded(weekly) == []
        assert len(note_faulty_windows(weekly, health)) == 1
        assert excluded(weekly) == [1]


def test_what_a_person_excluded_is_not_taken_back_by_the_watch(weekly: Workspace) -> None:
    with weekly:
        exclusions = Exclusions(weekly.database, weekly.ledger)
        exclusions.add(Period.between(at(7), at(14)), cause="labels were poisoned", actor="ada")
        assert note_faulty_windows(weekly, HealthReport(windows=(window(0), window(1), window(2)))) == ()
        assert note_faulty_windows(weekly, HealthReport(windows=(window(1, "range: strong"),))) == ()
        assert excluded(weekly) == [1]


def test_a_person_who_takes_a_fault_back_has_said_that_it_is_how_things_are(weekly: Workspace) -> None:
    with weekly:
        (noted,) = note_faulty_windows(weekly, HealthReport(windows=(window(1, "range: strong"),)))
        Exclusions(weekly.database, weekly.ledger).undo(noted.number, reason="the new unit stays", actor="ada")
        later = HealthReport(windows=(window(1, "range: strong"), window(2, "range: strong")))
        assert note_faulty_windows(weekly, later) == ()
        worse = HealthReport(windows=(window(3, "range: strong", "missing-values: plan"),))
        assert len(note_faulty_windows(weekly, worse)) == 1
        assert excluded(weekly) == [3]
