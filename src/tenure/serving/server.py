"""Run the application on a socket until told to stop."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from tenure.core.errors import ConfigError
from tenure.engine.workspace import Workspace
from tenure.serving.app import create_app

TOKEN_VARIABLE = "TENURE_TOKEN"


def serve_forever(workspace: Workspace, *, host: str, port: int, ready: Callable[[str], None]) -> int:
    """Serve until interrupted and return how many predictions were added to the log; `ready` is told the URL.

    Raises:
        NoChampionError: there is no model to serve.
        ConfigError: the address cannot be bound, or is beyond loopback and no token is set.
    """
    workspace.scorer(workspace.champion())
    token = os.environ.get(TOKEN_VARIABLE) or None
    if token is None and not _is_loopback(host):
        raise ConfigError(
            f"{host} can be reached from other machines, and no token is set.",
            where="serving.host",
            hint=f"Set {TOKEN_VARIABLE} in the environment, or bind to 127.0.0.1.",
        )
    bound = _bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    before = workspace.traffic.prediction_count()
    config = uvicorn.Config(create_app(workspace, token=token), log_level="warning", access_log=False)
    server = _Server(config)
    ready(f"http://{shown}:{bound.getsockname()[1]}")
    server.run(sockets=[bound])
    return workspace.traffic.prediction_count() - before


class _Server(uvicorn.Server):
    """A server that, told to stop, stops and returns, so that the command can say how much it did."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; binding before `ready` means that a first request is never refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"{host}:{port} cannot be bound: {error.strerror}.",
            where="serving.port",
            hint="Choose another port, or --port 0 for any free one.",
        ) from error
    return bound
