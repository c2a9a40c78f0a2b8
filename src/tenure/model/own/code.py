"""Find the owner's code by import path, and say in words what goes wrong inside it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenure.core.errors import ConfigError, ExtraMissingError, TenureError


def look_in(folder: Path) -> None:
    """Let modules in a project folder be imported by name; an installed module of the same name comes first."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def named(path: str) -> Callable[..., Any]:
    """Import and return the class or function at an import path such as `my_models:Forest`.

    Raises:
        ConfigError: there is no such module or name in it, or the module fails as it is imported.
    """
    module_name, _, name = path.partition(":")
    with owners_code(path, "importing it"):
        module = importlib.import_module(module_name)
    found = getattr(module, name, None)
    if not callable(found):
        raise ConfigError(
            f"The module {module_name} has no class or function {name!r}.",
            where=path,
            hint="Write the import path as module:name, for example sklearn.ensemble:ExtraTreesClassifier.",
        )
    called: Callable[..., Any] = found
    return called


@contextmanager
def owners_code(path: str, doing: str) -> Iterator[None]:
    """Turn whatever the owner's code raises into an error that names it.

    Raises:
        ConfigError: the code failed.
    """
    try:
        yield
    except TenureError:
        raise
    except Exception as error:  # foreign code: nobody knows what it may raise, and all of it means the same
        kind = type(error).__name__
        raise ConfigError(
            f"{path} failed while {doing}: {kind}: {error}.",
            where=path,
            hint="Mend that code or its params, or take its [[training.own]] section out of the project file.",
        ) from error


def dotted(path: str) -> str:
    """Return an import path as it is written under `trust`: my_models:Net as my_models.Net."""
    return path.replace(":", ".")


def refuse_untrusted(path: str, wanted: Sequence[str], trust: Sequence[str]) -> None:
    """Refuse what runs code when it is read, unless the owner trusts it by name.

    Raises:
        ConfigError: something is not trusted; it says what to write.
    """
    missing = [name for name in wanted if name not in trust]
    if missing:
        listed = ", ".join(f'"{name}"' for name in [*trust, *missing])
        raise ConfigError(
            f"Reading a stored model of {path} runs code that you have not said you trust: {', '.join(missing)}.",
            where=f"training.own: {path}",
            hint=f"If you trust that code, write in its section: trust = [{listed}]",
        )


def library(name: str, *, needed_for: str) -> Any:
    """Return an optional package.

    Raises:
        ExtraMissingError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).partition(".")[0]
        if missing == "skops":
            raise ExtraMissingError.from_extra("own", needed_for=needed_for) from error
        hint = f"Run: pip install {missing}"
        raise ExtraMissingError(f"{needed_for} needs the package {missing}.", hint=hint) from error
