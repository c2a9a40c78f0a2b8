"""Who types: the name that goes to the ledger with what a person decided."""

from __future__ import annotations

import getpass

from tenure.core.errors import ConfigError


def login_name() -> str:
    """Return the login name of who acts; a container may have none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "user"


def said(why: str) -> str:
    """Return a reason without the space around it.

    Raises:
        ConfigError: nothing was said.
    """
    if not why.strip():
        raise ConfigError("--why is empty.", where="--why", hint="Say in a few words why; it goes to the ledger.")
    return why.strip()
