"""The column plan: raw values to numbers, one list of small operations, kept as JSON and arrays."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from tenure.core.errors import BundleError
from tenure.core.modelling import Floats
from tenure.model.dates import DateColumns
from tenure.model.encoder import RowEncoder
from tenure.model.operation import Operation
from tenure.model.operations import OPERATIONS

if TYPE_CHECKING:
    import polars as pl


class ColumnPlan:
    """Turns a table or a row into the numbers that members read.

    `names`, `categorical` and `sources` say, for each number, what it is called, whether it is a category code, and
    which column it comes from. `inputs` are all the columns that the plan reads.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = tuple(operations)
        self.names: tuple[str, ...] = tuple(chain.from_iterable(op.names for op in self.operations))
        self.categorical: tuple[bool, ...] = tuple(op.categorical for op in self.operations for _ in op.names)
        self.sources: tuple[str, ...] = tuple(op.source for op in self.operations for _ in op.names)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Return the columns that the plan reads, each once, in order."""
        return tuple(dict.fromkeys(chain.from_iterable(op.inputs for op in self.operations)))

    @property
    def width(self) -> int:
        """Return how many numbers a row becomes."""
        return len(self.names)

    def encode(self, frame: pl.DataFrame) -> Floats:
        """Return the numbers of a table: (n, width) float64, NaN for missing; category codes count from 0."""
        matrix = np.empty((frame.height, self.width))
        at = 0
        for operation in self.operations:
            end = at + len(operation.names)
            matrix[:, at:end] = operation.encode(frame)
            at = end
        return matrix

    def encode_row(self, row: Mapping[str, Any]) -> Floats:
        """Return the numbers of one row, (width,): bit for bit those of `encode`. A column not in `row` is missing."""
        numbers = array("d", bytes(8 * self.width))
        self._encoder.write(row, numbers)
        return np.array(numbers)

    @cached_property
    def _encoder(self) -> RowEncoder:
        return RowEncoder(self.operations, DateColumns())

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data, without its arrays."""
        return {"operations": [operation.to_dict() for operation in self.operations]}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of all operations, by `<position>-<name>`."""
        return {
            f"{position}-{name}": array
            for position, operation in enumerate(self.operations)
            for name, array in operation.arrays().items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> Self:
        """Rebuild a plan from `to_dict` and `arrays`.

        Raises:
            BundleError: an operation is not known to this version.
        """
        operations = []
        for position, stored in enumerate(data["operations"]):
            kind = OPERATIONS.get(stored["op"])
            if kind is None:
                raise BundleError(
                    f"The column plan uses the operation {stored['op']!r}, which this version does not know.",
                    where=f"plan.json: operation {position}",
                    hint="Install the version of tenure that made this model, or a newer one.",
                )
            head = f"{position}-"
            own = {name.removeprefix(head): a for name, a in (arrays or {}).items() if name.startswith(head)}
            operations.append(kind.from_dict(stored, own))
        return cls(operations)
