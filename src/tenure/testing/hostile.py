"""Clients that do not behave: bytes sent as they are, bodies that say nothing, and requests that never end."""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

_Maker = Callable[[bytes, str, random.Random], bytes]
_HEAD_END: Final = b"\r\n\r\n"
_ESTABLISHED: Final = "01"
_LOOKS: Final = 5
"""The system's list of connections may leave one out that stands, while others come and go."""
_BODILESS: Final = frozenset({100, 204, 304})


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer, as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A connection that sends bytes as they are. Use as a context manager.

    Whatever takes longer than `timeout` seconds raises TimeoutError: a server must not leave anyone hanging. `receive`
    is how many bytes the system takes in before they are read.
    """

    def __init__(self, url: str, *, timeout: float = 20.0, receive: int | None = None) -> None:
        address = urlsplit(url)
        self._socket = socket.socket()
        if receive is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self._socket.settimeout(timeout)
        self._socket.connect((address.hostname, address.port))
        self._ports = self._socket.getpeername()[1], self._socket.getsockname()[1]
        self._came = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Send bytes; False where the server has closed."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionError):
            return False
        return True

    def end(self) -> None:
        """Say that nothing more will be sent."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the server has closed

    def hear(self, *, bodiless: bool = False) -> Heard | None:
        """Return the next answer (`bodiless` to HEAD), or None where the server closed before it was whole."""
        if not self._until(lambda: _HEAD_END in self._came):
            return None
        head, _, self._came = self._came.partition(_HEAD_END)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split()[1])
        size = 0 if bodiless or status in _BODILESS else int(headers.get("content-length", "0"))
        if not self._until(lambda: len(self._came) >= size):
            return None
        body, self._came = self._came[:size], self._came[size:]
        return Heard(status, headers, body)

    def is_closed(self) -> bool:
        """Wait until the server closes, and say so; False where it says something instead."""
        return not self._came and not self._more()

    def is_held(self) -> bool:
        """Say whether the server, on this machine and over IPv4, still holds the connection (Linux)."""
        return any(self._is_listed() for _ in range(_LOOKS))

    def _is_listed(self) -> bool:
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        states = {tuple(int(end.partition(":")[2], 16) for end in line[1:3]): line[3] for line in lines}
        return states.get(self._ports) == _ESTABLISHED

    def _until(self, is_enough: Callable[[], bool]) -> bool:
        while not is_enough():
            if not self._more():
                return False
        return True

    def _more(self) -> bool:
        try:
            part = self._socket.recv(65_536)
        except ConnectionError:
            return False
        self._came += part
        return bool(part)


def request(path: str, body: bytes, *, headers: dict[str, str] | None = None, method: str = "POST") -> bytes:
    """Return the bytes of a request; `headers` replace those that are usual."""
    usual = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (usual | (headers or {})).items())]
    return "\r\n".join(lines).encode("latin-1") + _HEAD_END + body


def malformed_bodies(valid: bytes, seed: int) -> Iterator[tuple[str, bytes, str]]:
    """Yield without end what goes wrong, a body in which it does, and a content type; `valid` is a body that is right.

    Some, cut or mended by chance, may still be answered.
    """
    chance = random.Random(seed)
    kinds = list(_BODIES)
    while True:
        kind = chance.choice(kinds)
        content_type = chance.choice(_TYPES) if kind == "content type" else "application/json"
        yield kind, _BODIES[kind](valid, chance), content_type


def malformed_requests(valid: bytes, path: str, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield without end what goes wrong at the level of HTTP, and the bytes of a request in which it does."""
    chance = random.Random(seed)
    while True:
        kind = chance.choice(list(_REQUESTS))
        yield kind, _REQUESTS[kind](valid, path, chance)


def _noise(_: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.randint(0, 400))


def _cut(valid: bytes, chance: random.Random) -> bytes:
    return valid[: chance.randrange(len(valid))]


def _mutated(valid: bytes, chance: random.Random) -> bytes:
    found = bytearray(valid)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(found))
        if chance.random() < 0.5:
            found[at : at + chance.randint(0, 6)] = chance.choice(_SPLINTERS)
        else:
            found[at] = chance.randrange(256)
    return bytes(found)


def _nested(_: bytes, chance: random.Random) -> bytes:
    depth = chance.choice((30, 1_000, 1_025, 20_000, 100_000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"rows":', b"}"), (b'{"rows":[', b"]}")))
    return opening * depth + (b"1" + closing * depth if chance.random() < 0.5 else b"")


def _huge_number(valid: bytes, chance: random.Random) -> bytes:
    number = chance.choice(
        (b"1e999", b"-1e999", b"9" * 25, b"9" * 5_000, b"-" + b"8" * 400, b"0." + b"1" * 5_000, b"1e-999", b"NaN",
         b"Infinity", b"18446744073709551616", b"-9223372036854775809")
    )  # fmt: skip
    numbers = list(re.finditer(rb"(?<=[:\[,])\s*-?\d+(\.\d+)?(?=[,\]}])", valid))
    if not numbers:
        return b'{"rows":[{"x":' + number + b"}]}"
    found = chance.choice(numbers)
    return valid[: found.start()] + number + valid[found.end() :]


def _not_utf8(valid: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(valid))
    wrong = chance.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\\ud800", b"\\u0000"))
    return chance.choice((valid[:at] + wrong + valid[at:], valid.replace(b'":', wrong + b'":', 1)))


def _other_json(_: bytes, chance: random.Random) -> bytes:
    """Return JSON of the wrong shape."""
    leaves: list[Any] = [None, True, 0, -1, 1.5, "", "x", "\0", "é" * 40, [], {}]

    def grown(depth: int) -> Any:
        if depth == 0 or chance.random() < 0.3:
            return chance.choice(leaves)
        if chance.random() < 0.4:
            return [grown(depth - 1) for _ in range(chance.randint(0, 3))]
        return {chance.choice(_KEYS): grown(depth - 1) for _ in range(chance.randint(0, 4))}

    return json.dumps(grown(4)).encode()


_KEYS: Final = (
    *("rows", "ids", "reasons", "action", "outcomes", "id", "key", "outcome", "known_at", "dataframe_split", "columns"),
    *("data", "index", "dataframe_records", "instances", "inputs", "params", "output", "name", "shape", "datatype"),
    *("parameters", "binary_data_size", "outputs", "binary_data", "", "\0", "x" * 300),
)
_SPLINTERS: Final = (
    *(b'"', b"[", b"]", b"{", b"}", b",", b"null", b"NaN", b"1e999", b"-", b"9" * 25, b"\xff", b"\\ud800", b"\0"),
    *(b"true", b"0", b"[]", b"{}", b'"rows":', b":", b"\\"),
)
_TYPES: Final = (
    *("text/plain", "text/csv", "application/csv", "application/xml", "application/json; charset=latin-1", "", ";"),
    *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/octet-stream", "x" * 500),
)
_BODIES: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    "noise": _noise,
    "cut": _cut,
    "mutated": _mutated,
    "nested": _nested,
    "huge number": _huge_number,
    "not UTF-8": _not_utf8,
    "other JSON": _other_json,
    "content type": lambda valid, chance: chance.choice((valid, b"a,b\n1", _cut(valid, chance))),
}


def _with_length(length: str) -> _Maker:
    return lambda valid, path, _: request(path, valid, headers={"Content-Length": length})


def _chunked(valid: bytes, path: str, chance: random.Random) -> bytes:
    size = chance.choice((b"zz", b"-1", b"", b"ffffffffffffffffff", b"5;ext=" + b"x" * 50, b"0x5"))
    head = request(path, b"", headers={"Transfer-Encoding": "chunked", "Content-Length": ""})
    return head.replace(b"Content-Length: \r\n", b"") + size + b"\r\n" + valid[:20] + b"\r\n0\r\n\r\n"


def _line(wrong: bytes) -> _Maker:
    """Return what replaces the first line of a request."""
    return lambda valid, path, _: wrong + b"\r\n" + request(path, valid).partition(b"\r\n")[2]


def _header(wrong: bytes) -> _Maker:
    """Return what adds a header to a request."""
    return lambda valid, path, _: request(path, valid).replace(b"\r\n", b"\r\n" + wrong + b"\r\n", 1)


_REQUESTS: Final[dict[str, _Maker]] = {
    "noise": lambda valid, path, chance: chance.randbytes(chance.randint(1, 600)),
    "length too short": lambda valid, path, chance: request(
        path, valid, headers={"Content-Length": str(chance.randrange(len(valid)))}
    ),
    "length too long": lambda valid, path, chance: request(
        path, valid, headers={"Content-Length": str(len(valid) + chance.randint(1, 9_999))}
    ),
    "length negative": _with_length("-5"),
    "length no number": _with_length("many"),
    "length beyond all": _with_length("9" * 40),
    "two lengths": _header(b"Content-Length: 3"),
    "length and chunks": _header(b"Transfer-Encoding: chunked"),
    "chunks": _chunked,
    "garbage after it": lambda valid, path, chance: request(path, valid) + chance.randbytes(200),
    "no HTTP": _line(b"HELO there"),
    "no such method": _line(b"BREW /predict HTTP/1.1"),
    "no such version": _line(b"POST /predict HTTP/7.7"),
    "path with NUL": _line(b"POST /pre\0dict HTTP/1.1"),
    "path of bytes": _line(b"POST /\xff\xfe\xed HTTP/1.1"),
    "path escaped": _line(b"POST /v2/models/%00%ff%0d%0a/infer HTTP/1.1"),
    "path climbing": _line(b"GET /../../../etc/passwd HTTP/1.1"),
    "path long": _line(b"POST /" + b"a" * 70_000 + b" HTTP/1.1"),
    "absolute": _line(b"POST http://elsewhere.example/predict HTTP/1.1"),
    "asterisk": _line(b"OPTIONS * HTTP/1.1"),
    "connect": _line(b"CONNECT elsewhere.example:443 HTTP/1.1"),
    "header without colon": _header(b"nothing"),
    "header folded": _header(b"X-A: 1\r\n  2"),
    "header of bytes": _header(b"Idempotency-Key: \xff\x00\x01"),
    "header long": _header(b"X-A: " + b"a" * 70_000),
    "headers many": _header(b"\r\n".join(b"X-%d: 1" % at for at in range(3_000))),
    "upgrade": _header(b"Connection: Upgrade\r\nUpgrade: h2c"),
    "web socket": _header(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"),
    "bare line feeds": lambda valid, path, _: request(path, valid).replace(b"\r\n", b"\n"),
    "another character set": _header(b"X-Name: \xe9\xe8"),
}
UNENDED: Final = frozenset({"noise", "length too long", "chunks"})
"""Kinds of requests after which a server may wait for more."""
