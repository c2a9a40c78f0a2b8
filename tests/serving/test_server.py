"""The real server under load: killed, stopped, half of it killed, its model swapped, its database away."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tenure.core.lifecycle import Alias
from tenure.engine.workspace import Workspace, open_workspace
from tenure.model.bundle import write_bundle
from tenure.testing.load import Load, Served

Rows = list[dict[str, Any]]


@pytest.fixture
def rows(office: Path) -> Rows:
    return pl.read_csv(office / "data" / "first.csv").head(20).drop("left").to_dicts()


def _eventually(met: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


def _logged(folder: Path) -> list[str]:
    with open_workspace(folder) as workspace:
        return workspace.traffic.joined()["id"].to_list()


def _second(workspace: Workspace, place: Path, rows: Rows) -> int:
    """Register the model in office again, with another threshold."""
    model = workspace.scorer(workspace.champion()).model
    write_bundle(replace(model, threshold=0.25), place / "second", sample=pl.DataFrame(rows))
    bundle = workspace.context.artifacts.put_tree(place / "second")
    return workspace.registry.register(bundle, run_id="second", leaderboard="", actor="test").number


@pytest.mark.parametrize("mode", ["durable", "written"])
def test_what_clients_received_is_in_the_log_once_after_the_server_was_killed(
    office: Path, rows: Rows, mode: str
) -> None:
    told: list[str] = []
    file = office / "tenure.toml"
    file.write_text(f'{file.read_text()}\n[serving]\nlog = "{mode}"\n')
    for _ in range(2):
        with Served(office, "--workers", "2") as server, Load(server.url, rows, clients=4) as load:
            _eventually(lambda load=load: len(load.told) > 100)
            server.kill()
        told += [one.ident for one in load.told]
    logged = _logged(office)
    assert len(set(told)) == len(told)
    assert set(told) <= set(logged)
    assert len(set(logged)) == len(logged)


def test_a_stop_answers_what_was_asked_and_counts_all_of_it(office: Path, rows: Rows) -> None:
    with Served(office) as server, Load(server.url, rows, clients=4, pause=0.002) as load:
        _eventually(lambda: len(load.told) > 50)
        assert server.stop() == 0
    assert not load.refused
    assert sorted(_logged(office)) == sorted(one.ident for one in load.told)
    assert not list((office / ".tenure" / "journal").glob("*.journal"))


def test_a_killed_worker_is_replaced_and_the_others_go_on(office: Path, rows: Rows) -> None:
    with Served(office, "--workers", "2") as server, Load(server.url, rows, clients=4) as load:
        _eventually(lambda: len(load.told) > 50)
        before = _workers(server)
        os.kill(before[0], signal.SIGKILL)
        _eventually(lambda: len(_workers(server)) == 2 and _workers(server) != before)
        seen = len(load.told)
        _eventually(lambda: len(load.told) > seen + 100)
    assert not load.refused
    assert {one.ident for one in load.told} <= set(_logged(office))


def _workers(server: Served) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return sorted(map(int, children))


def test_the_workers_end_with_their_parent(office: Path) -> None:
    with Served(office, "--workers", "2") as server:
        workers = _workers(server)
        server.process.kill()
        server.process.wait()
        _eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_every_answer_after_a_swap_is_by_the_new_version(office: Path, rows: Rows, tmp_path: Path) -> None:
    with open_workspace(office, actor="test") as workspace:
        second = _second(workspace, tmp_path, rows)
        with Served(office, "--workers", "2") as server, Load(server.url, rows, clients=4) as load:
            _eventually(lambda: len(load.told) > 50)
            moved = []
            for number in (second, 1, second):
                workspace.registry.move({Alias.CHAMPION: number}, actor="test", reason="swap")
                moved.append((time.monotonic(), f"v{number}"))
                seen = len(load.told)
                _eventually(lambda seen=seen: len(load.told) > seen + 50)
    assert not load.refused
    assert not load.broken
    for (at, version), (until, _) in zip(moved, [*moved[1:], (float("inf"), "")], strict=True):
        within = {one.version for one in load.told if one.asked > at and one.answered < until}
        assert within == {version}


def test_answers_go_on_while_postgresql_is_away_and_are_logged_when_it_is_back(
    postgres_server: Any, postgres_office: Path, rows: Rows
) -> None:
    with Served(postgres_office, "--workers", "2") as server, Load(server.url, rows, clients=2, pause=0.002) as load:
        _eventually(lambda: len(load.told) > 20)
        postgres = postgres_server.get_pid()
        os.kill(postgres, signal.SIGQUIT)
        _eventually(lambda: not Path(f"/proc/{postgres}").exists())
        seen = len(load.told)
        _eventually(lambda: len(load.told) > seen + 50)
        with pytest.raises(urllib.error.HTTPError) as away:
            _post(server.url, {"rows": rows[:1], "ids": ["mine"]})
        assert away.value.code == 503
        assert away.value.headers["Retry-After"] == "1"
        postgres_server.ensure_postgres_running()
        _eventually(lambda: _is_taken(server.url, rows))
    assert not load.refused
    assert {one.ident for one in load.told} <= set(_logged(postgres_office))


def _is_taken(url: str, rows: Rows) -> bool:
    try:
        return bool(_post(url, {"rows": rows[:1], "ids": ["mine"]})["predictions"])
    except urllib.error.HTTPError:
        return False


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(f"{url}/predict", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        said: dict[str, Any] = json.load(answer)
        return said
