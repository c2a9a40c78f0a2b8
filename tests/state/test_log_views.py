"""The views that people and BI tools read: as docs/reference/log.md says, on both databases."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tenure.core.lifecycle import Alias, OutcomeRecord, PredictionRecord
from tenure.state.database import Database
from tenure.state.ledger import Ledger
from tenure.state.registry import Registry
from tenure.state.traffic import Traffic

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "log.md").read_text()
VIEWS = ("prediction_log", "prediction_outcomes", "outcome_log", "version_log")
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def said(
    name: str, prediction: str | float = "yes", probabilities: tuple[float, ...] = (), **more: Any
) -> PredictionRecord:
    given = {"at": AT.isoformat(), "event_at": AT.isoformat(), "features": {"age": 31}} | more
    return PredictionRecord(name, 3, prediction=prediction, probabilities=probabilities, **given)


def came(name: str, value: str | float, minute: int = 0) -> OutcomeRecord:
    return OutcomeRecord(value, (AT + timedelta(minutes=minute)).isoformat(), name)


def ask(database: Database, query: str) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [dict(row) for row in connection.execute(text(query)).mappings()]


def moment(cell: Any) -> datetime:
    """Read a moment as both databases give it."""
    return datetime.fromisoformat(cell) if isinstance(cell, str) else cell


@pytest.fixture
def traffic(database: Database) -> Traffic:
    return Traffic(database)


def documented(view: str) -> list[str]:
    section = PAGE.split(f"\n## {view}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.M)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize("view", VIEWS)
def test_columns_of_the_views_are_those_that_the_page_promises(database: Database, view: str) -> None:
    with database.read() as connection:
        columns = list(connection.execute(text(f"SELECT * FROM {view}")).keys())
    promised = documented(view) + (documented("prediction_log") if view == "prediction_outcomes" else [])
    assert sorted(columns) == sorted(promised)


def test_every_query_of_the_page_runs(database: Database, traffic: Traffic) -> None:
    traffic.log_predictions([said("p1", "Yes", (0.3, 0.7), features={"Contract": "long"}), said("p2", 2.5)])
    traffic.record_outcomes([came("p1", "Yes"), came("p2", 3.0), came("p9", "No")])
    queries = re.findall(r"^```sql\n(.*?)^```", PAGE, re.M | re.S)
    answers = [ask(database, query) for query in queries]
    assert len(answers) == 5
    assert all(answers)
    assert answers[0][0]["accuracy"] == 1
    assert {one["contract"]: one["predictions"] for one in answers[2]} == {"long": 1, None: 1}
    assert answers[4][0]["named_id"] == "p9"


def test_prediction_log_says_what_was_said(database: Database, traffic: Traffic) -> None:
    broken = ({"field": "age", "rule": "range"},)
    traffic.log_predictions(
        [
            said(
                "p1", "yes", (0.25, 0.75), low=0.6, high=0.8, key="c1", quarantined=True, violations=broken, route="r"
            ),
            said("p2", "b", (0.1, 0.7, 0.2)),
            said("p3", 2.5, low=1.0, high=4.0, event_at="1969-12-31T23:59:59.999999+00:00"),
        ]
    )
    first, second, third = ask(database, "SELECT * FROM prediction_log ORDER BY id")
    assert (first["id"], first["version"], first["key"], first["prediction"], first["route"]) == (
        "p1",
        "v3",
        "c1",
        "yes",
        "r",
    )
    assert (first["probability"], second["probability"], third["probability"]) == (0.75, 0.7, None)
    assert (first["value"], third["value"], third["interval_low"], third["interval_high"]) == (None, 2.5, 1.0, 4.0)
    assert (first["quarantined"], second["quarantined"]) == (1, 0)
    assert (moment(first["predicted_at"]), moment(first["event_at"])) == (AT, AT)
    assert moment(third["event_at"]) == datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    as_data = [json.loads(cell) if isinstance(cell, str) else cell for cell in (first["features"], first["violations"])]
    assert as_data == [{"age": 31}, list(broken)]
    assert second["violations"] is None


def test_a_nul_in_what_was_sent_breaks_no_query(database: Database, traffic: Traffic) -> None:
    traffic.log_predictions([said("p1", features={"word": "a\0b"}), said("p2", features={"word": "c"})])
    assert [one["word"] for one in ask(database, "SELECT features ->> 'word' AS word FROM prediction_log ORDER BY id")][
        1
    ] == "c"
    assert traffic.prediction("p1").features == {"word": "a\0b"}


def test_outcomes_are_judged_by_the_one_that_counts(database: Database, traffic: Traffic) -> None:
    names = ("right", "wrong", "open", "corrected", "same number")
    traffic.log_predictions([*(said(name, "yes") for name in names[:4]), said(names[4], "1", (0.2, 0.8))])
    traffic.record_outcomes([came("right", "yes"), came("wrong", "no"), came("corrected", "no"), came(names[4], 1.0)])
    traffic.record_outcomes([came("corrected", "yes", minute=5)])
    found = {one["id"]: one for one in ask(database, "SELECT * FROM prediction_outcomes")}
    assert {name: found[name]["correct"] for name in names} == {
        "right": 1, "wrong": 0, "open": None, "corrected": 1, "same number": 1,
    }  # fmt: skip
    assert all(one["error"] is None for one in found.values())
    assert moment(found["corrected"]["known_at"]) == AT + timedelta(minutes=5)
    assert found["open"]["outcome"] is None


@pytest.mark.parametrize(
    ("outcome", "error"),
    [(2, 0.5), (2.0, 0.5), ("1e1", -7.5), ("-3", 5.5), ("n/a", None), ("", None), ("nan", None), ("1 2", None)],
)
def test_errors_are_of_numbers_only(
    database: Database, traffic: Traffic, outcome: str | float, error: float | None
) -> None:
    traffic.log_predictions([said("p1", 2.5)])
    traffic.record_outcomes([came("p1", outcome)])
    (found,) = ask(database, "SELECT * FROM prediction_outcomes")
    assert (found["error"], found["correct"]) == (error, None)


def test_outcome_log_says_all_that_came_and_what_waits(database: Database, traffic: Traffic) -> None:
    traffic.log_predictions([said("p1", key="c1")])
    traffic.record_outcomes([came("p1", "no"), came("p9", "no"), OutcomeRecord("yes", AT.isoformat(), key="c1")])
    found = ask(database, "SELECT id, named_id, named_key, outcome, waiting FROM outcome_log ORDER BY outcome, waiting")
    assert [tuple(one.values()) for one in found] == [
        ("p1", "p1", None, "no", 0), (None, "p9", None, "no", 1), ("p1", None, "c1", "yes", 0),
    ]  # fmt: skip


def test_version_log_names_the_one_in_office(database: Database) -> None:
    ledger = Ledger(database, lambda: AT)
    registry = Registry(database, ledger, lambda: AT)
    for model in ("a", "b"):
        version = registry.register(model * 64, run_id="r1", leaderboard="c" * 64, actor="ada", note="first")
        registry.move({Alias.CHAMPION: version.number}, actor="ada", reason="better")
    found = ask(database, "SELECT * FROM version_log ORDER BY version")
    assert [(one["version"], one["in_office"], one["run_id"]) for one in found] == [("v1", 0, "r1"), ("v2", 1, "r1")]
    assert moment(found[0]["created_at"]) == AT
