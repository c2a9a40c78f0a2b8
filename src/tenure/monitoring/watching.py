"""Watch a model: look at each window once, then judge what was seen. Frames in, findings out; no database here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from tenure.core.contract import Contract
from tenure.core.data import Schema
from tenure.core.evidence import Finding
from tenure.core.health import Change, Estimate
from tenure.core.metrics import Metric
from tenure.core.modelling import Floats
from tenure.core.project import ValueSection
from tenure.core.value import Flags
from tenure.monitoring.detector import DriftCourse, watch_drift
from tenure.monitoring.drift_findings import Trace, changes_of, drift_finding, evidence_findings, weighed_faults
from tenure.monitoring.evidence import evidence
from tenure.monitoring.inputs import DECISION, PREDICTION, as_read
from tenure.monitoring.prices import ALL_TOGETHER, Priced, priced
from tenure.monitoring.reference import Normal, Said
from tenure.monitoring.rules import broken_rules
from tenure.monitoring.separability import auc_of, series_of
from tenure.monitoring.sketches import WindowSketch, sketch

TOGETHER_SERIES: Final = "all columns together"
_PRICED_COLUMNS: Final = 12
_BLAMED: Final = 0.1
_MATTER_MOST: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one window.

    `came` holds the watched columns as they were sent, `typed` those of the schema with its types (what the model
    reads), `predicted` the answers of the watched version, NaN where another one answered.
    """

    start: datetime
    end: datetime
    came: pl.DataFrame
    typed: pl.DataFrame
    predicted: Floats

    @property
    def own(self) -> Flags:
        """Return which rows the watched version answered."""
        answers = self.predicted if self.predicted.ndim == 1 else self.predicted[:, 0]
        return np.isfinite(answers)


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What was seen in one window, once: kept, and never worked out again with hindsight.

    `faults` are the broken rules ("rule: column"), `broken` their columns, `moved` the columns that drift colours,
    `auc` how well a classifier tells the window from the reference, `estimate` what its metric is thought to be.
    """

    start: datetime
    sketch: WindowSketch
    faults: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    auc: float | None = None
    estimate: Estimate | None = None

    @property
    def answered(self) -> WindowSketch:
        """Return the sketch with only what the watched version said: rows of other versions say nothing of it."""
        said = {
            name: replace(part, rows=part.rows - part.missing, missing=0)
            for name, part in self.sketch.columns.items()
            if name in (PREDICTION, DECISION)
        }
        return replace(self.sketch, columns=self.sketch.columns | said)

    @property
    def trace(self) -> Trace:
        """Return what is needed to tell since when something holds."""
        return Trace(self.start, frozenset(self.broken), frozenset(self.moved))


@dataclass(frozen=True, slots=True)
class Aim:
    """What the model was released for: its metric, its skill over the baseline (units of the metric), the money."""

    metric: Metric
    skill: float
    value: ValueSection = field(default_factory=ValueSection)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the latest window means: findings, and what changed with its price."""

    findings: tuple[Finding, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """Everything that windows are held against.

    `features` are the watched columns, `importance` their shares of the model's skill, `answer` the model on rows with
    the schema's types. `fault_level` is the chance of a false fault in one window.
    """

    normal: Normal
    features: Schema
    contract: Contract
    said: Said
    aim: Aim
    answer: Callable[[pl.DataFrame], Floats]
    importance: Mapping[str, float]
    allowed_per_year: float
    windows_per_year: float
    fault_level: float
    rng: Callable[[int], np.random.Generator]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the watched columns that come in with a row."""
        return tuple(column.name for column in self.features.columns)

    def faults(self, rows: Rows) -> tuple[Finding, ...]:
        """Hold the rules of the contract against one window."""
        return broken_rules(
            rows.came,
            self.contract,
            self.normal.read,
            self.columns,
            level=self.fault_level,
            resting=self.normal.resting,
        )

    def look(
        self, rows: Rows, faults: Sequence[Finding], *, learning: bool, estimate: Estimate | None = None
    ) -> Looked:
        """Return what is kept of one window; a column whose feed is broken does not count as moved."""
        read = as_read(rows.came, self.features)
        said = read.with_columns(self.said.columns(rows.predicted))
        seen = sketch(said, self.normal.layout, start=rows.start, end=rows.end)
        first = Looked(rows.start, seen)
        blocking = [finding for finding in faults if finding.verdict.blocks]
        broken = {finding.subject for finding in blocking if finding.subject is not None}
        found = evidence(self.normal.merged, first.answered, self.normal.layout, learning=learning)
        whole = read.drop([name for name in broken if name in read.columns])
        return replace(
            first,
            faults=tuple(f"{finding.check}: {finding.subject}" for finding in blocking),
            broken=tuple(sorted(broken)),
            moved=tuple(sorted(item.column for item in found if item.coloured and item.column not in broken)),
            auc=auc_of(self.normal.by_window, whole, rng=self.rng(25)) if whole.width else None,
            estimate=estimate,
        )

    def course(self, looked: Sequence[Looked], *, measured: bool = True) -> DriftCourse:
        """Return the way of the drift detector over all windows that were looked at, oldest first.

        Unless its false alarms are to be `measured`, the reference is not replayed.
        """
        normal = self.normal.sketches if self.normal.natural else ()
        aucs = series_of(
            self.normal.usual if self.normal.natural else (),
            [item.auc for item in looked],
            known=len(normal),
            rows=int(np.median([item.sketch.rows for item in looked])) if looked else 0,
        )
        return watch_drift(
            normal,
            [item.answered for item in looked],
            layout=self.normal.layout,
            weights=self.importance,
            allowed_per_year=self.allowed_per_year,
            windows_per_year=self.windows_per_year,
            faulty=[item.broken for item in looked],
            extra={TOGETHER_SERIES: aucs},
            rng=self.rng(23),
            measured=measured,
        )

    def judge(self, looked: Sequence[Looked], course: DriftCourse, rows: Rows, faults: Sequence[Finding]) -> Judged:
        """Judge the last of the windows: `rows` and `faults` are its own, `course` goes at least as far."""
        at = len(looked) - 1
        traces = [item.trace for item in looked]
        seen = evidence(self.normal.merged, looked[at].answered, self.normal.layout, learning=course.rate.learning)
        broken = looked[at].broken
        blamed = {name for name, level in course.columns[at].items() if level >= _BLAMED and course.alarmed[at]}
        moved = {item.column for item in seen if item.coloured} | blamed | set(broken)
        prices = self._prices_of_most(rows) if blamed and not moved & set(self.columns) else self.prices(rows, moved)
        findings = (
            *weighed_faults(faults, prices, traces),
            *evidence_findings(seen, broken, prices, self.importance),
            drift_finding(course, at, prices, traces),
        )
        return Judged(findings, changes_of(seen, faults, blamed, prices, self.importance, traces))

    def _prices_of_most(self, rows: Rows) -> Priced:
        """Return the prices of the columns that matter most, each by itself: where none is known to have moved.

        A small move of a column that matters much can be dear. All together are left out: many moves that are chance
        alone would add up.
        """
        most = sorted(self.columns, key=lambda name: -self.importance.get(name, 0.0))[:_MATTER_MOST]
        prices = self.prices(rows, set(most))
        alone = {name: price for name, price in prices.prices.items() if name != ALL_TOGETHER}
        return replace(prices, prices=alone)

    def prices(self, rows: Rows, moved: set[str]) -> Priced:
        """Return the price of each moved column that the model reads, the most important ones first."""
        known = [name for name in self.columns if name in moved]
        known.sort(key=lambda name: -self.importance.get(name, 0.0))
        own = rows.own
        if not known or not own.any():
            return Priced({}, {}, dict.fromkeys(known, "no row was answered by this version."))
        return priced(
            self.normal.known,
            rows.typed.filter(pl.Series(own)),
            subjects=known[:_PRICED_COLUMNS],
            answer=self.answer,
            metric=self.aim.metric,
            skill=self.aim.skill,
            value=self.aim.value,
            rng=self.rng(24),
            columns=self.columns,
        )
