"""Find the first version with which a metric broke: each is held against a good one, on rows that neither learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from tenure.core.data import Snapshot
from tenure.core.errors import ConfigError, TenureError
from tenure.core.evidence import QualityReport
from tenure.core.health import Span
from tenure.core.lifecycle import Incumbent, ModelVersion
from tenure.core.metrics import Metric, metric_named
from tenure.core.modelling import Floats, Leaderboard, Score, ValidationPlan
from tenure.core.uncertainty import score_with_interval
from tenure.engine.bisect.result import Bisected, By, Lean, Tried, among, gain_among, lean_of
from tenure.engine.recall import record_in, records_of, version_named
from tenure.engine.workspace import Workspace
from tenure.model.fitted import FittedModel
from tenure.model.scorer import Scorer
from tenure.monitoring.realised import usable
from tenure.promotion.compare import LEAST_ROWS, compare

_MOST_ROWS: Final = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Logged rows with known outcomes: what was sent, and the truth."""

    sent: pl.DataFrame
    target: Any


def by_version(
    workspace: Workspace, metric: str | None = None, good: str | None = None, bad: str | None = None
) -> Bisected:
    """Hold every version after `good` (left out: the first) up to `bad` (the newest) against `good`.

    On logged rows that were said after both were made; where these are too few, on the rows that the gate would
    compare them on: out of fold, or never seen.

    Raises:
        RecordMissingError: there is no version of that name.
        ConfigError: the ends are in the wrong order, or the metric does not fit the task.
    """
    versions = workspace.registry.versions()
    if len(versions) < 2:
        return Bisected(By.VERSION, metric or "", None, "There are not two versions to compare.", "")
    first = versions[0] if good is None else version_named(workspace, good)
    last = versions[-1] if bad is None else version_named(workspace, bad)
    if first.number >= last.number:
        raise ConfigError(
            f"{first.label} is not before {last.label}.",
            where="--good",
            hint="Name the earlier version as the good one.",
        )
    scorer = workspace.scorer(first)
    measure = metric_named(metric or scorer.model.metric, task=scorer.model.task)
    between = [version for version in versions if first.number < version.number <= last.number]
    pair = _Pair(workspace, first, scorer, measure, looks=len(between))
    tried = [pair.against(version) for version in between]
    return _told(measure, first, tried, pair)


class _Pair:
    """Compares versions with one good version."""

    def __init__(
        self, workspace: Workspace, first: ModelVersion, scorer: Scorer, metric: Metric, *, looks: int
    ) -> None:
        self._workspace = workspace
        self._first = first
        self._scorer = scorer
        self._metric = metric
        self._looks = looks
        self._joined = workspace.traffic.joined(features=True)
        self.reference: Score | None = None
        self.ways: set[str] = set()

    def against(self, version: ModelVersion) -> Tried:
        """Return how a version does beside the good one."""
        try:
            scorer = self._workspace.scorer(version)
            rows = self._logged_after(version, scorer)
            if rows is not None:
                return self._on_log(version, scorer, rows)
            return self._on_held_out(version)
        except TenureError as error:
            return Tried(version.label, Lean.OPEN, says=error.message)

    def _logged_after(self, version: ModelVersion, scorer: Scorer) -> _Rows | None:
        """Return logged rows with outcomes that were said after both versions were made; None where too few."""
        made = max(datetime.fromisoformat(one.created_at) for one in (self._first, version))
        later = self._joined.filter(pl.col("at") > made)
        rows = _with_outcomes(later, self._scorer.model)
        if rows.is_empty():
            return None
        wanted = {*self._scorer.model.plan.inputs, *scorer.model.plan.inputs}
        keys = rows["features"].map_elements(lambda text: all(f'"{name}":' in text for name in wanted), pl.Boolean)
        rows = rows.filter(keys).tail(_MOST_ROWS)
        target = rows["outcome"].to_numpy()
        classes = np.unique(target).size if scorer.model.task.is_classification else 2
        if rows.height < LEAST_ROWS or classes < 2:
            return None
        columns = [column for column in scorer.model.schema.columns if column.name in wanted]
        names = {column.name for column in columns}
        columns += [c for c in self._scorer.model.schema.columns if c.name in wanted and c.name not in names]
        return _Rows(self._workspace.traffic.features(rows, columns), target)

    def _on_log(self, version: ModelVersion, scorer: Scorer, rows: _Rows) -> Tried:
        new, old = scorer.raw(rows.sent), self._scorer.raw(rows.sent)
        gain = gain_among(self._metric, rows.target, new, old, looks=self._looks)
        score = score_with_interval(self._metric, rows.target, new)
        self.reference = score_with_interval(self._metric, rows.target, old)
        skill = self._metric.gain(self.reference.value, self._metric(rows.target, _constant(rows.target, old)))
        self.ways.add("logged rows with known outcomes that came after both were made")
        return Tried(version.label, lean_of(gain, skill=skill), score, gain, len(rows.target))

    def _on_held_out(self, version: ModelVersion) -> Tried:
        records = records_of(self._workspace, version.run_id)
        board = replace(record_in(records, "leaderboard", Leaderboard), metric=self._metric.name)
        found = compare(
            self._workspace.context,
            record_in(records, "snapshot", Snapshot),
            record_in(records, "quality", QualityReport),
            record_in(records, "plan", ValidationPlan),
            board,
            Incumbent(self._first.number, self._first.model, self._first.leaderboard),
        )
        compared = found.comparison
        if compared is None or compared.against != self._first.label:
            return Tried(version.label, Lean.OPEN, says=found.says)
        gain = among(Span(compared.gain, compared.low, compared.high), self._looks)
        skill = (
            self._metric.gain(board.score.value, board.baseline.value)
            if self._metric.name == board.score.metric
            else 0.0
        )
        self.ways.add("rows that neither had learned from, out of fold or new")
        return Tried(version.label, lean_of(gain, skill=skill), compared.challenger, gain, compared.rows)


def _with_outcomes(rows: pl.DataFrame, model: FittedModel) -> pl.DataFrame:
    return usable(rows, task=model.task, classes=model.classes)


def _constant(target: Any, like: Floats) -> Floats:
    """Return what a model without features says: the shares of the classes, or the mean."""
    if like.ndim == 1:
        return np.full(len(target), float(np.mean(target)))
    shares = np.bincount(target.astype(np.int64), minlength=like.shape[1]) / len(target)
    return np.tile(shares, (len(target), 1))


def _told(metric: Metric, first: ModelVersion, tried: Sequence[Tried], pair: _Pair) -> Bisected:
    """Return the first version that is bad and after which none is good."""
    good = [at for at, one in enumerate(tried) if one.lean is Lean.GOOD]
    after = good[-1] + 1 if good else 0
    bad = [at for at in range(after, len(tried)) if tried[at].lean is Lean.BAD]
    ways = " and on ".join(sorted(pair.ways))
    compared = f"Each version was held against {first.label} on {ways}." if ways else ""
    unknown = tuple(f"{one.name}: {one.says}" for one in tried if one.says)
    if not bad:
        open_ones = [one.name for one in tried[after:] if one.lean is Lean.OPEN]
        says = (
            f"No version after {first.label} is worse beyond doubt."
            if not open_ones
            else f"It cannot be told whether {', '.join(open_ones)} broke it: the rows do not suffice."
        )
        return Bisected(By.VERSION, metric.name, None, says, compared, tuple(tried), unknown=unknown)
    found = tried[bad[0]]
    earliest = tried[after].name
    says = f"{metric.label} broke with {found.name}: {_gain_words(found)} against {first.label} on {found.rows:,} rows."
    if earliest != found.name:
        says += f" It may have begun with {earliest}, of which it cannot be told."
    return Bisected(By.VERSION, metric.name, found.name, says, compared, tuple(tried), earliest, found.name, unknown)


def _gain_words(tried: Tried) -> str:
    gain = tried.gain
    return "" if gain is None else f"{gain.value:+.4g} ({gain.low:+.4g} to {gain.high:+.4g})"
