"""Properties of the splits: nothing leaks, nothing is lost, and the same seed gives the same folds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tenure.core.modelling import Fold, Scheme, ValidationPlan
from tenure.validation.splits import Blocks, dealt_blocks, group_time_blocks, strata_of, time_blocks

seeds = st.integers(0, 100_000)
quick = settings(max_examples=60, deadline=None)


def folds_of(blocks: Blocks, scheme: Scheme) -> list[Fold]:
    count = int(blocks[:, 0].max()) + 1
    return list(ValidationPlan(scheme, "any", count, "", "rmse", "").folds(blocks))


@quick
@given(seed=seeds, rows=st.integers(10, 400), classes=st.integers(1, 6), count=st.integers(2, 8))
def test_cross_validates_every_row_exactly_once(seed: int, rows: int, classes: int, count: int) -> None:
    strata = np.random.default_rng(seed).integers(0, classes, rows)
    folds = folds_of(dealt_blocks(strata, [1.0] * count, np.random.default_rng(seed)), Scheme.CROSS)
    np.testing.assert_array_equal(np.sort(np.concatenate([f.valid for f in folds])), np.arange(rows))
    for fold in folds:
        assert np.intersect1d(fold.train, fold.valid).size == 0
        assert fold.train.size + fold.valid.size == rows


@quick
@given(seed=seeds, rows=st.integers(40, 400), rare=st.integers(2, 12), count=st.integers(2, 8))
def test_a_class_with_two_rows_is_in_every_training_fold(seed: int, rows: int, rare: int, count: int) -> None:
    strata = np.zeros(rows, dtype=np.int64)
    strata[:rare] = 1
    strata = np.random.default_rng(seed).permutation(strata)
    blocks = dealt_blocks(strata, [1.0] * count, np.random.default_rng(seed))
    for fold in folds_of(blocks, Scheme.CROSS):
        assert set(strata[fold.train]) == {0, 1}
    assert np.ptp(np.bincount(blocks[strata == 1, 0], minlength=count)) <= 1
    assert np.ptp(np.bincount(blocks[:, 0], minlength=count)) <= 2


@quick
@given(seed=seeds, rows=st.integers(30, 500), groups=st.integers(5, 60), count=st.integers(2, 5))
def test_a_group_is_on_one_side_of_every_split(seed: int, rows: int, groups: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    owner, strata = rng.integers(0, groups, rows), rng.integers(0, 3, rows)
    blocks = dealt_blocks(strata, [1.0] * count, rng, units=owner)
    for fold in folds_of(blocks, Scheme.CROSS):
        assert np.intersect1d(owner[fold.train], owner[fold.valid]).size == 0


def test_groups_of_unequal_size_still_give_alike_blocks() -> None:
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(200), rng.integers(1, 40, 200))
    strata = (rng.random(owner.size) < 0.1).astype(np.int64)
    blocks = dealt_blocks(strata, [1.0] * 5, rng, units=owner)[:, 0]
    sizes = np.bincount(blocks)
    assert sizes.max() < 1.1 * sizes.min()
    shares = np.bincount(blocks, weights=strata) / sizes
    assert np.ptp(shares) < 0.03


@quick
@given(seed=seeds, rows=st.integers(50, 600), count=st.integers(3, 8), different=st.integers(5, 200))
def test_time_blocks_never_learn_from_what_was_not_known(seed: int, rows: int, count: int, different: int) -> None:
    rng = np.random.default_rng(seed)
    moments = np.sort(rng.integers(0, different, rows)).astype(float)
    delay = float(rng.choice([0.0, 1.0, different / 10, different / 3]))
    blocks = time_blocks(moments, count, delay=delay)
    assume(blocks is not None)
    assert blocks is not None
    folds = folds_of(blocks, Scheme.FORWARD)
    assert [f.reports for f in folds] == [False] * (len(folds) - 1) + [True]
    for fold in folds:
        assert fold.train.size
        assert fold.valid.size
        assert moments[fold.train].max() < moments[fold.valid].min()
        assert (moments[fold.train] + delay).max() <= moments[fold.valid].min()
    for moment in np.unique(moments):
        assert np.unique(blocks[moments == moment, 0]).size == 1
    assert np.all(np.diff(blocks[:, 0]) >= 0)
    assert set(blocks[:, 0]) == set(range(int(blocks[:, 0].max()) + 1))


@quick
@given(seed=seeds, groups=st.integers(30, 150), count=st.integers(3, 6), delay=st.sampled_from([0.0, 2.0, 8.0]))
def test_group_time_blocks_judge_new_groups_on_later_rows(seed: int, groups: int, count: int, delay: float) -> None:
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 6, groups)
    owner = np.repeat(np.arange(groups), size)
    moments = np.repeat(rng.uniform(0, 100, groups), size) + rng.exponential(4, owner.size)
    order = np.argsort(moments, kind="stable")
    owner, moments = owner[order], moments[order]
    blocks = group_time_blocks(moments, owner, count, delay=delay)
    assume(blocks is not None)
    assert blocks is not None
    for fold in folds_of(blocks, Scheme.FORWARD):
        assert np.intersect1d(owner[fold.train], owner[fold.valid]).size == 0
        assert (moments[fold.train] + delay).max() <= moments[fold.valid].min()


def test_groups_that_go_on_for_ever_cannot_be_cut_by_time() -> None:
    moments = np.repeat(np.arange(100.0), 10)
    assert group_time_blocks(moments, np.tile(np.arange(10), 100), 5) is None


def test_first_block_waits_until_every_class_was_seen() -> None:
    moments, classes = np.arange(1000.0), np.zeros(1000, dtype=np.int64)
    classes[420::7] = 1
    blocks = time_blocks(moments, 5, classes=classes)
    assert blocks is not None
    for fold in folds_of(blocks, Scheme.FORWARD):
        assert set(classes[fold.train]) == {0, 1}


def test_blocks_in_time_are_equal_where_nothing_forbids_it() -> None:
    blocks = time_blocks(np.arange(1000.0), 5)
    assert blocks is not None
    assert np.bincount(blocks[:, 0]).tolist() == [200] * 5
    assert np.array_equal(blocks[:, 1], blocks[:, 0] + 1)


@pytest.mark.parametrize("moments", [np.zeros(100), np.repeat([0.0, 1.0], 50)])
def test_too_few_different_times_give_no_blocks(moments: np.ndarray) -> None:
    assert time_blocks(moments, 5) is None


def test_delay_longer_than_the_data_gives_no_blocks() -> None:
    assert time_blocks(np.arange(100.0), 5, delay=1000.0) is None


@quick
@given(seed=seeds)
def test_same_seed_gives_the_same_blocks(seed: int) -> None:
    strata = np.random.default_rng(1).integers(0, 4, 300)
    units = np.random.default_rng(2).integers(0, 250, 300)
    first, second = (dealt_blocks(strata, [8, 1, 1], np.random.default_rng(seed), units=units) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_holdout_gives_a_lonely_class_to_training() -> None:
    strata = np.array([0] * 99 + [1])
    blocks = dealt_blocks(strata, [0.8, 0.1, 0.1], np.random.default_rng(0))
    assert blocks[-1, 0] == 0
    assert np.bincount(blocks[:, 0]).tolist() == [80, 10, 10]


def test_very_many_units_are_dealt_whole_and_evenly() -> None:
    units = np.repeat(np.arange(25_000), 2)
    blocks = dealt_blocks(np.zeros(50_000, dtype=np.int64), [1.0] * 5, np.random.default_rng(0), units=units)[:, 0]
    assert np.array_equal(blocks[::2], blocks[1::2])
    assert np.bincount(blocks).min() > 9_500


def test_numbers_are_stratified_in_tenths() -> None:
    strata = strata_of(np.random.default_rng(0).lognormal(size=1000), classification=False)
    assert np.bincount(strata).tolist() == [100] * 10
    assert strata_of(np.ones(50), classification=False).max() == 0
