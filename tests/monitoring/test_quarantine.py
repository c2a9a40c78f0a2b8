"""Rows that were set aside are counted for each window, and more of them than usual are a fault of the feed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tenure.core.evidence import Finding, Verdict
from tenure.core.lifecycle import PredictionRecord
from tenure.core.project import MonitoringSection
from tenure.monitoring.quarantine import QUARANTINED_ROWS, Span, judge_quarantine, spans_of
from tenure.monitoring.windows import cut_windows

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
AGE = '[{"field":"age","rule":"missing"}]'
BOTH = '[{"field":"age","rule":"missing"},{"field":"plan","rule":"level"}]'


def log(days: list[float]) -> pl.DataFrame:
    moments = pl.Series("event_at", [START + day * DAY for day in days], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame([moments, pl.Series("violations", [AGE] * len(days), dtype=pl.String)])


def spans(window: str, kept: list[float], aside: list[float], *, now: float) -> list[tuple[float, int, int]]:
    monitoring, moment = MonitoringSection(window=window), START + now * DAY
    found = spans_of(cut_windows(log(kept), monitoring, now=moment), log(aside), monitoring, now=moment)
    return [((span.start - START) / DAY, span.kept, len(span.aside)) for span in found]


def test_windows_of_time_count_what_was_set_aside_also_where_nothing_else_came() -> None:
    assert spans("1d", [0.1, 0.2, 2.5], [0.15, 1.2, 1.3, 2.1, 3.1], now=3.5) == [(0, 2, 1), (1, 0, 2), (2, 1, 1)]
    assert spans("1d", [], [0.5, 0.6], now=1) == [(0, 0, 2)]
    assert spans("1d", [0.5], [], now=0.7) == []


def test_a_row_set_aside_for_its_time_fills_no_window() -> None:
    assert spans("1d", [0.1, 1.1], [0.2, 9_000.0], now=1.2) == [(0, 1, 1)]


def test_windows_of_rows_count_what_was_set_aside_until_the_next_and_what_came_since() -> None:
    kept = [0.1, 0.2, 0.3, 1.1, 1.2, 1.3]
    assert spans("3 rows", kept, [0.15, 0.9, 1.15], now=9) == [(0.1, 3, 2), (1.1, 3, 1)]
    assert spans("3 rows", [*kept, 2.5], [2.1, 2.2, 2.3], now=9)[2:] == [(2.1, 1, 3)]
    assert spans("3 rows", [*kept, 2.5], [2.1], now=9)[2:] == []
    assert spans("3 rows", [], [2.1, 2.2, 2.3, 2.4], now=9) == [(2.1, 0, 4)]


def judged(shares: list[float], *, rows: int = 400, violations: str | None = AGE) -> Finding:
    some = []
    for week, share in enumerate(shares):
        aside = round(share * rows)
        some.append(Span(START + 7 * week * DAY, rows - aside, (violations,) * aside))
    return judge_quarantine(some, known_rows=2_000, least=100)


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ([0.0] * 5, Verdict.PASS),
        ([0.7], Verdict.FAIL),
        ([0.0] * 5 + [0.7], Verdict.FAIL),
        ([0.0] * 5 + [0.7, 0.7], Verdict.FAIL),
        ([0.1] * 6, Verdict.PASS),
        ([0.1] * 5 + [0.25], Verdict.FAIL),
        ([0.0] * 5 + [0.0025], Verdict.PASS),
    ],
)
def test_a_share_beyond_what_is_usual_and_chance_is_a_fault(shares: list[float], verdict: Verdict) -> None:
    assert judged(shares).verdict is verdict


def test_less_than_two_rows_in_a_hundred_are_no_fault_however_sure() -> None:
    assert judged([0.0] * 5 + [0.015], rows=100_000).verdict is Verdict.WARN


def test_the_fault_says_which_field_broke_most_and_since_when() -> None:
    found = judged([0.0] * 4 + [0.5, 0.5], violations=BOTH)
    assert found.says == (
        "50.0% of the rows in the latest full window were set aside; 0.0% is usual. "
        "'age' broke its rule in 100% of them."
    )
    assert found.measurement.evidence["since"] == (START + 28 * DAY).isoformat()
    assert judged([0.0, 0.5], violations=None).says.endswith("is usual.")


def test_too_few_rows_are_not_judged() -> None:
    assert judged([]).verdict is Verdict.SKIPPED
    assert judged([0.5], rows=50).verdict is Verdict.SKIPPED
    small = Span(START + 70 * DAY, 3, (AGE,) * 3)
    found = judge_quarantine([Span(START, 200, (AGE,) * 200), small], known_rows=2_000, least=100)
    assert (found.verdict, found.measurement.value) == (Verdict.FAIL, 0.5)


def test_a_feed_whose_rows_are_set_aside_makes_the_model_ill(planted: Callable) -> None:
    world = planted()
    for week in range(4):
        world.week(week)
    assert world.health().of(QUARANTINED_ROWS)[0].verdict is Verdict.PASS
    set_aside = [
        PredictionRecord(
            f"z{n}",
            1,
            (START + (28 + n / 100) * DAY).isoformat(),
            (START + (28 + n / 100) * DAY).isoformat(),
            {"strong": None},
            "yes",
            (0.4, 0.6),
            violations=({"field": "strong", "rule": "missing"},),
            quarantined=True,
        )
        for n in range(700)
    ]
    world.traffic.log_predictions(set_aside)
    world.clock.now = START + 35 * DAY
    found = world.health().of(QUARANTINED_ROWS)[0]  # nothing but what was set aside came in this week
    assert (found.verdict, found.measurement.value) == (Verdict.FAIL, 1.0)
    assert "'strong'" in found.says
