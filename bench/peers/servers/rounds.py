"""Measure the servers, one after the other and all of them again, and append what came of each to a results file."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from peers.servers.kinds import Server
from peers.servers.live import TOLERANCE, Live, ServerFailed, agree
from peers.servers.load import put_load
from peers.servers.model import Prepared, write_project_file
from tenure.engine.workspace import open_workspace

_CHECKED_SINGLES: Final = 50
_WARM_CONNECTIONS: Final = 8
_BATCH_CONNECTIONS: Final = (1, 2)


@dataclass(frozen=True)
class Plan:
    """What is measured: for how long each, at which numbers of connections, how many times over."""

    servers: Sequence[Server]
    connections: Sequence[int]
    seconds: int
    warm: int
    rounds: int
    out: Path
    envs: Path | None


def run_all(plan: Plan, prepared: Prepared, about: dict[str, Any]) -> None:
    """Run every server once a round, every other round in reverse, so that a machine that slows down harms all alike.

    Each time the server is started anew; ours on a fresh copy of the project. `about` goes into every record.
    """
    versions = {server.name: _version(server, plan.envs) for server in plan.servers}
    for number in range(plan.rounds):
        for server in plan.servers[:: -1 if number % 2 else 1]:
            record = {
                "server": server.name,
                "version": versions[server.name],
                "round": number,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "load": round(os.getloadavg()[0], 2),
                **about,
                **_measure(plan, prepared, server),
            }
            with plan.out.open("a") as file:
                file.write(json.dumps(record) + "\n")
            print(f"[{number + 1}/{plan.rounds}] {_line(record)}", flush=True)


def home_of(server: Server, envs: Path | None) -> Path:
    """Return the environment of a peer."""
    if envs is None:
        raise SystemExit("Say with --envs where the environments of the servers are; `serving.py setup` makes them.")
    home = envs.resolve() / server.kind.home
    if not (home / "made").exists():
        raise SystemExit(f"{home} is not there or half made. Run: python bench/serving.py setup --envs {envs}")
    return home


def machine() -> dict[str, Any]:
    """Return what to know of this machine."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "memory_gib": round(memory),
        "python": platform.python_version(),
    }


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder lies on."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(place, kind) for place, kind in mounts if folder.resolve().is_relative_to(place)]
    return max(above, key=lambda each: len(each[0]))[1]


def _measure(plan: Plan, prepared: Prepared, server: Server) -> dict[str, Any]:
    record: dict[str, Any] = {"error": "", "runs": []}
    programs = Path(sys.executable).parent if server.is_ours else home_of(server, plan.envs) / "bin"
    model = _fresh_project(prepared, server) if server.is_ours else prepared.model_of(server)
    live = Live(server, model, programs, prepared.folder / f"{server.name}.log")
    try:
        with live:
            record["start_s"] = _checked_start(live, prepared)
            _load(prepared, live, 1, _WARM_CONNECTIONS, plan.warm)
            record["runs"] += [_load(prepared, live, 1, number, plan.seconds) for number in plan.connections]
            _load(prepared, live, prepared.batch, 1, plan.warm)
            for number in _BATCH_CONNECTIONS:
                record["runs"].append(_load(prepared, live, prepared.batch, number, plan.seconds))
            record |= live.memory()
    except (ServerFailed, OSError) as failure:
        record["error"] = str(failure)
    if server.is_ours and live.answered:
        record |= {"answered": live.answered, "on_their_way": live.on_their_way, "logged": _logged(model)}
    return record


def _checked_start(live: Live, prepared: Prepared) -> float:
    """Return the seconds to the first right answer, after looking at more answers.

    Raises:
        ServerFailed: an answer is not that of the model.
    """
    singles = prepared.bodies(live.server, 1).read_bytes().splitlines()[:_CHECKED_SINGLES]
    tables = prepared.bodies(live.server, prepared.batch).read_bytes().splitlines()[:1]
    seconds = live.until_it_answers(singles[0], prepared.expected[:1])
    for rows, bodies in ((1, singles), (prepared.batch, tables)):
        for at, body in enumerate(bodies):
            expected = prepared.expected[at * rows : (at + 1) * rows]
            apart = agree(live.ask(body, rows=rows), expected)
            if apart > TOLERANCE:
                raise ServerFailed(
                    f"gives other probabilities: they differ by {apart:.3g} ({rows} rows, body {at + 1})"
                )
    return seconds


def _load(prepared: Prepared, live: Live, rows: int, connections: int, seconds: int) -> dict[str, Any]:
    bodies = prepared.bodies(live.server, rows)
    figures = put_load(live.url(rows), bodies, connections=connections, seconds=seconds)
    live.answered += rows * figures.get("requests", 0)
    live.on_their_way += rows * connections
    if not figures["error"]:
        figures["requests_s"] = figures["requests"] / figures["seconds"]
    return {"rows": rows, "connections": connections, **figures}


def _fresh_project(prepared: Prepared, server: Server) -> Path:
    """Return a copy of the project in which nothing was predicted yet, with the server's settings."""
    folder = prepared.folder / server.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(prepared.model_of(server), folder)
    write_project_file(folder, server.serving or {}, target=prepared.target, positive=prepared.positive)
    return folder


def _logged(project: Path) -> int:
    """Return how many predictions the log holds, after the server stopped."""
    with open_workspace(project) as workspace:
        return workspace.traffic.prediction_count()


def _version(server: Server, envs: Path | None) -> str:
    python = Path(sys.executable) if server.is_ours else home_of(server, envs) / "bin" / "python"
    ask = f"import importlib.metadata as m; print(m.version({server.kind.package!r}))"
    return subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()


def _line(record: dict[str, Any]) -> str:
    if record["error"]:
        return f"{record['server']}: failed: {record['error'].splitlines()[-1]}"
    cells = [
        f"{run['rows']} x {run['connections']}: "
        + (f"failed ({run['error']})" if run["error"] else f"{run['requests_s']:,.1f}/s, p99 {run['p99_ms']:.2f} ms")
        for run in record["runs"]
    ]
    return f"{record['server']}: first answer after {record['start_s']:.2f} s; {'; '.join(cells)}"
