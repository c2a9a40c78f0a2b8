"""A state database of an earlier version, with rows in it, brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event, text

from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.state import migrations
from tenure.state.database import Database, open_database
from tenure.state.traffic import OutcomeCounts, Traffic

# Three months, one of them before 1970, as version 0.1.0 wrote them.
ROWS = [
    ("p1", 1, 1_767_225_600_000_000, "c1", "yes", None, "[0.25,0.75]", '{"age":31}'),
    ("p2", 2, 1_769_904_000_000_000, None, "17.25", 17.25, "[]", '{"word":"a\\u0000b"}'),
    ("p3", 2, -1, "c1", "no", None, "[0.5,0.5]", "{}"),
]


@pytest.fixture
def old_engine(state_url: str | None, tmp_path: Path) -> Engine:
    (tmp_path / ".tenure").mkdir()
    if state_url is not None:
        return create_engine(state_url.replace("postgresql://", "postgresql+psycopg://"))
    engine = create_engine(f"sqlite:///{tmp_path / '.tenure' / 'state.db'}")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode=WAL"))
    return engine


@pytest.fixture
def old_state(old_engine: Engine) -> None:
    """Make a database as the first version left it."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with old_engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        names = ("id", "version", "at_us", "key", "prediction", "value", "probabilities", "features")
        for row in ROWS:
            given: dict[str, Any] = dict(zip(names, row, strict=True))
            insert = (
                "INSERT INTO predictions (id, version, at_us, event_us, key, prediction, value, probabilities, "
                "features) VALUES (:id, :version, :at_us, :at_us, :key, :prediction, :value, :probabilities, :features)"
            )
            connection.execute(text(insert), given)
        outcome = (
            "INSERT INTO outcomes (joined_id, prediction_id, value, known_us, latest_us) "
            "VALUES ('p1', 'p1', 'no', 1767225600000001, 1767225600000001), (NULL, 'p9', 'no', 7, 7)"
        )
        connection.execute(text(outcome))
    old_engine.dispose()


@pytest.fixture
def database(old_state: None, state_url: str | None, tmp_path: Path) -> Any:
    opened = open_database(state_url, tmp_path / ".tenure")
    yield opened
    opened.close()


def test_rows_of_the_first_version_are_kept_and_go_on(database: Database) -> None:
    traffic = Traffic(database)
    assert traffic.prediction("p1") == PredictionRecord(
        "p1", 1, "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00", {"age": 31}, "yes", (0.25, 0.75), key="c1"
    )
    assert traffic.prediction("p2").prediction == 17.25
    assert traffic.joined()["id"].to_list() == ["p3", "p1", "p2"]
    assert traffic.joined()["outcome"].to_list() == [None, "no", None]
    assert [month.month for month in traffic.months()] == ["1969-12", "2026-01", "2026-02"]
    assert (traffic.waiting_count(), traffic.quarantined_count()) == (1, 0)
    traffic.log_predictions([traffic.prediction("p3"), PredictionRecord("p9", 2, "1970-01-01", "1970-01-01", {}, "no")])
    assert traffic.prediction_count() == 4
    assert traffic.outcome_of("p9") == OutcomeRecord("no", "1970-01-01T00:00:00.000007+00:00", "p9")
    assert traffic.record_outcomes([OutcomeRecord("no", "2026-01-01", key="c1")]) == OutcomeCounts(repeated=1)


def test_places_in_line_go_on_after_those_of_the_first_version(database: Database) -> None:
    """Of predictions with one key about one moment, the one logged last is the latest."""
    traffic = Traffic(database)
    moment = "2026-01-01T00:00:00+00:00"
    traffic.log_predictions([PredictionRecord("late", 2, moment, moment, {}, "no", key="c1")])
    traffic.record_outcomes([OutcomeRecord("yes", "2026-06-01", key="c1")])
    assert traffic.outcome_of("late") is not None
    assert traffic.joined()["id"].to_list() == ["p3", "p1", "late", "p2"]


def test_the_views_read_rows_of_the_first_version(database: Database) -> None:
    with database.read() as connection:
        found = connection.execute(text("SELECT id, quarantined, features ->> 'age' FROM prediction_log ORDER BY id"))
        assert [(name, aside, str(age)) for name, aside, age in found] == [
            ("p1", 0, "31"), ("p2", 0, "None"), ("p3", 0, "None"),
        ]  # fmt: skip
