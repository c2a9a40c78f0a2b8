"""What happens when a number arrives in another unit? (methods.md 4, test 3)"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Final

import numpy as np
import polars as pl

from tenure.core.contract import ColumnRule
from tenure.core.data import Column, Kind
from tenure.core.evidence import Measurement, Threshold
from tenure.core.modelling import Indices
from tenure.robustness.damage import SKILL_LOST, column_by_column, converted
from tenure.robustness.evidence import ModelEvidence, loss_in_words

_SHARE: Final = 0.03
_COLUMNS: Final = 5
_SLIPS: Final = (
    ("ten times too large", 10.0, 0.0),
    ("ten times too small", 0.1, 0.0),
    ("a thousand times too large", 1000.0, 0.0),
    ("in Fahrenheit instead of Celsius", 1.8, 32.0),
    ("in centimetres instead of inches", 2.54, 0.0),
)


class UnitSlip:
    """Largest share of skill lost when 3 % of the rows carry a number in another unit."""

    name: ClassVar[str] = "unit_slip"
    threshold: ClassVar[Threshold] = Threshold(warn=0.10)

    def measure(self, evidence: ModelEvidence) -> Iterator[Measurement]:
        """Try five slips on the most important numbers, and ask whether the contract would notice a whole table."""
        columns = evidence.of_kind(Kind.NUMERIC, most=_COLUMNS)
        yield from column_by_column(
            evidence, columns, partial(_slipped, evidence), check=self.name, share=_SHARE, none="no column is numeric."
        )


def _slipped(evidence: ModelEvidence, column: Column, at: Indices) -> Measurement:
    touched = evidence.sample[at]
    slipped = pl.concat([converted(touched, column.name, factor, shift) for _, factor, shift in _SLIPS])
    parts = np.split(evidence.scorer.raw(slipped), len(_SLIPS))
    lost = {slip: evidence.skill_lost_by(said, at) for (slip, *_), said in zip(_SLIPS, parts, strict=True)}
    worst = max(lost, key=lambda slip: lost[slip])
    unnoticed = _unnoticed(evidence.contract[column.name], evidence.sample[column.name])
    return Measurement(
        SKILL_LOST,
        lost[worst],
        column.name,
        f"With {column.name} {worst} in 3 % of the rows, the model {loss_in_words(lost[worst])}.",
        _hint(column.name, unnoticed),
        evidence={"lost": lost, "unnoticed": unnoticed},
    )


def _unnoticed(rule: ColumnRule, values: pl.Series) -> list[str]:
    """Return the slips that leave every value within what the contract allows."""
    numbers = values.cast(pl.Float64).drop_nulls().to_numpy()
    low = -np.inf if rule.low is None else rule.low
    high = np.inf if rule.high is None else rule.high
    return [
        slip
        for slip, factor, shift in _SLIPS
        if numbers.size and np.all((numbers * factor + shift >= low) & (numbers * factor + shift <= high))
    ]


def _hint(column: str, unnoticed: list[str]) -> str:
    if not unnoticed:
        return f"The contract would notice {column} in a wrong unit, because values leave its limits."
    return f"The limits of {column} would not notice it {unnoticed[0]}; the watch over drift has to."
