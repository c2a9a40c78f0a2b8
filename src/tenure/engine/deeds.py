"""Do what was begun: retrain, roll back. What an earlier look did and was killed before noting is found done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from tenure.core.errors import (
    BacklogError,
    ProjectBusyError,
    SourceUnreachableError,
    StateUnreachableError,
    TemporaryError,
    TenureError,
)
from tenure.core.health import HealthReport
from tenure.core.ladder import Step
from tenure.core.lifecycle import Action, Alias, Outcome, Release
from tenure.core.retraining import Recipe
from tenure.engine.acts import Begun
from tenure.engine.runner import WALKED_EVENT, Walk, run_walk
from tenure.engine.workspace import Workspace
from tenure.release.stage import rollback
from tenure.state.ladder import Ladder
from tenure.state.ledger import Event, Run

_LATEST_RUNS: Final = 20
_AWAY: Final[tuple[type[TemporaryError], ...]] = (
    TemporaryError,
    SourceUnreachableError,
    ProjectBusyError,
    StateUnreachableError,
    BacklogError,
)
_PASSING: Final = tuple(f"{error.code}: " for error in _AWAY)
_VAIN: Final = (Outcome.HOLD.value, Outcome.REJECT.value)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an act: the action as it went, the walk or the release where there was one in this process."""

    action: Action
    walk: Walk | None = None
    release: Release | None = None


def retrained(workspace: Workspace, begun: Begun) -> Done:
    """Walk once for what was begun, on the rows of that moment; a walk that fails for a lasting reason counts as done.

    Raises:
        TemporaryError: it cannot be done now.
    """
    earlier = _run_of(workspace, begun)
    if earlier is not None and _is_over(earlier):
        return Done(_came_to(begun, f"Run {earlier.id}: {earlier.reason}"))
    if (earlier is None or earlier.status != "running") and workspace.champion().number != begun.champion:
        return Done(_overtaken(workspace, begun))
    action = begun.action
    try:
        walk = run_walk(workspace, why=f"policy: {action.reason}", recipe=action.recipe, ladder=True, as_of=begun.at)
    except TemporaryError:
        raise
    except TenureError as error:
        return Done(_came_to(begun, f"The walk failed [{error.code}]: {error.message}"))
    return Done(_came_to(begun, f"Run {walk.run_id}: {walk.outcome}: {walk.reason}"), walk=walk)


def _run_of(workspace: Workspace, begun: Begun) -> Run | None:
    """Return the run that an earlier look started for what was begun: the one that sees the rows of that moment."""
    for run in workspace.ledger.runs(limit=_LATEST_RUNS):
        pin = run.data.get("logged")
        if pin is not None and datetime.fromisoformat(pin["as_of"]) == begun.at:
            return run
    return None


def _is_over(run: Run) -> bool:
    """Say whether a run came to an end that stands: not where something outside was away, or it was overtaken."""
    return run.status == "finished" or (run.status == "failed" and not run.reason.startswith(_PASSING))


def rolled_back(workspace: Workspace, begun: Begun) -> Done:
    """Give the office back to the version before, if the one that was to leave still holds it.

    One that fails for a lasting reason counts as done, so that a person is told.

    Raises:
        TemporaryError: it cannot be done now.
    """
    cause = workspace.context.artifacts.put_record(begun.action)
    if any(move.cause == cause and move.alias is Alias.CHAMPION for move in workspace.registry.moves()):
        return Done(_came_to(begun, ""))
    if workspace.champion().number != begun.champion:
        return Done(_overtaken(workspace, begun))
    why = f"policy: {begun.action.reason}"
    try:
        moved = rollback(workspace.context, workspace.registry, to=None, reason=why, cause=cause, seen=begun.champion)
    except TemporaryError:
        raise
    except TenureError as error:
        return Done(_came_to(begun, f"It failed [{error.code}]: {error.message}"))
    return Done(_came_to(begun, ""), release=moved)


def _came_to(begun: Begun, says: str) -> Action:
    return replace(begun.action, carried_out=True, reason=f"{begun.action.reason} {says}".strip())


def _overtaken(workspace: Workspace, begun: Begun) -> Action:
    now = workspace.champion().label
    says = f"Not done: v{begun.champion} was in office when this was chosen, and {now} is now."
    return replace(begun.action, reason=f"{begun.action.reason} {says}")


def resting(workspace: Workspace, health: HealthReport, recipe: Recipe) -> str:
    """Say why a recipe is not tried now: after each attempt in vain for one champion twice as many windows are waited.

    Empty where nothing speaks against an attempt. An attempt is in vain where the gate or the ladder refused it; those
    at learning anew and those at correcting are counted apart.
    """
    taken = [move.at for move in workspace.registry.moves() if move.alias is Alias.CHAMPION]
    since = taken[-1] if taken else ""
    walked = workspace.ledger.events(kind=WALKED_EVENT, newest_first=True, limit=_LATEST_RUNS)
    alike = [e for e in walked if e.at > since and _is_alike(e.data.get("recipe"), recipe)]
    withdrawn = {
        rung.run_id: rung.since
        for rung in Ladder(workspace.registry).rungs(limit=_LATEST_RUNS)
        if rung.step is Step.WITHDRAWN
    }
    vain = [withdrawn.get(event.run_id or "", event.at) for event in alike if _was_vain(event, withdrawn)]
    if not vain or not health.windows:
        return ""
    last = health.windows[-1]
    width = datetime.fromisoformat(last.end) - datetime.fromisoformat(last.start)
    until = datetime.fromisoformat(max(vain)) + max(width, timedelta(seconds=1)) * 2 ** (len(vain) - 1)
    if workspace.context.clock() >= until:
        return ""
    tried = "One attempt was" if len(vain) == 1 else f"{len(vain)} attempts were"
    return f"{tried} refused since this model took office; the next is not before {until:%Y-%m-%d %H:%M}."


def _is_alike(held: dict[str, Any] | None, recipe: Recipe) -> bool:
    """Say whether a walk of old learned anew, or corrected, as `recipe` would."""
    return held is not None and Recipe.from_dict(held).is_retraining is recipe.is_retraining


def _was_vain(event: Event, withdrawn: Mapping[str, str]) -> bool:
    return event.reason.startswith(_VAIN) or event.run_id in withdrawn


def is_correction(workspace: Workspace, run_id: str) -> bool:
    """Say whether a run corrected the model in office, and did not learn anew."""
    held = workspace.ledger.run(run_id).data.get("recipe")
    return held is not None and not Recipe.from_dict(held).is_retraining
