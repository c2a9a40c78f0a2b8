"""Swap the model in office under load and look whether any request failed, or was answered by a version out of office.

    python bench/swap.py [--swaps 200] [--clients 8] [--pause 0.1]

Two versions take turns. A swap counts as done when the registry's move has returned; an answer is right if its version
was in office at some moment between its request and its answer. How long after that moment old answers still came is
printed too: none may have been asked for later.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import polars as pl
from peers.projects import DEMO, quick_project

from tenure.core.lifecycle import Alias
from tenure.engine.workspace import Workspace, open_workspace
from tenure.testing.load import Load, Served, Told


def main() -> int:
    """Print what happened; return 1 where a request failed or an answer came from a version out of office."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--swaps", type=int, default=200)
    options.add_argument("--clients", type=int, default=8)
    options.add_argument("--pause", type=float, default=0.1)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, rows = quick_project(Path(place))
        with open_workspace(folder, actor="bench") as workspace:
            numbers = (1, _second_version(workspace))
            with Served(folder) as server, Load(server.url, rows, clients=asked.clients) as load:
                time.sleep(1.0)
                terms = _swap(workspace, numbers, asked.swaps, asked.pause)
                time.sleep(0.5)
    return _tally(load, terms)


def _second_version(workspace: Workspace) -> int:
    """Register the same members under another threshold, so that the bundle is another one."""
    from dataclasses import replace

    from tenure.model.bundle import write_bundle

    model = workspace.scorer(workspace.champion()).model
    with tempfile.TemporaryDirectory() as place:
        write_bundle(replace(model, threshold=0.123), Path(place) / "second", sample=pl.read_parquet(DEMO).head(50))
        bundle = workspace.context.artifacts.put_tree(Path(place) / "second")
    return workspace.registry.register(bundle, run_id="bench", leaderboard="", actor="bench").number


def _swap(workspace: Workspace, numbers: tuple[int, int], swaps: int, pause: float) -> list[tuple[str, float, float]]:
    """Return each term of office: version, earliest moment it may have begun, latest moment it may have lasted."""
    terms = [(f"v{numbers[0]}", float("-inf"))]
    ends = []
    for at in range(1, swaps + 1):
        number = numbers[at % 2]
        before = time.monotonic()
        workspace.registry.move({Alias.CHAMPION: number}, actor="bench", reason=f"swap {at}")
        ends.append(time.monotonic())
        terms.append((f"v{number}", before))
        time.sleep(pause)
    return [(label, begun, end) for (label, begun), end in zip(terms, [*ends, float("inf")], strict=True)]


def _tally(load: Load, terms: list[tuple[str, float, float]]) -> int:
    wrong = [one for one in load.told if not _was_in_office(one, terms)]
    print(f"{len(terms) - 1} swaps, {len(load.told):,} answers: {dict(Counter(one.version for one in load.told))}")
    print(f"refused {len(load.refused)}, broken connections {load.broken}, by a version out of office {len(wrong)}")
    slowest = max(one.answered - one.asked for one in load.told)
    print(f"the slowest answer took {1_000 * slowest:.0f} ms")
    return 1 if wrong or load.refused or load.broken else 0


def _was_in_office(one: Told, terms: list[tuple[str, float, float]]) -> bool:
    return any(label == one.version and begun <= one.answered and one.asked <= end for label, begun, end in terms)


if __name__ == "__main__":
    sys.exit(main())
