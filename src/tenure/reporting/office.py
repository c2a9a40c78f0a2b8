"""Who is in office after a run, said once for page, card and headline."""

from __future__ import annotations

from dataclasses import dataclass

from tenure.core.lifecycle import GateDecision, Outcome, Release
from tenure.reporting.words import plural


@dataclass(frozen=True, slots=True)
class Office:
    """Who answers now: `holder` is a version such as "v3" or None, `arrived` says that this run put it there.

    `alarm` is true where somebody has to act. `chip` is the state in two words, `says` in a sentence, `next` what
    happens from here, `undo` how to take it back (None where nothing changed).
    """

    holder: str | None
    arrived: bool
    alarm: bool
    chip: str
    says: str
    next: str
    undo: str | None


def office_of(decision: GateDecision, release: Release) -> Office:
    """Read from the decision and the release who is in office and what follows."""
    against = decision.comparison.against if decision.comparison is not None else None
    incumbent = against if against is not None and against.startswith("v") else None
    if decision.same_model:
        return _unchanged(decision, release)
    if decision.outcome is Outcome.PROMOTE:
        return _after_the_gate(incumbent, release)
    if decision.outcome is Outcome.HOLD:
        return _held(incumbent, decision, release)
    return _rejected(incumbent, decision)


def _after_the_gate(incumbent: str | None, release: Release) -> Office:
    """Return what became of a version that passed."""
    if release.outcome is Outcome.PROMOTE:
        return _promoted(release)
    if release.outcome is Outcome.HOLD:
        return _overtaken()
    is_trying = release.outcome is Outcome.LADDER
    stays = f"Model {incumbent} stays in office" if incumbent else "Nobody new is in office"
    return Office(
        holder=incumbent,
        arrived=False,
        alarm=False,
        chip="On trial" if is_trying else "Nothing changed",
        says=f"{stays} while v{release.version} is tried on live traffic"
        if is_trying
        else f"{stays}: v{release.version} was tried on live traffic before, and withdrawn",
        next=f"v{release.version} climbs to the office step by step while nothing speaks against it. "
        "tenure ladder shows where it stands, and tenure ladder withdraw takes it off."
        if is_trying
        else "Nothing changes. tenure ladder says why it was withdrawn.",
        undo=None,
    )


def _promoted(release: Release) -> Office:
    version = f"Model v{release.version}" if release.version is not None else "The new model"
    undo = (
        f"puts v{release.rollback_to} back in office."
        if release.rollback_to is not None
        else "goes back to the version before. There is none yet, as this is the first."
    )
    return Office(
        holder=version,
        arrived=True,
        alarm=False,
        chip="In office",
        says=f"{version} is in office",
        next=f"{version} answers from now on. Every window of traffic is compared with what this page promises, and "
        "you are told when the promise no longer holds.",
        undo=undo,
    )


def _overtaken() -> Office:
    return Office(
        holder=None,
        arrived=False,
        alarm=False,
        chip="Nothing changed",
        says="The new model is not in office: another took office while it was made",
        next="Nothing changes. The next run compares it with the model that is in office now.",
        undo=None,
    )


def _unchanged(decision: GateDecision, release: Release) -> Office:
    version = f"Model v{release.version}" if release.version is not None else "The model in office"
    stopped = _stopped(decision)
    return Office(
        holder=version,
        arrived=False,
        alarm=stopped > 0,
        chip="Look here" if stopped else "In office",
        says=f"{version} stays in office" + (f", but {plural(stopped, 'check')} now failed" if stopped else ""),
        next="This run built the very model that answers already, so nothing changes.",
        undo=f"puts v{release.rollback_to} in office instead." if release.rollback_to is not None else None,
    )


def _held(incumbent: str | None, decision: GateDecision, release: Release) -> Office:
    comparison = decision.comparison
    rival = incumbent or "the simple rule it is measured against"
    stays = f"Model {incumbent} stays in office" if incumbent else "The new model is not in office"
    new = "the new one" if incumbent else "it"
    if comparison is None:
        why = f"{new} could not be compared fairly"
    elif comparison.high < 0:
        why = f"{new} is worse than {rival}"
    else:
        why = f"{new} may be no better than {rival}"
    kept = ""
    if release.version is not None:
        kept = f" The new one is kept as v{release.version}; tenure rollback --to {release.version} puts it in office."
    return Office(
        holder=incumbent,
        arrived=False,
        alarm=False,
        chip="Nothing changed",
        says=f"{stays}: {why}",
        next=f"Nothing changes. The next run tries again, with the rows that have arrived by then.{kept}",
        undo=None,
    )


def _rejected(incumbent: str | None, decision: GateDecision) -> Office:
    stays = f"Model {incumbent} stays in office" if incumbent else "The new model is not in office"
    stopped = _stopped(decision)
    why = f"{plural(stopped, 'check')} stopped {'the new one' if incumbent else 'it'}"
    return Office(
        holder=incumbent,
        arrived=False,
        alarm=True,
        chip="Stopped",
        says=f"{stays}: {why if stopped else 'the gate turned it down'}",
        next="Nothing changes. Mend what stands first under “What to do next”, then run again: tenure run.",
        undo=None,
    )


def _stopped(decision: GateDecision) -> int:
    return sum(finding.verdict.blocks for finding in decision.because)
