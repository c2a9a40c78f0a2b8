"""Let recipes compete on the latest blocks: each probe learns what was known before the block, and answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tenure.core.modelling import Floats, Indices
from tenure.core.ports import Deadline, Prober
from tenure.core.retraining import Recipe, Way
from tenure.model.correction import fit_correction
from tenure.retraining.changes import latest_change
from tenure.retraining.history import History, Incumbent, Making, Terms
from tenure.retraining.making import correction_rows, make
from tenure.retraining.recipes import FEWEST_ROWS, learned_rows

CHUNKS: Final = 4
"""Stretches of rows in a block whose mean gains stand for it."""
FADE = 0.7
OPEN = 0.5
HALF = 0.5
_LOOKED_AT: Final = 12
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
    until: int | None = None
    weight: float = 1.0


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
    blocks: list[Block] = []
    for back, at in enumerate(history.ripe(now)[::-1][: terms.blocks]):
        rows = history.rows_of(at)
        rows = rows[history.known[rows] <= now]
        first = int(history.known[rows].min())
        if at == 0 or first <= incumbent.learned:
            break
        standing = tuple(step for step in incumbent.making if step.as_of <= first)
        half = rows[len(rows) // 2 :]
        if back == 0 and len(half) >= FEWEST_ROWS:
            blocks.append(Block(half, now, standing, until=int(history.times[half[0]]), weight=HALF))
        start, cut = int(history.times[rows[0]]), int(history.ends[at - 1])
        blocks.append(Block(rows, now, standing, until=start, weight=OPEN * FADE**back))
        if first > start and history.place(cut) > history.place(incumbent.learned):
            told = tuple(step for step in incumbent.making if step.as_of <= cut)
            blocks.append(Block(rows, cut, told, weight=(1 - OPEN) * FADE**back))
    return blocks


def change_of(history: History, incumbent: Incumbent, prober: Prober, terms: Terms, now: int) -> int | None:
    """Return the moment from which the model in office answers otherwise than before, in what is new to it."""
    ripe = [at for at in history.ripe(now) if history.known[history.rows_of(at)].min() > incumbent.learned]
    if not ripe:
        return None
    parts = [part for at in ripe[-_LOOKED_AT:] for part in np.array_split(history.rows_of(at), CHUNKS) if len(part)]
    rows = np.concatenate(parts)
    first = tuple(step for step in incumbent.making if step.recipe.way is not Way.RECALIBRATE)
    losses = history.loss(
        rows, make(history, first, prober, most=terms.most_rows).predict(history.problem.matrix[rows])
    )
    means = [part.mean() for part in np.split(losses, np.cumsum([len(part) for part in parts])[:-1])]
    at = latest_change(np.array(means))
    return None if at is None else int(history.times[parts[at][0]])


def _earlier(history: History, making: tuple[Making, ...], now: int, cut: int) -> tuple[Making, ...] | None:
    """Return the making moved back so that it looks at `cut` as it does now; None where history is too short."""
    back = history.place(now) - history.place(cut)
    moved = []
    for step in making:
        at = history.place(step.as_of) - back - 1
        if at < 0 or (history.known <= history.ends[at]).sum() < FEWEST_ROWS:
            return None
        moved.append(Making(_moved(history, step.recipe, back), int(history.ends[at])))
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
                told = _gains(history, incumbent, block, entry.recipe, prober, terms, before, former)
                gains = None if told is None else _chunks(told)
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
    """Return the gain of each row of the block; None where the recipe means nothing there."""
    if recipe.way is Way.RECALIBRATE and incumbent.answers is not None:
        return _own_gains(history, incumbent.learned, incumbent.answers, block, recipe, terms)
    making = _making(block, recipe, former)
    if making is None:
        return None
    if recipe.way is Way.REFIT:
        learned, _ = learned_rows(history, recipe, block.cut, until=block.until, most=terms.most_rows)
        if len(learned) < FEWEST_ROWS:
            return None
    probe = make(history, making, prober, until=block.until, most=terms.most_rows)
    return before - history.loss(block.rows, probe.predict(history.problem.matrix[block.rows]))


def _making(block: Block, recipe: Recipe, former: Sequence[Incumbent]) -> tuple[Making, ...] | None:
    """Return how a recipe makes a model for the block; None where it brings back what was not there yet."""
    if recipe.way is Way.REFIT:
        return (Making(recipe, block.cut),)
    if recipe.way is not Way.RESTORE:
        return (*block.incumbent, Making(recipe, block.cut))
    making = next(version.making for version in former if version.version == recipe.version)
    return making if making[-1].as_of <= block.cut else None


def _own_gains(
    history: History, learned: int, answers: Floats, block: Block, recipe: Recipe, terms: Terms
) -> Floats | None:
    """Return what a correction gains on answers as they were given, NaN where they are not known."""
    given = np.isfinite(answers if answers.ndim == 1 else answers[:, 0])
    known = correction_rows(history, learned, block.cut, until=block.until, most=terms.most_rows)
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
    best = max(alive, key=lambda entry: np.mean(np.concatenate([part for part in entry.gains if part is not None])))
    for entry in alive:
        pairs = [(b, e) for b, e in zip(best.gains, entry.gains, strict=True) if b is not None and e is not None]
        if entry is best or not pairs:
            continue
        apart = np.concatenate([b - e for b, e in pairs])
        error = apart.std(ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.inf
        if apart.mean() > _FAR * error:
            entry.dropped = f"worse than {best.recipe.name} by two standard errors after {len(pairs)} blocks"
