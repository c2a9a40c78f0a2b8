"""The benchmark of retraining: the oracle is the best plan, nobody sees the future, bad promotions are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from peers.monitors.results import Record, read
from peers.streams.bank import Bank
from peers.streams.child import MissingError
from peers.streams.contest import EACH, ORACLE, OURS, STATIC, Plan, run
from peers.streams.oracle import cheapest, oracle
from peers.streams.ours import Ours, past
from peers.streams.page import charts, page
from peers.streams.policies import Continued, Every, Monthly, OnAlarm, Static
from peers.streams.replay import EarlyError, Policy, Swap, View, paired, replay
from peers.streams.rivals import Adwin
from peers.streams.stream import FEWEST_WINDOWS, MOST_WINDOWS, Stream, load_stream, stream_of
from peers.streams.verdicts import Run, runs, share_between
from peers.suite import Entry

from tenure.core.modelling import Floats, Task
from tenure.core.ports import Probe

SETTINGS = settings(max_examples=40, deadline=None)


def small_table(task: Task = Task.BINARY, *, weeks: int = 54, rows: int = 40, seed: int = 0) -> pl.DataFrame:
    """Make a table of weeks whose relation turns round half-way."""
    rng = np.random.default_rng(seed)
    n = weeks * rows
    strong, weak = rng.normal(size=n), rng.normal(size=n)
    turned = np.where(np.arange(n) < n // 2, 1.0, -1.0)
    score = 2 * turned * strong + 0.3 * weak + 0.5 * rng.normal(size=n)
    answers = {
        Task.BINARY: np.where(score > 0, "yes", "no"),
        Task.MULTICLASS: np.array(["low", "middle", "top"])[np.digitize(score, [-1, 1])],
        Task.REGRESSION: 10 + score,
    }
    start, week = datetime(2024, 1, 1), timedelta(weeks=1)
    return pl.DataFrame(
        {
            "at": [start + week * (i // rows) + week * (i % rows) / rows for i in range(n)],
            "strong": strong,
            "weak": pl.Series(np.where(rng.random(n) < 0.1, np.nan, weak)).fill_nan(None),
            "plan": rng.choice(["basic", "plus"], n),
            "left": answers[task],
        }
    )


def small_stream(task: Task = Task.BINARY, **how: int) -> Stream:
    """Make a stream of the small table."""
    return stream_of(Entry("small", Path(), "left", task, "at", "yes", ()), small_table(task, **how))


@pytest.fixture(scope="module")
def stream() -> Stream:
    """Return a small binary stream."""
    return small_stream()


# ---- the oracle ----


@st.composite
def tables(draw: st.DrawFn) -> tuple[NDArray[np.float64], dict[int, list[NDArray[np.float64]]], float]:
    """Draw the losses of a first model and of models on offer in few windows, and what a retraining costs."""
    windows = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    from_window = draw(st.integers(0, 2))
    offers = {at: list(rng.random((2, windows)).round(2)) for at in range(from_window, windows)}
    return rng.random(windows).round(2), offers, draw(st.sampled_from([0.0, 0.1, 0.5, 10.0]))


@given(tables())
@SETTINGS
def test_the_oracle_is_as_cheap_as_the_best_of_all_plans(
    drawn: tuple[NDArray[np.float64], dict[int, list[NDArray[np.float64]]], float],
) -> None:
    first, offers, cost = drawn
    windows = len(first)
    choices = [[None, *range(len(offers.get(at, [])))] for at in range(windows)]
    totals = {}
    for plan in product(*choices):
        losses, total = first, 0.0
        for at, number in enumerate(plan):
            if number is not None:
                losses, total = offers[at][number], total + cost
            total += losses[at]
        totals[plan] = total
    found = cheapest(first, offers, cost)
    assert found.cost == pytest.approx(min(totals.values()))
    followed = tuple(dict(found.retrains).get(at) for at in range(windows))
    assert totals[followed] == pytest.approx(found.cost)


def test_the_oracle_costs_at_most_what_any_simple_policy_does(stream: Stream) -> None:
    bank = Bank(stream, None)
    plan, losses = oracle(bank, 2)
    assert sum(losses) + stream.cost * len(plan.retrains) == pytest.approx(plan.cost)
    for policy in (Static(), Every(), Every(4, 0.25)):
        assert plan.cost <= replay(bank, policy, 2).cost(stream) + 1e-6


# ---- the future ----


def test_a_label_is_known_at_the_end_of_the_window_that_many_windows_later(stream: Stream) -> None:
    known = stream.known(2)
    row = int(stream.edges[stream.first + 5])
    assert known[row] == stream.moment(stream.first + 7)
    assert known[int(stream.edges[-1]) - 1] > stream.times[-1]
    assert (known[: stream.edges[stream.first]] <= stream.moment(stream.first - 1)).all()


def with_another_future(stream: Stream, window: int, delay: int) -> Stream:
    """Return the stream with other labels and features from where they are not known at the start of a window."""
    rng = np.random.default_rng(9)
    end, seen = int(stream.edges[stream.known_through(window, delay) + 1]), int(stream.edges[window])
    target, matrix = stream.problem.target.copy(), stream.problem.matrix.copy()
    target[end:] = rng.permutation(target[end:])
    matrix[seen:] = rng.permutation(matrix[seen:])
    return replace(stream, problem=replace(stream.problem, target=target, matrix=matrix, shared={}))


class Wrong:
    """An alarm that rings when more than a fifth of the answers are wrong."""

    def __call__(self, view: View) -> bool:
        """Say whether it rings."""
        return any(view.errors(window).mean() > 0.2 for window in view.newly)


POLICIES: dict[str, Callable[[], Policy]] = {
    "every window": Every,
    "every 4": lambda: Every(4, 0.25),
    "monthly": Monthly,
    "on alarm": lambda: OnAlarm(alarm=Wrong()),
    "continued": Continued,
    "ours": Ours,
}


@pytest.mark.parametrize("delay", [0, 3])
@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_sees_a_label_before_it_is_known(stream: Stream, name: str, delay: int) -> None:
    until = stream.first + 8
    windows = range(stream.first, until + 1)
    as_it_was = replay(Bank(stream, None), POLICIES[name](), delay, windows=windows)
    other = with_another_future(stream, until, delay)
    as_it_might_be = replay(Bank(other, None), POLICIES[name](), delay, windows=windows)
    told = [(c.window, c.name) for c in as_it_was.changes]
    assert told == [(c.window, c.name) for c in as_it_might_be.changes]
    assert as_it_was.losses[: 8 - delay] == pytest.approx(as_it_might_be.losses[: 8 - delay], abs=1e-3 * stream.volume)


class Cheat:
    """Learns from the labels of the last window, known or not."""

    def decide(self, view: View) -> Swap | None:
        """Learn from all rows that have happened."""
        return Swap(view.fit(view.stream.problem, np.arange(view.seen), None), "cheat")


def test_who_asks_for_labels_too_early_is_refused(stream: Stream) -> None:
    replay(Bank(stream, None), Cheat(), 0, windows=range(stream.first, stream.first + 3))
    with pytest.raises(EarlyError):
        replay(Bank(stream, None), Cheat(), 1, windows=range(stream.first, stream.first + 3))
    view = View(Bank(stream, None), 1, stream.first + 3, Static(), {})  # type: ignore[arg-type]
    with pytest.raises(EarlyError):
        view.errors(stream.first + 2)


def test_ours_gets_a_table_that_ends_now_with_unknown_labels_blanked(stream: Stream) -> None:
    view = View(Bank(stream, None), 2, stream.first + 9, Static(), {})  # type: ignore[arg-type]
    history = past(view)
    assert len(history.problem.matrix) == len(history.times) == stream.edges[stream.first + 9]
    unknown = history.known > view.now
    assert unknown.sum() == stream.edges[stream.first + 9] - stream.edges[stream.first + 7]
    assert not history.problem.target[unknown].any()
    np.testing.assert_array_equal(history.problem.target[~unknown], stream.problem.target[: (~unknown).sum()])


# ---- promotions ----


class Fixed:
    """A model that says the truth of a stream with some certainty."""

    def __init__(self, stream: Stream, certainty: float) -> None:
        self.stream, self.certainty = stream, certainty

    def predict(self, matrix: Floats) -> Floats:
        """Return probabilities, right ones with the certainty that was asked for."""
        rows = {row.tobytes(): at for at, row in enumerate(self.stream.problem.matrix)}
        truth = self.stream.problem.target[[rows[row.tobytes()] for row in np.ascontiguousarray(matrix)]]
        yes = np.where(truth == 1, self.certainty, 1 - self.certainty)
        return np.column_stack([1 - yes, yes])


class Listed:
    """Puts models into office at given windows."""

    def __init__(self, models: dict[int, Probe], start: int) -> None:
        self.models, self.start = models, start

    def decide(self, view: View) -> Swap | None:
        """Return the model that is listed for the window."""
        model = self.models.get(view.window - self.start)
        return None if model is None else Swap(model, "listed", retrained=False)


def test_a_promotion_is_bad_where_the_next_window_shows_it_beyond_chance(stream: Stream) -> None:
    good, poor, just_as_good = Fixed(stream, 0.9), Fixed(stream, 0.6), Fixed(stream, 0.9)
    course = replay(Bank(stream, None), Listed({1: good, 3: poor, 5: good, 7: just_as_good}, stream.first), 0)
    assert [change.is_bad for change in course.changes[1:]] == [True, False, False]
    assert course.retrains == 0
    np.testing.assert_allclose(course.changes[1].gain, np.log(0.6 / 0.9))


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_equal_models_are_called_bad_about_once_in_forty(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bad = sum(paired(rng.normal(size=80))[2] < 0 for _ in range(400))
    assert 0 <= bad <= 25  # 10 expected; more than 25 has a chance of 1e-5


def test_an_interval_of_a_share_holds_it() -> None:
    assert share_between(0, 10) == (0.0, pytest.approx(0.3085, abs=1e-4))
    low, high = share_between(5, 100)
    assert low < 0.05 < high


# ---- streams and the bank ----


@pytest.mark.parametrize("task", Task)
def test_windows_cover_all_judged_rows_and_losses_fit_the_task(task: Task) -> None:
    stream = small_stream(task)
    assert stream.edges[0] == 0
    assert stream.edges[-1] == len(stream.times)
    assert (np.diff(stream.times) > 0).all()
    assert FEWEST_WINDOWS <= len(stream.judged) <= MOST_WINDOWS
    assert stream.skill > 0
    course = replay(Bank(stream, None), Static(), 1)
    assert len(course.losses) == len(stream.judged)
    assert np.isfinite(course.losses).all()


def test_a_set_of_the_catalogue_is_a_stream(suite_folder: Path) -> None:
    stream = load_stream("sales", suite_folder)
    assert stream.problem.task is Task.REGRESSION
    assert (np.diff(stream.times) > 0).all()
    with pytest.raises(SystemExit, match="no time column"):
        load_stream("leavers", suite_folder)


def test_a_time_that_is_a_number_is_cut_by_rows() -> None:
    table = small_table().with_columns(pl.int_range(pl.len()).alias("at"))
    stream = stream_of(Entry("small", Path(), "left", Task.BINARY, "at", "yes", ()), table)
    assert stream.windows_are.endswith("rows")
    assert stream.months is None
    assert replay(Bank(stream, None), Monthly(), 0).retrains > 5


def test_levels_are_those_of_the_warm_part() -> None:
    table = small_table().with_columns(
        pl.when(pl.int_range(pl.len()) < 2_000).then(pl.col("plan")).otherwise(pl.lit("new")).alias("plan")
    )
    stream = stream_of(Entry("small", Path(), "left", Task.BINARY, "at", "yes", ()), table)
    codes = stream.problem.matrix[:, stream.problem.names.index("plan")]
    assert set(codes[:2_000]) == {0.0, 1.0}
    assert np.isnan(codes[2_000:]).all()


def test_a_bank_outlives_the_process_and_gives_the_same_answers(stream: Stream, tmp_path: Path) -> None:
    bank = Bank(stream, tmp_path)
    course = replay(bank, Every(8), 1)
    assert bank.fits > 0
    again = Bank(stream, tmp_path)
    told = replay(again, Every(8), 1)
    assert again.fits == 0
    assert told.losses == course.losses
    assert told.fitting == pytest.approx(course.fitting)


def test_a_bank_answers_as_the_model_itself_does(stream: Stream) -> None:
    bank = Bank(stream, None)
    model = bank.newest(1_000, 0.5)
    rows = stream.problem.matrix[1_500:1_600]
    np.testing.assert_allclose(model.predict(rows), bank.probe(model).predict(rows), atol=1e-6)
    unknown = rows + 1.0
    np.testing.assert_allclose(model.predict(unknown), bank.probe(model).predict(unknown), atol=1e-12)
    with pytest.raises(ValueError, match="one stream"):
        bank.fit(replace(stream.problem, matrix=stream.problem.matrix.copy()), np.arange(10), None)


# ---- the results ----


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, make_suite: Callable[[Path], Path]) -> Sequence[Record]:
    """Run few policies on the small regression set of a catalogue."""
    folder = tmp_path_factory.mktemp("streams")
    plan = Plan(("sales",), (0, 1), (OURS, STATIC, EACH, "ADWIN"), folder / "out.jsonl", make_suite(folder), folder)
    run(plan)
    found = read([plan.out])
    run(plan)
    again = read([plan.out])[len(found) :]
    assert {record["policy"] for record in again} == {"ADWIN"}  # who was missing is looked for again, and nobody else
    return found


def test_a_peer_that_is_not_installed_is_named(records: Sequence[Record]) -> None:
    assert "ADWIN (river is not installed" in page(records)
    with pytest.raises(MissingError):
        Adwin(None)


def test_the_page_tells_regret_between_the_oracle_and_doing_nothing(records: Sequence[Record], tmp_path: Path) -> None:
    found = {(r.told["delay"], r.told["policy"]): r for r in runs(records)}
    assert {policy for _, policy in found} == {OURS, STATIC, EACH}
    for delay in (0, 1):
        assert found[delay, STATIC].regret == pytest.approx(1.0)
        assert found[delay, EACH].retrains == found[delay, EACH].told["decisions"] - 1 - delay
    text = page(records, charts(records, ["sales"], tmp_path / "page.md"))
    assert "## What was to be shown" in text
    assert (tmp_path / "page-sales.svg").read_text().startswith("<svg")


def test_regret_is_nothing_for_the_oracle_itself(records: Sequence[Record]) -> None:
    best = next(record for record in records if record["policy"] == ORACLE)
    still = next(r for r in records if r["policy"] == STATIC and r["delay"] == best["delay"])
    assert Run(best, best, still).regret == pytest.approx(0.0, abs=1e-9)
