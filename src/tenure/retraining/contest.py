"""Let recipes compete on the latest blocks: each probe learns what was known before the block, and answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Deadline, Prober
from tenure.core.retraining import Recipe, Way
from tenure.retraining.history import History, Incumbent, Making, Terms
from tenure.retraining.making import corrected, correction_rows, make
from tenure.retraining.recipes import FEWEST_ROWS, learned_rows

CHUNKS: Final = 4
"""Stretches of rows in a block whose mean gains stand for it."""
_BEFORE_DROPPING: Final = 2
_FAR: Final = 2.0
"""Standard errors behind the best from which a recipe is out."""


@dataclass(frozen=True, eq=False)
class Block:
    """Rows that judge, and what a probe may know of them: outcomes up to `cut`, of rows before `until`.

    `incumbent` is the making that stands for the model in office: its own where it is old enough to be judged there
    (`direct`), otherwise the same as many windows earlier, so that it is as old there as the model in office is now.
    """

    rows: Indices
    cut: int
    incumbent: tuple[Making, ...]
    direct: bool
    until: int | None = None


@dataclass(eq=False)
class Entry:
    """One recipe in the contest: its mean gains by block and chunk (None where it did not run), and why it left."""

    recipe: Recipe
    gains: list[Floats | None] = field(default_factory=list)
    dropped: str = ""
    seconds: float = 0.0


def blocks_of(history: History, incumbent: Incumbent, terms: Terms, now: int) -> list[Block]:
    """Return the blocks that judge, newest first.

    The newest is the second half of the latest ripe window, for which probes know the first half without delay: after a
    sudden change nothing else can tell what learning the new rows is worth. Then whole windows.
    """
    ripe = history.ripe(now)[::-1][: terms.blocks]
    blocks: list[Block] = []
    for at in ripe:
        rows = history.rows_of(at)
        rows = rows[history.known[rows] <= now]
        if not blocks and len(rows) >= 2 * FEWEST_ROWS // 2:
            half = rows[len(rows) // 2 :]
            if history.known[half].min() > incumbent.learned:
                blocks.append(Block(half, now, incumbent.making, True, until=int(history.times[half[0]])))
        if at == 0:
            continue
        cut = int(history.ends[at - 1])
        age = history.place(now) - history.place(incumbent.learned)
        aged = history.place(cut) - history.place(incumbent.learned)
        if aged >= max(age / 2, 1):
            told = tuple(step for step in incumbent.making if step.as_of <= cut)
            blocks.append(Block(rows, cut, told, True))
        else:
            earlier = _earlier(history, incumbent.making, now, cut)
            if earlier is not None:
                blocks.append(Block(rows, cut, earlier, False))
    return blocks


def _earlier(history: History, making: tuple[Making, ...], now: int, cut: int) -> tuple[Making, ...] | None:
    """Return the making moved back so that it looks at `cut` as it does now; None where history is too short."""
    back = history.place(now) - history.place(cut)
    moved = []
    for step in making:
        at = history.place(step.as_of) - back - 1
        if at < 0 or (history.known <= history.ends[at]).sum() < FEWEST_ROWS:
            return None
        moved.append(Making(step.recipe, int(history.ends[at])))
    return tuple(moved)


def compete(
    history: History,
    incumbent: Incumbent,
    recipes: Sequence[Recipe],
    blocks: Sequence[Block],
    prober: Prober,
    terms: Terms,
    *,
    former: Sequence[Incumbent] = (),
    deadline: Deadline | None = None,
) -> list[Entry]:
    """Return how every recipe did on the blocks, as many as the time allows; the newest block always runs."""
    entries = [Entry(recipe) for recipe in recipes]
    for number, block in enumerate(blocks):
        if number and deadline is not None and deadline.passed:
            break
        standing = make(history, block.incumbent, prober, most=terms.most_rows)
        answers = standing.predict(history.problem.matrix[block.rows])
        before = history.loss(block.rows, answers)
        for entry in entries:
            gains: Floats | None = None
            if not entry.dropped:
                began = deadline.now if deadline is not None else 0.0
                gains = _gains(history, incumbent, block, entry.recipe, prober, terms, before, former)
                entry.seconds += (deadline.now - began) if deadline is not None else 0.0
            entry.gains.append(gains)
        if number + 1 >= _BEFORE_DROPPING:
            _drop_the_hopeless(entries)
    return entries


def _gains(
    history: History,
    incumbent: Incumbent,
    block: Block,
    recipe: Recipe,
    prober: Prober,
    terms: Terms,
    before: Floats,
    former: Sequence[Incumbent],
) -> Floats | None:
    """Return the mean gain of each chunk of the block; None where the recipe means nothing there."""
    rows = block.rows
    if recipe.way is Way.RECALIBRATE and block.direct and incumbent.answers is not None:
        known = correction_rows(history, incumbent.learned, block.cut, until=block.until, most=terms.most_rows)
        own = _Said(incumbent.answers)
        fixed = corrected(history, own, recipe, known)
        raise NotImplementedError(fixed)
    if recipe.way is Way.RESTORE:
        if not block.direct:
            return None
        making = next(version.making for version in former if version.version == recipe.version)
        if making[-1].as_of > block.cut:
            return None
        probe = make(history, making, prober, most=terms.most_rows)
    else:
        step = Making(recipe, block.cut)
        if recipe.way is Way.REFIT:
            learned = learned_rows(history, recipe, block.cut, until=block.until, most=terms.most_rows)[0]
            if len(learned) < FEWEST_ROWS:
                return None
        making = (step,) if recipe.way is Way.REFIT else (*block.incumbent, step)
        probe = make(history, making, prober, until=block.until, most=terms.most_rows)
    after = history.loss(rows, probe.predict(history.problem.matrix[rows]))
    return np.array([part.mean() for part in np.array_split(before - after, min(CHUNKS, len(rows)))])


def _drop_the_hopeless(entries: Sequence[Entry]) -> None:
    """Drop recipes that are worse than the best by two standard errors of their paired difference."""
    alive = [entry for entry in entries if not entry.dropped and any(part is not None for part in entry.gains)]
    if not alive:
        return
    best = max(alive, key=lambda entry: np.mean(np.concatenate([part for part in entry.gains if part is not None])))
    for entry in alive:
        pairs = [(b, e) for b, e in zip(best.gains, entry.gains, strict=True) if b is not None and e is not None]
        if entry is best or not pairs:
            continue
        apart = np.concatenate([b - e for b, e in pairs])
        error = apart.std(ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.inf
        if apart.mean() > _FAR * error:
            entry.dropped = f"worse than {best.recipe.name} by two standard errors after {len(pairs)} blocks"
