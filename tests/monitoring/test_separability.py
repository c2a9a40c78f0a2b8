"""Separability: a coin on windows of one kind, sure where columns change together, judged by the reference's own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tenure.monitoring.separability import WINDOW, auc_of, series_of, usual_aucs


def rows_of(rng: np.random.Generator, rows: int, *, turned: bool = False, wobble: float = 0.0) -> pl.DataFrame:
    """Two numbers that go together and one level; `turned` keeps each column as it is and turns how they go."""
    one = rng.normal(size=rows)
    other = np.sqrt(0.2) * rng.normal(size=rows) + np.sqrt(0.8) * (-one if turned else one)
    return pl.DataFrame(
        {"one": one, "other": other + wobble * rng.normal(), "level": rng.choice(["a", "b", "c"], rows)}
    )


def reference_of(rng: np.random.Generator, *, windows: int = 6, rows: int = 120, wobble: float = 0.0) -> pl.DataFrame:
    frames = [
        rows_of(rng, rows, wobble=wobble).with_columns(pl.lit(number).cast(pl.Int64).alias(WINDOW))
        for number in range(windows)
    ]
    return pl.concat(frames)


def test_a_window_like_the_reference_cannot_be_told_from_it() -> None:
    rng = np.random.default_rng(1)
    auc = auc_of(reference_of(rng), rows_of(rng, 400), rng=rng)
    assert auc == pytest.approx(0.5, abs=0.06)


def test_columns_that_turn_against_each_other_are_found_where_each_alone_is_as_before() -> None:
    rng = np.random.default_rng(2)
    reference = reference_of(rng)
    auc, usual = auc_of(reference, rows_of(rng, 300, turned=True), rng=rng), usual_aucs(reference, rng=rng)
    assert auc is not None
    assert auc > 0.75
    assert len(usual) == 6
    assert auc > max(each for each in usual if each is not None) + 0.1


def test_windows_that_always_differ_are_told_apart_in_the_reference_too() -> None:
    rng = np.random.default_rng(3)
    usual = [auc for auc in usual_aucs(reference_of(rng, wobble=0.5), rng=rng) if auc is not None]
    assert max(usual) > 0.6


def test_the_same_seed_gives_the_same_answer() -> None:
    rng = np.random.default_rng(4)
    reference, rows = reference_of(rng, windows=5), rows_of(rng, 300)
    answers = {auc_of(reference, rows, rng=np.random.default_rng(7)) for _ in range(2)}
    assert len(answers) == 1


def test_empty_odd_and_strange_columns_are_no_trouble() -> None:
    rng = np.random.default_rng(5)
    odd = {
        "none": pl.lit(None, dtype=pl.Float64),
        "wild": pl.when(pl.col("one") > 0).then(float("inf")).otherwise(float("nan")),
        "yes": pl.col("one") > 0,
    }
    reference = reference_of(rng).with_columns(**odd)
    rows = rows_of(rng, 200).with_columns(**odd, new=pl.lit(1)).with_columns(pl.col("one").cast(pl.String))
    assert auc_of(reference, rows, rng=rng) is not None
    assert auc_of(reference, rows[:20], rng=rng) is None
    assert auc_of(reference, rows.select("new"), rng=rng) is None
    assert auc_of(reference[:0], rows, rng=rng) is None
    assert usual_aucs(reference.filter(pl.col(WINDOW) < 2), rng=rng) == ()


def test_as_a_series_the_known_aucs_stand_at_the_end_of_the_reference() -> None:
    series = series_of([0.5, None, 0.6], [0.7], known=5, rows=1_000)
    assert series.reference == (None, None, 0.5, None, 0.6)
    assert series.windows == (0.7,)
    assert 0 < series.variance < 1e-3
    assert series_of([0.5, 0.6], [], known=1, rows=0).reference == (0.6,)
