"""Show when a fit first has a model that it could return, on the smallest and the largest set of a folder.

    python bench/first_model.py DATA_FOLDER [--sets NAME,NAME] [--budget 60] [--interrupt 3]

Each set is fitted twice, each time in a fresh process. The first fit runs its budget, and the moments at which the race
had a complete floor (the constant), a complete learner and a complete boosted learner are noted, counted from the call;
the race has no hook for that, so its method that weighs candidates after each heat is wrapped here. The second fit is
interrupted, as by Ctrl-C, after so many seconds: it must return a model that predicts.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import polars as pl
from peers.campaign import aligned, words
from peers.compare import figure, table
from peers.suite import Entry, Split, catalogue, split

import tenure
from tenure.core.modelling import Task
from tenure.training.race import BASELINE, Race

_BOOSTED: Final = ("lightgbm", "catboost")


def main() -> None:
    """Run the sets and print a table, or run one fit and print its figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("--sets", default="", help="names from the catalogue; smallest and largest when empty")
    options.add_argument("--budget", type=float, default=60.0, help="seconds")
    options.add_argument("--interrupt", type=float, default=3.0, help="seconds")
    options.add_argument("--one", choices=["timed", "interrupted"], help="one fit of the first set, in this process")
    asked = options.parse_args()
    entries = catalogue(asked.data, words(asked.sets))
    if asked.one is not None:
        halves = split(entries[0], seed=0)
        print(json.dumps(timed_fit(halves, asked) if asked.one == "timed" else interrupted_fit(halves, asked)))
        return
    if not asked.sets:
        by_rows = sorted(entries, key=_rows)
        entries = [by_rows[0], by_rows[-1]]
    rows = [_line(entry, asked) for entry in entries]
    moments = ["first model, s", "first learner, s", "first boosted, s"]
    interrupted = [f"interrupted at {asked.interrupt:g} s: returned at, s", "its score", "score of the whole fit"]
    print(table(["set", "rows to learn from", *moments, *interrupted, "constant"], rows))


def timed_fit(halves: Split, asked: argparse.Namespace) -> dict[str, Any]:
    """Fit and return the seconds from the call to each moment, and the score of the kept rows."""
    moments: dict[str, float] = {}
    started = time.perf_counter()
    weigh = Race._weigh

    def noted(race: Race, ran: int) -> None:
        weigh(race, ran)
        now = time.perf_counter() - started
        families = {entrant.family.name for entrant in race.complete()}
        seen = {
            "floor": BASELINE in families,
            "learner": bool(families - {BASELINE}),
            "boosted": bool(families & set(_BOOSTED)),
        }
        moments.update({name: now for name, is_there in seen.items() if is_there and name not in moments})

    setattr(Race, "_weigh", noted)  # noqa: B010 (a method of the product is replaced, on purpose)
    model = _estimator(halves.entry, asked.budget)
    features, target = halves.learn.drop(halves.entry.target), halves.learn[halves.entry.target].to_numpy()
    started = time.perf_counter()
    model.fit(features, target)
    return moments | {"seconds": time.perf_counter() - started, "score": _score(model, halves)}


def interrupted_fit(halves: Split, asked: argparse.Namespace) -> dict[str, Any]:
    """Fit, interrupt, and return the seconds until the call returned, and the score of the kept rows."""
    model = _estimator(halves.entry, asked.budget)
    features, target = halves.learn.drop(halves.entry.target), halves.learn[halves.entry.target].to_numpy()
    threading.Timer(asked.interrupt, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    started = time.perf_counter()
    model.fit(features, target)
    return {"seconds": time.perf_counter() - started, "score": _score(model, halves)}


def _estimator(entry: Entry, budget: float) -> Any:
    kind = tenure.TenureRegressor if entry.task is Task.REGRESSION else tenure.TenureClassifier
    return kind(budget=budget, metric=entry.metric.name, random_state=0, time_ordered=entry.time is not None)


def _score(model: Any, halves: Split) -> float:
    regression = halves.entry.task is Task.REGRESSION
    kept = halves.kept.drop(halves.entry.target)
    said = model.predict(kept) if regression else model.predict_proba(kept)
    predicted = aligned(said, [] if regression else [str(name) for name in model.classes_], halves)
    return halves.entry.metric(halves.truth, predicted)


def _rows(entry: Entry) -> int:
    rows: int = pl.scan_parquet(entry.path).select(pl.len()).collect().item()
    return rows


def _line(entry: Entry, asked: argparse.Namespace) -> list[str]:
    timed, interrupted = (_alone(entry, asked, kind) for kind in ("timed", "interrupted"))
    halves = split(entry, seed=0)
    return [
        entry.name,
        f"{halves.learn.height:,}",
        *(f"{timed[moment]:.2f}" if moment in timed else "-" for moment in ("floor", "learner", "boosted")),
        f"{interrupted['seconds']:.2f}" if "seconds" in interrupted else interrupted["error"],
        figure(interrupted.get("score", float("nan")), 5),
        figure(timed.get("score", float("nan")), 5),
        figure(entry.metric(halves.truth, halves.constant()), 5),
    ]


def _alone(entry: Entry, asked: argparse.Namespace, kind: str) -> dict[str, Any]:
    words_ = [str(entry.path.parent), "--sets", entry.name, "--budget", str(asked.budget)]
    words_ += ["--interrupt", str(asked.interrupt), "--one", kind]
    done = subprocess.run([sys.executable, __file__, *words_], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"error": f"failed: {(done.stderr.strip() or 'said nothing').splitlines()[-1][:200]}"}
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
