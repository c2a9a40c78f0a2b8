"""The walk: run once, keep, take again, resume after a kill, one at a time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from conftest import SMALL_PROJECT, small_world
from tenure.core.errors import ProjectBusyError, QualityBlockError
from tenure.core.lifecycle import Alias
from tenure.engine.plan import LIFECYCLE
from tenure.engine.preview import preview
from tenure.engine.runner import WALK_LEASE, run_walk
from tenure.engine.workspace import open_workspace
from tenure.state.leases import Lease


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
        assert not any(step.runs for step in preview(workspace)[:5])
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
