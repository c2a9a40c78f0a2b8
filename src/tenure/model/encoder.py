"""Encodes one row of raw values without a data frame: every operation writes its numbers where they belong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from tenure.model.dates import DateColumns
from tenure.model.operation import Get, Numbers, Operation, Step
from tenure.model.values import moment_of


class RowEncoder:
    """Writes the encoded numbers of one row. Safe to share between threads.

    `dates` are read once a row, also those that no operation needs: what is no date is refused. With `used`, operations
    none of whose numbers are at these positions do not run.
    """

    def __init__(
        self, operations: Sequence[Operation], dates: DateColumns, used: Collection[int] | None = None
    ) -> None:
        needed = [(at, op) for at, op in _placed(operations) if used is None or _is_used(at, op, used)]
        self._steps: list[Step] = [op.step(at) for at, op in needed if not op.reads_moments]
        self._date_steps: list[Step] = [op.step(at) for at, op in needed if op.reads_moments]
        self._moments: dict[str, Callable[[Any], int]] = {
            name: moment_of for _, op in needed if op.reads_moments for name in op.inputs
        }
        self._moments |= {column.name: column.moment for column in dates.columns}
        others = {name for _, op in needed if not op.reads_moments for name in op.inputs}
        self._door = dates if others & {column.name for column in dates.columns} else None

    def write(self, row: Mapping[str, Any], numbers: Numbers) -> None:
        """Write the numbers of one row: bit for bit those of its table. A column not in `row` is missing.

        Raises:
            SchemaChangedError: a date column holds what is no date.
        """
        get: Get = row.get
        if self._moments:
            moment = {name: read(get(name)) for name, read in self._moments.items()}.__getitem__
            for step in self._date_steps:
                step(moment, numbers)
        if self._door is not None:
            get = self._door.read_row(row).get
        for step in self._steps:
            step(get, numbers)


def _placed(operations: Sequence[Operation]) -> Iterator[tuple[int, Operation]]:
    """Yield each operation after the position of its first number."""
    at = 0
    for operation in operations:
        yield at, operation
        at += len(operation.names)


def _is_used(at: int, operation: Operation, used: Collection[int]) -> bool:
    return any(place in used for place in range(at, at + len(operation.names)))
