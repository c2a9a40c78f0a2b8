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
    """Print what each kill met and how the projects ended; return 1 where a promise was broken."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("target")
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--budget", default="20s")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    chance = random.Random(asked.seed)
    run = [sys.executable, "-m", "tenure", "run", "--budget", asked.budget, "-q"]
    kills, whole = 0, True
    with tempfile.TemporaryDirectory() as place:
        while kills < asked.kills:
            folder = _project(Path(place), asked.data, asked.target)
            while kills < asked.kills:
                moment = chance.uniform(0.5, 0.9 * float(asked.budget.rstrip("s")))
                process = subprocess.Popen(run, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                try:
                    process.wait(timeout=moment)
                    break  # it finished before the moment came: the next kill takes a new project
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                kills += 1
                done = ", ".join(_finished(folder)) or "nothing"
                print(f"{folder.name}: kill {kills:>2} at {moment:5.1f} s; finished by then: {done}", flush=True)
            whole &= _ends_well(folder, run)
    return 0 if whole else 1


def _project(place: Path, data: Path, target: str) -> Path:
    folder = Path(tempfile.mkdtemp(dir=place, prefix="project-"))
    init = [sys.executable, "-m", "tenure", "init", str(data.resolve()), "--target", target, "-q"]
    subprocess.run(init, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


def _ends_well(folder: Path, run: list[str]) -> bool:
    started = time.perf_counter()
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    with open_workspace(folder) as workspace:
        events = workspace.ledger.verify()
        stages = Counter(event.stage for event in workspace.ledger.events(kind="stage-finished"))
        versions = [version.label for version in workspace.registry.versions()]
    print(f"{folder.name}: the same command again: exit {done.returncode} after {seconds:.1f} s", flush=True)
    print(f"{folder.name}: ledger whole, {events} events; stage runs {dict(stages)}; versions {versions}", flush=True)
    return done.returncode == 0 and stages == Counter({stage.name: 1 for stage in LIFECYCLE}) and versions == ["v1"]


def _finished(folder: Path) -> list[str]:
    if not (folder / ".tenure" / "state.db").exists():
        return []
    with open_workspace(folder) as workspace:
        return [str(event.stage) for event in workspace.ledger.events(kind="stage-finished")]


if __name__ == "__main__":
    sys.exit(main())
