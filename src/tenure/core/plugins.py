"""Find plug-ins by (kind, name): the file name is the plug-in's name, the one class defined in it the plug-in.

Three homes are searched: the project's own `plugins/<kind>/`, entry points `tenure.<kind>`, and the built-ins.
Names are listed without importing anything.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from tenure.core.errors import UnknownPluginError, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

_ROOT: Final = Path(__file__).resolve().parent.parent

HOMES: Final[dict[str, str]] = {
    "source": "tenure.ingest.sources",
    "quality-check": "tenure.quality.checks",
    "family": "tenure.training.families",
    "member": "tenure.model.members",
    "robustness-check": "tenure.robustness.checks",
    "drift-test": "tenure.monitoring.drift",
}


def plugin_names(kind: str, *, project: Path | None = None) -> tuple[str, ...]:
    """Return the names of all plug-ins of `kind`, sorted, without importing them."""
    found = {path.stem for path in _built_in_folder(kind).glob("*.py")}
    found |= {point.name for point in _points(kind, tuple(sys.path))}
    if project is not None:
        found |= {path.stem for path in _own_folder(kind, project).glob("*.py")}
    return tuple(sorted(name for name in found if not name.startswith("_")))


def built_in(kind: str, name: str) -> type[Any] | None:
    """Import and return the built-in plug-in of that kind and name, None where there is none; quicker than `plugin`."""
    if not (_built_in_folder(kind) / f"{name}.py").exists():
        return None
    return _only_class(importlib.import_module(f"{HOMES[kind]}.{name}"))


def plugin(kind: str, name: str, *, project: Path | None = None) -> type[Any]:
    """Import and return the plug-in class of that kind and name.

    The project's own file wins over an entry point, an entry point over a built-in.

    Raises:
        UnknownPluginError: nobody provides it, or its file does not define exactly one public class.
    """
    known = plugin_names(kind, project=project)
    if name not in known:
        raise UnknownPluginError(f"There is no {kind} called {name!r}.", hint=did_you_mean(name, known))
    own = _own_folder(kind, project) / f"{name}.py" if project is not None else None
    if own is not None and own.exists():
        return _only_class(_module_at(own.resolve()))
    for point in _points(kind, tuple(sys.path)).select(name=name):
        loaded: type[Any] = point.load()
        return loaded
    return _only_class(importlib.import_module(f"{HOMES[kind]}.{name}"))


@cache
def _points(kind: str, path: tuple[str, ...]) -> EntryPoints:
    """Return a kind's entry points on an import path; going through all installed packages takes 30 ms each time."""
    from importlib.metadata import entry_points

    return entry_points(group=f"tenure.{kind}")


def _built_in_folder(kind: str) -> Path:
    return _ROOT.joinpath(*HOMES[kind].split(".")[1:])


def _own_folder(kind: str, project: Path) -> Path:
    return project / "plugins" / kind


@cache
def _module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tenure_plugin_{path.parent.name}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UnknownPluginError(f"{path} is not a Python file.", hint="A plug-in is one .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _only_class(module: ModuleType) -> type[Any]:
    classes = [
        member
        for name, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__
        and not name.startswith("_")
        and (hasattr(member, "name") or hasattr(member, "kind"))
    ]
    if len(classes) != 1:
        names = ", ".join(c.__name__ for c in classes) or "none"
        raise UnknownPluginError(
            f"{module.__name__} must define exactly one plug-in class, and defines: {names}.",
            hint="Start the names of helping classes with an underscore.",
        )
    return classes[0]
