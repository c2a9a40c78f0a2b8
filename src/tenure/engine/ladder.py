"""Climb: judge the version on the ladder by what live traffic tells of it, and move it up, leave it, or take it off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from tenure.core.errors import ArtifactError, BundleError
from tenure.core.evidence import Finding, Measurement, Threshold, blocking
from tenure.core.ladder import Rung, Step
from tenure.core.lifecycle import Alias
from tenure.engine.guards import collapse, disagreement, empty_answers, moved, tried
from tenure.engine.pairs import Pairs, Voice, pairs_of, rows_since
from tenure.engine.sequential import CANARY_BAR, harm_finding, leads, speaks_for
from tenure.engine.spans import Pace, pace_of
from tenure.engine.workspace import Workspace
from tenure.release.climbing import Place, place_above, rise, withdraw
from tenure.state.ladder import Ladder, overtaken

ROWS: Final = "rows"
TIME: Final = "time"
_LEAST_ROWS: Final = 100
_SAMPLE: Final = 2_000
_REMEMBERED: Final = 50
_OF_SHARE: Final = 5.0


def climb(workspace: Workspace, *, may_rise: bool = True, may_withdraw: bool = True) -> tuple[Rung, ...]:
    """Do with the version on the ladder what the evidence says, and return the steps that were taken: none or one.

    Nobody goes up where `may_rise` is false, and nobody is taken off where `may_withdraw` is: then it stays where it
    stands until a later look may. Called at every look, by one watcher at a time; a look that was killed is made up for
    by the next.
    """
    rung = Ladder(workspace.registry).standing()
    if rung is None:
        return ()
    ctx, registry = workspace.context, workspace.registry
    champion = registry.holder(Alias.CHAMPION)
    holder = None if champion is None else champion.number

    def off(because: str, evidence: Sequence[Finding] = ()) -> tuple[Rung, ...]:
        return _taken(withdraw(ctx, registry, rung, because=because, evidence=evidence)) if may_withdraw else ()

    if holder == rung.version:  # a person put it there meanwhile
        taken = rise(ctx, registry, rung, (Step.OFFICE, 1.0), evidence=(), why="The remaining steps were skipped.")
        return _taken(taken)
    if holder != rung.against:
        return off(overtaken(rung, holder))
    try:
        seen = judge(workspace, rung)
    except (BundleError, ArtifactError) as error:
        return off(f"it cannot be judged any further. {error.message}")
    if seen.against:
        return off(seen.against, seen.evidence)
    if not may_rise or not seen.is_enough:
        return ()
    try:
        taken = rise(ctx, registry, rung, seen.next, evidence=seen.evidence, why=seen.why)
    except BundleError as error:
        return off(error.message, seen.evidence)
    return _taken(taken)


def _taken(rung: Rung | None) -> tuple[Rung, ...]:
    return () if rung is None else (rung,)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the evidence says of a version on its step.

    `against` is why it has to go, empty where it has not; `is_enough` says that it may go up to `next`, and `why`
    what was done differently.
    """

    evidence: tuple[Finding, ...]
    next: Place
    against: str = ""
    is_enough: bool = False
    why: str = ""


def judge(workspace: Workspace, rung: Rung) -> Judgement:
    """Gather the evidence for and against the version that stands on `rung`; nothing is done.

    Raises:
        BundleError, ArtifactError: what is kept of one of the two versions is damaged.
    """
    sight = _look(workspace, rung)
    shown = sight.shown
    evidence = (*_enough(sight), *_without_outcomes(sight), *sight.harm)
    place = place_above(workspace.project.promotion, rung)
    stopped = blocking(evidence)
    if stopped:
        return Judgement(evidence, place, against=stopped[0].says)
    is_served = sight.in_earnest >= sight.wanted_in_earnest
    if is_served and shown.rows >= shown.wanted and shown.windows >= 1:
        return Judgement(evidence, place, is_enough=True)
    if is_served and leads(sight.harm) and sight.rows.height >= _LEAST_ROWS:
        why = f"It is better than v{rung.against} beyond chance on the same rows, and need not wait for more."
        return Judgement(evidence, place, is_enough=True, why=why)
    patience = workspace.project.promotion.patience
    if sight.waited < patience:
        return Judgement(evidence, place)
    came = f"{patience} windows brought {shown.rows:,} {shown.says}"
    if not is_served:
        came += f", of which it answered {sight.in_earnest:,} in earnest, as it drew few keys"
    if shown.rows >= _LEAST_ROWS:
        return Judgement(evidence, place, is_enough=True, why=f"{came}, and nothing speaks against it.")
    return Judgement(evidence, place, against=f"{came}, which is too few to tell anything.")


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the version has shown on its step: `rows` of the `wanted`, over so many `windows`; `says` what they are."""

    rows: int
    wanted: int
    windows: float
    says: str


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """What is looked at: both versions, what was said since the step began, and what came true of it."""

    workspace: Workspace
    rung: Rung
    one: Voice
    other: Voice
    rows: pl.DataFrame
    beside: pl.DataFrame
    waited: float
    shown: _Shown
    harm: tuple[Finding, ...]

    @property
    def in_earnest(self) -> int:
        """Return how many rows of its step it answered in earnest."""
        return int((self.rows["version"] == self.rung.version).sum())

    @property
    def wanted_in_earnest(self) -> float:
        """Return how many it has to: a fifth of its share, as keys differ, and one at least. None in the shadow."""
        return 0.0 if self.rung.step is Step.SHADOW else max(1.0, self.rung.share * self.rows.height / _OF_SHARE)


def _look(workspace: Workspace, rung: Rung) -> _Sight:
    one, other = (Voice(workspace, workspace.registry.version(number)) for number in (rung.version, rung.against))
    began = _moment(entered(Ladder(workspace.registry).rungs(limit=_REMEMBERED), rung).since)
    since = _moment(rung.since)
    rows = rows_since(workspace, (one.version, other.version), began)
    beside = workspace.traffic.shadowed(rung.version, features=False, said_since=began)
    pace = pace_of(workspace)
    pairs = pairs_of(workspace, rows, one, other, beside)
    here = rows.filter(pl.col("at") >= since)
    waited = pace.passed(here, since, workspace.context.clock())
    return _Sight(
        workspace,
        rung,
        one,
        other,
        here,
        beside,
        waited,
        _shown(workspace, rung, pace, here, pairs, waited),
        harm_finding(workspace, one, other, pairs, bar=CANARY_BAR),
    )


def entered(rungs: Sequence[Rung], rung: Rung) -> Rung:
    """Return the first step of the climb that led to `rung`, among all `rungs` (oldest first)."""
    first = rung
    for earlier in reversed(rungs):
        if (earlier.version, earlier.decision) != (rung.version, rung.decision) or earlier.step is Step.WITHDRAWN:
            break
        first = earlier
    return first


def _shown(workspace: Workspace, rung: Rung, pace: Pace, rows: pl.DataFrame, pairs: Pairs, waited: float) -> _Shown:
    promotion = workspace.project.promotion
    if rung.step is Step.SHADOW:
        return _Shown(rows.height, promotion.shadow_rows, waited, "rows beside it")
    nobody_can_tell = pace.delay is None and waited >= promotion.patience
    if pace.is_slow or nobody_can_tell:
        return _Shown(rows.height, promotion.canary_rows, waited, "rows, whose outcomes take too long to wait for")
    if not pairs.is_comparable:
        return _Shown(rows.height, promotion.canary_rows, waited, f"rows, which v{rung.against} answers in other words")
    since = _moment(rung.since)
    said_at = pairs.said_at[pairs.said_at >= since.timestamp()]
    known = round(said_at.size / pairs.share)
    latest = datetime.fromtimestamp(float(said_at.max()), UTC) if known else since
    size = workspace.project.monitoring.window_rows
    windows = known / size if size is not None else pace.passed(rows, since, latest)
    return _Shown(known, promotion.canary_rows, windows, "rows whose outcome is known")


def _enough(sight: _Sight) -> Iterator[Finding]:
    """Yield how much it has shown, of how much it has to show."""
    shown, label = sight.shown, sight.one.version.label
    measured = Measurement(
        ROWS,
        max(float(shown.wanted - shown.rows), 0.0),
        says=f"{label} has shown itself on {shown.rows:,} of {shown.wanted:,} {shown.says}.",
        evidence={
            "rows": shown.rows,
            "wanted": shown.wanted,
            "in_earnest": sight.in_earnest,
            "in_shadow": int(sight.rows["id"].is_in(sight.beside["id"].implode()).sum()),
        },
    )
    yield Threshold(warn=0.0).judge(measured, check=ROWS)
    passed = Measurement(
        TIME,
        max(1.0 - shown.windows, 0.0),
        says=f"They cover {shown.windows:.1f} windows; one is wanted.",
        evidence={"windows": shown.windows, "waited": sight.waited},
    )
    yield Threshold(warn=0.0).judge(passed, check=TIME)


def _without_outcomes(sight: _Sight) -> Iterator[Finding]:
    """Yield what its answers tell before any outcome is known."""
    one, other, rows = sight.one, sight.other, sight.rows.sort("at").tail(_SAMPLE)
    if rows.is_empty():
        return
    in_shadow = sight.rung.step is Step.SHADOW
    missing = rows.filter(~pl.col("id").is_in(sight.beside["id"].implode())) if in_shadow else rows
    yield from tried(sight.workspace, one, other, missing if missing.height else rows, allowed=0.0)
    own = rows if in_shadow else rows.filter(pl.col("version") == sight.rung.version)
    gave = one.logged(own.filter(pl.col("id").is_in(sight.beside["id"].implode())) if in_shadow else own, sight.beside)
    said, theirs = one.answers(rows, sight.beside), other.answers(rows)
    is_fit = speaks_for(sight.harm)
    found = (
        empty_answers(one, gave, allowed=0.0),
        collapse(one, other, said, theirs, is_fit=is_fit),
        moved(one, other, said, theirs, is_fit=is_fit) if sight.shown.windows >= 1 else None,
        disagreement(sight.workspace, one, other, said, theirs),
    )
    yield from (finding for finding in found if finding is not None)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
