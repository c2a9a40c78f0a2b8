"""Names of ledger events that are written in one place and read in others."""

from __future__ import annotations

from typing import Final

HEALTH_EVENT: Final = "health"
"""The health of the model in office is another than before; its record is the output."""
ACTION_EVENT: Final = "action"
"""The loop chose, or a person approved, to do or not to do something; the action is the output."""
