"""Put rows into blocks: stratified, by group, or in time. Pure functions of arrays; positions are those of the table.

Every function returns int16 of shape (rows, 2): the row's block, and the first block by whose start its outcome was
known (see `core.modelling.ValidationPlan`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Indices

Blocks = NDArray[np.int16]

_MOST_DEALT_ONE_BY_ONE: Final = 20_000
_LATEST_START: Final = 0.8
_SMALLEST_BLOCK: Final = 0.25
"""Of an equal share: the least that the first training and every validated block must hold."""


def strata_of(target: NDArray[Any], *, classification: bool, bins: int = 10) -> Indices:
    """Return the class code, or the tenth of the target's range of ranks, of each row."""
    if classification:
        return target.astype(np.int64)
    edges = np.quantile(target, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, target, side="left").astype(np.int64)


def dealt_blocks(
    strata: Indices, shares: Sequence[float], rng: np.random.Generator, *, units: Indices | None = None
) -> Blocks:
    """Deal rows at random into blocks of the given shares, with the strata alike in all blocks.

    Rows of one unit (equal values of `units`: a group, exact copies) stay in one block. A stratum with fewer rows than
    blocks goes to as many different blocks as it has rows, so no training fold of a k-fold lacks it.
    """
    rows, share = len(strata), np.asarray(shares, dtype=np.float64)
    share = share / share.sum()
    kinds = int(strata.max()) + 1 if rows else 0
    block = np.full(rows, -1, dtype=np.int64)
    wanted = share[:, None] * np.bincount(strata, minlength=kinds)[None, :]
    if units is not None:
        _deal_units(block, strata, units, wanted, rng)
    left = block < 0
    for kind in np.argsort(np.bincount(strata[left], minlength=kinds), kind="stable"):
        members = rng.permutation(np.flatnonzero(left & (strata == kind)))
        if members.size:
            block[members] = _portions(len(members), wanted, int(kind))
            wanted[:, kind] -= np.bincount(block[members], minlength=len(share))
    return _with_known(block, block + 1)


def _deal_units(block: Indices, strata: Indices, units: Indices, wanted: Floats, rng: np.random.Generator) -> None:
    """Give each unit of several rows, large ones first, to the block that lacks its strata most. Changes `block`."""
    _, unit = np.unique(units, return_inverse=True)
    sizes = np.bincount(unit)
    by_unit = np.argsort(unit, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    several = np.flatnonzero(sizes > 1)
    several = several[np.lexsort((rng.random(several.size), -sizes[several]))]
    if several.size > _MOST_DEALT_ONE_BY_ONE:
        # So many units even out by themselves.
        chosen = rng.choice(len(wanted), several.size, p=wanted.sum(axis=1) / wanted.sum())
        for number, home in zip(several, chosen, strict=True):
            block[by_unit[starts[number] : starts[number + 1]]] = home
        np.subtract.at(wanted, (block[block >= 0], strata[block >= 0]), 1.0)
        return
    share = wanted.sum(axis=1) / wanted.sum()
    totals = np.maximum(wanted.sum(axis=0), 1.0)
    for number in several:
        members = by_unit[starts[number] : starts[number + 1]]
        counts = np.bincount(strata[members], minlength=wanted.shape[1]).astype(np.float64)
        lack = (wanted / totals) @ counts / counts.sum() + wanted.sum(axis=1) / totals.sum()
        home = int(np.argmax(lack / share))
        block[members] = home
        wanted[home] -= counts


def _portions(members: int, wanted: Floats, kind: int) -> Indices:
    """Return which block each of `members` rows of a stratum gets: as wanted, the rest to the emptiest blocks."""
    need = np.maximum(wanted[:, kind], 0.0)
    need = need / need.sum() * members if need.sum() > 0 else np.full(len(wanted), members / len(wanted))
    count = np.floor(need + 1e-9).astype(np.int64)
    rest = members - int(count.sum())
    emptiest_first = np.lexsort((-wanted.sum(axis=1), -np.round(need - count, 9)))
    count[emptiest_first[:rest]] += 1
    return np.repeat(np.arange(len(wanted)), count)


def time_blocks(
    moments: Floats,
    count: int,
    *,
    delay: float = 0.0,
    classes: NDArray[np.int64] | None = None,
    newest: int | None = None,
) -> Blocks | None:
    """Cut rows into `count` blocks in the order of time; equal moments never lie in two blocks.

    `moments` (seconds) never fall. An outcome is known `delay` seconds after its row. The first block ends where every
    class of `classes` (codes, where given) has been seen and enough outcomes are known; the others are of equal size,
    but the last, where `newest` says how many rows it is to hold. Returns None where that leaves fewer than three
    blocks.
    """
    known_at = moments + delay
    starts = _starts(moments, known_at, count, _rows_until_complete(classes), newest=newest)
    if starts is None:
        return None
    block = np.searchsorted(starts, np.arange(len(moments)), side="right") - 1
    return _with_known(block, _first_known(block, moments[starts], known_at))


def group_time_blocks(
    moments: Floats,
    groups: Indices,
    count: int,
    *,
    delay: float = 0.0,
    classes: NDArray[np.int64] | None = None,
    newest: int | None = None,
) -> Blocks | None:
    """Cut groups into `count` blocks by the moment of their first row; a group lies in one block only.

    Models learn from rows of earlier groups that were known when the first group of the block came. The last block is
    of groups that came last, with about `newest` rows where given. Returns None where groups go on from the beginning
    to the end, so that blocks of new groups would be too small.
    """
    _, group = np.unique(groups, return_inverse=True)
    first = np.full(int(group.max()) + 1, np.inf)
    np.minimum.at(first, group, moments)
    entered, known_at = first[group], moments + delay
    order = np.argsort(entered, kind="stable")
    complete = _rows_until_complete(None if classes is None else classes[np.argsort(known_at, kind="stable")])
    starts = _starts(entered[order], np.sort(known_at), count, complete, newest=newest)
    if starts is None:
        return None
    begins = entered[order][starts]
    block = np.searchsorted(begins, entered, side="right") - 1
    blocks = _with_known(block, _first_known(block, begins, known_at))
    least = _SMALLEST_BLOCK * len(moments) / count
    learned = np.sum((blocks[:, 0] == 0) & (blocks[:, 1] <= 1))
    sizes = np.bincount(block)[1 : None if newest is None else -1]
    return blocks if min(int(sizes.min()), int(learned)) >= least else None


def _starts(
    moments: Floats, known_at: Floats, count: int, complete: int, *, newest: int | None = None
) -> Indices | None:
    """Return the first row of each block; None where no three blocks can be had.

    `moments` decide the block, `known_at` (both sorted) when an outcome may be learned from; `complete` is how many
    known outcomes hold every class.
    """
    rows = len(moments)
    equal, end = (count - 1, rows) if newest is None else (count - 2, rows - newest)
    changes = np.flatnonzero(np.diff(moments) > 0) + 1
    changes = changes[changes <= _LATEST_START * end]
    share = rows / count
    learnable = np.minimum(np.searchsorted(known_at, moments[changes], side="right"), changes)
    fit = learnable >= max(complete, min(_SMALLEST_BLOCK * 2 * share, 0.5 * rows))
    if not fit.any():
        return None
    first = int(changes[fit][np.argmin(np.abs(learnable[fit] - share))])
    starts = [0, first]
    all_changes = np.flatnonzero(np.diff(moments) > 0) + 1
    for number in range(1, count - 1):
        place = first + (end - first) * number / equal
        later = all_changes[all_changes > starts[-1]]
        if later.size == 0:
            break
        starts.append(int(later[np.argmin(np.abs(later - place))]))
    return np.array(starts, dtype=np.int64) if len(starts) >= 3 else None


def _rows_until_complete(classes: NDArray[np.int64] | None) -> int:
    """Return how many rows it takes until every class has been seen, late newcomers aside."""
    if classes is None or classes.size == 0:
        return 1
    _, first = np.unique(classes, return_index=True)
    early = first[first < 0.6 * len(classes)]
    return int(early.max()) + 1


def _first_known(block: Indices, begins: Floats, known_at: Floats) -> Indices:
    """Return the first later block at whose beginning each row's outcome was known; the block count where none is."""
    return np.maximum(np.searchsorted(begins, known_at, side="left"), block + 1)


def _with_known(block: Indices, known: Indices) -> Blocks:
    return np.column_stack([block, known]).astype(np.int16)
