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
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tenure.core.errors import ConfigError
from tenure.engine.workspace import Workspace, open_workspace
from tenure.serving.app import create_app
from tenure.serving.server import serve_forever


@pytest.fixture
def workspace(office: Path) -> Iterator[Workspace]:
    with open_workspace(office, actor="server") as opened:
        yield opened


@pytest.fixture
def client(workspace: Workspace) -> TestClient:
    return TestClient(create_app(workspace), raise_server_exceptions=False)


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
    assert client.post("/predict", json={"rows": [one, two], "ids": ["c", "c"]}).status_code == 422
    assert workspace.traffic.prediction_count() == 2


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
    from tenure.core.lifecycle import Alias

    champion = workspace.champion()
    workspace.registry.move({Alias.CHAMPION: None}, actor="test", reason="nobody in office")
    assert TestClient(create_app(workspace)).get("/health").status_code == 503
    workspace.registry.move({Alias.CHAMPION: champion.number}, actor="test", reason="back")
    assert client.get("/health").json()["version"] == "v1"


def test_the_openapi_document_holds_the_row_of_the_model(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    row = document["components"]["schemas"]["PredictRequest"]["properties"]["rows"]["items"]
    assert row == client.get("/schema").json()
    assert set(row["required"]) == {"strong", "plan", "noise"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["rows", "ids", "strong", "plan", "noise", "outcomes"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_no_body_makes_the_server_fail(client: TestClient, body: Any) -> None:
    for route in ("/predict", "/outcomes"):
        answer = client.post(route, json=body)
        assert answer.status_code in (200, 422), answer.text


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


def test_the_server_does_not_go_beyond_loopback_without_a_token(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENURE_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="no token is set"):
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
