"""Find again what a run or a version was made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from tenure.core.errors import RecordMissingError
from tenure.core.lifecycle import Alias, ModelVersion
from tenure.core.records import Record
from tenure.engine.plan import LIFECYCLE
from tenure.engine.workspace import Workspace

R = TypeVar("R", bound=Record)
_STAGES = {stage.name: stage for stage in LIFECYCLE}


def records_of(workspace: Workspace, run_id: str) -> dict[str, Record]:
    """Return the records of a run by name (snapshot, quality, plan, ...), as many as it finished.

    Raises:
        RecordMissingError: there is no such run.
    """
    workspace.ledger.run(run_id)
    return {
        _STAGES[done.stage].gives: workspace.context.artifacts.get_record(_STAGES[done.stage].kind, done.artifact)
        for done in workspace.ledger.run_stages(run_id)
    }


def record_in(records: Mapping[str, Record], name: str, kind: type[R]) -> R:
    """Return one record of a run.

    Raises:
        RecordMissingError: the run ended before it was made.
    """
    found: Any = records.get(name)
    if not isinstance(found, kind):
        raise RecordMissingError(
            f"The run holds no {name}: it ended before that stage.", where=name, hint="Run again: tenure run"
        )
    return found


def version_named(workspace: Workspace, text: str) -> ModelVersion:
    """Return the version that people call `text`: v3, 3, or an alias such as champion.

    Raises:
        RecordMissingError: there is no such version.
    """
    number = text.removeprefix("v")
    if number.isdigit():
        return workspace.registry.version(int(number))
    offices = {alias.value: alias for alias in Alias}
    holder = workspace.registry.holder(offices[text]) if text in offices else None
    if holder is None:
        raise RecordMissingError(
            f"There is no version {text!r}.", where=text, hint="See them with: tenure history --versions"
        )
    return holder
