"""Ask whether a new model would pay: at each newly matured window, at once on an alarm, and when the model is old."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
from lightgbm.basic import LightGBMError

from tenure.core.errors import EmptyDataError, TemporaryError, TenureError
from tenure.core.evidence import Verdict
from tenure.core.health import HealthReport
from tenure.core.lifecycle import ModelVersion
from tenure.core.retraining import Prospect, Recipe
from tenure.engine.logged_rows import Pin, pinned
from tenure.engine.rows_so_far import RowsSoFar, rows_so_far
from tenure.engine.workspace import Workspace
from tenure.monitoring.freshness import FEED_CHECKS
from tenure.monitoring.rules import RULES
from tenure.retraining.consider import consider
from tenure.retraining.history import History, Terms
from tenure.retraining.recipes import moment_of
from tenure.state.ledger import Event
from tenure.training.probes import QuickProber

PROSPECT_EVENT: Final = "prospect"
_SECONDS: Final = 30.0
"""At most, for one question."""
_LATEST: Final = 8
"""Windows whose rows say how many a window brings."""
_MEMORY: Final = 100
_SECOND: Final = 1_000_000
_LEAST_JUDGED: Final = 200
"""Rows that the gate judges a new model on, at least."""
_SHARE_OF_WORTH: Final = 0.002


@dataclass(frozen=True, slots=True)
class _Question:
    """Why it is asked, since when something is wrong, and what is asked about."""

    trigger: str
    change: datetime | None
    causes: tuple[str, ...]
    latest: str


def latest_prospect(workspace: Workspace, version: int) -> Prospect | None:
    """Return what was last answered about a version in office, or None where it was never asked."""
    events = _asked(workspace, version)
    if not events or events[0].output is None:
        return None
    return workspace.context.artifacts.get_record(Prospect, events[0].output)


def prospect_for(workspace: Workspace, health: HealthReport) -> Prospect | None:
    """Return whether a new model would pay: asked anew where something is known that was not, else the last answer.

    None where it was never asked, for want of rows with outcomes, or could not be (`not_asked` says why).

    Raises:
        TemporaryError: the source is away.
    """
    version = workspace.champion()
    known = latest_prospect(workspace, version.number)
    question = _question(workspace, health, version.number)
    if question is None:
        return known
    try:
        asked = _asked_now(workspace, version, health, question)
    except TemporaryError:
        raise
    except (TenureError, ValueError, LightGBMError) as error:
        told = error.message if isinstance(error, TenureError) else f"{type(error).__name__}: {error}"
        says = f"Whether a new model would pay could not be asked: {told}"
        workspace.context.log.note(says)
        _note(workspace, version, health, question, says)
        return None
    _note(workspace, version, health, question, asked.says, asked)
    return asked


def not_asked(workspace: Workspace, version: int) -> str:
    """Return why the latest question about a version in office could not be asked; empty where it was answered."""
    events = _asked(workspace, version)
    return events[0].reason if events and events[0].output is None else ""


def _note(
    workspace: Workspace,
    version: ModelVersion,
    health: HealthReport,
    question: _Question,
    says: str,
    asked: Prospect | None = None,
) -> None:
    """Keep the answer, or why there is none: the same is not asked again."""
    artifacts = workspace.context.artifacts
    workspace.ledger.append(
        PROSPECT_EVENT,
        actor=workspace.context.actor,
        reason=says,
        inputs=(artifacts.put_record(health),),
        output=None if asked is None else artifacts.put_record(asked),
        output_type=None if asked is None else "Prospect",
        data={
            "version": version.number,
            "trigger": question.trigger,
            "latest": question.latest,
            "causes": list(question.causes),
            "seen": health.windows[-1].start,
            "chosen": None if asked is None or asked.chosen is None else asked.chosen.name,
            "probability": None if asked is None else asked.probability,
        },
    )


def _asked_now(workspace: Workspace, version: ModelVersion, health: HealthReport, question: _Question) -> Prospect:
    """Ask.

    Raises:
        EmptyDataError: none of the rows that the model learned from is left.
    """
    pin = pinned(workspace)
    rows = rows_so_far(workspace, version, workspace.scorer(version), pin, volume=_volume(health))
    if not np.any(rows.history.usable & (rows.history.known <= rows.incumbent.learned)):
        raise EmptyDataError(
            f"None of the rows that v{version.number} learned from is left.",
            where="data.source",
            hint="Train on the rows that there are with: tenure run",
        )
    return _answer(workspace, version, rows, pin, question)


def _question(workspace: Workspace, health: HealthReport, version: int) -> _Question | None:
    """Return what there is to ask, or None where nothing is known that was not when it was asked last."""
    asked = [event.data for event in _asked(workspace, version)]
    causes, change = _alarms(health)
    looked = str(asked[0]["latest"]) if asked else ""
    told = {cause for one in asked if one["latest"] == looked for cause in one["causes"]}
    ripe = [w.start for w in health.windows if w.ripe and w.realised is not None and version in w.versions]
    if ripe and set(causes) - told:
        return _Question("alarm", change, causes, max(ripe[-1], looked))
    if ripe and ripe[-1] > looked:
        return _Question("matured window", change, causes, ripe[-1])
    # Where no outcomes ripen, the source may still have brought some.
    seen = str(asked[0].get("seen", looked)) if asked else ""
    if sum(window.start > seen for window in health.windows) >= workspace.project.operations.max_age:
        return _Question("age", change, causes, looked)
    return None


def _alarms(health: HealthReport) -> tuple[tuple[str, ...], datetime | None]:
    """Return the causes of the alarms that a new model may answer, and since when the earliest of them stands."""
    failing = [
        f for f in health.findings if f.verdict is Verdict.FAIL and f.check not in RULES and f.check not in FEED_CHECKS
    ]
    since = [f.measurement.evidence["since"] for f in failing if "since" in f.measurement.evidence]
    causes = tuple(sorted(f"{f.check}: {f.subject}: {f.measurement.evidence.get('since', '')}" for f in failing))
    return causes, min((datetime.fromisoformat(text) for text in since), default=None)


def _asked(workspace: Workspace, version: int) -> list[Event]:
    events = workspace.ledger.events(kind=PROSPECT_EVENT, newest_first=True, limit=_MEMORY)
    return [event for event in events if event.data["version"] == version]


def _volume(health: HealthReport) -> float:
    """Return how many rows a window brings lately."""
    return float(np.mean([window.rows for window in health.windows[-_LATEST:]]))


def _answer(workspace: Workspace, version: ModelVersion, rows: RowsSoFar, pin: Pin, question: _Question) -> Prospect:
    context = workspace.context
    events = workspace.ledger.events(kind=PROSPECT_EVENT, newest_first=True, limit=_MEMORY)
    answered = [context.artifacts.get_record(Prospect, e.output) for e in reversed(events) if e.output is not None]
    now = int(pin.as_of.timestamp() * _SECOND)
    asked = consider(
        rows.history,
        rows.incumbent,
        _terms(workspace, rows),
        QuickProber(),
        now=now,
        trigger=question.trigger,
        change=None if question.change is None else int(question.change.timestamp() * _SECOND),
        memory=[one for one in answered if one.unit == rows.worth.unit],  # other units teach nothing here
        former=rows.former,
        deadline=context.deadline(_SECONDS),
        threads=2,
    )
    if asked.chosen is None:
        return asked
    lag = 0 if pin.until is None else _rows_within(rows.history, pin.until, pin.age)
    judged = _newest(rows.history, now)
    chosen = asked.chosen if rows.timed else in_rows(asked.chosen, rows.history, now)
    return replace(asked, chosen=replace(chosen, judged=judged, delay=pin.age, lag=lag))


def in_rows(recipe: Recipe, history: History, now: int) -> Recipe:
    """Return the recipe with a moment as a share of the rows: where rows have no times, no moment can be found."""
    moment = moment_of(recipe)
    if moment is None:
        return recipe
    known = history.times[history.usable & (history.known <= now)]
    return replace(recipe, since=None, share=float(np.mean(known >= moment)))


def _rows_within(history: History, until: datetime, seconds: float) -> int:
    """Return how many rows came in so many seconds before a moment."""
    end = int(until.timestamp() * _SECOND)
    return int(np.sum((history.times > end - int(seconds * _SECOND)) & (history.times <= end)))


def _newest(history: History, now: int) -> int:
    """Return how many rows the newest ripe windows hold, as many of them as the gate needs to judge."""
    ripe = history.ripe(now)
    known = history.usable & (history.known <= now)
    count = 0
    for at in reversed(ripe):
        count = int(np.sum(known & (history.window >= history.numbers[at])))
        if count >= _LEAST_JUDGED:
            break
    return count


def _terms(workspace: Workspace, rows: RowsSoFar) -> Terms:
    """Return what is asked of a new model; its cost, where nobody says it, is 0.2 % of the model's worth."""
    operations, worth = workspace.project.operations, rows.worth
    told = operations.retrain_cost if worth.is_money else None
    if told is None and operations.retrain_cost is not None:
        workspace.context.log.note(
            f"operations.retrain_cost is money, and what answers are worth is known in {worth.unit} only, so a "
            f"retraining counts as {_SHARE_OF_WORTH:.1%} of the model's worth: say in [value] what decisions are worth."
        )
    return Terms(
        volume=rows.volume,
        cost=_SHARE_OF_WORTH * worth.skill * rows.volume * operations.horizon if told is None else told,
        horizon=operations.horizon,
        bar=operations.certainty,
        unit=worth.unit,
        seed=workspace.context.seed,
    )
