"""The traffic log: what was predicted, what came true, and the two joined.

A prediction is never rewritten. Every distinct outcome is kept, and of those that belong to one prediction the one
that was known last counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Row, Select, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tenure.core.data import Column
from tenure.core.errors import DataError, RecordMissingError
from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.core.records import canonical
from tenure.state.database import Database
from tenure.state.outcomes import OutcomeCounts, keep_outcomes, newest_first
from tenure.state.tables import OUTCOMES, PREDICTIONS
from tenure.state.times import iso, micros, micros_of

__all__ = ["OutcomeCounts", "Traffic"]

_LOCK: Final = "traffic"
_BATCH: Final = 500
_MOMENT: Final = pl.Datetime("us", "UTC")
# In the order of `_joined_query`.
_FIXED: Final[dict[str, pl.DataType]] = {
    "id": pl.String(),
    "version": pl.Int64(),
    "at": _MOMENT,
    "event_at": _MOMENT,
    "key": pl.String(),
    "prediction": pl.String(),
    "probabilities": pl.String(),
    "value": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "outcome": pl.String(),
    "known_at": _MOMENT,
    "features": pl.String(),
}


class Traffic:
    """Logs predictions and outcomes, and joins them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # ---- what goes in ----

    def log_predictions(self, predictions: Sequence[PredictionRecord]) -> None:
        """Keep answered predictions; an id that is known already keeps what was said first.

        Outcomes that waited for one of them are joined in the same transaction.
        """
        if not predictions:
            return
        with self._db.begin(lock=_LOCK) as connection:
            self._keep(connection, predictions)

    def log_or_recall(self, predictions: Sequence[PredictionRecord]) -> list[PredictionRecord]:
        """Keep new predictions, and return for each, in order, what the log holds: an id known before keeps its answer.

        Raises:
            DataError: an id was used before for another row; nothing is kept.
        """
        known: dict[str, PredictionRecord] = {}
        ids = [prediction.id for prediction in predictions]
        with self._db.begin(lock=_LOCK) as connection:
            for start in range(0, len(ids), _BATCH):
                query = select(PREDICTIONS).where(PREDICTIONS.c.id.in_(ids[start : start + _BATCH]))
                known |= {row.id: _prediction(row) for row in connection.execute(query)}
            for prediction in predictions:
                if prediction.id in known:
                    _refuse_other_row(known[prediction.id], prediction)
            new = [prediction for prediction in predictions if prediction.id not in known]
            if new:
                self._keep(connection, new)
        return [known.get(prediction.id, prediction) for prediction in predictions]

    def _keep(self, connection: Connection, predictions: Sequence[PredictionRecord]) -> None:
        upsert = postgresql.insert if self._db.dialect == "postgresql" else sqlite.insert
        rows = [_prediction_row(prediction) for prediction in predictions]
        connection.execute(upsert(PREDICTIONS).on_conflict_do_nothing(index_elements=["id"]), rows)
        _join_waiting(connection, [row["id"] for row in rows], [row["key"] for row in rows if row["key"]])

    def record_outcomes(self, outcomes: Sequence[OutcomeRecord]) -> OutcomeCounts:
        """Keep what came true, and say what it changed.

        An outcome of a prediction not logged yet waits for it. One that is named by key belongs to the latest
        prediction with that key that was about a time not after `known_at`. Repeats change nothing; of two values
        the one known later counts, and of two known at the same time the one that came later.
        Numbers are kept as Python writes them, truth values as true and false.

        Raises:
            OutcomeError: an outcome has neither id nor key, or `known_at` is not a moment; nothing is kept.
        """
        with self._db.begin(lock=_LOCK) as connection:
            return keep_outcomes(connection, outcomes)

    # ---- what comes out ----

    def prediction(self, prediction_id: str) -> PredictionRecord:
        """Return one logged prediction.

        Raises:
            RecordMissingError: no prediction has that id.
        """
        with self._db.read() as connection:
            row = connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id == prediction_id)).one_or_none()
        if row is None:
            raise RecordMissingError(
                f"No prediction with the id {prediction_id!r} was logged.",
                where=prediction_id,
                hint="Take the id from the answer of /predict.",
            )
        return _prediction(row)

    def outcome_of(self, prediction_id: str) -> OutcomeRecord | None:
        """Return what came true for a prediction, or None while that is not known."""
        query = newest_first(select(OUTCOMES).where(OUTCOMES.c.joined_id == prediction_id)).limit(1)
        with self._db.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return OutcomeRecord(row.value, iso(row.known_us), prediction_id, row.key)

    def prediction_count(self, version: int | None = None) -> int:
        """Return how many predictions are logged, of one version or all."""
        query = select(func.count()).select_from(PREDICTIONS)
        if version is not None:
            query = query.where(PREDICTIONS.c.version == version)
        with self._db.read() as connection:
            return int(connection.execute(query).scalar_one())

    def outcome_count(self) -> int:
        """Return for how many logged predictions the outcome is known."""
        query = select(func.count(func.distinct(OUTCOMES.c.joined_id)))
        with self._db.read() as connection:
            return int(connection.execute(query).scalar_one())

    def joined(
        self, *, since: datetime | None = None, until: datetime | None = None, version: int | None = None
    ) -> pl.DataFrame:
        """Return one row for each prediction, ordered by `event_at`, with its outcome where that is known.

        `since` (inclusive) and `until` (exclusive) bound `event_at`. Columns: `id` (String), `version` (Int64), `at`
        and `event_at` (Datetime, UTC), `key` (String), `prediction` (String), `p_0 ... p_k` (Float64) in class order
        or `value` (Float64) where no prediction has probabilities, `low`, `high` (Float64), `outcome` (String),
        `known_at` (Datetime, UTC), `features` (String, JSON).
        """
        query = _joined_query()
        if since is not None:
            query = query.where(PREDICTIONS.c.event_us >= micros(since))
        if until is not None:
            query = query.where(PREDICTIONS.c.event_us < micros(until))
        if version is not None:
            query = query.where(PREDICTIONS.c.version == version)
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        stored = {name: pl.Int64() if kind == _MOMENT else kind for name, kind in _FIXED.items()}
        frame = pl.DataFrame([tuple(row) for row in rows], schema=stored, orient="row")
        return _with_probabilities(frame.cast({name: kind for name, kind in _FIXED.items() if kind == _MOMENT}))

    def features(self, frame: pl.DataFrame, columns: Iterable[Column | str]) -> pl.DataFrame:
        """Return the features in `frame["features"]` (of `joined`) as columns, in the order of `columns`.

        A schema column gets its stored type back (text for categories), a bare name the type that fits its values.
        What was not sent, or does not fit the type, is null.
        """
        sent = [json.loads(text) for text in frame["features"]]
        return pl.DataFrame([_feature(column, sent) for column in columns])


# ---- rows and records ----


def _prediction_row(prediction: PredictionRecord) -> dict[str, Any]:
    said = prediction.prediction
    return {
        "id": prediction.id,
        "version": prediction.version,
        "at_us": micros_of(prediction.at),
        "event_us": micros_of(prediction.event_at),
        "key": prediction.key,
        "prediction": said if isinstance(said, str) else repr(float(said)),
        "value": None if isinstance(said, str) else float(said),
        "probabilities": canonical(prediction.probabilities).decode(),
        "low": prediction.low,
        "high": prediction.high,
        # NaN is how tables say "missing"; JSON has null for that.
        "features": canonical({name: None if v != v else v for name, v in prediction.features.items()}).decode(),
    }


def _prediction(row: Row[Any]) -> PredictionRecord:
    return PredictionRecord(
        id=row.id,
        version=row.version,
        at=iso(row.at_us),
        event_at=iso(row.event_us),
        features=json.loads(row.features),
        prediction=row.prediction if row.value is None else row.value,
        probabilities=tuple(float(p) for p in json.loads(row.probabilities)),
        low=row.low,
        high=row.high,
        key=row.key,
    )


def _refuse_other_row(logged: PredictionRecord, asked: PredictionRecord) -> None:
    """Refuse an id that stands for another row. A later version may read other columns; those in common decide."""
    common = logged.features.keys() & asked.features.keys()
    if logged.key != asked.key or any(logged.features[name] != asked.features[name] for name in common):
        raise DataError(
            f"The id {asked.id!r} was used before, for another row.",
            where="ids",
            hint="Give each row an id of its own.",
        )


def _join_waiting(connection: Connection, ids: list[str], keys: list[str]) -> None:
    """Join outcomes that came before their prediction; by key, an outcome may find a later, better one."""
    for start in range(0, len(ids), _BATCH):
        named = OUTCOMES.c.prediction_id.in_(ids[start : start + _BATCH])
        connection.execute(
            update(OUTCOMES).where(named, OUTCOMES.c.joined_id.is_(None)).values(joined_id=OUTCOMES.c.prediction_id)
        )
    latest = (
        select(PREDICTIONS.c.id)
        .where(PREDICTIONS.c.key == OUTCOMES.c.key, PREDICTIONS.c.event_us <= OUTCOMES.c.known_us)
        .order_by(PREDICTIONS.c.event_us.desc(), PREDICTIONS.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    for start in range(0, len(keys), _BATCH):
        named = OUTCOMES.c.key.in_(keys[start : start + _BATCH])
        connection.execute(update(OUTCOMES).where(named, OUTCOMES.c.prediction_id.is_(None)).values(joined_id=latest))


def _joined_query() -> Select[Any]:
    place = func.row_number().over(
        partition_by=OUTCOMES.c.joined_id, order_by=(OUTCOMES.c.latest_us.desc(), OUTCOMES.c.seq.desc())
    )
    ranked = select(OUTCOMES.c.joined_id, OUTCOMES.c.value, OUTCOMES.c.known_us, place.label("place")).subquery()
    said = [PREDICTIONS.c[name] for name in ("id", "version", "at_us", "event_us", "key", "prediction")]
    numbers = [PREDICTIONS.c[name] for name in ("probabilities", "value", "low", "high")]
    return (
        select(*said, *numbers, ranked.c.value, ranked.c.known_us, PREDICTIONS.c.features)
        .outerjoin_from(PREDICTIONS, ranked, (ranked.c.joined_id == PREDICTIONS.c.id) & (ranked.c.place == 1))
        .order_by(PREDICTIONS.c.event_us, PREDICTIONS.c.seq)
    )


def _with_probabilities(frame: pl.DataFrame) -> pl.DataFrame:
    """Put `p_0 ... p_k` in the place of the JSON list, or leave `value` where no row has probabilities."""
    lists = frame["probabilities"].str.json_decode(pl.List(pl.Float64))
    classes = int(lists.list.len().max() or 0)  # type: ignore[arg-type]  # polars types a sum-up as any cell
    if not classes:
        return frame.drop("probabilities")
    names = list(frame.columns)
    at = names.index("probabilities")
    names[at : at + 2] = [f"p_{code}" for code in range(classes)]
    each = [lists.list.get(code, null_on_oob=True).alias(f"p_{code}") for code in range(classes)]
    return frame.with_columns(each).select(names)


def _feature(column: Column | str, sent: list[dict[str, Any]]) -> pl.Series:
    name = column if isinstance(column, str) else column.name
    values = [row.get(name) for row in sent]
    if isinstance(column, str):
        return pl.Series(name, values, strict=False)
    kind = _stored_type(column.dtype)
    if kind.is_numeric():
        return pl.Series(name, [_number(value) for value in values], dtype=pl.Float64).cast(kind, strict=False)
    if kind == pl.Boolean:
        return pl.Series(name, [value if isinstance(value, bool) else None for value in values], dtype=pl.Boolean)
    texts = pl.Series(name, [None if value is None else _text(value) for value in values], dtype=pl.String)
    if kind == pl.Date:
        return texts.str.slice(0, 10).str.to_date(strict=False)
    if kind == pl.Datetime:
        moments = [_moment_us(text) for text in texts]
        return pl.Series(name, moments, dtype=pl.Int64).cast(pl.Datetime("us")).cast(kind)
    return texts


def _stored_type(dtype: str) -> pl.DataType:
    """Return the polars type that `dtype` names, as far as JSON can carry it; text for all others."""
    simple = getattr(pl, dtype, None)
    if isinstance(simple, type) and issubclass(simple, pl.DataType) and (simple.is_numeric() or simple == pl.Date):
        return simple()
    if dtype == "Boolean":
        return pl.Boolean()
    if dtype.startswith("Datetime"):
        return pl.Datetime("us", "UTC") if "UTC" in dtype else pl.Datetime("us")
    return pl.String()


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if number != number else number


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _moment_us(text: str | None) -> int | None:
    try:
        return None if text is None else micros_of(text)
    except ValueError:
        return None
