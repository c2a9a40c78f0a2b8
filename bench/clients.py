"""Ask a running server with real clients, and with clients that mean ill, and say whether it kept its promises.

    python bench/clients.py setup --envs FOLDER
    python bench/clients.py run --envs FOLDER [--parts triton,mlflow,...] [--cases 330] [--malformed 10000]

`setup` makes environments for the clients of Triton and MLflow and for schemathesis. Prometheus is Debian's package
(`apt-get install prometheus`), or any folder with `prometheus` and `promtool` by --prometheus; it is run by hand. All
listens on loopback only. The exit code is 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from peers.campaign import words
from peers.clients.board import Line, Target, table
from peers.clients.contract import LEFT_OUT, fuzz
from peers.clients.malformed import malformed
from peers.clients.scrape import scrape
from peers.clients.slow import late, oversized, slow
from peers.clients.standing import mlflow, triton
from peers.clients.tokens import tokens
from peers.clients.wire import ORIGIN, wire
from peers.environments import CLIENTS, make_environments
from peers.projects import quick_project

from tenure.testing.load import Served

PARTS: Final = ("triton", "mlflow", "prometheus", "wire", "malformed", "oversized", "slow", "tokens", "schemathesis")
_SECRET: Final = "secret-of-the-bench-0123456789"
_LIMIT: Final = 5.0
_MOST: Final = 2_000_000
_LEAST_CASES: Final = 5_000
_SERVING: Final = f'allow_origins = ["{ORIGIN}"]\nmax_body_mb = {_MOST / 1e6}\nmax_rows = 1000\n'


def main() -> int:
    """Make environments, or ask and print tables; return 1 where a promise was broken."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("command", choices=["setup", "run"])
    options.add_argument("--envs", type=Path, required=True)
    options.add_argument("--parts", default=",".join(PARTS))
    options.add_argument("--prometheus", type=Path, help="the folder of prometheus and promtool")
    options.add_argument("--cases", type=int, default=330, help="of schemathesis for each route, at most")
    options.add_argument("--malformed", type=int, default=10_000)
    asked = options.parse_args()
    if asked.command == "setup":
        make_environments(asked.envs, CLIENTS)
        return 0
    parts = words(asked.parts)
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"There is no part {', '.join(unknown)}. Parts: {', '.join(PARTS)}")
    broken = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        run = _Run(Path(place), asked)
        for part in parts:
            started = time.monotonic()
            lines = run.do(part)
            broken += sum(not line.kept for line in lines)
            print(table(f"{part} ({time.monotonic() - started:.0f} s)", lines), flush=True)
    print(f"\nPromises broken: {broken}")
    return 1 if broken else 0


class _Run:
    """A project, copied for each kind of server, and what is asked of them."""

    def __init__(self, place: Path, asked: argparse.Namespace) -> None:
        self._place = place
        self._asked = asked
        self._model, self._rows = quick_project(place)

    def do(self, part: str) -> list[Line]:
        """Return what a part did and saw."""
        envs: Path = self._asked.envs.resolve()
        plain: dict[str, Callable[[Target], list[Line]]] = {
            "triton": lambda target: triton(target, envs / "triton" / "bin" / "python"),
            "mlflow": lambda target: mlflow(target, envs / "mlflow-client" / "bin" / "python"),
            "prometheus": lambda target: scrape(target, self._prometheus()),
            "wire": lambda target: wire(target, _MOST),
            "malformed": lambda target: malformed(target, self._asked.malformed),
            "oversized": lambda target: oversized(target, _MOST),
        }
        if part in plain:
            return self._on_server(part, plain[part])
        if part == "slow":
            return self._on_server(
                part, lambda target: slow(target, _LIMIT) + late(target, _LIMIT), more=f'timeout = "{_LIMIT:g}s"\n'
            )
        if part == "tokens":
            return self._on_server(part, lambda target: tokens(target, target.folder / "project"), secret=_SECRET)
        return self._fuzzed(envs / "schemathesis" / "bin" / "schemathesis")

    def _fuzzed(self, program: Path) -> list[Line]:
        """Ask a server that is open and coerces, and one that wants tokens and is strict."""
        counts = []

        def ask(target: Target, name: str) -> list[Line]:
            lines, count = fuzz(target, program, cases=self._asked.cases, is_strict=name == "strict", name=name)
            counts.append(count)
            return lines

        lines = self._on_server("fuzz-open", lambda target: ask(target, "open"))
        lines += self._on_server(
            "fuzz-strict", lambda target: ask(target, "strict"), more='bad_fields = "strict"\n', secret=_SECRET
        )
        lines.append(Line("cases answered in all", f"{sum(counts):,}", sum(counts) >= _LEAST_CASES))
        lines += [Line(f"left out: {check}", why, kept=True) for check, why in LEFT_OUT.items()]
        return lines

    def _on_server(
        self, name: str, ask: Callable[[Target], list[Line]], *, more: str = "", secret: str | None = None
    ) -> list[Line]:
        folder = self._place / name
        project = folder / "project"
        shutil.copytree(self._model, project)
        file = project / "tenure.toml"
        sections = file.read_text()
        assert sections.count("\n[serving]\n") == 1
        file.write_text(sections.replace("\n[serving]\n", f"\n[serving]\n{_SERVING}{more}"))
        os.environ.pop("TENURE_TOKEN", None)
        if secret is not None:
            os.environ["TENURE_TOKEN"] = secret
        with Served(project) as server:
            lines = ask(Target(server.url, server.process.pid, self._rows, folder, secret))
            alive = server.process.poll() is None
        faults = [line for line in server.log.read_text().splitlines() if "Traceback" in line or "ERROR" in line]
        seen = "; ".join(faults[:3]) or "nothing"
        return [*lines, Line(f"faults in the log of the server ({name})", seen, alive and not faults)]

    def _prometheus(self) -> Path:
        if self._asked.prometheus is not None:
            folder: Path = self._asked.prometheus
            return folder
        found = shutil.which("prometheus")
        if found is None:
            raise SystemExit("prometheus is not there. Run: apt-get install prometheus, or say --prometheus FOLDER")
        return Path(found).parent


if __name__ == "__main__":
    sys.exit(main())
