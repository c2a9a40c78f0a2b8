"""Judge a campaign: wins and ties by a paired bootstrap of the kept rows, normalised scores, tables of what it cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from peers.campaign import stretches, successes
from tenure.core.metrics import METRICS
from tenure.core.modelling import Floats

Result = dict[str, Any]
_DRAWS: Final = 400
_UNTIMED: Final = ("lgbm", "catboost")
"""Systems that take no budget; overrun says nothing of them."""


@dataclass(frozen=True)
class Duel:
    """How much better the first of two systems did on the same kept rows: gain with its 95 % interval."""

    gain: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Return win, tie or loss; a tie is an interval that holds zero."""
        if self.low > 0:
            return "win"
        return "loss" if self.high < 0 else "tie"


def duel(metric_name: str, truth: NDArray[Any], first: Floats, second: Floats, *, ordered: bool) -> Duel:
    """Return the paired difference of two systems; rows in order of time are drawn in stretches."""
    metric = METRICS[metric_name]
    score: Callable[[NDArray[np.int64]], float]
    if metric.row_loss is not None and metric.from_mean_loss is not None:
        ours, theirs, turn = metric.row_loss(truth, first), metric.row_loss(truth, second), metric.from_mean_loss

        def score(at: NDArray[np.int64]) -> float:
            return metric.gain(turn(float(ours[at].mean())), turn(float(theirs[at].mean())))
    else:

        def score(at: NDArray[np.int64]) -> float:
            return metric.gain(metric(truth[at], first[at]), metric(truth[at], second[at]))

    draws = [score(at) for at in _resamples(len(truth), ordered=ordered)]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Duel(score(np.arange(len(truth))), float(low), float(high))


def _resamples(rows: int, *, ordered: bool) -> Iterator[NDArray[np.int64]]:
    """Yield row positions drawn with replacement: one by one, or whole stretches of neighbours in time."""
    rng = np.random.default_rng(0)
    codes = stretches(rows, ordered=ordered)
    if codes is None:
        yield from (rng.integers(0, rows, rows) for _ in range(_DRAWS))
        return
    parts = np.split(np.arange(rows), np.flatnonzero(np.diff(codes)) + 1)
    for _ in range(_DRAWS):
        yield np.concatenate([parts[pick] for pick in rng.integers(0, len(parts), len(parts))])


class Board:
    """All results at one budget, by run (data set and seed) and system."""

    def __init__(self, results: Sequence[Result], budget: float) -> None:
        chosen = [r for r in results if r["budget"] == budget]
        self.budget = budget
        self.systems = list(dict.fromkeys(r["system"] for r in chosen))
        self.sets = list(dict.fromkeys(r["set"] for r in chosen))
        self.results = {(r["set"], r["seed"], r["system"]): r for r in chosen}
        self.runs = list(dict.fromkeys((r["set"], r["seed"]) for r in chosen))

    def of(self, name: str, system: str) -> list[Result]:
        """Return the successful results of a system on a data set, one for each seed."""
        return list(successes([r for (s, _, y), r in self.results.items() if (s, y) == (name, system)]))

    def mean(self, name: str, system: str, figure: str) -> float:
        """Return the mean of a figure over the seeds; NaN where there is none."""
        values = [r[figure] for r in self.of(name, system) if r.get(figure) is not None]
        return float(np.mean(values)) if values else float("nan")

    def failures(self) -> list[Result]:
        """Return the results of runs that gave no answer."""
        return [r for r in self.results.values() if r["error"]]

    def normalised(self) -> dict[str, list[float]]:
        """Return each system's scores with the best of a run as 1 and the constant baseline as 0; failures count 0."""
        found: dict[str, list[float]] = defaultdict(list)
        for name, seed in self.runs:
            at = {y: self.results[name, seed, y] for y in self.systems if (name, seed, y) in self.results}
            gains = {y: skill(r) for y, r in at.items() if not r["error"]}
            best = max(gains.values(), default=0.0)
            for system in at:
                found[system].append(gains.get(system, 0.0) / best if best > 0 else 0.0)
        return found

    def ranks(self) -> dict[str, list[float]]:
        """Return each system's rank in every run that all of them ran; 1 is the best, failures come last."""
        found: dict[str, list[float]] = defaultdict(list)
        for name, seed in self.runs:
            at = [self.results.get((name, seed, y)) for y in self.systems]
            if any(r is None for r in at):
                continue
            gains = np.array([skill(r) if r and not r["error"] else -np.inf for r in at])
            for system, gain in zip(self.systems, gains, strict=True):
                ahead, level = (gains > gain).sum(), (gains == gain).sum()
                found[system].append(float(ahead + (level + 1) / 2))
        return found

    def duels(self, first: str, second: str) -> list[tuple[str, Duel]]:
        """Return the duels of two systems in all runs that both ran with success, with the names of the sets."""
        found = []
        for name, seed in self.runs:
            pair = [self.results.get((name, seed, y)) for y in (first, second)]
            if any(r is None or r["error"] for r in pair):
                continue
            ours, theirs = (_predictions(r) for r in pair if r is not None)
            one = pair[0] or {}
            found.append(
                (
                    name,
                    duel(one["metric"], ours["truth"], ours["predicted"], theirs["predicted"], ordered=one["ordered"]),
                )
            )
        return found


def skill(result: Result) -> float:
    """Return how much better than the constant baseline a result is, in units of the metric."""
    return METRICS[result["metric"]].gain(result["score"], result["baseline"])


def _predictions(result: Result) -> dict[str, Any]:
    with np.load(Path(result["folder"]) / result["predictions"]) as stored:
        return {"truth": stored["truth"], "predicted": stored["predicted"]}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(value: float, digits: int = 4) -> str:
    """Return a number with so many significant digits, whole where it is large, or a dash where there is none."""
    if not np.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def score_table(board: Board) -> str:
    """Return the score of every system on every set, the best in bold."""
    rows = []
    for name in board.sets:
        scores = {y: board.mean(name, y, "score") for y in board.systems}
        example = next(r for (s, _, _), r in board.results.items() if s == name)
        metric = METRICS[example["metric"]]
        known = [value for value in scores.values() if np.isfinite(value)]
        best = (max if metric.greater_is_better else min)(known) if known else float("nan")
        cells = [f"**{figure(v, 5)}**" if v == best else figure(v, 5) for v in scores.values()]
        order = "time" if example["ordered"] else "random"
        rows.append([name, metric.name, f"{example['rows']:,} by {order}", *cells, figure(example["baseline"], 5)])
    return table(["set", "metric", "rows, split", *board.systems, "constant"], rows)


def cost_table(board: Board, name: str, cell: Callable[[str, str], str]) -> str:
    """Return one figure of every system on every set."""
    rows = [[each, *(cell(each, system) for system in board.systems)] for each in board.sets]
    return table([name, *board.systems], rows)


def cost_tables(board: Board) -> list[tuple[str, str]]:
    """Return seconds, memory, latency and size as titled tables."""

    def one(name: str, digits: int = 3) -> Callable[[str, str], str]:
        return lambda each, system: figure(board.mean(each, system, name), digits)

    def row(each: str, system: str) -> str:
        return f"{one('row_ms_p50')(each, system)} ({one('row_ms_p99')(each, system)})"

    titled = [
        ("Wall seconds of fit", cost_table(board, "s", one("fit_seconds"))),
        ("Peak memory of fit with children, MiB", cost_table(board, "MiB", one("peak_mb", 4))),
        ("One row as a data frame, ms: median (99th percentile)", cost_table(board, "ms", row)),
        ("Model on disk, MiB", cost_table(board, "MiB", one("model_mb"))),
    ]
    served = [
        [s, figure(board.mean(s, "tenure", "served_ms_p50"), 3), figure(board.mean(s, "tenure", "served_ms_p99"), 3)]
        for s in board.sets
        if np.isfinite(board.mean(s, "tenure", "served_ms_p50"))
    ]
    if served:
        titled.append(
            ("Ours, one row as served (a mapping to the scorer), ms", table(["set", "median", "99th"], served))
        )
    return titled


def summary_table(board: Board, first: str) -> str:
    """Return how `first` stands against every other system, and every system's normalised score, rank and overrun.

    Better: the mean score over the seeds of a set is better. Win, tie, loss: runs, by the paired interval.
    """
    normalised, ranks = board.normalised(), board.ranks()
    rows = []
    for system in board.systems:
        against = ["", ""] if system == first else _against(board, first, system)
        failed = sum(r["system"] == system for r in board.failures())
        rows.append(
            [
                system,
                figure(float(np.mean(normalised[system])), 4),
                figure(float(np.mean(ranks[system])) if ranks[system] else float("nan"), 3),
                *against,
                *_overrun(board, system),
                str(failed),
            ]
        )
    head = ["system", "mean normalised", "mean rank", f"{first} better on sets", f"{first} win-tie-loss"]
    return table([*head, "mean overrun", "worst overrun", "failures"], rows)


def _against(board: Board, first: str, second: str) -> list[str]:
    sets = [name for name in board.sets if board.of(name, first) and board.of(name, second)]
    ahead = 0
    for name in sets:
        metric = METRICS[board.of(name, first)[0]["metric"]]
        ahead += metric.gain(board.mean(name, first, "score"), board.mean(name, second, "score")) > 0
    verdicts = [each.verdict for _, each in board.duels(first, second)]
    share = f" ({ahead / len(sets):.0%})" if sets else ""
    return [
        f"{ahead} of {len(sets)}{share}",
        f"{verdicts.count('win')}-{verdicts.count('tie')}-{verdicts.count('loss')}",
    ]


def _overrun(board: Board, system: str) -> list[str]:
    if system in _UNTIMED:
        return ["-", "-"]
    over = [
        r["fit_seconds"] / board.budget - 1 for r in successes(list(board.results.values())) if r["system"] == system
    ]
    return [f"{np.mean(over):+.1%}", f"{max(over):+.1%}"] if over else ["-", "-"]


def report(results: Sequence[Result], first: str = "tenure") -> str:
    """Return all tables of a results file as markdown, budget by budget."""
    parts = []
    for budget in sorted({r["budget"] for r in results}):
        board = Board(results, budget)
        parts += [
            f"## {budget:g} s, {len(board.sets)} sets, {len(board.runs)} runs a system",
            summary_table(board, first),
        ]
        parts += ["### Score on the kept-away quarter", score_table(board)]
        for title, text in cost_tables(board):
            parts += [f"### {title}", text]
        failed = [f"- {r['system']} on {r['set']}, seed {r['seed']}: {r['error']}" for r in board.failures()]
        parts += ["### Failures", "\n".join(failed) or "none"]
    return "\n\n".join(parts)
