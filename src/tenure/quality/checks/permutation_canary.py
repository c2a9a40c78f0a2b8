"""Does our own measuring find skill where there is none?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.core.metrics import auc
from tenure.core.modelling import Task
from tenure.model.probe import affordable_rounds, out_of_fold, quick_matrix
from tenure.quality.evidence import QualityEvidence

_ROWS: Final = 8_000
_COLUMNS: Final = 200
_FEWEST: Final = 20
_SECONDS: Final = 0.6


class PermutationCanary:
    """Measures how many standard errors the probe's AUC lies above 0.5 once the target has been shuffled.

    The question put to it is yes or no for every task: the positive class, the commonest class, above the median.
    """

    name: ClassVar[str] = "permutation_canary"
    rank: ClassVar[int] = 40
    # Predictions out of fold share their models, so the true spread is up to twice the textbook one (measured).
    threshold: ClassVar[Threshold] = Threshold(warn=5.0, fail=8.0)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement."""
        truth = evidence.rng.permutation(_as_question(evidence))[:_ROWS]
        yes = int(truth.sum())
        no = len(truth) - yes
        if min(yes, no) < _FEWEST:
            yield Measurement(self.name, 0.0, skipped="There are too few rows of one class to shuffle.")
            return
        matrix = quick_matrix(evidence.frame.head(_ROWS), evidence.columns[:_COLUMNS])
        fold = np.empty(len(truth), dtype=np.int64)
        # Equal shares of yes in all folds: else a fold rich in yes is judged by models that saw few, and AUC sinks.
        fold[np.lexsort((evidence.rng.random(len(truth)), truth))] = np.arange(len(truth)) % 3
        folds = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(3)]
        rounds = affordable_rounds(_SECONDS, rows=len(truth), features=matrix.shape[1], classes=2, fits=3, most=30)
        result = out_of_fold(matrix, truth, Task.BINARY, 2, folds, rounds=rounds, deadline=evidence.deadline)
        if result is None:
            yield Measurement(self.name, 0.0, skipped="There was no time for it.")
            return
        rows, predicted = result
        found = auc(truth[rows], predicted[:, 1])
        error = np.sqrt((yes + no + 1) / (12 * yes * no))
        yield Measurement(
            self.name,
            float(max(found - 0.5, 0.0) / error),
            says=f"With a shuffled target the probe finds AUC {found:.3f}, as it should (0.5 +/- {2 * error:.3f})."
            if found - 0.5 <= self.threshold.warn * error
            else f"With a shuffled target the probe still finds AUC {found:.3f}: something in the measuring leaks.",
            hint="Tell the makers: no table should cause this.",
        )


def _as_question(evidence: QualityEvidence) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    target = evidence.target
    if evidence.task is Task.REGRESSION:
        yes = target > np.median(target)
    elif evidence.task is Task.BINARY:
        yes = target == 1
    else:
        yes = target == np.argmax(np.bincount(target))
    answer: np.ndarray[tuple[int], np.dtype[np.int64]] = yes.astype(np.int64)
    return answer
