"""Judge policies of retraining on streams in order of time whose labels come late: ours beside the simple ones.

    python bench/autonomy.py setup --peers FOLDER
    python bench/autonomy.py run --data DATA --work FOLDER --peers FOLDER --out autonomy.jsonl [--sets a,b --delays 0,1]
    python bench/autonomy.py run --quick
    python bench/autonomy.py page autonomy.jsonl --out bench/results/autonomy.md

DATA (or TENURE_DATA) holds Parquet files and a `catalog.toml`; every set with a `time` column is a stream, and so are
the planted worlds. `setup` makes one environment for each peer. Each finished run is one line of the results file, and
is not run again (`--again tenure` makes ours anew). Models are kept in a bank below the work folder and fitted only
once. Set OMP_NUM_THREADS=1 for CPU times that mean something.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from peers.campaign import numbers, words
from peers.environments import make_environments
from peers.monitors.results import read
from peers.streams.child import ENVIRONMENTS
from peers.streams.contest import DELAYS, POLICIES, Plan, run
from peers.streams.page import charts, page
from peers.streams.worlds import WORLDS

REAL = ("elec2", "bank_marketing", "bike_sharing_hourly", "walmart_weekly_sales")


def main() -> None:
    """Run one sub-command."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = options.add_subparsers(dest="command", required=True)
    commands.add_parser("setup").add_argument("--peers", type=Path, required=True)
    _run_options(commands.add_parser("run"))
    shown = commands.add_parser("page")
    shown.add_argument("results", type=Path, nargs="+")
    shown.add_argument(
        "--out", type=Path, help="a Markdown file, with charts beside it; printed without charts if not given"
    )
    shown.add_argument("--charts", default="elec2,sudden", help="streams whose costs are drawn")
    asked = options.parse_args()
    if asked.command == "setup":
        make_environments(asked.peers, ENVIRONMENTS)
    elif asked.command == "run":
        _run(asked)
    else:
        _page(asked)


def _run_options(options: argparse.ArgumentParser) -> None:
    data = os.environ.get("TENURE_DATA")
    options.add_argument("--data", type=Path, default=Path(data) if data else None)
    options.add_argument("--sets", default=",".join((*REAL, *WORLDS)))
    options.add_argument("--delays", default=",".join(map(str, DELAYS)), help="windows after which labels are known")
    options.add_argument("--policies", default=",".join(POLICIES))
    options.add_argument("--peers", type=Path, help="the folder of the peers' environments")
    options.add_argument("--work", type=Path, default=Path("autonomy-bank"), help="a folder for the bank, kept")
    options.add_argument("--out", type=Path, default=Path("autonomy.jsonl"))
    options.add_argument("--again", default="", help="policies whose results are made anew, or `all`")
    options.add_argument("--quick", action="store_true", help="one world and little else, in a temporary folder")


def _run(asked: argparse.Namespace) -> None:
    if asked.quick:
        with tempfile.TemporaryDirectory(prefix="bench-") as place:
            out = Path(place) / "out.jsonl"
            run(Plan(("sudden",), (1,), words(asked.policies), out, None, Path(place), asked.peers, most_rows=8_000))
            print(page(read([out])))
        return
    policies = words(asked.policies)
    again = ("oracle", *policies) if asked.again == "all" else words(asked.again)
    delays = numbers(asked.delays)
    run(Plan(words(asked.sets), delays, policies, asked.out, asked.data, asked.work, asked.peers, again))
    print(page(read([asked.out])))


def _page(asked: argparse.Namespace) -> None:
    records = read(asked.results)
    if asked.out is None:
        print(page(records))
        return
    drawn = charts(records, words(asked.charts), asked.out)
    asked.out.write_text(page(records, drawn) + "\n")


if __name__ == "__main__":
    main()
