"""Clients that are slow, or send too much: cut off in time, while others are answered as ever."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from peers.clients.board import Line, Target
from peers.clients.raw import predict
from peers.meter import resident_mb
from tenure.testing.hostile import Wire, request
from tenure.testing.load import Load

_EACH: Final = 50
_SLACK: Final = 8.0
"""Seconds beyond the limit in which a connection must be gone: a sweep a second, and a machine that is busy."""
_ANSWERS: Final = 40
_QUIET_GROWTH_MB: Final = 64.0


def slow(target: Target, limit: float) -> list[Line]:
    """Return what became of 4 x 50 slow clients at once, and of honest ones beside them; `limit` is the server's."""
    kinds = {
        "connect and say nothing": _silent,
        "dribble the head": _dribbled_head,
        "dribble the body": _dribbled_body,
        "ask for 5 MB, and never read": _unread,
    }
    with Load(target.url, target.rows, clients=4, pause=0.005) as quiet:
        time.sleep(3.0)
    with ThreadPoolExecutor(_EACH * len(kinds)) as pool, Load(target.url, target.rows, clients=4, pause=0.005) as load:
        waiting = {name: [pool.submit(kind, target, limit) for _ in range(_EACH)] for name, kind in kinds.items()}
        ended = {name: [one.result() for one in all_of] for name, all_of in waiting.items()}
    lines = []
    for name, results in ended.items():
        seconds = [took for took, _ in results]
        told = sorted({said for _, said in results})
        most = f"{len(results)} of them ended after {min(seconds):.1f} to {max(seconds):.1f} s: {', '.join(told)}"
        lines.append(Line(name, most, max(seconds) < limit + _SLACK and "still there" not in told))
    before, beside = (_milliseconds(one) for one in (quiet, load))
    said = f"{len(load.told):,} answered, {len(load.refused)} refused, {load.broken} broken; median {beside:.1f} ms"
    lines.append(
        Line(
            "4 honest clients beside those 200",
            f"{said} ({before:.1f} ms without them)",
            bool(load.told) and not load.refused and not load.broken,
        )
    )
    return lines


def late(target: Target, limit: float) -> list[Line]:
    """Return what became of clients that hold a connection in ways of their own."""
    kinds: dict[str, Callable[[Target, float], tuple[float, str]]] = {
        "dribble a body after it was refused": _dribbled_refused,
        "send line ends between requests": _line_ends,
    }
    lines = []
    with ThreadPoolExecutor() as pool:
        waiting = {name: pool.submit(kind, target, limit) for name, kind in kinds.items()}
        for name, one in waiting.items():
            seconds, said = one.result()
            is_kept = seconds < limit + _SLACK and said != "still there"
            lines.append(Line(name, f"ended after {seconds:.1f} s: {said}", is_kept))
    return lines


def oversized(target: Target, most: int) -> list[Line]:
    """Return what bodies, heads and trailers beyond the limit were answered with; `most` is the server's, in bytes."""
    memory = resident_mb(target.process)
    lines = [
        _status("a body declared larger than allowed", target, _declared(most + 1), 413),
        _status("a body of 100 times that, declared, and nothing sent", target, _declared(100 * most, sent=0), 413),
        _status("one chunk after the other, undeclared", target, _chunks(most + 200_000), 413),
    ]
    for name, piece, start in (
        ("a head without end", b"X-A: " + b"a" * 65_536 + b"\r\n", b"POST /predict HTTP/1.1\r\n"),
        ("a header without end", b"a" * 65_536, b"POST /predict HTTP/1.1\r\nX-A: "),
        ("a path without end", b"a" * 65_536, b"POST /"),
        ("trailers without end", b"X-A: " + b"a" * 65_536 + b"\r\n", _chunks(10).removesuffix(b"\r\n")),
    ):
        lines.append(_flood(name, target, start, piece))
    grown = resident_mb(target.process) - memory
    lines.append(Line("memory of all processes grew by", f"{grown:.0f} MB", grown < _QUIET_GROWTH_MB))
    lines.append(Line("an honest request afterwards", f"{(status := predict(target).status)}", status == 200))
    return lines


def _milliseconds(load: Load) -> float:
    return 1_000 * statistics.median(one.answered - one.asked for one in load.told)


def _silent(target: Target, limit: float) -> tuple[float, str]:
    return _patient(target, limit, b"", b"")


def _dribbled_head(target: Target, limit: float) -> tuple[float, str]:
    return _patient(target, limit, b"POST /predict HTTP/1.1\r\nX-A: ", b"a")


def _dribbled_body(target: Target, limit: float) -> tuple[float, str]:
    return _patient(target, limit, _declared(10_000, sent=0), b" ")


def _dribbled_refused(target: Target, limit: float) -> tuple[float, str]:
    with Wire(target.url, timeout=limit + _SLACK) as wire:
        wire.send(request("/nowhere", b"", headers={"Content-Length": "10000"}))
        wire.hear()
        return _until_cut(wire, b" ", limit)


def _line_ends(target: Target, limit: float) -> tuple[float, str]:
    with Wire(target.url, timeout=limit + _SLACK) as wire:
        wire.send(request("/health", b"", method="GET"))
        wire.hear()
        return _until_cut(wire, b"\r\n", limit)


def _patient(target: Target, limit: float, start: bytes, piece: bytes) -> tuple[float, str]:
    """Send a start and then a piece twice a second; return seconds until the end, and how it ended."""
    with Wire(target.url, timeout=limit + 2 * _SLACK) as wire:
        wire.send(start)
        return _until_cut(wire, piece, limit)


def _until_cut(wire: Wire, piece: bytes, limit: float) -> tuple[float, str]:
    started = time.monotonic()
    gone = threading.Event()

    def dribble() -> None:
        while not gone.wait(0.5) and wire.send(piece):
            pass

    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        heard = wire.hear()
        said = "closed" if heard is None else f"{heard.status}, then closed" if wire.is_closed() else "still there"
    except TimeoutError:
        said = "still there"
    finally:
        gone.set()
        thread.join()
    return time.monotonic() - started, said


def _unread(target: Target, limit: float) -> tuple[float, str]:
    """Ask for more than the system holds back for a client, read nothing, and look what became of the connection."""
    started = time.monotonic()
    with Wire(target.url, receive=4_096) as wire:
        wire.send(request("/docs", b"", method="GET") * _ANSWERS)
        while (is_held := wire.is_held()) and time.monotonic() - started < limit + _SLACK:
            time.sleep(0.2)
    return time.monotonic() - started, "still there" if is_held else "cut"


def _declared(size: int, sent: int | None = None) -> bytes:
    return request("/predict", b" " * (size if sent is None else sent), headers={"Content-Length": str(size)})


def _chunks(size: int) -> bytes:
    head = request("/predict", b"", headers={"Transfer-Encoding": "chunked", "Content-Length": ""})
    head = head.replace(b"Content-Length: \r\n", b"")
    each = min(size, 65_536)
    return head + (b"%x\r\n" % each + b" " * each + b"\r\n") * (size // each) + b"0\r\n\r\n"


def _status(name: str, target: Target, sent: bytes, wanted: int) -> Line:
    with Wire(target.url) as wire:
        whole = wire.send(sent)
        heard = wire.hear()
    seen = f"{heard.status}" if heard else "closed"
    return Line(name, seen if whole else f"{seen}, before all was sent", heard is not None and heard.status == wanted)


def _flood(name: str, target: Target, start: bytes, piece: bytes) -> Line:
    """Send pieces until the server says something or closes, 64 MB at most."""
    with Wire(target.url) as wire:
        wire.send(start)
        sent = 0
        while sent < 64_000_000 and wire.send(piece):
            sent += len(piece)
        heard = wire.hear() if sent < 64_000_000 else None
    seen = f"{f'{heard.status}' if heard else 'closed'} after {sent / 1e6:.1f} MB"
    return Line(name, seen, sent < 64_000_000)
