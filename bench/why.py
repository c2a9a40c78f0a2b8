"""Rebuild random past predictions of real sets, over versions of different families: how many come out to the last bit.

python bench/why.py [--data FOLDER] [--sets telco_churn bike_sharing_hourly] [--count 100] [--budget 15s] [--seed 0]

Each version is made by a real walk, answers rows through the real server (one by one, many at once, with ids of the
client's, with JSON types as careless clients send them) and in a batch, and then makes way for the next.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl
from peers.suite import Entry, catalogue

from tenure.core.lifecycle import Alias
from tenure.engine.why import why
from tenure.engine.workspace import open_workspace
from tenure.testing.load import Served

_FAMILIES: Final = ("linear", "lightgbm", "prepared", "catboost", "")
"""One version each; the last one by whatever wins."""
_LEARNED: Final = 4_000
_ROWS: Final = {"one by one": 40, "80 at once": 80, "own ids": 20, "batch": 60}


def main() -> int:
    """Print how many predictions of each set are rebuilt; return 1 where one is not."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    options.add_argument("--sets", nargs="+", default=["telco_churn", "bike_sharing_hourly"])
    options.add_argument("--count", type=int, default=100)
    options.add_argument("--budget", default="15s")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    whole = True
    for entry in catalogue(asked.data, asked.sets):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / entry.name
            asked_ids = _life(folder, entry, asked.budget, random.Random(asked.seed))
            whole &= _rebuilt(folder, entry, asked_ids, asked.count, random.Random(asked.seed))
    return 0 if whole else 1


def _life(folder: Path, entry: Entry, budget: str, chance: random.Random) -> dict[str, tuple[str, str]]:
    """Make a project and give it a past; return how each prediction was asked for, and of which family's version."""
    table = pl.read_parquet(entry.path).filter(pl.col(entry.target).is_not_null())
    table = table.sort(entry.time) if entry.time else table
    folder.mkdir(parents=True)
    table[:_LEARNED].write_parquet(folder / "learned.parquet")
    words = ["init", "learned.parquet", "--target", entry.target]
    words += ["--time", entry.time] if entry.time else []
    words += ["--positive", entry.positive] if entry.positive else []
    _tenure(folder, *words)
    wish = (folder / "tenure.toml").read_text()
    families = [*_FAMILIES, "mlp"] if importlib.util.find_spec("torch") else list(_FAMILIES)
    later = table[_LEARNED:].drop(entry.target)
    known: dict[str, tuple[str, str]] = {}
    seen: set[int] = set()
    for turn, family in enumerate(families, start=1):
        line = f'\n[training]\nfamilies = ["{family}"]\n' if family else "\n[training]\n"
        (folder / "tenure.toml").write_text(wish.replace("\n[training]\n", line))
        _tenure(folder, "run", "--budget", budget, "--fresh", allowed=(0, 4))
        with open_workspace(folder, actor="bench") as workspace:
            version = workspace.registry.versions()[-1]
            if version.number in seen:
                print(f"{entry.name}: what {family or 'all families'} made was turned away, and is no version")
                continue
            seen.add(version.number)
            moves = {Alias.CHAMPION: version.number, Alias.CHALLENGER: None}
            workspace.registry.move(moves, actor="bench", reason="its turn")
        rows = later[(turn - 1) * sum(_ROWS.values()) : turn * sum(_ROWS.values())]
        for way, ids in _asked(folder, rows, turn, chance).items():
            known |= dict.fromkeys(ids, (family or "all families", way))
        print(f"{entry.name}: {version.label} ({family or 'all families'}) answered {rows.height} rows", flush=True)
    return known


def _asked(folder: Path, rows: pl.DataFrame, turn: int, chance: random.Random) -> dict[str, list[str]]:
    """Have rows answered in every way, and return the ids of the predictions."""
    sent = [{name: _as_sent(value, chance) for name, value in row.items()} for row in rows.to_dicts()]
    one, many, own, _ = _ROWS.values()
    found: dict[str, list[str]] = {}
    with Served(folder, "--workers", "1") as server:
        found["one by one"] = [ident for row in sent[:one] for ident in _post(server.url, {"rows": [row]})]
        found["80 at once"] = _post(server.url, {"rows": sent[one : one + many]})
        ids = [f"own-{turn}-{at}" for at in range(own)]
        found["own ids"] = _post(server.url, {"rows": sent[one + many : one + many + own], "ids": ids})
        server.stop()
    rows[one + many + own :].write_parquet(folder / f"batch-{turn}.parquet")
    _tenure(folder, "predict", f"batch-{turn}.parquet", "--log", "--ids", "--out", f"answers-{turn}.parquet")
    found["batch"] = pl.read_parquet(folder / f"answers-{turn}.parquet")["id"].to_list()
    return found


def _as_sent(value: Any, chance: random.Random) -> Any:
    """Return a cell as clients send it: dates as text, and now and then a number as text, a whole float, a gap."""
    value = value.isoformat() if isinstance(value, date) else value
    ways: list[Callable[[], Any]] = [
        lambda: value,
        lambda: str(value),
        lambda: float(value) if isinstance(value, int) else value,
        lambda: None,
    ]
    return chance.choices(ways, [20, 1, 2, 1])[0]()


def _post(url: str, body: dict[str, Any]) -> list[str]:
    request = urllib.request.Request(
        f"{url}/predict", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return [one["id"] for one in json.load(answer)["predictions"]]


def _rebuilt(folder: Path, entry: Entry, known: dict[str, tuple[str, str]], count: int, chance: random.Random) -> bool:
    chosen = chance.sample(sorted(known), count)
    equal: Counter[tuple[str, str]] = Counter()
    members: Counter[str] = Counter()
    started = time.perf_counter()
    with open_workspace(folder) as workspace:
        for ident in chosen:
            told = why(workspace, ident)
            members.update({member.name.split("-")[0] for member in told.rebuilt.members})
            equal[known[ident]] += told.problem is None
            if told.problem is not None:
                print(f"{entry.name}: {ident} {known[ident]}: {told.problem}")
    seconds = (time.perf_counter() - started) / count
    asked = Counter(known[ident] for ident in chosen)
    matched = sum(equal.values())
    print(f"{entry.name}: {matched} of {count} rebuilt to the last bit, {1000 * seconds:.0f} ms each")
    for what, part in (("version by", 0), ("asked", 1)):
        names = sorted({key[part] for key in asked})
        print(f"  {what} " + "; ".join(_counted(name, part, equal, asked) for name in names))
    print("  members of kinds: " + ", ".join(f"{name} in {times}" for name, times in members.most_common()))
    return matched == count


def _counted(name: str, part: int, equal: Counter[tuple[str, str]], asked: Counter[tuple[str, str]]) -> str:
    return f"{name}: {_sum(name, part, equal)} of {_sum(name, part, asked)}"


def _sum(name: str, part: int, counted: Counter[tuple[str, str]]) -> int:
    return sum(count for key, count in counted.items() if key[part] == name)


def _tenure(folder: Path, *words: str, allowed: Sequence[int] = (0,)) -> None:
    done = subprocess.run([sys.executable, "-m", "tenure", *words, "-q"], cwd=folder, capture_output=True, text=True)
    if done.returncode not in allowed:
        raise SystemExit(f"tenure {' '.join(words)}: {done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
