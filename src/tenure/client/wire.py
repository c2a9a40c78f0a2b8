"""Send JSON over kept-alive connections, and send again what may be sent again."""

from __future__ import annotations

import email.utils
import http.client
import json
import os
import random
import selectors
import ssl
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from tenure.client.failures import NoAnswerError, ProblemError
from tenure.core.errors import ConfigError

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_REFUSED_UNDONE: Final = frozenset({429, 503})
"""The server says that it did nothing, and may do it later."""
_LOST_BETWEEN: Final = frozenset({502, 504})
"""A proxy says that it got no answer; what stands behind it may have done the work."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    content: bytes
    retry_after: float | None


class Wire:
    """Connections to one server, shared by all threads: each request takes an idle one or opens one.

    A request is sent again, up to `retries` times with growing, jittered pauses, only where it cannot have been carried
    out, or where carrying it out twice is the same as once (`repeatable`).
    """

    def __init__(self, url: str, token: str | None, *, timeout: float, retries: int) -> None:
        self._secure, self._host, self._port, self._base = _parts(url)
        self.url = url
        self._headers = {"Accept": "application/json", "User-Agent": "tenure-client"} | _bearer(token)
        self._timeout = timeout
        self._retries = retries
        self._context = ssl.create_default_context() if self._secure else None
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._process = os.getpid()

    def ask(self, method: str, path: str, body: bytes | None = None, *, repeatable: bool, patient: bool = True) -> Any:
        """Return the JSON of the answer; a call that is not `patient` is sent once.

        Raises:
            ProblemError: the server refused.
            NoAnswerError: there was no answer.
        """
        attempts = self._retries if patient else 0
        for attempt in range(attempts + 1):
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt) * random.uniform(0.5, 1.0)
            failure: ProblemError | NoAnswerError
            try:
                reply = self._attempt(method, path, body)
            except NoAnswerError as error:
                failure, again = error, repeatable or not error.sent
            else:
                if 200 <= reply.status < 300:
                    return _json(reply, self.url)
                failure = ProblemError.from_reply(reply.status, reply.content, reply.retry_after)
                again = reply.status in _REFUSED_UNDONE or (repeatable and reply.status in _LOST_BETWEEN)
                asked = reply.retry_after or 0.0
                again = again and asked <= self._timeout  # whether to wait for longer is the caller's to decide
                pause += asked
            if not again or attempt == attempts:
                raise failure
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the idle connections; a later request opens a new one."""
        while self._idle:
            self._idle.pop().close()

    def _attempt(self, method: str, path: str, body: bytes | None) -> _Reply:
        connection = self._connection()
        headers = self._headers if body is None else self._headers | {"Content-Type": "application/json"}
        sent = False
        try:
            try:
                connection.request(method, self._base + path, body, headers)
                sent = True
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:  # not even connected
                    raise
                # A server that refuses a body before it read all of it has answered and closed: read what it said.
            response = connection.getresponse()
            reply = _Reply(response.status, response.read(), _retry_after(response))
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._no_answer(error, sent) from error
        except BaseException:  # interrupted amid an answer: the connection is out of step
            connection.close()
            raise
        self._idle.append(connection)
        return reply

    def _connection(self) -> http.client.HTTPConnection:
        """Return an idle connection that the server has not closed, or a new one."""
        if self._process != os.getpid():  # a fork: the parent goes on with these
            self._idle, self._process = deque(), os.getpid()
        try:
            connection = self._idle.pop()
        except IndexError:
            if self._context is not None:
                return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        if connection.sock is not None and _is_readable(connection.sock):
            connection.close()  # nothing was asked, so the server has closed it; the next request opens it again
        return connection

    def _no_answer(self, error: Exception, sent: bool) -> NoAnswerError:
        what = f"did not answer within {self._timeout:g} s" if isinstance(error, TimeoutError) else "did not answer"
        hint = (
            "The request may have been carried out. With ids of your own a prediction can safely be asked for again."
            if sent
            else "Check the address, and that the server runs; nothing was carried out."
        )
        told = str(error) or type(error).__name__
        return NoAnswerError(f"The server {what}: {told}.", hint=hint, where=self.url, sent=sent)


def _parts(url: str) -> tuple[bool, str, int | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _no_url(url) from None
    if parts.username or parts.password:
        raise ConfigError("The address holds a name or password.", where="url", hint="Give a token instead: token=...")
    usable = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or not usable:
        raise _no_url(url)
    return parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/")


def _no_url(url: str) -> ConfigError:
    return ConfigError(f"{url!r} is no address of a server.", where="url", hint="Such as: http://127.0.0.1:8000")


def _bearer(token: str | None) -> dict[str, str]:
    if not token:
        return {}
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(
            "The token holds signs that no token has.", where="token", hint="Look for a space or line end in it."
        )
    return {"Authorization": f"Bearer {token}"}


def _is_readable(sock: Any) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _retry_after(response: http.client.HTTPResponse) -> float | None:
    """Return the seconds that the server asks to wait; a date is read against the server's own clock."""
    asked = (response.getheader("Retry-After") or "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        then = email.utils.parsedate_to_datetime(asked)
        now = email.utils.parsedate_to_datetime(response.getheader("Date") or "")
        return max(0.0, (then - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _json(reply: _Reply, url: str) -> Any:
    try:
        return json.loads(reply.content)
    except ValueError:
        raise unfit(reply.status, url) from None


def unfit(status: int, url: str) -> ProblemError:
    """Return the error for an answer of a form that no tenure server gives."""
    return ProblemError(
        status,
        "answer-unusable",
        "The answer is not of the form that tenure gives.",
        hint="Check that the address is that of a tenure server, of about this version.",
        where=url,
    )
