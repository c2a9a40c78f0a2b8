"""The comparison of servers: the model that all carry, real servers, and the tables from planted figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from peers.meter import family
from peers.servers.board import report
from peers.servers.kinds import APPS, Server, server_named
from peers.servers.live import Live, ServerFailed
from peers.servers.load import figures_of, wrk_program
from peers.servers.model import Prepared, prepare, write_project_file
from peers.suite import catalogue

from tenure.engine.workspace import open_workspace

PROGRAMS = Path(sys.executable).parent
BATCH = 40


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, make_suite: Any) -> Prepared:
    """Return the model and the requests for a small set with missing numbers and a level never seen before."""
    suite, folder = tmp_path_factory.mktemp("suite"), tmp_path_factory.mktemp("servers")
    make_suite(suite)
    entry = catalogue(suite, ["leavers"])[0]
    rows = pl.read_parquet(entry.path)
    plan = rows["plan"].cast(pl.String).scatter(range(0, rows.height, 29), None)
    rows.with_columns(plan=plan.scatter(range(1, rows.height, 97), "new")).write_parquet(entry.path)
    return prepare(entry, folder, {}, batch=BATCH)


def _asked(prepared: Prepared, server: Server, model: Path, log: Path) -> tuple[list[float], list[float], Live]:
    """Return the answers of a running server to single rows and to a table, and the server after it was stopped.

    It is also held against a wrong answer, which must not pass.
    """
    singles = prepared.bodies(server, 1).read_bytes().splitlines()[:BATCH]
    tables = prepared.bodies(server, BATCH).read_bytes().splitlines()
    with Live(server, model, PROGRAMS, log) as live:
        assert live.until_it_answers(singles[0], prepared.expected[:1]) > 0
        one_by_one = [probability for body in singles for probability in live.ask(body, rows=1)]
        at_once = live.ask(tables[0], rows=BATCH)
        with pytest.raises(ServerFailed, match=r"not \[0\.123\]"):
            live.until_it_answers(singles[0], [0.123])
        memory = live.memory()
        started = family(live.process)
    assert memory["processes"] == len(started) >= 1
    assert 0 < memory["pss_mb"] <= memory["rss_mb"]
    assert family(live.process) == []
    return one_by_one, at_once, live


@pytest.mark.parametrize("name", ["fastapi-pandas", "fastapi-array"])
def test_peers_give_the_probabilities_of_our_bundle(name: str, prepared: Prepared, tmp_path: Path) -> None:
    server = server_named(name)
    one_by_one, at_once, _ = _asked(prepared, server, prepared.model_of(server), tmp_path / "log")
    assert one_by_one == pytest.approx(prepared.expected[:BATCH], abs=1e-9)
    assert at_once == pytest.approx(prepared.expected[:BATCH], abs=1e-9)


def test_our_server_gives_them_too_and_its_log_holds_every_row(prepared: Prepared, tmp_path: Path) -> None:
    server = server_named("tenure")
    project = prepared.model_of(server)
    one_by_one, at_once, live = _asked(prepared, server, project, tmp_path / "log")
    assert one_by_one == pytest.approx(prepared.expected[:BATCH], abs=1e-9)
    assert at_once == pytest.approx(prepared.expected[:BATCH], abs=1e-9)
    with open_workspace(project) as workspace:
        assert workspace.traffic.prediction_count() == live.answered == 2 * BATCH + 2


def test_a_server_that_cannot_start_says_why(prepared: Prepared, tmp_path: Path) -> None:
    write_project_file(tmp_path, {"wokers": 2}, target="left", positive="no")
    live = Live(server_named("tenure"), tmp_path, PROGRAMS, tmp_path / "log")
    with pytest.raises(ServerFailed, match=r"did not start: .*wokers"), live:
        live.until_it_answers(b"{}", [0.5])


def test_every_server_gets_the_same_rows(prepared: Prepared) -> None:
    singles = {name: prepared.bodies(server_named(name), 1) for name in ("tenure", "mlflow", "litserve")}
    ours, mlflow, peers = (path.read_text() for path in singles.values())
    assert ours == peers == mlflow.replace('"dataframe_records"', '"rows"')
    assert len(ours.splitlines()) == len(prepared.expected) == 2 * BATCH
    assert prepared.about == {"set": "leavers", "columns": 4, "trees": 200}


def test_a_number_behind_a_peer_is_its_workers() -> None:
    assert (server_named("fastapi-array").workers, server_named("fastapi-array-2").workers) == (1, 2)
    assert server_named("fastapi-array-plain-2").workers == 2
    assert dict(server_named("tenure-2").serving or {}) == {"workers": 2}
    for name in ("nowhere", "tenure-3", "mlflow-0"):
        with pytest.raises(SystemExit, match=f"no server {name}"):
            server_named(name)


def test_without_wrk_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt-get install wrk"):
        wrk_program()


def test_apps_of_peers_know_nothing_of_ours() -> None:
    for app in APPS.glob("*.py"):
        assert "tenure" not in app.read_text()


# ---- what wrk says ----


def _said(requests: int = 1000, refused: int = 0) -> str:
    return (
        "Running 2s test\n"
        f'FIGURES {{"requests": {requests}, "seconds": 2.0, "p50_ms": 1.0, "p90_ms": 2.0, "p99_ms": 3.0, '
        f'"max_ms": 4.0, "refused": {refused}, "connect": 0, "read": 0, "write": 0, "timeout": 0}}\n'
    )


def test_a_load_without_errors_has_none() -> None:
    figures = figures_of(_said())
    assert (figures["error"], figures["requests"], figures["p99_ms"]) == ("", 1000, 3.0)


@pytest.mark.parametrize(
    ("said", "error"),
    [(_said(refused=7), "7 refused"), (_said(requests=0), "no answer"), ("cannot connect", "wrk said: cannot connect")],
)
def test_a_load_with_errors_is_a_failed_one(said: str, error: str) -> None:
    assert figures_of(said)["error"] == error


# ---- tables ----


def _record(server: str, number: int, rate: float, p99: float, **more: Any) -> dict[str, Any]:
    figures = {"p50_ms": p99 / 2, "p99_ms": p99, "error": ""}
    return {
        "server": server,
        "version": "1.0",
        "round": number,
        "at": "2026-11-25T20:00:00+00:00",
        "load": 0.1,
        "cores": 2,
        "processor": "a processor",
        "memory_gib": 24,
        "python": "3.11.7",
        "file_system": "ext4",
        "set": "leavers",
        "columns": 4,
        "trees": 200,
        "seconds": 10,
        "error": "",
        "start_s": 0.5,
        "rss_mb": 120.0,
        "pss_mb": 100.0,
        "processes": 3,
        "runs": [
            {"rows": 1, "connections": 8, "requests_s": rate, **figures},
            {"rows": 1000, "connections": 1, "requests_s": rate / 100, **figures},
        ],
    } | more


def _logged(more: int) -> dict[str, int]:
    return {"answered": 1000, "logged": 1000 + more, "on_their_way": 9}


def test_figures_are_medians_of_rounds_beside_ours() -> None:
    ours = [_record("tenure", at, rate, 2.0, **_logged(3)) for at, rate in enumerate([900.0, 1000.0, 5000.0])]
    text = report([*ours, _record("mlflow", 0, 80.0, 10.0, start_s=2.0, pss_mb=300.0)])
    assert "| tenure | 1,000 | 1 / 2 | 10,000 | 1 / 2 | 0.50 | 120 / 100 | 3 |" in text
    assert "| mlflow | 80 (12) | 5 / 10 (5) | 800 (12) | 5 / 10 (5) | 2.00 (4) | 120 / 300 (3) | 3 |" in text
    assert "median of 3 rounds" in text
    assert "- `tenure` is ahead of mlflow on requests/s and p99 at every number of connections." in text
    assert "- 12.5 times the requests/s of mlflow, 8 connections\n" in text + "\n"
    assert "### Failed" not in text


def test_where_ours_is_behind_is_said() -> None:
    text = report([_record("tenure", 0, 100.0, 9.0), _record("mlflow", 0, 50.0, 2.0), _record("fast", 0, 300.0, 9.5)])
    assert "- behind mlflow, 8 connections, p99: 9 against 2" in text
    assert "- behind fast, 8 connections, requests/s: 100 against 300" in text
    assert "- 2.0 times the requests/s of mlflow, 8 connections, less than 10" in text
    assert "is ahead of" not in text


def test_a_failed_load_fails_the_cell_however_well_others_went() -> None:
    bad = _record("mlflow", 1, 90.0, 5.0)
    bad["runs"][0] = {"rows": 1, "connections": 8, "error": "7 refused"}
    text = report([_record("tenure", 0, 100.0, 2.0), _record("mlflow", 0, 90.0, 5.0), bad])
    assert "| mlflow | failed | failed | 900 (1.1) |" in text
    assert "- mlflow: 8 connections: 7 refused" in text


def test_ours_that_failed_is_not_ahead() -> None:
    failed = {"error": "did not start", "runs": [], "start_s": None, "rss_mb": None, "pss_mb": None}
    text = report([_record("tenure", 0, 1.0, 1.0, **failed), _record("mlflow", 0, 90.0, 5.0)])
    assert "| tenure | failed | failed | failed | failed | failed | failed | - |" in text
    assert "- behind mlflow, 8 connections, requests/s: failed" in text


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (3, "1,003 in the log: 3 more, of at most 9 on their way when a load stopped."),
        (-2, "998 in the log: **2 MISSING**."),
        (50, "1,050 in the log: **50 more, but only 9 can have been on their way**."),
    ],
)
def test_the_log_is_held_against_what_was_answered(more: int, told: str) -> None:
    assert told in report([_record("tenure", 0, 100.0, 1.0, **_logged(more))])
