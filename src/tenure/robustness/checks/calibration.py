"""Do probabilities mean what they say? (methods.md 4, test 14; Spiegelhalter 1986)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.evidence import Measurement, Threshold
from tenure.core.metrics import positive
from tenure.core.modelling import Floats, Task
from tenure.robustness.evidence import ModelEvidence

_BINS: Final = 10
_LEAST_ROWS: Final = 200


class Calibration:
    """Mean distance between what is said and what comes true, over ten equal groups, less what chance explains."""

    name: ClassVar[str] = "calibration"
    threshold: ClassVar[Threshold] = Threshold(warn=0.03)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Compare out-of-fold probabilities with outcomes."""
        if evidence.task is not Task.BINARY:
            yield Measurement("calibration error", np.nan, skipped="only yes-or-no answers have one probability.")
            return
        truth, said = evidence.honest.target == 1, positive(evidence.honest.predicted)
        if truth.size < _LEAST_ROWS:
            yield Measurement("calibration error", np.nan, skipped=f"{truth.size} rows are too few to tell.")
            return
        error = calibration_error(truth, said)
        yield Measurement(
            "calibration error",
            error,
            says=f"Said probabilities and what came true lie {100 * error:.1f} points apart on average "
            f"(said {100 * said.mean():.1f} % in all, came true {100 * truth.mean():.1f} %).",
            hint="Trust the ranking more than the level; retrain on newer rows if the share of yes has moved.",
            evidence={"z": spiegelhalter(truth, said), "rows": int(truth.size)},
        )


def calibration_error(truth: NDArray[np.bool_], said: Floats) -> float:
    """Return the expected calibration error in ten equal-mass bins, less its expectation under perfect calibration."""
    order = np.argsort(said, kind="stable")
    total, noise = 0.0, 0.0
    for part in np.array_split(order, _BINS):
        share = part.size / order.size
        total += share * abs(float(said[part].mean()) - float(truth[part].mean()))
        spread = float(np.sum(said[part] * (1 - said[part])))
        noise += share * np.sqrt(2 / np.pi * spread) / part.size
    return max(total - float(noise), 0.0)


def spiegelhalter(truth: NDArray[np.bool_], said: Floats) -> float:
    """Return Spiegelhalter's z: beyond 2.6 either way, chance does not explain the distance."""
    lean = 1 - 2 * said
    spread = float(np.sum(lean**2 * said * (1 - said)))
    return float(np.sum((truth - said) * lean)) / float(np.sqrt(max(spread, 1e-12)))
