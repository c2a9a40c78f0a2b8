"""Promises that a built-in plug-in is known to break, each with the reason. Meant to stay empty."""

from __future__ import annotations

from typing import Final

EXPECTED_FAILURES: Final[dict[str, str]] = {}
"""From "kind/plug-in/promise" to the reason."""
