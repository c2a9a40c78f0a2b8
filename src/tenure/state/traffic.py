"""The traffic log: what was predicted, what came true, and the two joined.

A prediction is never rewritten. Every distinct outcome is kept, and of those that belong to one prediction the one
that was known last counts. What is older than the policy goes, in whole months.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl
from sqlalchemy import Connection, Row, func, select

from tenure.core.data import Column
from tenure.core.errors import DataError, RecordMissingError
from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.core.records import canonical
from tenure.state import export, retention
from tenure.state.database import Database
from tenure.state.features import feature
from tenure.state.intake import LOCK, keep_predictions, keep_shadows
from tenure.state.journal import Drain
from tenure.state.log_frames import (
    FIXED,
    MOMENT,
    SENT,
    SHADOW,
    frame_of,
    joined_query,
    latest_events,
    with_probabilities,
)
from tenure.state.outcomes import OutcomeCounts, keep_outcomes, newest_first
from tenure.state.retention import LoggedMonth, Pruned
from tenure.state.tables import OUTCOMES, PREDICTIONS, SHADOW_PREDICTIONS
from tenure.state.times import iso, micros, micros_of

__all__ = ["LoggedMonth", "OutcomeCounts", "Pruned", "Traffic"]

_BATCH: Final = 500
_EMPTY: Final = {"probabilities": "[]", "features": "{}", "violations": None}
_LISTS: Final = frozenset(_EMPTY)


def _nobody(_: str) -> None:
    """Tell nobody."""


class Traffic:
    """Logs predictions and outcomes, and joins them.

    What serving processes of this machine wrote to the journal in `journal` is taken in before anything is read, so
    that nobody sees less than a client was told. `warn` is told in words of damaged journals.
    """

    def __init__(self, db: Database, journal: Path | None = None, *, warn: Callable[[str], None] = _nobody) -> None:
        self._db = db
        self._drain = None if journal is None else Drain(journal, self.take_in, warn)

    # ---- what goes in ----

    def log_predictions(self, predictions: Sequence[PredictionRecord]) -> None:
        """Keep answered predictions; an id that is known already keeps what was said first.

        Outcomes that waited for one of them are joined in the same transaction.
        """
        self.absorb([_prediction_row(prediction) for prediction in predictions])

    def absorb(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Keep predictions as rows of the table, as `log_predictions` does; return how many were new.

        Each row holds `id`, `version` (a number), `at_us`, `event_us` (microseconds since 1970), `key`, `prediction`
        (text), `value` (a number, or None for a class), `probabilities` (JSON), `low`, `high`, `features` (JSON),
        `violations` (JSON or None), `quarantined` and `route`. Meant for thousands of rows a call.
        """
        if not rows:
            return 0
        with self._db.begin(lock=LOCK) as connection:
            return keep_predictions(connection, rows)

    def take_in(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep rows of a journal: predictions, and what was answered in a shadow, by their names."""
        for row in rows:
            for name in _LISTS & row.keys():
                row[name] = orjson.dumps(row[name]).decode() if row[name] else _EMPTY[name]
        self.absorb([row for row in rows if "id" in row])
        self.absorb_shadows([row for row in rows if "prediction_id" in row])

    def catch_up(self) -> int:
        """Take in what stands in the journal and return how many lines that were."""
        return 0 if self._drain is None else self._drain.run()

    def absorb_shadows(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Keep what a version that is not in office would have said; return how many answers were new.

        Each row holds `prediction_id`, `version`, `at_us`, `prediction`, `value`, `probabilities`, `low` and `high`, as
        for `absorb`. One answer by each version is kept for each prediction, the first.
        """
        if not rows:
            return 0
        with self._db.begin(lock=LOCK) as connection:
            return keep_shadows(connection, rows)

    def log_or_recall(self, predictions: Sequence[PredictionRecord]) -> list[PredictionRecord]:
        """Keep new predictions, and return for each, in order, what the log holds: an id known before keeps its answer.

        Raises:
            DataError: an id was used before for another row; nothing is kept.
        """
        self.catch_up()
        known: dict[str, PredictionRecord] = {}
        ids = [prediction.id for prediction in predictions]
        with self._db.begin(lock=LOCK) as connection:
            for start in range(0, len(ids), _BATCH):
                query = select(PREDICTIONS).where(PREDICTIONS.c.id.in_(ids[start : start + _BATCH]))
                known |= {row.id: _prediction(row) for row in connection.execute(query)}
            for prediction in predictions:
                if prediction.id in known:
                    _refuse_other_row(known[prediction.id], prediction)
            new = [prediction for prediction in predictions if prediction.id not in known]
            if new:
                keep_predictions(connection, [_prediction_row(prediction) for prediction in new])
        return [known.get(prediction.id, prediction) for prediction in predictions]

    def record_outcomes(self, outcomes: Sequence[OutcomeRecord]) -> OutcomeCounts:
        """Keep what came true, and say what it changed.

        An outcome of a prediction not logged yet waits for it. One that is named by key belongs to the latest
        prediction with that key that was about a time not after `known_at`. Repeats change nothing; of two values
        the one known later counts, and of two known at the same time the one that came later.
        Numbers are kept as Python writes them, truth values as true and false.

        Raises:
            OutcomeError: an outcome has neither id nor key, or `known_at` is not a moment; nothing is kept.
        """
        self.catch_up()
        with self._db.begin(lock=LOCK) as connection:
            return keep_outcomes(connection, outcomes)

    # ---- what comes out ----

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        self.catch_up()
        with self._db.read() as connection:
            yield connection

    def prediction(self, prediction_id: str) -> PredictionRecord:
        """Return one logged prediction.

        Raises:
            RecordMissingError: no prediction has that id.
        """
        with self._read() as connection:
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
        with self._read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return OutcomeRecord(row.value, iso(row.known_us), prediction_id, row.key)

    def prediction_count(self, version: int | None = None) -> int:
        """Return how many predictions are logged, of one version or all."""
        query = select(func.count()).select_from(PREDICTIONS)
        if version is not None:
            query = query.where(PREDICTIONS.c.version == version)
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    def answered_since(self, version: int, since: datetime) -> tuple[int, int]:
        """Return how many predictions a version said since then, and how many it would have said in a shadow."""
        said = select(func.count()).select_from(PREDICTIONS)
        said = said.where(PREDICTIONS.c.version == version, PREDICTIONS.c.at_us >= micros(since))
        shadow = select(func.count()).select_from(SHADOW_PREDICTIONS)
        shadow = shadow.where(SHADOW_PREDICTIONS.c.version == version, SHADOW_PREDICTIONS.c.at_us >= micros(since))
        with self._read() as connection:
            return int(connection.execute(said).scalar_one()), int(connection.execute(shadow).scalar_one())

    def quarantined_count(self) -> int:
        """Return how many logged predictions are set aside, as a field broke its rule."""
        query = select(func.count()).select_from(PREDICTIONS).where(PREDICTIONS.c.quarantined)
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    def waiting_count(self) -> int:
        """Return how many outcomes wait for their prediction."""
        query = select(func.count()).select_from(OUTCOMES).where(OUTCOMES.c.joined_id.is_(None))
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    def logged_between(self) -> tuple[str, str] | None:
        """Return when the first and the last of the logged predictions were said, or None where there is none."""
        query = select(func.min(PREDICTIONS.c.at_us), func.max(PREDICTIONS.c.at_us))
        with self._read() as connection:
            first, last = connection.execute(query).one()
        return None if first is None else (iso(first), iso(last))

    def months(self) -> list[LoggedMonth]:
        """Return the calendar months (UTC) that hold predictions, oldest first."""
        with self._read() as connection:
            return list(retention.logged_months(connection))

    def outcome_count(self) -> int:
        """Return for how many logged predictions the outcome is known."""
        query = select(func.count(func.distinct(OUTCOMES.c.joined_id)))
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    def latest_event(self, place: int = 1) -> datetime | None:
        """Return what time the `place`-th latest prediction is about; None where there are fewer.

        Quarantined predictions do not count.
        """
        with self._read() as connection:
            found = connection.execute(latest_events().offset(place - 1).limit(1)).scalar()
        return None if found is None else datetime.fromisoformat(iso(found))

    def stretch_start(self, count: int, *, width: timedelta, origin: datetime) -> datetime | None:
        """Return when the oldest of the latest `count` stretches of time begins that predictions are about.

        Stretches of `width` follow each other from `origin` on. Quarantined predictions do not count; None without any.
        """
        start: datetime | None = None
        with self._read() as connection:
            for _ in range(count):
                query = latest_events().limit(1)
                query = query if start is None else query.where(PREDICTIONS.c.event_us < micros(start))
                found = connection.execute(query).scalar()
                if found is None:
                    break
                start = origin + width * ((datetime.fromisoformat(iso(found)) - origin) // width)
        return start

    def quarantined(self, *, since: datetime | None = None) -> pl.DataFrame:
        """Return the predictions that are set aside, ordered by `event_at`: that and `violations` (String, JSON).

        `since` (inclusive) bounds `event_at`.
        """
        query = select(PREDICTIONS.c.event_us, PREDICTIONS.c.violations).where(PREDICTIONS.c.quarantined)
        if since is not None:
            query = query.where(PREDICTIONS.c.event_us >= micros(since))
        with self._read() as connection:
            rows = connection.execute(query.order_by(PREDICTIONS.c.event_us, PREDICTIONS.c.seq)).all()
        return frame_of(rows, {"event_at": MOMENT, "violations": pl.String()})

    def joined(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        version: int | None = None,
        quarantined: bool = False,
        features: bool = True,
        said_since: datetime | None = None,
    ) -> pl.DataFrame:
        """Return one row for each prediction, ordered by `event_at`, with its outcome where that is known.

        `since` (inclusive) and `until` (exclusive) bound `event_at`, `said_since` (inclusive) when it was said. Nobody
        is to learn from quarantined predictions: they are there only where `quarantined` asks for them. Columns: `id`
        (String), `version` (Int64), `at` and `event_at` (Datetime, UTC), `key` (String), `prediction` (String),
        `p_0 ... p_k` (Float64) in class order or `value` (Float64) where no prediction has probabilities, `low`, `high`
        (Float64), `outcome` (String), `known_at` (Datetime, UTC), and with `features` what was sent under that name
        (String, JSON).
        """
        query = joined_query()
        if features:
            query = query.add_columns(PREDICTIONS.c.features)
        if since is not None:
            query = query.where(PREDICTIONS.c.event_us >= micros(since))
        if until is not None:
            query = query.where(PREDICTIONS.c.event_us < micros(until))
        if said_since is not None:
            query = query.where(PREDICTIONS.c.at_us >= micros(said_since))
        if version is not None:
            query = query.where(PREDICTIONS.c.version == version)
        if not quarantined:
            query = query.where(~PREDICTIONS.c.quarantined)
        with self._read() as connection:
            rows = connection.execute(query).all()
        return with_probabilities(frame_of(rows, FIXED | SENT if features else FIXED))

    def shadowed(
        self,
        version: int,
        *,
        quarantined: bool = False,
        features: bool = True,
        said_since: datetime | None = None,
    ) -> pl.DataFrame:
        """Return what `version` would have said beside what was said, ordered by `event_at`, with the outcomes.

        `said_since` (inclusive) bounds when it was said. Columns: those of `joined` with `probabilities` and `value`
        side by side (List of Float64 in class order, and Float64), then `shadow_prediction`, `shadow_probabilities`,
        `shadow_value`, `shadow_low`, `shadow_high`.
        """
        shadow = SHADOW_PREDICTIONS.c
        said = [shadow[name].label(f"shadow_{name}") for name in SHADOW]
        query = joined_query().add_columns(*([PREDICTIONS.c.features] if features else []), *said)
        query = query.where(shadow.prediction_id == PREDICTIONS.c.id)
        query = query.where(shadow.version == version)
        if said_since is not None:
            query = query.where(PREDICTIONS.c.at_us >= micros(said_since))
        if not quarantined:
            query = query.where(~PREDICTIONS.c.quarantined)
        with self._read() as connection:
            shadows = {f"shadow_{name}": kind for name, kind in SHADOW.items()}
            frame = frame_of(connection.execute(query).all(), FIXED | (SENT if features else {}) | shadows)
        lists = [
            pl.col(name).str.json_decode(pl.List(pl.Float64)) for name in ("probabilities", "shadow_probabilities")
        ]
        return frame.with_columns(lists)

    def with_sent(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of `frame` (of `joined` without features) with the column `features`, in their order.

        Rows that left the log since are left out.
        """
        ids, between = frame["id"].to_list(), PREDICTIONS.c.at_us.between
        moments = frame["at"].to_physical()
        found: list[Any] = []
        with self._read() as connection:
            for start in range(0, len(ids), _BATCH):
                query = select(PREDICTIONS.c.id, PREDICTIONS.c.features)
                query = query.where(PREDICTIONS.c.id.in_(ids[start : start + _BATCH]))
                some = moments[start : start + _BATCH]
                found += connection.execute(query.where(between(some.min(), some.max()))).all()
        return frame.join(frame_of(found, {"id": pl.String()} | SENT), on="id", how="inner", maintain_order="left")

    def features(self, frame: pl.DataFrame, columns: Iterable[Column | str]) -> pl.DataFrame:
        """Return the features in `frame["features"]` (of `joined`) as columns, in the order of `columns`.

        A schema column gets its stored type back (text for categories), a bare name the type that fits its values.
        What was not sent, or does not fit the type, is null.
        """
        sent = [json.loads(text) for text in frame["features"]]
        return pl.DataFrame([feature(column, sent) for column in columns])

    def export(self, out: Path, *, since: datetime | None = None, until: datetime | None = None) -> int:
        """Write the log to one file, CSV where `out` ends so and else Parquet; return how many predictions.

        The columns are those of the view `prediction_outcomes`. `since` (inclusive) and `until` (exclusive) bound when
        it was said. Memory is bounded, however long the log.

        Raises:
            DiskFullError, FolderReadOnlyError: the file cannot be written; one that was there stays.
        """
        bounds = (None if moment is None else micros(moment) for moment in (since, until))
        self.catch_up()
        return export.export(self._db, out, *bounds)

    # ---- what goes ----

    def prune(
        self,
        keep_seconds: float,
        now: datetime,
        *,
        archive: Path | None = None,
        actor: str = "tenure",
        dry_run: bool = False,
    ) -> Pruned:
        """Let go of the whole months that ended more than `keep_seconds` before `now`, and say what went.

        Predictions go by when they were said, with their outcomes and shadow answers; outcomes that wait go by when
        they were known. With `archive`, each month is first written to that folder as Parquet, with the columns of
        `export`. The ledger is told before anything goes. A prune that was cut short is finished by the next one.

        Raises:
            DiskFullError, FolderReadOnlyError: the archive cannot be written; nothing was deleted.
        """
        return retention.prune(self._db, keep_seconds, now, archive=archive, actor=actor, dry_run=dry_run)


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
        "violations": canonical(prediction.violations).decode() if prediction.violations else None,
        "quarantined": prediction.quarantined,
        "route": prediction.route,
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
        violations=tuple(json.loads(row.violations or "[]")),
        quarantined=row.quarantined,
        route=row.route,
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
