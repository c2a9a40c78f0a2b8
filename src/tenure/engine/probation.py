"""Watch a version that took office lately: back to the one before, where late outcomes or guards speak against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from tenure.core.errors import ArtifactError, BundleError
from tenure.core.evidence import Finding, blocking
from tenure.core.lifecycle import Alias, AliasMove, ModelVersion
from tenure.engine.guards import collapse, empty_answers, tried
from tenure.engine.logged_rows import excluded_periods
from tenure.engine.pairs import Voice, pairs_of, rows_since
from tenure.engine.sequential import ROLLBACK_BAR, harm_finding, speaks_for
from tenure.engine.spans import Pace, pace_of
from tenure.engine.workspace import Workspace

_SAMPLE: Final = 2_000
_FAILURES_ALLOWED: Final = 0.01
_LONGEST_DELAY: Final = 26.0


@dataclass(frozen=True, slots=True)
class Term:
    """A version in office since `since`, that follows `previous` and never held the office before."""

    champion: ModelVersion
    previous: ModelVersion
    since: datetime


def probation(workspace: Workspace) -> Finding | None:
    """Return the gravest that speaks for giving the office back to the previous version, or None.

    For `operations.horizon` windows after a version took office for the first time, and until the outcomes of what it
    said in them are known: its failed answers, row time and collapse; then what it loses against the previous version
    on its own rows, by a test that may be looked at any time and is wrong in one of 100 terms at most.
    """
    term = term_of(workspace)
    if term is None:
        return None
    pace, horizon = pace_of(workspace), workspace.project.operations.horizon
    lasts = horizon + min(1.0 + (pace.delay or 0.0), _LONGEST_DELAY)
    if _at_least(workspace, term, pace) > lasts:
        return None
    rows = rows_since(workspace, (term.champion,), term.since)
    if pace.passed(rows, term.since, workspace.context.clock()) > lasts:
        return None
    own = _within(rows, term, pace, horizon)
    if own.is_empty():
        return None
    one, other = Voice(workspace, term.champion), Voice(workspace, term.previous)
    try:
        told = _outcomes(workspace, one, other, own)
        stopped = blocking((*_guards(workspace, one, other, own, is_fit=speaks_for(told)), *told))
    except (BundleError, ArtifactError) as error:  # nowhere to go back to, or nothing to compare with
        workspace.context.log.note(f"v{term.champion.number} cannot be held against v{term.previous.number}: {error}")
        return None
    return _marked(stopped[0], term) if stopped else None


def term_of(workspace: Workspace) -> Term | None:
    """Return the term of the version in office where it holds it for the first time and followed another."""
    champion, previous = (workspace.registry.holder(alias) for alias in (Alias.CHAMPION, Alias.PREVIOUS))
    if champion is None or previous is None:
        return None
    moves = [move for move in workspace.registry.moves() if move.alias is Alias.CHAMPION]
    return _term(champion, previous, moves)


def _term(champion: ModelVersion, previous: ModelVersion, moves: Sequence[AliasMove]) -> Term | None:
    took = [move for move in moves if move.after == champion.number]
    if len(took) != 1 or took[0].before != previous.number:
        return None
    return Term(champion, previous, datetime.fromisoformat(took[0].at))


def _at_least(workspace: Workspace, term: Term, pace: Pace) -> float:
    """Return how many windows of the term have passed at least, without reading all that was said in them."""
    size = pace.monitoring.window_rows
    if size is None:
        return pace.passed(pl.DataFrame(), term.since, workspace.context.clock())
    traffic, number = workspace.traffic, term.champion.number
    without = traffic.quarantined_count() + sum(
        traffic.joined(
            since=period.begin, until=period.end, version=number, features=False, said_since=term.since
        ).height
        for period in excluded_periods(workspace)
        if period.end > term.since
    )
    return (traffic.answered_since(number, term.since)[0] - without) / size


def _within(rows: pl.DataFrame, term: Term, pace: Pace, horizon: int) -> pl.DataFrame:
    """Return what was said in the windows of the probation."""
    size = pace.monitoring.window_rows
    if size is not None:
        return rows.sort("at", "id").head(horizon * size)
    return rows.filter(pl.col("at") < term.since + timedelta(seconds=horizon * (pace.seconds or 0.0)))


def _guards(workspace: Workspace, one: Voice, other: Voice, own: pl.DataFrame, *, is_fit: bool) -> Iterator[Finding]:
    """Yield what its answers tell before any outcome is known; `is_fit` where outcomes speak for it already."""
    latest = own.sort("at").tail(_SAMPLE)
    yield from tried(workspace, one, other, latest, allowed=_FAILURES_ALLOWED)
    said = one.logged(latest)
    for found in (
        empty_answers(one, said, allowed=_FAILURES_ALLOWED),
        collapse(one, other, said, other.answers(latest), is_fit=is_fit),
    ):
        if found is not None:
            yield found


def _outcomes(workspace: Workspace, one: Voice, other: Voice, own: pl.DataFrame) -> tuple[Finding, ...]:
    return harm_finding(workspace, one, other, pairs_of(workspace, own, one, other, None), bar=ROLLBACK_BAR)


def _marked(finding: Finding, term: Term) -> Finding:
    """Note in a finding which term it befell, so that the same one later is known for the same."""
    marks = {
        "version": term.champion.number,
        "previous": term.previous.number,
        "since": term.since.isoformat(),
    }
    return replace(finding, measurement=replace(finding.measurement, evidence=finding.measurement.evidence | marks))
