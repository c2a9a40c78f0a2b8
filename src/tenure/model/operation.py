"""What every operation of a column plan offers: numbers for a table, and a step that writes those of one row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, MutableSequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from numpy.typing import NDArray

from tenure.core.modelling import Floats
from tenure.core.records import plain

if TYPE_CHECKING:
    import polars as pl

Arrays = dict[str, NDArray[Any]]
Get = Callable[[str], Any]
"""Gives the value of a column in one row, None where it has none."""
Numbers = MutableSequence[float]
"""The encoded numbers of one row."""
Step = Callable[[Get, Numbers], None]


@dataclass(frozen=True)
class Operation(ABC):
    """One step of a plan: reads `inputs`, gives one number for each of `names`.

    `source` is the column that explanations credit. With `reads_moments`, a step is given dates as microseconds.
    """

    op: ClassVar[str]
    reads_moments: ClassVar[bool] = False
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return (self.source,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the columns that are read."""
        return (self.source,)

    @property
    def categorical(self) -> bool:
        """Say whether the numbers are category codes."""
        return False

    @abstractmethod
    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return the numbers of a table, (n, outputs) float64."""

    @abstractmethod
    def step(self, at: int) -> Step:
        """Return what writes the numbers of one row from position `at` on, bit for bit those of `encode`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the operation as plain data."""
        return {"op": self.op} | {f.name: plain(getattr(self, f.name)) for f in fields(self)}

    def arrays(self) -> Arrays:
        """Return what is too large for plain data."""
        return {}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild the operation from `to_dict` and `arrays`."""
        words: dict[str, Any] = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        for name, word in words.items():
            words[name] = tuple(word) if isinstance(word, list) else word
        return cls(**words)
