"""What happens when values arrive in another type? (methods.md 4, test 11)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, ClassVar, Final

import numpy as np

from tenure.core.data import Kind
from tenure.core.errors import TenureError
from tenure.core.evidence import Measurement, Threshold
from tenure.robustness.answers import answers, largest_difference
from tenure.robustness.evidence import ModelEvidence

_ROWS: Final = 50
_SAME: Final = 1e-6
_NAME: Final = "share of rows answered differently without a word"


class TypeSlip:
    """Share of rows whose answer changes silently when values come as text; to refuse is as good as to read."""

    name: ClassVar[str] = "dtype_slip"
    threshold: ClassVar[Threshold] = Threshold(warn=0.01)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Send numbers, booleans and dates as text."""
        rows = evidence.rows(_ROWS)
        for subject, kinds, slipped in _SLIPS:
            columns = [column.name for column in evidence.of_kind(*kinds)]
            if not columns:
                yield Measurement(_NAME, np.nan, subject, skipped="no column of that kind.")
                continue
            silent, refused = 0, 0
            for position, row in enumerate(rows):
                changed = {**row, **{name: slipped(row[name]) for name in columns}}
                try:
                    said = answers(evidence.scorer.score_row(changed))
                except TenureError:
                    refused += 1
                    continue
                apart = largest_difference(said, evidence.clean[position : position + 1])
                silent += apart > _SAME * evidence.scale
            share = silent / len(rows)
            yield Measurement(
                _NAME,
                share,
                subject,
                f"{subject.capitalize()}: {100 * share:.0f} % of rows are answered differently without a word"
                + (f", {100 * refused / len(rows):.0f} % are refused." if refused else "."),
                "Send values in the types that /schema names.",
                evidence={"rows": len(rows), "refused": refused},
            )


def _number_as_text(value: Any) -> Any:
    return value if value is None or isinstance(value, bool) else repr(value)


def _boolean_as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _date_as_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


_SLIPS: Final[tuple[tuple[str, tuple[Kind, ...], Callable[[Any], Any]], ...]] = (
    ("numbers as text", (Kind.NUMERIC,), _number_as_text),
    ("booleans as text", (Kind.BOOLEAN,), _boolean_as_text),
    ("dates as text", (Kind.DATETIME,), _date_as_text),
)
