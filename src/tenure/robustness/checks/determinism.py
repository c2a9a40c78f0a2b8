"""Does the model say the same twice, and reproduce the rows stored with it? (methods.md 4, test 28)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from tenure.core.errors import BundleError
from tenure.core.evidence import Measurement, Threshold
from tenure.model.scorer import Scorer
from tenure.robustness.answers import largest_difference
from tenure.robustness.evidence import ModelEvidence

_NAME: Final = "largest difference to the first answers"
_HINT: Final = "Do not serve this model: train again, and report the bundle as a bug if it stays."


class Determinism:
    """Largest difference between two answers to the same rows; infinite where the stored rows are not reproduced."""

    name: ClassVar[str] = "determinism"
    threshold: ClassVar[Threshold] = Threshold(warn=0.0, fail=1e-9)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Load the bundle again, have it reproduce its stored rows, and ask it again."""
        try:
            again = Scorer.load(evidence.folder, verify=True).raw(evidence.sample)
        except BundleError as error:
            says = f"The bundle does not reproduce the rows stored with it: {error.message}"
            yield Measurement(_NAME, float("inf"), "the bundle loaded again", says, _HINT)
            return
        apart = largest_difference(again, evidence.clean) / evidence.scale
        says = (
            "Loaded and asked again, the model says the same, and reproduces the rows stored with it."
            if apart == 0
            else f"Loaded and asked again, the model's answers differ by up to {apart:.2g}."
        )
        yield Measurement(_NAME, apart, "the bundle loaded again", says, _HINT)
