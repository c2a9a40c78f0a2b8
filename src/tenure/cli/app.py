"""The command line's front door: a table of commands; a command's module is imported only when it is called.

`tenure --help` must answer at once, so nothing of ours is imported here but the error tree.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "init": ("Start", "Look at a table and write a commented project file."),
    "plan": ("Start", "Say what a run would do, and why."),
    "run": ("Start", "Walk from the data to a decision: train, test, decide, release, report."),
    "status": ("Look", "Show the model in office and how it is doing."),
    "report": ("Look", "Say where the dossier lies, writing it again if it is gone."),
    "explain": ("Look", "Say why a version is in office, or why a prediction came out as it did."),
    "history": ("Look", "Show what was decided, when, by whom and why."),
    "predict": ("Use", "Score a table with the model in office."),
    "serve": ("Use", "Answer predictions and take outcomes over HTTP."),
    "outcomes": ("Use", "Record what came true for earlier predictions."),
    "monitor": ("Keep", "Judge recent traffic: data quality, drift, realised performance and value."),
    "watch": ("Keep", "Look at health and act on it: keep, retrain, roll back or escalate."),
    "rollback": ("Keep", "Put an earlier version back in office."),
    "schema": ("Start", "Print the JSON schema of the project file, for editors."),
}


class _Table(TyperGroup):
    """A group whose commands are the rows of `COMMANDS`."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        panel, line = COMMANDS[cmd_name]
        if self._listing:
            return TyperCommand(cmd_name, help=line, rich_help_panel=panel)
        module = importlib.import_module(f"tenure.cli.{cmd_name}")
        command = get_command(module.app)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        super().format_help(ctx, formatter)
        self._listing = False


app = typer.Typer(
    cls=_Table,
    name="tenure",
    no_args_is_help=True,
    add_completion=True,
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
