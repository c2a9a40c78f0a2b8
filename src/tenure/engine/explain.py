"""Rebuild a past prediction and say what moved it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from tenure.core.lifecycle import PredictionRecord
from tenure.engine.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature of a row added to the raw score."""

    feature: str
    value: Any
    effect: float


@dataclass(frozen=True, slots=True)
class PredictionExplained:
    """A past prediction, the contributions of its features (largest effect first), and what came true."""

    record: PredictionRecord
    classes: tuple[str, ...]
    base: float
    unit: str
    contributions: tuple[Contribution, ...]
    threshold: float | None
    threshold_reason: str
    outcome: str | float | None


def explain_prediction(workspace: Workspace, prediction_id: str) -> PredictionExplained:
    """Load the version that answered, and let it explain the logged row.

    Raises:
        RecordMissingError: no prediction with that id was logged.
    """
    record = workspace.traffic.prediction(prediction_id)
    scorer = workspace.scorer(workspace.registry.version(record.version))
    row = pl.DataFrame([record.features], strict=False, infer_schema_length=None)
    effects = scorer.explain(row).row(0, named=True)
    base = float(effects.pop("base"))
    ordered = sorted(effects.items(), key=lambda item: -abs(item[1]))
    model = scorer.model
    outcome = workspace.traffic.outcome_of(prediction_id)
    return PredictionExplained(
        record=record,
        classes=model.classes,
        base=base,
        unit="log-odds" if model.task.is_classification else f"units of {model.target}",
        contributions=tuple(Contribution(name, record.features.get(name), float(effect)) for name, effect in ordered),
        threshold=model.threshold,
        threshold_reason=model.threshold_reason,
        outcome=None if outcome is None else outcome.value,
    )
