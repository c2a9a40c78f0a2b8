"""How long outcomes take, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.state.database import Database
from tenure.state.delays import recent_delays
from tenure.state.traffic import Traffic

AT = datetime(2025, 12, 31, 23, tzinfo=UTC)


def test_delays_are_those_of_the_latest_outcomes_that_found_their_prediction(database: Database) -> None:
    traffic = Traffic(database)
    moments = [AT + timedelta(hours=hours) for hours in range(4)]  # over the end of a month
    traffic.log_predictions(
        [PredictionRecord(f"p{i}", 1, at.isoformat(), at.isoformat(), {}, "yes") for i, at in enumerate(moments)]
    )
    known = [OutcomeRecord("no", (at + timedelta(seconds=60 * i)).isoformat(), f"p{i}") for i, at in enumerate(moments)]
    traffic.record_outcomes([*known, OutcomeRecord("no", AT.isoformat(), "nobody")])
    assert sorted(recent_delays(database)) == [0, 60, 120, 180]
    assert sorted(recent_delays(database, limit=2)) == [120, 180]
