"""Let recipes compete on the latest blocks: each probe learns what was known before the block, and answers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Deadline, Prober
from tenure.core.retraining import Recipe, Way
from tenure.model.correction import fit_correction
from tenure.retraining.history import History, Incumbent, Making, Terms
from tenure.retraining.making import correction_rows, make
from tenure.retraining.recipes import FEWEST_ROWS, learned_rows

CHUNKS: Final = 4
"""Stretches of rows in a block whose mean gains stand for it."""
FADE: Final = 0.7
"""A block counts so much less than the one after it: what is to come is more like the latest."""
HALF: Final = 0.5
"""What the half block counts: its rows."""
OPEN: Final = 0.5
"""How much a block counts when probes know all that is known now of earlier rows; the rest, when they know what was
known then. The first sees the latest change, the second the delay of outcomes."""
_BEFORE_DROPPING: Final = 2
_FAR: Final = 2.0
"""Standard errors behind the best from which a recipe is out."""


@dataclass(frozen=True, eq=False)
class Block:
    """Rows that judge, and what a probe may know: outcomes known by `cut`, of rows that happened before `until`.

    `standing` is the making of the model in office as it was before any outcome of the block was known. `weight` is how
    much the block counts.
    """

    rows: Indices
    cut: int
    until: int
    standing: tuple[Making, ...]
    weight: float


@dataclass(eq=False)
class Entry:
    """One recipe in the contest: its mean gains by block and chunk (None where it did not run), and why it left."""

    recipe: Recipe
    gains: list[Floats | None] = field(default_factory=list)
    dropped: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Contest:
    """What all recipes share: the rows, the model in office and those before it, who makes probes, and the terms."""

    history: History
    incumbent: Incumbent
    former: tuple[Incumbent, ...]
    prober: Prober
    terms: Terms


def blocks_of(contest: Contest, now: int, *, since: int | None = None) -> list[Block]:
    """Return the blocks that judge, newest first: windows with known outcomes that are new to the model in office.

    The first is the second half of the newest window, for which probes know the first half: after a sudden change
    nothing else can tell so soon what learning the new rows is worth. Blocks of which a probe could not know anything
    after `since` are left out.
    """
    history, incumbent = contest.history, contest.incumbent
    blocks: list[Block] = []
    for back, at in enumerate(history.ripe(now)[::-1][: contest.terms.blocks]):
        rows = history.rows_of(at)
        rows = rows[history.known[rows] <= now]
        first_known, start = int(history.known[rows].min()), int(history.times[rows[0]])
        if at == 0 or first_known <= incumbent.learned:
            break
        standing = incumbent.as_of(first_known)
        half, weight = rows[len(rows) // 2 :], FADE**back
        if back == 0 and len(half) >= FEWEST_ROWS:
            blocks.append(Block(half, now, int(history.times[half[0]]), standing, HALF))
        blocks.append(Block(rows, now, start, standing, OPEN * weight))
        cut = int(history.ends[at - 1])
        if first_known > start and history.place(cut) > history.place(incumbent.learned):
            blocks.append(Block(rows, cut, start, incumbent.as_of(cut), (1 - OPEN) * weight))
    return [block for block in blocks if since is None or min(block.cut, block.until) > since]


def compete(
    contest: Contest,
    recipes: Sequence[Recipe],
    blocks: Sequence[Block],
    *,
    deadline: Deadline | None = None,
    threads: int = 1,
) -> list[Entry]:
    """Return how every recipe did on the blocks, as many as the time allows; the first block always runs.

    After two blocks recipes leave that are worse than the best by two standard errors (successive elimination). A probe
    that cannot be made raises what its prober raised.
    """
    entries = [Entry(recipe) for recipe in recipes]
    with ThreadPoolExecutor(threads) as pool:
        for number, block in enumerate(blocks):
            if number and deadline is not None and deadline.passed:
                break
            judge = _judge(contest, block, deadline)
            for entry, gains in zip(entries, pool.map(judge, entries), strict=True):
                entry.gains.append(gains)
            if number + 1 >= _BEFORE_DROPPING:
                _drop_the_hopeless(entries)
    return entries


def _judge(contest: Contest, block: Block, deadline: Deadline | None) -> Callable[[Entry], Floats | None]:
    """Return what gives the mean gain of each chunk of a block; None where the recipe means nothing there."""
    history = contest.history
    standing = make(history, block.standing, contest.prober, most=contest.terms.most_rows)
    before = history.loss(block.rows, standing.predict(history.problem.matrix[block.rows]))

    def gains_of(entry: Entry) -> Floats | None:
        if entry.dropped:
            return None
        began = deadline.now if deadline is not None else 0.0
        gains = _gains(contest, block, entry.recipe, before)
        entry.seconds += deadline.now - began if deadline is not None else 0.0
        return None if gains is None else _chunks(gains)

    return gains_of


def _gains(contest: Contest, block: Block, recipe: Recipe, before: Floats) -> Floats | None:
    """Return the gain of each row of the block; None where the recipe means nothing there."""
    history, most = contest.history, contest.terms.most_rows
    if recipe.way is Way.RECALIBRATE and contest.incumbent.answers is not None:
        return _own_gains(contest, contest.incumbent.answers, block, recipe)
    making = _making(contest, block, recipe)
    if making is None:
        return None
    if recipe.way is Way.REFIT:
        learned, _ = learned_rows(history, recipe, block.cut, until=block.until, most=most)
        if len(learned) < FEWEST_ROWS:
            return None
    until = None if recipe.way is Way.RESTORE else block.until
    probe = make(history, making, contest.prober, until=until, most=most)
    return before - history.loss(block.rows, probe.predict(history.problem.matrix[block.rows]))


def _making(contest: Contest, block: Block, recipe: Recipe) -> tuple[Making, ...] | None:
    """Return how a recipe makes a model for the block; None where it would bring back what knows the block."""
    if recipe.way is Way.REFIT:
        return (Making(recipe, block.cut),)
    if recipe.way is not Way.RESTORE:
        return (*block.standing, Making(recipe, block.cut))
    former = next(version for version in contest.former if version.version == recipe.version)
    return former.making if former.making[-1].as_of < contest.history.known[block.rows].min() else None


def _own_gains(contest: Contest, answers: Floats, block: Block, recipe: Recipe) -> Floats | None:
    """Return what a correction gains on answers as they were given, NaN where they are not known."""
    history = contest.history
    given = np.isfinite(answers if answers.ndim == 1 else answers[:, 0])
    known = correction_rows(
        history, contest.incumbent.learned, block.cut, until=block.until, most=contest.terms.most_rows
    )
    known, asked = known[given[known]], given[block.rows]
    if len(known) < FEWEST_ROWS or not asked.any():
        return None
    rows = block.rows[asked]
    correction = fit_correction(history.problem.target[known], answers[known], level_only=recipe.mix is not None)
    gains = np.full(len(block.rows), np.nan)
    gains[asked] = history.loss(rows, answers[rows]) - history.loss(rows, correction.apply(answers[rows]))
    return gains


def _chunks(gains: Floats) -> Floats:
    """Return the mean gain of each stretch of rows, NaN where a stretch has none."""
    parts = np.array_split(gains, CHUNKS)
    return np.array([np.nanmean(part) if np.isfinite(part).any() else np.nan for part in parts])


def _drop_the_hopeless(entries: Sequence[Entry]) -> None:
    """Drop recipes that are worse than the best by two standard errors of their paired difference."""
    alive = [entry for entry in entries if not entry.dropped and any(part is not None for part in entry.gains)]
    if not alive:
        return
    best = max(alive, key=lambda entry: float(np.nanmean([part for part in entry.gains if part is not None])))
    for entry in alive:
        pairs = [(b, e) for b, e in zip(best.gains, entry.gains, strict=True) if b is not None and e is not None]
        if entry is best or not pairs:
            continue
        apart = np.concatenate([b - e for b, e in pairs])
        apart = apart[np.isfinite(apart)]
        error = apart.std(ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.inf
        if apart.mean() > _FAR * error:
            entry.dropped = f"worse than {best.recipe.name} by two standard errors after {len(pairs)} blocks"
