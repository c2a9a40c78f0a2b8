"""Wins, ties, normalised scores, and the honesty of stated scores, on planted results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import honesty
import numpy as np
import pytest
from ablation import ablation_table
from peers.compare import Board, duel, report


def _truth(n: int = 600) -> np.ndarray:
    return np.random.default_rng(1).normal(size=n)


@pytest.mark.parametrize("ordered", [False, True])
def test_a_clearly_better_system_wins_and_the_other_loses(ordered: bool) -> None:
    truth, rng = _truth(), np.random.default_rng(2)
    good, bad = truth + 0.5 * rng.normal(size=600), truth + rng.normal(size=600)
    assert duel("rmse", truth, good, bad, ordered=ordered).verdict == "win"
    assert duel("rmse", truth, bad, good, ordered=ordered).verdict == "loss"
    assert duel("rmse", truth, good, good, ordered=ordered).verdict == "tie"


def test_a_difference_within_luck_is_a_tie() -> None:
    truth, rng = _truth(), np.random.default_rng(2)
    first, second = truth + rng.normal(size=600), truth + rng.normal(size=600)
    found = duel("rmse", truth, first, second, ordered=False)
    assert found.verdict == "tie"
    assert found.low < found.gain < found.high


def test_ranking_metrics_are_compared_too() -> None:
    truth = (_truth() > 0).astype(np.int64)
    sure = np.clip(truth + np.random.default_rng(2).normal(0, 0.6, 600), 0, 1)
    probable = np.column_stack([1 - sure, sure])
    assert duel("roc_auc", truth, probable, probable[::-1], ordered=False).verdict == "win"


def _result(folder: Path, system: str, noise: float, **more: Any) -> dict[str, Any]:
    truth = _truth()
    predicted = truth + noise * np.random.default_rng(5).normal(size=600)
    np.savez(folder / f"{system}.npz", truth=truth, predicted=predicted)
    return {
        "system": system,
        "set": "planted",
        "seed": 0,
        "budget": 10.0,
        "metric": "rmse",
        "ordered": False,
        "rows": 1800,
        "error": "",
        "baseline": 1.0,
        "score": noise,
        "score_low": noise - 0.02,
        "score_high": noise + 0.02,
        "stated": noise,
        "stated_low": noise - 0.02,
        "stated_high": noise + 0.02,
        "fit_seconds": 11.0,
        "folder": str(folder),
        "predictions": f"{system}.npz",
    } | more


def test_normalised_scores_go_from_the_constant_to_the_best(tmp_path: Path) -> None:
    failed = {"system": "flaml", "set": "planted", "seed": 0, "budget": 10.0, "metric": "rmse", "error": "exit 1"}
    results = [_result(tmp_path, "tenure", 0.2), _result(tmp_path, "ag_medium", 0.6), failed]
    board = Board(results, 10.0)
    assert board.normalised() == {"tenure": [1.0], "ag_medium": [pytest.approx(0.5)], "flaml": [0.0]}
    assert board.ranks() == {"tenure": [1.0], "ag_medium": [2.0], "flaml": [3.0]}
    text = report(results)
    assert "| ag_medium | 0.5 | 2 | 1 of 1 (100%) | 1-0-0 | +10.0% | +10.0% | 0 |" in text
    assert "- flaml on planted, seed 0: exit 1" in text


def test_the_ablation_says_what_a_part_adds(tmp_path: Path) -> None:
    results = [_result(tmp_path, "tenure", 0.2), _result(tmp_path, "tenure-without-linear", 0.6, fit_seconds=8.0)]
    assert "| linear | +50.00% | 1 of 1 | 1-0-0 | +3.0 | 0 |" in ablation_table(Board(results, 10.0))


def test_too_good_a_score_is_called_so(tmp_path: Path) -> None:
    honest = _result(tmp_path, "tenure", 0.5)
    boastful = honest | {"stated": 0.4, "stated_low": 0.38, "stated_high": 0.42}
    assert honesty.optimism(honest) == 0
    assert honesty.optimism(boastful) == pytest.approx(0.2)
    assert honesty.holds_with_luck(honest)
    assert not honesty.holds_with_luck(boastful)
    text = honesty.honesty_table([honest, boastful])
    assert "| tenure | 10 s | 2 | 50% (1 of 2) | 50% (1 of 2) | 50% (1 of 2) | +10.0% | +10.0% | +20.0% |" in text


def test_the_luck_of_the_kept_rows_is_allowed_for(tmp_path: Path) -> None:
    near = _result(tmp_path, "tenure", 0.5, stated=0.475, stated_low=0.455, stated_high=0.495)
    assert not near["stated_low"] <= near["score"] <= near["stated_high"]
    assert honesty.holds_with_luck(near)
