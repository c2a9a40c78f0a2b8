"""Kill a run with SIGKILL at random moments, then run the same command: it must finish, with every stage done once.

python bench/kill.py DATA TARGET [--kills 10] [--budget 20s] [--seed 0]
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tenure.engine.plan import LIFECYCLE
from tenure.engine.workspace import open_workspace


def main() -> int:
    """Print what each kill met and how the last run ended; return 1 where a promise was broken."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("target")
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--budget", default="20s")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        init = [sys.executable, "-m", "tenure", "init", str(asked.data.resolve()), "--target", asked.target, "-q"]
        subprocess.run(init, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        run = [sys.executable, "-m", "tenure", "run", "--budget", asked.budget, "-q"]
        for number in range(asked.kills):
            moment = chance.uniform(0.5, 2.0 + 1.2 * float(asked.budget.rstrip("s")) * (number + 1) / asked.kills)
            process = subprocess.Popen(run, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(timeout=moment)
                end = f"had ended with {process.returncode}"
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                end = "killed"
            print(
                f"kill {number + 1:>2} at {moment:5.1f} s: {end}; finished so far: {', '.join(_finished(folder))}",
                flush=True,
            )
        started = time.perf_counter()
        done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
        print(f"the same command again: exit {done.returncode} after {time.perf_counter() - started:.1f} s")
        with open_workspace(folder) as workspace:
            events = workspace.ledger.verify()
            stages = Counter(event.stage for event in workspace.ledger.events(kind="stage-finished"))
            versions = [version.label for version in workspace.registry.versions()]
        print(f"ledger whole: {events} events; stage runs: {dict(stages)}; versions: {versions}")
        return 0 if done.returncode == 0 and stages == Counter({s.name: 1 for s in LIFECYCLE}) else 1


def _finished(folder: Path) -> list[str]:
    if not (folder / ".tenure" / "state.db").exists():
        return []
    with open_workspace(folder) as workspace:
        return [str(event.stage) for event in workspace.ledger.events(kind="stage-finished")]


if __name__ == "__main__":
    sys.exit(main())
