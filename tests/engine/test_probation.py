"""A version that took office lately: given back on late outcomes or guards, and only on those."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from climbs import FASTER, Business, registered, sharper, with_clock
from tenure.core.evidence import Finding, Verdict
from tenure.core.lifecycle import Alias
from tenure.engine.loop import same_cause
from tenure.engine.probation import probation, term_of
from tenure.engine.workspace import Workspace, open_workspace
from tenure.release.stage import rollback
from tenure.state.traffic import Traffic


@pytest.fixture
def business(office: Path, clock: Any) -> Iterator[Business]:
    file = office / "tenure.toml"
    file.write_text(file.read_text() + FASTER)
    with open_workspace(office, actor="watch") as workspace:
        yield Business(with_clock(workspace, clock), clock)


def _promoted(workspace: Workspace, folder: Path, by: float, *, honest: bool = True) -> int:
    version = registered(workspace, folder, sharper(by), honest=honest)
    workspace.registry.move({Alias.CHAMPION: version, Alias.PREVIOUS: 1}, actor="test", reason="promoted")
    return version


def _looked(business: Business, windows: int, *, first: int = 0, delay: float = 0.0) -> list[Finding]:
    """Answer window after window and look after each, until something speaks against the version in office."""
    for number in range(windows):
        business.rows(200, seed=300 + first + number, delay=delay)
        found = probation(business.workspace)
        if found is not None:
            return [found]
    return []


def test_the_first_model_and_one_that_came_back_are_on_no_probation(business: Business, tmp_path: Path) -> None:
    workspace = business.workspace
    assert term_of(workspace) is None
    assert _looked(business, 1) == []
    _promoted(workspace, tmp_path / "second", 1.05)
    assert term_of(workspace) is not None
    rollback(workspace.context, workspace.registry, to=None, reason="by hand", cause=None)
    assert term_of(workspace) is None


def test_a_harmful_version_is_given_back_on_outcomes_that_come_late(business: Business, tmp_path: Path) -> None:
    version = _promoted(business.workspace, tmp_path / "second", 6.0)
    assert _looked(business, 2, delay=450 * business.seconds) == []
    (found,) = _looked(business, 4, first=2, delay=450 * business.seconds)
    assert (found.check, found.verdict) == ("harm", Verdict.FAIL)
    assert found.measurement.evidence["version"] == version
    again = probation(business.workspace)
    assert again is not None
    assert same_cause(found, again)


def test_a_version_as_good_as_the_one_before_stays(business: Business, tmp_path: Path) -> None:
    _promoted(business.workspace, tmp_path / "second", 1.05)
    assert _looked(business, 5) == []


def test_the_probation_ends_with_its_horizon_and_the_outcomes_of_it(business: Business, tmp_path: Path) -> None:
    _promoted(business.workspace, tmp_path / "second", 6.0)
    for number in range(6):
        business.rows(200, seed=400 + number)
    assert probation(business.workspace) is None


class _Watched(Traffic):
    """A log that notes how much of it is read."""

    most = 0

    def joined(self, **more: Any) -> pl.DataFrame:
        rows = super().joined(**more)
        self.most = max(self.most, rows.height)
        return rows


def test_long_after_the_probation_not_all_that_was_said_since_is_read_again(business: Business, tmp_path: Path) -> None:
    small = business.workspace.project.monitoring.model_copy(update={"window": "20 rows"})
    project = business.workspace.project.model_copy(update={"monitoring": small})
    traffic = _Watched(business.workspace.database)
    workspace = replace(
        business.workspace, traffic=traffic, context=replace(business.workspace.context, project=project)
    )
    _promoted(workspace, tmp_path / "second", 6.0)
    business.rows(1_000)
    assert probation(workspace) is None
    assert 0 < traffic.most < 600  # what the pace of windows and outcomes is told from


def test_answers_that_collapse_give_the_office_back_before_any_outcome(business: Business, tmp_path: Path) -> None:
    _promoted(business.workspace, tmp_path / "second", 1e-3, honest=False)
    (found,) = _looked(business, 2, delay=1e9)
    assert (found.check, found.verdict) == ("collapse", Verdict.FAIL)


def test_a_version_without_a_whole_predecessor_stays(business: Business, tmp_path: Path) -> None:
    _promoted(business.workspace, tmp_path / "second", 6.0)
    business.rows(200)
    for path in business.workspace.context.artifacts.get_tree(business.workspace.registry.version(1).model).rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"damaged")
    assert probation(business.workspace) is None
