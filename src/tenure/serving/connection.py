"""One connection of HTTP: what uvicorn's own leaves open to clients that are slow, endless, or hope for HTTP/2."""

from __future__ import annotations

from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

SWEEP_SECONDS: Final = 1.0
"""How often to look for connections to cut."""
_MOST_LOOSE: Final = 2**19
"""Bytes of a head: twice what one reading from a socket brings, of which only the end may be of a head."""


class Connection(HttpToolsProtocol):
    """Bounds what a client may owe: the rest of a request, or that it takes its answers.

    The application looks at its own clock while a body comes, and says so; this is for what it never gets to see.
    """

    patience: float
    _since: float | None = None
    """Since when the rest of a head, or of a body, is awaited."""
    _taken: float = 0.0
    """When the client last took of what it was sent, while something waits."""
    _untaken: int = 0
    _answering: RequestResponseCycle | None = None
    _loose: int = 0
    """Bytes that came since the last that ended a head or were of a body."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered, which where several came together is not the last that came."""
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        self._taken = self.loop.time()  # an answer waits until most of those before it are taken
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Read what came; refuse what is no HTTP, or a head without end."""
        self._unset_keepalive_if_required()
        try:
            self._read(memoryview(data))
        except httptools.HttpParserError:
            self._refuse("Invalid HTTP request received.")
            return
        if self._since is None and self.timeout_keep_alive_task is None and self.cycle and self.cycle.response_complete:
            self._since = self.loop.time()  # what came was no request, and stopped the clock for idle connections
        self._loose += len(data)
        if self._loose > _MOST_LOOSE:
            self._refuse("The head of the request is too long.")

    def _read(self, view: memoryview) -> None:
        """Feed the parser; a wish for another protocol is passed over.

        After the head of such a request the parser takes what follows for the other protocol, and so loses the body:
        Java's client and `curl --http2` send one first. So that head is read again without the wish.
        """
        while view:
            try:
                self.parser.feed_data(view)
                return
            except httptools.HttpParserUpgrade as wish:
                view = view[wish.args[0] :]
                method, version = self.parser.get_method(), self.parser.get_http_version().encode()
                lines = [b"%b: %b\r\n" % (name, value) for name, value in self.headers if name != b"upgrade"]
                head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines))
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(head)

    def _refuse(self, why: str) -> None:
        if not self.transport.is_closing():
            self.logger.warning(why)
            self.send_400_response(why)

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head."""
        self._since = self.loop.time()
        self._loose = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to wait for the rest of a body."""
        self._since = self.loop.time()
        self._loose = 0
        if not self._is_wish():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._loose = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for nothing more."""
        self._since = None
        if not self._is_wish():
            super().on_message_complete()

    def _is_wish(self) -> bool:
        """Say whether the head asks for another protocol, and so will be read again without that."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def cut_if_late(self, now: float) -> None:
        """Close the connection where the rest of a request, or the client's taking of an answer, is too late."""
        untaken = self.transport.get_write_buffer_size()
        if self._untaken == 0 or untaken < self._untaken:
            self._taken = now
        self._untaken = untaken
        if self._since is not None and self.flow.read_paused:  # it is we who keep it waiting
            self._since = now
        most = self.patience + SWEEP_SECONDS  # so that the application is the first to say something
        if untaken and now - self._taken > most:
            self.transport.abort()
        elif self._since is not None and now - self._since > most:
            self._since = None
            self.transport.close()


def connection_kind(patience: float) -> type[Connection]:
    """Return the class of connections whose clients have so many seconds; uvicorn wants a class."""
    return type("PatientConnection", (Connection,), {"patience": patience})
