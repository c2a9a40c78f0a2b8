from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.core.errors import BundleError
from tenure.core.modelling import Task
from tenure.core.records import canonical
from tenure.model.bundle import FORMAT_VERSION, WeightedMember, check_rows, read_bundle, write_bundle
from tenure.model.design import LinearDesign
from tenure.model.intervals import ProbabilityCurve, ProbabilityInterval
from tenure.model.members.constant import ConstantMember
from tenure.model.members.linear import LinearMember
from tenure.model.operations import Calendar, Number, TextTopics
from tenure.model.plan import ColumnPlan
from tenure.model.program import RowProgram
from tenure.model.scorer import Scorer
from tenure.model.text import TopicModel

every_task = pytest.mark.parametrize("task", list(Task))
World = Callable[[Task], Any]


@pytest.fixture
def stored(tiny_world: World, tmp_path: Path) -> Path:
    """Return the folder of a stored binary model."""
    world = tiny_world(Task.BINARY)
    write_bundle(world.model, tmp_path / "model", sample=world.frame)
    return tmp_path / "model"


def rewrite(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change a JSON file of a bundle and mend the manifest, as somebody would who knows how."""
    path, manifest = folder / name, folder / "MANIFEST.json"
    path.write_bytes(canonical(change(json.loads(path.read_bytes()))))
    if name != manifest.name:
        told = json.loads(manifest.read_bytes())
        told["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest.write_bytes(canonical(told))


@every_task
def test_a_model_survives_its_folder_bit_for_bit(tiny_world: World, task: Task, tmp_path: Path) -> None:
    world = tiny_world(task)
    write_bundle(world.model, tmp_path, sample=world.frame)
    again = Scorer.load(tmp_path)
    np.testing.assert_array_equal(again.raw(world.frame), Scorer(world.model).raw(world.frame))
    same = ("task", "classes", "target", "schema", "contract", "temperature", "threshold", "interval", "key", "time")
    for name in (*same, "threshold_reason", "metric"):
        assert getattr(again.model, name) == getattr(world.model, name)
    assert [(part.name, part.weight) for part in again.model.members] == [("trees", 0.75), ("line", 0.25)]


@every_task
def test_equal_models_write_equal_bytes(tiny_world: World, task: Task, tmp_path: Path) -> None:
    world = tiny_world(task)
    write_bundle(world.model, tmp_path / "a", sample=world.frame)
    write_bundle(read_bundle(tmp_path / "a"), tmp_path / "b", sample=world.frame)
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert len(files) > 10
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_stored_rows_are_spread_over_the_sample_and_predict_like_it(stored: Path, tiny_world: World) -> None:
    world = tiny_world(Task.BINARY)
    rows = json.loads((stored / "rows.json").read_bytes())
    raw = Scorer(world.model).raw(world.frame.gather_every(4))
    np.testing.assert_allclose(rows["answers"], raw, rtol=0, atol=1e-15)
    assert len(rows["rows"]) == 100
    assert set(rows["rows"][0]) == set(world.model.plan.inputs)


def test_intervals_and_curves_are_kept(tiny_world: World, tmp_path: Path) -> None:
    world = tiny_world(Task.BINARY)
    model = replace(
        world.model,
        probability_interval=ProbabilityInterval((0.5,), (0.1, 0.4), (0.5, 1.0)),
        curve=ProbabilityCurve((0.0, 1.0), (0.1, 0.8)),
    )
    write_bundle(model, tmp_path, sample=world.frame)
    again = Scorer.load(tmp_path)
    assert again.model.probability_interval == model.probability_interval
    assert again.model.curve == model.curve
    assert type(again.model.contract["size"].low) is float
    for name in ("probabilities", "low", "high"):
        whole, expected = (getattr(scorer.score(world.frame), name) for scorer in (again, Scorer(model)))
        np.testing.assert_array_equal(whole, expected)


@every_task
def test_a_bundle_of_the_first_format_still_loads(tiny_world: World, task: Task, tmp_path: Path) -> None:
    """It held a pair where there are bins now, and had neither curve, correction nor interval of a probability."""
    world = tiny_world(task)
    write_bundle(world.model, tmp_path, sample=world.frame)
    old = {"interval": [-2, 3] if task is Task.REGRESSION else None}
    new = ("curve", "correction", "probability_interval")
    rewrite(tmp_path, "bundle.json", lambda told: {k: v for k, v in (told | old).items() if k not in new})
    with pytest.raises(BundleError, match="not of format 3"):
        read_bundle(tmp_path)
    rewrite(tmp_path, "MANIFEST.json", lambda told: told | {"format_version": 1})
    scored, expected = Scorer.load(tmp_path).score(world.frame), Scorer(world.model).score(world.frame)
    for name in ("probabilities", "values", "low", "high"):
        np.testing.assert_array_equal(getattr(scored, name), getattr(expected, name))


def test_arrays_of_the_plan_are_kept(tiny_world: World, tmp_path: Path) -> None:
    world = tiny_world(Task.REGRESSION)
    topics = TopicModel(np.array([3, 9], dtype=np.int32), np.ones(2), np.ones((2, 1), dtype=np.float32))
    plan = ColumnPlan([*world.model.plan.operations[:-1], Number("size"), TextTopics("note", topics)])
    members = (WeightedMember("mean", 1.0, ConstantMember(Task.REGRESSION, [1.0])),)
    write_bundle(replace(world.model, plan=plan, members=members), tmp_path, sample=world.frame)
    again = read_bundle(tmp_path).plan
    np.testing.assert_array_equal(again.encode(world.frame), plan.encode(world.frame))


def test_stored_rows_keep_values_that_json_cannot_say(tiny_world: World, tmp_path: Path) -> None:
    odd = pl.DataFrame(
        {
            "wait": [timedelta(seconds=90), None],
            "cost": [Decimal("3.10"), Decimal("2")],
            "size": [math.inf, 1.5],
            "seen": [date(2026, 1, 2), None],
        }
    )
    plan = ColumnPlan([Number("wait"), Number("cost"), Number("size"), Calendar("seen", ("day",))])
    design = LinearDesign.fit(np.array([[0.0, 0, 0, 0], [1, 1, 1, 1]]), (False,) * 4)
    member = LinearMember(Task.REGRESSION, design, np.ones(4), np.zeros(1))
    model = replace(tiny_world(Task.REGRESSION).model, plan=plan, members=(WeightedMember("line", 1.0, member),))
    write_bundle(model, tmp_path, sample=odd)
    stored = json.loads((tmp_path / "rows.json").read_bytes())
    assert stored["rows"][0] == {"wait": 90.0, "cost": "3.1", "size": None, "seen": "2026-01-02"}
    np.testing.assert_array_equal(np.ravel(stored["answers"]), Scorer.load(tmp_path).raw(odd))


@given(st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_changed_byte_goes_unseen(stored: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(p for p in stored.rglob("*") if p.is_file())))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    try:
        with pytest.raises(BundleError) as caught:
            read_bundle(stored)
    finally:
        path.write_bytes(content)
    assert caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize("name", ["plan.json", "members/00.txt", "MANIFEST.json", "rows.json"])
def test_a_missing_file_is_named(stored: Path, name: str) -> None:
    (stored / name).unlink()
    with pytest.raises(BundleError) as caught:
        read_bundle(stored)
    assert name in str(caught.value.where)


def test_a_file_that_does_not_belong_is_named(stored: Path) -> None:
    (stored / "members" / "extra.txt").write_text("?")
    with pytest.raises(BundleError, match=r"members/extra\.txt is not part of it"):
        read_bundle(stored)


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model"):
        read_bundle(tmp_path / "nowhere")


def test_a_later_format_asks_for_a_newer_version(stored: Path) -> None:
    rewrite(stored, "MANIFEST.json", lambda told: told | {"format_version": FORMAT_VERSION + 1})
    with pytest.raises(BundleError, match=f"format {FORMAT_VERSION + 1}") as caught:
        read_bundle(stored)
    assert "newer" in caught.value.hint


def test_a_stored_answer_that_is_not_given_again_is_found(stored: Path) -> None:
    def shift(rows: dict[str, Any]) -> dict[str, Any]:
        rows["answers"][2][0] += 1e-6
        return rows

    rewrite(stored, "rows.json", shift)
    with pytest.raises(BundleError, match="row 3"):
        Scorer.load(stored)
    Scorer.load(stored, verify=False)


def test_changed_weights_are_found_by_the_stored_rows(stored: Path) -> None:
    def swap(about: dict[str, Any]) -> dict[str, Any]:
        about["members"][0]["weight"], about["members"][1]["weight"] = 0.25, 0.75
        return about

    rewrite(stored, "bundle.json", swap)
    with pytest.raises(BundleError, match="stored answer"):
        check_rows(RowProgram(read_bundle(stored)), stored)


def test_files_that_do_not_fit_together_are_refused(stored: Path) -> None:
    rewrite(stored, "bundle.json", lambda about: {k: v for k, v in about.items() if k != "classes"})
    with pytest.raises(BundleError, match="fit together"):
        read_bundle(stored)


@every_task
def test_loading_and_answering_imports_nothing_that_is_slow_to_load(
    tiny_world: World, task: Task, tmp_path: Path
) -> None:
    world = tiny_world(task)
    write_bundle(world.model, tmp_path, sample=world.frame)
    code = (
        "import sys, json, pathlib\n"
        "from tenure.model.scorer import Scorer\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "scorer = Scorer.load(folder)\n"
        "row = json.loads((folder / 'rows.json').read_bytes())['rows'][0]\n"
        "scorer.score_row(row), scorer.answer(row), scorer.answers([row] * 99)\n"
        "heavy = ('tenure.training', 'sklearn', 'scipy', 'lightgbm', 'pandas', 'pyarrow', 'catboost', 'sqlalchemy',\n"
        "         'polars', 'pydantic', 'narwhals')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (told.stdout.strip(), told.stderr) == ("[]", "")


def test_a_copied_folder_loads_the_same(stored: Path, tmp_path: Path, tiny_world: World) -> None:
    shutil.copytree(stored, tmp_path / "copy")
    frame = tiny_world(Task.BINARY).frame
    np.testing.assert_array_equal(Scorer.load(tmp_path / "copy").raw(frame), Scorer.load(stored).raw(frame))
