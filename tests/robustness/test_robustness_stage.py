"""The robustness room as a whole: order, time, skipping, and what sound models get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tenure.core.errors import ConfigError
from tenure.core.evidence import RobustnessReport, Verdict
from tenure.core.modelling import Task
from tenure.core.plugins import plugin_names
from tenure.core.ports import Context
from tenure.robustness.stage import ALWAYS, THEN, probe
from tenure.testing.walks import small_walk
from tenure.testing.worlds import World, clean_world, drifting_world

PROJECT = """
[project]
name = "churn"
task = "{task}"

[data]
source = "none"
target = "{target}"

[training]
budget = "{budget}s"

[robustness]
skip = [{skip}]
"""


def _context(make: Callable[..., Context], world: World, *, budget: float = 30, skip: str = "") -> Context:
    return make(PROJECT.format(task=world.task.value, target=world.target, budget=budget, skip=skip))


def _probed(ctx: Context, world: World, **options: int) -> RobustnessReport:
    walk = small_walk(world, ctx.artifacts, **options)
    return probe(ctx, walk.snapshot, walk.quality, walk.plan, walk.leaderboard)


@pytest.mark.parametrize("task", list(Task))
def test_a_sound_model_of_any_task_is_blocked_by_nothing(make_context: Callable[..., Context], task: Task) -> None:
    world = clean_world(task, rows=600)
    report = _probed(_context(make_context, world), world)
    assert {f.check for f in report.findings} == set(ALWAYS) | set(THEN)
    assert [f.says for f in report.findings if f.verdict.blocks] == []
    assert [f.says for f in report.findings if not f.says.rstrip(")").endswith(".")] == []


def test_every_built_in_check_has_its_place_in_the_order() -> None:
    assert set(plugin_names("robustness-check")) == set(ALWAYS) | set(THEN)


def test_equal_inputs_give_an_equal_report_but_for_time(make_context: Callable[..., Context]) -> None:
    world = clean_world(rows=500)
    ctx = _context(make_context, world)
    walk = small_walk(world, ctx.artifacts)
    first, second = (probe(ctx, walk.snapshot, walk.quality, walk.plan, walk.leaderboard) for _ in range(2))
    told = [
        [(f.check, f.subject, f.verdict, f.says) for f in report.findings if f.check != "latency"]
        for report in (first, second)
    ]
    assert told[0] == told[1]
    assert first.made_from == second.made_from
    assert RobustnessReport.from_dict(first.to_dict()).digest == first.digest


def test_what_the_project_skips_is_told_and_not_run(make_context: Callable[..., Context]) -> None:
    world = clean_world(rows=400)
    report = _probed(_context(make_context, world, skip='"noise", "baseline"'), world, rounds=0)
    skipped = {f.check: f.says for f in report.findings if f.check in ("noise", "baseline")}
    assert len(report.of("baseline")) == 1
    assert all("robustness.skip" in says for says in skipped.values())
    assert {f.verdict for f in report.of("baseline")} == {Verdict.SKIPPED}


def test_a_misspelt_name_to_skip_is_refused_with_a_suggestion(make_context: Callable[..., Context]) -> None:
    world = clean_world(rows=400)
    with pytest.raises(ConfigError) as refused:
        _probed(_context(make_context, world, skip='"nose"'), world)
    assert "noise" in refused.value.hint


def test_checks_that_time_does_not_reach_leave_a_finding(make_context: Callable[..., Context]) -> None:
    """A clock that runs a second at every look is out of time at once; what matters most runs all the same."""
    world = clean_world(rows=400)
    ctx = _context(make_context, world, budget=1)
    ticks = iter(range(1_000_000))
    hurried = replace(ctx, timer=lambda: float(next(ticks)))
    walk = small_walk(world, hurried.artifacts)
    report = probe(hurried, walk.snapshot, walk.quality, walk.plan, walk.leaderboard)
    for name in THEN:
        assert [f.verdict for f in report.of(name)] == [Verdict.SKIPPED]
        assert "time" in report.of(name)[0].says
    for name in ("baseline", "parity", "determinism"):
        assert {f.verdict for f in report.of(name)} == {Verdict.PASS}


def test_a_model_that_knows_nothing_is_warned_of_and_loses_no_skill(make_context: Callable[..., Context]) -> None:
    world = clean_world(rows=400)
    report = _probed(_context(make_context, world), world, rounds=0)
    assert report.of("baseline")[0].measurement.evidence["gain"] == pytest.approx(0, abs=0.05)
    assert report.of("baseline")[0].verdict is Verdict.WARN
    assert {f.verdict for f in report.of("missing")} == {Verdict.SKIPPED}
    assert "no skill to lose" in report.of("missing")[0].says


def test_a_check_of_the_project_that_breaks_blocks_and_the_rest_goes_on(
    make_context: Callable[..., Context], tmp_path: Path
) -> None:
    home = tmp_path / "plugins" / "robustness-check"
    home.mkdir(parents=True)
    (home / "careless.py").write_text(
        "from tenure.core.evidence import Threshold\n\n\n"
        "class Careless:\n"
        "    name = 'careless'\n"
        "    threshold = Threshold(warn=1.0)\n\n"
        "    def measure(self, evidence):\n"
        "        return [1 / 0]\n"
    )
    world = clean_world(rows=400)
    report = _probed(_context(make_context, world), world)
    assert report.of("careless")[0].verdict is Verdict.ERROR
    assert "ZeroDivisionError" in report.of("careless")[0].says
    assert report.of("noise")


def test_rows_in_time_are_judged_by_stretches(make_context: Callable[..., Context]) -> None:
    world = drifting_world(rows=600)
    report = _probed(_context(make_context, world), world)
    assert report.of("baseline")[0].verdict in (Verdict.PASS, Verdict.WARN)
    assert not any(f.verdict is Verdict.ERROR for f in report.findings)
