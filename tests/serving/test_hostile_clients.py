"""The real server under clients that send nonsense, too much, too slowly, or in ways that are rare but right."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tenure.testing.hostile import UNENDED, Wire, malformed_bodies, malformed_requests, request
from tenure.testing.load import Served

MOST = 100_000
ORIGIN = "https://shop.example"
SERVING = f'\n[serving]\nworkers = 1\ntimeout = "1s"\nmax_body_mb = {MOST / 1e6}\nallow_origins = ["{ORIGIN}"]\n'


@pytest.fixture(scope="module")
def folder(_office: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "churn"
    shutil.copytree(_office, folder)
    file = folder / "tenure.toml"
    assert "[serving]" not in file.read_text()
    file.write_text(file.read_text() + SERVING)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    with Served(folder) as served:
        yield served
        said = served.log.read_text()
        assert "Traceback" not in said
        assert "ERROR" not in said


@pytest.fixture(scope="module")
def row(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = pl.read_csv(folder / "data" / "first.csv").head(1).drop("left").to_dicts()[0]
    return found


@pytest.fixture(scope="module")
def body(row: dict[str, Any]) -> bytes:
    return json.dumps({"rows": [row]}).encode()


@pytest.fixture(autouse=True)
def _goes_on(server: Served, body: bytes) -> Iterator[None]:
    """After every test the server answers as ever."""
    yield
    assert _status(server, request("/predict", body)) == 200


def _status(server: Served, sent: bytes) -> int | None:
    with Wire(server.url) as wire:
        wire.send(sent)
        heard = wire.hear()
    return None if heard is None else heard.status


def _routes(row: dict[str, Any]) -> dict[str, bytes]:
    tensors = [
        {"name": name, "shape": [1], "datatype": "BYTES" if isinstance(cell, str) else "FP64", "data": [cell]}
        for name, cell in row.items()
    ]
    bodies: dict[str, Any] = {
        "/predict": {"rows": [row], "ids": ["x"], "reasons": 1},
        "/explain": {"rows": [row]},
        "/outcomes": {"outcomes": [{"id": "x", "outcome": "yes", "known_at": "2026-01-01T00:00:00Z"}]},
        "/invocations": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        "/v2/models/churn/infer": {"id": "42", "inputs": tensors},
        "/v1/models/churn:predict": {"instances": [row]},
    }
    return {path: json.dumps(body).encode() for path, body in bodies.items()}


def test_no_malformed_body_is_a_fault_of_the_server(server: Served, row: dict[str, Any]) -> None:
    with Wire(server.url) as wire:
        for at, (path, valid) in enumerate(_routes(row).items()):
            for kind, sent, content_type in itertools.islice(malformed_bodies(valid, at), 60):
                wire.send(request(path, sent, headers={"Content-Type": content_type}))
                heard = wire.hear()
                assert heard is not None, (path, kind, sent)
                assert heard.status < 500, (path, kind, sent, heard)


def test_no_malformed_request_is_a_fault_of_the_server(server: Served, row: dict[str, Any]) -> None:
    for at, (path, valid) in enumerate(_routes(row).items()):
        for kind, sent in itertools.islice(malformed_requests(valid, path, at), 30):
            with Wire(server.url) as wire:
                wire.send(sent)
                if kind in UNENDED:
                    wire.end()
                heard = wire.hear()
            assert heard is None or heard.status < 500, (path, kind, sent, heard)


def test_a_body_declared_too_large_is_refused_and_the_refusal_is_heard_by_who_sends_it_all(server: Served) -> None:
    with Wire(server.url) as wire:
        assert wire.send(request("/predict", b" " * 8 * MOST))
        heard = wire.hear()
        assert heard is not None
        assert heard.status == 413
        wire.send(request("/health", b"", method="GET"))
        again = wire.hear()
        assert again is not None
        assert again.status == 200


def test_a_body_that_grows_too_large_undeclared_is_refused(server: Served) -> None:
    head = request("/predict", b"", headers={"Transfer-Encoding": "chunked", "Content-Length": ""})
    chunk = b"%x\r\n" % MOST + b" " * MOST + b"\r\n"
    sent = head.replace(b"Content-Length: \r\n", b"") + 3 * chunk + b"0\r\n\r\n"
    assert _status(server, sent) == 413


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"POST /predict HTTP/1.1\r\n", b"X-A: " + b"a" * 65_536 + b"\r\n"),
        (b"POST /predict HTTP/1.1\r\nX-A: ", b"a" * 65_536),
        (b"POST /", b"a" * 65_536),
        (
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X-A: " + b"a" * 65_536 + b"\r\n",
        ),
    ],
    ids=["headers", "one header", "path", "trailers"],
)
def test_a_head_without_end_is_cut(server: Served, start: bytes, piece: bytes) -> None:
    with Wire(server.url) as wire:
        wire.send(start)
        assert not all(wire.send(piece) for _ in range(1_000))


def test_slow_clients_are_cut_off_and_told_where_they_can_be_while_others_are_answered(
    server: Served, body: bytes
) -> None:
    starts = {
        "silent": b"",
        "head": b"POST /predict HTTP/1.1\r\nX-A: ",
        "body": request("/predict", b"", headers={"Content-Length": "1000"}),
        "refused": request("/nowhere", b"", headers={"Content-Length": "1000"}),
        "line ends": request("/health", b"", method="GET"),
        "unread": request("/docs", b"", method="GET") * 100,
    }
    pieces = {"silent": b"", "line ends": b"\r\n", "unread": b""}
    with ExitStack() as stack:
        wires = {name: stack.enter_context(Wire(server.url, receive=4_096)) for name in starts}
        for name, wire in wires.items():
            wire.send(starts[name])
        assert all(wire.is_held() for wire in wires.values())
        for _ in range(100):
            time.sleep(0.1)
            for name, wire in wires.items():
                wire.send(pieces.get(name, b"a"))
            assert _status(server, request("/predict", body)) == 200
            if not any(wire.is_held() for wire in wires.values()):
                break
        assert not [name for name, wire in wires.items() if wire.is_held()]
        heard = wires["body"].hear()
    assert heard is not None
    assert heard.status == 408


def test_a_client_that_takes_its_answers_slowly_but_goes_on_gets_them_all(server: Served) -> None:
    with Wire(server.url, receive=65_536) as wire:
        wire.send(request("/docs", b"", method="GET") * 80)
        for _ in range(4):
            time.sleep(0.8)
            heard = [wire.hear() for _ in range(20)]
            assert {None if one is None else one.status for one in heard} == {200}


def test_a_request_in_pieces_or_in_one_with_others_is_answered_in_order(server: Served, body: bytes) -> None:
    with Wire(server.url) as wire:
        sent = request("/predict", body)
        for at in range(0, len(sent), 7):
            wire.send(sent[at : at + 7])
        wire.send((request("/health", b"", method="GET") + sent) * 5)
        heard = [wire.hear() for _ in range(11)]
    assert [None if one is None else one.status for one in heard] == [200] * 11
    assert [one is not None and b"predictions" in one.body for one in heard] == [True, *(False, True) * 5]


@pytest.mark.parametrize("wish", ["h2c", "websocket"])
def test_a_wish_for_another_protocol_is_passed_over_and_the_body_read(server: Served, body: bytes, wish: str) -> None:
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": wish, "HTTP2-Settings": "AAEAAEAA"}
    sent = request("/predict", body, headers=headers)
    head, _, rest = sent.partition(b"\r\n\r\n")
    with Wire(server.url) as wire:
        wire.send(sent + sent)
        wire.send(head + b"\r\n\r\n")
        wire.send(rest)
        wire.send(request("/health", b"", headers=headers, method="GET"))
        heard = [wire.hear() for _ in range(4)]
    assert [None if one is None else one.status for one in heard] == [200] * 4


def test_expect_is_answered_before_the_body_comes_and_a_refusal_ends_the_connection(
    server: Served, body: bytes
) -> None:
    headers = {"Expect": "100-continue", "Content-Length": str(len(body))}
    with Wire(server.url) as wire:
        for _ in range(2):
            wire.send(request("/predict", b"", headers=headers))
            first = wire.hear()
            wire.send(body)
            second = wire.hear()
            assert first is not None
            assert second is not None
            assert (first.status, second.status) == (100, 200)
        wire.send(request("/predict", b"", headers=headers | {"Content-Length": str(MOST + 1)}))
        refused = wire.hear()
        assert refused is not None
        assert (refused.status, refused.headers["connection"]) == (413, "close")
        assert wire.is_closed()


def test_a_client_of_http_1_0_is_answered_and_the_connection_closed(server: Served, body: bytes) -> None:
    with Wire(server.url) as wire:
        wire.send(request("/predict", body).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        heard = wire.hear()
        assert heard is not None
        assert heard.status == 200
        assert wire.is_closed()


def test_head_says_what_get_would_and_sends_no_body(server: Served) -> None:
    with Wire(server.url) as wire:
        wire.send(request("/schema", b"", method="HEAD") + request("/schema", b"", method="GET"))
        head, got = wire.hear(bodiless=True), wire.hear()
    assert head is not None
    assert got is not None
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.body))


@pytest.mark.parametrize(("origin", "told"), [(ORIGIN, ORIGIN), ("https://elsewhere.example", None)])
def test_a_browser_is_told_whether_its_page_may_ask(server: Served, body: bytes, origin: str, told: str | None) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    with Wire(server.url) as wire:
        wire.send(request("/predict", b"", headers=asks, method="OPTIONS"))
        before = wire.hear()
        wire.send(request("/predict", body, headers={"Origin": origin}))
        after = wire.hear()
    assert before is not None
    assert after is not None
    assert (before.status, after.status) == (204, 200)
    assert "content-length" not in before.headers
    assert {heard.headers.get("access-control-allow-origin") for heard in (before, after)} == {told}


def test_a_method_that_a_route_does_not_know_is_told_which_it_does(server: Served, body: bytes) -> None:
    with Wire(server.url) as wire:
        wire.send(request("/predict", body, method="PATCH") + request("/health", body))
        post, get = wire.hear(), wire.hear()
    assert post is not None
    assert get is not None
    assert (post.status, post.headers["allow"]) == (405, "OPTIONS, POST")
    assert (get.status, get.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_a_compressed_body_is_refused_as_what_it_is(server: Served, body: bytes) -> None:
    assert _status(server, request("/predict", body, headers={"Content-Encoding": "gzip"})) == 415
    assert _status(server, request("/predict", body, headers={"Content-Encoding": "identity"})) == 200


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_an_idempotency_key_that_cannot_be_kept_is_refused_even_beside_ids(
    server: Served, row: dict[str, Any], key: str
) -> None:
    for body in ({"rows": [row]}, {"rows": [row], "ids": ["beside a key"]}):
        assert _status(server, request("/predict", json.dumps(body).encode(), headers={"Idempotency-Key": key})) == 422


def test_outcomes_that_are_no_json_are_malformed_and_others_unfit(server: Served) -> None:
    assert _status(server, request("/outcomes", b"{")) == 400
    assert _status(server, request("/outcomes", b"\xff")) == 400
    assert _status(server, request("/outcomes", b"{}")) == 422
