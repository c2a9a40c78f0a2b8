"""Estimate what a metric will be before the outcomes are known, ours beside NannyML, on the same windows in time order.

    python bench/estimates.py DATA --peers PEERS --out estimates.jsonl
    python bench/estimates.py drift DATA                  # planted concept drift: how often a confident wrong number
    python bench/estimates.py tables estimates.jsonl

PEERS/nannyml is an environment with `nannyml statsmodels "pandas<3"` (0.13 asks for neither, and fails without them).

One model a set: LightGBM on the first 35 % of the rows, its out-of-fold predictions validated forward in five blocks
and calibrated as `tenure` does. They are the reference of everybody; all later rows are the windows. The time column,
identifiers and leakage are left out. Regimes: no outcome is ever known; those of a window are known one or four
windows later. The peer is fitted on the reference at its defaults; with `--refit` again for each window, with all that
is known then.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.health import Estimate
from tenure.core.metrics import METRICS
from tenure.core.modelling import Floats, Indices, Score, Task
from tenure.core.uncertainty import score_with_interval
from tenure.monitoring.estimation.estimator import Estimator
from tenure.monitoring.estimation.ledger import PastEstimate, audited
from tenure.monitoring.estimation.rows import KnownRows, Reading
from tenure.training.calibration import calibrate

HERE: Final = Path(__file__).resolve().parent
SETS: Final = {
    "elec2": (500, 1000, 2000),
    "bank_marketing": (500, 1000, 2000),
    "bike_sharing_hourly": (250, 500, 1000),
    "ames_housing": (100,),
    "walmart_weekly_sales": (5000,),
}
METRICS_OF: Final = {Task.BINARY: ("roc_auc", "accuracy", "log_loss"), Task.REGRESSION: ("rmse", "mae")}
LAGS: Final = (None, 1, 4)
_LEARN: Final = 0.35
_BLOCKS: Final = 5


@dataclass(frozen=True, eq=False)
class Prepared:
    """One model's world: what is known of the reference, and the later rows in order."""

    name: str
    task: Task
    reference: KnownRows
    traffic: KnownRows


def prepared(data: Path, name: str, *, shuffled: bool = False) -> Prepared:
    """Learn the model of a set and answer all its later rows."""
    entry = next(e for e in tomllib.loads((data / "catalog.toml").read_text())["dataset"] if e["name"] == name)
    table = pl.read_parquet(data / entry["file"])
    when = entry.get("time")
    table = table.sort(when, maintain_order=True) if when else table
    if shuffled:
        table = table[np.random.default_rng(0).permutation(table.height)[:24_000]]
    if name == "elec2":  # the others hold the parts of the calendar that they need
        table = table.with_columns(_weekday=pl.col(when).dt.weekday())
    if name == "walmart_weekly_sales":
        table = table.with_columns(_week=pl.col(when).dt.week())
    task = Task(entry["task"])
    raw = table[entry["target"]]
    target = (raw.cast(pl.String) == entry["positive"]).cast(pl.Int64) if task is Task.BINARY else raw.cast(pl.Float64)
    left_out = [entry["target"], *([when] if when else []), *entry["leakage"], *entry["id_columns"]]
    features = table.drop(left_out).with_columns(pl.col(pl.Boolean).cast(pl.Float64))
    return _modelled(name, task, features, target.to_numpy(), ordered=bool(when) and not shuffled)


def _modelled(name: str, task: Task, features: pl.DataFrame, target: NDArray[Any], *, ordered: bool) -> Prepared:
    cells = Reading.of(features).matrix(features)
    n = int(_LEARN * len(target))
    cuts = [n * block // _BLOCKS for block in range(_BLOCKS + 1)]
    folds = [np.arange(cuts[b], cuts[b + 1]) for b in range(1 if ordered else 0, _BLOCKS)]
    said = [
        _answers(task, cells, target, np.arange(at[0]) if ordered else np.setdiff1d(np.arange(n), at), at)
        for at in folds
    ]
    rows = np.concatenate(folds)
    known, later = np.concatenate(said), _answers(task, cells, target, np.arange(n), np.arange(n, len(target)))
    if task is Task.BINARY:
        chosen, known = calibrate(target[rows], known, [at - rows[0] for at in folds])
        later = chosen.apply(later)
    return Prepared(
        name, task, KnownRows(features[rows], known, target[rows]), KnownRows(features[n:], later, target[n:])
    )


def _answers(task: Task, cells: Floats, target: NDArray[Any], learn: Indices, rows: Indices) -> Floats:
    kind = lgb.LGBMClassifier if task is Task.BINARY else lgb.LGBMRegressor
    model = kind(n_estimators=200, learning_rate=0.05, subsample=0.8, subsample_freq=1, n_jobs=1, verbose=-1)
    model.fit(cells[learn], target[learn])
    told = model.predict_proba(cells[rows]) if task is Task.BINARY else model.predict(cells[rows])
    return np.asarray(told, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Told:
    """What was estimated of each window, and what came true."""

    estimates: list[Estimate]
    realised: Floats
    skill: float
    still: float


def ours(world: Prepared, window: int, lag: int | None) -> dict[str, Told]:
    """Estimate each metric of every full window as it would have been estimated when it came."""
    names = METRICS_OF[world.task]
    learned = Estimator.learned(METRICS[names[0]], world.task, world.reference)
    still = {name: METRICS[name](world.reference.target, world.reference.predicted) for name in names}
    skill = {n: abs(still[n] - METRICS[n](world.reference.target, _constant(world))) for n in names}
    past: dict[str, list[PastEstimate]] = {name: [] for name in names}
    scores: dict[str, list[Score]] = {name: [] for name in names}
    for at, rows in enumerate(_windows(world.traffic, window)):
        known = 0 if lag is None else max(at - lag + 1, 0)
        estimator = learned.knowing(world.traffic.at(np.arange(known * window)))
        support = estimator.support(rows.features, rows.predicted)
        for name in names:
            told = [replace(p, realised=scores[name][j] if j < known else None) for j, p in enumerate(past[name])]
            one = replace(estimator, metric=METRICS[name]).estimate(rows.features, rows.predicted, support=support)
            estimate = audited(one, told, skill=skill[name], still=still[name])
            past[name].append(PastEstimate(f"{at}", estimate))
            scores[name].append(score_with_interval(METRICS[name], rows.target, rows.predicted))
    return {
        name: Told(
            [one.estimate for one in past[name]],
            np.array([score.value for score in scores[name]]),
            skill[name],
            still[name],
        )
        for name in names
    }


def _windows(traffic: KnownRows, window: int) -> Iterator[KnownRows]:
    for start in range(0, len(traffic) - window + 1, window):
        yield traffic.at(np.arange(start, start + window))


def _constant(world: Prepared) -> Floats:
    mean = np.full(len(world.reference), world.reference.target.mean())
    return np.column_stack([1 - mean, mean]) if world.task is Task.BINARY else mean


def peer(world: Prepared, window: int, lag: int | None, python: Path) -> list[dict[str, list[float]]]:
    """Return what NannyML says of the same windows: value, low and high of each metric."""
    with tempfile.TemporaryDirectory() as place:
        files = [Path(place) / name for name in ("reference.parquet", "traffic.parquet", "told.json")]
        for rows, file in zip((world.reference, world.traffic), files, strict=False):
            said = rows.predicted[:, 1] if world.task is Task.BINARY else rows.predicted
            rows.features.with_columns(predicted=said, target=rows.target).write_parquet(file)
        script = HERE / "peers" / "monitors" / "nannyml_estimates.py"
        words = [python, script, *files, "--task", world.task.value, "--window", str(window)]
        subprocess.run([*words, *(["--lag", str(lag)] if lag else [])], check=True, capture_output=True)
        estimates: list[dict[str, list[float]]] = json.loads(files[2].read_text())["estimates"]
        return estimates


def campaign(data: Path, sets: Sequence[str], peers: Path, out: Path, *, refit: bool, usual: bool) -> None:
    """Write one line for each set, window size, metric and regime."""
    python = peers / "nannyml" / "bin" / "python"
    with out.open("a") as lines:
        for name in sets:
            world = prepared(data, name)
            for window in SETS[name] if not usual else SETS[name][len(SETS[name]) // 2 :][:1]:
                once = peer(world, window, None, python)
                for lag in LAGS:
                    again = peer(world, window, lag, python) if lag and refit else None
                    for metric, told in ours(world, window, lag).items():
                        line = _compared(told, once, again, metric) | {"set": name, "window": window, "lag": lag}
                        lines.write(json.dumps(line) + "\n")
                        lines.flush()
                        print(line, flush=True)


def _compared(
    told: Told, once: list[dict[str, Any]], again: list[dict[str, Any]] | None, metric: str
) -> dict[str, Any]:
    """Compare on the windows where ours told a number; the peer always does."""
    given = np.array([one.value is not None for one in told.estimates])
    value = np.array([np.nan if one.value is None else one.value for one in told.estimates])
    ends = np.array(
        [(np.nan if e.low is None else e.low, np.nan if e.high is None else e.high) for e in told.estimates]
    )
    held = (ends[:, 0] <= told.realised) & (told.realised <= ends[:, 1])

    def error(said: Floats) -> float | None:
        return float(np.abs(said - told.realised)[given].mean()) if given.any() else None

    line: dict[str, Any] = {
        "metric": metric,
        "windows": len(given),
        "given": int(given.sum()),
        "held": int(held[given].sum()),
        "half_of_skill": float(np.median(np.ptp(ends[given], axis=1)) / 2 / told.skill) if given.any() else None,
        "skill": told.skill,
        "error": error(value),
        "still": error(np.full(len(given), told.still)),
    }
    if metric in once[0]:
        first = np.array([one[metric] for one in once])
        line["peer"] = error(first[:, 0])
        line["peer_refitted"] = error(np.array([one[metric][0] for one in again])) if again else None
        line["peer_all"] = float(np.abs(first[:, 0] - told.realised).mean())
        line["peer_held"] = int(((first[:, 1] <= told.realised) & (told.realised <= first[:, 2])).sum())
    return line


def drift(data: Path) -> None:
    """Plant concept drift in shuffled sets after ten quiet windows, and count confident wrong numbers.

    Drift: the outcome of half of the rows (those above the median of one column) no longer follows the features:
    binary outcomes are drawn from everybody's, values are moved by one standard deviation. Wrong: the realised metric
    lies outside the interval. Confident: the interval reaches less than a quarter of the skill to either side.
    """
    print("set | regime | quiet: held | drifted: windows, refused, held, confident and wrong (of these blind)")
    for name in ("elec2", "bank_marketing", "telco_churn", "california_housing", "bike_sharing_hourly"):
        world = prepared(data, name, shuffled=True)
        window = min(500, len(world.traffic) // 30)
        for lag in LAGS:
            quiet: list[bool] = []
            counts = np.zeros(5, dtype=int)
            for seed in range(3):
                told = ours(_drifted(world, seed, start=10 * window), window, lag)[METRICS_OF[world.task][0]]
                for at, (one, came) in enumerate(zip(told.estimates, told.realised, strict=True)):
                    if one.low is None or one.high is None:
                        counts += (at >= 10, at >= 10, 0, 0, 0)
                        continue
                    held = one.low <= came <= one.high
                    wrong = not held and one.high - one.low < told.skill / 2
                    blind = lag is None or at < 10 + lag
                    if at < 10:
                        quiet.append(held)
                    else:
                        counts += (1, 0, held, wrong, wrong and blind)
            windows, refused, right, wrong, blind = counts
            regime = "never" if lag is None else f"{lag} later"
            print(
                f"{name} | {regime} | {np.mean(quiet):.2f} | {windows}, {refused}, {right}, {wrong} ({blind})",
                flush=True,
            )


def _drifted(world: Prepared, seed: int, *, start: int) -> Prepared:
    rng = np.random.default_rng(seed)
    rows = world.traffic.at(rng.permutation(len(world.traffic)))
    cells = Reading.of(rows.features).matrix(rows.features)
    column = np.nan_to_num(cells[:, rng.integers(cells.shape[1])])
    ranks = np.argsort(np.argsort(column, kind="stable"), kind="stable")
    hit = (ranks > len(rows) // 2) & (np.arange(len(rows)) >= start)
    target = rows.target.copy()
    if world.task is Task.BINARY:
        target[hit] = rng.permutation(rows.target)[hit]
    else:
        target[hit] += rows.target.std()
    return Prepared(world.name, world.task, world.reference, KnownRows(rows.features, rows.predicted, target))


def tables(out: Path) -> str:
    """Return the page: error against the peer's, and how often the interval held."""
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    text = []
    for lag in LAGS:
        chosen = [line for line in lines if line["lag"] == lag]
        text.append(f"### Outcomes known {'never' if lag is None else f'{lag} windows later'}\n")
        text.append(
            "| set | window | metric | error | to the peer's | to the peer's, refitted | to 'no change' | held | told |"
        )
        text.append("|---|---|---|---|---|---|---|---|---|")
        text += [_row(line) for line in chosen]
        held, given = (sum(line[key] for line in chosen) for key in ("held", "given"))
        ratios = [line["error"] / line["peer"] for line in chosen if line.get("peer")]
        text.append(
            f"\nGeometric mean to the peer's {np.exp(np.mean(np.log(ratios))):.2f}; {held / given:.1%} of {given:,} "
            f"intervals held; {given / sum(line['windows'] for line in chosen):.0%} of the windows were told.\n"
        )
    return "\n".join(text)


def _row(line: dict[str, Any]) -> str:
    def ratio(key: str) -> str:
        return f"{line['error'] / line[key]:.2f}" if line.get(key) and line["error"] is not None else ""

    error = f"{line['error']:.4g}" if line["error"] is not None else ""
    held = f"{line['held'] / line['given']:.0%}" if line["given"] else ""
    told = f"{line['given']} of {line['windows']}"
    cells = (line["set"], line["window"], line["metric"], error, ratio("peer"), ratio("peer_refitted"), ratio("still"))
    return "| " + " | ".join(str(cell) for cell in (*cells, held, told)) + " |"


def main() -> None:
    """Run what the command line asks for."""
    warnings.filterwarnings("ignore")
    if sys.argv[1:2] == ["tables"]:
        print(tables(Path(sys.argv[2])))
        return
    if sys.argv[1:2] == ["drift"]:
        drift(Path(sys.argv[2]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--refit", action="store_true", help="the peer learns from the known windows, too; slow")
    parser.add_argument("--usual", action="store_true", help="one size of windows a set")
    args = parser.parse_args()
    campaign(args.data, args.sets.split(","), args.peers, args.out, refit=args.refit, usual=args.usual)


if __name__ == "__main__":
    main()
