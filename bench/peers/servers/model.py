"""Make the one model that all servers carry, the requests, and the answers that must come.

The pipeline is fitted once, by a program of the peers. Ours is a bundle around its trees as text, with a column plan
that gives the same codes, registered and put in office as any other version.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from peers.servers.kinds import APPS, Server
from peers.suite import Entry, split
from tenure.core.data import Column, Kind, Role, Schema
from tenure.core.lifecycle import Alias
from tenure.core.modelling import Task
from tenure.engine.workspace import open_workspace
from tenure.model.bundle import write_bundle
from tenure.model.fitted import FittedModel, WeightedMember
from tenure.model.members.lightgbm import LightGBMMember
from tenure.model.operations import Category, Number
from tenure.model.plan import ColumnPlan
from tenure.quality.contract import infer_contract

BATCH: Final = 1_000
_SINGLES: Final = 1_000
_BATCHES: Final = 5
_FORMS: Final = ("rows", "cells", "mlflow")
_ACTOR: Final = "bench"


@dataclass(frozen=True)
class Prepared:
    """What servers are started on and asked with.

    `expected` holds the probability of each row that is asked for, in the order of the bodies; `batch` is how many rows
    a table has. `target` and `positive` are for our project file, `about` tells of the model.
    """

    folder: Path
    expected: Sequence[float]
    batch: int
    target: str
    positive: str
    about: dict[str, Any]

    def model_of(self, server: Server) -> Path:
        """Return the folder with a server's model."""
        return self.folder / "project" if server.is_ours else self.folder

    def bodies(self, server: Server, rows: int) -> Path:
        """Return the file with the requests of so many rows, one a line."""
        return self.folder / f"{server.kind.form}-{rows}.jsonl"


def prepare(entry: Entry, folder: Path, homes: Mapping[str, Path], *, batch: int = BATCH) -> Prepared:
    """Fit the model on the first three quarters of a binary set and write everything into `folder`.

    `homes` are the interpreters of the peers' environments by name; without them our own fits the model.
    """
    if entry.task is not Task.BINARY:
        raise SystemExit(f"{entry.name} is no binary set: this benchmark needs one.")
    halves = split(entry, seed=0)
    halves.learn.write_parquet(folder / "learn.parquet")
    fitting = homes.get("fastapi", Path(sys.executable))
    _run(fitting, "pipeline.py", str(folder), entry.target, halves.classes[-1])
    if "mlflow" in homes:
        _run(homes["mlflow"], "to_mlflow.py", str(folder))
    model = bundle_model(folder, halves.learn, entry.target, halves.classes)
    _make_project(folder / "project", model, halves.learn, positive=halves.classes[-1])
    rows = halves.kept.drop(entry.target).head(_BATCHES * batch)
    for size, of_size in ((1, rows.head(_SINGLES)), (batch, rows.head(rows.height // batch * batch))):
        for form in _FORMS:
            _write_bodies(folder / f"{form}-{size}.jsonl", form, of_size, size)
    expected = model.predict(model.plan.encode(rows))[:, -1].tolist()
    trees = (folder / "trees.txt").read_text().count("\nTree=")
    about = {"set": entry.name, "columns": rows.width, "trees": trees}
    return Prepared(folder, expected, batch, entry.target, halves.classes[-1], about)


def bundle_model(folder: Path, learn: pl.DataFrame, target: str, classes: tuple[str, ...]) -> FittedModel:
    """Return our model around the trees of a fitted pipeline."""
    known = json.loads((folder / "columns.json").read_text())
    categories, numbers = known["categories"], known["numbers"]
    plan = ColumnPlan([*(Category(name, tuple(levels)) for name, levels in categories.items()), *map(Number, numbers)])
    schema = Schema(tuple(_column(learn[name], name in numbers, target) for name in learn.columns))
    trees = LightGBMMember(Task.BINARY, (folder / "trees.txt").read_text())
    return FittedModel(
        task=Task.BINARY,
        classes=classes,
        target=target,
        schema=schema,
        contract=infer_contract(learn, schema),
        plan=plan,
        members=(WeightedMember("lightgbm", 1.0, trees),),
        metric="roc_auc",
    )


def write_project_file(folder: Path, serving: Mapping[str, str | int], *, target: str, positive: str) -> None:
    """Write a project file with just what serving needs."""
    lines = ["[project]", 'name = "bench"', 'task = "binary"', "", "[data]", 'source = "learn.parquet"']
    lines += [f"{name} = {json.dumps(value)}" for name, value in (("target", target), ("positive", positive))]
    lines += ["", "[serving]", *(f"{name} = {json.dumps(value)}" for name, value in serving.items()), ""]
    (folder / "tenure.toml").write_text("\n".join(lines))


def _make_project(folder: Path, model: FittedModel, learn: pl.DataFrame, *, positive: str) -> None:
    """Make a project with the model as version 1, in office."""
    folder.mkdir()
    write_project_file(folder, {}, target=model.target, positive=positive)
    with open_workspace(folder, actor=_ACTOR) as workspace, tempfile.TemporaryDirectory() as place:
        write_bundle(model, Path(place), sample=learn)
        artifacts, registry = workspace.context.artifacts, workspace.registry
        bundle = artifacts.put_tree(Path(place))
        unknown = artifacts.put_bytes(b"The pipeline of the benchmark has no leaderboard.")
        version = registry.register(bundle, run_id=_ACTOR, leaderboard=unknown, actor=_ACTOR)
        registry.move({Alias.CHAMPION: version.number}, actor=_ACTOR, reason="It is the model to be served.")


def _column(series: pl.Series, is_number: bool, target: str) -> Column:
    kind = Kind.NUMERIC if is_number else Kind.CATEGORICAL
    role = Role.TARGET if series.name == target else Role.FEATURE
    return Column(series.name, str(series.dtype), kind, role, nulls=series.null_count(), distinct=series.n_unique())


def _write_bodies(path: Path, form: str, rows: pl.DataFrame, size: int) -> None:
    with path.open("w") as file:
        for part in rows.iter_slices(size):
            file.write(json.dumps(_body(form, part)) + "\n")


def _body(form: str, part: pl.DataFrame) -> dict[str, Any]:
    """Return a request; for tables peers get cells, which they read quicker than records."""
    cells = {"columns": part.columns, "data": [list(row) for row in part.rows()]}
    if form == "mlflow":
        return {"dataframe_records": part.to_dicts()} if part.height == 1 else {"dataframe_split": cells}
    return cells if form == "cells" and part.height > 1 else {"rows": part.to_dicts()}


def _run(python: Path, *words: str) -> None:
    done = subprocess.run([python, *words], cwd=APPS, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{python} {words[0]} failed: {done.stderr.strip()[-600:]}")
