"""The whole walk with a model of the owner's own: raced, released, stored as data, and served by another process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest

from small_worlds import SMALL_PROJECT, small_world
from tenure.core.errors import ConfigError
from tenure.core.lifecycle import Alias
from tenure.engine.plan import plugins_digest
from tenure.engine.runner import run_walk
from tenure.engine.workspace import open_workspace

MODULE = """
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin


    class Centres(ClassifierMixin, BaseEstimator):
        \"\"\"Give each class the share that its distance from the row's numbers leaves it.\"\"\"

        def __init__(self, sharpness=1.0):
            self.sharpness = sharpness

        def fit(self, X, y):
            self.classes_ = np.unique(y)
            self.centres_ = np.array([X[y == code].mean(axis=0) for code in self.classes_])
            return self

        def predict_proba(self, X):
            apart = np.square(X[:, None, :] - self.centres_).sum(axis=2)
            raised = np.exp(-self.sharpness * (apart - apart.min(axis=1, keepdims=True)))
            return raised / raised.sum(axis=1, keepdims=True)
"""
OWN = """
[[training.own]]
name = "centres"
path = "walk_models:Centres"
params = { sharpness = 0.7 }
"""
TRUST = 'trust = ["walk_models.Centres"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    pytest.importorskip("skops", reason="the extra own is not installed")
    folder = tmp_path / "churn"
    (folder / "data").mkdir(parents=True)
    small_world(500).write_csv(folder / "data" / "first.csv")
    (folder / "walk_models.py").write_text(textwrap.dedent(MODULE))
    text = SMALL_PROJECT.replace("[training]\n", '[training]\nfamilies = ["own"]\n')
    (folder / "tenure.toml").write_text(text + "[serving]\nmax_latency_ms = 100\n" + OWN)
    return folder


def predict(project: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, in another folder."""
    command = [sys.executable, "-m", "tenure", "predict", str(project / "data" / "first.csv")]
    return subprocess.run(
        [*command, "--project", str(project), "--out", str(out)],
        cwd=out.parent,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_class_in_the_project_folder_goes_the_whole_way(project: Path, tmp_path: Path) -> None:
    with open_workspace(project) as workspace, pytest.raises(ConfigError, match=r"walk_models\.Centres"):
        run_walk(workspace)  # nobody said yet that its code may run whenever the model is read
    with (project / "tenure.toml").open("a") as file:
        file.write(TRUST)
    with open_workspace(project) as workspace:
        walk = run_walk(workspace)
        assert walk.outcome == "promote"
        champion = workspace.registry.holder(Alias.CHAMPION)
        assert champion is not None
        files = {path.suffix for path in workspace.context.artifacts.get_tree(champion.model).rglob("*.*")}
        assert files == {".json", ".npy", ".skops"}
        assert any(part.name == "own-centres" for part in workspace.scorer(champion).model.members)
        before = plugins_digest(workspace.context)
        (project / "walk_models.py").write_text(textwrap.dedent(MODULE).replace("sharpness=1.0", "sharpness=2.0"))
        assert plugins_digest(workspace.context) != before
    done = predict(project, tmp_path / "answers.csv")
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(tmp_path / "answers.csv")["probability"].is_between(0, 1).all()
    (project / "walk_models.py").unlink()
    gone = predict(project, tmp_path / "none.csv")
    assert gone.returncode != 0
    assert "walk_models" in gone.stderr
    assert "project folder" in gone.stderr
