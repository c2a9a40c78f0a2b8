"""Rebuild a past prediction: what was sent, who answered and by which right, how it came to that, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tenure.core.errors import (
    AnswerDiffersError,
    ArtifactError,
    BundleError,
    RecordMissingError,
    SchemaChangedError,
    TenureError,
)
from tenure.core.lifecycle import ModelVersion, OutcomeRecord, PredictionRecord
from tenure.core.modelling import Task
from tenure.core.project import ValueSection
from tenure.core.value import cost_of_errors, realised
from tenure.engine.fields import FieldGuard
from tenure.engine.rebuild import Difference, Rebuilt, Said, answer_again, differences, rebuild
from tenure.engine.scoring import NO_ACTION
from tenure.engine.standing import Standing, standing_of
from tenure.engine.workspace import Workspace
from tenure.model.fitted import FittedModel
from tenure.model.scorer import Scorer
from tenure.state.retention import PRUNED_EVENT
from tenure.state.shadows import ShadowAnswer, shadows_of

_FROM_A_BACKUP: Final = (
    "Restore the folder .tenure/artifacts from a backup; a model that is trained again is another one."
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a decision made in money, now that the truth is known; `otherwise` is what the other decision would have."""

    money: float
    otherwise: float | None
    currency: str


@dataclass(frozen=True, slots=True)
class Beside:
    """What another version would have said to the same row, and the same made again.

    `refused` says why it cannot be made again, where that is so.
    """

    shadow: ShadowAnswer
    differences: tuple[Difference, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """A past prediction with all that is behind it.

    `decision` is what was to be done ("call", "none"), None for a value or several classes. `made` needs an outcome
    and `[value]` in the project file, whose amounts of today count.
    """

    record: PredictionRecord
    task: Task
    target: str
    classes: tuple[str, ...]
    rebuilt: Rebuilt
    standing: Standing
    decision: str | None
    beside: tuple[Beside, ...] = ()
    outcome: OutcomeRecord | None = None
    made: Made | None = None

    @property
    def problem(self) -> AnswerDiffersError | None:
        """Return what is wrong where an answer made again is not the one that was logged; None where all is well."""
        found = [(f"v{self.record.version}", self.rebuilt.differences)]
        found += [(f"v{one.shadow.version} (shadow)", one.differences) for one in self.beside]
        wrong = [(who, difference) for who, some in found for difference in some]
        if not wrong:
            return None
        who, first = wrong[0]
        return AnswerDiffersError.of(
            self.record.id,
            f"{who} gives {first.what} {first.again!r} where {first.logged!r} was logged",
            same_code=self.standing.same_code,
        )


def why(workspace: Workspace, prediction_id: str) -> Why:
    """Rebuild one logged prediction.

    An answer that is not the logged one to the last bit is no error here: `Why.problem` says so.

    Raises:
        RecordMissingError: no prediction of that id is in the log; the message says what was pruned.
        BundleError: the model that answered is damaged or missing.
        ArtifactError: a record of the walk that made it is damaged or missing.
        SchemaChangedError: the logged row lacks a column that the model reads.
    """
    record = _logged(workspace, prediction_id)
    version = workspace.registry.version(record.version)
    scorer = _scorer(workspace, version)
    model = scorer.model
    outcome = workspace.traffic.outcome_of(prediction_id)
    return Why(
        record=record,
        task=model.task,
        target=model.target,
        classes=model.classes,
        rebuilt=rebuild(scorer, record.features, record),
        standing=standing_of(workspace, version, record),
        decision=_decision(model, workspace.project.value, record),
        beside=tuple(_beside(workspace, record, one) for one in shadows_of(workspace.database, prediction_id)),
        outcome=outcome,
        made=None if outcome is None else _made(model, workspace.project.value, record, outcome),
    )


def _logged(workspace: Workspace, prediction_id: str) -> PredictionRecord:
    try:
        return workspace.traffic.prediction(prediction_id)
    except RecordMissingError as error:
        pruned = workspace.ledger.events(kind=PRUNED_EVENT, newest_first=True, limit=1)
        if not pruned:
            raise
        archives = ", ".join(pruned[0].data.get("archives", ())) or "none was written"
        raise RecordMissingError(
            f"{error.message} The log was pruned on {pruned[0].at[:10]}: {pruned[0].reason}",
            where=error.where,
            hint=f"{error.hint} If it was pruned, look for it in the archive: {archives}.",
        ) from error


def _scorer(workspace: Workspace, version: ModelVersion) -> Scorer:
    """Load a version without trying its stored rows: whether it answers as it did is the question here."""
    try:
        return Scorer.load(workspace.context.artifacts.get_tree(version.model), verify=False)
    except (ArtifactError, BundleError) as error:
        raise BundleError(
            f"The model of {version.label} cannot be read, so its answer cannot be made again. {error.message}",
            where=error.where,
            hint=_FROM_A_BACKUP,
        ) from error


def _decision(model: FittedModel, value: ValueSection, record: PredictionRecord) -> str | None:
    if model.task is not Task.BINARY:
        return None
    return value.action if record.prediction == model.classes[-1] else NO_ACTION


def _beside(workspace: Workspace, record: PredictionRecord, shadow: ShadowAnswer) -> Beside:
    """Return a shadow answer held against the same made again, where the log keeps what its version reads."""
    try:
        scorer = _scorer(workspace, workspace.registry.version(shadow.version))
        admitted = FieldGuard.of(scorer.model, workspace.project).admit([record.features]).rows[0]
        again: Said = answer_again(scorer, admitted)
    except SchemaChangedError as error:
        return Beside(shadow, refused=f"The log keeps what v{record.version} read. {error.message}")
    except TenureError as error:
        return Beside(shadow, refused=error.message)
    return Beside(shadow, differences(shadow, again, scorer.model.classes))


def _made(model: FittedModel, value: ValueSection, said: PredictionRecord, outcome: OutcomeRecord) -> Made | None:
    if model.task is Task.BINARY and value.is_given:
        is_yes = np.array([str(outcome.value) == model.classes[-1]])
        acted = np.array([said.prediction == model.classes[-1]])
        money, otherwise = (float(realised(is_yes, action, value)[0]) for action in (acted, ~acted))
        return Made(money, otherwise, value.currency)
    if model.task is Task.REGRESSION and value.error_cost is not None:
        target, predicted = (np.array([float(number)]) for number in (outcome.value, said.prediction))
        return Made(float(cost_of_errors(target, predicted, value.error_cost)[0]), None, value.currency)
    return None
