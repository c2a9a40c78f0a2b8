"""Make the log fit for much traffic: months, quarantine, shadow answers, views for BI tools; and tokens of the server.

On PostgreSQL the predictions move into partitions, one a month; rows that are there are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    """Change and make the tables and views."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        _move_into_months()
    else:
        _widen()
    op.create_index("predictions_by_at", "predictions", ["at_us", "version", "quarantined"])
    op.drop_index("outcomes_by_prediction", "outcomes")
    op.create_index("outcomes_by_prediction", "outcomes", ["prediction_id", "known_us"])
    _make_shadows()
    _make_tokens()
    for view in _views(postgresql=postgresql):
        op.execute(view)


# ---- predictions ----


def _widen() -> None:
    op.add_column("predictions", sa.Column("violations", sa.Text))
    op.add_column("predictions", sa.Column("quarantined", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("predictions", sa.Column("route", sa.Text))


def _move_into_months() -> None:
    for statement in (
        "ALTER TABLE outcomes ALTER COLUMN seq TYPE BIGINT",
        "ALTER SEQUENCE outcomes_seq_seq AS BIGINT",
        "ALTER TABLE predictions RENAME TO predictions_before",
        "ALTER TABLE predictions_before DROP CONSTRAINT predictions_pkey, DROP CONSTRAINT predictions_id_key",
        "DROP INDEX predictions_by_event, predictions_by_key",
        "ALTER SEQUENCE predictions_seq_seq AS BIGINT OWNED BY NONE",
        """CREATE TABLE predictions (
            seq BIGINT NOT NULL DEFAULT nextval('predictions_seq_seq'),
            id TEXT NOT NULL,
            version INTEGER NOT NULL,
            at_us BIGINT NOT NULL,
            event_us BIGINT NOT NULL,
            key TEXT,
            prediction TEXT NOT NULL,
            value DOUBLE PRECISION,
            probabilities TEXT NOT NULL,
            low DOUBLE PRECISION,
            high DOUBLE PRECISION,
            features TEXT NOT NULL,
            violations TEXT,
            quarantined BOOLEAN NOT NULL DEFAULT false,
            route TEXT,
            PRIMARY KEY (seq, at_us)
        ) PARTITION BY RANGE (at_us)""",
        "ALTER SEQUENCE predictions_seq_seq OWNED BY predictions.seq",
        "CREATE INDEX predictions_by_event ON predictions (event_us, seq)",
        "CREATE INDEX predictions_by_key ON predictions (key, event_us)",
    ):
        op.execute(statement)
    months = """SELECT DISTINCT to_char(timestamp 'epoch' + at_us * interval '1 microsecond', 'YYYY-MM')
        FROM predictions_before ORDER BY 1"""
    for month in op.get_bind().exec_driver_sql(months).scalars().all():
        _make_month(month)
    columns = "seq, id, version, at_us, event_us, key, prediction, value, probabilities, low, high, features"
    op.execute(f"INSERT INTO predictions ({columns}) SELECT {columns} FROM predictions_before ORDER BY seq")
    op.execute("DROP TABLE predictions_before")


def _make_month(month: str) -> None:
    year, number = (int(part) for part in month.split("-"))
    first = datetime(year, number, 1, tzinfo=UTC)
    after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    low, high = (int(moment.timestamp()) * 1_000_000 for moment in (first, after))
    name = f"predictions_{year:04d}_{number:02d}"
    op.execute(f"CREATE TABLE {name} PARTITION OF predictions FOR VALUES FROM ({low}) TO ({high})")
    op.execute(f"CREATE UNIQUE INDEX {name}_id ON {name} (id)")


# ---- new tables ----


def _make_shadows() -> None:
    op.create_table(
        "shadow_predictions",
        sa.Column("prediction_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("prediction", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("probabilities", sa.Text, nullable=False),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
    )
    op.create_index("shadow_predictions_by_version", "shadow_predictions", ["version"])


def _make_tokens() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger),
        sa.Column("revoked_us", sa.BigInteger),
        sa.Column("last4", sa.Text, nullable=False),
    )


# ---- views ----
# Their columns are a promise (docs/reference/log.md). What differs between the two databases is spelled below, once.


class _Spelling(NamedTuple):
    moment: Callable[[str], str]
    stamp: Callable[[str], str]
    json: Callable[[str], str]
    number: Callable[[str], str]
    probability: str
    counting: str
    """Joins the outcome that counts as `o`."""


def _views(*, postgresql: bool) -> tuple[str, ...]:
    spell = _POSTGRESQL if postgresql else _SQLITE
    said = f"""
        p.id AS id,
        'v' || p.version AS version,
        {spell.moment("p.at_us")} AS predicted_at,
        {spell.moment("p.event_us")} AS event_at,
        p.key AS key,
        p.prediction AS prediction,
        {spell.probability} AS probability,
        p.value AS value,
        p.low AS interval_low,
        p.high AS interval_high,
        CAST(p.quarantined AS INTEGER) AS quarantined"""
    more = f"""
        {spell.json("p.features")} AS features,
        {spell.json("p.probabilities")} AS probabilities,
        {spell.json("p.violations")} AS violations,
        p.route AS route,
        p.at_us AS predicted_us"""
    number = spell.number
    true_number, said_number = number("o.value"), number("p.prediction")
    return (
        f"CREATE VIEW prediction_log AS SELECT {said}, {more} FROM predictions p",
        f"""CREATE VIEW outcome_log AS SELECT
            o.joined_id AS id,
            o.prediction_id AS named_id,
            o.key AS named_key,
            o.value AS outcome,
            {spell.moment("o.known_us")} AS known_at,
            {spell.moment("o.latest_us")} AS confirmed_at,
            CASE WHEN o.joined_id IS NULL THEN 1 ELSE 0 END AS waiting,
            o.known_us AS known_us
        FROM outcomes o""",
        f"""CREATE VIEW prediction_outcomes AS SELECT {said},
            o.value AS outcome,
            {spell.moment("o.known_us")} AS known_at,
            CASE WHEN o.value IS NULL OR p.value IS NOT NULL THEN NULL
                WHEN o.value = p.prediction OR {true_number} = {said_number} THEN 1 ELSE 0 END AS correct,
            p.value - {true_number} AS error, {more}
        FROM predictions p {spell.counting}""",
        f"""CREATE VIEW version_log AS SELECT
            'v' || v.number AS version,
            {spell.stamp("v.created_at")} AS created_at,
            v.run_id AS run_id,
            v.model AS model,
            v.note AS note,
            CASE WHEN v.number = (
                SELECT m.after FROM alias_moves m WHERE m.alias = 'champion' ORDER BY m.id DESC LIMIT 1
            ) THEN 1 ELSE 0 END AS in_office
        FROM versions v""",
    )


def _sqlite_moment(column: str) -> str:
    # Whole seconds and the rest apart, rounded down: strftime alone knows milliseconds only.
    rest = f"((({column} % 1000000) + 1000000) % 1000000)"
    return f"strftime('%Y-%m-%dT%H:%M:%S', ({column} - {rest}) / 1000000, 'unixepoch') || printf('.%06dZ', {rest})"


def _sqlite_number(text: str) -> str:
    kind = f"CASE WHEN json_valid({text}) THEN json_type({text}) END"
    return f"CASE WHEN {kind} IN ('integer', 'real') THEN CAST({text} AS REAL) END"


def _postgresql_number(text: str) -> str:
    form = "^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)(e[-+]?[0-9]{1,2})?$"
    return f"CASE WHEN length({text}) < 200 AND {text} ~* '{form}' THEN CAST({text} AS DOUBLE PRECISION) END"


_SQLITE: Final = _Spelling(
    moment=_sqlite_moment,
    stamp=lambda column: column,
    json=lambda column: column,
    number=lambda text: f"({_sqlite_number(text)})",
    probability="""CASE json_array_length(p.probabilities) WHEN 0 THEN NULL
            WHEN 2 THEN json_extract(p.probabilities, '$[1]')
            ELSE (SELECT max(each.value) FROM json_each(p.probabilities) AS each) END""",
    counting="""LEFT JOIN outcomes o ON o.seq = (
            SELECT c.seq FROM outcomes c WHERE c.joined_id = p.id ORDER BY c.latest_us DESC, c.seq DESC LIMIT 1)""",
)
_POSTGRESQL: Final = _Spelling(
    moment=lambda column: f"(timestamptz 'epoch' + {column} * interval '1 microsecond')",
    stamp=lambda column: f"CAST({column} AS timestamptz)",
    # JSON may hold a NUL character, this type may not.
    json=lambda column: rf"CAST(replace({column}, '\u0000', '\ufffd') AS jsonb)",
    number=lambda text: f"({_postgresql_number(text)})",
    probability="""CASE json_array_length(CAST(p.probabilities AS json)) WHEN 0 THEN NULL
            WHEN 2 THEN CAST(CAST(p.probabilities AS json) ->> 1 AS DOUBLE PRECISION)
            ELSE (SELECT max(CAST(each.value AS DOUBLE PRECISION))
                FROM json_array_elements_text(CAST(p.probabilities AS json)) AS each) END""",
    counting="""LEFT JOIN LATERAL (
            SELECT c.value, c.known_us FROM outcomes c WHERE c.joined_id = p.id
            ORDER BY c.latest_us DESC, c.seq DESC LIMIT 1) o ON true""",
)
