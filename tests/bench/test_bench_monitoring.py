"""The benchmark of monitoring: shifts do what they say, jobs are not run twice, tables say what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers.monitors.alarms import run_alarms
from peers.monitors.board import most_a_year, report
from peers.monitors.order import answer
from peers.monitors.power import merged, run_power
from peers.monitors.replay import Way, cut_at_a_window, ordered
from peers.monitors.results import Results, read
from peers.monitors.shifts import CATEGORICAL, NUMERIC, chosen_columns, injected, shifts_of
from peers.monitors.speed import large_files, mixed
from peers.monitors.watching import Plan, onsets, readings
from peers.monitors.worlds import Rows, World, days, world_of
from peers.suite import catalogue
from scipy.stats import poisson

from tenure.monitoring.sketch_files import MONDAY

# ---- shifts ----

SETTINGS = settings(max_examples=15, deadline=None)


@st.composite
def columns(draw: st.DrawFn) -> pl.DataFrame:
    """Draw 2,000 rows: numbers and whole numbers with gaps, and a few levels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = 2_000
    scale, place = 10.0 ** draw(st.integers(-3, 6)), draw(st.integers(-5, 5))
    holes = rng.random(n) < draw(st.sampled_from([0.0, 0.1]))
    return pl.DataFrame(
        {
            "number": pl.Series(np.where(holes, np.nan, scale * (place + rng.normal(size=n)))).fill_nan(None),
            "whole": pl.Series(np.where(holes, np.nan, rng.poisson(6, n))).fill_nan(None).cast(pl.Int64),
            "level": pl.Series(rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])),
        }
    )


@given(columns(), st.sampled_from(["number", "whole"]))
@SETTINGS
def test_a_mean_moves_by_its_share_of_a_deviation(rows: pl.DataFrame, name: str) -> None:
    before = rows[name]
    for size in (0.1, 0.25, 0.5, 1.0):
        after = injected(rows, name, f"mean +{size:g} sd", rows)[name]
        moved = (float(after.mean()) - float(before.mean())) / float(before.std(ddof=0))
        assert moved == pytest.approx(size, abs=0.03 if name == "whole" else 1e-6)


@given(columns(), st.sampled_from(["number", "whole", "level"]))
@SETTINGS
def test_a_shift_leaves_the_rest_of_a_row_alone(rows: pl.DataFrame, name: str) -> None:
    for shift in shifts_of(rows[name]):
        after = injected(rows, name, shift, rows)
        assert after.columns == rows.columns
        assert after.drop(name).equals(rows.drop(name))
        if "emptied" not in shift and shift != "frozen":
            assert after[name].is_null().equals(rows[name].is_null())


@given(columns())
@SETTINGS
def test_spread_noise_and_clipping_do_what_they_say(rows: pl.DataFrame) -> None:
    before = rows["number"].drop_nulls().to_numpy()
    after = {
        shift: injected(rows, "number", shift, rows)["number"].drop_nulls().to_numpy()
        for shift in ("spread x1.5", "noise of 1 sd", "clipped at 75 %", "unit slip x100")
    }
    assert after["spread x1.5"].std() == pytest.approx(1.5 * before.std())
    assert after["noise of 1 sd"].std() == pytest.approx(np.sqrt(2) * before.std(), rel=0.1)
    assert after["clipped at 75 %"].max() == pytest.approx(np.quantile(before, 0.75))
    assert (after["clipped at 75 %"] < before).mean() == pytest.approx(0.25, abs=0.01)
    assert after["unit slip x100"] == pytest.approx(100 * before)


@given(columns(), st.sampled_from(["number", "whole", "level"]))
@SETTINGS
def test_cells_are_emptied_by_chance_and_a_frozen_column_has_one_value(rows: pl.DataFrame, name: str) -> None:
    given_before = rows[name].is_not_null()
    for share in (0.05, 0.25):
        after = injected(rows, name, f"{100 * share:g} % emptied", rows)[name]
        assert float((after.is_null() & given_before).sum() / given_before.sum()) == pytest.approx(share, abs=0.04)
    frozen = injected(rows, name, "frozen", rows)[name]
    assert frozen.n_unique() == 1
    assert frozen[0] in rows[name].drop_nulls()


@given(columns())
@SETTINGS
def test_levels_are_exchanged_and_new_ones_come(rows: pl.DataFrame) -> None:
    exchanged = injected(rows, "level", "two levels exchanged", rows)
    assert exchanged["level"].replace(["a", "b"], ["b", "a"]).equals(rows["level"])
    new = injected(rows, "level", "10 % a new level", rows)["level"]
    assert float((~new.is_in(["a", "b", "c"])).mean()) == pytest.approx(0.1, abs=0.03)


def test_every_shift_fits_some_column() -> None:
    assert set(NUMERIC) & set(CATEGORICAL) == {"5 % emptied", "25 % emptied", "frozen"}


def test_columns_are_chosen_by_what_they_are_worth() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({name: rng.normal(size=50) for name in "abcde"} | {"flag": rng.integers(0, 2, 50)})
    frame = frame.with_columns(only=pl.lit("x"))
    worth = {"a": 0.1, "b": 0.5, "c": 0.2, "d": 0.0, "e": 0.05, "flag": 0.9}
    chosen = chosen_columns(frame, worth)
    assert sorted(chosen) == [("least", "d"), ("middle", "a"), ("most", "b"), ("most", "only")]


# ---- worlds ----


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("monitors")


@pytest.fixture(scope="module")
def world(make_suite: object, place: Path) -> World:
    return world_of(catalogue(make_suite(place), ["leavers"])[0], place / "worlds")  # type: ignore[operator]


def test_a_world_has_a_model_that_is_the_same_again(world: World, place: Path) -> None:
    assert world.learned.features.columns == ["strong", "plan", "visits", "member"]
    assert world.skill() > 0.1
    again = world_of(world.entry, place / "worlds")
    assert np.array_equal(again.kept.said, world.kept.said)
    assert again.answer(world.kept.features) == pytest.approx(world.kept.said)


def test_a_shift_costs_more_where_the_model_looks(world: World) -> None:
    usual = world.learned.features
    costs = {
        name: world.cost(injected(world.kept.features, name, "frozen", usual)) for name in world.kept.features.columns
    }
    assert world.cost(world.kept.features) == pytest.approx(0)
    assert costs["strong"] == max(costs.values())
    assert costs["strong"] > 0.5
    assert world.importance["strong"] == max(world.importance.values())


def test_days_are_drawn_with_replacement_and_are_the_same_again() -> None:
    drawn = days(100, size=500, windows=3, seed=(1, 0))
    assert drawn.shape == (3, 500)
    assert drawn.max() < 100
    assert np.array_equal(drawn, days(100, size=500, windows=3, seed=(1, 0)))
    assert not np.array_equal(drawn, days(100, size=500, windows=3, seed=(1, 1)))


# ---- campaigns ----


@dataclass
class Ruler:
    """A monitor for these tests: pages where the mean of `strong` has left its place twice running."""

    usual: float
    seen: list[int]
    strikes: int = 0

    def look(self, window: Rows) -> Sequence[str]:
        self.seen.append(window.features.height)
        off = abs(float(window.features["strong"].mean() or 0.0) - self.usual) > 0.3
        self.strikes = self.strikes + 1 if off else 0
        return ["mean: strong"] if self.strikes >= 2 else []

    def fork(self) -> Ruler:
        return Ruler(self.usual, self.seen, self.strikes)


def plan_with(place: Path, out: Path, seen: list[int], **more: object) -> Plan:
    return Plan(
        entries=catalogue(place, ["leavers"]),
        sizes=[200],
        systems=["tenure"],
        out=out,
        work=place,
        start=lambda world, rows: Ruler(float(world.learned.features["strong"].mean()), seen),
        **more,  # type: ignore[arg-type]
    )


def test_a_year_is_looked_at_once(world: World, place: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    plan = plan_with(place, tmp_path / "alarms.jsonl", seen, windows=12, years=2)
    run_alarms(plan)
    assert seen == [200] * 24
    run_alarms(plan)
    assert len(seen) == 24
    first, second = read([plan.out])
    assert (first["year"], second["year"]) == (0, 1)
    assert first["windows"] == 12
    assert first["readings"]["page"] == {"windows": 0, "onsets": 0}


def test_a_job_that_was_cut_short_is_run_again(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    Results(out, ["set"]).add({"set": "a"})
    with out.open("a") as file:
        file.write('{"set": "b", "val')
    again = Results(out, ["set"])
    assert again.has(set="a")
    assert not again.has(set="b")


def test_the_first_window_that_pages_is_kept_and_found_shifts_are_not_looked_at_longer(
    world: World, place: Path, tmp_path: Path
) -> None:
    seen: list[int] = []
    plan = plan_with(place, tmp_path / "power.jsonl", seen, windows=4, quiet=3, shifts=["mean +1 sd", "mean +0.1 sd"])
    run_power(plan)
    found = {(r["column"], r["shift"]): r["readings"]["page"]["first"] for r in read([plan.out])}
    assert found["strong", "mean +1 sd"] == 2
    assert found["strong", "mean +0.1 sd"] is None
    assert len(seen) == 3 + 2 + 4 * (len(found) - 1)
    run_power(plan)
    assert len(read([plan.out])) == len(found)
    for record in read([plan.out]):
        rows = injected(world.kept.features, record["column"], record["shift"], world.kept.features)
        assert record["cost"] == pytest.approx(world.cost(rows))


def test_a_cause_counts_when_it_begins() -> None:
    assert onsets([[], ["a"], ["a"], [], ["a", "b"], ["b"]]) == 3
    assert onsets([]) == 0


def test_a_shifted_column_takes_the_place_of_the_quiet_one() -> None:
    quiet = {"columns": ["a", "b", "c"], "alarmed": [["a"], ["b"], []]}
    shifted = {"columns": ["a"], "alarmed": [[], ["a"], ["a"]]}
    both = merged(quiet, shifted)
    assert both == [[], ["a", "b"], ["a"]]
    assert readings(["a", "b", "c"], both, "evidently") == {
        "dataset": [False, True, False],
        "column": [False, True, True],
    }


def test_a_peer_is_asked_about_every_window_of_every_case(tmp_path: Path) -> None:
    reference = pl.DataFrame({"x": [0.0] * 50, "y": ["a"] * 50})
    for name, rows in {"quiet": reference, "shifted": pl.DataFrame({"x": [float(at) for at in range(50)]})}.items():
        rows.write_parquet(tmp_path / f"{name}.parquet")
    np.save(tmp_path / "draws.npy", np.array([[0, 0, 1], [30, 31, 32]]))
    order = {
        "reference": str(tmp_path / "quiet.parquet"),
        "draws": str(tmp_path / "draws.npy"),
        "cases": [{"name": name, "rows": str(tmp_path / f"{name}.parquet")} for name in ("quiet", "shifted")],
        "seconds": 60,
        "out": str(tmp_path / "out.jsonl"),
    }
    (tmp_path / "order.json").write_text(json.dumps(order))

    def judge(before, windows, size):  # type: ignore[no-untyped-def]
        assert size == 3
        for window in windows:
            assert list(window.columns) == list(before.columns)
            yield ["x"] if window["x"].mean() > before["x"].mean() + 1 else []

    answer(judge, {"version": "1"}, tmp_path / "order.json")
    quiet, shifted = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert (quiet["case"], quiet["columns"], quiet["alarmed"]) == ("quiet", ["x", "y"], [[], []])
    assert (shifted["case"], shifted["columns"], shifted["alarmed"]) == ("shifted", ["x"], [[], ["x"]])


# ---- large files and history ----


def test_large_files_hold_what_was_asked_for_and_are_made_once(tmp_path: Path) -> None:
    reference, current = large_files(tmp_path, 3_000, 27)
    frame = pl.read_parquet(current)
    assert frame.shape == (3_000, 27)
    assert not frame.equals(pl.read_parquet(reference))
    made = current.stat().st_mtime_ns
    assert large_files(tmp_path, 3_000, 27)[1].stat().st_mtime_ns == made
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in (reference, current))


def test_large_files_are_mixed() -> None:
    frame = mixed(20_000, 25, seed=(0, 0))
    assert [frame[f"level {at}"].n_unique() for at in (4, 9, 14, 19)] == [5, 12, 40, 150]
    assert frame["gaps 3"].null_count() == pytest.approx(1_000, abs=150)
    assert float(frame["skewed 1"].mean() or 0) > 1.5 * float(frame["skewed 1"].median() or 0)


def test_history_is_cut_at_the_start_of_a_window_and_keeps_its_order(suite_folder: Path) -> None:
    entry = catalogue(suite_folder, ["sales"])[0]
    table = ordered(entry)
    assert table["number"].is_sorted()
    assert table["day"].is_sorted()
    moved, cut = cut_at_a_window(table, entry, Way("7d", "1d", learned=0.4))
    begin = moved["day"][cut].replace(tzinfo=UTC)
    assert (begin - MONDAY).total_seconds() % (7 * 86_400) == 0
    assert 0.4 * table.height <= cut <= 0.4 * table.height + 7
    assert moved["day"].is_sorted()
    assert moved.drop("day").equals(table.drop("day"))


def test_rows_of_one_day_are_spread_over_the_time_to_the_next(suite_folder: Path) -> None:
    sales = pl.read_parquet(suite_folder / "sales.parquet").with_columns(pl.col("day").dt.month_start())
    sales.sort("number").write_parquet(suite_folder / "sales.parquet")
    table = ordered(catalogue(suite_folder, ["sales"])[0])
    assert table["day"].is_unique().all()
    assert table["day"].is_sorted()
    assert table["day"].dt.month_start().dt.date().equals(sales.sort("number")["day"])


# ---- tables ----


def test_the_bound_of_a_rate_is_that_of_poisson_counts() -> None:
    for count, years in ((0, 2.0), (3, 1.0), (20, 8.0)):
        assert poisson.cdf(count, most_a_year(count, years) * years) == pytest.approx(0.05)


def alarm(system: str, windows: int, **counts: int) -> dict[str, object]:
    told = {name: {"windows": count, "onsets": count} for name, count in counts.items()}
    common = {"bench": "alarms", "set": "s", "rows": 500, "reference": "kept", "year": 0}
    return common | {"system": system, "windows": windows, "readings": told}


def test_alarms_are_told_by_year_and_short_looks_are_marked() -> None:
    text = report([alarm("tenure", 365, page=1), alarm("evidently", 20, dataset=0, column=10)])
    assert "| tenure, pages | 500 | 1.0 | 1 of 365 | 0.3 % | 1 | 4.74 |" in text
    assert "| Evidently, any column | 500 | 0.1 * | 10 of 20 | 50.0 % | 182 windows * |  |" in text


def shift(cost: float, first: int | None, column: str = "x") -> dict[str, object]:
    common = {"bench": "power", "system": "tenure", "set": "s", "rows": 500, "reference": "kept", "shift": "frozen"}
    found = {"looked": 20, "readings": {"page": {"first": first}}, "causes": ["drift: x"] if first else []}
    return common | found | {"cost": cost, "column": column}


def test_power_is_told_by_what_shifts_cost() -> None:
    text = report([shift(0.3, 1), shift(0.2, 5), shift(0.06, None, "gone"), shift(0.02, None), shift(0.001, 4)])
    line = next(line for line in text.splitlines() if line.startswith("| tenure, pages"))
    assert "| 2 of 3 (67 %) | 3 | 1 of 3 (33 %) | 0 of 1 (0 %) | 1 of 1 (100 %) |" in line
    assert "| s | 500 | gone | frozen | 6.0 % |" in text
    assert "| s | 500 | x | frozen | 0.10 % | drift: x |" in text


def test_speed_is_told_against_the_plain_scan() -> None:
    common = {"bench": "speed", "rows": 1_000_000, "columns": 20, "load": 0.5, "peak_mb": 400.0}
    runs = [
        common | {"system": "polars", "seconds": 0.5, "error": "", "repeat": 0},
        common | {"system": "tenure-window", "seconds": 1.0, "error": "", "repeat": 0},
        common | {"system": "evidently", "error": "more than 12,000 MB", "repeat": 0},
    ]
    text = report(runs)
    assert "| 1,000,000 x 20 | tenure: sketch one file | 1.00 | 400 | 2.0 | 1, load 0.5 |" in text
    assert "| more than 12,000 MB |" in text


def test_a_timeline_says_what_was_seen_when() -> None:
    step = {
        "start": "2026-01-05T00:00:00+00:00",
        "rows": 300,
        "status": "ill",
        "estimated": [0.81, 0.78, 0.84, None],
        "realised": [0.7, 0.66, 0.74],
        "drift": 1.3,
        "drifted": [],
        "faults": ["missing-values: x"],
        "changes": [{"subject": "x", "harmless": False}, {"subject": "y", "harmless": True}],
        "pages": ["drift: x moved"],
    }
    quiet = step | {"estimated": [None, None, None, "too few"], "realised": None, "drift": None, "pages": []}
    rare = quiet | {"estimated": [None, 0.6, 0.9, None]}
    told = {"set": "s", "learned": 10, "replayed": 600, "window": "7d", "delay": "1d", "metric": "roc_auc"}
    text = report([{"bench": "replay", "expected": [0.8, 0.79, 0.81], "course": [step, quiet, rare]} | told])
    assert "| 2026-01-05 | 300 | 0.81 (0.78 to 0.84) | 0.7 (0.66 to 0.74) | 1.3 | x, y (harmless) |" in text
    assert "| refused: too few |" in text
    assert "| 0.6 to 0.9 |" in text
    assert "1 pages in 3 windows." in text
