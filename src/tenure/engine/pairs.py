"""The same logged rows as two versions answer them: what the log holds, and for the rest the models are asked again.

Every logged row keeps its features, so a row counts for both versions whichever answered it. That tells much more than
to compare rows of one with other rows of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np
import orjson
import polars as pl

from tenure.core.errors import ArtifactError
from tenure.core.lifecycle import ModelVersion
from tenure.core.metrics import Targets
from tenure.core.modelling import Floats, Indices, Leaderboard, Task
from tenure.core.value import Flags
from tenure.engine.logged_rows import excluded_periods
from tenure.engine.routing import falls_within
from tenure.engine.workspace import Workspace
from tenure.model.scorer import Scorer
from tenure.monitoring.realised import Answered, moments_of, reference_answers, usable

_MOST_ROWS: Final = 20_000
_NEWEST_OF: Final = 4
_LEAST_NEWEST: Final = 200
_MOST_NEWEST: Final = 2_000


class Voice:
    """One version: its model, what it promised when it was made, and what it says of logged rows."""

    def __init__(self, workspace: Workspace, version: ModelVersion) -> None:
        self.version = version
        self._workspace = workspace

    @cached_property
    def scorer(self) -> Scorer:
        """Return its model.

        Raises:
            BundleError: it is damaged.
        """
        return self._workspace.scorer(self.version)

    @cached_property
    def board(self) -> Leaderboard:
        """Return the leaderboard that it came out of.

        Raises:
            ArtifactError: it is gone or damaged.
        """
        return self._workspace.context.artifacts.get_record(Leaderboard, self.version.leaderboard)

    @cached_property
    def promise(self) -> Answered:
        """Return its answers to rows that it had not learned from; errors as in `board`."""
        return reference_answers(
            self._workspace.context.artifacts.get_table(self.board.oof), task=Task(self.board.task)
        )

    @cached_property
    def when_made(self) -> tuple[Floats, ...]:
        """Return what it, or what was judged in its stead, said when it was made: whatever fits one of these is usual.

        These are the answers of `promise`. Where it was made for a world that changed, they are those to the newest
        judged rows alone, and its own to the same rows: what was judged had not learned from them, and knew the new
        world less. Errors as in `board`.
        """
        if not self.board.recipe:
            return (self.promise.predicted,)
        artifacts = self._workspace.context.artifacts
        oof = artifacts.get_table(self.board.oof)
        judged = oof.filter("reported") if oof["reported"].any() else oof
        newest = judged.sort("row").tail(min(max(judged.height // _NEWEST_OF, _LEAST_NEWEST), _MOST_NEWEST))
        said = reference_answers(newest, task=Task(self.board.task)).predicted
        rows = self._clean()
        if rows is None or not self._inputs <= set(rows.columns):
            return (said,)
        return said, self.scorer.raw(rows[newest["row"].cast(pl.Int64)])

    def _clean(self) -> pl.DataFrame | None:
        """Return the rows that it was made from, where they are still kept."""
        try:
            return self._workspace.context.artifacts.get_table(self.board.clean) if self.board.clean else None
        except ArtifactError:
            return None

    def logged(self, rows: pl.DataFrame, beside: pl.DataFrame | None = None) -> Floats:
        """Return its answers to rows of `Traffic.joined` as the log holds them, (n, k) or (n,), else NaN.

        `beside` holds what it said in a shadow, as `Traffic.shadowed` gives it.
        """
        said = _logged(rows, self._names)
        said[(rows["version"] != self.version.number).to_numpy()] = np.nan
        if beside is not None and beside.height:
            places, found = _places(rows, beside["id"])
            said[places] = _shadowed(beside[found], len(self._names))
        return said[:, 0] if self._is_value else said

    def answers(self, rows: pl.DataFrame, beside: pl.DataFrame | None = None) -> Floats:
        """Return the same, and ask the model for what the log does not hold.

        NaN stays where a row left the log, or was logged without a column that the model reads.
        """
        said = self.logged(rows, beside)
        missing = np.flatnonzero(unanswered(said))
        if missing.size:
            found = self._readable(self._workspace.traffic.with_sent(rows[missing]))
            if found.height:
                frame = self._workspace.traffic.features(found, self.scorer.model.schema.columns)
                places, order = _places(rows, found["id"])
                said[places] = self.scorer.raw(frame)[order]
        return said

    def reads(self, sent: dict[str, Any]) -> bool:
        """Say whether what was logged of a row is all that the model reads."""
        return self._inputs <= sent.keys()

    @cached_property
    def _inputs(self) -> frozenset[str]:
        return frozenset(self.scorer.model.plan.inputs)

    def _readable(self, found: pl.DataFrame) -> pl.DataFrame:
        return found.filter(pl.Series([self.reads(orjson.loads(text)) for text in found["features"]], dtype=pl.Boolean))

    @property
    def _is_value(self) -> bool:
        return Task(self.board.task) is Task.REGRESSION

    @cached_property
    def _names(self) -> list[str]:
        return ["value"] if self._is_value else [f"p_{code}" for code in range(self.promise.predicted.shape[1])]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Rows whose outcome is known, in the order in which it became so, with the answers of two versions.

    `target` holds class codes or values, `one` and `other` answers (n, k) or (n,); `event_at` (seconds since 1970) is
    what time a row is about, `said_at` when it was answered. `share` is the part of all such rows that is here;
    `is_comparable` says that the two answer the same question.
    """

    target: Targets
    one: Floats
    other: Floats
    event_at: Floats
    said_at: Floats
    share: float = 1.0
    is_comparable: bool = True

    def __len__(self) -> int:
        return len(self.target)


def rows_since(workspace: Workspace, versions: Sequence[ModelVersion], since: datetime) -> pl.DataFrame:
    """Return what these versions said since then, as `Traffic.joined` gives it without features.

    Rows of times that nothing is learned from (broken feeds) tell nothing of a version either.
    """
    rows = workspace.traffic.joined(features=False, said_since=since)
    told = pl.col("version").is_in([version.number for version in versions])
    for period in excluded_periods(workspace):
        told &= ~pl.col("event_at").is_between(period.begin, period.end, closed="left")
    return rows.filter(told)


def pairs_of(workspace: Workspace, rows: pl.DataFrame, one: Voice, other: Voice, beside: pl.DataFrame | None) -> Pairs:
    """Return the rows whose outcome is known with the answers of both; `beside` is what `one` said in a shadow.

    Of several classes a version gives those that it does not know no chance at all, so that versions of before and
    after a class came up or went can be held against each other. Yes and no of other names are another question: then
    there is no row, and `is_comparable` is false. Of more than 20,000, a share of the ids is taken that halves until
    they fit: always the same rows, and whoever looks again later finds them in the same order.

    Raises:
        BundleError, ArtifactError: a version has to be asked, and its model is damaged.
    """
    task, mine, its = workspace.project.project.task, one.scorer.model.classes, other.scorer.model.classes
    classes = (*mine, *(name for name in its if name not in mine))
    is_comparable = task is Task.MULTICLASS or mine == its
    known = _known(rows if is_comparable else rows.clear(), task, classes)
    known, share = _few(known.sort("known_at", "event_at", "id"))
    ours, theirs = _over(one.answers(known, beside), mine, classes), _over(other.answers(known), its, classes)
    kept = np.flatnonzero(~unanswered(ours) & ~unanswered(theirs))
    known = known[kept]
    return Pairs(
        target=known["outcome"].to_numpy(),
        one=ours[kept],
        other=theirs[kept],
        event_at=moments_of(known["event_at"]),
        said_at=moments_of(known["at"]),
        share=share,
        is_comparable=is_comparable,
    )


def _known(rows: pl.DataFrame, task: Task, classes: tuple[str, ...]) -> pl.DataFrame:
    """Return the rows with a usable outcome as a code of `classes`; what was logged of their answers stays."""
    if task is Task.REGRESSION:
        return usable(rows, task=task, classes=classes)
    anything = [pl.lit(0.0).alias(f"p_{code}") for code in range(len(classes))]
    codes = usable(rows.with_columns(anything), task=task, classes=classes).select("id", "outcome")
    return rows.drop("outcome").join(codes, on="id", how="inner", maintain_order="left")


def _over(said: Floats, known: tuple[str, ...], classes: tuple[str, ...]) -> Floats:
    """Return answers with the chances of all `classes`: none for those that the version does not know."""
    if known == classes:
        return said
    wide = np.zeros((len(said), len(classes)))
    wide[:, [classes.index(name) for name in known]] = said
    return wide


def unanswered(said: Floats) -> Flags:
    """Return which answers, (n, k) or (n,), hold no number."""
    missing = np.isnan(said)
    return missing if said.ndim == 1 else np.asarray(missing.any(axis=1))


def _few(rows: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    share = 1.0
    while rows.height > _MOST_ROWS:
        share /= 2
        rows = rows.filter(pl.Series([falls_within(share, ident) for ident in rows["id"]], dtype=pl.Boolean))
    return rows, share


def _logged(rows: pl.DataFrame, names: Sequence[str]) -> Floats:
    if not set(names) <= set(rows.columns):
        return np.full((rows.height, len(names)), np.nan)
    said: Floats = rows.select(pl.col(names).cast(pl.Float64).fill_null(float("nan"))).to_numpy().copy()
    return said


def _shadowed(beside: pl.DataFrame, width: int) -> Floats:
    if width == 1:
        values: Floats = beside["shadow_value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return values[:, None]
    chances = [beside["shadow_probabilities"].list.get(code, null_on_oob=True) for code in range(width)]
    return np.column_stack([chance.cast(pl.Float64).fill_null(float("nan")).to_numpy() for chance in chances])


def _places(rows: pl.DataFrame, ids: pl.Series) -> tuple[Indices, Indices]:
    """Return at which places of `rows` the `ids` are found, and at which places of `ids`."""
    here = pl.DataFrame({"id": rows["id"]}).with_row_index("place")
    there = pl.DataFrame({"id": ids}).with_row_index("found")
    both = here.join(there, on="id", how="inner", maintain_order="left")
    return both["place"].cast(pl.Int64).to_numpy(), both["found"].cast(pl.Int64).to_numpy()
