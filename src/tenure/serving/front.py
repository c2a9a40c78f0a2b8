"""The door: finds the route of a request, checks who asks and how much, and says no in the route's own words."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter, time_ns
from typing import Any, Final, NamedTuple

from tenure.core.errors import TenureError, UnauthorizedError
from tenure.serving.metrics import Metrics
from tenure.serving.protocols.refusals import Refusal, refusal_of
from tenure.serving.security import Guard, is_loopback
from tenure.state.tokens import TokenRole

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

_LOG: Final = logging.getLogger("tenure.serving")
_RETRY: Final = ((b"retry-after", b"1"),)
_CLOSING: Final = ((b"connection", b"close"),)
_OTHER: Final = "other"


class Reply(NamedTuple):
    """What goes back."""

    body: bytes
    status: int = 200
    content_type: bytes = b"application/json"
    headers: Headers = ()


@dataclass(slots=True)
class Request:
    """One request, its body read whole. `parameters` are the parts of the path that the route leaves open."""

    path: str
    headers: dict[bytes, bytes]
    body: bytes
    parameters: tuple[str, ...]

    def header(self, name: bytes) -> str | None:
        """Return a header (named in small letters) as text, or None."""
        found = self.headers.get(name)
        return None if found is None else found.decode("latin-1")


Refuse = Callable[[Refusal, str], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked. `path` may leave parts open as `{name}`; `need` is None where everybody may ask.

    `refuse` writes a refusal (and the path that was asked) in the words of the route's protocol. `always` is true where
    it is answered however busy the process is.
    """

    method: str
    path: str
    need: frozenset[TokenRole] | None
    answer: Callable[[Request], Awaitable[Reply]]
    refuse: Refuse
    always: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one process takes on: bytes of a body, seconds of a request, requests at once."""

    body: int
    seconds: float
    at_once: int


class Front:
    """The ASGI application: routes, limits, roles, errors and metrics of every request.

    `origins` are the web pages' origins that browsers may call from.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        guard: Guard,
        metrics: Metrics,
        limits: Limits,
        label: Callable[[], str],
        origins: Sequence[str] = (),
        verbose: bool = True,
        start: Callable[[], Awaitable[None]],
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        self._exact = {(route.method, route.path): route for route in routes if "{" not in route.path}
        self._open = [(_pattern(route.path), route) for route in routes if "{" in route.path]
        self._routes = routes
        self._guard = guard
        self._metrics = metrics
        self._limits = limits
        self._label = label
        self._origins = frozenset(origin.encode() for origin in origins)
        self._verbose = verbose
        self._start, self._stop = start, stop
        self._busy = 0
        self.trouble: TenureError | None = None
        """What kept it from starting."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request (or start and stop)."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:  # a web socket: nothing here speaks it
            await send({"type": "websocket.close", "code": 1003})

    async def _serve(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        started = perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        route, parameters, reply = self._find(scope["method"], scope["path"])
        self._metrics.started()
        try:
            if reply is None:
                self._busy += 1
                try:
                    with suppress(_GoneError):
                        reply = await self._answered(route, parameters, scope, headers, receive)
                finally:
                    self._busy -= 1
            if reply is not None:
                more = self._allowing(headers)
                if reply.status >= 400 and b"expect" in headers:
                    more = (*more, *_CLOSING)  # it may never send the body for which it asked
                await _say(send, reply, more)
        finally:
            status = 499 if reply is None else reply.status  # 499: the client went away first
            self._metrics.finished(route.path, status, self._label(), perf_counter() - started)

    async def _answered(
        self,
        route: Route,
        parameters: tuple[str, ...],
        scope: dict[str, Any],
        headers: dict[bytes, bytes],
        receive: Receive,
    ) -> Reply:
        path = scope["path"]
        body: bytes | None = None if route.method == "POST" else b""
        try:
            reply = self._stopped(route, headers, path)
            if reply is None:
                async with asyncio.timeout(self._limits.seconds):
                    if route.method == "POST":
                        body = await _body(headers, receive, self._limits.body)
                    return await route.answer(Request(path, headers, body or b"", parameters))
        except TimeoutError:
            reply = route.refuse(_SLOW_CLIENT if body is None else _SLOW, path)
        except _GoneError:
            raise
        except _TooLargeError:
            detail = f"The body is larger than {self._limits.body / 1e6:g} MB."
            reply = route.refuse(Refusal(413, "content-too-large", detail), path)
        except TenureError as error:
            reply = self._refused(route, error, path)
        except Exception as error:
            _LOG.exception("%s %s failed", route.method, route.path)
            reply = route.refuse(refusal_of(error), path)
        return reply

    def _stopped(self, route: Route, headers: dict[bytes, bytes], path: str) -> Reply | None:
        """Return why a request goes no further than the door, or None."""
        if route.always:
            return None
        if route.need is not None:
            if self._guard.is_open and not _is_near(headers):
                return route.refuse(_STRANGE_HOST, path)
            key, shown = headers.get(b"x-api-key"), headers.get(b"authorization")
            self._guard.check(shown, route.need, time_ns() // 1_000, api_key=key)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return route.refuse(_ENCODED, path)
        return _with(route.refuse(_BUSY, path), _RETRY) if self._busy > self._limits.at_once else None

    def _refused(self, route: Route, error: TenureError, path: str) -> Reply:
        refusal = refusal_of(error, verbose=self._verbose)
        if refusal.status >= 500:
            _LOG.error("%s %s: %s", route.method, route.path, error)
        more = _RETRY if refusal.status == 503 else ()
        if isinstance(error, UnauthorizedError):
            more = ((b"www-authenticate", error.challenge.encode()),)
        return _with(route.refuse(refusal, path), more)

    def _find(self, method: str, path: str) -> tuple[Route, tuple[str, ...], Reply | None]:
        """Return the route and its parameters; or the nearest thing to one, and the refusal."""
        wanted = "GET" if method == "HEAD" else method
        route = self._exact.get((wanted, path))
        if route is not None:
            return route, (), None
        for pattern, candidate in self._open:
            if candidate.method == wanted and (found := pattern.fullmatch(path)):
                return candidate, found.groups(), None
        return self._no_route(method, path)

    def _no_route(self, method: str, path: str) -> tuple[Route, tuple[str, ...], Reply | None]:
        here = [route for (_, known), route in self._exact.items() if known == path]
        here += [route for pattern, route in self._open if pattern.fullmatch(path)]
        known = {route.method for route in here} | {"OPTIONS"}
        methods = ", ".join(sorted(known | ({"HEAD"} if "GET" in known else set()))).encode()
        if here and method == "OPTIONS":
            asked: Headers = ((b"allow", methods),)
            return here[0], (), Reply(b"", 204, headers=(*asked, *_PREFLIGHT))
        if here:
            detail = f"{method[:20]} is not what this route takes."
            return (
                here[0],
                (),
                _with(here[0].refuse(Refusal(405, "method-not-allowed", detail), path), ((b"allow", methods),)),
            )
        like = next((route for route in self._routes if path.startswith(_head(route.path))), self._routes[0])
        reply = like.refuse(Refusal(404, "not-found", "There is nothing here.", "GET /docs lists the routes."), path)
        nowhere = Route(method, _OTHER, None, like.answer, like.refuse)
        return nowhere, (), reply

    def _allowing(self, headers: dict[bytes, bytes]) -> Headers:
        origin = headers.get(b"origin")
        if origin is None or origin not in self._origins:
            return ()
        return ((b"access-control-allow-origin", origin), (b"vary", b"origin"), *_EXPOSED)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._start()
                except TenureError as error:
                    self.trouble = error
                    await send({"type": "lifespan.startup.failed", "message": error.message})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


_STRANGE_HOST: Final = Refusal(
    403,
    "forbidden",
    "The request names another host than this machine, as a web page would that was given this address.",
    "Ask 127.0.0.1 or localhost, or make a token: tenure token add NAME --role predict",
)
_ENCODED: Final = Refusal(415, "unsupported-media-type", "The body is compressed.", "Send it as it is.")
_BUSY: Final = Refusal(
    503, "busy", "So many requests are being answered that no more fit in.", "Try again in a second."
)
_SLOW: Final = Refusal(504, "too-slow", "The answer took too long.", "Send fewer rows at a time, or try again.")
_SLOW_CLIENT: Final = Refusal(408, "request-timeout", "The body did not come in time.", "Send it in one go.")
_PREFLIGHT: Final[Headers] = (
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, idempotency-key, x-api-key"),
    (b"access-control-max-age", b"600"),
)
_EXPOSED: Final[Headers] = ((b"access-control-expose-headers", b"x-prediction-id, retry-after"),)


class _GoneError(Exception):
    """The client went away before its request was whole."""


class _TooLargeError(Exception):
    """The body is larger than the limit."""


def _is_near(headers: dict[bytes, bytes]) -> bool:
    """Say whether the request names this machine: a page's script could otherwise ask by a name that leads here."""
    host = headers.get(b"host", b"localhost").decode("latin-1")
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return is_loopback(name)


async def _body(headers: dict[bytes, bytes], receive: Receive, most: int) -> bytes:
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > most:
        raise _TooLargeError
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _TooLargeError
        if not message.get("more_body", False):
            return b"".join([*parts, part]) if parts else part
        parts.append(part)


async def _say(send: Send, reply: Reply, more: Headers) -> None:
    head = [*reply.headers, *more]
    if reply.status != 204:  # which has no content to describe
        head += (b"content-type", reply.content_type), (b"content-length", b"%d" % len(reply.body))
    await send({"type": "http.response.start", "status": reply.status, "headers": head})
    await send({"type": "http.response.body", "body": reply.body})


def _with(reply: Reply, headers: Headers) -> Reply:
    return reply._replace(headers=(*reply.headers, *headers))


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(
        "".join("([^/]+)" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", path))
    )


def _head(path: str) -> str:
    return "/" + path.split("/")[1] + "/"
