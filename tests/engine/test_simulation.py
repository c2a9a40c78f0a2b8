"""The flight simulator on a small planted world: who answers, what is known when, what it costs, what is untouched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tenure.cli.app import app
from tenure.core.errors import ConfigError, HistoryError, SourceMissingError, TemporaryError
from tenure.core.ladder import Rung, Step
from tenure.core.lifecycle import Alias, OutcomeRecord
from tenure.core.metrics import metric_named
from tenure.core.modelling import Task
from tenure.core.project import MonitoringSection, Project, parse_project
from tenure.core.simulation import Deed, Measure, Simulation
from tenure.engine.permission import may
from tenure.engine.permits import Act as Ask
from tenure.engine.simulation.coming import VirtualClock
from tenure.engine.simulation.fleet import Plan, simulate
from tenure.engine.simulation.flight import Aloft, Flight, Hooks, add_rows, fly, take_off
from tenure.engine.simulation.gauge import Answers, Gauge, block_draws
from tenure.engine.simulation.history import FEWEST_WINDOWS, Cut, History, cut_history, read_history, windows_of
from tenure.engine.simulation.judge import Frame, judged
from tenure.engine.simulation.pace import pace_of
from tenure.engine.simulation.policies import (
    AS_IT_IS,
    STATIC,
    FlightPolicy,
    do_nothing,
    policies_named,
    policy_named,
    retrain_and_release,
)
from tenure.engine.simulation.shadow import shadow_of, twin_of
from tenure.engine.watch import Look
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.ladder import Ladder

START = datetime(2026, 1, 5, tzinfo=UTC)
PROJECT = """
[project]
name = "shop"
task = "binary"
[data]
source = "shop.parquet"
target = "left"
positive = "yes"
time = "seen_at"
outcome_delay = "10d"
[value]
true_positive = 40.0
false_positive = -15.0
[training]
budget = "20s"
trials = 1
families = ["linear"]
[monitoring]
window = "7d"
min_rows = 30
"""


def shop(rows: int = 900, weeks: int = 18, turn: float = 0.6, seed: int = 1) -> pl.DataFrame:
    """Return visits in order of time; what makes a customer leave turns round after a share of them."""
    rng = np.random.default_rng(seed)
    share = np.arange(rows) / rows
    spend, visits = rng.normal(size=rows), rng.normal(size=rows)
    log_odds = np.where(share < turn, 3.0, -3.0) * spend + visits
    left = rng.random(rows) < 1 / (1 + np.exp(-log_odds))
    seen = np.datetime64(START.replace(tzinfo=None), "us") + (share * weeks * 7 * 86_400e6).astype("timedelta64[us]")
    return pl.DataFrame({"seen_at": seen, "spend": spend, "visits": visits, "left": np.where(left, "yes", "no")})


def project(**sections: dict[str, object]) -> Project:
    return FlightPolicy("changed", sections).applied(parse_project(PROJECT))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, History, Cut]:
    """Return a shadow with its first model, the history of its shop, and where that is cut; made once."""
    home = tmp_path_factory.mktemp("shop")
    shop().write_parquet(home / "shop.parquet")
    (home / "tenure.toml").write_text(PROJECT)
    with open_workspace(home) as workspace:
        history = read_history(workspace)
    cut = cut_history(history, parse_project(PROJECT).monitoring)
    base = home / "base"
    base.mkdir()
    add_rows(base, 0, history.rows[: cut.learned])
    shadow = shadow_of(parse_project(PROJECT))
    with open_workspace(base, project=shadow, clock=VirtualClock(cut.moments[0][0])) as workspace:
        take_off(workspace)
    return base, history, cut


Fly = Callable[..., Flight]
Ready = tuple[Path, History, Cut]


@pytest.fixture(scope="module")
def flown(ready: tuple[Path, History, Cut], tmp_path_factory: pytest.TempPathFactory) -> Fly:
    """Return a function that flies the shop under a policy, each flight in a folder of its own."""
    base, history, cut = ready

    def flown(policy: FlightPolicy = STATIC, *, hooks: Hooks | None = None, wish: Project | None = None) -> Flight:
        folder = tmp_path_factory.mktemp("flight") / "shop"
        twin_of(base, folder)
        shadow = shadow_of(wish or parse_project(PROJECT))
        return fly(folder, list(windows_of(history, cut)), policy, project=shadow, hooks=hooks)

    return flown


# ---- history ----


@given(
    gaps=st.lists(st.integers(0, 400_000), min_size=40, max_size=120),
    window=st.sampled_from(["1d", "7d", "9 rows"]),
    delay=st.integers(0, 10**6),
)
def test_windows_hold_every_later_row_once_in_order_of_time(gaps: list[int], window: str, delay: int) -> None:
    times = np.cumsum(np.array(gaps, dtype=np.int64)) * 1_000_000
    rows = pl.DataFrame({"left": ["yes"] * len(times)})
    history = History(rows, "left", times, times + delay)
    try:
        cut = cut_history(history, MonitoringSection(window=window))
    except HistoryError:
        return
    begins, ends = zip(*cut.windows, strict=True)
    assert begins[0] == cut.learned > 0
    assert begins[1:] == ends[:-1]
    assert len(cut.windows) >= FEWEST_WINDOWS
    for coming in windows_of(history, cut):
        assert all(coming.start <= at < coming.end for at in coming.event_at)
    starts, stops = zip(*cut.moments, strict=True)
    assert all(stop <= start for stop, start in zip(stops, starts[1:], strict=False))


def test_a_start_that_is_asked_for_is_kept_and_nothing_comes_from_the_end_on() -> None:
    frame = shop()
    times = frame["seen_at"].dt.epoch("us").to_numpy()
    history = History(frame, "left", times, times)
    start, until = START + timedelta(weeks=8), START + timedelta(weeks=14)
    cut = cut_history(history, MonitoringSection(window="7d"), start=start, until=until)
    assert cut.moments[0][0] == start
    assert cut.moments[-1][1] == until
    assert cut.learned == int((frame["seen_at"] < start.replace(tzinfo=None)).sum())


def test_without_a_time_column_or_enough_windows_it_says_what_to_do(tmp_path: Path) -> None:
    shop().write_parquet(tmp_path / "shop.parquet")
    (tmp_path / "tenure.toml").write_text(PROJECT.replace('time = "seen_at"\n', ""))
    with open_workspace(tmp_path) as workspace, pytest.raises(HistoryError, match="no time column") as told:
        read_history(workspace)
    assert told.value.where == "data.time"
    times = shop()["seen_at"].dt.epoch("us").to_numpy()
    with pytest.raises(HistoryError, match="windows are needed"):
        cut_history(History(shop(), "left", times, times), MonitoringSection(window="90d"))


def test_rows_of_the_log_that_came_true_are_history_too_and_none_comes_twice(flown: Fly) -> None:
    flight = flown()
    delay = timedelta(days=10)
    windows = [flown.window for flown in flight.windows]
    held, ends = windows[3].event_at[-1], windows[-1].end
    with open_workspace(flight.folder, project=flight.project, clock=lambda: ends) as workspace:
        add_rows(flight.folder, 1, pl.concat([window.rows for window in windows[:4]]))  # these are in the source too
        other = {"yes": "no", "no": "yes"}[str(windows[5].outcome[0])]
        late = OutcomeRecord(other, ends.isoformat(), prediction_id=windows[5].ids[0])
        workspace.traffic.record_outcomes([late])
        log, source = workspace.traffic.joined(), pl.read_parquet(flight.folder / "rows" / "*.parquet")
        history = read_history(workspace)
    only_log = log.filter(pl.col("outcome").is_not_null(), pl.col("event_at") > held)
    assert 0 < history.logged == only_log.height < log.height
    assert history.rows.height == source.height + only_log.height
    assert history.rows.columns == source.columns
    assert (np.diff(history.times) >= 0).all()
    after = history.known - history.times - round(delay / timedelta(microseconds=1))
    place = int(np.flatnonzero(after)[0])
    assert np.count_nonzero(after) == 1
    assert history.rows["left"][place] == other
    assert history.rows["seen_at"][place] == windows[5].rows["seen_at"][0]
    assert history.known[place] == round(ends.timestamp() * 1e6)


# ---- a flight ----


def test_outcomes_are_posted_when_they_are_known_and_not_before(flown: Fly) -> None:
    waiting = []

    def after(aloft: Aloft, look: Look | None) -> None:
        log = aloft.workspace.traffic.joined(features=False)
        known = log.filter(pl.col("known_at").is_not_null())
        assert (known["known_at"] <= aloft.clock.now).all()
        ripe = log.filter(pl.col("event_at") + timedelta(days=10) <= aloft.clock.now)
        assert ripe["outcome"].is_not_null().all()
        waiting.append(log.height - known.height)

    flight = flown(hooks=Hooks(after=after))
    assert all(count > 0 for count in waiting)
    assert len(waiting) == len(flight.windows)


def test_every_row_is_answered_once_by_the_model_in_office_as_the_table_would(flown: Fly) -> None:
    flight = flown()
    with open_workspace(flight.folder, project=flight.project) as workspace:
        log = workspace.traffic.joined(features=False)
        scored = workspace.scorer(workspace.champion()).raw(pl.concat([f.window.rows for f in flight.windows]))
    said = np.concatenate([f.said.predicted for f in flight.windows])
    assert log["id"].n_unique() == log.height == len(said)
    assert np.array_equal(log.select("p_0", "p_1").to_numpy(), said)
    assert np.array_equal(scored, said)


def test_a_canary_answers_its_share_of_rows_and_a_shadow_the_others_for_the_log(flown: Fly) -> None:
    def before(aloft: Aloft) -> None:
        if aloft.number == 7:
            retrain_and_release(aloft.workspace)
            offices = {Alias.CHAMPION: 1, Alias.CHALLENGER: 2, Alias.PREVIOUS: None}
            aloft.workspace.registry.move(offices, actor="me", reason="try it first")

    flight = flown(hooks=Hooks(before=before), wish=project(serving={"canary": 0.3, "shadow": 1.0}))
    later = flight.windows[7:]
    versions = np.concatenate([f.said.version for f in later])
    assert {int(v) for f in flight.windows[:7] for v in f.said.version} == {1}
    assert 0.2 < (versions == 2).mean() < 0.4
    with open_workspace(flight.folder, project=flight.project) as workspace:
        shadowed = workspace.traffic.shadowed(2)
        rows = pl.concat([f.window.rows for f in later])
        both = [workspace.scorer(workspace.registry.version(number)).raw(rows) for number in (1, 2)]
    assert shadowed.height == (versions == 1).sum()
    said = np.concatenate([f.said.predicted for f in later])
    assert np.array_equal(said, np.where((versions == 2)[:, None], both[1], both[0]))


def test_while_a_version_climbs_windows_come_in_parts_and_nothing_is_lost(ready: Ready, tmp_path: Path) -> None:
    base, history, cut = ready
    twin_of(base, tmp_path / "shop")
    looks: list[datetime] = []

    def before(aloft: Aloft) -> None:
        if aloft.number == 7:
            retrain_and_release(aloft.workspace)
            aloft.workspace.registry.move({Alias.CHAMPION: 1, Alias.PREVIOUS: None}, actor="me", reason="try it first")
            rung = Rung(2, 1, Step.SHADOW, 0.0, aloft.clock().isoformat(), "", "", "v2 answers beside v1.")
            Ladder(aloft.workspace.registry).step(rung, after=None, actor="me")

    def act(workspace: Workspace) -> Look | None:
        looks.append(workspace.context.clock())
        return None

    windows = list(windows_of(history, cut))[:9]
    flight = fly(
        tmp_path / "shop",
        windows,
        FlightPolicy("count", act=act),
        project=shadow_of(parse_project(PROJECT)),
        hooks=Hooks(before=before),
        looks=4,
    )
    counts = [sum(window.start < at <= window.end for at in looks) for window in windows]
    assert counts == [1] * 7 + [4, 4]
    assert looks[-1] == windows[-1].end
    assert [f.window.rows.equals(w.rows) for f, w in zip(flight.windows, windows, strict=True)] == [True] * 9
    assert [len(f.said.target) for f in flight.windows] == [w.rows.height for w in windows]
    assert flight.count(Deed.STEP) == 1
    with open_workspace(flight.folder, project=flight.project) as workspace:
        assert workspace.traffic.shadowed(2).height == sum(window.rows.height for window in windows[7:])
        assert workspace.traffic.prediction_count() == sum(window.rows.height for window in windows)


def test_a_watcher_that_cannot_look_is_noted_and_the_flight_goes_on(flown: Fly) -> None:
    def away(workspace: Workspace) -> Look | None:
        raise TemporaryError("The database is away.", hint="Wait.")

    flight = flown(FlightPolicy("away", act=away))
    assert flight.count(Deed.MISSED) == len(flight.windows)
    assert flight.acts[0].says == "Not now [temporary]: The database is away."


def test_retrainings_in_a_flight_count_against_the_budget_and_the_first_model_does_not(flown: Fly) -> None:
    at = iter(range(100))
    held = []

    def act(workspace: Workspace) -> Look | None:
        held.append(may(workspace, Ask.RETRAIN).is_budget)
        return retrain_and_release(workspace) if next(at) == 1 else None

    flown(FlightPolicy("once", act=act), wish=project(operations={"retrains_per_month": 1}))
    assert held[:6] == [False, False, True, True, True, True]
    assert not held[6]  # 30 days later


def test_ctrl_c_ends_a_flight_with_what_was_flown(flown: Fly) -> None:
    def before(aloft: Aloft) -> None:
        if aloft.number == 5:
            raise KeyboardInterrupt

    flight = flown(hooks=Hooks(before=before))
    assert flight.interrupted
    assert len(flight.windows) == 5


def test_retraining_every_window_puts_each_new_model_in_office(flown: Fly) -> None:
    at = iter(range(100))

    def act(workspace: Workspace) -> Look | None:
        return retrain_and_release(workspace) if next(at) in (7, 9) else do_nothing(workspace)

    flight = flown(FlightPolicy("now and then", act=act), wish=project(operations={"learn_from_log": False}))
    assert flight.walks == flight.count(Deed.RETRAIN) == 2
    assert [reign.version for reign in flight.reigns] == [1, 2, 3]
    assert [f.champion for f in flight.windows[6:10]] == [1, 2, 2, 3]
    assert [act.window for act in flight.acts if act.deed is Deed.PROMOTION] == [7, 9]
    assert sorted(path.name for path in (flight.folder / "rows").iterdir())[0] == "000000.parquet"


# ---- judging ----


def frame(flights: list[Flight]) -> Frame:
    return Frame(
        learned=300,
        planned=len(flights[0].windows),
        pace=pace_of(flights, seconds=1.0, first_walk=1.0, whole_budget=20.0),
    )


@pytest.fixture(scope="module")
def pair(flown: Fly) -> list[Flight]:
    """Return a static flight, and one that retrains twice, after the world has turned."""
    at = iter(range(100))

    def act(workspace: Workspace) -> Look | None:
        return retrain_and_release(workspace) if next(at) in (6, 9) else None

    return [flown(), flown(FlightPolicy("twice", act=act))]


def test_money_regret_and_differences_follow_from_the_rows(pair: list[Flight]) -> None:
    found = judged(pair, frame(pair))
    static, twice = found.policies
    assert found.measure is Measure.MONEY
    for flight, result in zip(pair, found.policies, strict=True):
        yes = np.concatenate([f.said.target for f in flight.windows]) == 1
        acted = np.concatenate([f.said.said_yes for f in flight.windows if f.said.said_yes is not None])
        assert result.total.value == pytest.approx(float(np.where(acted, np.where(yes, 40.0, -15.0), 0.0).sum()))
        assert result.total.low <= result.total.value <= result.total.high
        assert all(best >= window.amount for best, window in zip(found.best, result.windows, strict=True))
        assert result.regret.value == pytest.approx(found.best_total.value - result.total.value)
    assert static.over_static.value == static.over_static.low == static.over_static.high == 0.0
    assert twice.over_static.value == pytest.approx(twice.total.value - static.total.value)
    assert twice.over_static.value > 0 <= twice.over_static.low
    assert found.duels[0].gain == twice.over_static
    assert twice.count(Deed.RETRAIN) == 2
    assert twice.bad_promotions <= 1
    assert Simulation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_flights_are_compared_over_the_windows_that_all_of_them_flew(pair: list[Flight]) -> None:
    short = replace(pair[1], windows=pair[1].windows[:6], interrupted=True)
    found = judged([pair[0], short], replace(frame(pair), planned=len(pair[0].windows)))
    assert found.interrupted
    assert len(found.starts) == len(found.policies[0].windows) == 6
    assert found.policies[1].over_static.value == 0.0


@pytest.mark.parametrize(
    ("name", "task", "measure"),
    [
        ("roc_auc", Task.BINARY, Measure.METRIC),
        ("log_loss", Task.BINARY, Measure.LOSS),
        ("rmse", Task.REGRESSION, Measure.LOSS),
    ],
)
def test_without_money_totals_are_in_the_metric(name: str, task: Task, measure: Measure) -> None:
    rng = np.random.default_rng(5)
    wish = parse_project(f'[project]\nname="x"\ntask="{task}"\n[data]\nsource="x.csv"\ntarget="y"\n')
    gauge = Gauge(wish, task, metric_named(name, task=task))
    assert gauge.measure is measure
    parts = []
    for _ in range(5):
        chance = rng.random(80)
        if task is Task.BINARY:
            parts.append(
                Answers((rng.random(80) < chance).astype(np.int64), np.column_stack([1 - chance, chance]), None)
            )
        else:
            parts.append(Answers(chance + rng.normal(size=80), chance, None))
    amounts, rows = (np.array(column) for column in zip(*map(gauge.amount, parts), strict=True))
    whole = gauge.totals(amounts, rows)
    target, predicted = (np.concatenate([getattr(part, name) for part in parts]) for name in ("target", "predicted"))
    each = [metric_named(name, task=task)(part.target, part.predicted) for part in parts]
    expected = np.mean(each) if measure is Measure.METRIC else metric_named(name, task=task)(target, predicted)
    assert float(whole) == pytest.approx(float(expected))


@given(windows=st.integers(1, 60), seed=st.integers(0, 5))
def test_resampled_blocks_are_runs_of_windows_and_draw_each_as_often(windows: int, seed: int) -> None:
    drawn = block_draws(windows, np.random.default_rng(seed), draws=400)
    assert drawn.shape == (400, windows)
    length = max(round(windows ** (1 / 3)), 1)
    steps = np.diff(drawn, axis=1) % windows
    inside = (np.arange(1, windows) % length) != 0
    assert (steps[:, inside] == 1 % windows).all()
    counts = np.bincount(drawn.ravel(), minlength=windows)
    assert np.abs(counts - 400).max() < 8 * np.sqrt(400 * length)


# ---- policies ----


def test_a_policy_file_changes_how_things_are_done_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "sure.toml"
    file.write_text('[operations]\ncertainty = 0.95\n[monitoring]\nwindow = "14d"\n')
    policy = policy_named(str(file))
    changed = policy.applied(parse_project(PROJECT))
    assert policy.name == "sure"
    assert changed.operations.certainty == 0.95
    assert changed.monitoring.window_seconds == 14 * 86_400
    assert changed.monitoring.min_rows == 30
    assert changed.data == parse_project(PROJECT).data


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("[value]\ntrue_positive = 1.0\n", "value", "It may change the sections operations"),
        ("[operations]\ncertanty = 0.9\n", "operations.certanty", "Did you mean 'certainty'?"),
        ("operations = 3\n", "operations", "Write [operations]."),
        ("[operations\n", "", "Mend that line."),
    ],
)
def test_what_a_policy_may_not_say_is_refused(tmp_path: Path, text: str, where: str, hint: str) -> None:
    file = tmp_path / "odd.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as told:
        policy_named(str(file))
    assert told.value.where is not None
    assert told.value.where.endswith(where)
    assert hint in told.value.hint


def test_a_value_out_of_range_is_refused_before_anything_is_flown(tmp_path: Path) -> None:
    file = tmp_path / "odd.toml"
    file.write_text("[operations]\ncertainty = 2.0\n")
    with pytest.raises(ConfigError, match="certainty"):
        policy_named(str(file)).applied(parse_project(PROJECT))


def test_policies_have_names_of_their_own(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.toml").write_text("[operations]\ncertainty = 0.9\n")
    with pytest.raises(ConfigError, match="Two policies"):
        policies_named([str(tmp_path / "a" / "mine.toml"), str(tmp_path / "b" / "mine.toml")])
    with pytest.raises(SourceMissingError):
        policy_named("nowhere.toml")
    assert policies_named(["as-it-is", "static", "as-it-is"]) == (AS_IT_IS, STATIC)


# ---- the whole ----


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    shop(rows=1_200).write_parquet(folder / "shop.parquet")
    (folder / "tenure.toml").write_text(PROJECT + '[alerts]\nwebhook = "http://127.0.0.1:1/never"\n')
    with open_workspace(folder):
        pass
    return folder


def test_two_simulations_agree_and_the_project_stays_as_it_was(home: Path) -> None:
    before = contents(home)
    half = FlightPolicy("half", act=retrain_twice())
    with open_workspace(home) as workspace:
        one = simulate(workspace, Plan((half,)))
        other = simulate(workspace, Plan((replace(half, act=retrain_twice()),)))
        assert workspace.registry.holder(Alias.CHAMPION) is None
    assert contents(home) == before
    assert [policy.name for policy in one.policies] == ["static", "half"]
    assert one.policies[1].count(Deed.RETRAIN) == 2

    def steady(simulation: Simulation) -> list[object]:
        return [(p.total, p.regret, p.windows, [(a.deed, a.at) for a in p.acts]) for p in simulation.policies]

    assert steady(one) == steady(other)


def retrain_twice() -> Callable[[Workspace], Look | None]:
    at = iter(range(100))
    return lambda workspace: retrain_and_release(workspace) if next(at) in (2, 4) else None


def test_what_one_flight_trained_another_takes_again(home: Path) -> None:
    with open_workspace(home) as workspace:
        found = simulate(
            workspace, Plan((FlightPolicy("one", act=retrain_twice()), FlightPolicy("two", act=retrain_twice())))
        )
    assert [(policy.walks, policy.reused) for policy in found.policies] == [(0, 0), (2, 0), (2, 2)]
    assert found.policies[1].total == found.policies[2].total


def test_the_first_model_learns_only_what_was_known_then_and_the_rest_comes_when_it_is(home: Path) -> None:
    seen: list[tuple[datetime, pl.DataFrame]] = []

    def act(workspace: Workspace) -> Look | None:
        seen.append((workspace.context.clock(), pl.read_parquet(workspace.folder / "rows" / "*.parquet")))
        return None

    with open_workspace(home) as workspace:
        history = read_history(workspace)
        cut = cut_history(history, workspace.project.monitoring)
        found = simulate(workspace, Plan((FlightPolicy("look", act=act),)))
    before = history.rows[: cut.learned]
    known_at, start = before["seen_at"].dt.replace_time_zone("UTC") + timedelta(days=10), cut.moments[0][0]
    assert 0 < found.learned == (known_at <= start).sum() < before.height
    assert [rows.height for _, rows in seen] == [(known_at <= at).sum() for at, _ in seen]
    assert seen[-1][1].sort("seen_at").equals(before)


def test_under_a_budget_each_flight_trains_by_itself_so_that_it_pays_for_it(home: Path) -> None:
    budget = {"operations": {"retrains_per_month": 5}}
    both = [FlightPolicy(name, budget, act=retrain_twice()) for name in ("one", "two")]
    with open_workspace(home) as workspace:
        found = simulate(workspace, Plan(tuple(both)))
    assert [(policy.walks, policy.reused) for policy in found.policies] == [(0, 0), (2, 0), (2, 0)]


def test_the_command_writes_a_page_its_markdown_and_one_document(home: Path) -> None:
    done = CliRunner().invoke(
        app, ["simulate", "-p", str(home), "--policy", "static", "--out", str(home / "flown.html"), "--json", "-q"]
    )
    assert done.exit_code == 0, done.output
    reply = json.loads(done.stdout)
    assert reply["result"]["simulation"]["policies"][0]["name"] == "static"
    assert reply["result"]["page"] == str(home / "flown.html")
    page = (home / "flown.html").read_text()
    assert "<script" not in page
    assert (home / "flown.md").read_text().startswith("# Flown without tenure only")


def test_the_command_says_what_is_wrong_with_its_words(home: Path) -> None:
    runner = CliRunner()
    for words, code in (
        (["--from", "soon"], "config-invalid"),
        (["--policy", "nowhere.toml"], "source-missing"),
        (["--from", "2030-01-01"], "history-unusable"),
    ):
        done = runner.invoke(app, ["simulate", "-p", str(home), *words, "--json", "-q"])
        assert json.loads(done.stdout)["result"]["error"]["code"] == code
