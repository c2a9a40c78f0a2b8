"""The Python client against the real server, and against one that misbehaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from client_servers import HANG_UP, SILENCE, Script, ScriptedServer, Served, reply
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.client import (
    Client,
    Explanation,
    NoAnswerError,
    Outcome,
    OutcomeCounts,
    Prediction,
    ProblemError,
    Reason,
    Violation,
)
from tenure.client.encoding import encoded
from tenure.core.errors import ConfigError, DataError, TemporaryError, TenureError

Start = Callable[[Script], ScriptedServer]
ANSWER = '{"version": "v1", "predictions": [{"id": "a", "prediction": "yes", "probability": 0.75, "version": "v1"}]}'
COUNTS = '{"joined": 1, "repeated": 0, "corrected": 0, "waiting": 0}'
OK = reply(200, ANSWER)


# ---- against the real server ----


def test_it_says_what_the_server_says(client: Client, served: Served) -> None:
    rows, ids = served.rows(5), [f"same-{at}" for at in range(5)]
    said = client.predict(rows, ids=ids)
    request = urllib.request.Request(
        f"{served.url}/predict",
        json.dumps({"rows": rows, "ids": ids}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {served.token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        raw = json.load(answer)
    assert said.version == raw["version"] == "v1"
    assert [one.id for one in said] == ids
    for one, plain in zip(said, raw["predictions"], strict=True):
        assert (one.prediction, one.probability, one.version) == (plain["prediction"], plain["probability"], "v1")
        assert list(one.interval or ()) == plain["interval"]
    assert said[1:3] == said.predictions[1:3]


def test_threads_share_a_client_and_each_gets_its_own_answers(client: Client, served: Served) -> None:
    rows = served.rows(20)
    alone = [client.predict_one(row).probability for row in rows]
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(client.predict_one, rows * 4))
    assert [one.probability for one in said] == alone * 4
    assert len({one.id for one in said}) == len(said)


def test_outcomes_join_and_repeat(client: Client, served: Served) -> None:
    client.predict(served.rows(2), ids=["joins-0", "joins-1"])
    told = [Outcome(id=f"joins-{at}", outcome="yes", known_at="2999-01-01T00:00:00Z") for at in range(2)]
    assert client.outcomes(told) == OutcomeCounts(joined=2, repeated=0, corrected=0, waiting=0)
    again = client.outcome(id="joins-0", outcome="yes", known_at="2999-01-01T00:00:00Z")
    assert again == OutcomeCounts(joined=0, repeated=1, corrected=0, waiting=0)


def test_the_schema_names_the_columns_and_health_the_version(client: Client) -> None:
    assert set(client.schema()["required"]) == {"strong", "plan", "noise"}
    health = client.health()
    assert (health.status, health.project, health.version) == ("ok", "churn", "v1")


def test_cells_of_frames_are_taken_as_they_are(client: Client, served: Served) -> None:
    frame = pl.DataFrame(served.rows(20))
    plain = [one.probability for one in client.predict(frame.to_dicts())]
    pandas_rows = pd.DataFrame(frame.to_dicts()).to_dict("records")
    assert any(isinstance(row["noise"], float) and np.isnan(row["noise"]) for row in pandas_rows)
    assert [one.probability for one in client.predict(pandas_rows)] == plain
    numpy_rows = [row | {"strong": np.float64(row["strong"])} for row in frame.to_dicts()]
    assert [one.probability for one in client.predict(numpy_rows)] == plain


def test_a_frame_itself_is_refused_with_what_to_write_instead(client: Client, served: Served) -> None:
    with pytest.raises(DataError) as refused:
        client.predict(pl.DataFrame(served.rows()))  # type: ignore[arg-type]
    assert "to_dicts()" in refused.value.hint


def test_a_refusal_names_status_code_detail_and_hint(client: Client, served: Served) -> None:
    row = served.rows(1)[0]
    del row["strong"]
    with pytest.raises(ProblemError, match="strong") as refused:
        client.predict_one(row)
    assert (refused.value.status, refused.value.code) == (422, "schema-changed")
    assert refused.value.detail in str(refused.value)
    assert refused.value.hint


def test_a_form_that_does_not_fit_names_the_fields(client: Client) -> None:
    with pytest.raises(ProblemError) as refused:
        client.predict([])
    assert refused.value.status == 422
    assert [one.loc[-1] for one in refused.value.errors] == ["rows"]
    assert refused.value.errors[0].msg in str(refused.value)


def test_a_body_that_is_too_large_is_told_so(client: Client, served: Served) -> None:
    with pytest.raises(ProblemError) as refused:
        client.predict([served.rows(1)[0] | {"more": "x" * 17_000_000}])
    assert refused.value.status == 413


def test_a_wrong_token_is_refused_and_never_shown(served: Served) -> None:
    with Client(served.url, "wrong-secret") as client, pytest.raises(ProblemError) as refused:
        client.schema()
    assert refused.value.status == 401
    assert "tenure token add" in refused.value.hint
    assert "wrong-secret" not in f"{client!r}{refused.value}{refused.value.as_dict()}"


def test_the_token_may_come_from_the_environment(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENURE_TOKEN", served.token)
    with Client(served.url) as client:
        assert client.schema()


def test_a_forked_process_makes_connections_of_its_own(served: Served) -> None:
    code = (
        "import os, sys\nfrom tenure.client import Client\n"
        "client = Client(sys.argv[1])\nclient.schema()\nchild = os.fork()\n"
        "for _ in range(50):\n    assert client.schema()['title'] == 'Row'\n    assert client.health().status == 'ok'\n"
        "if child:\n    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    environment = os.environ | {"TENURE_TOKEN": served.token}
    done = subprocess.run(
        [sys.executable, "-c", code, served.url], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_explanations_add_up_to_the_columns_of_the_model(client: Client, served: Served) -> None:
    explained = client.explain(served.rows(3))
    assert explained.version == "v1"
    assert all({c.column for c in one.contributions} <= {"strong", "plan", "noise"} for one in explained.explanations)
    assert len(explained.explanations) == 3


def test_reasons_and_action_come_on_request(client: Client, served: Served) -> None:
    asked = client.predict(served.rows(2), reasons=2, action=True)
    assert all(1 <= len(one.reasons) <= 2 and one.action for one in asked)
    assert all(not one.reasons and one.action is None for one in client.predict(served.rows(2)))


# ---- against a server that does as a test says ----


def test_every_field_of_an_answer_is_read(scripted: Start) -> None:
    full = {
        "id": "a",
        "prediction": "yes",
        "probabilities": {"yes": 0.7, "no": 0.2, "perhaps": 0.1},
        "interval": [0.6, 0.8],
        "version": "v3",
        "action": "call",
        "reasons": [{"column": "plan", "value": "max", "contribution": -0.5}],
        "violations": [{"field": "noise", "rule": "above the largest number seen"}],
        "more": "of a newer server",
    }
    row = {"base": 0.5, "contributions": [{"column": "plan", "value": None, "contribution": 1.5}], "sum": 2.0}
    answers = [{"version": "v3", "predictions": [full]}, {"version": "v3", "explanations": [row]}]
    server = scripted([reply(200, json.dumps(answer)) for answer in answers])
    with Client(server.url) as client:
        assert client.predict_one({"plan": "max"}, reasons=1, action=True) == Prediction(
            id="a",
            prediction="yes",
            version="v3",
            probabilities={"yes": 0.7, "no": 0.2, "perhaps": 0.1},
            interval=(0.6, 0.8),
            action="call",
            reasons=(Reason("plan", "max", -0.5),),
            violations=(Violation("noise", "above the largest number seen"),),
        )
        explained = client.explain([{"plan": None}])
    assert explained.explanations == (Explanation(0.5, (Reason("plan", None, 1.5),)),)
    assert json.loads(server.requests[0][1]) == {"rows": [{"plan": "max"}], "reasons": 1, "action": True}


def test_calls_one_after_another_use_one_connection(scripted: Start) -> None:
    server = scripted([OK] * 5)
    with Client(server.url) as client:
        for _ in range(5):
            client.predict([{}])
    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(scripted: Start) -> None:
    server = scripted([reply(200, ANSWER, "Connection: gone"), OK])
    with Client(server.url, retries=0) as client:
        client.predict([{}])
        server.hung_up.wait()
        client.predict([{}])
    assert server.connections == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_when_it_says(scripted: Start, status: int) -> None:
    busy = reply(status, '{"code": "busy", "detail": "Busy."}', "Retry-After: 0")
    server = scripted([busy, busy, OK])
    with Client(server.url, retries=2) as client:
        assert client.predict([{}])[0].probability == 0.75
    assert len(server.requests) == 3


def test_whoever_asks_for_a_long_wait_is_not_waited_for(scripted: Start) -> None:
    dates = ("Date: Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After: Wed, 21 Oct 2026 07:30:00 GMT")
    server = scripted([reply(503, "{}", "Retry-After: 3600"), reply(503, "{}", *dates)])
    with Client(server.url) as client:
        for seconds in (3600, 120):
            with pytest.raises(ProblemError) as refused:
                client.predict([{}])
            assert (refused.value.code, refused.value.retry_after) == ("service-unavailable", seconds)
    assert len(server.requests) == 2


def test_what_may_have_been_carried_out_is_sent_again_only_where_that_is_harmless(scripted: Start) -> None:
    def asked(call: Callable[[Client], Any], *script: bytes) -> tuple[Any, int]:
        server = scripted(script)
        with Client(server.url, retries=1) as client:
            try:
                return call(client), len(server.requests)
            except TenureError as error:
                return error, len(server.requests)

    for lost in (HANG_UP, reply(502, "<html>"), reply(504, "<html>")):
        failure, requests = asked(lambda client: client.predict([{}]), lost, OK)
        assert requests == 1
        assert getattr(failure, "sent", True)
        assert isinstance(failure, NoAnswerError if lost == HANG_UP else ProblemError)
        said, requests = asked(lambda client: client.predict([{}], ids=["a"]), lost, OK)
        assert (said[0].id, requests) == ("a", 2)
        said, requests = asked(lambda client: client.outcome(id="a", outcome=1), lost, reply(200, COUNTS))
        assert (said.joined, requests) == (1, 2)
    for refused in (422, 401, 500):
        failure, requests = asked(lambda client: client.predict([{}], ids=["a"]), reply(refused, "{}"), OK)
        assert (failure.status, requests) == (refused, 1)


def test_a_refusal_before_the_whole_body_was_read_is_heard(scripted: Start) -> None:
    server = scripted([reply(413, '{"code": "content-too-large", "detail": "Too large."}', "Connection: early")])
    with Client(server.url) as client, pytest.raises(ProblemError, match="content-too-large"):
        client.predict([{"a": "x" * 30_000_000}])


def test_a_server_that_is_not_there_carried_nothing_out(scripted: Start) -> None:
    server = scripted([])
    server.close()
    with Client(server.url, retries=1) as client, pytest.raises(NoAnswerError) as failed:
        client.predict([{}])
    assert not failed.value.sent
    assert isinstance(failed.value, TemporaryError)
    assert failed.value.where == server.url


def test_a_silent_server_is_left_after_the_time_given(scripted: Start) -> None:
    server = scripted([SILENCE])
    with Client(server.url, timeout=0.1) as client, pytest.raises(NoAnswerError, match=r"within 0\.1 s") as failed:
        client.predict([{}])
    assert failed.value.sent
    assert "ids" in failed.value.hint


def test_health_is_asked_for_once(scripted: Start) -> None:
    server = scripted([reply(503, '{"code": "no-champion", "detail": "Nobody."}', "Retry-After: 0")])
    with Client(server.url) as client, pytest.raises(ProblemError, match="no-champion"):
        client.health()
    assert len(server.requests) == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["version", "predictions", "id", "prediction", "interval", "reasons", "errors", "detail"]),
            inner,
            max_size=4,
        )
    ),
)


def test_whatever_comes_back_is_an_answer_or_one_of_our_errors(scripted: Start) -> None:
    said = [b""]
    server = scripted(lambda: said[0])

    @settings(max_examples=50)
    @given(body=_JSON.map(json.dumps) | st.text(max_size=5), status=st.sampled_from([200, 400, 418, 499, 599]))
    def asked(body: str, status: int) -> None:
        said[0] = reply(status, body)
        with suppress(ProblemError):
            client.predict([{}])

    with Client(server.url, retries=0) as client:
        asked()


# ---- without a server ----

_CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_infinity=False)
    | st.text(st.characters(exclude_categories=()))
    | st.dates()
    | st.datetimes(timezones=st.just(UTC))
    | st.decimals(allow_infinity=False, places=2)
    | st.floats(width=32, allow_infinity=False).map(np.float32)
    | st.integers(0, 255).map(np.uint8)
    | st.booleans().map(np.bool_)
    | st.just(pd.NaT)
)


@given(row=st.dictionaries(st.text(max_size=3), _CELLS, max_size=4))
def test_every_cell_becomes_plain_json_of_the_same_value(row: dict[str, Any]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    sent = json.loads(encoded({"rows": [row]}), parse_constant=refuse)["rows"][0]
    assert list(sent) == list(row)
    for cell, got in zip(row.values(), sent.values(), strict=True):
        if cell is None or (cell.is_nan() if isinstance(cell, Decimal) else cell != cell):
            assert got is None
        elif isinstance(cell, date):
            assert type(cell).fromisoformat(got) == cell
        else:
            assert got == (float(cell) if isinstance(cell, Decimal) else cell)


@pytest.mark.parametrize("cell", [float("inf"), object(), {1, 2}, np.array([1, 2]), pd.NA, b"bytes"])
def test_what_has_no_json_form_is_refused_before_it_is_sent(cell: Any) -> None:
    with pytest.raises(DataError):
        encoded({"rows": [{"a": cell}]})


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:80", "ftp://a", "http://", "http://a b", "http://a:x", "http://a?b", "http://a/\n", "http://ä"],
)
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError):
        Client(url)


@pytest.mark.parametrize(("url", "token"), [("http://me:s3cret@host", None), ("http://host", "s3cret\r\nX: y")])
def test_a_secret_in_the_wrong_place_is_refused_and_not_repeated(url: str, token: str | None) -> None:
    with pytest.raises(ConfigError) as refused:
        Client(url, token)
    assert "s3cret" not in f"{refused.value}{refused.value.as_dict()}"


def test_a_path_before_the_routes_is_kept(scripted: Start) -> None:
    server = scripted([OK])
    with Client(f"{server.url}/models/churn/") as client:
        client.predict([{}])
    assert server.requests[0][0].startswith("POST /models/churn/predict HTTP/1.1")


def test_importing_the_client_loads_nothing_heavy() -> None:
    code = "import tenure.client, sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "polars", "pydantic", "fastapi", "sqlalchemy", "typer", "tenure.serving", "tenure.model"}
    assert not heavy & set(json.loads(done.stdout))
