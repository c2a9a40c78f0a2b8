"""Find the batch of training rows with which a metric broke: quick models that learned all other batches.

The rows of the newest version, as its own column plan encodes them, are cut into batches in the order of time. Every
fifth row is held out. For each batch a quick booster learns all others: a batch breaks the metric where that booster
fails on the batch's rows as it does not elsewhere, so that they contradict all others, or fails more and does better
elsewhere than one that learned the batch too. From labels turned round and from a world that changed for a while, the
same rows come: which it was, the rows alone cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tenure.core.data import Snapshot
from tenure.core.errors import ConfigError
from tenure.core.evidence import QualityReport
from tenure.core.health import Span
from tenure.core.metrics import Metric, metric_named
from tenure.core.modelling import Floats, Indices, Score, Task
from tenure.core.uncertainty import score_with_interval
from tenure.engine.bisect.result import Bisected, By, Lean, Tried, among, gain_among
from tenure.engine.recall import record_in, records_of
from tenure.engine.workspace import Workspace
from tenure.model.probe import quick_booster
from tenure.model.target import encode_target

BATCHES: Final = 8
_MOST_ROWS: Final = 40_000
_FEWEST_ROWS: Final = 400
_HELD: Final = 5
"""Every fifth row is held out."""
_FEWEST_ROWS_OF_PART: Final = 30
_PARTS: Final = 4
_CONTRADICTS: Final = 0.5
"""Rows on which more than this share of the skill is lost contradict the others."""
_ROUNDS: Final = 60
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Encoded rows in the order in which they came: `batch` (n,) counts from 0, `held` are not learned from."""

    matrix: Floats
    target: NDArray[Any]
    task: Task
    classes: int
    batch: Indices
    held: Flags
    names: tuple[str, ...]
    seed: int = 0


def by_batch(
    workspace: Workspace, metric: str | None = None, good: str | None = None, bad: str | None = None
) -> Bisected:
    """Search the training rows of the newest version, from after batch `good` to batch `bad` (numbers from 1).

    Raises:
        NoChampionError: there is no version.
        ConfigError: an end is no batch, or the metric does not fit the task.
        ArtifactError, BundleError: the rows or the model are gone.
    """
    versions = workspace.registry.versions()
    version = versions[-1] if versions else workspace.champion()
    model = workspace.scorer(version).model
    measure = metric_named(metric or model.metric, task=model.task)
    records = records_of(workspace, version.run_id)
    clean = workspace.context.artifacts.get_table(record_in(records, "quality", QualityReport).clean)
    time = record_in(records, "snapshot", Snapshot).schema.time
    if clean.height < _FEWEST_ROWS:
        says = f"It cannot be told: {version.label} learned from {clean.height} rows, {_FEWEST_ROWS} are needed."
        return Bisected(By.BATCH, measure.name, None, says, "")
    rows = _chosen(clean, time, workspace.context.seed)
    batch = np.arange(rows.height) * BATCHES // rows.height
    held = np.random.default_rng((workspace.context.seed, 17)).permutation(np.arange(rows.height) % _HELD == 0)
    material = Material(
        model.plan.encode(model.dates.read_table(rows.drop("_place"))),
        encode_target(rows[model.target], model.task, model.classes),
        model.task,
        len(model.classes),
        batch,
        held,
        tuple(_name(rows, batch == at, time, at) for at in range(BATCHES)),
        workspace.context.seed,
    )
    found = search(material, measure, first=_end(good, 0), last=_end(bad, BATCHES))
    compared = (
        f"The {clean.height:,} rows of {version.label} in {BATCHES} batches, "
        f"{'by ' + time if time else 'in the order of the table'}; each was answered by a quick booster that had "
        "learned the others, and held against how it does on their held-out rows."
    )
    return Bisected(
        By.BATCH,
        measure.name,
        found.found,
        found.says,
        compared,
        found.tried,
        found.earliest,
        found.latest,
    )


def search(material: Material, metric: Metric, *, first: int = 0, last: int = BATCHES) -> Bisected:
    """Return the first batch that broke the metric, among those after the first `first` of the first `last`."""
    quick = _Quick(material, metric, first, last)
    looked = [quick.look(at) for at in range(first, last)]
    tried = tuple(one.tried for one in looked)
    bad = [one for one in looked if one.tried.lean is Lean.BAD]
    if not bad:
        open_ones = [one.tried.name for one in looked if one.tried.lean is Lean.OPEN]
        says = "No batch broke it: the rows of none contradict the others."
        says += f" Of {len(open_ones)} it cannot be told." if open_ones else ""
        return Bisected(By.BATCH, metric.name, None, says, "", tried)
    found = bad[0]
    name, harm = found.tried.name, found.harm
    others = f" So do {len(bad) - 1} later ones." if len(bad) > 1 else ""
    says = (
        f"{metric.label} broke with {name}: its rows contradict all others.{found.part} Left out, the quick model "
        f"gains {harm.value:+.4g} ({harm.low:+.4g} to {harm.high:+.4g}) on held-out rows of the others.{others} "
        "Look whether the outcomes of these rows are right."
    )
    return Bisected(By.BATCH, metric.name, name, says, "", tried, name, bad[-1].tried.name)


@dataclass(frozen=True, slots=True)
class _Looked:
    """A batch as it looked: what leaving it out gains elsewhere, and in words which part of it is at fault."""

    tried: Tried
    harm: Span
    part: str


class _Quick:
    """Fits quick boosters and compares what they say of a batch and of all others."""

    def __init__(self, material: Material, metric: Metric, first: int, last: int) -> None:
        self._material = material
        self._metric = metric
        self._known = material.batch < last
        self._looks = last - first
        self._whole = self._predicted(self._known)

    def look(self, at: int) -> _Looked:
        """Return how the rows of a batch stand to those of the others."""
        material, metric = self._material, self._metric
        mine, others = material.batch == at, material.held & self._known & (material.batch != at)
        said = self._predicted(self._known & ~mine)
        elsewhere = score_with_interval(metric, material.target[others], said[others])
        skill = metric.gain(elsewhere.value, metric(material.target[others], _constant(material, others)))
        gap, score = self._gap(mine, said, elsewhere, self._looks)
        harm = gain_among(metric, material.target[others], said[others], self._whole[others], looks=self._looks)
        lean = _lean(gap, harm, skill)
        says = "" if score is not None else "the metric is not defined on it"
        part = self._part(mine, said, elsewhere, skill) if lean is Lean.BAD else ""
        return _Looked(Tried(material.names[at], lean, score, gap, int(mine.sum()), says), harm, part)

    def _gap(self, rows: Flags, said: Floats, elsewhere: Score, looks: int) -> tuple[Span | None, Score | None]:
        """Return how much better the booster is on some rows than elsewhere; None where that is not defined."""
        target = self._material.target[rows]
        if target.size < _FEWEST_ROWS_OF_PART or not np.isfinite(self._metric(target, said[rows])):
            return None, None
        score = score_with_interval(self._metric, target, said[rows])
        value = self._metric.gain(score.value, elsewhere.value)
        half = 0.5 * float(np.hypot(score.high - score.low, elsewhere.high - elsewhere.low))
        return among(Span(value, value - half, value + half), looks), score

    def _part(self, mine: Flags, said: Floats, elsewhere: Score, skill: float) -> str:
        """Say which quarters of a batch are at fault, where that can be told and it is not all of them."""
        quarters = [np.isin(np.arange(mine.size), part) for part in np.array_split(np.flatnonzero(mine), _PARTS)]
        bad = []
        for number, rows in enumerate(quarters):
            gap, _ = self._gap(rows, said, elsewhere, _PARTS)
            if gap is None:
                return ""
            if gap.high < -_CONTRADICTS * skill:
                bad.append(number)
        if not bad or len(bad) == _PARTS or bad != list(range(bad[0], bad[-1] + 1)):
            return ""
        return f" They lie from {bad[0] / _PARTS:.0%} to {(bad[-1] + 1) / _PARTS:.0%} of it."

    def _predicted(self, learned: Flags) -> Floats:
        """Return what a booster that learned some rows, but none that is held out, says of every row."""
        material = self._material
        at = learned & ~material.held
        booster = quick_booster(
            material.matrix[at],
            material.target[at],
            material.task,
            material.classes,
            rounds=_ROUNDS,
            seed=material.seed,
        )
        return booster.predict(material.matrix)


def _lean(gap: Span | None, harm: Span, skill: float) -> Lean:
    if gap is None:
        return Lean.OPEN
    if gap.high < -_CONTRADICTS * skill or (gap.high < 0.0 and harm.low > 0.0):
        return Lean.BAD
    return Lean.GOOD if gap.low > -_CONTRADICTS * skill else Lean.OPEN


def _constant(material: Material, rows: Flags) -> Floats:
    """Return what a model without features says of some rows: the shares of the classes, or the mean."""
    target = material.target[rows]
    if not material.task.is_classification:
        return np.full(target.size, float(target.mean()))
    return np.tile(np.bincount(target, minlength=material.classes) / target.size, (target.size, 1))


def _chosen(clean: pl.DataFrame, time: str | None, seed: int) -> pl.DataFrame:
    """Return the rows in the order of time, at most so many, each with its `_place` among all."""
    ordered = clean if time is None else clean.sort(time, nulls_last=False, maintain_order=True)
    numbered = ordered.with_row_index("_place")
    if numbered.height <= _MOST_ROWS:
        return numbered
    kept = np.random.default_rng((seed, 18)).choice(numbered.height, _MOST_ROWS, replace=False)
    return numbered[np.sort(kept)]


def _name(rows: pl.DataFrame, mine: Flags, time: str | None, at: int) -> str:
    part = rows.filter(pl.Series(mine))
    first, last = int(part["_place"][0]) + 1, int(part["_place"][-1]) + 1
    span = "" if time is None else f", {str(part[time][0])[:16]} to {str(part[time][-1])[:16]}"
    return f"batch {at + 1} (rows {first:,} to {last:,}{span})"


def _end(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    if not text.isdecimal() or not 1 <= int(text) <= BATCHES:
        raise ConfigError(
            f"{text!r} is no batch.", where="--good, --bad", hint=f"Name batches by number: 1 to {BATCHES}."
        )
    return int(text)
