"""HTTP as clients really speak it: HTTP/1.0, pipelining, HEAD, Expect, wishes for HTTP/2, what browsers ask first."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Final

from peers.clients.board import Line, Target
from peers.clients.raw import asked
from tenure.testing.hostile import Heard, Wire, request

ORIGIN: Final = "https://shop.example"
"""An origin that the server's project allows."""
_PIPELINED: Final = 50


def wire(target: Target, most: int) -> list[Line]:
    """Return how the server took each manner of asking; `most` is its limit of a body, in bytes."""
    body = json.dumps({"rows": target.rows[:1]}).encode()
    return [*_expecting(target, body, most), *_old(target, body), *_together(target, body), *_browser(target, body),
            *_curl(target, body)]  # fmt: skip


def _expecting(target: Target, body: bytes, most: int) -> list[Line]:
    head = {"Expect": "100-continue", "Content-Length": str(len(body))}
    with Wire(target.url) as one:
        told = []
        for _ in range(2):
            one.send(request("/predict", b"", headers=head))
            first = one.hear()
            one.send(body)
            told += [first, one.hear()]
    statuses = [_status(heard) for heard in told]
    with Wire(target.url) as one:
        one.send(request("/predict", b"", headers=head | {"Content-Length": str(most + 1)}))
        refused = one.hear()
        seen = f"{_status(refused)}, connection: {refused.headers.get('connection') if refused else ''}"
        closed = one.is_closed()
    return [
        Line(
            "two requests with Expect: 100-continue on one connection", str(statuses), statuses == [100, 200, 100, 200]
        ),
        Line("Expect: 100-continue with too large a body", seen, _status(refused) == 413 and closed),
    ]


def _old(target: Target, body: bytes) -> list[Line]:
    sent = request("/predict", body).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1).replace(b"Host: localhost\r\n", b"")
    with Wire(target.url) as one:
        one.send(sent)
        heard = one.hear()
        closed = one.is_closed()
    return [Line("HTTP/1.0 without a Host", f"{_status(heard)}, closed: {closed}", _status(heard) == 200 and closed)]


def _together(target: Target, body: bytes) -> list[Line]:
    with Wire(target.url) as one:
        one.send((request("/predict", body) + request("/health", b"", method="GET")) * (_PIPELINED // 2))
        heard = [one.hear() for _ in range(_PIPELINED)]
    right = all(
        found is not None and found.status == 200 and (b"predictions" in found.body) == (at % 2 == 0)
        for at, found in enumerate(heard)
    )
    ids = {json.loads(found.body)["predictions"][0]["id"] for found in heard[::2] if found}
    lines = [Line(f"{_PIPELINED} requests in one piece", f"{len(ids)} ids, all in order: {right}", right)]
    split = request("/predict", body)
    with Wire(target.url) as one:
        for at in range(len(split)):
            one.send(split[at : at + 1])
        heard_one = one.hear()
    return [*lines, Line("byte by byte", f"{_status(heard_one)}", _status(heard_one) == 200)]


def _browser(target: Target, body: bytes) -> list[Line]:
    lines = []
    for path in ("/health", "/schema", "/metrics", "/openapi.json", "/v2"):
        got = asked(target, request(path, b"", method="GET"))
        head = asked(target, request(path, b"", method="HEAD"), bodiless=True)
        same = head.headers["content-length"] == got.headers["content-length"] or path == "/metrics"
        lines.append((f"HEAD {path}", head.status == 200 and same))
    seen = ", ".join(name for name, right in lines if right)
    found = [Line("HEAD, with the length of GET", seen, all(right for _, right in lines))]
    ask = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origin, is_known in ((ORIGIN, True), ("https://elsewhere.example", False)):
        before = asked(target, request("/predict", b"", headers=ask | {"Origin": origin}, method="OPTIONS"))
        after = asked(target, request("/predict", body, headers={"Origin": origin}))
        told = [heard.headers.get("access-control-allow-origin") for heard in (before, after)]
        found.append(
            Line(
                f"preflight and request of {origin}",
                f"{before.status}, {after.status}, allowed: {told}",
                (before.status, after.status) == (204, 200) and told == ([origin] * 2 if is_known else [None] * 2),
            )
        )
    nowhere = asked(target, request("/nowhere", b"", method="OPTIONS")).status
    patch = asked(target, request("/predict", body, method="PATCH"))
    allow = patch.headers.get("allow", "")
    found.append(Line("OPTIONS of nothing", f"{nowhere}", nowhere == 404))
    found.append(Line("PATCH /predict", f"{patch.status}, allow: {allow}", patch.status == 405 and "POST" in allow))
    return found


def _curl(target: Target, body: bytes) -> list[Line]:
    """Ask as curl and Java's client do that would rather speak HTTP/2."""
    wish = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAAB"}
    with Wire(target.url) as one:
        statuses = []
        for _ in range(2):
            one.send(request("/predict", body, headers=wish))
            statuses.append(_status(one.hear()))
    lines = [Line("a wish for HTTP/2 with a body, twice", str(statuses), statuses == [200, 200])]
    if shutil.which("curl"):
        command = [
            "curl",
            "-s",
            "--http2",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            "Content-Type: application/json",
        ]
        said = subprocess.run(
            [*command, "--data-binary", "@-", f"{target.url}/predict"], input=body, capture_output=True, check=False
        ).stdout.decode()
        lines.append(Line("curl --http2", said, said == "200"))
    return lines


def _status(heard: Heard | None) -> int | None:
    return None if heard is None else heard.status
