"""Scores rows with a stored model: a table, or rows without a data frame, and explains the answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, runtime_checkable

import numpy as np

from tenure.core.errors import SchemaChangedError, did_you_mean
from tenure.core.modelling import Floats, Task
from tenure.model.bundle import check_rows, read_bundle
from tenure.model.fitted import FittedModel
from tenure.model.program import Answered, RowProgram

if TYPE_CHECKING:
    import polars as pl

ROW_BY_ROW: Final = 64
"""Up to so many rows are answered one by one, more as a table: it costs a few calls less for each."""


@runtime_checkable
class Explains(Protocol):
    """What a member offers that can explain itself: (n, d + 1, outputs) in raw-score units, the base last.

    Outputs: one for binary tasks (log-odds of the positive class) and regression, one for each class otherwise.
    """

    def contributions(self, matrix: Floats) -> Floats:
        """Return what each encoded number adds to the raw score of each row."""
        ...


@dataclass(frozen=True, eq=False)
class Scored:
    """Answers for some rows: `labels` and `probabilities` (n, k), or `values` (n,).

    `low` and `high` (n,) are the ends of the 90 % interval of a value, or between what the probability of the positive
    class lies.
    """

    labels: list[str] | None = None
    probabilities: Floats | None = None
    values: Floats | None = None
    low: Floats | None = None
    high: Floats | None = None

    def to_frame(self, model: FittedModel, *, version: str, key: pl.Series | None = None) -> pl.DataFrame:
        """Return the answers as a table: key, prediction, probabilities, interval ends, version."""
        import polars as pl

        columns: dict[str, Any] = {} if key is None else {key.name or model.key or "key": key}
        columns["prediction"] = self.values if self.labels is None else self.labels
        if self.probabilities is not None and model.task is Task.BINARY:
            columns["probability"] = self.probabilities[:, -1]
        elif self.probabilities is not None:
            columns |= {f"probability_{c}": self.probabilities[:, at] for at, c in enumerate(model.classes)}
        if self.low is not None and self.high is not None and self.values is None:
            columns |= {"probability_low": self.low, "probability_high": self.high}
        elif self.low is not None and self.high is not None:
            columns |= {"interval_low": self.low, "interval_high": self.high}
        return pl.DataFrame(columns).with_columns(pl.lit(version).alias("version"))


class Scorer:
    """Predicts with a fitted model. Safe to share between threads."""

    def __init__(self, model: FittedModel) -> None:
        self.model = model
        self._inputs = frozenset(model.plan.inputs)
        self._program = RowProgram(model)

    @classmethod
    def load(cls, folder: Path, *, verify: bool = True) -> Self:
        """Read a model from its folder; with `verify`, its stored rows must give their stored answers.

        Raises:
            BundleError: the folder is damaged, or the model answers differently on this machine.
        """
        scorer = cls(read_bundle(folder))
        if verify:
            check_rows(scorer._program, folder)
        return scorer

    def check_columns(self, columns: Collection[str]) -> None:
        """Accept any columns that include those the model reads.

        Raises:
            SchemaChangedError: some are missing; it names them.
        """
        if self._inputs.issubset(columns):
            return
        missing = [name for name in self.model.plan.inputs if name not in columns]
        extra = [name for name in columns if name not in self._inputs]
        named = ", ".join(repr(name) for name in missing[:10]) + (", ..." if len(missing) > 10 else "")
        counted = "a column" if len(missing) == 1 else f"{len(missing)} columns"
        raise SchemaChangedError(
            f"The rows lack {counted} that the model reads: {named}.",
            where=f"columns.{missing[0]}",
            hint=f"Give every row a value or null for {missing[0]!r}. {did_you_mean(missing[0], extra)}",
        )

    def raw(self, frame: pl.DataFrame) -> Floats:
        """Return calibrated probabilities (n, k) in class order, or values (n,).

        Raises:
            SchemaChangedError: a column that the model reads is missing, or a date column holds what is no date.
        """
        self.check_columns(frame.columns)
        return self.model.predict(self.model.plan.encode(self.model.dates.read_table(frame)))

    def score(self, frame: pl.DataFrame) -> Scored:
        """Return labels and probabilities, or values with intervals; errors as in `raw`."""
        return self._scored(self.raw(frame))

    def score_row(self, row: Mapping[str, Any]) -> Scored:
        """Return the same for one row, bit for bit. A column not in `row` is missing; `check_columns` refuses that.

        Raises:
            SchemaChangedError: a date column holds what is no date.
        """
        return _as_scored(self.answer(row))

    def answer(self, row: Mapping[str, Any]) -> Answered:
        """Return the same in plain Python values, in microseconds; missing columns and errors as in `score_row`."""
        return self._program.answer(row)

    def answers(self, rows: Sequence[Mapping[str, Any]]) -> list[Answered]:
        """Return the answer of each row, bit for bit that of `answer`; errors as there."""
        if len(rows) <= ROW_BY_ROW:
            return [self._program.answer(row) for row in rows]
        return _as_answered(self._scored(self.model.predict(self._program.encode(rows))))

    def explain(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return how much each source column added to each row's raw score, and the `base` they start from.

        In log-odds of the positive class, the margin of the predicted class, or value units. Members that cannot
        explain themselves are left out. A column that is itself called `base` makes the last one `base_score`.

        Raises:
            SchemaChangedError: a column that the model reads is missing, or a date column holds what is no date.
        """
        self.check_columns(frame.columns)
        import polars as pl

        shares = self._shares(self.model.plan.encode(self.model.dates.read_table(frame)))
        totals = self._by_source(shares)
        base = "base" if "base" not in totals else "base_score"
        return pl.DataFrame({**totals, base: shares[:, -1]})

    def explain_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, dict[str, float]]]:
        """Return the same of rows: for each the base, and how much each source column added.

        A column not in a row is missing.

        Raises:
            SchemaChangedError: a date column holds what is no date.
        """
        if not rows:
            return []
        plan, read = self.model.plan, self.model.dates.read_row
        shares = self._shares(np.array([plan.encode_row(read(row)) for row in rows]))
        totals = self._by_source(shares)
        each = zip(*(total.tolist() for total in totals.values()), strict=True) if totals else repeat((), len(rows))
        return [
            (base, dict(zip(totals, row, strict=True))) for base, row in zip(shares[:, -1].tolist(), each, strict=True)
        ]

    def _shares(self, matrix: Floats) -> Floats:
        """Return what each encoded number adds to the raw score of each row, (n, d + 1), the base last."""
        shares = np.zeros((matrix.shape[0], matrix.shape[1] + 1))
        weight = 0.0
        chosen = self._explained_output(matrix)
        for part in self.model.members:
            if part.weight > 0 and isinstance(part.member, Explains):
                found = part.member.contributions(matrix)
                shares += part.weight * np.take_along_axis(found, chosen[:, None, None], axis=2)[:, :, 0]
                weight += part.weight
        shares /= (weight or 1.0) * (self.model.temperature if self.model.task.is_classification else 1.0)
        correction = self.model.correction
        if correction is not None:
            offsets = np.array(correction.offsets)
            shares *= correction.slope
            shares[:, -1] += offsets[1] - offsets[0] if self.model.task is Task.BINARY else offsets[chosen]
        return shares

    def _explained_output(self, matrix: Floats) -> Any:
        """Return which output explains each row: the predicted class, or the only one."""
        if self.model.task is Task.MULTICLASS:
            return self.model.predict(matrix).argmax(axis=1)
        return np.zeros(matrix.shape[0], dtype=np.int64)

    def _by_source(self, shares: Floats) -> dict[str, Floats]:
        sources = self.model.plan.sources
        totals = {source: np.zeros(shares.shape[0]) for source in dict.fromkeys(sources)}
        for at, source in enumerate(sources):
            totals[source] += shares[:, at]
        return totals

    def _scored(self, raw: Floats) -> Scored:
        model = self.model
        if model.task is Task.REGRESSION:
            low, high = (None, None) if model.interval is None else model.interval.around(raw)
            return Scored(values=raw, low=low, high=high)
        if model.task is Task.MULTICLASS:
            return Scored(labels=[model.classes[code] for code in raw.argmax(axis=1).tolist()], probabilities=raw)
        threshold = 0.5 if model.threshold is None else model.threshold
        sure = model.probability_interval
        low, high = (None, None) if sure is None else sure.around(raw[:, 1])
        labels = [model.classes[code] for code in (raw[:, 1] >= threshold).astype(np.int64).tolist()]
        return Scored(labels=labels, probabilities=raw, low=low, high=high)


def _as_scored(answered: Answered) -> Scored:
    """Return the answer for one row in the form of a table's."""
    low, high = (None if end is None else np.array([end]) for end in (answered.low, answered.high))
    if isinstance(answered.prediction, str):
        return Scored(
            labels=[answered.prediction], probabilities=np.array([answered.probabilities]), low=low, high=high
        )
    return Scored(values=np.array([answered.prediction]), low=low, high=high)


def _as_answered(scored: Scored) -> list[Answered]:
    """Return the answers of a table one by one."""
    ends = [repeat(None) if end is None else end.tolist() for end in (scored.low, scored.high)]
    if scored.labels is None or scored.probabilities is None:
        values: list[float] = [] if scored.values is None else scored.values.tolist()
        return [Answered(value, (), low, high) for value, low, high in zip(values, *ends, strict=False)]
    shares = map(tuple, scored.probabilities.tolist())
    return list(map(Answered, scored.labels, shares, *ends))
