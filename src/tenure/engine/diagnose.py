"""Say why the model in office is not working: suspects, likeliest first, and what was ruled out. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tenure.core.diagnosis import Diagnosis, Sureness, Suspect
from tenure.core.evidence import Verdict
from tenure.core.health import Health, HealthReport
from tenure.engine.suspects import (
    Evidence,
    concept_suspects,
    day,
    feed_suspects,
    missing_outcomes,
    moment,
    moved_suspects,
    other_faults,
    promotion_suspect,
    share_words,
    since_of,
    unexplained,
)
from tenure.engine.watch import look
from tenure.engine.workspace import Workspace
from tenure.monitoring.alarm import REALISED_SCORE
from tenure.monitoring.rules import RULES

_RANK: Final = {Sureness.CERTAIN: 3, Sureness.LIKELY: 2, Sureness.POSSIBLE: 1}
_EXPLAINS: Final = ("feed", "promotion", "column", "support", "rows", "concept")
"""What can be behind a fall, in the order in which it is worth asking."""


def diagnose(workspace: Workspace) -> Diagnosis:
    """Judge the model in office and say why it is not working, or that it is.

    Raises:
        NoChampionError: no model was promoted yet.
    """
    health = look(workspace).health
    return diagnosis_of(Evidence(health, tuple(workspace.registry.moves()), health.parts))


def diagnosis_of(evidence: Evidence) -> Diagnosis:
    """Return the diagnosis that follows from the evidence, and nothing else."""
    health = evidence.health
    promotion = promotion_suspect(evidence)
    suspects = [*feed_suspects(evidence), *other_faults(evidence), *moved_suspects(evidence)]
    suspects += concept_suspects(evidence)
    if isinstance(promotion, Suspect):
        suspects.append(promotion)
    suspects = [_in_time(suspect, evidence) for suspect in suspects]
    if not any(suspect.kind in _EXPLAINS for suspect in suspects):
        suspects += filter(None, [unexplained(evidence)])
    suspects += filter(None, [missing_outcomes(evidence)])
    ranked = tuple(sorted(suspects, key=lambda suspect: _place(suspect, evidence)))
    ruled_out = tuple(_ruled_out(evidence, promotion, ranked))
    return Diagnosis(
        version=health.version,
        status=health.status,
        headline=_headline(health, ranked),
        suspects=ranked,
        ruled_out=ruled_out,
        unknown=tuple(_unknown(evidence, promotion)),
        parts=evidence.parts,
        made_from=health.made_from,
    )


def _in_time(suspect: Suspect, evidence: Evidence) -> Suspect:
    """Return the suspect, less sure where it began only after the fall that it should explain."""
    fall = evidence.fall
    began = None if fall is None else since_of(fall)
    if began is None or suspect.since is None or suspect.sureness is not Sureness.LIKELY:
        return suspect
    if moment(suspect.since) <= moment(began):
        return suspect
    later = f"{suspect.why_sure} It began after the fall of {day(began)}, so it is not the whole story."
    return replace(suspect, sureness=Sureness.POSSIBLE, why_sure=later)


def _place(suspect: Suspect, evidence: Evidence) -> tuple[int, int, float]:
    """Return the place in the ranking: surest first, then what is asked first, then the dearest."""
    kind = _EXPLAINS.index(suspect.kind) if suspect.kind in _EXPLAINS else len(_EXPLAINS)
    change = evidence.change_of(suspect.where.removeprefix("column "))
    cost = 0.0 if change is None or change.price is None else change.price.skill.low
    return (-_RANK[suspect.sureness], kind, -cost)


def _headline(health: HealthReport, suspects: tuple[Suspect, ...]) -> str:
    office = "The model" if health.version is None else f"v{health.version}"
    if health.status is Health.ILL:
        first = suspects[0] if suspects else None
        return f"{office} is ill. " + ("Why is not known." if first is None else f"The first suspect: {first.what}")
    if suspects:
        return f"{office} is not ill. Worth a look: {suspects[0].what}"
    if health.status is Health.LEARNING:
        return f"It is too early to tell whether {office} works. {health.headline}"
    return f"{office} works, and nothing speaks against it."


def _ruled_out(evidence: Evidence, promotion: Suspect | str | None, suspects: tuple[Suspect, ...]) -> Iterator[str]:
    """Yield what was looked at and is not why."""
    health = evidence.health
    held = {finding.subject for finding in health.findings if finding.check in RULES}
    if held and not any(suspect.kind == "feed" for suspect in suspects):
        yield f"The feed: no rule of the contract is broken in the latest window ({len(held)} columns)."
    kept = next((f for f in health.findings if f.check == REALISED_SCORE and f.verdict is Verdict.PASS), None)
    if kept is not None and evidence.fall is None:
        yield f"The realised score: {kept.says}"
    if isinstance(promotion, str):
        yield f"A promotion: {promotion}"
    for change in health.changes:
        if change.harmless and change.price is not None:
            yield f"{change.subject}: it moved, and costs {share_words(change.price.skill)} of the skill."
    moved = {change.subject for change in health.changes}
    still = [name for name in held if name not in moved]
    if still and health.windows:
        yield f"Drift: {len(still)} of {len(held)} columns look as they did in training."
    parts, tolerance = evidence.parts, health.tolerance or 0.0
    if evidence.fall is not None and parts is not None:
        for part, words in ((parts.composition, "Other rows"), (parts.concept, "Worse answers on the same rows")):
            if part is not None and part.high <= tolerance:
                yield f"{words}: no more than {part.high:.3g} of the fall of {parts.whole.value:.3g}."


def _unknown(evidence: Evidence, promotion: Suspect | str | None) -> Iterator[str]:
    """Yield what could not be looked at."""
    health = evidence.health
    for finding in health.findings:
        if finding.verdict is Verdict.SKIPPED and finding.check not in RULES:
            yield finding.says
    for change in health.changes:
        if change.price is None and change.unpriced:
            yield f"What the move of {change.subject} costs: {change.unpriced}"
    if evidence.parts is not None and evidence.parts.refused is not None:
        yield f"Whether other rows or worse answers are behind the fall: {evidence.parts.refused}"
    if promotion is None:
        yield "Whether the promotion did it: no realised score from before or after it is known."
