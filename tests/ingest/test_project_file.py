"""The project file that `tenure init` writes: parses, says why, keeps secrets out, overwrites nothing."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.errors import ConfigError, FolderReadOnlyError, ProjectExistsError, TenureError
from tenure.core.modelling import Task
from tenure.core.project import PROJECT_FILE, Project, load_project, parse_project
from tenure.core.section import Section
from tenure.ingest.infer import guess
from tenure.ingest.project_file import compose, init_project, project_name, relocated, write


@pytest.fixture
def churn_csv(tmp_path: Path, churn_frame: pl.DataFrame) -> Path:
    path = tmp_path / "data" / "churn.csv"
    path.parent.mkdir()
    churn_frame.with_columns(final_status=pl.col("plan")).write_csv(path)
    return path


def test_new_project_loads_and_says_what_was_guessed(churn_csv: Path, tmp_path: Path) -> None:
    new = init_project(str(churn_csv), target="left", out=tmp_path)
    project = load_project(tmp_path)
    assert project == new.project
    assert project.data.source == "data/churn.csv"
    assert (project.project.task, project.data.positive) == (Task.BINARY, "yes")
    text = new.path.read_text()
    assert "# Guessed: 'yes' says yes." in text
    assert '# [data.columns."final_status"]' in text
    assert list(tmp_path.glob(".tenure-*")) == []


def test_every_key_of_every_section_is_there_and_each_comment_can_be_taken_away(churn_frame: pl.DataFrame) -> None:
    text = compose(guess(churn_frame, "left"), source="churn.csv", query=None, name="churn")
    for section, info in Project.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            part = text.split(f"\n[{section}]\n")[1].split("\n[")[0]
            for key in info.annotation.model_fields:
                assert re.search(rf"^(# )?{key} = |columns", part, re.M), f"{section}.{key}"
    examples = (
        "keep",
        "verbose_errors",
        "workers",
        "query",
        "group",
        "key",
        "time",
        "metric",
        "capacity",
        "families",
        "trials",
        "weight",
        "own",
        "url",
        "webhook_secret",
        "email_from",
        "smtp",
        "retrain_cost",
        "retrains_per_month",
        "compute_per_month",
        "quiet_hours",
        "approval_url",
    )
    free = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.M)
    free = re.sub(rf"^({'|'.join(examples)}) = .*$", "", free, flags=re.M).replace('available = "after"', "")
    defaults = parse_project(text)
    taken = parse_project(free)
    assert taken.model_copy(update={"value": defaults.value, "validation": defaults.validation}) == defaults


def test_project_goes_beside_the_data_when_no_folder_is_named(churn_csv: Path) -> None:
    new = init_project(str(churn_csv), target="left")
    assert new.folder == churn_csv.parent
    assert new.project.data.source == "churn.csv"
    assert new.project.project.name == "churn"


def test_nothing_is_overwritten(churn_csv: Path, tmp_path: Path) -> None:
    (tmp_path / PROJECT_FILE).write_text("mine")
    with pytest.raises(ProjectExistsError):
        init_project(str(churn_csv), target="left", out=tmp_path)
    assert (tmp_path / PROJECT_FILE).read_text() == "mine"


def test_dry_run_shows_the_text_and_writes_nothing(churn_csv: Path, tmp_path: Path) -> None:
    new = init_project(str(churn_csv), target="left", out=tmp_path / "new", dry_run=True)
    assert parse_project(new.text) == new.project
    assert not (tmp_path / "new").exists()


def test_no_file_is_left_when_the_data_cannot_be_used(churn_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(TenureError):
        init_project(str(churn_csv), target="nothing", out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_folder_that_cannot_be_made_is_told(churn_frame: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderReadOnlyError):
        write(tmp_path / "file" / "new", guess(churn_frame, "left"), source="a.csv")


@pytest.mark.parametrize(
    "source",
    ["postgresql://me:hunter2@host/db", "postgresql://me@host/db?password=hunter2", "mysql+pymysql://me:hunter2@h/d"],
)
def test_password_in_a_url_is_refused_and_not_repeated(source: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        init_project(source, target="y", out=tmp_path)
    assert "${DB_PASSWORD}" in caught.value.hint
    assert "hunter2" not in str(caught.value.as_dict())


def test_secret_by_name_is_kept_as_it_is(churn_frame: pl.DataFrame, tmp_path: Path) -> None:
    source = "postgresql://me:${PW}@host/db"
    project = write(tmp_path, guess(churn_frame, "left"), source=source, query="select *\nfrom t").project
    assert (project.data.source, project.data.query) == (source, "select *\nfrom t")


def test_database_file_is_stored_relative_to_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    connection = sqlite3.connect("shop.db")
    connection.execute("create table t (x real, y text)")
    connection.executemany("insert into t values (?, ?)", [(i / 2, "ab"[i % 2]) for i in range(40)])
    connection.commit()
    connection.close()
    inside = init_project("sqlite:///shop.db", target="y", query="select * from t")
    assert (inside.folder, inside.project.data.source) == (tmp_path, "sqlite:///shop.db")
    outside = init_project("sqlite:///shop.db", target="y", query="select * from t", out=Path("new"))
    assert outside.project.data.source == f"sqlite:///{tmp_path}/shop.db"


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        ("p/data/a.csv", "data/a.csv"),
        ("p/data/*.parquet", "data/*.parquet"),
        ("./p/../p/a.csv", "a.csv"),
        ("other/a.csv", "/w/other/a.csv"),
        ("/x/a.csv", "/x/a.csv"),
        ("${DATABASE_URL}", "${DATABASE_URL}"),
        ("postgresql://h/d", "postgresql://h/d"),
    ],
)
def test_path_of_the_data_follows_the_project(data: str, stored: str) -> None:
    assert relocated(data, Path("/w"), Path("/w/p")) == stored


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=100))
def test_any_text_makes_a_project_name(text: str) -> None:
    assert Project.model_validate(
        {"project": {"name": project_name(text), "task": "binary"}, "data": {"source": "a", "target": "b"}}
    )


@given(
    st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=12),
    st.lists(st.text(max_size=5), min_size=4, max_size=9),
)
@settings(max_examples=60, deadline=None)
def test_any_column_name_and_value_can_stand_in_a_project_file(name: str, values: list[str]) -> None:
    frame = pl.DataFrame({name: values, f"{name} cancelled\n": values})
    try:
        found = guess(frame, name)
        text = compose(found, source="a.csv", query=None, name="p")
        project = parse_project(text)
    except TenureError:
        return
    assert project.data.target == name
    assert project.data.positive == found.positive
