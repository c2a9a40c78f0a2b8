"""A stored model of the owner's own: data only, equal bytes, and nothing runs that nobody trusts."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression

from tenure.core.errors import BundleError, ExtraMissingError
from tenure.core.modelling import Floats, Task
from tenure.model.design import LinearDesign
from tenure.model.members.own import OwnMember
from tenure.model.own.estimator import EstimatorModel
from tenure.model.own.network import Blueprint, NetworkModel

TREE = "sklearn.tree._tree.Tree"


def a_matrix(rows: int = 200) -> Floats:
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.normal(size=rows), rng.integers(0, 3, rows)]).astype(np.float64)
    matrix[::9, 0] = np.nan
    return matrix


def an_estimator(estimator: Any, trust: tuple[str, ...] = ()) -> OwnMember:
    pytest.importorskip("skops", reason="the extra own is not installed")
    matrix = a_matrix()
    design = LinearDesign.fit(matrix, (False, True))
    target = (np.nan_to_num(matrix[:, 0]) > 0).astype(np.int64)
    estimator.fit(design.transform(matrix), target)
    model = EstimatorModel(Task.BINARY, "here:Thing", estimator, shares=[0.5, 0.5], trust=trust)
    return OwnMember(model, classes=2, design=design)


def stored(member: OwnMember, folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    spec: dict[str, Any] = json.loads(json.dumps(member.save(folder, "00")))
    return spec


def a_module(folder: Path, name: str, width: int = 4) -> None:
    """Write a module with a small PyTorch network, and let it be imported anew."""
    text = f"""
        import torch


        class Net(torch.nn.Module):
            def __init__(self, *, inputs, outputs):
                super().__init__()
                self.first = torch.nn.Linear(inputs, {width})
                self.last = torch.nn.Linear({width}, outputs)

            def forward(self, rows):
                return self.last(torch.relu(self.first(rows)))
    """
    (folder / f"{name}.py").write_text(textwrap.dedent(text))
    sys.modules.pop(name, None)


def a_network(name: str, trust: tuple[str, ...]) -> OwnMember:
    pytest.importorskip("torch", reason="torch is not installed")
    blueprint = Blueprint("torch", f"{name}:Net", {}, inputs=2, outputs=3, trust=trust)
    return OwnMember(NetworkModel(Task.MULTICLASS, blueprint, blueprint.make(seed=1)), classes=3, design=None)


def test_an_estimator_is_stored_as_numbers_and_text_in_equal_bytes(tmp_path: Path) -> None:
    first = an_estimator(LogisticRegression())
    second = an_estimator(LogisticRegression())
    spec = stored(first, tmp_path / "a")
    assert spec == stored(second, tmp_path / "b")
    again = OwnMember.load(tmp_path / "a", spec)
    assert stored(again, tmp_path / "c") == spec
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        assert path.read_bytes() == (tmp_path / "c" / path.name).read_bytes()
    matrix = a_matrix(40)
    np.testing.assert_array_equal(again.predict(matrix), first.predict(matrix))


def test_a_type_that_what_is_stored_does_not_trust_is_not_made(tmp_path: Path) -> None:
    spec = stored(an_estimator(ExtraTreesClassifier(3), (TREE,)), tmp_path)
    assert OwnMember.load(tmp_path, spec).predict(a_matrix(3)).shape == (3, 2)
    spec["model"]["trust"] = []
    with pytest.raises(BundleError, match="not said you trust"):
        OwnMember.load(tmp_path, spec)


def test_a_damaged_archive_is_refused_in_words(tmp_path: Path) -> None:
    spec = stored(an_estimator(LogisticRegression()), tmp_path)
    (tmp_path / spec["model"]["file"]).write_bytes(b"nonsense")
    with pytest.raises(BundleError):
        OwnMember.load(tmp_path, spec)


def test_a_host_without_skops_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = stored(an_estimator(LogisticRegression()), tmp_path)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ExtraMissingError) as caught:
        OwnMember.load(tmp_path, spec)
    assert "tenure[own]" in caught.value.hint


def test_a_network_comes_back_with_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.syspath_prepend(str(tmp_path))
    a_module(tmp_path, "stored_net")
    member = a_network("stored_net", ("stored_net.Net",))
    spec = stored(member, tmp_path / "weights")
    matrix = np.nan_to_num(a_matrix(30))
    again = OwnMember.load(tmp_path / "weights", spec)
    np.testing.assert_array_equal(again.predict(matrix), member.predict(matrix))
    np.testing.assert_allclose(
        np.vstack([again.predict(row[None]) for row in matrix]), again.predict(matrix), atol=1e-14
    )
    assert {path.suffix for path in (tmp_path / "weights").iterdir()} == {".npy"}


def test_a_network_whose_code_is_gone_changed_or_not_trusted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.syspath_prepend(str(tmp_path))
    a_module(tmp_path, "moving_net")
    spec = stored(a_network("moving_net", ("moving_net.Net",)), tmp_path / "weights")
    unsaid = {**spec, "model": {**spec["model"], "blueprint": {**spec["model"]["blueprint"], "trust": []}}}
    with pytest.raises(BundleError, match="not said you trust"):
        OwnMember.load(tmp_path / "weights", unsaid)
    a_module(tmp_path, "moving_net", width=9)
    with pytest.raises(BundleError, match="no longer makes the network"):
        OwnMember.load(tmp_path / "weights", spec)
    (tmp_path / "moving_net.py").unlink()
    del sys.modules["moving_net"]
    with pytest.raises(BundleError, match="No module named") as caught:
        OwnMember.load(tmp_path / "weights", spec)
    assert "project folder" in caught.value.hint
