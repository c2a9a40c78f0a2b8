"""Ten thousand bodies that say nothing, and requests that are no HTTP: no fault, no hang, no growth."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from peers.clients.board import Line, Target
from peers.clients.raw import predict
from peers.meter import family, resident_mb
from tenure.testing.hostile import UNENDED, Wire, malformed_bodies, malformed_requests, request

_THREADS: Final = 4
_ROUNDS: Final = 3
_GROWTH_MB: Final = 64.0
"""The workers' collector looks seldom, so some garbage lies about until then."""


def malformed(target: Target, count: int) -> list[Line]:
    """Return what `count` malformed bodies, and a third as many malformed requests, were answered with.

    And what became of the server: the same is done three times, with other bodies, to see what its memory does.
    """
    workers = family(target.process)
    before = predict(target).status
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    memory = [resident_mb(target.process)]
    each = count // _THREADS
    with ThreadPoolExecutor(_THREADS) as pool:
        while len(memory) <= _ROUNDS:
            seeds = [100 * (_THREADS * len(memory) + at) for at in range(_THREADS)]
            for part, bad in pool.map(lambda seed: _stretch(target, seed, each), seeds):
                seen.update(part)
                wrong += bad
            memory.append(resident_mb(target.process))
    after, left = predict(target).status, family(target.process)
    statuses = Counter(told.rpartition(": ")[2] for told in seen.elements())
    kinds = len({told.rpartition(": ")[0] for told in seen})
    rounds = len(memory) - 1
    bodies = sum(many for told, many in seen.items() if told.startswith("body"))
    told = f"{bodies:,} malformed bodies and {seen.total() - bodies:,} requests, of {kinds} kinds, in {rounds} rounds"
    return [
        Line(told, _told(statuses), bodies >= count),
        Line("answers of 5xx, hangs", "; ".join(wrong[:3]) or "none", not wrong),
        Line("an honest request afterwards", f"{after}", after == before == 200),
        Line("the same processes", f"{len(workers)} of {len(left)}", workers == left),
        Line(
            "memory of all processes before and after each round",
            " ".join(f"{one:.0f}" for one in memory) + " MB",
            memory[-1] - memory[1] < _GROWTH_MB,
        ),
    ]


def _stretch(target: Target, seed: int, count: int) -> tuple[Counter[str], list[str]]:
    """Send bodies and then requests one after the other, on one connection while it lasts."""
    seen: Counter[str] = Counter()
    wrong = []
    wire: Wire | None = None
    for name, sent, ends in itertools.chain(
        itertools.islice(_bodies(target, seed), count), itertools.islice(_requests(target, seed), count // 3)
    ):
        wire = wire or Wire(target.url)
        try:
            wire.send(sent)
            if ends:
                wire.end()
            heard = wire.hear()
        except TimeoutError:
            wrong.append(f"{name}: no answer in time to {sent[:80]!r}")
            heard = None
        seen[f"{name}: {heard.status if heard else 'closed'}"] += 1
        if heard is not None and heard.status >= 500:
            wrong.append(f"{name}: {heard.status} {heard.body[:120]!r} to {sent[:200]!r}")
        if ends or name.startswith("HTTP") or heard is None or heard.headers.get("connection") == "close":
            wire.close()
            wire = None
    return seen, wrong


def _bodies(target: Target, seed: int) -> Iterator[tuple[str, bytes, bool]]:
    """Yield bodies that are wrong, on each route in turn."""
    routes = _routes(target.rows[0])
    makers = [malformed_bodies(body, seed + at) for at, (_, body) in enumerate(routes)]
    for (path, _), maker in itertools.cycle(list(zip(routes, makers, strict=True))):
        kind, body, content_type = next(maker)
        yield f"body: {kind}", request(path, body, headers={"Content-Type": content_type}), False


def _requests(target: Target, seed: int) -> Iterator[tuple[str, bytes, bool]]:
    """Yield requests that are wrong as HTTP; after one that has no end the client says that it will send no more."""
    routes = _routes(target.rows[0])
    makers = [malformed_requests(body, path, seed + at) for at, (path, body) in enumerate(routes)]
    for maker in itertools.cycle(makers):
        kind, sent = next(maker)
        yield f"HTTP: {kind}", sent, kind in UNENDED


def _routes(row: dict[str, Any]) -> Sequence[tuple[str, bytes]]:
    """Return each route that reads a body, with one that it takes."""
    tensors = [
        {"name": name, "shape": [1, 1], "datatype": "BYTES" if isinstance(cell, str) else "FP64", "data": [cell]}
        for name, cell in row.items()
    ]
    bodies: dict[str, Any] = {
        "/predict": {"rows": [row], "ids": ["x"], "reasons": 2},
        "/explain": {"rows": [row]},
        "/outcomes": {"outcomes": [{"id": "x", "key": 7, "outcome": "Yes", "known_at": "2026-01-01T00:00:00Z"}]},
        "/invocations": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        "/v2/models/project/infer": {"id": "42", "inputs": tensors, "outputs": [{"name": "predict"}]},
        "/v1/models/project:predict": {"instances": [row]},
    }
    return [(path, json.dumps(body).encode()) for path, body in bodies.items()]


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{many:,} x {status}" for status, many in sorted(counts.items()))
