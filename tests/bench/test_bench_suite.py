"""The split that every system gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from peers.job import read_rows
from peers.suite import catalogue, split


def test_rows_in_time_are_cut_in_time(suite_folder: Path) -> None:
    halves = split(catalogue(suite_folder, ["sales"])[0], seed=0)
    assert halves.learn["number"].max() < halves.kept["number"].min()
    assert (halves.learn.height, halves.kept.height) == (240, 80)
    assert halves.learn.columns == ["number", "price", "sold"]


def test_other_rows_are_drawn_by_the_seed(suite_folder: Path) -> None:
    entry = catalogue(suite_folder, ["leavers"])[0]
    first, again, other = split(entry, 0), split(entry, 0), split(entry, 1)
    assert first.learn.equals(again.learn)
    assert not first.learn.equals(other.learn)
    both = pl.concat([first.learn, first.kept]).sort("strong")
    assert both.equals(pl.concat([other.learn, other.kept]).sort("strong"))


def test_keys_leaks_and_dates_are_kept_from_everybody(suite_folder: Path) -> None:
    halves = split(catalogue(suite_folder, ["leavers"])[0], seed=0)
    assert halves.learn.columns == ["strong", "plan", "visits", "member", "left"]
    assert halves.learn.dtypes == [pl.Float64, pl.String, pl.Float64, pl.Int8, pl.String]


def test_the_positive_class_stands_last(suite_folder: Path) -> None:
    halves = split(catalogue(suite_folder, ["leavers"])[0], seed=0)
    assert halves.classes == ("yes", "no")
    assert np.array_equal(halves.truth, (halves.kept["left"] == "no").to_numpy())


def test_the_constant_knows_only_the_rows_to_learn_from(suite_folder: Path) -> None:
    leavers, sales = (split(entry, seed=0) for entry in catalogue(suite_folder))
    assert leavers.constant()[:, 1] == pytest.approx((leavers.learn["left"] == "no").mean())
    assert sales.constant() == pytest.approx(sales.learn["sold"].mean())


def test_a_class_that_was_never_learned_is_not_asked_for(suite_folder: Path) -> None:
    sales = pl.read_parquet(suite_folder / "sales.parquet").sort("day").with_row_index()
    named = sales.with_columns(
        sold=pl.when(pl.col("index") > 300)
        .then(pl.lit("new"))
        .when(pl.col("price") > 0.5)
        .then(pl.lit("a"))
        .otherwise(pl.lit("b"))
    )
    named.drop("index").write_parquet(suite_folder / "sales.parquet")
    text = (suite_folder / "catalog.toml").read_text().replace("regression", "multiclass")
    (suite_folder / "catalog.toml").write_text(text)
    halves = split(catalogue(suite_folder, ["sales"])[0], seed=0)
    assert set(halves.kept["sold"]) == {"a", "b"}
    assert halves.kept.height == 61


def test_an_unknown_set_is_named(suite_folder: Path) -> None:
    with pytest.raises(SystemExit, match="nowhere"):
        catalogue(suite_folder, ["nowhere"])


def test_peers_read_texts_as_python_strings(suite_folder: Path) -> None:
    frame = pl.DataFrame({"word": ["a", None], "number": [1.5, None], "answer": ["x", "y"]})
    frame.write_parquet(suite_folder / "rows.parquet")
    features, target = read_rows(str(suite_folder / "rows.parquet"), "answer")
    assert features["word"].tolist()[0] == "a"
    assert isinstance(features["word"].tolist()[1], float)
    assert features["word"].dtype == object
    assert target.tolist() == ["x", "y"]
