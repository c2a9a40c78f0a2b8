"""Does a column's name say that it is known only afterwards?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import ClassVar, Final

from tenure.core.evidence import Measurement, Threshold
from tenure.quality.evidence import QualityEvidence

_AFTERWARDS: Final = frozenset(
    {
        *("outcome", "result", "status", "final", "resolved", "cancel", "cancelled", "canceled", "refund", "closed"),
        *("paid", "actual", "duration", "elapsed"),
    }
)
_SPLIT: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")


class NameProxy:
    """Measures the skill of columns whose name speaks of how things ended, or resembles the target's name."""

    name: ClassVar[str] = "name_proxy"
    rank: ClassVar[int] = 34
    threshold: ClassVar[Threshold] = Threshold(warn=0.80)

    def measure(self, evidence: QualityEvidence) -> Iterator[Measurement]:
        """Yield one measurement for each column with such a name, or one for all when there is none."""
        found = 0
        for column in evidence.in_time():
            if not _speaks_of_the_end(column.name, evidence.schema.target or ""):
                continue
            found += 1
            value = evidence.strength(evidence.skill(column))
            yield Measurement(
                self.name,
                value,
                subject=column.name,
                says=f"The name {column.name!r} sounds like something known only afterwards, "
                f"and the column tells much of the target ({value:.2f} of 1)."
                if value > self.threshold.warn
                else f"The name {column.name!r} sounds like something known only afterwards, "
                f"but it tells little of the target ({value:.2f} of 1).",
                hint=f"Set data.columns.{column.name}.available to 'after' or to 'at_prediction'.",
                evidence={"suspects": [column.name]},
            )
        yield from evidence.cut_short(self.name)
        if not found and not evidence.deadline.passed:
            yield Measurement(self.name, 0.0, says="No name sounds like something known only afterwards.")


def _words(name: str) -> set[str]:
    return {word.lower() for word in _SPLIT.split(name) if word}


def _speaks_of_the_end(name: str, target: str) -> bool:
    words, wanted = _words(name), _words(target)
    alike = SequenceMatcher(None, name.lower(), target.lower()).ratio()
    return bool(words & _AFTERWARDS) or alike >= 0.85 or (bool(wanted) and len(target) >= 4 and wanted <= words)
