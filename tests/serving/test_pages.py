"""Pages for people on the real server: what waits is asked by a link, answered once, and nothing leaks."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.testclient import TestClient

from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.health import Span
from tenure.core.lifecycle import Action, Verb
from tenure.core.retraining import Alternative, Prospect, Recipe, Way
from tenure.engine import approvals
from tenure.engine.workspace import Workspace, open_workspace
from tenure.serving.app import create_app
from tenure.serving.front import Front
from tenure.state.freezes import freeze
from tenure.state.proposals import LINK_EVENT
from tenure.state.tokens import TokenRole, Tokens
from tenure.testing.load import Served

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HERE = "http://127.0.0.1"
CAUSE = Finding("realised score", Verdict.FAIL, Measurement("s", 0.5, evidence={"version": 1, "since": "w1"}))
ACTION = Action(Verb.RETRAIN, "The model is <i>worse</i> than promised.", CAUSE)
HALF = Recipe("newest half", share=0.5)
OLD = Recipe("leaves", Way.LEAVES, mix=0.5)
PROSPECT = Prospect(
    version=1,
    at="2026-01-05T00:00:00+00:00",
    trigger="alarm",
    chosen=HALF,
    probability=0.93,
    bar=0.8,
    alternatives=(
        Alternative(OLD, (0.1, None), dropped="behind after one block", seconds=0.4),
        Alternative(HALF, (0.2, 0.3), Span(0.25, 0.1, 0.4), Span(900.0, 300.0, 1500.0), 0.93, 2.0),
    ),
    starts=("w1", "w2"),
    rows=400,
    unit="EUR",
    cost=120.0,
    horizon=4,
    volume=200.0,
    says="A model from the newest half gains EUR 900 over 4 windows.",
)


@pytest.fixture
def workspace(office: Path) -> Iterator[Workspace]:
    text = (office / "tenure.toml").read_text()
    (office / "tenure.toml").write_text(f'{text}\n[operations]\napproval_url = "https://shop.example/models"\n')
    with open_workspace(office, actor="watch") as opened:
        yield opened


def asked(workspace: Workspace, action: Action = ACTION) -> tuple[str, str]:
    """Return the label of a new proposal, and the token of its link."""
    digest = workspace.context.artifacts.put_record(PROSPECT)
    label = approvals.propose(workspace, replace(action, recipe=HALF, prospect=digest)).label
    link = approvals.link_for(workspace, label, to="webhook")
    assert link is not None
    return label, link.removeprefix("https://shop.example/models/approvals/")


def request(url: str, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, dict[str, str], str]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    body = None if form is None else urlencode(form)
    connection.request(method, path, body, FORM if form is not None else {})
    reply = connection.getresponse()
    headers = {name.lower(): value for name, value in reply.getheaders()}
    said = reply.read().decode()
    connection.close()
    return reply.status, headers, said


def test_a_link_shows_what_is_asked_and_takes_one_answer(workspace: Workspace) -> None:
    label, token = asked(workspace)
    _, other = "", approvals.link_for(workspace, label, to="e-mail") or ""
    second = other.rpartition("/")[2]
    with Served(workspace.folder, "--workers", "2") as server:
        for method in ("GET", "HEAD", "GET"):
            status, headers, page = request(server.url, method, f"/approvals/{token}")
            assert status == 200
        assert approvals.waiting(workspace)
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "set-cookie" not in headers
        assert "&lt;i&gt;worse&lt;/i&gt;" in page
        for words in ("EUR 900", "newest 50%", "behind after one block", "93%", "tenure rollback", "<form", "v1"):
            assert words in page, words
        assert token not in page

        assert request(server.url, "POST", f"/approvals/{token}", {"answer": "perhaps"})[0] == 422
        assert request(server.url, "PUT", f"/approvals/{token}")[0] == 405
        yes = {"answer": "approve", "who": "Ann\r\nEvil: 1\u202e", "why": "x" * 999}
        status, headers, _ = request(server.url, "POST", f"/approvals/{token}", yes)
        assert (status, headers["location"]) == (303, token)
        status, _, page = request(server.url, "GET", f"/approvals/{token}")
        assert status == 200
        assert "P1 is approved by Ann Evil: 1 (link by webhook)" in page
        assert "The watcher does it at its next look." in page
        assert "<form" not in page
        for one in (token, second):
            assert request(server.url, "POST", f"/approvals/{one}", {"answer": "decline"})[0] == 409
        for strange in ("A" * 43, "x", "%00", token[:-1], "a%2Fb"):
            status, _, page = request(server.url, "GET", f"/approvals/{strange}")
            assert status == 404
            assert strange not in page or len(strange) == 1
        log = server.log.read_text()
    (given,) = approvals.answered(workspace)
    assert (given.via, len(given.why)) == ("link", 300)
    assert token not in log
    kept = b"".join(path.read_bytes() for path in (workspace.folder / ".tenure").rglob("*") if path.is_file())
    assert token.encode() not in kept
    assert len(workspace.ledger.events(kind=LINK_EVENT)) == 2


def client_of(workspace: Workspace) -> TestClient:
    return TestClient(create_app(workspace), base_url=HERE, raise_server_exceptions=False, follow_redirects=False)


def test_what_lapsed_says_so_and_a_frozen_project_says_when(workspace: Workspace) -> None:
    _, token = asked(workspace)
    freeze(workspace.ledger, actor="ann", until=None, everything=False, why="year's end")
    client = client_of(workspace)
    assert client.post(f"/approvals/{token}", data={"answer": "approve"}).status_code == 303
    assert "Frozen by ann" in client.get(f"/approvals/{token}").text

    later = replace(ACTION, cause=replace(CAUSE, check="another"))
    _, gone = asked(workspace, later)
    approvals.review(workspace, Action(Verb.KEEP, "All is well."))
    answer = client.get(f"/approvals/{gone}")
    assert answer.status_code == 410
    assert "All is well." in answer.text
    assert client.post(f"/approvals/{gone}", data={"answer": "approve"}).status_code == 409


def test_a_decline_by_link_is_kept_with_its_reason(workspace: Workspace) -> None:
    _, token = asked(workspace)
    answer = client_of(workspace).post(f"/approvals/{token}", data={"answer": "decline", "why": "not now"})
    assert answer.status_code == 303
    (declined,) = approvals.proposals_of(workspace).all()
    assert (declined.state, declined.why, declined.who) == ("declined", "not now", "somebody (link by webhook)")


def test_a_form_of_another_kind_changes_nothing(workspace: Workspace) -> None:
    _, token = asked(workspace)
    client = client_of(workspace)
    for body, kind in (
        (json.dumps({"answer": "approve"}), "application/json"),
        ("answer=approve", "text/plain"),
        ("&".join("answer=approve" for _ in range(50)), FORM["Content-Type"]),
    ):
        assert client.post(f"/approvals/{token}", content=body, headers={"Content-Type": kind}).status_code == 422
    assert approvals.waiting(workspace)


def test_pages_of_links_are_refused_like_other_requests_when_the_process_is_busy(workspace: Workspace) -> None:
    text = (workspace.folder / "tenure.toml").read_text()
    (workspace.folder / "tenure.toml").write_text(f"{text}\n[serving]\nmax_concurrency = 1\n")
    said: list[dict[str, Any]] = []

    async def ask(app: Front, method: str, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        scope = {"type": "http", "method": method, "path": "/approvals/" + "A" * 43, "headers": []}

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        await app(scope, receive, send)

    async def two_at_once(app: Front) -> None:
        end = asyncio.Event()

        async def body() -> dict[str, Any]:
            await end.wait()
            return {"type": "http.disconnect"}

        slow = asyncio.create_task(ask(app, "POST", body))
        await asyncio.sleep(0)
        await ask(app, "GET", body)
        end.set()
        await slow

    with open_workspace(workspace.folder) as busy:
        asyncio.run(two_at_once(create_app(busy)))
    assert said[0]["status"] == 503
    assert (b"retry-after", b"1") in said[0]["headers"]


def test_the_overview_tells_who_is_in_office_what_waits_and_what_was_done(workspace: Workspace) -> None:
    asked(workspace)
    freeze(workspace.ledger, actor="ann", until=None, everything=True, why="year's end")
    answer = client_of(workspace).get("/")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    page = answer.text
    for words in ("v1 is in office since", "P1: retrain", "tenure approve P1", "Frozen: everything", "What was done"):
        assert words in page, words
    assert "&lt;i&gt;worse&lt;/i&gt;" in page
    assert "<form" not in page
    assert not re.search(r"(src|href)=.https?:", page)


def test_pages_that_are_only_read_ask_for_a_token_as_others_do(workspace: Workspace) -> None:
    tokens = Tokens(workspace.database, workspace.ledger, workspace.context.clock)
    predict, _ = tokens.add("shop", [TokenRole.PREDICT], actor="test")
    read, _ = tokens.add("board", [TokenRole.READ], actor="test")
    client = client_of(workspace)
    for path in ("/", "/health.html"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"X-API-Key": predict}).status_code == 403
    assert client.get("/", headers={"X-API-Key": read}).status_code == 200
    assert client.get("/health.html", headers={"X-API-Key": read}).status_code == 404
    (workspace.folder / "reports").mkdir(exist_ok=True)
    (workspace.folder / "reports" / "health.html").write_text("<p>as it was written</p>")
    assert client.get("/health.html", headers={"X-API-Key": read}).text == "<p>as it was written</p>"
    _, token = asked(workspace)
    assert client.get(f"/approvals/{token}").status_code == 200
