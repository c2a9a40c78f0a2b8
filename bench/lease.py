"""Three watchers on one project, killed and stalled for an hour of virtual time: never two acts for one cause.

python bench/lease.py [--minutes 60] [--watchers 3] [--seed 0] [--url postgresql://...] [--keep FOLDER]

The watchers are processes of their own that call the real `look_and_act` again and again. Their clock is the machine's,
moved on by what stands in a file: this program moves it on while nobody holds a lease. Meanwhile it plants causes: a
bad version forced into office, a model that goes wrong with new rows to learn from, a broken feed. Half of the kills
are aimed at what a watcher has just written to the ledger, as that is where an act is done and not noted yet. A stalled
watcher sleeps (SIGSTOP) until its lease has run out and another had its turn, and then goes on.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from peers.watchers.judge import judged
from peers.watchers.plant import make_project
from peers.watchers.torture import Torture, Tortured


def main() -> int:
    """Torture the watchers and print what came of it; return 1 where a promise was broken."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=60.0)
    options.add_argument("--watchers", type=int, default=3)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--url", default=None, help="of a PostgreSQL schema that is empty; left out: SQLite")
    options.add_argument("--keep", type=Path, default=None, help="folder for the project and the traces")
    asked = options.parse_args()
    place = asked.keep or Path(tempfile.mkdtemp(prefix="watchers-"))
    try:
        folder = make_project(place / "project", url=asked.url)
        torture = Torture(folder, place, watchers=asked.watchers, chance=random.Random(asked.seed))
        done = torture.run(minutes=asked.minutes)
        return _told(folder, done)
    finally:
        if asked.keep is None:
            shutil.rmtree(place, ignore_errors=True)


def _told(folder: Path, done: Tortured) -> int:
    broken, counted = judged(folder, done)
    print(
        f"{done.minutes:.0f} virtual minutes in {done.seconds:.0f} s: {done.kills} kills ({done.aimed} aimed), "
        f"{len(done.slept)} stalls, {done.looks} whole looks; causes planted: {len(done.planted)}"
    )
    print(", ".join(f"{name}: {count}" for name, count in counted.items()))
    for line in broken:
        print(f"BROKEN  {line}")
    print("every promise was kept" if not broken else f"{len(broken)} promises were broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
