"""Does the model answer the same by every road? (methods.md 4, test 26)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from tenure.core.evidence import Measurement, Threshold
from tenure.robustness.answers import answers, as_json, largest_difference
from tenure.robustness.evidence import ModelEvidence

_ROWS: Final = 200


class ServingParity:
    """Largest difference between the answers to a batch, to single rows, and to rows sent as JSON."""

    name: ClassVar[str] = "parity"
    threshold: ClassVar[Threshold] = Threshold(warn=1e-9, fail=1e-6)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Ask for the same rows by three roads and compare."""
        rows = evidence.rows(_ROWS)
        batch = evidence.clean[: len(rows)]
        one = np.concatenate([answers(evidence.scorer.score_row(row)) for row in rows])
        wired = np.concatenate([answers(evidence.scorer.score_row(json.loads(as_json(row)))) for row in rows])
        for road, said in (("single rows", one), ("rows sent as JSON", wired)):
            apart = largest_difference(batch, said) / evidence.scale
            yield Measurement(
                "largest difference to the answers for a batch",
                apart,
                subject=road,
                says=f"A batch and {road} give "
                + (
                    "the same answers."
                    if apart <= self.threshold.warn
                    else f"answers that differ by up to {apart:.2g}."
                ),
                hint="Do not serve this model: report the bundle as a bug.",
                evidence={"rows": len(rows)},
            )
