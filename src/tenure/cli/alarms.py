"""`tenure alarms`."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import OK, Reply, answers, table
from tenure.cli.person import login_name, said
from tenure.cli.values import seconds_option
from tenure.core.alarms import Alarm, AlarmStatus
from tenure.core.errors import ConfigError, TemporaryError
from tenure.engine.alerts.answer import Way
from tenure.engine.alerts.delivery import try_channels
from tenure.engine.alerts.look import alarms_of
from tenure.engine.workspace import open_workspace
from tenure.state.alarms import facts_of
from tenure.state.times import iso

app = typer.Typer(
    add_completion=False,
    help="Show what needs a person; acknowledge, snooze or resolve it; try the ways to people.",
)

_NEVER_SENT: Final = ConfigError.exit_code
_LONGEST_SNOOZE: Final = 366 * 86_400.0

AlarmArgument = Annotated[str, typer.Argument(help="Which one, such as A7.", show_default=False)]
WhyOption = Annotated[str, typer.Option(help="Why; it goes to the ledger.", show_default=False)]
AllOption = Annotated[bool, typer.Option("--all", help="Also those that have ended.")]


@app.callback(invoke_without_command=True)
def alarms(
    context: typer.Context,
    ended: AllOption = False,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Show what needs a person; acknowledge, snooze or resolve it; try the ways to people."""
    if context.invoked_subcommand is None:
        _listed(ended=ended, project=project, as_json=as_json)
        return
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":  # it would be passed over without a word
            raise typer.BadParameter(f"Write options after {context.invoked_subcommand}.")


@answers
def _listed(*, ended: bool, project: ProjectOption, as_json: JsonOption) -> Reply:
    with open_workspace(project) as workspace:
        found = alarms_of(workspace).all(ended=ended)
    result = {"alarms": [facts_of(alarm) for alarm in found]}
    if not found:
        return Reply(
            result=result, shows=["No alarm." if ended else "No alarm is open. Ended ones: tenure alarms --all"]
        )
    rows = [
        (alarm.label, alarm.severity.value, _state(alarm), (alarm.since or iso(alarm.opened_us))[:10], alarm.headline)
        for alarm in found
    ]
    shows: list[Any] = [table("alarm", "for", "state", "since", "what", rows=rows)]
    todo = next((alarm for alarm in found if alarm.status is AlarmStatus.OPEN), None)
    if todo is not None:
        hint = next((symptom.hint for symptom in todo.symptoms if symptom.hint), "")
        shows += ["", f"{todo.label}: {hint}" if hint else todo.label]
        shows.append(f'Take it: tenure alarms ack {todo.label} --why "..."')
    return Reply(result=result, shows=shows)


def _state(alarm: Alarm) -> str:
    if alarm.status is AlarmStatus.SNOOZED and alarm.until_us is not None:
        return f"snoozed until {iso(alarm.until_us)[:16].replace('T', ' ')} UTC"
    by = f" by {alarm.who}" if alarm.who and alarm.status is not AlarmStatus.OPEN else ""
    return f"{alarm.status.value}{by}"


@app.command()
@answers
def ack(alarm: AlarmArgument, why: WhyOption, project: ProjectOption = HERE, as_json: JsonOption = False) -> Reply:
    """Take an alarm: nobody is told of it again unless it gets worse."""
    with open_workspace(project) as workspace:
        done = alarms_of(workspace).acknowledge(alarm, why=said(why), actor=login_name())
    return _reply(done, f"{done.label} is taken. It ends by itself once a window is judged without it.")


@app.command()
@answers
def snooze(
    alarm: AlarmArgument,
    for_: Annotated[str, typer.Option("--for", help="How long, such as 3d or 12h.", show_default=False)],
    why: Annotated[str, typer.Option(help="Why; it goes to the ledger.", show_default=False)] = "",
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """Hear nothing of an alarm for a time, unless it gets worse; then it is told again if it is still there."""
    seconds = seconds_option(for_, "--for")
    if seconds is None or seconds > _LONGEST_SNOOZE:
        raise ConfigError(f"{for_} is too long to snooze.", where="--for", hint="At most a year: --for 52w")
    with open_workspace(project) as workspace:
        done = alarms_of(workspace).snooze(alarm, seconds=seconds, why=why, actor=login_name())
    return _reply(done, f"{done.label} is {_state(done)}.")


@app.command()
@answers
def resolve(alarm: AlarmArgument, why: WhyOption, project: ProjectOption = HERE, as_json: JsonOption = False) -> Reply:
    """End an alarm; it is reopened where a later window shows it again."""
    with open_workspace(project) as workspace:
        done = alarms_of(workspace).resolve(alarm, why=said(why), actor=login_name())
    return _reply(done, f"{done.label} has ended. Take that back with: tenure alarms reopen {done.label}")


@app.command()
@answers
def reopen(
    alarm: AlarmArgument,
    why: Annotated[str, typer.Option(help="Why; it goes to the ledger.", show_default=False)] = "",
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """Take back what was done about an alarm."""
    with open_workspace(project) as workspace:
        done = alarms_of(workspace).reopen(alarm, why=why, actor=login_name())
    return _reply(done, f"{done.label} is open again.")


@app.command("test")
@answers
def try_ways(project: ProjectOption = HERE, as_json: JsonOption = False) -> Reply:
    """Send a test message through each way that the project file names, and say what the other side answered."""
    with open_workspace(project) as workspace:
        tried = try_channels(workspace)
    if not tried:
        raise ConfigError(
            "The project file names no way to people.",
            where="alerts",
            hint='Below [alerts] write webhook = "${HOOK_URL}", or email_to and smtp.',
        )
    ways = [
        {"channel": channel.address.channel, "to": channel.label, "sent": answer.way is Way.SENT, "said": answer.said}
        | ({"detail": answer.detail} if answer.detail else {})
        for channel, answer in tried
    ]
    rows = [(way["channel"], way["to"], "sent" if way["sent"] else "not sent", way["said"]) for way in ways]
    shows: list[Any] = [table("way", "to", "came through", "the other side said", rows=rows)]
    shows += [f"{way['to']} wrote: {way['detail']}" for way in ways if "detail" in way and not way["sent"]]
    return Reply(result={"ways": ways}, shows=shows, exit_code=_exit_code([answer.way for _, answer in tried]))


def _exit_code(ways: list[Way]) -> int:
    if Way.NEVER in ways:
        return _NEVER_SENT
    return TemporaryError.exit_code if Way.LATER in ways else OK


def _reply(alarm: Alarm, line: str) -> Reply:
    return Reply(result={"alarm": facts_of(alarm)}, shows=[line])
