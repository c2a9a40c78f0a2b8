"""What is held against a version before outcomes are known, and what is the machine's or the rows' doing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from climbs import FASTER, Business, registered, sharper, with_clock
from tenure.core.evidence import Finding, Verdict
from tenure.core.lifecycle import ModelVersion
from tenure.engine.guards import tried
from tenure.engine.pairs import Voice, rows_since
from tenure.engine.workspace import Workspace, open_workspace

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def business(office: Path, clock: Any) -> Iterator[Business]:
    file = office / "tenure.toml"
    file.write_text(file.read_text() + FASTER)
    with open_workspace(office, actor="watch") as workspace:
        yield Business(with_clock(workspace, clock), clock)


class Timer:
    """A watch that only what is asked moves on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Taking(Voice):
    """A version that takes its time for each row."""

    def __init__(self, workspace: Workspace, version: ModelVersion, timer: Timer, seconds: float) -> None:
        super().__init__(workspace, version)
        self._timer, self._seconds = timer, seconds

    @property
    def scorer(self) -> Any:
        return self

    @property
    def model(self) -> Any:
        return super().scorer.model

    def answers(self, rows: Sequence[Any]) -> Any:  # type: ignore[override]  # stands for its scorer
        self._timer.now += self._seconds
        return super().scorer.answers(rows)


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (0.001, 0.001, Verdict.PASS),
        (3.0, 2.9, Verdict.WARN),
        (3.0, 0.001, Verdict.FAIL),
        (3.0, 1.9, Verdict.FAIL),
    ],
)
def test_slow_rows_count_only_where_the_other_version_is_not_as_slow_at_the_same_time(
    business: Business, tmp_path: Path, ours: float, theirs: float, verdict: Verdict
) -> None:
    timer = Timer()
    workspace = replace(business.workspace, context=replace(business.workspace.context, timer=timer))
    second = workspace.registry.version(registered(workspace, tmp_path / "second", sharper(1.05), honest=True))
    business.rows(10)
    rows = rows_since(workspace, (workspace.champion(),), LONG_AGO)
    one, other = Taking(workspace, second, timer, ours), Taking(workspace, workspace.champion(), timer, theirs)
    found: list[Finding] = list(tried(workspace, one, other, rows, allowed=0.0))
    assert [finding.check for finding in found] == ["failed answers", "row time"]
    assert found[1].verdict is verdict
