"""Options that every command takes, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProjectOption = Annotated[
    Path, typer.Option("--project", "-p", envvar="TENURE_PROJECT", help="Folder that holds tenure.toml.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; lines go to stderr.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress lines.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]

HERE = Path()
