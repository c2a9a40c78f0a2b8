"""Read option values that have their own form."""

from __future__ import annotations

from datetime import datetime

from tenure.core.errors import ConfigError
from tenure.core.section import seconds_of


def seconds_option(text: str | None, option: str) -> float | None:
    """Return the seconds that an option's duration stands for.

    Raises:
        ConfigError: the text is not a duration above zero.
    """
    if text is None:
        return None
    try:
        seconds = seconds_of(text)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}.", where=option, hint=f"For example: {option} 60s") from error
    if seconds <= 0:
        raise ConfigError(f"{option} must be more than zero.", where=option, hint=f"For example: {option} 60s")
    return seconds


def moment_option(text: str, option: str) -> datetime:
    """Return the moment that an option names.

    Raises:
        ConfigError: the text is not a moment.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{option} is {text!r}, which is not a moment.",
            where=option,
            hint="Write it as 2026-01-31 or 2026-01-31T12:00:00Z.",
        ) from error
