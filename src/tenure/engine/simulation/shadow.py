"""A shadow of a project in a folder of its own: it learns and acts there, and nobody is told of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from tenure.core.alerts import AlertsSection
from tenure.core.project import Project, StateSection
from tenure.engine.simulation.flight import SOURCE_FOLDER
from tenure.engine.workspace import STATE_FOLDER

_CODE: Final = ("plugins", "*.py")


def shadow_of(project: Project, *, budget: float | None = None) -> Project:
    """Return the wish of the shadow: the same, with its own rows and state, without anyone to tell.

    `autonomy` is auto: who proposes in a flight waits for ever.
    """
    data = project.data.model_copy(update={"source": f"{SOURCE_FOLDER}/*.parquet", "query": None})
    operations = project.operations.model_copy(update={"autonomy": "auto", "approval_url": None})
    training = project.training if budget is None else project.training.model_copy(update={"budget": budget})
    changed = {
        "data": data,
        "operations": operations,
        "training": training,
        "alerts": AlertsSection(),
        "state": StateSection(),
    }
    return project.model_copy(update=changed)


def bring_code(project: Project, source: Path, folder: Path) -> None:
    """Copy the owner's own code (plug-ins and models) into the shadow's folder."""
    packages = {model.path.partition(":")[0].partition(".")[0] for model in project.training.own}
    for name in ("plugins", *packages):
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, dirs_exist_ok=True)
    for module in source.glob("*.py"):
        shutil.copy2(module, folder / module.name)


def twin_of(folder: Path, twin: Path) -> None:
    """Copy a shadow that is not in use to another folder; both keep what they learn in one store of artifacts."""
    artifacts = folder / STATE_FOLDER / "artifacts"

    def but_artifacts(parent: str, names: list[str]) -> set[str]:
        return {"artifacts"} if Path(parent) == folder / STATE_FOLDER else set()

    shutil.copytree(folder, twin, ignore=but_artifacts)
    (twin / STATE_FOLDER / "artifacts").symlink_to(artifacts.resolve(), target_is_directory=True)
