"""Rules of the contract against one window: exact limits, planted faults, odd columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tenure.core.contract import ColumnRule, Contract
from tenure.core.data import Kind, Role
from tenure.core.evidence import Verdict
from tenure.monitoring.rules import RULES, binomial_limit, broken_rules, faulty, judge_volume


def rule(name: str, kind: Kind, **more: Any) -> ColumnRule:
    given = {"dtype": "Float64", "required": False, "null_share": 0.05, "max_null_share": 0.1} | more
    return ColumnRule(name=name, kind=kind, role=Role.FEATURE, **given)


CONTRACT = Contract(
    (
        rule("size", Kind.NUMERIC, low=-1e6, high=1e6),
        rule("flag", Kind.BOOLEAN),
        rule("kind", Kind.CATEGORICAL, levels=("a", "b")),
    ),
    rows=2_000,
)
COLUMNS = ("size", "flag", "kind")


def window(rows: int, seed: int = 0) -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    return {
        "size": [None if rng.random() < 0.05 else float(v) for v in rng.normal(70, 12, rows)],
        "flag": (rng.random(rows) < 0.4).tolist(),
        "kind": rng.choice(["a", "b"], rows).tolist(),
    }


REFERENCE = pl.DataFrame(window(2_000, seed=1))


def broken(values: dict[str, list[Any]]) -> set[str]:
    frame = pl.DataFrame([pl.Series(name, cells, strict=False) for name, cells in values.items()])
    found = broken_rules(frame, CONTRACT, REFERENCE, COLUMNS, level=0.01)
    assert len(found) == len(COLUMNS) * len(RULES)
    assert not any(finding.verdict is Verdict.ERROR for finding in found)
    return set(faulty(found))


@given(
    rows=st.integers(20, 3_000),
    share=st.floats(0, 0.5),
    seen=st.integers(100, 100_000),
    level=st.sampled_from([1e-2, 1e-4, 1e-6]),
)
def test_a_share_at_the_limit_is_chance_and_one_row_more_is_not(
    rows: int, share: float, seen: int, level: float
) -> None:
    limit = binomial_limit(rows, share, seen, level)
    assert share <= limit + 1 / seen + 1 / rows
    assert binom.sf(round(limit * rows), rows, round(share * seen) / seen) < level


def test_two_hundred_clean_windows_break_no_rule() -> None:
    assert not any(broken(window(300, seed=seed)) for seed in range(10, 210))


@pytest.mark.parametrize(
    ("column", "spoil", "wanted"),
    [
        ("size", lambda v: [None if i % 3 == 0 else x for i, x in enumerate(v)], {"missing-values: size"}),
        ("size", lambda v: ["n/a" if i % 5 == 0 else x for i, x in enumerate(v)], {"unreadable-values: size"}),
        ("size", lambda v: [1e9 if i % 10 == 0 else x for i, x in enumerate(v)], {"out-of-range: size"}),
        ("size", lambda v: [70.0 for _ in v], {"constant-column: size"}),
        ("size", lambda v: [x and x * 1000 for x in v], {"unit-slip: size"}),
        ("size", lambda v: [x and x / 2.54 for x in v], {"unit-slip: size"}),
        ("size", lambda v: [x and x * 1.8 + 32 for x in v], {"unit-slip: size"}),
        ("flag", lambda v: [False for _ in v], {"constant-column: flag"}),
        ("kind", lambda v: ["c" if i % 10 == 0 else x for i, x in enumerate(v)], {"new-values: kind"}),
        ("kind", lambda v: [{"odd": 1} if i == 0 else x for i, x in enumerate(v)], set()),
    ],
)
def test_a_planted_fault_breaks_its_own_rule_only(column: str, spoil: Any, wanted: set[str]) -> None:
    values = window(400, seed=2)
    values[column] = [str(v) if isinstance(v, dict) else v for v in spoil(values[column])]
    assert broken(values) == wanted


def test_a_moved_column_is_no_unit_slip() -> None:
    values = window(400, seed=2)
    values["size"] = [x and x + 8 for x in values["size"]]
    assert broken(values) == set()


def test_a_column_that_does_not_arrive_is_missing() -> None:
    values = window(400, seed=2)
    del values["kind"]
    assert broken(values) == {"missing-values: kind"}


cell = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=4))


@settings(max_examples=80, deadline=None)
@given(size=st.lists(cell, min_size=1, max_size=40), data=st.data())
def test_no_column_breaks_a_rule_by_being_odd(size: list[Any], data: st.DataObject) -> None:
    rows = len(size)
    flag = data.draw(st.lists(cell, min_size=rows, max_size=rows))
    kind = data.draw(st.lists(cell, min_size=rows, max_size=rows))
    broken({"size": size, "flag": flag, "kind": kind})


def test_volume_warns_of_a_gap_and_of_a_fall_and_never_alarms() -> None:
    usual, none = [400, 390, 410, 405, 395], [0] * 6
    assert judge_volume([*usual, 401], none).verdict is Verdict.PASS
    assert judge_volume([*usual, 120], none).verdict is Verdict.WARN
    gap = judge_volume([*usual, 401], [0, 0, 0, 0, 0, 2])
    assert gap.verdict is Verdict.WARN
    assert "for 2 windows" in gap.says
    assert judge_volume([*usual, 401], [0, 3, 3, 3, 3, 3]).verdict is Verdict.PASS  # one batch a month is usual here
    assert judge_volume([400, 10], [0, 0]).verdict is Verdict.SKIPPED
