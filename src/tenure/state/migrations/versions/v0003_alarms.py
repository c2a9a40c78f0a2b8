"""Keep alarms, and the messages about them until they have gone out."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alarms",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("headline", sa.Text, nullable=False),
        sa.Column("covers", sa.Text, nullable=False),
        sa.Column("symptoms", sa.Text, nullable=False),
        sa.Column("opened_us", sa.BigInteger, nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.Column("windows", sa.Integer, nullable=False),
        sa.Column("last_window", sa.Text),
        sa.Column("health", sa.Text, nullable=False),
        sa.Column("until_us", sa.BigInteger),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("told_us", sa.BigInteger),
        sa.Column("stands", sa.Boolean, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_index("alarms_by_status", "alarms", ["status", "ended_us"])
    op.create_table(
        "alarm_messages",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("next_us", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("said", sa.Text, nullable=False),
    )
    op.create_index("alarm_messages_by_status", "alarm_messages", ["status", "next_us"])
