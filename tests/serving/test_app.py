"""The HTTP face over a real project, and the real server over a real socket."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tenure.core.errors import ConfigError
from tenure.core.lifecycle import Alias
from tenure.core.modelling import Task
from tenure.engine.workspace import Workspace, open_workspace
from tenure.model.bundle import WeightedMember, write_bundle
from tenure.model.members.constant import ConstantMember
from tenure.serving.app import create_app
from tenure.serving.server import serve_forever

HERE = "http://127.0.0.1"


@pytest.fixture
def workspace(office: Path) -> Iterator[Workspace]:
    with open_workspace(office, actor="server") as opened:
        yield opened


@pytest.fixture
def client(workspace: Workspace) -> TestClient:
    return TestClient(create_app(workspace), base_url=HERE, raise_server_exceptions=False)


def _rows(office: Path, count: int = 3) -> list[dict[str, Any]]:
    return pl.read_csv(office / "data" / "first.csv").head(count).drop("left").to_dicts()


def test_an_answered_prediction_is_in_the_log_with_its_id_and_version(
    client: TestClient, workspace: Workspace, office: Path
) -> None:
    answer = client.post("/predict", json={"rows": _rows(office)})
    assert answer.status_code == 200
    body = answer.json()
    assert body["version"] == "v1"
    for row, said in zip(_rows(office), body["predictions"], strict=True):
        logged = workspace.traffic.prediction(said["id"])
        assert logged.version == 1
        assert logged.probabilities[-1] == said["probability"]
        assert logged.key == row["customer"]
        assert logged.features["strong"] == row["strong"]


def test_the_server_says_what_the_batch_path_says(client: TestClient, workspace: Workspace, office: Path) -> None:
    rows = _rows(office, 50)
    said = client.post("/predict", json={"rows": rows}).json()["predictions"]
    batch = workspace.scorer(workspace.champion()).score(pl.DataFrame(rows)).probabilities
    assert batch is not None
    assert [one["probability"] for one in said] == pytest.approx(batch[:, -1].tolist(), abs=1e-12)


def test_a_row_that_lacks_a_column_is_refused_by_name(client: TestClient, workspace: Workspace, office: Path) -> None:
    row = _rows(office, 1)[0]
    del row["strong"]
    answer = client.post("/predict", json={"rows": [row]})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "schema-changed"
    assert "strong" in answer.json()["detail"]
    assert workspace.traffic.prediction_count() == 0


def test_unseen_levels_empty_cells_and_further_columns_are_answered(client: TestClient, office: Path) -> None:
    row = _rows(office, 1)[0] | {"plan": "never seen", "noise": None, "more": "harmless"}
    answer = client.post("/predict", json={"rows": [row]})
    assert answer.status_code == 200
    assert 0 <= answer.json()["predictions"][0]["probability"] <= 1
    assert answer.headers["x-prediction-id"] == answer.json()["predictions"][0]["id"]


def test_a_request_sent_twice_gets_its_first_answer_and_an_id_stands_for_one_row(
    client: TestClient, workspace: Workspace, office: Path
) -> None:
    one, two, three = _rows(office, 3)
    first = client.post("/predict", json={"rows": [one, two], "ids": ["a", "b"]})
    assert client.post("/predict", json={"rows": [one, two], "ids": ["a", "b"]}).json() == first.json()
    assert client.post("/predict", json={"rows": [three], "ids": ["a"]}).status_code == 422
    assert client.post("/predict", json={"rows": [two, three], "ids": ["new", "a"]}).status_code == 422
    assert client.post("/predict", json={"rows": [one, two], "ids": ["c", "c"]}).status_code == 422
    assert workspace.traffic.prediction_count() == 2


def test_an_answer_of_an_earlier_version_keeps_that_versions_classes(
    client: TestClient, workspace: Workspace, office: Path, tmp_path: Path
) -> None:
    learnt = workspace.scorer(workspace.champion()).model
    for name, classes in (("old", ("a", "b", "c")), ("new", ("a", "b", "c", "d"))):
        chances = [0.4, 0.3, 0.2, 0.1][: len(classes) - 1]
        member = ConstantMember(Task.MULTICLASS, [*chances, 1 - sum(chances)])
        model = replace(
            learnt,
            task=Task.MULTICLASS,
            classes=classes,
            members=(WeightedMember("same", 1.0, member),),
            temperature=1.0,
            threshold=None,
        )
        write_bundle(model, tmp_path / name, sample=pl.DataFrame(_rows(office)))
        bundle = workspace.context.artifacts.put_tree(tmp_path / name)
        version = workspace.registry.register(bundle, run_id=name, leaderboard="", actor="test")
        workspace.registry.move({Alias.CHAMPION: version.number}, actor="test", reason=name)
        answer = client.post("/predict", json={"rows": _rows(office, 1), "ids": ["one"]}).json()
        assert answer["version"] == version.label
        assert answer["predictions"][0]["version"] == "v2"
        assert list(answer["predictions"][0]["probabilities"]) == ["a", "b", "c"]


def test_outcomes_join_late_repeated_corrected_and_before_their_prediction(
    client: TestClient, workspace: Workspace, office: Path
) -> None:
    def send(**item: Any) -> dict[str, int]:
        counts: dict[str, int] = client.post("/outcomes", json={"outcomes": [item]}).json()
        return counts

    client.post("/predict", json={"rows": _rows(office, 1), "ids": ["one"]})
    assert send(id="one", outcome="no", known_at="2027-01-01T00:00:00Z")["joined"] == 1
    assert send(id="one", outcome="no", known_at="2027-01-01T00:00:00Z")["repeated"] == 1
    assert send(id="one", outcome="yes", known_at="2027-01-02T00:00:00Z")["corrected"] == 1
    assert send(id="later", outcome="yes", known_at="2027-01-02T00:00:00Z")["waiting"] == 1
    client.post("/predict", json={"rows": _rows(office, 1), "ids": ["later"]})
    known = workspace.traffic.outcome_of("one"), workspace.traffic.outcome_of("later")
    assert [outcome.value for outcome in known if outcome is not None] == ["yes", "yes"]


def test_a_new_champion_answers_at_once(client: TestClient, workspace: Workspace, office: Path) -> None:
    champion = workspace.champion()
    workspace.registry.move({Alias.CHAMPION: None}, actor="test", reason="nobody in office")
    assert client.get("/health").status_code == 503
    workspace.registry.move({Alias.CHAMPION: champion.number}, actor="test", reason="back")
    assert client.get("/health").json()["version"] == "v1"


def test_the_openapi_document_holds_the_row_of_the_model(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    row = document["components"]["schemas"]["PredictRequest"]["properties"]["rows"]["items"]
    assert row == {"$ref": "#/components/schemas/Row"}
    row = document["components"]["schemas"]["Row"]
    schema = client.get("/schema").json()
    assert row == schema | {"examples": row["examples"]}
    assert set(row["required"]) == {"strong", "plan", "noise"}


# Every character, halves of surrogate pairs and NUL too.
_TEXT = st.text(st.characters(exclude_categories=()), max_size=8) | st.sampled_from(["\ud800", "a\0b", "plus"])
_CELL = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
_ANYTHING = st.recursive(
    _CELL,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["rows", "ids", "strong", "plan", "noise", "outcomes"]), inner, max_size=4)
    ),
    max_leaves=12,
)
_ROW = st.fixed_dictionaries(
    {"strong": st.floats(-3, 3) | _CELL, "plan": _TEXT | _CELL, "noise": st.none() | _CELL},
    optional={"customer": _TEXT | _CELL, "\ud800": _CELL},
)
_ASKED = st.lists(_ROW, min_size=1, max_size=3).flatmap(
    lambda rows: (
        st.just({"rows": rows})
        | st.lists(_TEXT, min_size=len(rows), max_size=len(rows)).map(lambda ids: {"rows": rows, "ids": ids})
    )
)
_NEWS = st.fixed_dictionaries(
    {"outcome": st.sampled_from(["yes", "no"]) | _CELL},
    optional={
        "id": _TEXT,
        "key": _TEXT | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        "known_at": st.sampled_from(["2026-01-31", "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-02:00"]) | _TEXT,
    },
)
_TOLD = st.lists(_NEWS, min_size=1, max_size=3).map(lambda news: {"outcomes": news})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sent=st.tuples(st.sampled_from(["/predict", "/outcomes"]), _ANYTHING)
    | st.tuples(st.just("/predict"), _ASKED)
    | st.tuples(st.just("/outcomes"), _TOLD)
)
def test_no_body_makes_the_server_fail(client: TestClient, sent: tuple[str, Any]) -> None:
    route, body = sent
    answer = client.post(route, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400, 422), answer.text


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/predict", {"rows": [{"strong": 1.0, "plan": "\ud800", "noise": None}]}),
        ("/predict", {"rows": [{"strong": 1.0, "plan": "max", "noise": None, "customer": "a\0b"}]}),
        ("/predict", {"rows": [{"strong": 1.0, "plan": "max", "noise": None}], "ids": ["a\0b"]}),
        ("/predict", {"rows": [{"strong": 1.0, "plan": "max", "noise": None}], "ids": ["\udfff"]}),
        ("/predict", {"rows": [{"\ud800": [1]}]}),
        ("/outcomes", {"outcomes": [{"id": "\ud800", "outcome": "yes"}]}),
        ("/outcomes", {"outcomes": [{"key": "a\0b", "outcome": "yes"}]}),
        ("/outcomes", {"outcomes": [{"id": "a", "outcome": "\ud800"}]}),
    ],
)
def test_text_that_no_database_keeps_is_refused(
    client: TestClient, workspace: Workspace, route: str, body: dict[str, Any]
) -> None:
    answer = client.post(route, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert workspace.traffic.prediction_count() == 0


@pytest.mark.parametrize("outcome", ["banana", True, 1, 0.5])
def test_an_outcome_that_the_target_cannot_have_is_refused(client: TestClient, outcome: object) -> None:
    answer = client.post("/outcomes", json={"outcomes": [{"id": "a", "outcome": outcome}]})
    assert answer.status_code == 422
    assert answer.json()["code"] == "outcome-invalid"
    assert "no, yes" in answer.json()["hint"]


def test_outcomes_are_taken_while_no_model_is_in_office(client: TestClient, workspace: Workspace) -> None:
    workspace.registry.move({Alias.CHAMPION: None}, actor="test", reason="withdrawn")
    answer = client.post("/outcomes", json={"outcomes": [{"id": "a", "outcome": "yes"}]})
    assert answer.json()["waiting"] == 1


def test_a_key_is_the_same_text_in_a_prediction_and_its_outcome(client: TestClient, office: Path) -> None:
    row = _rows(office, 1)[0] | {"customer": 5000.0}
    client.post("/predict", content=json.dumps({"rows": [row]}), headers={"Content-Type": "application/json"})
    news = [{"key": key, "outcome": "yes", "known_at": "2999-01-01"} for key in (5000, 5000.0, "5000", "05000")]
    counts = client.post("/outcomes", json={"outcomes": news}).json()
    assert (counts["joined"], counts["repeated"], counts["waiting"]) == (1, 2, 1)


def test_an_oversized_body_is_refused_declared_or_not(client: TestClient) -> None:
    assert client.post("/predict", content=b"x" * 17_000_000).status_code == 413

    def chunks() -> Iterator[bytes]:
        for _ in range(17):
            yield b" " * 1_000_000

    assert client.post("/predict", content=chunks()).status_code == 413


def test_a_token_is_asked_for_where_one_is_set(workspace: Workspace, office: Path) -> None:
    guarded = TestClient(create_app(workspace, token="right"))
    body = {"rows": _rows(office, 1)}
    assert guarded.post("/predict", json=body).status_code == 401
    assert guarded.post("/predict", json=body, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert guarded.post("/predict", json=body, headers={"Authorization": "Bearer right"}).status_code == 200
    assert guarded.get("/health").status_code == 200
    for page in ("/openapi.json", "/docs", "/schema"):
        assert guarded.get(page).status_code == 401
        assert guarded.get(page, headers={"Authorization": "Bearer right"}).status_code == 200
    assert guarded.get("/redoc").status_code == 404


def test_the_page_names_every_route_and_loads_nothing(client: TestClient) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert f" {path}</code>" in page
    assert not re.search(r"<script|<link|<img|@import|url\(|src=|https?://", page)
    assert "strong" in page


def test_the_server_does_not_go_beyond_loopback_without_a_token(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENURE_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="there is no token"):
        serve_forever(workspace, host="0.0.0.0", port=0, ready=lambda url: None)


def test_the_real_server_answers_over_a_socket_and_stops_politely(office: Path) -> None:
    command = [sys.executable, "-m", "tenure", "serve", "--port", "0", "--project", str(office), "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"}
    )
    assert process.stderr is not None
    try:
        url = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        body = json.dumps({"rows": _rows(office)}).encode()
        request = urllib.request.Request(f"{url}/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert len(json.load(answer)["predictions"]) == 3
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert json.loads(out)["result"]["answered"] == 3
