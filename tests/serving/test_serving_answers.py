"""Who answers which rows, what is kept of it, and what is refused, over the application of one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from tenure.core.errors import DiskFullError
from tenure.core.ladder import Rung, Step
from tenure.core.lifecycle import Alias
from tenure.engine.answering import Ids
from tenure.engine.workspace import Workspace, open_workspace
from tenure.model.bundle import write_bundle
from tenure.serving.app import create_app
from tenure.serving.commit import GroupCommit
from tenure.state.journal import Journal
from tenure.state.ladder import Ladder

Rows = list[dict[str, Any]]
Ask = Callable[..., Any]


@pytest.fixture
def rows(office: Path) -> Rows:
    return pl.read_csv(office / "data" / "first.csv").head(200).drop("left").to_dicts()


@pytest.fixture
def serve(office: Path) -> Iterator[Callable[..., TestClient]]:
    """Return a function that opens the project with these keys in `[serving]` and gives a client of its server."""
    opened: list[Workspace] = []

    def make(more: str = "") -> TestClient:
        file = office / "tenure.toml"
        file.write_text(f"{file.read_text()}\n[serving]\n{more}\n")
        opened.append(open_workspace(office, actor="server"))
        return TestClient(create_app(opened[-1]), base_url="http://127.0.0.1")

    yield make
    for workspace in opened:
        workspace.close()


def _challenger(office: Path, rows: Rows) -> None:
    """Put a challenger beside the champion, with a threshold that nobody reaches."""
    with open_workspace(office, actor="test") as workspace:
        model = workspace.scorer(workspace.champion()).model
        write_bundle(replace(model, threshold=1.1), office / "second", sample=pl.DataFrame(rows[:50]))
        bundle = workspace.context.artifacts.put_tree(office / "second")
        version = workspace.registry.register(bundle, run_id="second", leaderboard="", actor="test")
        workspace.registry.move({Alias.CHALLENGER: version.number}, actor="test", reason="to be tried")


def _predict(client: TestClient, rows: Rows, **more: Any) -> list[dict[str, Any]]:
    answer = client.post("/predict", json={"rows": rows, **more})
    assert answer.status_code == 200, answer.text
    said: list[dict[str, Any]] = answer.json()["predictions"]
    return said


def _joined(office: Path) -> pl.DataFrame:
    with open_workspace(office) as workspace:
        return workspace.traffic.joined()


def test_the_canary_gets_the_same_keys_every_time_and_about_its_share(
    serve: Callable[..., TestClient], office: Path, rows: Rows
) -> None:
    _challenger(office, rows)
    client = serve("canary = 0.3")
    first = {row["customer"]: said["version"] for row, said in zip(rows, _predict(client, rows), strict=True)}
    again = {
        row["customer"]: said["version"] for row, said in zip(rows, _predict(client, rows[::-1])[::-1], strict=True)
    }
    assert first == again
    assert 0.2 < sum(version == "v2" for version in first.values()) / len(rows) < 0.4
    kept = _joined(office)
    assert dict(zip(kept["key"], (f"v{number}" for number in kept["version"]), strict=True)) == first
    assert {said["prediction"] for said in _predict(client, rows) if said["version"] == "v2"} == {"no"}


def test_the_shadow_answers_after_the_champion_and_nobody_hears_it(
    serve: Callable[..., TestClient], office: Path, rows: Rows
) -> None:
    _challenger(office, rows)
    with serve("shadow = 1.0\nshadow_cpu = 1.0") as client:
        said = _predict(client, rows[:20])
        assert {one["version"] for one in said} == {"v1"}
    with open_workspace(office) as workspace:
        beside = workspace.traffic.shadowed(2)
    assert set(beside["id"]) == {one["id"] for one in said}


def test_a_challenger_on_the_ladder_does_what_its_step_says_from_the_next_request_on(
    serve: Callable[..., TestClient], office: Path, rows: Rows
) -> None:
    _challenger(office, rows)
    sides: list[set[str]] = []
    with serve("shadow_cpu = 1.0") as client, open_workspace(office, actor="test") as workspace:
        assert {one["version"] for one in _predict(client, rows)} == {"v1"}
        ladder = Ladder(workspace.registry)
        rung = Rung(2, 1, Step.SHADOW, 0.0, "2026-01-01T00:00:00+00:00", "gate", "run", "beside")
        assert ladder.step(rung, after=None, actor="test")
        beside = {one["id"] for one in _predict(client, rows[:30])}
        for share in (0.05, 0.25):
            now = replace(rung, step=Step.CANARY, share=share)
            assert ladder.step(now, after=ladder.standing(), actor="test")
            said = _predict(client, rows)
            sides.append({row["customer"] for row, one in zip(rows, said, strict=True) if one["version"] == "v2"})
        workspace.registry.move({Alias.CHAMPION: 2, Alias.PREVIOUS: 1}, actor="test", reason="by hand")
        workspace.registry.move({Alias.CHAMPION: 1, Alias.CHALLENGER: 2}, actor="test", reason="and back")
        assert ladder.step(replace(rung, step=Step.WITHDRAWN), after=ladder.standing(), actor="test")
        assert {one["version"] for one in _predict(client, rows)} == {"v1"}
    assert sides[0] < sides[1]
    assert 0.15 < len(sides[1]) / len(rows) < 0.35
    with open_workspace(office) as workspace:
        assert set(workspace.traffic.shadowed(2)["id"]) == beside


def test_reasons_and_the_action_come_where_they_are_asked_for(
    serve: Callable[..., TestClient], office: Path, rows: Rows
) -> None:
    client = serve()
    plain = _predict(client, rows[:5])
    assert not any("reasons" in one or "action" in one for one in plain)
    told = _predict(client, rows[:5], reasons=2, action=True)
    with open_workspace(office) as workspace:
        effects = workspace.scorer(workspace.champion()).explain(pl.DataFrame(rows[:5])).drop("base").to_dicts()
    for one, effect in zip(told, effects, strict=True):
        assert one["action"] == ("act" if one["prediction"] == "yes" else "none")
        largest = sorted(effect, key=lambda name: -abs(effect[name]))[:2]
        assert [reason["column"] for reason in one["reasons"]] == largest
        assert one["reasons"][0]["contribution"] == pytest.approx(effect[largest[0]])


def test_a_table_of_rows_is_answered_like_its_rows(serve: Callable[..., TestClient], rows: Rows) -> None:
    client = serve()
    together = _predict(client, rows)
    alone = [_predict(client, [row])[0] for row in rows[:30]]
    assert [one["probability"] for one in together[:30]] == [one["probability"] for one in alone]


def test_a_quarantined_row_is_answered_and_kept_from_learning(
    serve: Callable[..., TestClient], office: Path, rows: Rows
) -> None:
    client = serve('bad_fields = "quarantine"')
    bad = _predict(client, [rows[0], rows[1] | {"strong": "many"}])[1]
    assert bad["violations"] == [{"field": "strong", "rule": "type"}]
    with open_workspace(office) as workspace:
        assert workspace.traffic.prediction(bad["id"]).quarantined
        assert bad["id"] not in workspace.traffic.joined()["id"]
        assert workspace.traffic.quarantined_count() == 1


def test_a_strict_field_refuses_the_request_and_nothing_is_kept(
    serve: Callable[..., TestClient], office: Path, rows: Rows
) -> None:
    client = serve('bad_fields = "strict"')
    answer = client.post("/predict", json={"rows": [rows[0], rows[1] | {"strong": "many"}]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["rows", 1, "strong"]
    assert _joined(office).is_empty()


def test_a_request_with_an_idempotency_key_is_answered_once(
    serve: Callable[..., TestClient], office: Path, rows: Rows
) -> None:
    client = serve()
    sent = [
        client.post("/predict", json={"rows": rows[:2]}, headers={"Idempotency-Key": "again"}).json() for _ in range(3)
    ]
    assert sent[0] == sent[1] == sent[2]
    assert len(_joined(office)) == 2


def test_a_full_backlog_refuses_instead_of_dropping(serve: Callable[..., TestClient], office: Path, rows: Rows) -> None:
    with serve("log_backlog_mb = 0.001") as client:
        _predict(client, rows)
        answer = client.post("/predict", json={"rows": rows[:1]})
        for _ in range(40):
            if answer.status_code != 200:
                break
            client.portal.call(asyncio.sleep, 0.05)  # type: ignore[union-attr]
            answer = client.post("/predict", json={"rows": rows[:1]})
        assert answer.status_code == 503
        assert answer.json()["code"] == "log-full"
        assert answer.headers["retry-after"] == "1"
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("mode", ["async", "written"])
def test_with_a_quicker_log_a_stop_still_writes_everything(
    serve: Callable[..., TestClient], office: Path, rows: Rows, mode: str
) -> None:
    with serve(f'log = "{mode}"') as client:
        said = _predict(client, rows)
    assert set(_joined(office)["id"]) == {one["id"] for one in said}


def test_a_page_of_a_known_origin_may_call_and_another_may_not(serve: Callable[..., TestClient], rows: Rows) -> None:
    client = serve('allow_origins = ["https://shop.example"]')
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origin, allowed in (("https://shop.example", "https://shop.example"), ("https://evil.example", None)):
        before = client.options("/predict", headers={"Origin": origin, **asked})
        assert before.status_code == 204
        assert before.headers.get("access-control-allow-origin") == allowed
        answer = client.post("/predict", json={"rows": rows[:1]}, headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed


def test_an_open_server_answers_only_to_its_own_name(serve: Callable[..., TestClient]) -> None:
    client = serve()
    assert client.get("/schema", headers={"Host": "evil.example"}).status_code == 403
    for host in ("localhost:8400", "127.0.0.1", "[::1]:8400"):
        assert client.get("/schema", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("PUT", "/health", 405), ("GET", "/x", 404)]
)
def test_what_cannot_be_asked_is_said_so(serve: Callable[..., TestClient], method: str, path: str, status: int) -> None:
    answer = serve().request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (status == 405) == ("allow" in answer.headers)


def test_ids_are_uuids_of_version_7_and_rise_with_time() -> None:
    from uuid import UUID

    ids = Ids()
    made = [ids.new() for _ in range(5_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)
    assert {UUID(one).version for one in made} == {7}
    assert {UUID(one).variant for one in made} == {"specified in RFC 4122"}


class _FullJournal(Journal):
    def append(self, lines: object, *, sync: bool = True) -> None:
        raise DiskFullError("There is no space left.", hint="Free some.")


def test_requests_share_a_sync_and_all_hear_of_a_full_disk(tmp_path: Path) -> None:
    class Counted(Journal):
        syncs = 0

        def append(self, lines: Any, *, sync: bool = True) -> None:
            self.syncs += 1
            super().append(lines, sync=sync)

    async def ask(journal: Journal, count: int) -> list[Any]:
        commit = GroupCommit(journal, "durable")
        return await asyncio.gather(*(commit.keep([b"x\n"]) for _ in range(count)), return_exceptions=True)

    counted = Counted(tmp_path / "journal")
    assert asyncio.run(ask(counted, 20)) == [None] * 20
    assert counted.syncs == 1
    assert all(isinstance(one, DiskFullError) for one in asyncio.run(ask(_FullJournal(tmp_path), 20)))


def test_lines_that_follow_later_wait_for_a_disk_that_is_full_and_nothing_more_is_taken_on(tmp_path: Path) -> None:
    class Filling(Journal):
        is_full = True

        def append(self, lines: Any, *, sync: bool = True) -> None:
            if self.is_full:
                raise DiskFullError("There is no space left.", hint="Free some.")
            super().append(lines, sync=sync)

    async def ask(journal: Filling) -> None:
        commit = GroupCommit(journal, "async")
        await commit.keep([b"first\n"])
        await asyncio.sleep(0.1)
        with pytest.raises(DiskFullError):
            await commit.keep([b"second\n"])
        journal.is_full = False
        await asyncio.sleep(1.1)
        await commit.keep([b"third\n"])
        commit.flush()
        journal.close()

    asyncio.run(ask(Filling(tmp_path)))
    assert next(tmp_path.glob("*.journal")).read_bytes() == b"first\nthird\n"


def test_a_repeated_id_gets_its_whole_answer_again(serve: Callable[..., TestClient], rows: Rows) -> None:
    client = serve()
    bad = rows[0] | {"strong": "many"}
    first, again = (_predict(client, [bad], ids=["one"], action=True, reasons=1) for _ in range(2))
    assert first == again
    assert first[0]["action"]
    assert first[0]["violations"]


def test_a_key_that_no_index_takes_is_refused(serve: Callable[..., TestClient], office: Path, rows: Rows) -> None:
    client = serve()
    answer = client.post("/predict", json={"rows": [rows[0] | {"customer": "x" * 6_000}]})
    assert answer.status_code == 422
    assert "customer" in answer.json()["where"]
    assert client.post("/outcomes", json={"outcomes": [{"key": "x" * 6_000, "outcome": "yes"}]}).status_code == 422
    assert _joined(office).is_empty()


@pytest.mark.parametrize("alias", [Alias.CHAMPION, Alias.CHALLENGER])
def test_a_damaged_model_leaves_who_answered_so_far_in_its_place(
    serve: Callable[..., TestClient], office: Path, rows: Rows, alias: Alias
) -> None:
    _challenger(office, rows)
    client = serve("shadow = 0.5")
    with open_workspace(office, actor="test") as workspace:
        workspace.registry.move({Alias.CHALLENGER: None}, actor="test", reason="later")
        assert _predict(client, rows[:1])[0]["version"] == "v1"
        folder = workspace.context.artifacts.get_tree(workspace.registry.version(2).model)
        for path in folder.rglob("*"):
            if path.is_file():
                path.chmod(0o600)
                path.write_bytes(b"damaged")
        workspace.registry.move({alias: 2}, actor="test", reason="damaged")
    assert _predict(client, rows[:1])[0]["version"] == "v1"
