"""Turn a look at health into alarms, and into the messages that tell of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from tenure.core.alarms import Manners, Step
from tenure.core.health import HealthReport
from tenure.engine.alerts.channels import channels_of
from tenure.engine.alerts.sightings import full_windows, sightings_of
from tenure.engine.workspace import Workspace
from tenure.state.alarms import Alarms

_LEAST_COOL: Final = 86_400.0
_COOL_WINDOWS: Final = 2


def alarms_of(workspace: Workspace) -> Alarms:
    """Return the alarms of a project."""
    return Alarms(workspace.database, workspace.ledger, workspace.context.clock)


def observe_alarms(workspace: Workspace, health: HealthReport) -> tuple[Step, ...]:
    """Follow `health` in the alarms, and put what people are told of it into the outbox; return what changed.

    Call it after each look that is meant to count, then `deliver`. The same look again changes nothing.
    """
    project, context = workspace.project, workspace.context
    now = context.clock()
    alerts = project.alerts
    manners = Manners(
        notices=alerts.notices,
        repeat_us=int(alerts.repeat_after * 1e6),
        cool_us=int(_cool_seconds(workspace, health, now) * 1e6),
    )
    alarms = alarms_of(workspace)
    return alarms.observe(
        sightings_of(health, project.monitoring, currency=project.value.currency, now=now, alarms=alarms.all()),
        version=health.version,
        health=lambda: context.artifacts.put_record(health),
        manners=manners,
        addresses=[channel.address for channel in channels_of(project)],
        actor=context.actor,
    )


def _cool_seconds(workspace: Workspace, health: HealthReport, now: datetime) -> float:
    """Return for how long a cause that comes back is not new: two windows, and at least a day."""
    monitoring = workspace.project.monitoring
    seconds = monitoring.window_seconds
    if seconds is None:
        ends = [datetime.fromisoformat(w.end) for w in full_windows(health, monitoring, now=now)[-_COOL_WINDOWS - 1 :]]
        seconds = (ends[-1] - ends[0]).total_seconds() / (len(ends) - 1) if len(ends) > 1 else 0.0
    return max(_LEAST_COOL, _COOL_WINDOWS * seconds)
