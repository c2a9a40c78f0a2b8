"""The application that one serving process runs: everything that answers, put together for one project."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from tenure.core.errors import NoChampionError
from tenure.engine.fields import check_policies
from tenure.engine.workspace import Workspace
from tenure.serving.answers import Answers
from tenure.serving.front import Front, Limits
from tenure.serving.metrics import Metrics
from tenure.serving.office import WAITING, Office
from tenure.serving.routes import routes_of
from tenure.serving.security import REFRESH_SECONDS, Guard, is_loopback
from tenure.state.tokens import Tokens

NOBODY: Final = "none"
_FLUSH_SECONDS: Final = 1.0


def create_app(
    workspace: Workspace,
    *,
    host: str | None = None,
    workers: int = 1,
    metrics_folder: Path | None = None,
    slot: str = "worker-0",
    token: str | None = None,
) -> Front:
    """Build the ASGI application of one of `workers` processes, to be reached at `host` (that of the project file).

    Tokens are those of the project, and `token`, which may do all. Counts of all processes lie in `metrics_folder`,
    those of this one as `slot`.
    """
    serving = workspace.project.serving
    is_near = is_loopback(host or serving.host)
    verbose = is_near if serving.verbose_errors is None else serving.verbose_errors
    metrics = Metrics(
        workspace.project.project.name,
        folder=metrics_folder,
        slot=slot,
    )
    office = Office(workspace, verbose=verbose)
    answers = Answers(workspace, office, metrics, workers=workers)
    tokens = Tokens(workspace.database, workspace.ledger, workspace.context.clock)
    guard = Guard(tokens.all, admin=token, open_without_tokens=is_near)
    watching: list[asyncio.Task[None]] = []

    async def start() -> None:
        """Load who answers before the first request comes, and go on looking.

        Raises:
            ConfigError: a policy of the project file names no column of the model.
        """
        with suppress(NoChampionError):  # requests say so, until somebody is promoted
            check_policies((await office.holders()).champion.model, workspace.project)
        watching.extend(
            asyncio.create_task(one)
            for one in (
                office.watch(),
                answers.watch(),
                _flush(metrics, office, workspace.context.clock),
                _keep_fresh(guard),
            )
        )

    async def stop() -> None:
        """Let nothing that was answered or counted be lost."""
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        answers.close()
        metrics.flush()

    return Front(
        routes_of(workspace, office, answers, metrics, secured=not guard.is_open),
        guard=guard,
        metrics=metrics,
        limits=Limits(int(serving.max_body_mb * 1_000_000), serving.timeout, serving.max_concurrency),
        label=lambda: office.label or NOBODY,
        origins=serving.allow_origins,
        verbose=verbose,
        start=start,
        stop=stop,
    )


async def _keep_fresh(guard: Guard) -> None:
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        await asyncio.get_running_loop().run_in_executor(WAITING, guard.refresh)


async def _flush(metrics: Metrics, office: Office, clock: Callable[[], datetime]) -> None:
    while True:
        await asyncio.sleep(_FLUSH_SECONDS)
        if (made_at := office.made_at) is not None:
            metrics.model_age((clock() - made_at).total_seconds())
        with suppress(OSError):  # a full disk: counts are worth less than answers
            metrics.flush()
