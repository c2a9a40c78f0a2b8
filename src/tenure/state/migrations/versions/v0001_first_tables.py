"""Make the first tables: events, runs, stage records, versions, alias moves, predictions, outcomes, leases."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None


def upgrade() -> None:
    """Make the tables."""
    _make_memory()
    _make_offices()
    _make_traffic()


def _make_memory() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("stage", sa.Text),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("output", sa.Text),
        sa.Column("output_type", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_index("events_by_kind", "events", ["kind", "seq"])
    op.create_index("events_by_run", "events", ["run_id", "seq"])
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, sa.ForeignKey("events.seq"), nullable=False, unique=True),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "stage_records",
        sa.Column("seq", sa.Integer, sa.ForeignKey("events.seq"), primary_key=True, autoincrement=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("record_digest", sa.Text, nullable=False),
        sa.Column("record_type", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("reused_from", sa.Text),
    )
    op.create_index("stage_records_by_key", "stage_records", ["stage", "key", "seq"])
    op.create_index("stage_records_by_run", "stage_records", ["run_id", "seq"])
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("birth", sa.Text, nullable=False),
        sa.Column("taken_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=False),
    )


def _make_offices() -> None:
    op.create_table(
        "versions",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("model", sa.Text, nullable=False, unique=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("leaderboard", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, sa.ForeignKey("events.seq"), nullable=False),
    )
    op.create_table(
        "alias_moves",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("before", sa.Integer, sa.ForeignKey("versions.number")),
        sa.Column("after", sa.Integer, sa.ForeignKey("versions.number")),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("cause", sa.Text),
        sa.Column("seq", sa.Integer, sa.ForeignKey("events.seq"), nullable=False),
    )
    op.create_index("alias_moves_by_alias", "alias_moves", ["alias", "id"])


def _make_traffic() -> None:
    op.create_table(
        "predictions",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("event_us", sa.BigInteger, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("prediction", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("probabilities", sa.Text, nullable=False),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
        sa.Column("features", sa.Text, nullable=False),
    )
    op.create_index("predictions_by_event", "predictions", ["event_us", "seq"])
    op.create_index("predictions_by_key", "predictions", ["key", "event_us"])
    op.create_table(
        "outcomes",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("joined_id", sa.Text),
        sa.Column("prediction_id", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("known_us", sa.BigInteger, nullable=False),
        sa.Column("latest_us", sa.BigInteger, nullable=False),
    )
    op.create_index("outcomes_by_joined", "outcomes", ["joined_id", "latest_us", "seq"])
    op.create_index("outcomes_by_prediction", "outcomes", ["prediction_id"])
    op.create_index("outcomes_by_key", "outcomes", ["key", "known_us"])
