"""The command line's front door: a table of commands; a command's module is imported only when it is called.

`tenure --help` must answer at once, so nothing of ours is imported here but the error tree.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "init": ("Start", "Look at a table and write a commented project file."),
    "plan": ("Start", "Say what a run would do, and why."),
    "run": ("Start", "Walk from the data to a decision: train, test, decide, release, report."),
    "status": ("Look", "Show the model in office and how it is doing."),
    "report": ("Look", "Say where the dossier lies, writing it again if it is gone."),
    "explain": ("Look", "Say why a version is in office, or why a prediction came out as it did."),
    "why": (
        "Look",
        "Rebuild a past prediction: data, version, values, contributions, threshold, and the decision behind.",
    ),
    "history": ("Look", "Show what was decided, when, by whom and why."),
    "predict": ("Use", "Score a table with the model in office."),
    "serve": ("Use", "Answer predictions and take outcomes over HTTP."),
    "up": ("Use", "Run the server, the watcher and the overview page together until stopped; what dies starts again."),
    "token": ("Use", "Add, list or revoke the tokens that the server asks for."),
    "client": ("Use", "Write a typed client of the model in office."),
    "outcomes": ("Use", "Record what came true for earlier predictions."),
    "log": ("Keep", "Show, export and prune the log of predictions and outcomes."),
    "monitor": ("Keep", "Judge recent traffic: data quality, drift, realised performance and value."),
    "diagnose": ("Keep", "Say why the model is not working: what changed, where, since when, how sure, what to do."),
    "bisect": ("Keep", "Find the version, the window of traffic or the batch of training rows where a metric broke."),
    "watch": ("Keep", "Look at health and act on it: keep, retrain, roll back or escalate."),
    "simulate": (
        "Keep",
        "Fly policies through the project's own history: what they would have done, and what it would have been worth.",
    ),
    "alarms": ("Keep", "Show what needs a person; acknowledge, snooze or resolve it; try the ways to people."),
    "exclude": ("Keep", "Keep rows of some times from being learned from: faulty windows, poisoned labels."),
    "ladder": (
        "Keep",
        "Show where a new version stands on its way to the office; take it off, or put it in office at once.",
    ),
    "approvals": ("Keep", "Show which acts wait for a person, and what speaks for them."),
    "approve": ("Keep", "Say yes to an act that waits for a person, and carry it out unless a watcher does."),
    "decline": ("Keep", "Say no to an act that waits for a person."),
    "freeze": ("Keep", "Let nothing be retrained or promoted by itself until further notice; rollbacks go on."),
    "unfreeze": ("Keep", "End a freeze."),
    "rollback": ("Keep", "Put an earlier version back in office."),
    "schema": ("Start", "Print the JSON schema of the project file, for editors."),
}


_UsageError: Any = typer.BadParameter.__base__  # what every fault in a command's words is


def _tell_program(command: str, message: str) -> None:
    """Print the envelope for a fault in the command's words; the lines for people go to stderr."""
    error = {"code": "usage", "message": message, "where": command or None, "hint": "See: tenure COMMAND --help"}
    document = {
        "schema_version": 1,
        "command": command,
        "status": "error",
        "exit_code": 2,
        "result": {"error": error},
        "warnings": [],
        "artifacts": [],
    }
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


class _Table(TyperGroup):
    """A group whose commands are the rows of `COMMANDS`."""

    _as_json = False

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tenure.cli.{cmd_name}")
        command = get_command(module.app)
        command.name = cmd_name
        return command

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        self._as_json = "--json" in args
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            if self._as_json:
                _tell_program(ctx.invoked_subcommand or "", error.format_message())
            raise

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for panel in dict.fromkeys(panel for panel, _ in COMMANDS.values()):
            with formatter.section(panel):
                formatter.write_dl([(name, line) for name, (place, line) in COMMANDS.items() if place == panel])


app = typer.Typer(
    cls=_Table,
    name="tenure",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,  # the library that frames and colours help takes longer to load than all else together
    pretty_exceptions_enable=False,
    help="From a file and a goal to a model in office that looks after itself.",
    epilog="Two commands: tenure init DATA --target COLUMN, then tenure run.",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("tenure"))
        raise typer.Exit


@app.callback()
def tenure(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Read options that stand before the command."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(app())


if __name__ == "__main__":
    main()
