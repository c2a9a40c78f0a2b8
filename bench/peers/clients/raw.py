"""Requests by hand."""

from __future__ import annotations

import json
from typing import Any

from peers.clients.board import Target
from tenure.testing.hostile import Heard, Wire, request


def get(target: Target, path: str) -> Heard:
    """Return the answer to a GET with the target's secret."""
    return asked(target, request(path, b"", headers=_shown(target), method="GET"))


def predict(target: Target, rows: int = 1) -> Heard:
    """Return the answer to an honest request."""
    body = json.dumps({"rows": target.rows[:rows]}).encode()
    return asked(target, request("/predict", body, headers=_shown(target)))


def asked(target: Target, sent: bytes, **how: Any) -> Heard:
    """Return the answer to a request on a connection of its own.

    Raises:
        ConnectionError: the server closed without an answer.
    """
    with Wire(target.url) as wire:
        wire.send(sent)
        heard = wire.hear(**how)
    if heard is None:
        raise ConnectionError("closed without an answer")
    return heard


def _shown(target: Target) -> dict[str, str]:
    return {} if target.secret is None else {"Authorization": f"Bearer {target.secret}"}
