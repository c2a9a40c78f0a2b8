"""Compare our server with others that carry the same trees: requests/s, latency, tables, start, memory.

    python bench/serving.py setup --envs FOLDER
    python bench/serving.py DATA_FOLDER --envs FOLDER --out serving.jsonl [--servers tenure,mlflow,...] [--page FILE.md]
    python bench/serving.py tables serving.jsonl

DATA_FOLDER holds Parquet files and a `catalog.toml`. The load comes from wrk (`apt-get install wrk`). `setup` makes one
environment for each peer. A run prints the tables at the end. Servers listen on loopback only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from peers.campaign import numbers, read_results, words
from peers.environments import SERVERS, make_environments
from peers.servers.board import report
from peers.servers.kinds import USUAL, server_named
from peers.servers.load import wrk_program
from peers.servers.model import prepare
from peers.servers.rounds import Plan, file_system, home_of, machine, run_all
from peers.suite import catalogue


def main() -> None:
    """Make environments, print tables, or measure."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    if sys.argv[1:2] == ["setup"]:
        options.add_argument("command")
        options.add_argument("--envs", type=Path, required=True)
        make_environments(options.parse_args().envs, SERVERS)
    elif sys.argv[1:2] == ["tables"]:
        options.add_argument("command")
        options.add_argument("results", type=Path)
        print(report(read_results([options.parse_args().results])))
    else:
        _measure(options)


def _measure(options: argparse.ArgumentParser) -> None:
    options.add_argument("data", type=Path)
    options.add_argument("--envs", type=Path, help="the folder of the peers' environments")
    options.add_argument("--servers", default=",".join(USUAL), help="NAME or, for a peer, NAME-WORKERS")
    options.add_argument("--set", default="bank_marketing", help="a binary set of the catalogue")
    options.add_argument("--seconds", type=int, default=10, help="of each load")
    options.add_argument("--conns", default="1,8,64")
    options.add_argument("--warm", type=int, default=3, help="seconds of load before the first that counts")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--out", type=Path, default=Path("serving.jsonl"), help="a new file")
    options.add_argument("--page", type=Path, help="a markdown file for the tables")
    options.add_argument("--work", type=Path, help="where the log of ours lies while it runs; a temporary folder else")
    asked = options.parse_args()
    if asked.out.exists():
        raise SystemExit(f"{asked.out} is there already. Print it with: python bench/serving.py tables {asked.out}")
    wrk_program()  # rather now than after the model is made
    servers = [server_named(name) for name in words(asked.servers)]
    homes = {server.kind.home: home_of(server, asked.envs) for server in servers if not server.is_ours}
    if homes:
        homes["fastapi"] = home_of(server_named("fastapi-array"), asked.envs)  # it fits the model
    (entry,) = catalogue(asked.data, [asked.set])
    plan = Plan(servers, numbers(asked.conns), asked.seconds, asked.warm, asked.rounds, asked.out, asked.envs)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=asked.work) as place:
        folder = Path(place).resolve()
        prepared = prepare(entry, folder, {name: home / "bin" / "python" for name, home in homes.items()})
        about = {**prepared.about, "seconds": plan.seconds, "file_system": file_system(folder), **machine()}
        run_all(plan, prepared, about)
    told = report(read_results([plan.out]))
    print("\n" + told)
    if asked.page is not None:
        asked.page.write_text(f"# Servers side by side\n\n{told}\n")


if __name__ == "__main__":
    main()
