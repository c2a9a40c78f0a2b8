"""Does one column alone tell the answer?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from tenure.core.evidence import Measurement, Threshold
from tenure.quality.evidence import QualityEvidence


class SingleFeatureOracle:
    """Measures each column's own skill out of fold, AUC or R2: from .95 suspicious, from .98 a leak (as H2O does)."""

    name: ClassVar[str] = "single_feature_oracle"
    rank: ClassVar[int] = 30
    threshold: ClassVar[Threshold] = Threshold(warn=0.95, fail=0.98)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement for each column above the threshold, or one for the strongest when there is none."""
        skills = {column.name: evidence.skill(column) for column in evidence.in_time()}
        unseen = len(evidence.columns) - len(skills)
        if unseen:
            yield Measurement(self.name, 0.0, skipped=f"There was no time for {unseen} of the columns.")
        strong = {name: skill for name, skill in skills.items() if skill > self.threshold.warn}
        for name, skill in strong.items():
            key = "leaks" if skill > self.threshold.fail else "suspects"
            yield Measurement(
                self.name,
                skill,
                subject=name,
                says=f"{name!r} alone tells the target ({evidence.skill_name} {skill:.3f}).",
                hint=f"If it is known when predicting, set data.columns.{name}.available = 'at_prediction'; "
                "if not, 'after'.",
                evidence={key: [name], "because": f"alone tells the target ({evidence.skill_name} {skill:.3f})"},
            )
        if skills and not strong:
            best = max(skills, key=lambda name: skills[name])
            yield Measurement(
                self.name,
                skills[best],
                says=f"No column alone tells the answer; the strongest is {best!r} "
                f"({evidence.skill_name} {skills[best]:.2f}).",
            )
