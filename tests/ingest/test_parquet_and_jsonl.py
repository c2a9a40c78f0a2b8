"""Parquet and JSON lines, one file or many."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tenure.core.errors import ConfigError, EmptyDataError, SourceMissingError, UnreadableDataError
from tenure.core.ports import Silent
from tenure.ingest.sources.jsonl import JsonLines
from tenure.ingest.sources.parquet import Parquet
from tenure.ingest.table import source_for


def test_glob_stacks_files_in_sorted_order_and_widens_types(tmp_path: Path) -> None:
    pl.DataFrame({"n": [3.5], "k": ["c"]}).write_parquet(tmp_path / "b.parquet")
    pl.DataFrame({"k": ["a", "b"], "n": pl.Series([1, 2], dtype=pl.Int32)}).write_parquet(tmp_path / "a.parquet")
    table = Parquet().read("*.parquet", None, tmp_path, Silent())
    assert table["n"].to_list() == [1.0, 2.0, 3.5]
    assert table["k"].to_list() == ["a", "b", "c"]


def test_file_with_other_columns_is_named(tmp_path: Path) -> None:
    for name in "abc":
        pl.DataFrame({"n": [1], "k": [2]}).write_parquet(tmp_path / f"{name}.parquet")
    pl.DataFrame({"n": [1], "q": [2]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(UnreadableDataError, match=r"a\.parquet .* without 'k'; with 'q'"):
        Parquet().read("*.parquet", None, tmp_path, Silent())


def test_numbers_in_one_file_and_text_in_the_next_are_refused(tmp_path: Path) -> None:
    pl.DataFrame({"n": [1]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"n": ["x"]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(UnreadableDataError, match=r"b\.parquet the column 'n' is String"):
        Parquet().read("*.parquet", None, tmp_path, Silent())


def test_damaged_and_empty_parquet_files_are_errors_of_ours(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(UnreadableDataError, match=r"bad\.parquet"):
        Parquet().read("bad.parquet", None, tmp_path, Silent())
    pl.DataFrame({"n": []}).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(EmptyDataError):
        Parquet().read("none.parquet", None, tmp_path, Silent())


def test_folder_and_glob_without_files_are_missing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(SourceMissingError, match="is a folder"):
        Parquet().read("data", None, tmp_path, Silent())
    with pytest.raises(SourceMissingError):
        Parquet().read("data/*.parquet", None, tmp_path, Silent())


def test_json_lines_join_keys_and_name_the_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"m": 1}\n\n{"z": true, "b": "x", "m": 2.5}\n')
    table = JsonLines().read("rows.jsonl", None, tmp_path, Silent())
    assert table.columns == ["m", "b", "z"]
    assert table.rows() == [(1.0, None, None), (2.5, "x", True)]
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(UnreadableDataError, match=r"Line 2 of rows\.jsonl is not JSON"):
        JsonLines().read("rows.jsonl", None, tmp_path, Silent())
    path.write_text('[{"a": 1}]\n')
    with pytest.raises(UnreadableDataError, match=r"Line 1 .* list"):
        JsonLines().read("rows.jsonl", None, tmp_path, Silent())


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a.csv", "csv"),
        ("a.TSV", "csv"),
        ("a.csv.gz", "csv"),
        ("data/*.parquet", "parquet"),
        ("a.ndjson", "jsonl"),
        ("sqlite:///a.db", "sql"),
        ("postgresql://u:${PW}@h/d", "sql"),
        ("${DATABASE_URL}", "sql"),
    ],
)
def test_source_is_chosen_by_its_name(tmp_path: Path, source: str, name: str) -> None:
    assert source_for(source, tmp_path).name == name


@pytest.mark.parametrize("source", ["book.xlsx", "s3://bucket/a.csv", "rows"])
def test_unknown_kind_of_source_names_the_readers(tmp_path: Path, source: str) -> None:
    with pytest.raises(ConfigError) as caught:
        source_for(source, tmp_path)
    assert "csv, jsonl, parquet, sql" in caught.value.hint


def test_own_source_of_the_project_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "source"
    folder.mkdir(parents=True)
    (folder / "tape.py").write_text(
        "class Tape:\n    name = 'tape'\n\n    def accepts(self, source):\n        return source.endswith('.tape')\n"
    )
    assert source_for("rows.tape", tmp_path).name == "tape"
