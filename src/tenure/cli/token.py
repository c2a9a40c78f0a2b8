"""`tenure token`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers, table
from tenure.core.errors import ConfigError
from tenure.core.section import seconds_of
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.times import iso, micros
from tenure.state.tokens import ApiToken, TokenRole, Tokens

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Add, list or revoke the tokens that the server asks for."
)

NameArgument = Annotated[str, typer.Argument(help="Who uses it, such as web-shop.", show_default=False)]


@app.command()
@answers
def add(
    name: NameArgument,
    role: Annotated[
        list[TokenRole], typer.Option(help="What it may do; may be given several times.", show_default=False)
    ],
    expires: Annotated[
        str | None, typer.Option(help="How long it lasts, such as 90d; left out: until it is revoked.")
    ] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """Issue a token and print its secret, this once: only a hash is kept."""
    with open_workspace(project) as workspace:
        secret, token = _tokens(workspace).add(name, role, actor=workspace.context.actor, lasts=_lasts(expires))
    until = "until it is revoked" if token.expires_us is None else f"until {_day(token.expires_us)}"
    return Reply(
        result={"secret": secret, "token": _shown(token, token.created_us)},
        shows=[secret, f"{name} may do {', '.join(token.roles)} {until}. The secret is not shown again."],
    )


@app.command("list")
@answers
def list_tokens(project: ProjectOption = HERE, as_json: JsonOption = False) -> Reply:
    """Show every token that was issued, and whether it is live."""
    with open_workspace(project) as workspace:
        now = micros(workspace.context.clock())
        tokens = _tokens(workspace).all()
    rows = [
        (t.name, ", ".join(t.roles), f"...{t.last4}", t.state(now), _day(t.created_us), _day(t.expires_us))
        for t in tokens
    ]
    return Reply(
        result={"tokens": [_shown(token, now) for token in tokens]},
        shows=[table("name", "may do", "ends in", "state", "made (UTC)", "expires", rows=rows)],
    )


@app.command()
@answers
def revoke(name: NameArgument, project: ProjectOption = HERE, as_json: JsonOption = False) -> Reply:
    """Make a token useless for ever; running servers know it within seconds."""
    with open_workspace(project) as workspace:
        token = _tokens(workspace).revoke(name, actor=workspace.context.actor)
        now = micros(workspace.context.clock())
    return Reply(result={"token": _shown(token, now)}, shows=[f"{name} may do nothing any more."])


def _tokens(workspace: Workspace) -> Tokens:
    return Tokens(workspace.database, workspace.ledger, workspace.context.clock)


def _lasts(text: str | None) -> timedelta | None:
    try:
        return None if text is None else timedelta(seconds=seconds_of(text))
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{text!r} is no time that a token can last.", where="--expires", hint="Write for example 90d or 12h."
        ) from error


def _shown(token: ApiToken, now_us: int) -> dict[str, Any]:
    return {
        "name": token.name,
        "roles": list(token.roles),
        "last4": token.last4,
        "state": token.state(now_us),
        "created": iso(token.created_us),
        "expires": None if token.expires_us is None else iso(token.expires_us),
        "revoked": None if token.revoked_us is None else iso(token.revoked_us),
    }


def _day(moment_us: int | None) -> str:
    return "never" if moment_us is None else iso(moment_us)[:10]
