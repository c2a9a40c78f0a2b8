"""Proposals: acts that wait for a person. Each step is an event of the ledger, and what they say together is the state.

A link that answers one holds a secret that is kept nowhere: the ledger knows its SHA-256.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection

from tenure.core.errors import ProposalMissingError, ProposalStateError, did_you_mean
from tenure.core.lifecycle import Verb
from tenure.state.database import Database
from tenure.state.ledger import LOCK, Event, Ledger
from tenure.state.outbox import Address, post
from tenure.state.times import micros
from tenure.state.tokens import hash_of

PROPOSAL_EVENT: Final = "proposal"
LINK_EVENT: Final = "proposal-link"
LASTS: Final = timedelta(days=14)
TOO_LATE: Final = f"Nobody answered it in {LASTS.days} days."
_NAME: Final = re.compile(r"[pP]?([1-9][0-9]{0,8})")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_TOKEN_BYTES: Final = 32


class ProposalState(StrEnum):
    """How far a proposal got."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"
    LAPSED = "lapsed"
    """Its cause is gone, another version is in office, or nobody answered in time."""
    BEGUN = "begun"
    """It was approved, and is being carried out, or was cut off at that."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Proposal:
    """One act that waits, or waited, for a person.

    `action` is the digest of its record, `champion` the version in office that it was about. `who` answered it, `why`
    and how (`via`), at `answered`; `says` is what came of it. `begun` is the ledger's number of that event.
    """

    number: int
    verb: Verb
    reason: str
    action: str
    champion: int
    at: str
    expires: str
    state: ProposalState = ProposalState.WAITING
    who: str = ""
    why: str = ""
    via: str = ""
    answered: str | None = None
    begun: int | None = None
    says: str = ""

    @property
    def label(self) -> str:
        """Return what people call it: P3."""
        return f"P{self.number}"

    @property
    def is_waiting(self) -> bool:
        """Say whether it can be answered."""
        return self.state is ProposalState.WAITING

    @property
    def in_words(self) -> str:
        """Return its state in words."""
        by = f" by {self.who}" if self.who else ""
        said = f": {self.why}" if self.why else ""
        if self.state in (ProposalState.DONE, ProposalState.LAPSED):
            return f"{self.state}: {self.says}"
        return f"{self.state}{by}{said}"


class Proposals:
    """Keeps proposals for all processes that share the database: of two answers to one, the first counts."""

    def __init__(self, db: Database, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._ledger = ledger
        self._clock = clock

    def all(self) -> list[Proposal]:
        """Return every proposal, oldest first; one that was not answered in time has lapsed."""
        now = self._clock()
        return [_in_time(proposal, now) for proposal in self.written()]

    def written(self) -> list[Proposal]:
        """Return every proposal as the ledger has it, whatever time it is."""
        return _folded(self._ledger.events(kind=PROPOSAL_EVENT))

    def propose(
        self,
        verb: Verb,
        *,
        reason: str,
        action: str,
        champion: int,
        told: Mapping[str, Any],
        addresses: Sequence[Address],
        instead_of: Collection[int] = (),
        actor: str,
    ) -> Proposal:
        """Put an act to people, in place of earlier proposals; each address gets one message, which holds `told`."""
        with self._db.begin(lock=LOCK) as connection:
            known = self.all()
            number = known[-1].number + 1 if known else 1
            for old in known:
                if old.number in instead_of and old.is_waiting:
                    says = f"P{number} stands for it."
                    self._append(old, ProposalState.LAPSED, "lapses", says, actor, connection=connection)
            now = self._clock()
            made = Proposal(number, verb, reason, action, champion, now.isoformat(), (now + LASTS).isoformat())
            about = {"verb": verb.value, "champion": champion, "expires": made.expires}
            told_as = f"to {verb.value}, waits for a person"
            self._append(made, ProposalState.WAITING, told_as, reason, actor, about, connection=connection)
            facts = {"id": made.label, "verb": verb.value, "reason": reason, "expires": made.expires, **told}
            content = {"version": champion, "alarms": [], "proposal": facts}
            post(connection, addresses, content, now_us=micros(now))
        return made

    def answer(self, name: str | None, *, approve: bool, who: str, why: str, via: str) -> Proposal:
        """Approve or decline one; without a name the only one that waits.

        Raises:
            ProposalMissingError: there is no such proposal, or none waits, or several do.
            ProposalStateError: it was answered before, or it has lapsed.
        """
        state = ProposalState.APPROVED if approve else ProposalState.DECLINED
        with self._db.begin(lock=LOCK) as connection:
            found = _named(self.all(), name)
            if not found.is_waiting:
                raise _not_waiting(found)
            data = {"who": who, "why": why, "via": via}
            event = self._append(found, state, f"is {state} by {who}", why, who, data, connection=connection)
        return replace(found, state=state, answered=event.at, who=who, why=why, via=via)

    def begin(self, proposal: Proposal, *, actor: str) -> Proposal:
        """Note that an approved act begins; one that began before stays as it is.

        Raises:
            ProposalStateError: it was not approved, or is done.
        """
        with self._db.begin(lock=LOCK) as connection:
            found = _named(self.all(), proposal.label)
            if found.state is ProposalState.BEGUN:
                return found
            if found.state is not ProposalState.APPROVED:
                raise _not_waiting(found)
            event = self._append(found, ProposalState.BEGUN, "begins", found.reason, actor, connection=connection)
        return replace(found, state=ProposalState.BEGUN, begun=event.seq)

    def end(self, proposal: Proposal, state: ProposalState, says: str, *, actor: str) -> Proposal:
        """Note that a proposal is done or has lapsed; one that ended before stays as it is."""
        with self._db.begin(lock=LOCK) as connection:
            found = _named(self.written(), proposal.label)
            if found.state in (ProposalState.DONE, ProposalState.DECLINED, ProposalState.LAPSED):
                return found
            verb = "is done" if state is ProposalState.DONE else "lapses"
            self._append(found, state, verb, says, actor, connection=connection)
        return replace(found, state=state, says=says)

    # ---- links ----

    def add_link(self, proposal: Proposal, *, to: str, actor: str) -> str:
        """Return a new secret with which the proposal can be answered once; `to` says to whom it is sent."""
        secret = secrets.token_urlsafe(_TOKEN_BYTES)
        self._ledger.append(
            LINK_EVENT,
            actor=actor,
            reason=f"A link to answer {proposal.label} goes out by {to}.",
            data={
                "proposal": proposal.label,
                "hash": hash_of(secret.encode()),
                "to": to,
                "expires": proposal.expires,
            },
        )
        return secret

    def linked(self, secret: str) -> tuple[Proposal, str]:
        """Return the proposal that a link's secret is for, and to whom the link was sent; it may be answered by now.

        Raises:
            ProposalMissingError: no link has such a secret.
        """
        digest = hash_of(secret.encode("utf-8", "replace"))
        links = {event.data["hash"]: event for event in self._ledger.events(kind=LINK_EVENT)}
        # Nobody can steer a SHA-256 towards that of a secret, so what the look-up's time tells is of no use.
        event = links.get(digest)
        fits = event is not None and hmac.compare_digest(event.data["hash"], digest)
        if event is None or not fits or not _TOKEN.fullmatch(secret):
            raise ProposalMissingError(
                "This link is not known.", hint="It may have been cut off on its way. See them all: tenure approvals"
            )
        return _named(self.all(), event.data["proposal"]), event.data["to"]

    def _append(
        self,
        proposal: Proposal,
        state: ProposalState,
        verb: str,
        says: str,
        actor: str,
        data: Mapping[str, Any] | None = None,
        *,
        connection: Connection,
    ) -> Event:
        comma = "," if state is ProposalState.WAITING else ""
        return self._ledger.append(
            PROPOSAL_EVENT,
            actor=actor,
            reason=f"{proposal.label}{comma} {verb}{f': {says}' if says else '.'}",
            output=proposal.action,
            output_type="Action",
            data={"proposal": proposal.number, "state": state.value, "says": says, **(data or {})},
            connection=connection,
        )


def _folded(events: Iterable[Event]) -> list[Proposal]:
    """Return what the events say together."""
    found: dict[int, Proposal] = {}
    for event in events:
        data, number = event.data, event.data["proposal"]
        state = ProposalState(data["state"])
        if state is ProposalState.WAITING:
            verb, expires = Verb(data["verb"]), data["expires"]
            found[number] = Proposal(
                number, verb, data["says"], event.output or "", data["champion"], event.at, expires
            )
        elif state in (ProposalState.APPROVED, ProposalState.DECLINED):
            given = {name: data[name] for name in ("who", "why", "via")}
            found[number] = replace(found[number], state=state, answered=event.at, **given)
        elif state is ProposalState.BEGUN:
            found[number] = replace(found[number], state=state, begun=event.seq)
        else:
            found[number] = replace(found[number], state=state, says=data["says"])
    return list(found.values())


def _in_time(proposal: Proposal, now: datetime) -> Proposal:
    if not proposal.is_waiting or now < datetime.fromisoformat(proposal.expires):
        return proposal
    return replace(proposal, state=ProposalState.LAPSED, says=TOO_LATE)


def _named(known: Sequence[Proposal], name: str | None) -> Proposal:
    waiting = [proposal for proposal in known if proposal.is_waiting]
    if name is None:
        if len(waiting) == 1:
            return waiting[0]
        several = ", ".join(proposal.label for proposal in waiting)
        raise ProposalMissingError(
            f"{several} wait; say which." if waiting else "No proposal waits for an answer.",
            hint="See them with: tenure approvals",
        )
    wanted = _NAME.fullmatch(name.strip())
    found = next((proposal for proposal in known if wanted and proposal.number == int(wanted[1])), None)
    if found is None:
        labels = [proposal.label for proposal in waiting]
        hint = did_you_mean(name, labels) if labels else "See the ended ones: tenure approvals --all"
        raise ProposalMissingError(f"There is no proposal {name[:20]!r}.", where=name[:20], hint=hint)
    return found


def _not_waiting(proposal: Proposal) -> ProposalStateError:
    return ProposalStateError(
        f"{proposal.label} is {proposal.in_words.rstrip('.')}.",
        where=proposal.label,
        hint="See what waits: tenure approvals",
    )
