"""The map of the house: the whole life cycle is one table. Plan, explain and run read the same tuple."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import tenure
from tenure.core.data import Snapshot
from tenure.core.evidence import QualityReport, RobustnessReport
from tenure.core.lifecycle import Dossier, GateDecision, Incumbent, Release
from tenure.core.modelling import Leaderboard, ValidationPlan
from tenure.core.ports import Context
from tenure.core.project import Project
from tenure.core.records import Record, digest_of
from tenure.core.retraining import Recipe
from tenure.ingest.stage import ingest
from tenure.promotion.stage import gate
from tenure.quality.stage import assess_quality
from tenure.release.stage import release
from tenure.reporting.stage import write_dossier
from tenure.robustness.stage import probe
from tenure.training.stage import train
from tenure.validation.stage import design_validation


@dataclass(frozen=True, slots=True)
class Stage:
    """One room's door: a function from records to one record.

    `run` is called with the context, then the records that `needs` names, then what `takes` names (things from
    outside the walk: rows of the log, what the model is to be made from, the incumbent, the registry, the run's id).
    `sections` are the parts of the project file that its result depends on. `keeps` are the record's fields that name
    files, `trees` those that name folders in the artifact store: without them the record is of no use.
    """

    name: str
    does: str
    run: Callable[..., Record]
    needs: tuple[str, ...]
    gives: str
    kind: type[Record]
    sections: tuple[str, ...]
    takes: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()


LIFECYCLE: Final = (
    Stage(
        "ingest",
        "read the rows",
        ingest,
        (),
        "snapshot",
        Snapshot,
        ("project", "data"),
        ("logged",),
        keeps=("table",),
    ),
    Stage(
        "quality",
        "set bad rows aside, look for columns that know the answer",
        assess_quality,
        ("snapshot",),
        "quality",
        QualityReport,
        ("project", "data", "quality", "training"),
        keeps=("clean", "contract", "quarantined"),
    ),
    Stage(
        "validation",
        "choose how models are compared",
        design_validation,
        ("snapshot", "quality"),
        "plan",
        ValidationPlan,
        ("project", "data", "validation", "training"),
        takes=("recipe",),
        keeps=("blocks",),
    ),
    Stage(
        "training",
        "train candidates and build the best model",
        train,
        ("snapshot", "quality", "plan"),
        "leaderboard",
        Leaderboard,
        ("project", "data", "value", "training", "serving"),
        ("recipe", "basis"),
        keeps=("oof", "baseline_oof"),
        trees=("model",),
    ),
    Stage(
        "robustness",
        "try to break the model",
        probe,
        ("snapshot", "quality", "plan", "leaderboard"),
        "robustness",
        RobustnessReport,
        ("project", "data", "training", "robustness", "serving"),
    ),
    Stage(
        "promotion",
        "compare with the model in office and decide",
        gate,
        ("snapshot", "quality", "plan", "leaderboard", "robustness"),
        "decision",
        GateDecision,
        ("project", "data", "value", "promotion", "monitoring"),  # capacity is a share of the window
        ("incumbent", "recipe"),
    ),
    Stage(
        "release",
        "register the version and move the offices",
        release,
        ("decision", "leaderboard"),
        "release",
        Release,
        (),
        ("registry", "run_id", "ladder"),
    ),
    Stage(
        "reporting",
        "write the dossier",
        write_dossier,
        ("snapshot", "quality", "plan", "leaderboard", "robustness", "decision", "release"),
        "dossier",
        Dossier,
        ("project", "data", "value", "training", "promotion", "monitoring"),
        keeps=("page", "card"),
    ),
)

_CODE: Final = (".py", ".j2")
_ROOT: Final = Path(tenure.__file__).resolve().parent


@cache
def code_digest() -> str:
    """Return the identity of this installation's own code: a change of code is a change of result."""
    return _digest_of_files(_ROOT, _ROOT.rglob("*"), tenure.__version__.encode())


def plugins_digest(context: Context) -> str:
    """Return the identity of the project's own code: its plug-ins, and what `[[training.own]]` may import of it.

    A module there may import its neighbours, so all modules beside the project file count.
    """
    folder, own = context.folder, context.project.training.own
    packages = {model.path.partition(":")[0].partition(".")[0] for model in own}
    files = [*(folder / "plugins").rglob("*"), *(path for name in packages for path in (folder / name).rglob("*"))]
    return _digest_of_files(folder, [*files, *folder.glob("*.py")] if own else files, b"")


def _digest_of_files(root: Path, files: Iterable[Path], seed: bytes) -> str:
    seen = hashlib.sha256(seed)
    for path in sorted({path for path in files if path.suffix in _CODE}):
        seen.update(path.relative_to(root).as_posix().encode())
        seen.update(path.read_bytes())
    return seen.hexdigest()


def stage_salt(
    stage: Stage,
    *,
    source: str,
    plugins: str,
    incumbent: Incumbent | None,
    run_id: str,
    fresh: bool,
    recipe: Recipe | None = None,
    basis: Incumbent | None = None,
) -> dict[str, str | None]:
    """Return what a stage's result depends on besides project file and records.

    `source` is the fingerprint of the data where the source has one, else the run's id: what only reading can tell
    is read again by every run, and not again when the same run resumes. `plugins` comes from `plugins_digest`.
    `recipe` says what the model is made from, and `basis` is the model that the recipe starts with.
    """
    salt: dict[str, str | None] = {"fresh": run_id if fresh else None, "plugins": plugins}
    if stage.name == "ingest":
        salt["source"] = source
    if "incumbent" in stage.takes:
        salt["incumbent"] = None if incumbent is None else incumbent.digest
    if "run_id" in stage.takes:
        salt["run"] = run_id
    if "recipe" in stage.takes and recipe is not None:
        salt["recipe"] = recipe.digest
        salt["basis"] = None if basis is None else basis.digest
    return salt


def stage_key(stage: Stage, project: Project, inputs: Sequence[str], salt: Mapping[str, str | None]) -> str:
    """Return the identity of one piece of work: equal keys mean that the finished record can be taken again.

    `inputs` are the digests of the records that the stage needs; `salt` comes from `stage_salt`.
    """
    return digest_of(
        {
            "stage": stage.name,
            "code": code_digest(),
            "project": project.digest(*stage.sections) if stage.sections else "",
            "inputs": list(inputs),
            "salt": dict(salt),
        }
    )


def walk_key(context: Context, snapshot: Snapshot, *, recipe: Recipe | None = None, ladder: bool = False) -> str:
    """Return the identity of a whole walk: these rows under this wish by this code, in this way."""
    sections = sorted({section for stage in LIFECYCLE for section in stage.sections})
    code = code_digest() + plugins_digest(context)
    wish = {"snapshot": snapshot.digest, "project": context.project.digest(*sections), "code": code}
    way = {} if recipe is None and not ladder else {"recipe": recipe, "ladder": ladder}
    return digest_of(wish | way)
