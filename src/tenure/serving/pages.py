"""Pages for people: the overview, the health page, and what a link leads to that asks to approve an act.

Such a link's token is all that it takes to answer, so no other site can make a browser do it, and nothing about the
visitor is kept: no cookie, no cache, no referrer. Opening it changes nothing. It stands in no log: routes are logged by
their pattern.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import parse_qs

from tenure.core.errors import RecordMissingError
from tenure.engine.approvals import action_of, answered, approve, decline, proposals_of, prospect_of
from tenure.engine.approved import ACTS
from tenure.engine.overview import HEALTH_PAGE, overview_of
from tenure.engine.permission import may
from tenure.engine.workspace import REPORTS_FOLDER, Workspace
from tenure.reporting.approval_page import Asked, approval_page, refusal_page
from tenure.reporting.overview_page import overview_page
from tenure.serving.front import Headers, Reply, Request
from tenure.serving.protocols.refusals import Refusal, RequestError
from tenure.state.proposals import Proposal, ProposalState

_WORK: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pages")
"""Few, so that pages never take much from predictions."""
_HTML: Final = b"text/html; charset=utf-8"
_FORM: Final = "application/x-www-form-urlencoded"
_LONGEST: Final = {"who": 80, "why": 300}
_SAFE: Final[Headers] = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-robots-tag", b"noindex"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; "
        b"frame-ancestors 'none'",
    ),
)


class Pages:
    """Answers browsers."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def overview(self, _: Request) -> Reply:
        """Show the state of the project."""
        return await _worked(lambda: self._page(overview_page(overview_of(self._workspace), self._workspace.project)))

    async def health(self, _: Request) -> Reply:
        """Show the health page that was written last."""
        return await _worked(self._health)

    async def ask(self, request: Request) -> Reply:
        """Show what a link asks; nothing is changed."""
        (token,) = request.parameters
        return await _worked(lambda: self._asked(token))

    async def answer(self, request: Request) -> Reply:
        """Take the answer to what a link asks."""
        (token,) = request.parameters
        return await _worked(lambda: self._answered(token, request))

    def refuse(self, refusal: Refusal, _: str) -> Reply:
        """Say no as a page; the path is not shown, since it may hold a token."""
        title = refusal.code.replace("-", " ").capitalize()
        name = self._workspace.project.project.name
        return self._page(refusal_page(title, refusal.detail, refusal.hint or "", name), refusal.status)

    def _page(self, html: str, status: int = 200) -> Reply:
        return Reply(html.encode(), status, _HTML, _SAFE)

    def _health(self) -> Reply:
        page = self._workspace.folder / REPORTS_FOLDER / HEALTH_PAGE
        try:
            return Reply(page.read_bytes(), 200, _HTML, _SAFE)
        except FileNotFoundError as error:
            raise RecordMissingError("No health page was written yet.", hint="Write it with: tenure monitor") from error

    def _asked(self, token: str) -> Reply:
        proposal, _ = proposals_of(self._workspace).linked(token)
        status = 410 if proposal.state is ProposalState.LAPSED else 200
        return self._page(self._question(proposal), status)

    def _answered(self, token: str, request: Request) -> Reply:
        workspace = self._workspace
        proposal, to = proposals_of(workspace).linked(token)
        if not proposal.is_waiting:
            return self._page(self._question(proposal), 409)
        form = _form(request)
        who = f"{form['who'] or 'somebody'} (link by {to})"
        if form["answer"] == "approve":
            approve(workspace, proposal.label, who=who, why=form["why"], via="link")
        else:
            decline(workspace, proposal.label, who=who, why=form["why"] or "declined by link", via="link")
        # Shown by another request, so that to load the page again sends nothing again; relative, for a proxy's prefix.
        return Reply(b"", 303, _HTML, (*_SAFE, (b"location", token.encode("ascii"))))

    def _question(self, proposal: Proposal) -> str:
        workspace = self._workspace
        action = action_of(workspace, proposal)
        asked = Asked(
            label=proposal.label,
            action=action,
            at=proposal.at,
            expires=proposal.expires,
            champion=f"v{proposal.champion}",
            prospect=prospect_of(workspace, action),
            standing="" if proposal.is_waiting else _standing(workspace, proposal),
            is_over=proposal.state is ProposalState.LAPSED,
        )
        return approval_page(asked, workspace.project)


def _standing(workspace: Workspace, proposal: Proposal) -> str:
    """Return how a proposal stands that waits no more, and when what was approved is done."""
    said = f"{proposal.label} is {proposal.in_words.rstrip('.')}."
    if proposal.state is not ProposalState.APPROVED or proposal not in answered(workspace):
        return said
    permit = may(workspace, ACTS[proposal.verb], approved=True)
    return f"{said} {permit.says if not permit.given else 'The watcher does it at its next look.'}"


def _form(request: Request) -> dict[str, str]:
    """Return what a browser sent.

    Raises:
        RequestError: it is no form, or does not say yes or no.
    """
    kind = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    try:
        fields = parse_qs(request.body.decode("utf-8", "replace"), max_num_fields=10) if kind == _FORM else {}
    except ValueError:
        fields = {}
    answer = fields.get("answer", [""])[0]
    if answer not in ("approve", "decline"):
        raise RequestError("The form does not say yes or no.", hint="Use the buttons of the page.")
    given = {name: _plain(fields.get(name, [""])[0], longest) for name, longest in _LONGEST.items()}
    return given | {"answer": answer}


def _plain(text: str, longest: int) -> str:
    """Return text on one line, without signs that nobody sees."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())[:longest]


async def _worked(work: Callable[[], Reply]) -> Reply:
    return await asyncio.get_running_loop().run_in_executor(_WORK, work)
