from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tenure.core.contract import Contract
from tenure.core.evidence import QualityReport, Verdict
from tenure.quality.stage import assess_quality

BIKE = 'time = "datetime"'


def sums(n: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "noise": rng.normal(size=n)})
    return frame.with_columns((pl.col("a") + 2 * pl.col("b")).alias("y"))


def findings(report: QualityReport, verdict: Verdict) -> dict[str, str]:
    return {f.check: f.says for f in report.findings if f.verdict is verdict}


def test_bike_sharing_names_both_parts_of_the_sum_and_drops_them(assess: Any, real_data: Callable[[str], Path]) -> None:
    _, _, report = assess(real_data("bike_sharing_hourly"), task="regression", target="cnt", data=BIKE)
    assert {"casual", "registered"} <= set(report.dropped)
    assert not {"hr", "temp", "yr"} & set(report.dropped)
    assert "'casual' and 'registered'" in findings(report, Verdict.WARN)["additive_identity"]


def test_bank_marketing_duration_is_named_suspicious_and_kept(assess: Any, real_data: Callable[[str], Path]) -> None:
    _, _, report = assess(
        real_data("bank_marketing"), task="binary", target="y", data='time = "contact_month"\npositive = "yes"'
    )
    (found,) = report.of("dominance")
    assert (found.verdict, found.subject) == (Verdict.WARN, "duration")
    assert "duration" not in report.dropped
    assert report.verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("name", "task", "target", "data"),
    [
        ("telco_churn", "binary", "Churn", 'positive = "Yes"'),
        ("california_housing", "regression", "median_house_value", ""),
        ("elec2", "binary", "class", 'time = "datetime"\npositive = "UP"'),
        ("letter_recognition", "multiclass", "letter", ""),
        ("mammography", "binary", "class", 'positive = "malignant"'),
        ("ames_housing", "regression", "price", 'time = "sale_month"'),
        ("fine_food_reviews", "binary", "score", 'positive = "great"'),
    ],
)
def test_clean_columns_of_real_data_are_not_blamed(
    assess: Any, real_data: Callable[[str], Path], name: str, task: str, target: str, data: str
) -> None:
    _, snapshot, report = assess(real_data(name), task=task, target=target, data=data)
    blamed = [
        f for f in report.findings if f.subject and f.subject in snapshot.schema and f.verdict is not Verdict.PASS
    ]
    assert [f.says for f in blamed if f.verdict is not Verdict.SKIPPED] == []
    assert report.dropped == {}
    assert report.quarantined_rows <= 0.001 * snapshot.rows


def test_wide_table_stays_within_the_cap_and_loses_only_copies(assess: Any, real_data: Callable[[str], Path]) -> None:
    _, _, report = assess(real_data("cnae9_wide"), task="multiclass", target="category")
    assert 162 <= len(report.dropped) <= 175
    assert all("says the same as" in why or "one value" in why for why in report.dropped.values())
    assert not any(f.verdict.blocks for f in report.findings)


def test_clean_table_is_in_the_order_of_time(assess: Any) -> None:
    rng = np.random.default_rng(0)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 7, 18), eager=True).sample(200, shuffle=True, seed=1)
    frame = pl.DataFrame({"at": days, "x": rng.normal(size=200), "y": rng.normal(size=200)})
    ctx, _, report = assess(frame, task="regression", target="y", data='time = "at"')
    clean = ctx.artifacts.get_table(report.clean)
    assert clean["at"].is_sorted()
    assert clean.sort("x").equals(frame.sort("x"))


@pytest.mark.parametrize(
    ("policy", "verdict", "kept"), [("drop", "warn", False), ("warn", "warn", True), ("block", "fail", True)]
)
def test_project_decides_what_happens_to_a_leak(assess: Any, policy: str, verdict: str, kept: bool) -> None:
    _, _, report = assess(sums(), task="regression", target="y", more=f'[quality]\non_leakage = "{policy}"')
    assert [f.verdict.value for f in report.of("additive_identity")] == [verdict]
    assert (not {"a", "b"} & set(report.dropped)) is kept


def test_word_of_the_owner_overrules_a_leakage_finding(assess: Any) -> None:
    said = "".join(f'[data.columns.{name}]\navailable = "at_prediction"\n' for name in ("a", "b"))
    _, _, report = assess(sums(), task="regression", target="y", more=said)
    assert report.of("additive_identity")[0].verdict is Verdict.PASS
    assert report.dropped == {}


def test_columns_known_afterwards_or_not_to_be_used_are_always_dropped(assess: Any, churn_frame: pl.DataFrame) -> None:
    said = '[data.columns.plan]\nuse = false\n[data.columns.noise]\navailable = "after"\n'
    _, _, report = assess(churn_frame, task="binary", target="left", data='positive = "yes"', more=said)
    assert {"plan", "noise"} <= set(report.dropped)


def test_last_features_are_never_dropped(assess: Any) -> None:
    _, _, report = assess(sums().select("a", "b", "y"), task="regression", target="y")
    assert report.dropped == {}
    assert "nothing else is left" in findings(report, Verdict.WARN)["additive_identity"]


def test_too_many_rows_set_aside_is_a_failing_finding_not_an_error(assess: Any, churn_frame: pl.DataFrame) -> None:
    broken = churn_frame.with_columns(pl.when(pl.int_range(pl.len()) % 3 != 0).then("left").alias("left"))
    _, _, report = assess(broken, task="binary", target="left", data='positive = "yes"')
    assert report.quarantined_rows == 200
    assert report.of("quarantine")[0].verdict is Verdict.FAIL


def test_same_snapshot_gives_the_same_report(assess: Any, churn_frame: pl.DataFrame) -> None:
    reports = [assess(churn_frame, task="binary", target="left", data='positive = "yes"')[2] for _ in range(2)]
    assert reports[0].digest == reports[1].digest


def test_contract_is_stored_and_found_again(assess: Any, churn_frame: pl.DataFrame) -> None:
    ctx, snapshot, report = assess(churn_frame, task="binary", target="left", data='positive = "yes"')
    contract = ctx.artifacts.get_record(Contract, report.contract)
    assert contract.made_from == (snapshot.digest,)
    assert contract["plan"].levels == ("basic", "max", "plus")


def test_broken_check_of_the_project_is_an_error_finding(
    assess: Any, churn_frame: pl.DataFrame, tmp_path: Path
) -> None:
    folder = tmp_path / "plugins" / "quality-check"
    folder.mkdir(parents=True)
    (folder / "broken.py").write_text(
        "from tenure.core.evidence import Threshold\n"
        "class Broken:\n    name = 'broken'\n    threshold = Threshold(warn=0.5)\n"
        "    def measure(self, evidence):\n        raise RuntimeError('boom')\n"
    )
    _, _, report = assess(churn_frame, task="binary", target="left", data='positive = "yes"')
    (found,) = report.of("broken")
    assert found.verdict is Verdict.ERROR
    assert "boom" in found.says
    assert report.verdict.blocks


def test_checks_that_the_time_does_not_allow_are_named_as_skipped(churn_frame: pl.DataFrame, assess: Any) -> None:
    ctx, snapshot, _ = assess(churn_frame, task="binary", target="left", data='positive = "yes"')
    ticks = iter(range(0, 1_000_000, 10))
    hurried = dataclasses.replace(ctx, timer=lambda: float(next(ticks)))
    report = assess_quality(hurried, snapshot)
    late = [f for f in report.findings if "no time left" in f.says]
    assert late
    assert all(f.verdict is Verdict.SKIPPED for f in late)
    assert not report.verdict.blocks
