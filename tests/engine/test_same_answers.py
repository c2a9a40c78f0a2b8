"""A file, a request and a call give the same answers, also where dates are written as one country writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

import tenure
from tenure.core.ports import Silent
from tenure.engine.batch.answers import Extras, answer_table
from tenure.engine.runner import run_walk
from tenure.engine.workspace import Workspace, open_workspace
from tenure.ingest.table import read_rows
from tenure.serving.app import create_app

PROJECT = """
[project]
name = "visits"
task = "binary"
[data]
source = "visits.csv"
target = "came"
positive = "yes"
[training]
budget = "6s"
"""


def _visits(n: int = 800) -> pl.DataFrame:
    """Return rows whose target depends on the weekday and on the days between two dates, written day first."""
    rng = np.random.default_rng(3)
    asked = [date(2021, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 1200, n)]
    due = [day + timedelta(days=int(wait)) for day, wait in zip(asked, rng.integers(0, 60, n), strict=True)]
    weekend = np.array([day.weekday() >= 5 for day in due])
    wait = np.array([(end - start).days for start, end in zip(asked, due, strict=True)])
    came = rng.random(n) < 1 / (1 + np.exp(-(2.5 * weekend - 0.12 * (wait - 30))))
    return pl.DataFrame(
        {
            "asked": [day.strftime("%d/%m/%Y") for day in asked],
            "due": [day.strftime("%d/%m/%Y") for day in due],
            "size": rng.normal(size=n).round(3),
            "came": np.where(came, "yes", "no"),
        }
    )


HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("visits")
    _visits().write_csv(folder / "visits.csv")
    (folder / "tenure.toml").write_text(PROJECT)
    with open_workspace(folder) as workspace:
        assert run_walk(workspace).outcome == "promote"
        yield workspace


@pytest.fixture
def rows(visits: Workspace) -> list[dict[str, Any]]:
    return pl.read_csv(visits.folder / "visits.csv").head(40).drop("came").to_dicts()


def test_file_request_and_call_give_the_same_answers(
    visits: Workspace, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    champion = visits.champion()
    scorer = visits.scorer(champion)
    assert scorer.model.schema["due"].format == "%d/%m/%Y"
    pl.DataFrame(rows).write_csv(tmp_path / "new.csv")
    read = read_rows(str(tmp_path / "new.csv"), None, tmp_path, Silent(), schema=scorer.model.schema)
    from_file = (
        answer_table(champion, scorer, read, Extras(), at=visits.context.clock(), log=False)
        .table["probability"]
        .to_list()
    )
    asked = TestClient(create_app(visits), base_url=HERE).post("/predict", json={"rows": rows}).json()["predictions"]
    assert [answer["probability"] for answer in asked] == pytest.approx(from_file, abs=1e-12)
    with tenure.open(visits.folder) as project:
        assert project.champion.table(pl.DataFrame(rows))["probability"].to_list() == from_file
        assert project.champion.predict_proba(rows)[:, -1].tolist() == from_file
        one_by_one = [project.champion.predict_one(row).probability for row in rows]
    assert one_by_one == pytest.approx(from_file, abs=1e-12)
    iso = [row | {name: str(read[name][at]) for name in ("asked", "due")} for at, row in enumerate(rows)]
    again = TestClient(create_app(visits), base_url=HERE).post("/predict", json={"rows": iso}).json()["predictions"]
    assert [answer["probability"] for answer in again] == [answer["probability"] for answer in asked]
    without = TestClient(create_app(visits), base_url=HERE).post(
        "/predict", json={"rows": [row | {"due": None} for row in rows]}
    )
    assert [answer["probability"] for answer in without.json()["predictions"]] != pytest.approx(from_file)


def test_the_log_holds_dates_as_they_were_read(visits: Workspace, rows: list[dict[str, Any]]) -> None:
    answer = (
        TestClient(create_app(visits), base_url=HERE).post("/predict", json={"rows": rows[:1]}).json()["predictions"][0]
    )
    day, month, year = rows[0]["due"].split("/")
    assert visits.traffic.prediction(answer["id"]).features["due"] == f"{year}-{month}-{day}"


def test_what_is_no_date_is_refused_by_a_call_and_told_by_the_server(
    visits: Workspace, rows: list[dict[str, Any]]
) -> None:
    wrong = rows[0] | {"due": "31-31-2024"}
    answer = TestClient(create_app(visits), base_url=HERE).post(
        "/predict", json={"rows": [rows[1], wrong, rows[0] | {"due": None}]}
    )
    good, told, missing = answer.json()["predictions"]
    assert "violations" not in good
    assert told["violations"] == [{"field": "due", "rule": "date"}]
    assert told["probability"] == missing["probability"]
    assert visits.traffic.prediction(told["id"]).features["due"] is None
    with tenure.open(visits.folder) as project:
        for ask in (project.champion.predict_one, lambda row: project.champion.table([row])):
            with pytest.raises(tenure.TenureError, match="'due' holds '31-31-2024'"):
                ask(wrong)


@pytest.mark.parametrize("text", [json.loads('"\\ud800"')])
def test_a_call_with_text_that_is_no_unicode_is_refused(
    visits: Workspace, rows: list[dict[str, Any]], text: str
) -> None:
    with tenure.open(visits.folder) as project, pytest.raises(tenure.TenureError, match="not valid Unicode"):
        project.champion.predict_one(rows[0] | {"size": text})
