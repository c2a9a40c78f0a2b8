"""`tenure client`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import Reply, answers
from tenure.client import Client
from tenure.client.typescript import MARK, digest, typescript_files
from tenure.core.errors import ConfigError
from tenure.core.files import write_whole
from tenure.engine.workspace import open_workspace
from tenure.serving.openapi import openapi_document

app = typer.Typer(add_completion=False)


class Language(StrEnum):
    """A language that a client can be written in."""

    TYPESCRIPT = "typescript"


@app.command()
@answers
def client(
    language: Annotated[Language, typer.Argument(help="Language of the client.")],
    out: Annotated[Path, typer.Option(help="Folder of the client, or one file that ends in .ts.")],
    url: Annotated[
        str | None, typer.Option(help="A running server. Left out: the project's folder; no server is needed.")
    ] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """Write a typed client of the model in office."""
    document = _document(url, project)
    files = typescript_files(document)
    module = out if out.suffix == ".ts" else out / "client.ts"
    _hold_others(module)
    paths = {module: files["client.ts"]}
    if module != out:  # what is there of the package may have been changed by its owner, and stays
        paths |= {out / name: text for name, text in files.items() if not (out / name).exists()}
    for path, text in paths.items():
        write_whole(path, text.encode())
    return Reply(
        result={"language": language.value, "out": str(out), "document": digest(document)},
        shows=[f"{path} written." for path in paths],
        artifacts=[str(path) for path in paths],
    )


def _document(url: str | None, project: Path) -> dict[str, Any]:
    if url is not None:
        with Client(url) as server:
            return server.openapi()
    with open_workspace(project) as workspace:
        version = workspace.champion()
        return openapi_document(
            workspace.scorer(version).model,
            workspace.project.project.name,
            version.label,
            secured=True,  # so that the first token changes no client
            max_rows=workspace.project.serving.max_rows,
        )


def _hold_others(module: Path) -> None:
    if module.exists() and not module.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise ConfigError(
            f"{module} is there, and tenure did not write it.", where="--out", hint="Choose another folder or file."
        )
