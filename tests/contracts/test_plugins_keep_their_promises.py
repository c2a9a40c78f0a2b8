"""Every plug-in that is found keeps its promises: built-in ones, and one written into a project as a single file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import polars as pl
import pytest
import quality_worlds
import robustness_worlds
from expected_failures import EXPECTED_FAILURES

from tenure.core.errors import ExtraMissingError
from tenure.core.modelling import Task
from tenure.core.plugins import plugin, plugin_names
from tenure.core.ports import Member
from tenure.core.project import OwnSection
from tenure.model.members.constant import ConstantMember
from tenure.testing.contracts import (
    Promise,
    SourceSample,
    check_contract,
    drift_contract,
    family_contract,
    member_contract,
    source_contract,
    tiny_problem,
)

ROWS = 40
BROUGHT = (
    OwnSection(name="classes", path="sklearn.naive_bayes:GaussianNB"),
    OwnSection(name="values", path="sklearn.linear_model:Ridge"),
)


def _parameters(kind: str, promises_of: Callable[[str], Iterator[Promise]]) -> list[Any]:
    """Return one test parameter for each promise of each plug-in that is found."""
    found = []
    for name in plugin_names(kind):
        for promise_name, promise in promises_of(name):
            label = f"{kind}/{name}/{promise_name}"
            reason = EXPECTED_FAILURES.get(label)
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            found.append(pytest.param(promise, id=label, marks=marks))
    return found


def _quality(name: str) -> Iterator[Promise]:
    faulty, planted = quality_worlds.FAULTS.get(name, (None, None))
    check = plugin("quality-check", name)()
    return check_contract(check, clean=quality_worlds.clean, faulty=faulty, planted=planted)


def _robustness(name: str) -> Iterator[Promise]:
    check = plugin("robustness-check", name)()
    return check_contract(check, clean=robustness_worlds.clean, faulty=robustness_worlds.FAULTS.get(name))


def _made_family(name: str) -> Any:
    """Return a family; that of the owner's own models has some."""
    return plugin("family", name)(*((BROUGHT,) if name == "own" else ()))


def _family(name: str) -> Iterator[Promise]:
    return family_contract(_made_family(name), learns=name != "baseline")


def _drift(name: str) -> Iterator[Promise]:
    return drift_contract(plugin("drift-test", name)())


@pytest.mark.parametrize("promise", _parameters("quality-check", _quality))
def test_quality_checks_keep_their_promises(promise: Callable[[], None]) -> None:
    promise()


@pytest.mark.parametrize("promise", _parameters("robustness-check", _robustness))
def test_robustness_checks_keep_their_promises(promise: Callable[[], None]) -> None:
    promise()


@pytest.mark.parametrize("promise", _parameters("family", _family))
def test_model_families_keep_their_promises(promise: Callable[[], None]) -> None:
    try:
        promise()
    except ExtraMissingError as error:
        pytest.skip(error.message)


@pytest.mark.parametrize("promise", _parameters("drift-test", _drift))
def test_drift_tests_keep_their_promises(promise: Callable[[], None]) -> None:
    promise()


def test_every_kind_of_member_is_tried_through_a_family() -> None:
    """Families promise on behalf of the members they make; a member that no family makes would go untried."""
    kinds = set()
    for name in plugin_names("family"):
        family = _made_family(name)
        try:
            kinds |= {_member(family, task).kind for task in family.traits.tasks}
        except ExtraMissingError:  # a network is learned with torch only; its member is tried in tests/model
            kinds.add(name)
    assert kinds == set(plugin_names("member"))


def _member(family: Any, task: Task) -> Member:
    problem = tiny_problem(task)
    configuration = family.configurations(problem.shape)[0]
    rows = np.arange(100)
    fitted = family.fit(configuration, problem, rows, None, rounds=2, deadline=robustness_worlds.long_deadline())
    assert fitted is not None
    return fitted.member


SAMPLE = pl.DataFrame(
    {
        "number": [i / 4 for i in range(ROWS)],
        "word": [f"w{i % 3}" for i in range(ROWS)],
        "yes": ["a", "b"] * (ROWS // 2),
    }
)


def _sample(name: str, folder: Path) -> SourceSample:
    """Write the sample in the form that the source of that name reads."""
    if name == "sql":
        with sqlite3.connect(folder / "shop.db") as connection:
            connection.execute("create table sales (number real, word text, yes text)")
            connection.executemany("insert into sales values (?, ?, ?)", SAMPLE.rows())
        connection.close()
        return SourceSample(
            f"sqlite:///{folder}/shop.db",
            "select * from sales order by number",
            folder,
            ROWS,
            tuple(SAMPLE.columns),
            missing="postgresql://reader:hunter2@127.0.0.1:9/none",
            secret="hunter2",
        )
    path = folder / f"sales.{name}"
    {"csv": SAMPLE.write_csv, "parquet": SAMPLE.write_parquet, "jsonl": SAMPLE.write_ndjson}[name](path)
    broken = folder / f"broken.{name}"
    broken.write_bytes(bytes(range(256)) * 4)
    return SourceSample(str(path), None, folder, ROWS, tuple(SAMPLE.columns), f"nowhere.{name}", str(broken))


@pytest.mark.parametrize("name", plugin_names("source"))
def test_sources_keep_their_promises(name: str, tmp_path: Path) -> None:
    for promise_name, promise in source_contract(plugin("source", name)(), _sample(name, tmp_path)):
        if f"source/{name}/{promise_name}" not in EXPECTED_FAILURES:
            promise()


OWN_CHECK = """
    from tenure.core.evidence import Measurement, Threshold


    class Certainty:
        name = "certainty"
        threshold = Threshold(warn=0.999)

        def measure(self, evidence):
            surest = float(evidence.clean.max())
            says = f"The surest answer is {100 * surest:.1f} %."
            yield Measurement("largest probability", surest, says=says, hint="Ask whether anyone can be so sure.")
"""

OWN_FAMILY = """
    import numpy as np

    from tenure.core.modelling import Configuration, Task, Traits
    from tenure.core.ports import Fitted
    from tenure.model.members.constant import ConstantMember


    class Middle:
        name = "middle"
        traits = Traits(tasks=frozenset({Task.REGRESSION}))

        def configurations(self, shape):
            return [Configuration("middle", self.name)]

        def fit(self, configuration, problem, train, valid, *, rounds, deadline):
            return Fitted(ConstantMember(problem.task, [float(np.median(problem.target[train]))]))
"""


@pytest.mark.parametrize(
    ("kind", "name", "text"), [("robustness-check", "certainty", OWN_CHECK), ("family", "middle", OWN_FAMILY)]
)
def test_one_file_in_a_project_is_a_plugin_and_keeps_the_same_promises(
    kind: str, name: str, text: str, tmp_path: Path
) -> None:
    home = tmp_path / "plugins" / kind
    home.mkdir(parents=True)
    (home / f"{name}.py").write_text(dedent(text))
    assert name in plugin_names(kind, project=tmp_path)
    found = plugin(kind, name, project=tmp_path)()
    assert found.name == name
    promises = (
        family_contract(found, learns=False)
        if kind == "family"
        else check_contract(found, clean=robustness_worlds.clean, faulty=robustness_worlds.surest)
    )
    kept = [promise() for _, promise in promises]
    assert kept


def test_a_broken_promise_is_noticed() -> None:
    """A member that forgets what it learned when it is saved does not pass."""

    class Forgetful(ConstantMember):
        def save(self, folder: Path, stem: str) -> dict[str, Any]:
            return {"task": self.task.value, "answer": [0.5, 0.5]}

    promises = dict(member_contract(Forgetful(Task.BINARY, [0.2, 0.8]), tiny_problem(Task.BINARY).matrix))
    with pytest.raises(AssertionError, match="predicts otherwise"):
        promises["survives_its_own_save_and_load"]()


def test_expected_failures_name_promises_that_exist() -> None:
    assert all(reason and label.count("/") == 2 for label, reason in EXPECTED_FAILURES.items())
