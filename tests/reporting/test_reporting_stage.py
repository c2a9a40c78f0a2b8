from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from reporting_page_reader import read_page
from reporting_runs import Written, context, write
from reporting_worlds import churn_project, decided, project_text, walk_on

from tenure.core.evidence import QualityReport, RobustnessReport
from tenure.core.lifecycle import Outcome
from tenure.core.modelling import Task, Trim, Way
from tenure.reporting.stage import write_dossier

HOSTILE = '<script>alert("x")</script>'


def test_every_run_gets_a_page_and_a_card(any_run: Written) -> None:
    assert any_run.page.startswith("<!doctype html>")
    assert any_run.card.startswith("---\n")
    assert any_run.dossier.headline in read_page(any_run.page).words()
    assert any_run.dossier.made_from == tuple(record.digest for record in any_run.walk.records)
    assert len(any_run.page.encode()) < 1_500_000


def test_the_page_says_what_to_expect_on_new_rows_and_why(any_run: Written) -> None:
    words = read_page(any_run.page).words()
    assert "Expected on new rows" in words
    assert "Members answer together." in words


def test_equal_records_give_equal_bytes(written: Callable[[str], Written]) -> None:
    run = written("churn")
    assert write_dossier(run.ctx, *run.walk.records) == run.dossier


def test_promoted_model_is_in_office_and_worth_money(written: Callable[[str], Written]) -> None:
    headline = written("churn").dossier.headline
    assert re.search(r"^Model v2 is in office and earns about EUR\s[\d,]+ per 1,000 decisions", headline)
    assert "tenure rollback" in written("churn").page


def test_held_model_leaves_the_incumbent_in_office_and_needs_no_red(written: Callable[[str], Written]) -> None:
    run = written("churn-hold-no-value")
    assert run.dossier.headline.startswith("Model v1 stays in office")
    assert not [e for e in read_page(run.page).all() if "alarm" in e.attributes.get("class", "").split()]


def test_rejection_is_red_and_its_causes_come_first(written: Callable[[str], Written]) -> None:
    root = read_page(written("churn-reject-capacity").page)
    urgent = [e for e in root.all("li") if e.attributes.get("class") == "urgent"]
    assert any("Look into other units: MonthlyCharges" in e.words() for e in urgent)
    assert any("Repair the check" in e.words() for e in urgent)
    steps = next(e for e in root.all("ol") if e.attributes.get("class") == "steps")
    assert steps.children[0].attributes.get("class") == "urgent"


def test_without_value_the_page_counts_cases_and_asks_for_the_value(written: Callable[[str], Written]) -> None:
    words = read_page(written("churn-hold-no-value").page).words()
    assert "EUR" not in words
    assert "Say what right and wrong decisions are worth" in words
    assert re.search(r"Of 100 cases it flags, about \d+ turn out to be Churn = Yes \(\d+–\d+\)", words)


def test_capacity_ends_the_list_before_the_threshold_does(written: Callable[[str], Written]) -> None:
    words = read_page(written("churn-reject-capacity").page).words()
    assert "You can act on 200 cases per window (2,000 cases)" in words
    assert "Without that limit the cut-off would be 0.25" in words


def test_regression_is_told_in_its_own_units_against_a_constant_guess(written: Callable[[str], Written]) -> None:
    run = written("housing")
    oof = run.ctx.artifacts.get_table(run.walk.leaderboard.oof)
    usual = float((oof["target"] - oof["p_0"]).abs().median() or 0.0)
    shown = re.search(r"usually within ([\d,]+) of the truth", run.dossier.headline)
    assert shown is not None
    assert float(shown[1].replace(",", "")) == pytest.approx(usual, rel=0.005)
    assert "Giving the same answer every time" in run.page


def test_multiclass_names_the_hardest_class_and_the_worst_mix_up(written: Callable[[str], Written]) -> None:
    run = written("letter")
    oof = run.ctx.artifacts.get_table(run.walk.leaderboard.oof)
    said = oof.select(pl.col("^p_.*$")).to_numpy().argmax(axis=1)
    right = float(np.mean(said == oof["target"].to_numpy()))
    assert f"right in about {right * 100:.0f} of 100 cases" in run.dossier.headline
    rate = {
        name: float(np.mean(said[oof["target"].to_numpy() == code] == code))
        for code, name in enumerate(run.walk.snapshot.classes)
    }
    hardest = min(rate, key=lambda name: rate[name])
    assert f"“{hardest}” least" in read_page(run.page).words()


def hostile_frame(rows: int = 240) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    strong = rng.normal(size=rows)
    yes = rng.random(rows) < 1 / (1 + np.exp(-2 * strong))
    levels = rng.choice([HOSTILE, "a&b", "pl|an`*_"], size=rows)
    return pl.DataFrame({f"{HOSTILE}|x": strong, "level": levels, "target": np.where(yes, f"yes{HOSTILE}", "no&<b>")})


@pytest.mark.parametrize("positive", [f"yes{HOSTILE}"])
def test_hostile_names_and_classes_never_become_markup(folder: Any, positive: str) -> None:
    ctx = context(project_text("hostile", "binary", "target"), folder)
    run = write(ctx, walk_on(ctx, hostile_frame(), "target", Task.BINARY, positive=positive, rounds=10))
    root = read_page(run.page)
    assert not root.all("script")
    assert HOSTILE not in run.page
    assert HOSTILE not in run.card
    assert HOSTILE in root.words()


def test_hostile_classes_in_multiclass_and_long_names_are_drawn(folder: Any) -> None:
    frame = hostile_frame().with_columns(target=pl.col("level")).rename({"level": "l" * 150})
    ctx = context(project_text("hostile", "multiclass", "target"), folder)
    run = write(ctx, walk_on(ctx, frame, "target", Task.MULTICLASS, rounds=5, folds=2))
    assert not read_page(run.page).all("script")
    assert HOSTILE not in run.page


def test_empty_reports_and_lists_are_told_as_such(folder: Any, written: Callable[[str], Written]) -> None:
    run = written("churn")
    walk = run.walk
    board = replace(walk.leaderboard, importance=(), candidates=(), threshold=None, threshold_reason="")
    quality = QualityReport(clean=walk.quality.clean, rows=walk.quality.rows)
    robustness = RobustnessReport()
    decision, release = decided(board, robustness, Outcome.HOLD)
    decision = replace(decision, comparison=None, because=())
    plan = replace(walk.plan, naive=None, planned=None, naive_says="")
    bare = replace(
        walk,
        leaderboard=board,
        quality=quality,
        robustness=robustness,
        decision=decision,
        release=replace(release, version=None, rollback_to=None),
        plan=plan,
    )
    words = read_page(write(run.ctx, bare).page).words()
    assert "No check was run" in words
    assert "No single column" in words
    assert "it could not be compared fairly" in words


def test_what_a_limit_for_one_row_cost_is_on_the_page_and_the_card(written: Callable[[str], Written]) -> None:
    run = written("churn")
    says = "The whole ensemble is thought to need 4.1 ms for a row, so it serves without boosted-9 in 2.9 ms."
    trim = Trim(Way.PRUNED, ("boosted-9",), 3_000.0, 4_100.0, 2_900.0, 0.002, -0.001, 0.005, 700, says)
    board = replace(run.walk.leaderboard, row_us=2_900.0, trim=trim)
    told = write(run.ctx, replace(run.walk, leaderboard=board))
    for text in (read_page(told.page).words(), told.card.replace("\\", "")):
        assert says in text
    assert "about 2.9 ms, by estimate" in read_page(told.page).words()
    assert "by estimate" not in read_page(run.page).words()


def test_a_few_rows_are_enough_for_a_page(folder: Any) -> None:
    ctx = context(churn_project().replace('"Churn"', '"target"').replace('"Yes"', '"1"'), folder)
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=24), "target": ["1", "0"] * 12})
    run = write(ctx, walk_on(ctx, frame, "target", Task.BINARY, positive="1", rounds=3, folds=2))
    assert "Collect more rows" in run.page


def test_only_untouched_rows_are_told_where_some_were_kept_apart(written: Callable[[str], Written]) -> None:
    run = written("churn")
    oof = run.ctx.artifacts.get_table(run.walk.leaderboard.oof)
    apart = oof.with_columns(reported=pl.col("row") >= 5000)
    board = replace(run.walk.leaderboard, oof=run.ctx.artifacts.put_table(apart))
    words = read_page(write(run.ctx, replace(run.walk, leaderboard=board)).page).words()
    assert "All numbers come from 2,043 cases" in words
    assert "no choice between models looked at" in words
