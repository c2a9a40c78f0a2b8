"""Measure monitoring beside Evidently and NannyML on the same windows: false alarms, power, speed; and replay history.

    python bench/monitoring.py setup --peers FOLDER
    python bench/monitoring.py alarms DATA --peers FOLDER --work FOLDER --out alarms.jsonl [--sizes 500,2000,10000]
    python bench/monitoring.py power DATA --peers FOLDER --work FOLDER --out power.jsonl
    python bench/monitoring.py speed --peers FOLDER --work FOLDER --out speed.jsonl [--rows 100000,1000000]
    python bench/monitoring.py replay DATA --work FOLDER --out replay.jsonl [--sets elec2]
    python bench/monitoring.py tables alarms.jsonl power.jsonl speed.jsonl replay.jsonl

DATA holds Parquet files and a `catalog.toml`. `setup` makes one environment for each peer. Each finished job is one
line of the results file, and is not run again. `--systems tenure` needs no peers.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from peers.campaign import numbers, words
from peers.environments import make_environments
from peers.monitors.alarms import run_alarms
from peers.monitors.board import report
from peers.monitors.others import MONITORS, PEERS, python_of
from peers.monitors.ours import start
from peers.monitors.power import run_power
from peers.monitors.replay import REPLAYED, ReplayPlan, run_replay
from peers.monitors.results import read
from peers.monitors.speed import SYSTEMS, SpeedPlan, run_speed
from peers.monitors.watching import OURS, Plan
from peers.suite import catalogue

STATIONARY = (
    "telco_churn,california_housing,letter_recognition,mammography,fine_food_reviews,"
    "bank_marketing,bike_sharing_hourly,elec2,walmart_weekly_sales,ames_housing"
)


def main() -> None:
    """Run one sub-command."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = options.add_subparsers(dest="command", required=True)
    commands.add_parser("setup").add_argument("--peers", type=Path, required=True)
    _windows_options(commands.add_parser("alarms"), windows=365, peer_windows=30)
    _windows_options(commands.add_parser("power"), windows=20, peer_windows=5)
    _speed_options(commands.add_parser("speed"))
    _replay_options(commands.add_parser("replay"))
    commands.add_parser("tables").add_argument("results", type=Path, nargs="+")
    asked = options.parse_args()
    if asked.command == "setup":
        make_environments(asked.peers, MONITORS)
    elif asked.command == "tables":
        print(report(read(asked.results)))
    else:
        {"alarms": _alarms, "power": _power, "speed": _speed, "replay": _replay}[asked.command](asked)
        print("\n" + report(read([asked.out])))


def _common_options(options: argparse.ArgumentParser, name: str, systems: str) -> None:
    options.add_argument("--peers", type=Path, help="the folder of the peers' environments")
    options.add_argument("--work", type=Path, required=True, help="a folder for models and large files, kept")
    options.add_argument("--out", type=Path, default=Path(f"{name}.jsonl"))
    options.add_argument("--systems", default=systems)


def _windows_options(options: argparse.ArgumentParser, *, windows: int, peer_windows: int) -> None:
    options.add_argument("data", type=Path)
    _common_options(options, "alarms" if windows == 365 else "power", ",".join((OURS, *PEERS)))
    options.add_argument("--sets", default=STATIONARY)
    options.add_argument("--sizes", default="500,2000,10000", help="rows of a window")
    options.add_argument("--windows", type=int, default=windows, help="of a year, or looked at after a shift")
    options.add_argument("--peer-windows", type=int, default=peer_windows, help="how many of them the peers get")
    options.add_argument("--quiet", type=int, default=20, help="windows before a shift")
    options.add_argument("--years", type=int, default=1, help="model-years of each set and size")
    options.add_argument("--shifts", default="", help="all when empty")
    options.add_argument("--reference", choices=("kept", "learned"), default="kept", help="see the README")
    options.add_argument("--seconds", type=float, default=600.0, help="after which a peer starts nothing more in a job")


def _speed_options(options: argparse.ArgumentParser) -> None:
    _common_options(options, "speed", ",".join(SYSTEMS))
    options.add_argument("--rows", default="100000,1000000,10000000")
    options.add_argument("--columns", default="20,50")
    options.add_argument("--repeats", type=int, default=3, help="the peers run once from 1e6 rows on")
    options.add_argument("--seconds", type=float, default=900.0, help="after which a process is given up")
    options.add_argument("--mb", type=float, default=12_000.0, help="with more memory a process is given up")


def _replay_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("data", type=Path)
    options.add_argument("--work", type=Path, required=True, help="a folder for the projects, kept")
    options.add_argument("--out", type=Path, default=Path("replay.jsonl"))
    options.add_argument("--sets", default=",".join(REPLAYED))
    options.add_argument("--budget", default="30s", help="of the run that makes the model")
    options.add_argument("--windows", type=int, default=0, help="at most; 0 for all")


def _plan(asked: argparse.Namespace) -> Plan:
    systems = words(asked.systems)
    for system in systems:
        if system != OURS:
            python_of(_peers(asked), system)  # rather now than after an hour
    return Plan(
        entries=catalogue(asked.data, words(asked.sets)),
        sizes=numbers(asked.sizes),
        systems=systems,
        out=asked.out,
        work=asked.work,
        peers=asked.peers,
        start=start,
        years=asked.years,
        windows=asked.windows,
        peer_windows=asked.peer_windows,
        quiet=asked.quiet,
        seconds=asked.seconds,
        shifts=words(asked.shifts),
        reference=asked.reference,
    )


def _peers(asked: argparse.Namespace) -> Path:
    if asked.peers is None:
        raise SystemExit("Say with --peers where the environments of the peers are; `monitoring.py setup` makes them.")
    return asked.peers


def _alarms(asked: argparse.Namespace) -> None:
    run_alarms(replace(_plan(asked), start=partial(start, outcomes=True)))


def _power(asked: argparse.Namespace) -> None:
    run_power(_plan(asked))


def _speed(asked: argparse.Namespace) -> None:
    systems = words(asked.systems)
    if set(systems) & set(PEERS):
        _peers(asked)
    sizes = {"rows": numbers(asked.rows), "columns": numbers(asked.columns)}
    limits = {"repeats": asked.repeats, "seconds": asked.seconds, "mb": asked.mb}
    run_speed(SpeedPlan(systems=systems, out=asked.out, work=asked.work, peers=asked.peers, **sizes, **limits))


def _replay(asked: argparse.Namespace) -> None:
    entries = catalogue(asked.data, words(asked.sets))
    run_replay(ReplayPlan(entries, asked.out, asked.work, budget=asked.budget, windows=asked.windows))


if __name__ == "__main__":
    main()
