"""Is the model that serves the one that was tested? Its twin reported, without the newest rows to learn from."""

from __future__ import annotations

from typing import Final

import numpy as np

from tenure.core.modelling import Floats
from tenure.training.material import Material
from tenure.training.served import Ensemble, answer_of

_MOST_ROWS: Final = 2_000
_LEAST_SHARED: Final = 0.5


def twin_of(material: Material, ensemble: Ensemble) -> float | None:
    """Return the correlation of what both say of evenly spaced rows that both learned from.

    None where there is no reporting block, where by their recipe they learned mostly from different rows (the newest
    quarter, say, without and with the newest block), or where one of them says the same of every row. The newest rows
    would not do: there only one of them knows the outcomes.
    """
    reporting = material.course.reporting
    if reporting is None:
        return None
    learned = material.course.refitted
    both = np.intersect1d(reporting.train, learned)
    if both.size < _LEAST_SHARED * learned.size:
        return None
    rows = both[:: -(-both.size // _MOST_ROWS)]
    matrix = material.problem.matrix[rows]
    return correlation(answer_of(ensemble.judges, matrix), answer_of(ensemble.members, matrix))


def correlation(one: Floats, other: Floats) -> float | None:
    """Return Pearson's correlation of two sets of answers (n,) or (n, k); None where one of them is constant."""
    flat = [(answers if answers.ndim == 1 else answers[:, 1:]).ravel() for answers in (one, other)]
    if any(float(np.ptp(answers)) == 0.0 for answers in flat):
        return None
    return float(np.corrcoef(flat[0], flat[1])[0, 1])
