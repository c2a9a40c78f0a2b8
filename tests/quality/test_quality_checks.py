"""Planted faults: each check finds its own and stays silent on a clean world."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.evidence import Finding, Verdict, judged
from tenure.core.modelling import Task
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Deadline
from tenure.model.target import encode_target
from tenure.quality.evidence import QualityEvidence

N = 2000


def clean_frame(seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 3))
    yes = rng.random(N) < 1 / (1 + np.exp(-x[:, 0] - 0.5 * x[:, 1]))
    return pl.DataFrame(
        {
            **{f"x{i}": x[:, i] for i in range(3)},
            "city": rng.choice([f"c{i}" for i in range(12)], N),
            "gaps": pl.Series(np.where(rng.random(N) < 0.2, np.nan, rng.normal(size=N))).fill_nan(None),
            "y": np.where(yes, "yes", "no"),
        }
    )


def evidence_of(frame: pl.DataFrame, task: Task = Task.BINARY, **roles: Role) -> QualityEvidence:
    def kind(dtype: pl.DataType) -> Kind:
        if dtype.is_temporal():
            return Kind.DATETIME
        return Kind.NUMERIC if dtype.is_numeric() else Kind.CATEGORICAL

    named = {"y": Role.TARGET, **roles}
    schema = Schema(tuple(Column(n, str(d), kind(d), named.get(n, Role.FEATURE)) for n, d in frame.schema.items()))
    classes = () if task is Task.REGRESSION else tuple(sorted(frame["y"].cast(pl.String).unique().to_list()))
    return QualityEvidence(
        frame=frame,
        table=frame,
        schema=schema,
        columns=schema.features,
        task=task,
        classes=classes,
        target=encode_target(frame["y"], task, classes),
        rng=np.random.default_rng(0),
        deadline=Deadline(60, lambda: 0.0),
    )


def run(check: str, evidence: QualityEvidence) -> tuple[Finding, ...]:
    made: Any = plugin("quality-check", check)()
    return judged(check, made.threshold, lambda: made.measure(evidence), seen=lambda _: None)


def planted() -> dict[str, tuple[QualityEvidence, str | None]]:
    """Return, by check, a world with its fault planted and the column to blame (None: the table)."""
    rng = np.random.default_rng(1)
    base = clean_frame()
    yes = (base["y"] == "yes").to_numpy()
    nearly = np.where(rng.random(N) < 0.01, ~yes, yes)
    days = [date(2024, 1, 1) + timedelta(days=i // 20) for i in range(N)]
    values = base.with_columns(pl.Series("y", 3.0 * base["x0"] + rng.normal(size=N)))
    sevens = [7.0] * N
    return {
        "single_feature_oracle": (evidence_of(base.with_columns(pl.Series("spy", nearly * 5 + rng.random(N)))), "spy"),
        "target_copy": (evidence_of(base.with_columns(pl.Series("code", np.where(yes, "B7", "Q1")))), "code"),
        "additive_identity": (
            evidence_of(
                values.with_columns(part=pl.col("y") - pl.col("x0")).with_columns(y=pl.col("part") + pl.col("x0")),
                Task.REGRESSION,
            ),
            "x0 + part",
        ),
        "missingness_oracle": (
            evidence_of(base.with_columns(pl.when(pl.Series(nearly)).then(1.5).alias("refund_at"))),
            "refund_at",
        ),
        "name_proxy": (
            evidence_of(base.with_columns(pl.Series("final_status", yes * 1.0 + rng.normal(0, 0.7, N)))),
            "final_status",
        ),
        "as_of_violation": (
            evidence_of(
                base.with_columns(pl.Series("day", days), pl.Series("paid", [d + timedelta(3) for d in days])),
                day=Role.TIME,
            ),
            "paid",
        ),
        "row_order": (evidence_of(base.sort("y")), None),
        "duplicate_rows": (evidence_of(pl.concat([base, base])), None),
        "class_rarity": (evidence_of(pl.concat([base.filter(yes).head(5), base.filter(~yes)])), "yes"),
        "constant_columns": (evidence_of(base.with_columns(pl.Series("same", sevens))), "same"),
        "duplicate_columns": (evidence_of(base.with_columns(inches=pl.col("x1") * -2.54 + 3)), "inches"),
        "id_columns": (evidence_of(base.with_columns(pl.Series("ticket", [f"t{i}" for i in range(N)]))), "ticket"),
        "sentinel_values": (
            evidence_of(
                base.with_columns(pl.Series("since", np.where(rng.random(N) < 0.3, 999.0, 5.0 * rng.random(N))))
            ),
            "since",
        ),
        "dominance": (
            evidence_of(base.with_columns(pl.Series("minutes", yes * 1.6 + rng.normal(0, 0.7, N)))),
            "minutes",
        ),
    }


LEFT_OUT = {"constant_columns", "duplicate_columns", "id_columns", "sentinel_values"}


PLANTED = planted()


@pytest.mark.parametrize("check", sorted(PLANTED))
def test_check_finds_its_planted_fault(check: str) -> None:
    evidence, subject = PLANTED[check]
    found = run(check, evidence)
    if check in LEFT_OUT:
        assert [f.subject for f in found] == [subject]
        return
    blamed = [f for f in found if f.verdict in (Verdict.WARN, Verdict.FAIL)]
    assert [f.subject for f in blamed] == [subject]


@pytest.mark.parametrize("check", plugin_names("quality-check"))
@pytest.mark.parametrize("seed", [0, 5])
def test_check_is_silent_on_a_clean_world(check: str, seed: int) -> None:
    evidence = evidence_of(clean_frame(seed))
    before = evidence.frame.clone()
    found = run(check, evidence)
    assert found
    assert {f.verdict for f in found} <= {Verdict.PASS, Verdict.SKIPPED}
    assert not any(key in f.measurement.evidence for f in found for key in ("leaks", "useless"))
    assert evidence.frame.equals(before)


@pytest.mark.parametrize("check", plugin_names("quality-check"))
@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_check_does_not_break_on_other_tasks_and_odd_columns(check: str, task: Task) -> None:
    rng = np.random.default_rng(2)
    target = rng.choice(["a", "b", "c"], N) if task is Task.MULTICLASS else rng.normal(size=N)
    frame = clean_frame().with_columns(
        pl.Series("y", target),
        empty=pl.lit(None, dtype=pl.Float64),
        nothing=pl.lit(None, dtype=pl.String),
        flag=pl.Series(rng.random(N) < 0.5).cast(pl.Int64),
    )
    found = run(check, evidence_of(frame, task))
    assert not any(f.verdict.blocks for f in found)


def test_every_check_is_named_after_its_file_and_has_a_rank() -> None:
    for name in plugin_names("quality-check"):
        check: Any = plugin("quality-check", name)
        assert check.name == name
        assert isinstance(check.rank, int)


def test_product_of_columns_is_an_identity_too() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"price": rng.uniform(1, 9, N), "amount": rng.integers(1, 9, N), "other": rng.uniform(1, 9, N)}
    )
    frame = frame.with_columns(y=pl.col("price") * pl.col("amount"))
    (found,) = run("additive_identity", evidence_of(frame, Task.REGRESSION))
    assert found.measurement.evidence["leaks"] == ["price", "amount"]


def test_skill_of_one_column_is_what_it_was_made_to_be() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.3
    frame = pl.DataFrame({"x": truth + rng.normal(size=20_000), "y": np.where(truth, "yes", "no")})
    skill = evidence_of(frame).skill(evidence_of(frame).columns[0])
    assert skill == pytest.approx(0.760, abs=0.015)  # Phi(1 / sqrt 2)


def test_column_checks_stop_when_the_time_is_up() -> None:
    evidence = dataclasses.replace(evidence_of(clean_frame()), deadline=Deadline(0, lambda: 0.0))
    (found,) = run("single_feature_oracle", evidence)
    assert found.verdict is Verdict.SKIPPED
    assert "no time for 5" in found.says


@pytest.mark.parametrize("check", ["target_copy", "missingness_oracle", "sentinel_values", "name_proxy"])
def test_check_that_was_cut_short_never_says_all_is_well(check: str) -> None:
    evidence = dataclasses.replace(evidence_of(clean_frame()), deadline=Deadline(0, lambda: 0.0))
    assert [f.verdict for f in run(check, evidence)] == [Verdict.SKIPPED]
