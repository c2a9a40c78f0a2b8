"""Every route with no token, a wrong one, one of another role, one that is over or revoked, and the right."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from peers.clients.board import Line, Target
from peers.clients.raw import asked, get
from tenure.testing.hostile import request

_REFRESH: Final = 5.0
"""Seconds until every worker knows of a token, or of its end."""
_ROLES: Final = ("predict", "outcomes", "read", "admin")
_OPEN: Final = frozenset({"/health", "/ping", "/v2/health/live", "/v2/health/ready"})


def tokens(target: Target, project: Path) -> list[Line]:
    """Return who was let in where; `target` has a secret that may do all, `project` is the server's folder."""
    routes = _routes(target)
    secrets = {role: _added(project, role, "--role", role) for role in _ROLES}
    secrets["expired"] = _added(project, "expired", "--role", "admin", "--expires", "1s")
    secrets["revoked"] = _added(project, "revoked", "--role", "admin")
    _tenure(project, "revoke", "revoked")
    time.sleep(_REFRESH)
    shown: dict[str, Mapping[str, str]] = {
        "no token": {},
        "an unknown token": {"Authorization": "Bearer tnr_" + "0" * 40},
        "another scheme": {"Authorization": "Basic YWRtaW46YWRtaW4="},
        "bytes": {"Authorization": "Bearer \xff\xfe" + "x" * 5_000},
        "an expired token": {"Authorization": f"Bearer {secrets['expired']}"},
        "a revoked token": {"X-API-Key": secrets["revoked"]},
        **{f"a token of role {role}": {"Authorization": f"Bearer {secrets[role]}"} for role in _ROLES},
        "the same as X-API-Key": {"X-API-Key": secrets["admin"]},
        "the token of the environment": {"Authorization": f"Bearer {target.secret}"},
    }
    return [_line(target, name, headers, routes) for name, headers in shown.items()]


def _line(target: Target, name: str, headers: Mapping[str, str], routes: list[tuple[str, str]]) -> Line:
    """Ask every route with the same headers."""
    seen: dict[tuple[str, str], int] = {}
    for method, path in routes:
        body = b"{}" if method == "POST" else b""
        seen[method, path] = asked(target, request(path, body, headers=dict(headers), method=method)).status
    guarded = {route: status for route, status in seen.items() if route[1] not in _OPEN}
    role = name.removeprefix("a token of role ")
    if name.endswith("X-API-Key") or name.endswith("environment") or role == "admin":
        kept = not {401, 403} & set(guarded.values())
    elif role in _ROLES:
        let_in = {path for (_, path), status in guarded.items() if status != 403}
        kept = 401 not in guarded.values() and let_in == {path for _, path in routes if _may(role, path)} - _OPEN
    else:
        kept = set(guarded.values()) == {401}
    kept = kept and all(seen[route] == 200 for route in seen if route[1] in _OPEN) and max(seen.values()) < 500
    counts = ", ".join(f"{many} x {status}" for status, many in sorted(Counter(seen.values()).items()))
    return Line(f"{name}, on each of {len(routes)} routes", counts, kept)


def _may(role: str, path: str) -> bool:
    """Say what the documents promise of a role."""
    asks = path in ("/predict", "/explain", "/invocations") or path.endswith(("/infer", ":predict"))
    describes = path in ("/schema", "/version", "/v2") or (path.startswith("/v2/models/") and not asks)
    reads = path in ("/docs", "/metrics", "/openapi.json")
    return {"predict": asks or describes, "outcomes": path == "/outcomes", "read": reads or describes}[role]


def _routes(target: Target) -> list[tuple[str, str]]:
    document: dict[str, Any] = json.loads(get(target, "/openapi.json").body)
    found = [
        (method.upper(), re.sub(r"\{version\}", "1", path.replace("{model}", "project")))
        for path, methods in document["paths"].items()
        for method in methods
    ]
    return [*found, ("GET", "/openapi.json"), ("GET", "/docs")]


def _added(project: Path, name: str, *words: str) -> str:
    secret: str = _tenure(project, "add", name, *words)["secret"]
    return secret


def _tenure(project: Path, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tenure", "token", *words, "--json"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found.get("result", found)
