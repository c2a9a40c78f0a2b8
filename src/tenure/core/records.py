"""Frozen records with identity: every record becomes canonical JSON, and its digest is the hash of that.

Records are frozen, slotted dataclasses of plain values, tuples, dicts, enums and other records.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Self

from tenure.core.errors import ArtifactError

if TYPE_CHECKING:  # slow to load, and serving a model needs none of it
    from pydantic import TypeAdapter

_NOT_FINITE: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}
_EXACT: Final = 2**53


def plain(value: object) -> Any:
    """Return `value` as JSON-ready data; NaN and infinities become strings, whole floats integers; sets are refused."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return _NOT_FINITE.get(value, "NaN")
        # 1 and 1.0 are one number (RFC 8785): a whole number in a float field keeps its digest when it is read back.
        return int(value) if value.is_integer() and abs(value) <= _EXACT else value
    if value is None or isinstance(value, str | bool | int):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    raise TypeError(f"{type(value).__name__} has no place in a record")


def canonical(value: object) -> bytes:
    """Return the one byte string that stands for `value`: sorted keys, no spaces, UTF-8."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest_of(value: object) -> str:
    """Return the SHA-256 hex digest of the canonical form of `value`."""
    return hashlib.sha256(canonical(value)).hexdigest()


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    """Return the validator of a record type, built once."""
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A thing that a stage says, kept for ever; equal content has an equal digest."""

    @property
    def digest(self) -> str:
        """Return the identity of this record, under which the artifact store keeps it: hash of `stored`."""
        return hashlib.sha256(self.stored).hexdigest()

    @property
    def stored(self) -> bytes:
        """Return the bytes that are kept: canonical JSON of type name and content."""
        return canonical({"type": type(self).__name__, "content": self})

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready data."""
        result: dict[str, Any] = plain(self)
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a record from `to_dict` data.

        Raises:
            ArtifactError: the data do not fit this record type.
        """
        from pydantic import ValidationError

        try:
            record: Self = _adapter(cls).validate_python(dict(data))
        except ValidationError as error:
            first = error.errors()[0]
            raise ArtifactError(
                f"Stored data are not a {cls.__name__}: {first['msg']}.",
                where=".".join(str(part) for part in first["loc"]),
                hint="The state was written by another version or damaged; restore it from a backup.",
            ) from error
        return record
