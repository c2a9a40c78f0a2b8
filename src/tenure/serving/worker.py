"""One serving process: answers requests on a socket that it got from its parent, until the parent says so or is gone.

    python -m tenure.serving.worker '{"folder": ..., "socket": 3, "parent": 4, "status": 5, ...}'

It writes one JSON line to `status` when it answers, or what keeps it from answering.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

from tenure.core.errors import TenureError
from tenure.engine.workspace import open_workspace
from tenure.serving.app import create_app
from tenure.serving.connection import SWEEP_SECONDS, Connection, connection_kind
from tenure.serving.security import environment_token

_SWITCH_SECONDS: Final = 0.0002
"""How long a thread beside the event loop may keep it waiting; Python's usual 5 ms is many requests."""
_KEEP_ALIVE_SECONDS: Final = 75
"""Longer than load balancers keep their side open, so that none sends into a closing connection."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told; `socket`, `parent` and `status` are file descriptors that it inherits."""

    folder: str
    host: str
    socket: int
    parent: int
    status: int
    workers: int
    metrics: str
    slot: str

    def to_json(self) -> str:
        """Return the orders as one argument."""
        return json.dumps(asdict(self))


def work(orders: Orders) -> int:
    """Serve until told to stop; return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is the parent's to handle
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        with open_workspace(Path(orders.folder), actor="server") as workspace:
            app = create_app(
                workspace,
                host=orders.host,
                workers=orders.workers,
                metrics_folder=Path(orders.metrics),
                slot=orders.slot,
                token=environment_token(),
            )
            limit = workspace.project.serving.timeout
            config = uvicorn.Config(
                app,
                http=connection_kind(limit),
                ws="none",
                lifespan="on",
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=max(int(limit), 1),
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                try:
                    runner.run(_Server(config, orders).serve_until_told())
                except SystemExit:  # uvicorn's way to say that the application did not start
                    raise app.trouble or TenureError("The server did not start.", hint="See above.") from None
    except TenureError as error:
        _tell(orders.status, {"error": error.as_dict()})
        return error.exit_code
    return 0


class _Server(uvicorn.Server):
    """A server that stops when its parent ends, however that ended."""

    def __init__(self, config: uvicorn.Config, orders: Orders) -> None:
        super().__init__(config)
        self._orders = orders

    async def serve_until_told(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._orders.parent, self._parent_is_gone)
        bound = socket.socket(fileno=self._orders.socket)
        sweeping = loop.create_task(self._sweep())
        try:
            await self.serve(sockets=[bound])
        finally:
            sweeping.cancel()
            loop.remove_reader(self._orders.parent)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What was loaded lives as long as the process: looking through it again and again for garbage takes
        # milliseconds each time, in the middle of a request.
        gc.collect()
        gc.freeze()
        if not self.should_exit:
            _tell(self._orders.status, {"ready": os.getpid()})

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = signal.signal(signal.SIGTERM, self.handle_exit)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _parent_is_gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._orders.parent)
        self.should_exit = True

    async def _sweep(self) -> None:
        """Cut connections whose client is too slow."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.cut_if_late(now)


def _tell(status: int, said: dict[str, Any]) -> None:
    os.write(status, json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(work(Orders(**json.loads(sys.argv[1]))))
