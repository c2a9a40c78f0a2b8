"""Show how honest stated scores are: how often the interval holds the score on rows kept away, and how much too good.

    python bench/honesty.py results.jsonl [more.jsonl ...]
    python bench/honesty.py results.jsonl --data DATA_FOLDER --budget 15 --seeds 0,1,2,3,4

The first form reads what `automl.py` wrote. The second runs ours as often as asked first, into the first results file.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from peers.campaign import OURS, Plan, numbers, read_results, run_all, successes, words
from peers.compare import Result, skill, table
from peers.suite import catalogue

from tenure.core.metrics import METRICS


def main() -> None:
    """Run ours where asked, and print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("results", type=Path, nargs="+")
    options.add_argument("--data", type=Path, help="run ours on the sets of this folder first")
    options.add_argument("--sets", default="")
    options.add_argument("--seeds", default="0,1,2")
    options.add_argument("--budget", type=float, default=15.0, help="seconds")
    options.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    asked = options.parse_args()
    if asked.data is not None:
        run_all(
            Plan(
                systems=[OURS],
                entries=catalogue(asked.data, words(asked.sets)),
                seeds=numbers(asked.seeds),
                budget=asked.budget,
                out=asked.results[0],
                cores=asked.cores,
            )
        )
    told = [r for r in successes(read_results(asked.results)) if r["stated"] is not None]
    print("\n" + honesty_table(told))
    for title, part in (("Rows in order of time", True), ("Rows without order", False)):
        print(f"\n### {title}\n\n" + honesty_table([r for r in told if r["ordered"] is part]))
    print("\n### Ours, run by run\n\n" + runs_table([r for r in told if r["system"] == OURS]))


def honesty_table(results: Sequence[Result]) -> str:
    """Return coverage and optimism of each system and budget.

    Inside: the stated interval holds the kept-away score. Inside, allowing for both: it would, were the kept-away
    quarter's own luck counted too. Within luck: the stated value lies in the interval of the kept-away score. Optimism:
    stated minus kept-away, positive is too good, as a share of the skill (what is gained over the constant baseline).
    """
    rows = []
    for system, budget in dict.fromkeys((r["system"], r["budget"]) for r in results):
        mine = [r for r in results if (r["system"], r["budget"]) == (system, budget)]
        bounded = [r for r in mine if r["stated_low"] is not None]
        excess = np.array([optimism(r) for r in mine])
        rows.append(
            [
                system,
                f"{budget:g} s",
                str(len(mine)),
                _share([r["stated_low"] <= r["score"] <= r["stated_high"] for r in bounded]),
                _share([holds_with_luck(r) for r in bounded]),
                _share([r["score_low"] <= r["stated"] <= r["score_high"] for r in mine]),
                f"{excess.mean():+.1%}",
                f"{np.median(excess):+.1%}",
                f"{excess.max():+.1%}",
            ]
        )
    head = ["system", "budget", "runs", "inside", "inside, allowing for both", "within luck"]
    return table([*head, "mean optimism", "median", "worst"], rows)


def optimism(result: Result) -> float:
    """Return how much better the stated score is than the kept-away one, as a share of the kept-away skill."""
    excess = METRICS[result["metric"]].gain(result["stated"], result["score"])
    return excess / max(abs(skill(result)), 1e-12)


def holds_with_luck(result: Result) -> bool:
    """Say whether stated and kept-away score agree when the uncertainty of both is counted.

    Of each interval only the half that looks to the other score counts; errors of different rows are independent.
    """
    stated, score = result["stated"], result["score"]
    if score >= stated:
        halves = result["stated_high"] - stated, score - result["score_low"]
    else:
        halves = stated - result["stated_low"], result["score_high"] - score
    return bool(abs(stated - score) <= np.hypot(*halves))


def runs_table(results: Sequence[Result]) -> str:
    """Return each run's stated score with its interval beside the kept-away one."""
    rows = [
        [
            r["set"],
            str(r["seed"]),
            f"{r['budget']:g} s",
            r["metric"],
            f"{r['stated']:.4g}"
            + ("" if r["stated_low"] is None else f" ({r['stated_low']:.4g} to {r['stated_high']:.4g})"),
            f"{r['score']:.4g} ({r['score_low']:.4g} to {r['score_high']:.4g})",
            f"{optimism(r):+.1%}",
        ]
        for r in results
    ]
    return table(["set", "seed", "budget", "metric", "stated (95 %)", "kept away (95 %)", "optimism"], rows)


def _share(held: Sequence[bool]) -> str:
    return f"{np.mean(held):.0%} ({sum(held)} of {len(held)})" if held else "-"


if __name__ == "__main__":
    main()
