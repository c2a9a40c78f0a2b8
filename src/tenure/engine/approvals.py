"""Put acts to people, and take their answers: each act that waits has a name, an end, and a link that answers it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tenure.core.errors import ArtifactError, TenureError
from tenure.core.evidence import Finding
from tenure.core.lifecycle import Action
from tenure.core.retraining import Prospect
from tenure.engine.alerts.channels import channels_of
from tenure.engine.loop import PROSPECT, same_cause
from tenure.engine.workspace import STATE_FOLDER, Workspace
from tenure.state.proposals import TOO_LATE, Proposal, Proposals, ProposalState
from tenure.state.stamp import Stamp

COMMAND: Final = "command"
_STAMP: Final = "answers.stamp"
_STANDS: Final = (ProposalState.WAITING, ProposalState.APPROVED, ProposalState.BEGUN, ProposalState.DECLINED)


def proposals_of(workspace: Workspace) -> Proposals:
    """Return the proposals of a project."""
    return Proposals(workspace.database, workspace.ledger, workspace.context.clock)


# ---- what the watcher does ----


def propose(workspace: Workspace, action: Action) -> Proposal:
    """Put an act to people, and a message to each of their addresses into the outbox; return the proposal.

    The same act for the same cause is put to them once: while its proposal waits, is carried out, or was declined
    within its time, that one is returned. Another act for the version in office stands for those that still wait.

    Raises:
        NoChampionError: no model is in office.
    """
    proposals, champion = proposals_of(workspace), workspace.champion().number
    about = [one for one in proposals.all() if one.champion == champion]
    now = workspace.context.clock()
    for earlier in reversed(about):
        is_over = earlier.state is ProposalState.DECLINED and now >= datetime.fromisoformat(earlier.expires)
        if earlier.state in _STANDS and not is_over and _asks_the_same(action_of(workspace, earlier), action):
            return earlier
    return proposals.propose(
        action.verb,
        reason=action.reason,
        action=workspace.context.artifacts.put_record(action),
        champion=champion,
        told={"prospect": _prospect_words(workspace, action)},
        addresses=[channel.address for channel in channels_of(workspace.project)],
        instead_of=[one.number for one in about],
        actor=workspace.context.actor,
    )


def review(workspace: Workspace, chosen: Action) -> tuple[Proposal, ...]:
    """Let proposals lapse that nothing speaks for any more, given what was `chosen` just now; return them."""
    proposals, champion, actor = proposals_of(workspace), workspace.champion().number, workspace.context.actor
    ended = []
    for proposal in proposals.written():
        why = _why_not(workspace, proposal, champion, chosen)
        if why:
            ended.append(proposals.end(proposal, ProposalState.LAPSED, why, actor=actor))
    return tuple(ended)


def waiting(workspace: Workspace) -> tuple[Proposal, ...]:
    """Return the proposals that wait for an answer, oldest first."""
    return tuple(proposal for proposal in proposals_of(workspace).all() if proposal.is_waiting)


def answered(workspace: Workspace) -> tuple[Proposal, ...]:
    """Return what was approved and is not carried out yet, or was cut off at that, oldest first."""
    holder = workspace.incumbent()
    champion = None if holder is None else holder.version
    return tuple(
        proposal
        for proposal in proposals_of(workspace).all()
        if proposal.state is ProposalState.BEGUN
        or (proposal.state is ProposalState.APPROVED and proposal.champion == champion)
    )


def begin(workspace: Workspace, proposal: Proposal) -> Proposal:
    """Note that an approved act begins now; it may be cut off, and begun again."""
    return proposals_of(workspace).begin(proposal, actor=workspace.context.actor)


def finish(workspace: Workspace, proposal: Proposal, says: str) -> Proposal:
    """Note what came of an approved act; from then on nobody carries it out again."""
    return proposals_of(workspace).end(proposal, ProposalState.DONE, says, actor=workspace.context.actor)


def action_of(workspace: Workspace, proposal: Proposal) -> Action:
    """Return the act itself, with its recipe and prospect.

    Raises:
        ArtifactError: its record is missing or damaged.
    """
    return workspace.context.artifacts.get_record(Action, proposal.action)


def prospect_of(workspace: Workspace, action: Action) -> Prospect | None:
    """Return what spoke for an act, with its alternatives, where there was such a contest and its record is whole."""
    if action.prospect is not None:
        with suppress(ArtifactError):
            return workspace.context.artifacts.get_record(Prospect, action.prospect)
    return None


# ---- what a person does ----


def approve(workspace: Workspace, name: str | None, *, who: str, why: str = "", via: str = COMMAND) -> Proposal:
    """Say yes to a proposal; without a name to the only one that waits. Carrying it out is another step.

    Raises:
        ProposalMissingError: there is no such proposal, or none waits, or several do.
        ProposalStateError: it was answered before, or it has lapsed.
    """
    return _answered(workspace, name, approve=True, who=who, why=why, via=via)


def decline(workspace: Workspace, name: str | None, *, who: str, why: str, via: str = COMMAND) -> Proposal:
    """Say no to a proposal; errors as in `approve`."""
    return _answered(workspace, name, approve=False, who=who, why=why, via=via)


def answer_stamp(folder: Path) -> Stamp:
    """Return what changes when a person answers on this machine, so that a watcher need not wait for its next look."""
    return Stamp(folder / STATE_FOLDER / _STAMP)


def _answered(workspace: Workspace, name: str | None, *, approve: bool, who: str, why: str, via: str) -> Proposal:
    given = proposals_of(workspace).answer(name, approve=approve, who=who, why=why, via=via)
    with suppress(TenureError):  # it is answered all the same, and seen at the next look
        answer_stamp(workspace.folder).press()
    return given


def link_for(workspace: Workspace, label: str, *, to: str) -> str | None:
    """Return a new link that answers a proposal once, to be sent `to` somebody and kept nowhere.

    None where the project file names no `approval_url`, or the proposal waits no more.
    """
    base = workspace.project.operations.approval_url
    found = next((proposal for proposal in waiting(workspace) if proposal.label == label), None)
    if base is None or found is None:
        return None
    secret = proposals_of(workspace).add_link(found, to=to, actor=workspace.context.actor)
    return f"{base.rstrip('/')}/approvals/{secret}"


def is_wanted(workspace: Workspace, label: str) -> bool:
    """Say whether a proposal still waits, so that people need to hear of it."""
    return any(proposal.label == label for proposal in waiting(workspace))


def _asks_the_same(one: Action, other: Action) -> bool:
    if one.verb is not other.verb:
        return False
    if one.cause is None or other.cause is None:
        return one.cause is other.cause and one.recipe == other.recipe
    return _same_question(one.cause, other.cause)


def _same_question(one: Finding, other: Finding) -> bool:
    """Say whether two findings ask one thing; a prospect asks whether to replace a version, however often."""
    if one.check == other.check == PROSPECT:
        return bool(one.measurement.evidence["version"] == other.measurement.evidence["version"])
    return same_cause(one, other)


def _why_not(workspace: Workspace, proposal: Proposal, champion: int, chosen: Action) -> str:
    """Return why a proposal lapses, or nothing."""
    if proposal.state not in (ProposalState.WAITING, ProposalState.APPROVED):
        return ""
    if proposal.champion != champion:
        return f"v{champion} is in office by now, and no longer v{proposal.champion}."
    if proposal.state is ProposalState.APPROVED:
        return ""
    if workspace.context.clock() >= datetime.fromisoformat(proposal.expires):
        return TOO_LATE
    action = action_of(workspace, proposal)
    if action.cause is None:
        newer = chosen.prospect is not None and chosen.prospect != action.prospect
        return "A newer look does not ask for it any more." if newer and chosen.verb is not action.verb else ""
    stands = chosen.cause is not None and _same_question(chosen.cause, action.cause)
    return "" if stands else f"Its cause is gone: {chosen.reason}"


def _prospect_words(workspace: Workspace, action: Action) -> dict[str, Any] | None:
    """Return what a message tells of the contest that spoke for an act."""
    found = prospect_of(workspace, action)
    if found is None:
        return None
    return {"says": found.says, "probability": found.probability, "cost": found.cost, "unit": found.unit}
