"""A whole campaign of our own system on tiny tables; no peer is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from peers.campaign import Plan, aligned, read_results, run_all
from peers.meter import Meter, time_calls
from peers.suite import catalogue, split

ROOT = Path(__file__).resolve().parent.parent.parent


def _automl(*words: str | Path) -> str:
    script = ROOT / "bench" / "automl.py"
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_campaign_measures_ours_and_runs_nothing_twice(suite_folder: Path) -> None:
    out = suite_folder / "results" / "ours.jsonl"
    words = (suite_folder, "--systems", "tenure", "--budget", "3", "--out", out)
    first = _automl(*words)
    assert "[2/2] sales seed 0, tenure: rmse" in first
    assert "### Failures\n\nnone" in first
    results = read_results([out])
    for result in results:
        assert result["stated_low"] <= result["stated"] <= result["stated_high"]
        assert result["peak_mb"] >= result["base_mb"] > 0
        assert 0 < result["served_ms_p50"] <= result["served_ms_p99"]
        assert result["model_mb"] > 0
        with np.load(out.parent / result["predictions"]) as stored:
            assert len(stored["predicted"]) == len(stored["truth"]) == 80
    assert [(r["set"], r["ordered"]) for r in results] == [("leavers", False), ("sales", True)]
    again = _automl(*words)
    assert "seed 0, tenure:" not in again.split("## 3 s")[0]
    assert [json.dumps(r) for r in read_results([out])] == [json.dumps(r) for r in results]


def test_a_failed_run_is_written_down_and_the_campaign_goes_on(suite_folder: Path) -> None:
    out = suite_folder / "failed.jsonl"
    entries = catalogue(suite_folder, ["sales"])
    run_all(Plan(["tenure-without-nothing"], entries, [0], budget=3.0, out=out))
    (result,) = read_results([out])
    assert "There is no part 'nothing'" in result["error"]
    assert "score" not in result


def test_everything_that_the_ablation_switches_off_is_there() -> None:
    code = "from peers.without import parts, switch_off\nfor part in parts():\n    switch_off(part)\n    print(part)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "bench", capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert {"lightgbm", "linear", "bag", "ensemble", "threads"} <= set(told.stdout.split())


def test_columns_of_probabilities_are_put_in_order(suite_folder: Path) -> None:
    halves = split(catalogue(suite_folder, ["leavers"])[0], seed=0)
    told = np.array([[0.2, 0.8]])
    assert aligned(told, ["no", "yes"], halves).tolist() == [[0.8, 0.2]]
    assert aligned(told[:, :1], ["no"], halves).tolist() == [[0.0, 0.2]]


def test_memory_of_children_counts() -> None:
    hungry = "block = b'x' * 200_000_000; import time; time.sleep(0.4)"
    with Meter() as meter:
        subprocess.run([sys.executable, "-c", hungry], check=True)
    assert meter.peak_mb - meter.base_mb > 150
    assert meter.seconds > 0.3


def test_calls_are_timed_in_milliseconds() -> None:
    asked: list[int] = []
    told = time_calls(asked.append, list(range(50)))
    assert told["row_calls"] == 50
    assert len(asked) == 53
    assert 0 < told["row_ms_p50"] <= told["row_ms_p99"]
