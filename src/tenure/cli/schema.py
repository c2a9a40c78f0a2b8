"""`tenure schema`."""

from __future__ import annotations

import json

import typer

from tenure.cli.options import JsonOption
from tenure.cli.output import Reply, answers
from tenure.core.project import editor_schema

app = typer.Typer(add_completion=False)


@app.command()
@answers
def schema(as_json: JsonOption = False) -> Reply:
    """Print the JSON schema of the project file, for editors."""
    document = editor_schema()
    return Reply(result=document, shows=[json.dumps(document, indent=2)])
