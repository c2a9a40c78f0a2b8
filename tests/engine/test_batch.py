"""Scoring in parts: the answers of the whole table, each row once, whatever cuts the job off."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import psycopg
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from small_worlds import small_world
from tenure.core.errors import ConfigError, JobChangedError, ProjectBusyError, SchemaChangedError
from tenure.core.ports import Silent
from tenure.engine.batch.answers import Answers, Extras, answer_table, extras_of
from tenure.engine.batch.job import Job
from tenure.engine.batch.outputs import FileOutput, FolderOutput, Output
from tenure.engine.batch.run import Asked, Tally, score_in_parts
from tenure.engine.batch.table import ROW, TableOutput
from tenure.engine.workspace import Workspace, open_workspace
from tenure.ingest.table import read_rows
from tenure.state.leases import Lease

ROWS = 300


@pytest.fixture
def workspace(office: Path) -> Iterator[Workspace]:
    small_world(ROWS, seed=11).write_csv(office / "rows.csv")
    with open_workspace(office) as opened:
        yield opened


def _ask(workspace: Workspace, source: str = "rows.csv", **words) -> Asked:
    return replace(Asked(source, None, workspace.folder, Extras(), part_rows=40, log=False), **words)


def _score(workspace: Workspace, output: Output, asked: Asked | None = None) -> Tally:
    version = workspace.champion()
    return score_in_parts(workspace, version, workspace.scorer(version), asked or _ask(workspace), output)


def _whole(workspace: Workspace, extras: Extras = Extras(), source: str = "rows.csv") -> Answers:  # noqa: B008
    """Return the answers for all rows at once."""
    version = workspace.champion()
    scorer = workspace.scorer(version)
    rows = read_rows(source, None, workspace.folder, Silent(), schema=scorer.model.schema)
    return answer_table(version, scorer, rows, extras, at=workspace.context.clock(), log=False)


class CutOff:
    """An output whose job is cut off after some parts, as Ctrl-C does it."""

    def __init__(self, output: Output, after: int, *, taken: bool = True) -> None:
        self.place, self.identity = output.place, output.identity
        self.form, self.folder = output.form, output.folder
        self._output, self._after, self._taken = output, after, taken

    def check(self) -> None:
        self._output.check()

    def begin(self, job: Job, dtypes: pl.Schema) -> frozenset[int]:
        return self._output.begin(job, dtypes)

    def take(self, job: Job, part: int, first_row: int) -> None:
        if part == self._after:
            raise KeyboardInterrupt
        self._output.take(job, part, first_row)

    def finish(self, job: Job, parts: int, rows: int) -> None:
        self._output.finish(job, parts, rows)


def _read(path: Path) -> pl.DataFrame:
    readers = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson}
    return readers[path.suffix](path)


# ---- what is written ----


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("source", ["rows.csv", "rows.parquet", "rows.jsonl"])
def test_a_job_in_parts_writes_the_answers_of_the_whole_table_in_order(
    workspace: Workspace, source: str, form: str
) -> None:
    rows = small_world(ROWS, seed=11)
    rows.write_parquet(workspace.folder / "rows.parquet")
    rows.write_ndjson(workspace.folder / "rows.jsonl")
    out = workspace.folder / f"scored.{form}"
    tally = _score(workspace, FileOutput(out, form), _ask(workspace, source))
    assert (tally.rows, tally.resumed_rows) == (ROWS, 0)
    expected = _whole(workspace, source=source).table
    assert list(tally.columns) == expected.columns
    assert_frame_equal(_read(out)[expected.columns], expected, rel_tol=1e-12)
    assert not Path(f"{out}.parts").exists()


def test_a_folder_holds_one_file_for_each_part(workspace: Workspace) -> None:
    out = workspace.folder / "scored"
    for _ in range(2):  # the second job takes the place of the first
        _score(workspace, FolderOutput(out))
        files = sorted(out.iterdir())
        assert [pl.read_parquet(file).height for file in files] == [40] * 7 + [20]
        assert_frame_equal(pl.concat(map(pl.read_parquet, files)), _whole(workspace).table, rel_tol=1e-12)
    (out / "mine.txt").touch()
    with pytest.raises(ConfigError, match=r"mine\.txt"):
        _score(workspace, FolderOutput(out))


def test_reasons_are_the_largest_effects_of_the_explanation(workspace: Workspace) -> None:
    version = workspace.champion()
    scorer = workspace.scorer(version)
    rows = read_rows("rows.csv", None, workspace.folder, Silent(), schema=scorer.model.schema)
    effects = scorer.explain(rows).drop("base")
    out = workspace.folder / "scored.parquet"
    _score(workspace, FileOutput(out, "parquet"), _ask(workspace, extras=Extras(reasons=2)))
    for row, told in zip(rows.iter_rows(named=True), pl.read_parquet(out).iter_rows(named=True), strict=True):
        at = rows["customer"].index_of(row["customer"])
        ordered = sorted(effects.row(at, named=True).items(), key=lambda item: -abs(item[1]))
        for rank, (column, effect) in enumerate(ordered[:2], start=1):
            assert told[f"reason_{rank}"] == column
            assert told[f"reason_{rank}_contribution"] == pytest.approx(effect, abs=1e-12)
            value = row[column]
            assert told[f"reason_{rank}_value"] == (None if value is None else str(value))


def test_more_reasons_than_columns_are_all_columns(workspace: Workspace) -> None:
    table = _whole(workspace, Extras(reasons=20)).table
    count = len(workspace.scorer(workspace.champion()).explain(small_world(1)).columns) - 1
    assert [name for name in table.columns if name.endswith("_contribution")] == [
        f"reason_{rank}_contribution" for rank in range(1, count + 1)
    ]


def test_the_action_stands_where_the_probability_reaches_the_threshold(workspace: Workspace) -> None:
    version = workspace.champion()
    scorer = workspace.scorer(version)
    extras = extras_of(workspace.project, scorer.model, reasons=0, action=True, ids=False)
    table = _whole(workspace, extras).table
    threshold = scorer.model.threshold if scorer.model.threshold is not None else 0.5
    acted = (table["action"] == "act").to_numpy()
    assert np.array_equal(acted, table["probability"].to_numpy() >= threshold)
    assert 0 < acted.sum() < ROWS
    assert (table["action"] == "none").sum() == ROWS - acted.sum()


def test_columns_come_in_the_order_that_is_documented(workspace: Workspace) -> None:
    table = _whole(workspace, Extras(reasons=1, action="call", ids=True)).table
    sure = [name for name in ("probability_low", "probability_high") if name in table.columns]
    reason = ["reason_1", "reason_1_value", "reason_1_contribution"]
    assert table.columns == ["customer", "prediction", "probability", *sure, "action", *reason, "version", "id"]


# ---- what cuts a job off ----


@pytest.mark.parametrize("after", [1, 4, 7])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_job_that_was_cut_off_goes_on(workspace: Workspace, form: str, after: int) -> None:
    asked = _ask(workspace, extras=Extras(ids=True), log=True)
    out = workspace.folder / f"scored.{form}"
    with pytest.raises(KeyboardInterrupt):
        _score(workspace, CutOff(FileOutput(out, form), after), asked)
    assert not out.exists()
    tally = _score(workspace, FileOutput(out, form), asked)
    assert ROWS > tally.resumed_rows >= after * 40 - 40 or tally.resumed_rows == ROWS
    assert tally.resumed_rows > 0
    scored = _read(out)
    assert_frame_equal(scored.drop("id"), _whole(workspace).table, rel_tol=1e-12)
    joined = workspace.traffic.joined()
    assert workspace.traffic.prediction_count() == ROWS
    assert set(joined["id"]) == set(scored["id"])
    named = dict(zip(joined["id"], joined["key"], strict=True))
    assert [named[each] for each in scored["id"]] == scored["customer"].to_list()


def test_killing_the_command_again_and_again_loses_and_repeats_no_row(office: Path) -> None:
    rows = 40_000
    small_world(rows, seed=5).write_csv(office / "many.csv")
    words = ["predict", "many.csv", "--chunk-rows", "100", "--no-log", "--quiet"]
    subprocess.run(_command(*words, "--out", "whole.csv"), cwd=office, check=True, stdout=subprocess.DEVNULL)
    kills = 0
    while kills < 2:
        process = subprocess.Popen(_command(*words, "--out", "killed.csv"), cwd=office)
        grown = _parts(office / "killed.csv.parts") + 7 * (kills + 1)
        while process.poll() is None and _parts(office / "killed.csv.parts") < grown:
            time.sleep(0.001)
        assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        assert not (office / "killed.csv").exists()
    last = subprocess.run(
        _command(*words, "--json", "--out", "killed.csv"), cwd=office, check=True, stdout=subprocess.PIPE
    )
    told = json.loads(last.stdout)["result"]
    assert told["rows"] == rows
    assert 0 < told["resumed_rows"] < rows
    assert (office / "killed.csv").read_bytes() == (office / "whole.csv").read_bytes()
    assert pl.read_csv(office / "killed.csv")["customer"].equals(pl.read_csv(office / "many.csv")["customer"])
    assert not (office / "killed.csv.parts").exists()


def test_a_kill_leaves_table_and_log_with_each_row_once(office: Path) -> None:
    rows = 6_000
    small_world(rows, seed=5).write_csv(office / "many.csv")
    words = ["predict", "many.csv", "--chunk-rows", "100", "--log", "--ids", "--quiet"]
    command = _command(*words, "--out", "sqlite:///scores.db", "--table", "scores")
    process = subprocess.Popen(command, cwd=office)
    progress = "SELECT count(*) FROM scores_tenure_parts"
    while process.poll() is None and _count(office / "scores.db", progress) < 5:
        time.sleep(0.001)
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command, cwd=office, check=True, stdout=subprocess.DEVNULL)
    assert _count(office / "scores.db", "SELECT count(*) FROM scores") == rows
    with open_workspace(office) as workspace:
        joined = workspace.traffic.joined()
        with sqlite3.connect(office / "scores.db") as base:
            found = base.execute("SELECT customer, id FROM scores ORDER BY input_row").fetchall()
        base.close()
        assert [key for key, _ in found] == pl.read_csv(office / "many.csv")["customer"].to_list()
        assert sorted(found) == sorted(joined.select("key", "id").rows())


def _count(place: Path, query: str) -> int:
    base = sqlite3.connect(place)
    try:
        return int(base.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # no such table yet, or it is being written
        return 0
    finally:
        base.close()


def _parts(folder: Path) -> int:
    return len(list((folder / "parts").glob("part-*"))) if folder.exists() else 0


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tenure", *words]


def test_what_a_kill_can_leave_of_a_folder_is_known_again(workspace: Workspace) -> None:
    out = workspace.folder / "scored.csv"
    (workspace.folder / "scored.csv.parts" / "parts").mkdir(parents=True)  # killed before the manifest was there
    (workspace.folder / "scored.csv.parts" / ".tenure-half").touch()
    assert _score(workspace, FileOutput(out, "csv")).resumed_rows == 0
    assert out.exists()


def test_a_folder_that_is_no_job_is_left_alone(workspace: Workspace) -> None:
    (workspace.folder / "scored.csv.parts").mkdir()
    (workspace.folder / "scored.csv.parts" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="no scoring job"):
        _score(workspace, FileOutput(workspace.folder / "scored.csv", "csv"))
    assert (workspace.folder / "scored.csv.parts" / "mine.txt").read_text() == "mine"


# ---- what must not be mixed ----


def _cut_off(workspace: Workspace) -> FileOutput:
    output = FileOutput(workspace.folder / "scored.csv", "csv")
    with pytest.raises(KeyboardInterrupt):
        _score(workspace, CutOff(output, 3))
    return output


def test_rows_that_changed_since_are_refused(workspace: Workspace) -> None:
    output = _cut_off(workspace)
    with (workspace.folder / "rows.csv").open("a") as file:
        file.write("c9999,0.5,basic,0.1,no\n")
    with pytest.raises(JobChangedError, match=r"the rows changed \(.*rows\.csv\)") as told:
        _score(workspace, output)
    assert "--fresh" in told.value.hint
    tally = _score(workspace, output, _ask(workspace, fresh=True))
    assert (tally.rows, tally.resumed_rows) == (ROWS + 1, 0)


def test_other_options_and_another_version_are_refused(workspace: Workspace) -> None:
    output = _cut_off(workspace)
    with pytest.raises(JobChangedError, match=r"the options changed \(reasons\)"):
        _score(workspace, output, _ask(workspace, extras=Extras(reasons=1)))
    version = workspace.champion()
    with pytest.raises(JobChangedError, match="from v1 to v2"):
        score_in_parts(workspace, replace(version, number=2), workspace.scorer(version), _ask(workspace), output)
    assert _score(workspace, output).resumed_rows > 0


def test_rows_that_change_while_they_are_scored_are_not_written(workspace: Workspace) -> None:
    output = FileOutput(workspace.folder / "scored.csv", "csv")
    times = (workspace.folder / "rows.csv").stat().st_mtime_ns + 1_000_000

    class Touching(CutOff):
        def take(self, job: Job, part: int, first_row: int) -> None:
            os.utime(workspace.folder / "rows.csv", ns=(times, times))

    with pytest.raises(JobChangedError, match="while it was scored"):
        _score(workspace, Touching(output, 0))
    assert not output.path.exists()


def test_one_output_is_written_by_one_process_at_a_time(workspace: Workspace) -> None:
    output = FileOutput(workspace.folder / "scored.csv", "csv")
    with (
        Lease(workspace.database, f"predict {output.folder}", clock=workspace.context.clock),
        pytest.raises(ProjectBusyError),
    ):
        _score(workspace, output)


def test_rows_that_cannot_be_scored_leave_nothing_behind(workspace: Workspace) -> None:
    small_world(50).drop("strong").write_csv(workspace.folder / "less.csv")
    with pytest.raises(SchemaChangedError, match="strong"):
        _score(workspace, FileOutput(workspace.folder / "scored.csv", "csv"), _ask(workspace, "less.csv"))
    assert not list(workspace.folder.glob("scored*"))


# ---- into a database ----


@pytest.fixture(params=["sqlite", "postgresql"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'scores.db'}"
        return
    url = str(request.getfixturevalue("postgres_url"))
    name = f"batch{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        yield f"{url}&options=-csearch_path%3D{name}"
        connection.execute(f"DROP SCHEMA {name} CASCADE")


def _engine(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)


def _ask_base(url: str, statement: str) -> list[tuple]:
    with _engine(url).connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def _tables(url: str) -> list[str]:
    return sa.inspect(_engine(url)).get_table_names()


def test_views_on_a_table_see_the_new_rows(workspace: Workspace, base: str) -> None:
    _score(workspace, TableOutput(base, "scores", workspace.folder / "jobs"))
    with _engine(base).begin() as connection:
        connection.execute(sa.text("CREATE VIEW sure AS SELECT customer FROM scores WHERE probability > 0.9"))
    before = _ask_base(base, "SELECT count(*) FROM sure")
    small_world(50, seed=2).write_csv(workspace.folder / "rows.csv")
    _score(workspace, TableOutput(base, "scores", workspace.folder / "jobs"))
    expected = _whole(workspace).table.filter(pl.col("probability") > 0.9).height
    assert _ask_base(base, "SELECT count(*) FROM sure") == [(expected,)] != before


def test_a_job_that_failed_before_its_first_part_leaves_room_for_another(workspace: Workspace, base: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        _score(workspace, CutOff(TableOutput(base, "scores", workspace.folder / "jobs"), 0))
    other = _ask(workspace, extras=Extras(reasons=1), fresh=True)
    _score(workspace, TableOutput(base, "scores", workspace.folder / "jobs"), other)
    assert _tables(base) == ["scores"]


def test_a_table_is_filled_once_and_replaced_whole(workspace: Workspace, base: str) -> None:
    output = TableOutput(base, "scores", workspace.folder / "jobs")
    asked = _ask(workspace, extras=Extras(reasons=1, action="call", ids=True))
    with pytest.raises(KeyboardInterrupt):
        _score(workspace, CutOff(output, 3), asked)
    assert "scores" not in _tables(base)
    assert _ask_base(base, "SELECT count(*) FROM scores_tenure_rows") == [(120,)]
    tally = _score(workspace, TableOutput(base, "scores", workspace.folder / "jobs"), asked)
    assert tally.resumed_rows >= 120
    expected = _whole(workspace, asked.extras).table.drop("id").with_row_index(ROW, 1)
    for _ in range(2):
        assert _tables(base) == ["scores"]
        named = ", ".join(f'"{name}"' for name in expected.columns)
        found = _ask_base(base, f"SELECT {named} FROM scores ORDER BY {ROW}")
        assert_frame_equal(pl.DataFrame(found, schema=expected.schema, orient="row"), expected, rel_tol=1e-12)
        _score(workspace, TableOutput(base, "scores", workspace.folder / "jobs"), asked)
    other = replace(asked, extras=Extras())
    _score(workspace, TableOutput(base, "scores", workspace.folder / "jobs"), other)
    assert _ask_base(base, f"SELECT count(*), max({ROW}) FROM scores") == [(ROWS, ROWS)]
    assert "action" not in {column["name"] for column in sa.inspect(_engine(base)).get_columns("scores")}
    assert not list((workspace.folder / "jobs").iterdir())


def test_a_part_that_stands_in_the_table_is_not_inserted_again(workspace: Workspace, base: str) -> None:
    """A kill after the transaction and before the part's file goes leaves both."""
    output = TableOutput(base, "scores", workspace.folder / "jobs")

    class Keeping(CutOff):
        def take(self, job: Job, part: int, first_row: int) -> None:
            kept = job.part(part).read_bytes()
            super().take(job, part, first_row)
            job.part(part).write_bytes(kept)

    with pytest.raises(KeyboardInterrupt):
        _score(workspace, Keeping(output, 3))
    _score(workspace, output)
    assert _ask_base(base, f"SELECT count(*), count(DISTINCT {ROW}), max({ROW}) FROM scores") == [(ROWS,) * 3]


def test_a_table_of_somebody_else_is_never_replaced(workspace: Workspace, base: str) -> None:
    with _engine(base).begin() as connection:
        connection.execute(sa.text("CREATE TABLE customers (prediction TEXT)"))
    with pytest.raises(ConfigError, match="no earlier output"):
        _score(workspace, TableOutput(base, "customers", workspace.folder / "jobs"))
    assert _tables(base) == ["customers"]


def test_a_password_is_in_no_error(workspace: Workspace) -> None:
    output = TableOutput("postgresql://me:tops3cret@127.0.0.1:1/shop", "scores", workspace.folder / "jobs")
    with pytest.raises(Exception, match="does not answer") as told:
        _score(workspace, output)
    assert "tops3cret" not in f"{told.value!r} {told.value.hint} {told.value.where} {output.place} {output.folder}"
