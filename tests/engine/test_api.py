"""The Python face: open, run, and the champion over polars, pandas and pyarrow frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tenure


def test_any_frame_gets_the_same_answers(office: Path) -> None:
    rows = pl.read_csv(office / "data" / "first.csv")
    with tenure.open(office) as project:
        champion = project.champion
        expected = champion.predict_proba(rows)
        for frame in (rows.to_pandas(), rows.to_arrow(), rows):
            np.testing.assert_array_equal(champion.predict_proba(frame), expected)
            assert champion.predict(frame).tolist() == champion.predict(rows).tolist()
        assert expected.shape == (rows.height, 2)
        np.testing.assert_allclose(expected.sum(axis=1), 1.0)
        assert champion.classes == ("no", "yes")


def test_one_row_is_answered_like_the_table(office: Path) -> None:
    rows = pl.read_csv(office / "data" / "first.csv").head(20)
    with tenure.open(office) as project:
        champion = project.champion
        table = champion.table(rows)
        for position, row in enumerate(rows.to_dicts()):
            one = champion.predict_one(row)
            assert one.probability == pytest.approx(table["probability"][position], abs=1e-12)
            assert one.prediction == table["prediction"][position]
            assert one.version == "v1"
            assert one.id is None


def test_a_logged_answer_has_an_id(office: Path) -> None:
    row = pl.read_csv(office / "data" / "first.csv").row(0, named=True)
    with tenure.open(office) as project:
        assert project.champion.predict_one(row, log=True).id


def test_a_run_from_python_is_the_same_run(office: Path) -> None:
    with tenure.open(str(office)) as project:
        walk = project.run(budget="6s")
        assert walk.outcome == "up-to-date"
        assert project.look().action.verb.value == "keep"


def test_opening_nothing_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(tenure.TenureError, match=r"no tenure\.toml") as caught:
        tenure.open(tmp_path)
    assert "tenure init" in caught.value.hint
