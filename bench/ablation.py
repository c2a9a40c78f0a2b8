"""Show what each part of our engine adds: the same runs with one part switched off.

    python bench/ablation.py DATA_FOLDER --out ablation.jsonl [--parts catboost,bag,...] [--budget 60] [--seeds 0,1]
    python bench/ablation.py DATA_FOLDER --parts list

Parts are the model families and what `peers/without.py` can switch off by replacing functions of the product. A results
file is gone on with, as in `automl.py`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from peers.campaign import OURS, Plan, numbers, read_results, run_all, words
from peers.compare import Board, figure, skill, table
from peers.suite import catalogue
from peers.without import parts


def main() -> None:
    """Run ours whole and without each part, and print what each part adds."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("--out", type=Path, default=Path("ablation.jsonl"))
    options.add_argument("--parts", default="", help="all when empty; `list` prints them")
    options.add_argument("--sets", default="")
    options.add_argument("--seeds", default="0")
    options.add_argument("--budget", type=float, default=60.0, help="seconds")
    options.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    asked = options.parse_args()
    if asked.parts == "list":
        print("\n".join(parts()))
        return
    chosen = words(asked.parts) or parts()
    unknown = set(chosen) - set(parts())
    if unknown:
        raise SystemExit(f"There is no part {', '.join(sorted(unknown))}; there are: {', '.join(parts())}.")
    plan = Plan(
        systems=[OURS, *(f"{OURS}-without-{part}" for part in chosen)],
        entries=catalogue(asked.data, words(asked.sets)),
        seeds=numbers(asked.seeds),
        budget=asked.budget,
        out=asked.out,
        cores=asked.cores,
    )
    run_all(plan)
    print("\n" + ablation_table(Board(read_results([asked.out]), asked.budget)))


def ablation_table(board: Board) -> str:
    """Return what each part adds: change of the normalised score, clear wins and losses, seconds.

    The change is that of the skill over the constant baseline, as a share of the better one's. Positive: the part pays.
    """
    rows = []
    for system in board.systems:
        part = system.partition("-without-")[2]
        if not part:
            continue
        gains, seconds = [], []
        for name, seed in board.runs:
            whole, less = (board.results.get((name, seed, y)) for y in (OURS, system))
            if whole is None or less is None or whole["error"] or less["error"]:
                continue
            best = max(skill(whole), skill(less))
            gains.append((skill(whole) - skill(less)) / best if best > 0 else 0.0)
            seconds.append(whole["fit_seconds"] - less["fit_seconds"])
        verdicts = [duel.verdict for _, duel in board.duels(OURS, system)]
        failed = sum(r["system"] == system for r in board.failures())
        rows.append(
            [
                part,
                f"{np.mean(gains):+.2%}" if gains else "-",
                f"{sum(gain > 0 for gain in gains)} of {len(gains)}",
                f"{verdicts.count('win')}-{verdicts.count('tie')}-{verdicts.count('loss')}",
                f"{np.mean(seconds):+.1f}" if seconds else "-",
                figure(failed),
            ]
        )
    return table(
        ["part", "adds, of the skill", "better with it", "clearly better-tie-clearly worse", "seconds", "failures"],
        rows,
    )


if __name__ == "__main__":
    main()
