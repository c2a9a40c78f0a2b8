"""Dossiers of whole runs on real data, each written once a session and read by many tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from reporting_runs import Written, context, write
from reporting_worlds import Walk, churn_project, churn_walk, housing_walk, letter_walk, project_text

from tenure.core.lifecycle import Outcome
from tenure.core.ports import Context


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reporting")


@pytest.fixture(scope="session")
def written(real_data: Callable[[str], Path], folder: Path) -> Callable[[str], Written]:
    """Return a function that gives the dossier of a named run, written the first time it is asked for."""
    limited = 'capacity = 200\n[monitoring]\nwindow = "2000 rows"\n'
    housing = project_text("housing", "regression", "median_house_value", more="[value]\nerror_cost = 0.01\n")
    makers: dict[str, Callable[[], Written]] = {
        "churn": lambda: _churn(churn_project(), Outcome.PROMOTE, "baseline"),
        "churn-hold-no-value": lambda: _churn(churn_project(value=False), Outcome.HOLD, "v1"),
        "churn-reject-capacity": lambda: _churn(churn_project(more=limited), Outcome.REJECT, "v1"),
        "housing": lambda: _of(context(housing, folder), housing_walk, "california_housing"),
        "letter": lambda: _of(
            context(project_text("letters", "multiclass", "letter"), folder), letter_walk, "letter_recognition"
        ),
    }

    def _of(ctx: Context, make: Callable[..., Walk], data: str) -> Written:
        return write(ctx, make(ctx, real_data(data)))

    def _churn(text: str, outcome: Outcome, against: str) -> Written:
        ctx = context(text, folder)
        return write(ctx, churn_walk(ctx, real_data("telco_churn"), outcome=outcome, against=against))

    done: dict[str, Written] = {}

    def of(name: str) -> Written:
        if name not in done:
            done[name] = makers[name]()
        return done[name]

    return of


RUNS = ("churn", "churn-hold-no-value", "churn-reject-capacity", "housing", "letter")


@pytest.fixture(params=RUNS)
def any_run(request: pytest.FixtureRequest, written: Callable[[str], Written]) -> Written:
    """Return each run in turn: every task, every outcome, with and without money."""
    run: Written = written(request.param)
    return run
