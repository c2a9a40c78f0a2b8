"""Secrets of the project file: they stand there as `${NAME}` only, come from the environment, and are never shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tenure.core.errors import ConfigError, SecretMissingError

_SECRET: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Greedy on purpose: a password may hold any sign, an @ or a blank too, and hiding too much harms nobody.
_PASSWORD: Final = re.compile(
    r"(?P<head>[a-z][a-z0-9+.-]*://[^:/\s]*):(?P<secret>[^@\n]*(?:@\S*)?)@", re.ASCII | re.IGNORECASE
)
_PASSWORD_PARAMETER: Final = re.compile(r"(?P<head>[?&](?:ssl)?password=)[^&\s'\"]*", re.ASCII | re.IGNORECASE)

_MAY_HOLD_SECRETS: Final = (
    ("data", "source"),
    ("state", "url"),
    ("alerts", "webhook"),
    ("alerts", "webhook_secret"),
    ("alerts", "smtp"),
)


def is_secret(text: str) -> bool:
    """Say whether all of `text` is one `${NAME}`."""
    return _SECRET.fullmatch(text) is not None


def may_hold_secret(place: Sequence[int | str]) -> bool:
    """Say whether the value at `place`, such as ("state", "url"), may be or hold a secret; so for lists of them."""
    return tuple(place[:2]) in _MAY_HOLD_SECRETS


def refuse_misplaced_secrets(data: Mapping[str, Any], path: tuple[str, ...] = ()) -> None:
    """Refuse a `${NAME}` in any place of the file but those that may hold a secret.

    Raises:
        ConfigError: a secret stands where none may; it is named by its place.
    """
    for key, value in data.items():
        here = (*path, key)
        if isinstance(value, Mapping):
            refuse_misplaced_secrets(value, here)
        elif isinstance(value, list):
            refuse_misplaced_secrets({str(number): item for number, item in enumerate(value)}, here)
        elif isinstance(value, str) and _SECRET.search(value) and not may_hold_secret(here):
            raise ConfigError(
                f"{'.'.join(here)} holds ${{...}}, which is for secrets only.",
                where=".".join(here),
                hint=f"Secrets may stand in {', '.join('.'.join(place) for place in _MAY_HOLD_SECRETS)} only.",
            )


def with_secrets(text: str, *, where: str) -> str:
    """Return `text` with every `${NAME}` taken from the environment.

    Raises:
        SecretMissingError: a named variable is not set.
    """

    def take(found: re.Match[str]) -> str:
        value = os.environ.get(found[1])
        if value is None:
            raise SecretMissingError(
                f"The environment variable {found[1]} is not set.",
                where=where,
                hint=f"Set it: export {found[1]}=...",
            )
        return value

    return _SECRET.sub(take, text)


def redacted(text: str) -> str:
    """Return `text` with the password of every URL in it replaced by ***."""
    hidden = _PASSWORD.sub(lambda found: f"{found['head']}:***@", text)
    return _PASSWORD_PARAMETER.sub(lambda found: f"{found['head']}***", hidden)
