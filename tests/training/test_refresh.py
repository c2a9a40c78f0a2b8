"""Models made from the one in office: what they learn, and that what they promise was said before it was known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from tenure.core.data import Snapshot
from tenure.core.errors import EmptyDataError, NoChampionError, SchemaChangedError
from tenure.core.evidence import QualityReport
from tenure.core.lifecycle import Incumbent
from tenure.core.metrics import log_losses
from tenure.core.modelling import Floats, Leaderboard, Task, ValidationPlan
from tenure.core.ports import Context
from tenure.core.retraining import Recipe, Way
from tenure.model.scorer import Scorer
from tenure.testing.walks import small_walk
from tenure.testing.worlds import World, clean_world
from tenure.training.refresh import refresh

Make = Callable[..., Context]
START = datetime(2026, 1, 1)
TASKS = pytest.mark.parametrize("task", list(Task))
RECALIBRATE = Recipe("recalibrate", Way.RECALIBRATE)


@dataclass(frozen=True)
class Office:
    """A model in office that learned from the first rows, and the rows that came since."""

    ctx: Context
    snapshot: Snapshot
    quality: QualityReport
    plan: ValidationPlan
    basis: Incumbent
    board: Leaderboard
    fresh: pl.DataFrame

    def refresh(self, recipe: Recipe) -> Leaderboard:
        return refresh(self.ctx, self.snapshot, self.quality, self.plan, recipe, self.basis)

    def oof(self, board: Leaderboard) -> pl.DataFrame:
        return self.ctx.artifacts.get_table(board.oof)

    def scorer(self, board: Leaderboard) -> Scorer:
        return Scorer.load(self.ctx.artifacts.get_tree(board.model))


def changed(frame: pl.DataFrame, world: World, rng: np.random.Generator) -> pl.DataFrame:
    """Make yes (or the last class) much more frequent, or values larger: the order of rows stays."""
    target = frame[world.target]
    if world.task is Task.REGRESSION:
        return frame.with_columns(1.5 * target + 30.0)
    more = rng.random(frame.height) < 0.5
    return frame.with_columns(
        pl.when(pl.Series(more)).then(pl.lit(world.classes[-1])).otherwise(target).alias(world.target)
    )


@pytest.fixture
def office(make_context: Make) -> Callable[..., Office]:
    def make(
        task: Task,
        *,
        rows: int = 900,
        old: int = 500,
        moved: bool = True,
        more: str = "",
        rounds: int = 30,
        timed: bool = True,
    ) -> Office:
        whole = clean_world(task, rows=rows, seed=3)
        stamped = whole.frame.with_columns(at=pl.lit(START) + pl.duration(hours=pl.int_range(rows)))
        stamped = stamped if timed else whole.frame
        world = replace(whole, frame=stamped[:old], truth=whole.truth[:old], time="at" if timed else None)
        ctx = make_context(
            f'[project]\nname = "t"\ntask = "{task}"\n[data]\nsource = "x.csv"\ntarget = "{world.target}"\n{more}'
            '[monitoring]\nwindow = "100 rows"\n'
        )
        walk = small_walk(world, ctx.artifacts, rounds=rounds)
        fresh = stamped[old:]
        if moved:
            fresh = changed(fresh, world, np.random.default_rng(5))
        table = ctx.artifacts.put_table(pl.concat([world.frame, fresh]))
        basis = Incumbent(1, walk.leaderboard.model, ctx.artifacts.put_record(walk.leaderboard))
        snapshot = replace(walk.snapshot, table=table, rows=rows)
        quality = replace(walk.quality, clean=table, rows=rows)
        return Office(ctx, snapshot, quality, walk.plan, basis, walk.leaderboard, fresh)

    return make


def loss(world: Office, said: Floats, target: pl.Series) -> float:
    codes = target.to_numpy()
    if said.ndim == 1 or said.shape[1] == 1:
        return float(np.mean(np.square(said.ravel() - codes)))
    return float(np.mean(log_losses(codes, said)))


def told(oof: pl.DataFrame) -> Floats:
    return oof.select(pl.col("^p_.*$")).to_numpy()


@TASKS
def test_a_correction_finds_a_world_whose_answers_are_shifted(office: Callable[..., Office], task: Task) -> None:
    world = office(task)
    board = world.refresh(RECALIBRATE)
    oof = world.oof(board)
    before = world.scorer(world.board).raw(world.fresh)
    # The first block comes before anything is known, so it is answered as ever.
    corrected, plain = told(oof), before.reshape(len(before), -1)
    np.testing.assert_allclose(corrected[:100], plain[:100], atol=1e-12)
    later = oof[100:]
    assert loss(world, corrected[100:], later["target"]) < loss(world, plain[100:], later["target"])
    assert board.model != world.board.model
    assert (board.recipe, board.clean) == ("recalibrate", world.quality.clean)
    assert board.twin is not None
    assert board.twin > 0.95


@TASKS
def test_a_corrected_model_answers_a_row_as_its_table_bit_for_bit(office: Callable[..., Office], task: Task) -> None:
    world = office(task)
    scorer = world.scorer(world.refresh(RECALIBRATE))
    assert scorer.model.correction is not None
    whole = scorer.raw(world.fresh)
    rows = world.fresh.to_dicts()
    each = [scorer.answer(row) for row in rows]
    ones = [answer.probabilities or (answer.prediction,) for answer in each]
    np.testing.assert_array_equal(np.array(ones), whole.reshape(len(whole), -1))
    assert scorer.answers(rows) == each


@pytest.mark.parametrize("has_times", [True, False])
def test_outcomes_count_as_late_as_was_learned(office: Callable[..., Office], has_times: bool) -> None:
    """With a delay of 150 hours (or rows) only the rows before the last block were known by then."""
    world = office(Task.BINARY, timed=has_times)
    late = replace(RECALIBRATE, delay=150 * 3_600.0, lag=150)
    corrected, plain = told(world.oof(world.refresh(late))), world.scorer(world.board).raw(world.fresh)
    np.testing.assert_allclose(corrected[:200], plain[:200], atol=1e-12)
    assert np.abs(corrected[300:] - plain[300:]).max() > 0.01


@pytest.mark.parametrize("way", [Way.RECALIBRATE, Way.LEAVES, Way.CONTINUE])
@TASKS
def test_no_block_is_answered_by_what_was_known_after_it(office: Callable[..., Office], task: Task, way: Way) -> None:
    """Outcomes of later blocks change, and answers of earlier ones do not."""
    world = office(task)
    recipe = Recipe("x", way, mix=0.5 if way is Way.LEAVES else None)
    first = world.oof(world.refresh(recipe))
    clean = world.ctx.artifacts.get_table(world.quality.clean)
    target = clean[world.snapshot.schema.target or ""]
    other = pl.concat([target[:800], target[800:].reverse()])
    table = world.ctx.artifacts.put_table(clean.with_columns(other))
    changed_later = replace(world, quality=replace(world.quality, clean=table))
    second = changed_later.oof(changed_later.refresh(recipe))
    assert told(first)[:400].tolist() == told(second)[:400].tolist()
    earlier = pl.concat([target[:500], target[500:600].reverse(), target[600:]])
    table = world.ctx.artifacts.put_table(clean.with_columns(earlier))
    changed_earlier = replace(world, quality=replace(world.quality, clean=table))
    third = changed_earlier.oof(changed_earlier.refresh(recipe))
    assert told(first)[:100].tolist() == told(third)[:100].tolist()
    assert told(first)[100:].tolist() != told(third)[100:].tolist()


@pytest.mark.parametrize("way", [Way.RECALIBRATE, Way.LEAVES, Way.CONTINUE, Way.RESTORE])
def test_only_rows_that_the_model_never_saw_are_evidence(office: Callable[..., Office], way: Way) -> None:
    world = office(Task.BINARY)
    board = world.refresh(Recipe("x", way, version=1 if way is Way.RESTORE else None))
    oof = world.oof(board)
    assert oof["row"].to_list() == list(range(500, 900))
    assert oof["row_id"].to_list() == world.fresh["customer"].cast(pl.String).to_list()
    assert oof["reported"].all()


def test_outcomes_that_come_late_teach_only_later_blocks(office: Callable[..., Office]) -> None:
    """With a delay of 150 rows (hours) the second block knows nothing yet."""
    world = office(Task.BINARY, more='outcome_delay = "150h"\ntime = "at"\n')
    oof = world.oof(world.refresh(RECALIBRATE))
    plain = world.scorer(world.board).raw(world.fresh)
    same = np.isclose(told(oof), plain).all(axis=1)
    assert same[:200].all()
    assert not same[300:].any()


def test_leaves_and_more_trees_learn_a_new_world(office: Callable[..., Office]) -> None:
    world = office(Task.BINARY, rows=1500)
    plain = world.scorer(world.board).raw(world.fresh)[-400:]
    for recipe in (Recipe("leaves", Way.LEAVES, mix=0.5, share=0.5), Recipe("continue", Way.CONTINUE)):
        board = world.refresh(recipe)
        oof = world.oof(board)
        assert loss(world, told(oof), oof["target"]) < loss(world, plain, oof["target"])
        again = world.refresh(recipe)
        assert again.model == board.model
        scorer = world.scorer(board)
        rows = world.fresh.head(20)
        np.testing.assert_array_equal(
            scorer.raw(rows), np.array([scorer.answer(row).probabilities for row in rows.to_dicts()])
        )


def test_a_restored_version_stays_as_it_is(office: Callable[..., Office]) -> None:
    world = office(Task.BINARY)
    board = world.refresh(Recipe("v1 again", Way.RESTORE, version=1))
    assert board.model == world.board.model
    np.testing.assert_array_equal(told(world.oof(board)), world.scorer(world.board).raw(world.fresh))
    assert board.twin == pytest.approx(1.0)


def test_corrections_of_corrections_are_one(office: Callable[..., Office]) -> None:
    world = office(Task.BINARY, rows=1300)
    first = replace(world, quality=replace(world.quality, clean=_first(world, 900)))
    board = first.refresh(RECALIBRATE)
    later = replace(world, basis=Incumbent(2, board.model, world.ctx.artifacts.put_record(board)))
    again = later.refresh(RECALIBRATE)
    assert later.oof(again)["row"].to_list() == list(range(900, 1300))
    one, both = (world.scorer(b).model.correction for b in (board, again))
    assert one is not None
    assert both is not None
    stated = np.array([[0.3, 0.7], [0.9, 0.1]])
    added = both.slope / one.slope
    shift = np.array(both.offsets) - added * np.array(one.offsets)
    scores = added * np.log(one.apply(stated)) + shift
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(both.apply(stated), raised / raised.sum(axis=1, keepdims=True), rtol=1e-9)


def _first(world: Office, rows: int) -> str:
    return world.ctx.artifacts.put_table(world.ctx.artifacts.get_table(world.quality.clean)[:rows])


def test_what_cannot_be_started_from_is_said(office: Callable[..., Office]) -> None:
    world = office(Task.BINARY)
    with pytest.raises(NoChampionError):
        refresh(world.ctx, world.snapshot, world.quality, world.plan, RECALIBRATE, None)
    with pytest.raises(EmptyDataError, match="Only 0 rows came since v1"):
        replace(world, quality=replace(world.quality, clean=_first(world, 500))).refresh(RECALIBRATE)
    with pytest.raises(SchemaChangedError, match="no LightGBM trees"):
        office(Task.BINARY, rounds=0).refresh(Recipe("continue", Way.CONTINUE))
    other = replace(world, snapshot=replace(world.snapshot, classes=("a", "b")))
    with pytest.raises(SchemaChangedError, match="another question"):
        other.refresh(RECALIBRATE)
