"""Switch one part of ours off, in this process only: the product has no such switches, so its functions are replaced.

Every replacement names what it replaces; where the product no longer has that, the run fails and says so.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from tenure.core.errors import ExtraMissingError
from tenure.core.modelling import DataShape, Task
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Problem
from tenure.training import boosting, closing, ensemble, material, race, stage
from tenure.training.budget import Budget, Course
from tenure.training.calibration import Calibration
from tenure.training.ensemble import Pool
from tenure.training.families.lightgbm import LightGBMFamily

_FLOOR: Final = "baseline"


def parts() -> list[str]:
    """Return everything that can be switched off: families by their names, and ingredients of the engine."""
    return [name for name in plugin_names("family") if name != _FLOOR and _proposes(name)] + list(_INGREDIENTS)


def _proposes(name: str) -> bool:
    """Say whether a family takes part without being named, on this machine."""
    family = plugin("family", name)()
    try:
        return any(
            family.configurations(DataShape(task, rows=2_000, features=10, categorical=3, classes=2)) for task in Task
        )
    except ExtraMissingError:
        return False


def switch_off(part: str) -> None:
    """Switch a part off for the rest of this process."""
    if part in _INGREDIENTS:
        _INGREDIENTS[part]()
    elif part in parts():
        _leave_out(part)
    else:
        raise SystemExit(f"There is no part {part!r}; there are: {', '.join(parts())}.")


def _put(home: Any, name: str, value: Any) -> Any:
    """Replace `home.name` and return what was there."""
    if not hasattr(home, name):
        raise SystemExit(f"{home.__name__} no longer has {name}: bench/peers/without.py must follow the product.")
    before = getattr(home, name)
    setattr(home, name, value)
    return before


def _leave_out(family: str) -> None:
    def proposals(*given: Any) -> list[Any]:
        return [proposal for proposal in original(*given) if proposal[0].name != family]

    original = _put(stage, "proposals_of", proposals)


def _bag() -> None:
    """Serve one refit on all rows instead of the folds' own members; the time for it is kept back from the race."""

    def close(finished: Any) -> Any:
        if finished.course.reporting is not None:
            return original(finished)
        bag = original(finished)
        chosen = [entrant for entrant in finished.complete() if entrant.name in bag.weights]
        shares = np.array([bag.weights[entrant.name] for entrant in chosen])
        members = closing._refitted(finished, chosen, shares, finished.budget.racing(0.0))
        return replace(bag, members=members)

    original = _put(stage, "close", close)
    work = _put(Course, "closing_work", property(lambda course: work.fget(course) or course.rows))


def _ensemble() -> None:
    """Serve the best single candidate."""

    def best(pool: Pool) -> Any:
        return np.eye(len(pool.answers))[int(np.argmin(pool.losses()))]

    for home in (race, closing, ensemble):
        _put(home, "choose_weights", best)
    _steadying()


def _steadying() -> None:
    """Serve the weights that were best in the past as they are (rows in order of time)."""
    _put(race, "steadied", lambda weights, losses, floor: weights)


def _shared() -> None:
    """Bin the columns again for every fit of the LightGBM family; costs and rates are shared as before."""

    def fit(self: Any, configuration: Any, problem: Problem, *given: Any, **named: Any) -> Any:
        common = boosting._shared(problem)
        own = replace(common, binned=None, lock=threading.Lock())
        key = next(key for key, value in problem.shared.items() if value is common)
        return original(self, configuration, replace(problem, shared={key: own}), *given, **named)

    original = _put(LightGBMFamily, "fit", fit)


def _threads() -> None:
    """Run one fit at a time with all threads instead of one thread a fit."""
    cores = os.cpu_count() or 1
    _put(stage, "os", SimpleNamespace(cpu_count=lambda: 1))
    _put(material, "Problem", lambda **given: Problem(**(given | {"threads": cores})))


def _columns() -> None:
    """Let trees see as few columns in time order as elsewhere."""
    _put(material, "Problem", lambda **given: Problem(**(given | {"in_time": False})))


def _patience() -> None:
    """Never end the race before the time is up."""
    _put(race, "_patience", lambda rows: 10**9)


def _looks() -> None:
    """Run configurations in the portfolio's order, without a first look."""
    _put(race.Race, "_looked_at", lambda self, rest, needed: (rest, needed))


def _again() -> None:
    """Do not repeat the best configurations with other seeds."""
    _put(race.Race, "_again", lambda self: [])


def _seeds() -> None:
    """Refit each chosen configuration once only (rows in order of time)."""
    _put(closing, "_MOST_SEEDS", 1)


def _shortening() -> None:
    """Keep all folds however long a configuration takes."""
    _put(Budget, "is_long", lambda self, course, seconds: False)


def _calibration() -> None:
    """Serve probabilities as they come."""
    _put(stage, "calibrate", lambda target, predicted, *rest, **more: (Calibration(), predicted))


_INGREDIENTS: Final[dict[str, Callable[[], None]]] = {
    "bag": _bag,
    "ensemble": _ensemble,
    "steadying": _steadying,
    "shared": _shared,
    "threads": _threads,
    "columns": _columns,
    "patience": _patience,
    "looks": _looks,
    "again": _again,
    "seeds": _seeds,
    "shortening": _shortening,
    "calibration": _calibration,
}
