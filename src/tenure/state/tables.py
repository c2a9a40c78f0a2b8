"""The tables of the state database as they are now; `migrations/` says how they came to be.

Times that are compared are microseconds since 1970 (`_us`); lists and mappings are canonical JSON texts.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, Float, ForeignKey, Index, Integer, MetaData, Table, Text

METADATA: Final = MetaData()
# SQLite numbers rows by itself only where the type is spelled INTEGER; it holds 64 bits there.
_COUNTED: Final = BigInteger().with_variant(Integer, "sqlite")

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("run_id", Text),
    Column("stage", Text),
    Column("inputs", Text, nullable=False),
    Column("output", Text),
    Column("output_type", Text),
    Column("reason", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("events_by_kind", "kind", "seq"),
    Index("events_by_run", "run_id", "seq"),
)

RUNS: Final = Table(
    "runs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("seq", Integer, ForeignKey("events.seq"), nullable=False, unique=True),
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("data", Text, nullable=False),
)

STAGE_RECORDS: Final = Table(
    "stage_records",
    METADATA,
    Column("seq", Integer, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("artifact", Text, nullable=False),
    Column("record_digest", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("reused_from", Text),
    Index("stage_records_by_key", "stage", "key", "seq"),
    Index("stage_records_by_run", "run_id", "seq"),
)

LEASES: Final = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("birth", Text, nullable=False),
    Column("taken_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)

VERSIONS: Final = Table(
    "versions",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("model", Text, nullable=False, unique=True),
    Column("run_id", Text, nullable=False),
    Column("leaderboard", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("seq", Integer, ForeignKey("events.seq"), nullable=False),
)

ALIAS_MOVES: Final = Table(
    "alias_moves",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("alias", Text, nullable=False),
    Column("before", Integer, ForeignKey("versions.number")),
    Column("after", Integer, ForeignKey("versions.number")),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause", Text),
    Column("seq", Integer, ForeignKey("events.seq"), nullable=False),
    Index("alias_moves_by_alias", "alias", "id"),
)

PREDICTIONS: Final = Table(
    "predictions",
    METADATA,
    Column("seq", _COUNTED, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("event_us", BigInteger, nullable=False),
    Column("key", Text),
    Column("prediction", Text, nullable=False),
    Column("value", Double),
    Column("probabilities", Text, nullable=False),
    Column("low", Double),
    Column("high", Double),
    Column("features", Text, nullable=False),
    Column("violations", Text),
    Column("quarantined", Boolean, nullable=False),
    Column("route", Text),
    Index("predictions_by_event", "event_us", "seq"),
    Index("predictions_by_key", "key", "event_us"),
    Index("predictions_by_at", "at_us", "version", "quarantined"),
)
"""What was said. On PostgreSQL the rows lie in partitions, one a month of `at_us`. There `id` is unique within each,
and all who write look it up in all of them first, one after the other (`state/intake.py`)."""

SHADOW_PREDICTIONS: Final = Table(
    "shadow_predictions",
    METADATA,
    Column("prediction_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("prediction", Text, nullable=False),
    Column("value", Double),
    Column("probabilities", Text, nullable=False),
    Column("low", Double),
    Column("high", Double),
    Index("shadow_predictions_by_version", "version"),
)
"""What a version that is not in office would have said to the same rows."""

OUTCOMES: Final = Table(
    "outcomes",
    METADATA,
    Column("seq", _COUNTED, primary_key=True),
    Column("joined_id", Text),
    Column("prediction_id", Text),
    Column("key", Text),
    Column("value", Text, nullable=False),
    Column("known_us", BigInteger, nullable=False),
    Column("latest_us", BigInteger, nullable=False),
    Index("outcomes_by_joined", "joined_id", "latest_us", "seq"),
    Index("outcomes_by_prediction", "prediction_id", "known_us"),
    Index("outcomes_by_key", "key", "known_us"),
)
"""What was said to have come true. `prediction_id` or `key` is what it was said of; `joined_id` is the prediction
that it belongs to, empty while that is awaited. `latest_us` is when the same value was last confirmed."""

API_TOKENS: Final = Table(
    "api_tokens",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
    Column("last4", Text, nullable=False),
)
"""Who may ask the server for what. `role` is a list with commas; `hash` is the SHA-256 of the secret."""

WATCHED_WINDOWS: Final = Table(
    "watched_windows",
    METADATA,
    Column("reference", Text, primary_key=True),
    Column("start_us", BigInteger, primary_key=True, autoincrement=False),
    Column("rows", BigInteger, nullable=False),
    Column("sketch", Text, nullable=False),
    Column("facts", Text, nullable=False),
)
"""Windows of traffic that monitoring has looked at, so that it need not read their rows again. `reference` is the
key of what they were held against, `sketch` that of the sketch, `facts` JSON: what was said of it at that time."""

WATCH_REFERENCES: Final = Table(
    "watch_references",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("reference", Text, nullable=False),
)
"""What windows are held against, by the digest of what it was made from."""

ALARMS: Final = Table(
    "alarms",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("version", Integer),
    Column("severity", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("headline", Text, nullable=False),
    Column("covers", Text, nullable=False),
    Column("symptoms", Text, nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    Column("windows", Integer, nullable=False),
    Column("last_window", Text),
    Column("health", Text, nullable=False),
    Column("until_us", BigInteger),
    Column("ended_us", BigInteger),
    Column("told_us", BigInteger),
    Column("stands", Boolean, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Index("alarms_by_status", "status", "ended_us"),
)
"""What people are told of, one row a cause; `core/alarms.py` says what each column means."""

ALARM_MESSAGES: Final = Table(
    "alarm_messages",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("next_us", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("ended_us", BigInteger),
    Column("said", Text, nullable=False),
    Index("alarm_messages_by_status", "status", "next_us"),
)
"""Messages about alarms, one for each channel: written with the change they tell of, and sent after. `target` says
which of the channel's addresses in the project file it is for; an address may be a secret, and is not kept here.
`next_us` is when it may be tried next."""
