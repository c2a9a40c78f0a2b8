"""The walk: run once, keep, take again, resume after a kill, one at a time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import update

from small_worlds import SMALL_PROJECT, small_world
from tenure.core.data import Snapshot
from tenure.core.errors import DataError, ProjectBusyError, QualityBlockError
from tenure.core.lifecycle import Alias
from tenure.engine.plan import LIFECYCLE
from tenure.engine.preview import preview
from tenure.engine.runner import WALK_LEASE, WALKED_EVENT, Walk, run_walk
from tenure.engine.workspace import Workspace, open_workspace
from tenure.ingest.stage import source_fingerprint
from tenure.state.leases import Lease
from tenure.state.ledger import Run
from tenure.state.tables import LEASES


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "churn"
    (folder / "data").mkdir(parents=True)
    small_world(700).write_csv(folder / "data" / "first.csv")
    (folder / "tenure.toml").write_text(SMALL_PROJECT)
    return folder


def test_every_stage_leaves_one_record_with_inputs_output_and_reason(office: Path) -> None:
    with open_workspace(office) as workspace:
        finished = workspace.ledger.events(kind="stage-finished")
        assert [event.stage for event in finished] == [stage.name for stage in LIFECYCLE]
        assert all(event.output and event.reason and event.actor for event in finished)
        known = set()
        for event in finished:
            assert set(event.inputs) <= known
            known.add(event.output)
        assert workspace.ledger.verify() > len(LIFECYCLE)


def test_new_rows_bring_a_new_walk_and_old_records_are_taken_again(office: Path) -> None:
    with open_workspace(office) as workspace:
        planned = preview(workspace)
        assert [step.stage for step in planned] == [stage.name for stage in LIFECYCLE]
        assert not any(step.runs for step in planned)
        assert all("nothing changed" in step.why for step in planned)
        assert all(step.runs for step in preview(workspace, fresh=True))
        assert run_walk(workspace).outcome == "up-to-date"
        small_world(300, seed=8).with_columns(customer=pl.concat_str(pl.lit("n"), "customer")).write_csv(
            office / "data" / "second.csv"
        )
        assert preview(workspace)[0].runs
        walk = run_walk(workspace)
        assert walk.outcome in ("hold", "promote")
        assert workspace.registry.versions()[-1].number == 2


def test_a_project_file_that_changes_the_gate_only_runs_the_gate_only(office: Path) -> None:
    text = (office / "tenure.toml").read_text()
    (office / "tenure.toml").write_text(text + "[promotion]\nmin_gain = 0.01\n")
    with open_workspace(office) as workspace:
        walk = run_walk(workspace)
        reused = {step.stage for step in walk.steps if step.reused}
        assert reused == {"ingest", "quality", "validation", "training", "robustness"}
        assert walk.outcome == "hold"
        assert workspace.champion().number == 1


def test_two_runs_at_once_do_not_damage_the_project(office: Path) -> None:
    with open_workspace(office) as one, open_workspace(office) as other:
        with Lease(one.database, WALK_LEASE, clock=one.context.clock), pytest.raises(ProjectBusyError):
            run_walk(other)
        assert run_walk(other).outcome == "up-to-date"


def test_blocking_data_stop_before_training_and_keep_the_champion(office: Path) -> None:
    rows = pl.read_csv(office / "data" / "first.csv")
    broken = rows.with_columns(left=pl.when(pl.int_range(pl.len()) % 2 == 0).then(None).otherwise("left"))
    broken.write_csv(office / "data" / "first.csv")
    with open_workspace(office) as workspace:
        with pytest.raises(QualityBlockError):
            run_walk(workspace)
        assert workspace.champion().number == 1
        assert workspace.ledger.runs(limit=1)[0].status == "failed"
        assert not workspace.ledger.events(stage="training", run_id=workspace.ledger.runs(limit=1)[0].id)


def test_a_run_killed_at_any_moment_goes_on_and_no_finished_stage_runs_twice(project: Path) -> None:
    chance = random.Random(3)
    command = [sys.executable, "-m", "tenure", "run", "--project", str(project), "--quiet"]
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(1.0, 9.0))  # any moment: the point of the test
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"NO_COLOR": "1"})
    assert done.returncode == 0, done.stderr
    with open_workspace(project) as workspace:
        workspace.ledger.verify()
        stages = Counter(event.stage for event in workspace.ledger.events(kind="stage-finished"))
        assert stages == Counter({stage.name: 1 for stage in LIFECYCLE})
        assert workspace.registry.holder(Alias.CHAMPION) is not None
        assert [version.number for version in workspace.registry.versions()] == [1]


class Cut(BaseException):
    """What stands for a kill: nothing catches it."""


class Meanwhile:
    """A log that does something once when a walk gets to a stage, or to a part of it."""

    def __init__(self, at: str, act: Callable[[], object]) -> None:
        self._at, self._act, self._done = at, act, False

    def note(self, text: str) -> None:
        pass

    def progress(self, share: float, text: str = "") -> None:
        if not self._done and text.startswith(self._at):
            self._done = True
            self._act()


def cut() -> None:
    raise Cut


def walk_until(folder: Path, stage: str, *, fresh: bool = False) -> Run:
    """Walk, be killed at the beginning of a stage, and return the run that was cut off."""
    with open_workspace(folder, log=Meanwhile(f"{stage}: ", cut)) as workspace:
        with pytest.raises(Cut):
            run_walk(workspace, fresh=fresh)
        run = workspace.ledger.unfinished_run()
        assert run is not None
        return run


def walk_while(folder: Path, at: str, act: Callable[[], object]) -> Walk:
    with open_workspace(folder, log=Meanwhile(at, act)) as workspace:
        return run_walk(workspace)


def wish_for_another_gate(folder: Path) -> None:
    path = folder / "tenure.toml"
    path.write_text(path.read_text() + "[promotion]\nmin_gain = 0.01\n")


def leave_office(workspace: Workspace) -> None:
    workspace.registry.move({Alias.CHAMPION: None}, actor="test", reason="left")


def deliver(folder: Path, name: str, rows: int = 50) -> None:
    frame = small_world(rows, seed=8).with_columns(customer=pl.concat_str(pl.lit(name), "customer"))
    frame.write_csv(folder / "data" / f"{name}.csv")


def test_a_run_that_was_cut_off_does_not_go_on_once_another_is_in_office(office: Path) -> None:
    wish_for_another_gate(office)
    cut_off = walk_until(office, "promotion")
    with open_workspace(office) as workspace:
        leave_office(workspace)
        walk = run_walk(workspace)
        assert not walk.resumed
        assert workspace.ledger.run(cut_off.id).status == "superseded"


def test_a_run_cut_off_after_its_own_release_goes_on(office: Path) -> None:
    wish_for_another_gate(office)
    with open_workspace(office) as workspace:
        leave_office(workspace)
        cut_off = walk_until(office, "release")
        workspace.registry.move({Alias.CHAMPION: 1}, actor="test", reason="its own move", run_id=cut_off.id)
        walk = run_walk(workspace)
        assert (walk.run_id, walk.resumed, walk.outcome, walk.version) == (cut_off.id, True, "promote", 1)
        assert workspace.champion().number == 1


def test_an_office_that_changes_during_a_walk_is_left_alone_and_the_next_run_compares_again(office: Path) -> None:
    wish_for_another_gate(office)
    with open_workspace(office) as workspace:
        leave_office(workspace)
        other = workspace.registry.register("f" * 64, run_id="r", leaderboard="b", actor="test")

        def take_office() -> None:
            workspace.registry.move({Alias.CHAMPION: other.number}, actor="test", reason="meanwhile")

        walk = walk_while(office, "release: ", take_office)
        assert walk.outcome == "hold"
        assert "office changed meanwhile" in walk.reason
        assert workspace.champion().number == other.number
        assert walk.published is not None
        assert "another took office" in walk.published.page.read_text()
        leave_office(workspace)
        again = run_walk(workspace)
        assert (again.outcome, again.version) == ("promote", 1)


def test_a_walk_whose_lease_was_lost_stops_and_leaves_the_run_to_the_new_holder(office: Path) -> None:
    deliver(office, "second")
    with open_workspace(office) as workspace:

        def lose() -> None:
            with workspace.database.begin(lock="leases") as connection:
                connection.execute(update(LEASES).values(owner="other", host="elsewhere", pid=7))

        with pytest.raises(ProjectBusyError, match="Process 7 on elsewhere"):
            walk_while(office, "ingest: ", lose)
        run = workspace.ledger.unfinished_run()
        assert run is not None
        assert not workspace.ledger.run_stages(run.id)


def test_the_error_of_a_stage_is_not_hidden_by_a_run_that_was_ended_by_another(office: Path) -> None:
    rows = pl.read_csv(office / "data" / "first.csv").with_columns(left=pl.lit(None, pl.String))
    rows.write_csv(office / "data" / "first.csv")
    with open_workspace(office) as workspace:

        def end() -> None:
            run = workspace.ledger.unfinished_run()
            assert run is not None
            workspace.ledger.end_run(run.id, status="superseded", reason="by another")

        with pytest.raises(DataError):
            walk_while(office, "ingest: ", end)


def test_rows_that_come_while_others_are_read_are_read_by_the_next_run(office: Path) -> None:
    deliver(office, "second")

    class ComeThenCut(Meanwhile):
        def progress(self, share: float, text: str = "") -> None:
            super().progress(share, text)
            if text.startswith("quality: "):
                cut()

    with open_workspace(office) as workspace:
        with (
            pytest.raises(Cut),
            open_workspace(office, log=ComeThenCut("ingest: 950 rows", lambda: deliver(office, "third"))) as other,
        ):
            run_walk(other)
        first = workspace.ledger.unfinished_run()
        second = walk_until(office, "quality")
        assert first is not None
        assert workspace.ledger.run(first.id).status == "superseded"
        rows = [
            workspace.context.artifacts.get_record(Snapshot, workspace.ledger.run_stages(run.id)[0].artifact).rows
            for run in (first, second)
        ]
        assert rows == [950, 1000]


def test_rows_that_come_during_training_are_not_taken_for_seen(office: Path) -> None:
    wish_for_another_gate(office)
    with open_workspace(office) as workspace:
        before = source_fingerprint(workspace.context)
        walk_while(office, "promotion: ", lambda: deliver(office, "second"))
        walked = workspace.ledger.events(kind=WALKED_EVENT)[-1]
        assert walked.data["source"] == before
        assert before != source_fingerprint(workspace.context)


def test_a_fresh_run_that_was_cut_off_goes_on_fresh(office: Path) -> None:
    first = walk_until(office, "quality", fresh=True)
    with open_workspace(office) as workspace:
        assert [step.runs for step in preview(workspace, fresh=True)[:2]] == [False, True]
        assert [step.runs for step in preview(workspace)[:2]] == [False, True]
    assert walk_until(office, "quality", fresh=True).id == first.id
    assert walk_until(office, "quality").id == first.id
    with open_workspace(office) as workspace:
        assert [event.stage for event in workspace.ledger.events(kind="stage-finished", run_id=first.id)] == ["ingest"]


def test_a_run_that_is_not_fresh_does_not_stand_for_a_fresh_one(office: Path) -> None:
    deliver(office, "second")
    first = walk_until(office, "quality")
    assert walk_until(office, "quality", fresh=True).id != first.id


@pytest.mark.parametrize("what", ["record", "table"])
def test_a_stage_whose_record_was_damaged_runs_again(office: Path, what: str) -> None:
    wish_for_another_gate(office)
    with open_workspace(office) as workspace:
        done = workspace.ledger.run_stages(workspace.champion().run_id)[0]
        snapshot = workspace.context.artifacts.get_record(Snapshot, done.artifact)
        digest = done.artifact if what == "record" else snapshot.table
        files = (path for path in (office / ".tenure" / "artifacts").rglob("*") if path.is_file())
        file = next(path for path in files if digest.endswith(path.name))
        file.chmod(0o644)
        file.write_bytes(b"damaged")
        assert "damaged" in preview(workspace)[0].why
        walk = run_walk(workspace)
        assert [step.reused for step in walk.steps[:5]] == [False, True, True, True, True]
        assert workspace.context.artifacts.get_table(snapshot.table).height == 900


def test_the_same_walk_runs_with_postgresql_as_source_and_as_state(project: Path, postgres_url: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    small_world(700).write_database("customers_of_the_walk", engine, if_table_exists="replace")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text("create database walk_state"))
    engine.dispose()
    state = postgres_url.replace("/postgres?", "/walk_state?")
    text = SMALL_PROJECT.replace(
        'source = "data/*.csv"', f'source = "{postgres_url}"\nquery = "select * from customers_of_the_walk"'
    )
    (project / "tenure.toml").write_text(f'{text}[state]\nurl = "{state}"\n')
    with open_workspace(project) as workspace:
        walk = run_walk(workspace)
        assert walk.outcome == "promote"
        assert workspace.ledger.verify() > len(LIFECYCLE)
        assert run_walk(workspace).outcome == "up-to-date"
    assert not (project / ".tenure" / "state.db").exists()
