"""Watching without a database: what is ugly gives findings, what is harmful pages, what is harmless does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.evidence import Verdict
from tenure.core.metrics import metric_named
from tenure.core.modelling import Task
from tenure.monitoring.drift_findings import DRIFT
from tenure.monitoring.prices import ALL_TOGETHER
from tenure.monitoring.reference import Part, Said, normal_of
from tenure.monitoring.watching import Aim, Judged, Looked, Rows, Watch

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEMA = Schema(
    (
        Column("strong", "Float64", Kind.NUMERIC),
        Column("idle", "Float64", Kind.NUMERIC),
        Column("flag", "Boolean", Kind.BOOLEAN),
        Column("plan", "String", Kind.CATEGORICAL),
    )
)
METRIC = metric_named("roc_auc", task=Task.BINARY)


def world(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "strong": rng.normal(size=rows),
            "idle": rng.normal(size=rows),
            "flag": rng.random(rows) < 0.3,
            "plan": rng.choice(["basic", "plus", "max"], size=rows, p=[0.5, 0.3, 0.2]),
        }
    )


def model(frame: pl.DataFrame) -> np.ndarray:
    strong = frame["strong"].cast(pl.Float64, strict=False).fill_null(0.0).fill_nan(0.0).to_numpy()
    basic = (frame["plan"].cast(pl.String) == "basic").fill_null(value=False).to_numpy()
    yes = 1 / (1 + np.exp(-(1.5 * np.clip(strong, -50, 50) + np.where(basic, 0.8, -0.5) - 0.5)))
    return np.column_stack([1 - yes, yes])


def rule(column: Column, frame: pl.DataFrame) -> ColumnRule:
    numeric = column.kind is Kind.NUMERIC
    return ColumnRule(
        name=column.name,
        kind=column.kind,
        role=Role.FEATURE,
        dtype=column.dtype,
        required=False,
        null_share=0.0,
        max_null_share=0.0,
        low=-12.0 if numeric else None,
        high=12.0 if numeric else None,
        levels=("basic", "max", "plus") if column.kind is Kind.CATEGORICAL else None,
    )


def watch_of(*, windows: int = 30, rows: int = 400, seed: int = 3) -> Watch:
    """Return a watch over a model that knows the truth, with a reference of natural days."""
    rng = np.random.default_rng(seed)
    frame = world(rng, windows * rows)
    predicted = model(frame)
    target = (rng.random(frame.height) < predicted[:, 1]).astype(np.int64)
    parts = [
        Part(START + (i - windows) * DAY, START + (i + 1 - windows) * DAY, np.arange(i * rows, (i + 1) * rows))
        for i in range(windows)
    ]
    said = Said(Task.BINARY, ("no", "yes"), 0.5)
    normal = normal_of(
        frame, predicted, target, schema=SCHEMA, windows=parts, natural=True, said=said, rng=np.random.default_rng(1)
    )
    contract = Contract(tuple(rule(column, frame) for column in SCHEMA.columns), frame.height)
    return Watch(
        normal=normal,
        features=SCHEMA,
        contract=contract,
        said=said,
        aim=Aim(METRIC, METRIC(target, predicted) - 0.5),
        answer=model,
        importance={"strong": 0.8, "plan": 0.2, "idle": 0.0, "flag": 0.0},
        allowed_per_year=1.0,
        windows_per_year=365.0,
        fault_level=0.5 / 365,
        rng=lambda *salt: np.random.default_rng((7, *salt)),
    )


@pytest.fixture(scope="module")
def watch() -> Watch:
    return watch_of()


def day(number: int, came: pl.DataFrame, typed: pl.DataFrame | None = None) -> Rows:
    typed = came if typed is None else typed
    return Rows(START + number * DAY, START + (number + 1) * DAY, came, typed, model(typed))


def run(watch: Watch, days: int, change: Callable[[int, pl.DataFrame], pl.DataFrame]) -> list[Judged]:
    looked: list[Looked] = []
    judged = []
    for number in range(days):
        rows = day(number, change(number, world(np.random.default_rng((5, number)), 400)))
        faults = watch.faults(rows)
        looked.append(watch.look(rows, faults, learning=False))
        judged.append(watch.judge(looked, watch.course(looked), rows, faults))
    return judged


def pages(judged: Judged) -> set[str]:
    return {finding.check for finding in judged.findings if finding.verdict.blocks}


def test_quiet_days_page_nobody(watch: Watch) -> None:
    assert all(pages(each) == set() for each in run(watch, 8, lambda _, frame: frame))


def test_a_shift_of_what_the_model_uses_pages_within_three_days_with_its_price(watch: Watch) -> None:
    judged = run(watch, 5, lambda number, frame: frame.with_columns(pl.col("strong") * 0.4) if number >= 2 else frame)
    assert pages(judged[1]) == set()
    assert DRIFT in pages(judged[4])
    change = next(change for change in judged[4].changes if change.subject == "strong")
    assert change.price is not None
    assert change.price.skill.low > 0.02
    assert not change.harmless
    assert change.since is not None
    assert datetime.fromisoformat(change.since) <= START + 3 * DAY


def test_a_shift_of_what_the_model_does_not_use_is_told_as_harmless_and_pages_nobody(watch: Watch) -> None:
    judged = run(watch, 5, lambda number, frame: frame.with_columns(pl.col("idle") + 2.0) if number >= 2 else frame)
    assert all(pages(each) == set() for each in judged)
    change = next(change for change in judged[4].changes if change.subject == "idle")
    assert change.harmless


def emptied(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.int_range(pl.len()) % 2 == 0).then("strong").alias("strong"))


def test_a_broken_column_that_costs_pages_at_once(watch: Watch) -> None:
    judged = run(watch, 2, lambda number, frame: emptied(frame) if number == 1 else frame)
    assert "missing-values" in pages(judged[1])


def test_a_learning_watch_raises_no_drift_alarm() -> None:
    young = watch_of(windows=4)
    judged = run(young, 2, lambda _, frame: frame.with_columns(pl.col("idle") + 2.0, pl.col("strong") * 0.8))
    drift = next(finding for finding in judged[1].findings if finding.check == DRIFT)
    assert drift.verdict is Verdict.SKIPPED
    assert "learning" in drift.says


def test_what_costs_far_too_much_pages_in_its_second_window_while_the_rest_is_still_learned() -> None:
    shrunk = pl.col("strong") * 0.4
    judged = run(watch_of(windows=4), 3, lambda number, frame: frame.with_columns(shrunk) if number >= 1 else frame)
    assert [DRIFT in pages(each) for each in judged] == [False, False, True]
    (drift,) = (finding for finding in judged[2].findings if finding.check == DRIFT)
    assert drift.says.startswith("'strong' moved far in two windows running; that costs about ")
    assert "still being learned" in drift.says
    assert drift.measurement.evidence["since"] == (START + DAY).isoformat()


UGLY: dict[str, Callable[[int], pl.Series]] = {
    "all null": lambda n: pl.Series([None] * n, dtype=pl.Float64),
    "constant": lambda n: pl.Series([1.0] * n),
    "nan": lambda n: pl.Series([float("nan")] * n),
    "infinite": lambda n: pl.Series([float("inf"), float("-inf")] * n)[:n],
    "huge": lambda n: pl.Series([1e308, -1e308] * n, dtype=pl.Float64)[:n],
    "text": lambda n: pl.Series([f"word {i}" for i in range(n)], dtype=pl.String),
    "numbers as text": lambda n: pl.Series([f"{i}.5" for i in range(n)], dtype=pl.String),
    "empty text": lambda n: pl.Series([""] * n, dtype=pl.String),
    "booleans": lambda n: pl.Series([True, None, False] * n, dtype=pl.Boolean)[:n],
    "integers": lambda n: pl.Series(range(n), dtype=pl.Int64),
    "dates": lambda n: pl.Series([START + DAY * i for i in range(n)], dtype=pl.Datetime("us", "UTC")),
    "decimals": lambda n: pl.Series([Decimal("1.5")] * n, dtype=pl.Decimal(10, 2)),
    "lists": lambda n: pl.Series([[1, 2]] * n, dtype=pl.List(pl.Int64)),
    "nothing at all": lambda n: pl.Series([None] * n, dtype=pl.Null),
}


@st.composite
def ugly_window(draw: st.DrawFn) -> tuple[int, dict[str, str]]:
    rows = draw(st.sampled_from([0, 1, 2, 60, 400]))
    kinds = st.sampled_from([*UGLY, "as usual", "missing"])
    return rows, {name: draw(kinds) for name in ("strong", "idle", "flag", "plan")} | {"new": draw(kinds)}


def can_be(kind: pl.DataType, wanted: pl.DataType) -> bool:
    """Say whether polars casts one to the other at all; the log gives nulls for the rest."""
    return not kind.is_nested() and (wanted != pl.Boolean or kind.is_numeric() or kind == pl.Boolean)


@settings(deadline=None, max_examples=25)
@given(ugly_window())
def test_any_ugly_window_gives_findings_and_no_crash(watch: Watch, wanted: tuple[int, dict[str, str]]) -> None:
    rows, kinds = wanted
    usual = world(np.random.default_rng(9), rows)
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        if kind in UGLY:
            columns[name] = UGLY[kind](rows).alias(name)
        elif kind == "as usual" and name in usual.columns:
            columns[name] = usual[name]
    came = pl.DataFrame(columns, height=rows) if columns else pl.DataFrame(height=rows)
    typed = usual.with_columns(
        came[name].cast(usual.schema[name], strict=False)
        if name in came.columns and can_be(came[name].dtype, usual.schema[name])
        else pl.lit(None, dtype=usual.schema[name]).alias(name)
        for name in usual.columns
    )
    window = day(0, came, typed)
    faults = watch.faults(window)
    looked = [watch.look(window, faults, learning=False)]
    judged = watch.judge(looked, watch.course(looked), window, faults)
    assert not any(finding.verdict is Verdict.ERROR for finding in judged.findings)
    told = {finding.subject for finding in judged.findings}
    assert {"strong", "idle", "flag", "plan"} <= told
    for name in ("strong", "idle", "flag", "plan"):
        if rows >= 60 and kinds[name] in ("missing", "all null", "nothing at all"):
            assert name in looked[0].broken
    assert ALL_TOGETHER not in looked[0].broken


def test_a_million_levels_are_one_finding() -> None:
    watch = watch_of(windows=9, rows=200)
    frame = world(np.random.default_rng(2), 1_000_000).with_columns(plan=pl.int_range(1_000_000).cast(pl.String))
    window = day(0, frame, frame)
    faults = watch.faults(window)
    looked = watch.look(window, faults, learning=False)
    assert "plan" in looked.broken
    assert len(looked.sketch.to_bytes()) < 50_000


def test_a_column_that_rests_in_windows_of_training_may_rest_later() -> None:
    watch = watch_of(windows=10, rows=200)
    frame = watch.normal.known.features.with_columns(idle=pl.Series(watch.normal.window_of).cast(pl.Float64))
    parts = [
        Part(START + (i - 10) * DAY, START + (i - 9) * DAY, np.flatnonzero(watch.normal.window_of == i))
        for i in range(10)
    ]
    known = watch.normal.known
    normal = normal_of(
        frame,
        known.predicted,
        known.target,
        schema=SCHEMA,
        windows=parts,
        natural=True,
        said=watch.said,
        rng=np.random.default_rng(1),
    )
    resting = world(np.random.default_rng(8), 400).with_columns(idle=pl.lit(3.0))
    for kept, fault in ((normal, False), (watch.normal, True)):
        found = replace(watch, normal=kept).faults(day(0, resting))
        assert fault is any(f.check == "constant-column" and f.subject == "idle" and f.verdict.blocks for f in found)


def test_answers_of_another_version_are_no_drift_of_the_prediction(watch: Watch) -> None:
    rows = day(0, world(np.random.default_rng(4), 400))
    for share in (0.0, 0.5):
        mine = np.arange(400) < 400 * share
        mixed = replace(rows, predicted=np.where(mine[:, None], rows.predicted, np.nan))
        looked = [watch.look(mixed, (), learning=False)]
        judged = watch.judge(looked, watch.course(looked), mixed, ())
        assert looked[0].moved == ()
        assert looked[0].answered.columns["the prediction"].rows == 400 * share
        assert not any(finding.verdict in (Verdict.WARN, Verdict.FAIL) for finding in judged.findings)
