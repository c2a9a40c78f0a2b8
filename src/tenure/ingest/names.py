"""What a column's name suggests: an identifier, a moment in time, something known only after the outcome."""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ID: Final = frozenset({"id", "ids", "uuid", "guid", "key", "pk", "uid", "pid", "rowid", "hash", "number", "nr", "no"})
_OWNER_ID: Final = frozenset({"id", "uuid", "guid", "uid"})
_TIME: Final = frozenset(
    {
        "date",
        "datetime",
        "time",
        "timestamp",
        "ts",
        "month",
        "day",
        "week",
        "year",
        "at",
        "on",
        "seen",
        "when",
        "created",
        "period",
    }
)
_NOT_WHEN_PREDICTED: Final = frozenset(
    {"birth", "birthday", "born", "dob", "death", "end", "ended", "expiry", "expires", "expired", "due", "closed"}
    | {"until", "cancelled", "canceled", "finished", "updated", "modified", "deleted", "last", "next"}
)
_AFTERWARDS: Final = frozenset(
    {"outcome", "result", "status", "final", "resolved", "resolution", "cancel", "cancelled", "canceled"}
    | {"refund", "refunded", "closed", "paid", "actual", "duration", "settled", "decision"}
)  # methods 2.2, proxy by name


def words(name: str) -> list[str]:
    """Return the lower-case words in a column name: customerID, customer_id and customer.id give the same."""
    return [word.lower() for word in _WORD.findall(name)]


def looks_like_id(name: str) -> bool:
    """Say whether the last word of the name, or the first, is one that identifiers have."""
    parts = words(name)
    return bool(parts) and (parts[-1] in _ID or parts[0] in {"id", "uuid", "guid"})


def looks_like_owner_id(name: str) -> bool:
    """Say whether the name is that of somebody who may own several rows, such as customer_id."""
    parts = words(name)
    return len(parts) > 1 and parts[-1] in _OWNER_ID


def looks_like_time(name: str) -> bool:
    """Say whether the name tells when something was seen, and not when it ended or somebody was born."""
    parts = set(words(name))
    return bool(parts & _TIME) and not parts & _NOT_WHEN_PREDICTED


def word_known_afterwards(name: str) -> str | None:
    """Return the word in the name that speaks of what comes after the outcome, if there is one."""
    return next((word for word in words(name) if word in _AFTERWARDS), None)
