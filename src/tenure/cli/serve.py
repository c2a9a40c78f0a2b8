"""`tenure serve`."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Final

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers
from tenure.engine.workspace import open_workspace
from tenure.serving.server import serve_forever

app = typer.Typer(add_completion=False)

_READY: Final = "tenure serves "
_URL: Final = re.compile(r" on (https?://\S+) \(docs: ")


def url_in(line: str) -> str | None:
    """Return where the server can be reached, if that is what it says in this line."""
    found = _URL.search(line) if line.startswith(_READY) else None
    return None if found is None else found[1]


@app.command()
@answers
def serve(
    project: ProjectOption = HERE,
    host: Annotated[
        str | None, typer.Option(help="Address to bind; loopback unless the project file says otherwise.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 0 takes any free one.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that answer; left out: the project file's.")
    ] = None,
    as_json: JsonOption = False,
) -> Reply:
    """Answer predictions and take outcomes over HTTP, until stopped."""
    with open_workspace(project, actor="server", log=_Lines()) as workspace:
        serving = workspace.project.serving
        served = serve_forever(
            workspace,
            host=host or serving.host,
            port=serving.port if port is None else port,
            workers=workers,
            ready=lambda url: _say(f"{_READY}{workspace.project.project.name} on {url} (docs: {url}/docs)"),
        )
    return Reply(result={"answered": served}, shows=[f"Stopped; {served:,} rows were answered."])


class _Lines:
    """Writes notes to stderr, one line each."""

    def note(self, text: str) -> None:
        """Write a note."""
        _say(text)

    def progress(self, share: float, text: str = "") -> None:
        """Write nothing: a server gets no further."""


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
