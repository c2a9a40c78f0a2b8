"""What speaks against a version before outcomes are known: failed answers, slow rows, answers that collapsed or moved.

Whatever other rows explain is no fault of the version: where the other version's answers to the same rows do likewise,
it is told and does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

import numpy as np
import orjson
import polars as pl

from tenure.core.data import Schema
from tenure.core.errors import TenureError
from tenure.core.evidence import Finding, Measurement, Threshold
from tenure.core.modelling import Floats, Task
from tenure.engine.pairs import Voice, unanswered
from tenure.engine.workspace import Workspace
from tenure.monitoring.evidence import evidence
from tenure.monitoring.figures import figure
from tenure.monitoring.inputs import PREDICTION
from tenure.monitoring.layout import layout_of
from tenure.monitoring.reference import Said
from tenure.monitoring.sketches import sketch

FAILED: Final = "failed answers"
ROW_TIME: Final = "row time"
COLLAPSE: Final = "collapse"
MOVED: Final = "answers moved"
DISAGREEMENT: Final = "disagreement"
_LEAST_ROWS: Final = 200
_TRIED_ROWS: Final = 100
_MOST_LOST_SPREAD: Final = 0.75
_RIVAL_KEEPS: Final = 0.5
_MOVED_FAR: Final = 0.1
_RIVAL_EXPLAINS: Final = 0.5
_LEAST_SPREAD: Final = 0.2
_SLOWER: Final = 1.5
"""How many times as long as the rival a version has to take for it to be its fault."""
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


def tried(workspace: Workspace, voice: Voice, rival: Voice, rows: pl.DataFrame, *, allowed: float) -> Iterator[Finding]:
    """Yield what comes of asking a version for the latest of `rows` one by one: how many fail, how long a row takes.

    `allowed` is the share of failures that is no fault. Rows that were logged without what the model reads say nothing.
    Where a row takes too long the `rival` is asked for the same rows at the same time: a machine that is busy is slow
    with both.

    Raises:
        BundleError: the model of one of them is damaged.
    """
    sent = [orjson.loads(text) for text in workspace.traffic.with_sent(rows.sort("at").tail(_TRIED_ROWS))["features"]]
    asked = [row for row in sent if voice.reads(row)]
    tries = [_try(workspace, voice, row) for row in asked]
    if asked:
        said = next((one.said for one in reversed(tries) if one.said), "")
        yield _failed(voice, sum(one.failed for one in tries), len(asked), said, allowed=allowed)
    seconds = [one.seconds for one in tries if not one.said]
    if not seconds:
        return
    theirs = None
    if median(seconds) * 1_000 > workspace.project.serving.max_latency_ms:
        both = [(_try(workspace, voice, row), _try(workspace, rival, row)) for row in asked if rival.reads(row)]
        answered = [(ours.seconds, other.seconds) for ours, other in both if not ours.said and not other.said]
        if answered:
            seconds, others = (list(each) for each in zip(*answered, strict=True))
            theirs = median(others) * 1_000
    yield _row_time(workspace, voice, rival, median(seconds) * 1_000, theirs, len(seconds))


@dataclass(frozen=True, slots=True)
class _Try:
    """What came of asking for one row: `said` is the error that it ended with, `failed` that it gave no number."""

    seconds: float
    failed: bool
    said: str = ""


def _try(workspace: Workspace, voice: Voice, row: dict[str, Any]) -> _Try:
    started = workspace.context.timer()
    try:
        answer = voice.scorer.answers([row])[0]
    except TenureError as error:
        return _Try(workspace.context.timer() - started, failed=True, said=error.message)
    seconds = workspace.context.timer() - started
    numbers = answer.probabilities or (answer.prediction,)
    whole = all(isinstance(number, float | int) and np.isfinite(number) for number in numbers)
    return _Try(seconds, failed=not whole)


def empty_answers(voice: Voice, said: Floats, *, allowed: float) -> Finding | None:
    """Return how many of the answers that a version gave hold no number; None without any answer."""
    if not len(said):
        return None
    return _failed(voice, int(unanswered(said).sum()), len(said), "", allowed=allowed)


def _failed(voice: Voice, failed: int, rows: int, said: str, *, allowed: float) -> Finding:
    label = voice.version.label
    told = (
        f"{label} answers all of {rows:,} rows."
        if not failed
        else f"{label} gives no answer to {failed:,} of {rows:,} rows."
    )
    measured = Measurement(
        FAILED,
        failed / rows,
        says=f"{told} {said}".strip(),
        hint="Look at the rows in the log, and at what the model reads.",
        evidence={"failed": failed, "rows": rows, "version": voice.version.number},
    )
    return Threshold(warn=0.0, fail=allowed).judge(measured, check=FAILED)


def _row_time(
    workspace: Workspace, voice: Voice, rival: Voice, milliseconds: float, theirs: float | None, rows: int
) -> Finding:
    limit = workspace.project.serving.max_latency_ms
    is_ours = theirs is not None and milliseconds > _SLOWER * theirs
    told = f"{voice.version.label} takes {figure(milliseconds)} ms for a row; it may take {figure(limit)}"
    if theirs is not None:
        told += f", and {rival.version.label} takes {figure(theirs)} for the same"
    measured = Measurement(
        ROW_TIME,
        milliseconds,
        says=f"{told}.",
        hint="Is this machine busy? Else raise serving.max_latency_ms, or leave slow families out of training.",
        evidence={"rows": rows, "limit_ms": limit, "rival_ms": theirs, "version": voice.version.number},
    )
    return Threshold(warn=limit, fail=2 * limit if is_ours else float("inf")).judge(measured, check=ROW_TIME)


def collapse(voice: Voice, rival: Voice, said: Floats, other: Floats, *, is_fit: bool = False) -> Finding | None:
    """Return whether a version's answers to some rows still vary as they did when it was made.

    `said` and `other` are the answers of both to the same rows; fewer than 200 say nothing (None). `is_fit` says that
    outcomes speak for the version already: then it is told, and does not count.
    """
    whole = ~unanswered(said)
    if whole.sum() < _LEAST_ROWS or not (usual := _usual(voice)) > 0:
        return None
    kept = _spread(said[whole]) / usual
    both = whole & ~unanswered(other)
    theirs = _usual(rival)
    rival_keeps = _spread(other[both]) / theirs if both.sum() >= _LEAST_ROWS and theirs > 0 else None
    is_ours = rival_keeps is None or rival_keeps >= _RIVAL_KEEPS
    told = f"The answers of {voice.version.label} spread {kept:.0%} as far as when it was made"
    if not is_ours:
        told += f"; those of {rival.version.label} to the same rows do likewise, so it is the rows"
    measured = Measurement(
        COLLAPSE,
        1.0 - kept,
        says=f"{told}.",
        hint="Look at what comes in: does it say the same of everything?",
        evidence={"kept": kept, "rival_keeps": rival_keeps, "rows": int(whole.sum()), "version": voice.version.number},
    )
    limit = _MOST_LOST_SPREAD
    return Threshold(warn=limit, fail=limit if is_ours and not is_fit else float("inf")).judge(measured, check=COLLAPSE)


def _usual(voice: Voice) -> float:
    """Return the least spread of its answers when it was made; no less than a fifth of what was judged had.

    A correction for a world that can hardly be told draws answers together; what says the same of all is no correction.
    """
    spreads = [_spread(said) for said in voice.when_made]
    return max(min(spreads), _LEAST_SPREAD * spreads[0])


def _spread(answers: Floats) -> float:
    """Return the standard deviation of answers, over all classes."""
    each = answers if answers.ndim == 2 else answers[:, None]
    return float(np.sqrt(np.mean(np.var(each, axis=0)))) if len(answers) else 0.0


def moved(voice: Voice, rival: Voice, said: Floats, other: Floats, *, is_fit: bool = False) -> Finding | None:
    """Return how far a version's answers moved from those that it gave when it was made (index less its bias).

    Where the answers of the other version to the same rows moved half as far from its own, the rows explain it.
    `is_fit` as in `collapse`.
    """
    ours, theirs = _index(voice, said), _index(rival, other)
    if ours is None:
        return None
    explained = theirs is not None and theirs >= _RIVAL_EXPLAINS * ours
    label = voice.version.label
    told = f"The answers of {label} moved by {figure(max(ours, 0.0))} from those that it gave when it was made"
    if explained and ours > _MOVED_FAR and theirs is not None:
        told += f"; those of {rival.version.label} to the same rows by {figure(theirs)}, so it is the rows"
    measured = Measurement(
        MOVED,
        max(ours, 0.0),
        says=f"{told}.",
        hint="Compare the rows that come with those that it learned from: tenure diagnose",
        evidence={"rival": theirs, "rows": len(said), "version": voice.version.number},
    )
    limit = float("inf") if explained or is_fit else _MOVED_FAR
    return Threshold(warn=_MOVED_FAR, fail=limit).judge(measured, check=MOVED)


def _index(voice: Voice, said: Floats) -> float | None:
    """Return the population stability index of answers against the nearest of those when the version was made.

    None where it cannot be told.
    """
    told = [_stability(voice, before, said) for before in voice.when_made]
    return min((index for index in told if index is not None), default=None)


def _stability(voice: Voice, made: Floats, said: Floats) -> float | None:
    task = Task(voice.board.task)
    names = tuple(f"class {code}" for code in range(made.shape[-1]))
    how = Said(task, names if task.is_classification else ())
    before, now = (pl.DataFrame(how.columns(answers)).select(PREDICTION) for answers in (made, said))
    layout = layout_of(before, Schema(how.schema(Schema(())).columns[:1]))
    known, new = (sketch(rows, layout, start=_NO_TIME, end=_NO_TIME) for rows in (before, now))
    found = evidence(known, new, layout)[0]
    return None if found.skipped is not None else found.psi.value


def disagreement(workspace: Workspace, voice: Voice, rival: Voice, said: Floats, other: Floats) -> Finding | None:
    """Return how often, or how far, two versions differ on the same rows; told, and never judged."""
    both = ~unanswered(said) & ~unanswered(other)
    if not both.any() or said.shape != other.shape:
        return None
    apart = np.abs(said[both] - other[both])
    one, two = voice.version.label, rival.version.label
    if workspace.project.project.task is Task.REGRESSION:
        value = float(np.mean(apart))
        says = f"{one} and {two} differ by {figure(value)} on average, on {both.sum():,} rows."
    else:
        value = float(np.mean(_decided(voice, said[both]) != _decided(rival, other[both])))
        says = f"{one} and {two} decide {value:.1%} of {both.sum():,} rows differently."
    measured = Measurement(
        DISAGREEMENT, value, says=says, evidence={"rows": int(both.sum()), "mean_difference": float(np.mean(apart))}
    )
    return Threshold(warn=float("inf")).judge(measured, check=DISAGREEMENT)


def _decided(voice: Voice, said: Floats) -> Floats:
    """Return the decision for each row, as a class code."""
    if said.shape[1] > 2:
        likeliest: Floats = said.argmax(axis=1).astype(np.float64)
        return likeliest
    bar = 0.5 if voice.board.threshold is None else voice.board.threshold
    yes: Floats = np.where(said[:, 1] >= bar, 1.0, 0.0)
    return yes
