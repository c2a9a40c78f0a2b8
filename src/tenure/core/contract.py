"""The data contract: what each column promises. Inferred by the quality room, kept by serving and monitoring."""

from __future__ import annotations

from dataclasses import dataclass

from tenure.core.data import Kind, Role
from tenure.core.records import Record


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What one column promises.

    `null_share` is the share seen, `max_null_share` what is tolerated in a window. `low`/`high` bound numbers
    (hard limits, beyond which a value is refused), `q01`/`q50`/`q99` are quantiles seen; for datetimes `low` and
    `high` are seconds since 1970. `levels` is the closed list of values where the domain is small, else None.
    """

    name: str
    kind: Kind
    role: Role
    dtype: str
    required: bool
    null_share: float
    max_null_share: float
    integer: bool = False
    low: float | None = None
    high: float | None = None
    q01: float | None = None
    q50: float | None = None
    q99: float | None = None
    levels: tuple[str, ...] | None = None
    unique: bool = False
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Contract(Record):
    """What a table promises, column by column."""

    columns: tuple[ColumnRule, ...]
    rows: int
    made_from: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> ColumnRule:
        for rule in self.columns:
            if rule.name == name:
                return rule
        raise KeyError(name)
