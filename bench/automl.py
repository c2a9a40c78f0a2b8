"""Compare our estimators with other AutoML systems: same rows, same columns, same cores, same seconds, one run.

    python bench/automl.py setup --peers FOLDER
    python bench/automl.py DATA_FOLDER --peers FOLDER --out results.jsonl [--budget 60] [--systems tenure,flaml,...]
    python bench/automl.py tables results.jsonl [more.jsonl ...]

DATA_FOLDER holds Parquet files and a `catalog.toml`. `setup` makes one environment for each peer. A run
appends to the results file, runs nothing twice, and prints the tables at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from peers.campaign import MODULES, OURS, Plan, numbers, read_results, run_all, words
from peers.compare import report
from peers.environments import make_environments, python_of
from peers.suite import catalogue

DEFAULT_SYSTEMS = "tenure,ag_medium,ag_good,ag_best,flaml,lgbm,catboost"


def main() -> None:
    """Make environments, print tables, or run a campaign."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    if sys.argv[1:2] == ["setup"]:
        options.add_argument("command")
        options.add_argument("--peers", type=Path, required=True)
        make_environments(options.parse_args().peers)
    elif sys.argv[1:2] == ["tables"]:
        options.add_argument("command")
        options.add_argument("results", type=Path, nargs="+")
        print(report(read_results(options.parse_args().results)))
    else:
        plan = _plan(options)
        run_all(plan)
        print("\n" + report(read_results([plan.out])))


def _plan(options: argparse.ArgumentParser) -> Plan:
    options.add_argument("data", type=Path)
    options.add_argument("--peers", type=Path, help="the folder of the peers' environments")
    options.add_argument("--out", type=Path, default=Path("automl.jsonl"))
    options.add_argument("--systems", default=DEFAULT_SYSTEMS, help=f"{OURS}, {', '.join(MODULES)}")
    options.add_argument("--sets", default="", help="names from the catalogue; all when empty")
    options.add_argument("--seeds", default="0")
    options.add_argument("--budget", type=float, default=60.0, help="seconds")
    options.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    options.add_argument("--retry", action="store_true", help="run again what failed before")
    asked = options.parse_args()
    systems = words(asked.systems)
    unknown = [system for system in systems if system != OURS and system not in MODULES]
    if unknown:
        raise SystemExit(f"Unknown systems: {', '.join(unknown)}. There are: {OURS}, {', '.join(MODULES)}.")
    for system in systems:
        if system != OURS:
            python_of(asked.peers, MODULES[system])  # rather now than after an hour
    return Plan(
        systems=systems,
        entries=catalogue(asked.data, words(asked.sets)),
        seeds=numbers(asked.seeds),
        budget=asked.budget,
        out=asked.out,
        peers=asked.peers,
        cores=asked.cores,
        retry=asked.retry,
    )


if __name__ == "__main__":
    main()
