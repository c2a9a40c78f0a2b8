"""What a race ends with: who is served, what the ensemble says of rows that did not form it, and a row's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats, Fold, Indices
from tenure.model.fitted import WeightedMember
from tenure.model.members.mlp import MLPMember
from tenure.model.scorer import Explains
from tenure.training.row_time import RowTime
from tenure.training.track import Entrant, Fit

_MOST_ASKED_ONE_BY_ONE: Final = 200


@dataclass(frozen=True, eq=False)
class Untrimmed:
    """The ensemble that would have been served without a limit: its answers for the same rows, weights and row time.

    `note` says why it was not distilled, where it was not.
    """

    predicted: Floats
    weights: dict[str, float]
    row_time: RowTime
    note: str = ""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The members to serve, and out-of-fold predictions.

    `rows` are positions in the clean table, in fold order; `predicted`, `baseline`, `reported` belong to them, and
    `folds` are positions in `rows` of each choosing fold. `judges` never saw the rows `judged`; `reports` are the fits
    that reported (forward only), by candidate. `bags` are the members of each fold, of which `served_folds` serve
    (cross only); `crossed` are the same with the weights that the other folds chose, who gave `predicted`.
    `row_time` is the estimate for a served row; `untrimmed` is there where that had to be made shorter.
    """

    weights: dict[str, float]
    members: tuple[WeightedMember, ...]
    rows: Indices
    predicted: Floats
    baseline: Floats
    reported: NDArray[np.bool_]
    folds: tuple[Indices, ...]
    judges: tuple[WeightedMember, ...]
    judged: Indices
    reports: dict[str, Fit]
    bags: tuple[tuple[WeightedMember, ...], ...] = ()
    crossed: tuple[tuple[WeightedMember, ...], ...] = ()
    served_folds: int = 0
    row_time: RowTime = field(default_factory=RowTime)
    untrimmed: Untrimmed | None = None

    @property
    def chosen_on(self) -> Indices:
        """Return the positions in `rows` of all choosing folds."""
        return np.concatenate(self.folds)

    def judge(self, matrix: Floats) -> Floats:
        """Return what the judges say of an encoded matrix."""
        return answer_of(self.judges, matrix)

    def contributions(self, matrix: Floats) -> Floats:
        """Return the mean size (n, d) of each number's part in the raw scores of the judges that can explain them.

        Networks are asked twice a column, so of wide tables they are not.
        """
        total = np.zeros(matrix.shape)
        is_wide = matrix.shape[1] > _MOST_ASKED_ONE_BY_ONE
        for part in self.judges:
            if isinstance(part.member, Explains) and not (is_wide and isinstance(part.member, MLPMember)):
                shares = np.abs(part.member.contributions(matrix)[:, :-1, :])
                total += part.weight * shares.mean(axis=2)
        return total


def answer_of(members: Sequence[WeightedMember], matrix: Floats) -> Floats:
    """Return the weighted mean of what members say of an encoded matrix."""
    answer: Floats = np.sum([part.weight * part.member.predict(matrix) for part in members], axis=0)
    return answer


def positions(folds: Sequence[Fold]) -> tuple[Indices, ...]:
    """Return where the rows of each fold stand when all are put one after the other."""
    ends = np.cumsum([len(fold.valid) for fold in folds])
    return tuple(np.arange(end - len(fold.valid), end) for end, fold in zip(ends, folds, strict=True))


def weighted(entrants: Sequence[Entrant], weights: Floats, fits: Sequence[Fit]) -> tuple[WeightedMember, ...]:
    """Return the members of those entrants that have weight."""
    parts = zip(entrants, weights, fits, strict=True)
    return tuple(WeightedMember(e.name, float(weight), fit.fitted.member) for e, weight, fit in parts if weight > 0)


def named(entrants: Sequence[Entrant], weights: Floats) -> dict[str, float]:
    """Return the weights above 0 by the entrants' names."""
    return {e.name: float(weight) for e, weight in zip(entrants, weights, strict=True) if weight > 0}
