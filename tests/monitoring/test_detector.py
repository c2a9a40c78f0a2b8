"""The drift detector on sketches: quiet in quiet years, quick where it matters, and able to name the column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.data import Column, Kind, Schema
from tenure.monitoring.detector import DriftCourse, Series, watch_drift
from tenure.monitoring.inputs import PREDICTION
from tenure.monitoring.layout import Layout, layout_of
from tenure.monitoring.sketches import WindowSketch, sketch

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
KINDS = {
    "strong": Kind.NUMERIC,
    "weak": Kind.NUMERIC,
    "often_zero": Kind.NUMERIC,
    "flag": Kind.BOOLEAN,
    "plan": Kind.CATEGORICAL,
    "town": Kind.CATEGORICAL,
    "constant": Kind.NUMERIC,
    "joined": Kind.DATETIME,
    PREDICTION: Kind.NUMERIC,
}
SCHEMA = Schema(tuple(Column(name, "", kind) for name, kind in KINDS.items()))
WEIGHTS = {"strong": 0.6, "plan": 0.3, "often_zero": 0.1}
TOWNS = 1 / np.arange(1, 501)
Change = Callable[[int, pl.DataFrame], pl.DataFrame]


def rows_of(rng: np.random.Generator, rows: int, number: int, wobble: float, week: float) -> pl.DataFrame:
    strong = rng.normal(wobble * rng.normal() + week * (number % 7 >= 5), 1, rows)
    return pl.DataFrame(
        {
            "strong": strong,
            "weak": rng.normal(wobble * rng.normal(), 1, rows),
            "often_zero": np.where(rng.random(rows) < 0.8, 0.0, rng.exponential(size=rows)),
            "flag": rng.random(rows) < 0.1,
            "plan": rng.choice(["basic", "plus", "max"], rows, p=[0.5, 0.3, 0.2]),
            "town": rng.choice(500, rows, p=TOWNS / TOWNS.sum()).astype(str),
            "constant": np.ones(rows),
            "joined": [START + number * DAY] * rows,
            PREDICTION: 1 / (1 + np.exp(-strong - rng.normal(size=rows))),
        }
    )


class World:
    """A reference of daily windows and the days after it."""

    def __init__(
        self,
        seed: int,
        *,
        known: int = 18,  # from 20 on the rate of false alarms is measured, too, which takes its time
        days: int = 30,
        rows: int = 300,
        wobble: float = 0.05,
        week: float = 0.0,
        live_rows: int | None = None,
        change: Change = lambda day, frame: frame,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        before = [rows_of(self.rng, rows, i, wobble, week) for i in range(known)]
        after = [change(day, rows_of(self.rng, live_rows or rows, known + day, wobble, week)) for day in range(days)]
        self.layout: Layout = layout_of(pl.concat(before), SCHEMA)
        self.reference = [self.sketched(frame, i) for i, frame in enumerate(before)]
        self.windows = [self.sketched(frame, known + i) for i, frame in enumerate(after)]

    def sketched(self, frame: pl.DataFrame, number: int) -> WindowSketch:
        return sketch(frame, self.layout, start=START + number * DAY, end=START + (number + 1) * DAY)

    def course(self, **options: object) -> DriftCourse:
        wanted = {"weights": WEIGHTS, "allowed_per_year": 1.0, "windows_per_year": 365.25} | options
        return watch_drift(self.reference, self.windows, layout=self.layout, rng=np.random.default_rng(1), **wanted)  # type: ignore[arg-type]


def moved(column: str, change: pl.Expr, *, since: int = 5, until: int = 10_000) -> Change:
    return lambda day, frame: frame.with_columns(change.alias(column)) if since <= day < until else frame


@pytest.mark.parametrize("known", [10, 19])
def test_quiet_years_are_quiet_whatever_the_columns_are_like(known: int) -> None:
    course = World(known, known=known, days=365, rows=100).course()
    assert not any(course.alarmed)
    assert max(course.levels) < 0.5


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("strong", pl.col("strong") + 0.5),
        ("strong", pl.when(pl.col("weak") > 1).then(None).otherwise(pl.col("strong"))),
        ("plan", pl.col("plan").replace("max", "basic")),
        ("plan", pl.when(pl.col("weak") > 1).then(pl.lit("new")).otherwise(pl.col("plan"))),
        ("often_zero", pl.when(pl.col("weak") > 0.5).then(pl.col("often_zero") + 1).otherwise(pl.col("often_zero"))),
        ("flag", pl.col("weak") > 0.5),
        (PREDICTION, pl.col(PREDICTION) ** 2),
    ],
)
def test_a_shift_is_found_within_three_days_and_laid_to_its_column(column: str, change: pl.Expr) -> None:
    delays, blamed = [], []
    for seed in range(3):
        course = World(seed, days=11, change=moved(column, change)).course()
        on = course.alarmed
        assert not any(on[:5])
        assert any(on)
        delays.append(on.index(True) - 5 + 1)
        blamed.append(next(iter(course.blame[-1])))
    assert np.median(delays) <= 3
    assert set(blamed) == {column}


def test_small_windows_after_large_ones_are_quiet_and_large_after_small_ones_too() -> None:
    for rows, live_rows in ((1_000, 60), (100, 1_500)):
        course = World(3, rows=rows, live_rows=live_rows, days=50).course()
        assert max(course.levels) < 0.5


def test_weekends_that_always_differ_are_no_drift_but_a_monday_like_a_sunday_is() -> None:
    quiet = World(4, known=42, days=35, week=1.0).course()
    assert max(quiet.levels) < 0.5
    odd = World(4, known=42, days=35, week=1.0, change=moved("strong", pl.col("strong") + 1.0, since=14, until=19))
    assert any(odd.course().alarmed[14:19])


def test_fewer_than_eight_windows_are_for_learning() -> None:
    world = World(5, known=3, days=12, change=moved("strong", pl.col("strong") + 5, since=2))
    course = world.course()
    assert course.levels[:5] == (0.0,) * 5
    assert not any(course.alarmed)  # the shift came while normal was still being learned
    assert World(5, known=3, days=4).course().rate.learning
    rate = World(5, known=10, days=0).course().rate
    assert (rate.learning, rate.measured, rate.known) == (False, None, 10)


def test_the_rate_is_measured_once_twenty_windows_are_known() -> None:
    rate = World(6, known=20, days=0).course(allowed_per_year=2.0).rate
    assert rate.run_length == pytest.approx(365.25 / 2)
    assert rate.measured is not None
    assert rate.measured.low <= rate.measured.value <= rate.measured.high <= 2.0
    assert rate.replayed > 365


def test_a_broken_feed_is_no_drift_and_hides_none() -> None:
    both = {"strong": pl.lit(None, dtype=pl.Float64), "plan": pl.lit("basic")}
    world = World(7, days=12, change=lambda day, frame: frame.with_columns(**both) if day >= 4 else frame)
    quiet_too = World(7, days=12, change=moved("strong", both["strong"], since=4))
    faults = [("strong",) if day >= 4 else () for day in range(12)]
    assert not any(quiet_too.course(faulty=faults).alarmed)
    course = world.course(faulty=faults)
    assert any(course.alarmed)
    assert set(course.columns[-1]) == {"plan"}


def test_the_alarm_stays_on_until_the_column_returns() -> None:
    world = World(8, days=40, change=moved("strong", pl.col("strong") + 1, since=10, until=20))
    on = world.course().alarmed
    assert all(on[12:20])
    assert not any(on[28:])


def test_what_a_person_accepts_is_normal_from_then_on() -> None:
    world = World(9, days=40, change=moved("strong", pl.col("strong") + 0.6, since=5))
    assert world.course().alarmed[-1]
    course = world.course(accepted=[5 <= day < 20 for day in range(40)])
    assert not any(course.alarmed[20:])


def test_a_series_of_ones_own_is_watched_like_a_column() -> None:
    world = World(10, days=20)
    rng = np.random.default_rng(1)
    usual, quiet = (0.55 + 0.01 * rng.normal(size=count) for count in (18, 20))
    loud = np.where(np.arange(20) >= 8, 0.9, quiet)
    gaps: list[float | None] = [None, *usual.tolist()[1:]]
    assert not any(world.course(extra={"rows": Series(gaps, quiet.tolist())}).alarmed)
    course = world.course(extra={"rows": Series(gaps, loud.tolist())})
    assert course.alarmed.index(True) in (8, 9, 10)
    assert next(iter(course.blame[-1])) == "rows"


def test_order_of_rows_and_of_weights_changes_nothing_and_history_is_never_rewritten() -> None:
    plain = World(11, days=20, change=moved("strong", pl.col("strong") + 0.5))
    mixed = World(11, days=20, change=lambda day, frame: moved("strong", pl.col("strong") + 0.5)(day, frame).reverse())
    course = plain.course()
    assert course.levels == pytest.approx(mixed.course(weights=dict(reversed(WEIGHTS.items()))).levels, rel=1e-9)
    plain.windows = plain.windows[:9]
    assert plain.course().levels == pytest.approx(course.levels[:9], rel=1e-9)


def test_no_windows_no_columns_and_no_reference_are_no_trouble() -> None:
    world = World(12, days=3)
    world.windows = []
    assert world.course().levels == ()
    world = World(12, known=1, days=12)
    world.reference = []
    assert len(world.course().levels) == 12
    bare = layout_of(pl.DataFrame(), Schema(()))
    nothing = [sketch(pl.DataFrame(), bare, start=START + i * DAY, end=START + (i + 1) * DAY) for i in range(30)]
    course = watch_drift(
        nothing[:20],
        nothing[20:],
        layout=bare,
        weights={},
        allowed_per_year=1,
        windows_per_year=52,
        rng=np.random.default_rng(1),
    )
    assert course.levels == (0.0,) * 10


odd_cells = st.lists(
    st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, 1e308, -1e308])), min_size=0, max_size=12
)


@settings(max_examples=25, deadline=None)
@given(st.lists(odd_cells, min_size=9, max_size=14))
def test_no_course_of_windows_breaks_it(cells: list[list[float | None]]) -> None:
    schema = Schema((Column("x", "", Kind.NUMERIC), Column("name", "", Kind.CATEGORICAL)))
    frames = [
        pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64), "name": [str(value)[:2] for value in values]})
        for values in cells
    ]
    layout = layout_of(frames[0], schema)
    windows = [
        sketch(frame, layout, start=START + i * DAY, end=START + (i + 1) * DAY) for i, frame in enumerate(frames)
    ]
    course = watch_drift(
        windows[:8],
        windows[8:],
        layout=layout,
        weights={"x": -1.0, "unknown": 3.0},
        allowed_per_year=1,
        windows_per_year=365,
        rng=np.random.default_rng(1),
    )
    assert np.isfinite(course.levels).all()
    for levels, whole in zip(course.columns, course.levels, strict=True):
        assert sum(levels.values()) <= whole + 1e-9
