"""The ladder: how a version that passed the gate gets into office on live traffic, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tenure.core.evidence import Finding
from tenure.core.records import Record


class Step(StrEnum):
    """Where a version stands on the ladder."""

    SHADOW = "shadow"
    """It answers beside the champion, for the log only."""
    CANARY = "canary"
    """It answers a share of the keys in earnest."""
    OFFICE = "office"
    """It got to the top."""
    WITHDRAWN = "withdrawn"
    """It was taken off."""


@dataclass(frozen=True, slots=True)
class Rung(Record):
    """One step of one version's climb, with the evidence that it got there by.

    `version` climbs against the champion `against`. `share` is the share of keys that it answers (canary). `since` is
    the ISO time of the step. `decision` is the digest of the gate's decision that let it on the ladder, `run_id` the
    walk that made it.
    """

    version: int
    against: int
    step: Step
    share: float
    since: str
    decision: str
    run_id: str
    says: str
    evidence: tuple[Finding, ...] = ()
