"""CSV: what is found out about a file, and that every damaged one is named with its place."""

from __future__ import annotations

import csv as writer
import gzip
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.core.errors import DuplicateColumnError, EmptyDataError, SourceMissingError, UnreadableDataError
from tenure.core.ports import Silent
from tenure.ingest.sources.csv import Csv


class Notes(Silent):
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def read(folder: Path, content: bytes | str, *, name: str = "rows.csv", log: Silent | None = None) -> pl.DataFrame:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return Csv().read(name, None, folder, log or Silent())


_CELL = st.text(st.characters(blacklist_categories=("Cs", "Cc"), max_codepoint=0x2FFF), max_size=12) | st.sampled_from(
    ["a,b", "a;b", 'say "x"', "two\nlines", "tab\there", "'quoted'", "1,5", ""]
)
_NULLS = {"", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"}


@given(
    rows=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(_CELL, min_size=width, max_size=width), min_size=1, max_size=8)
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@settings(max_examples=80, deadline=None)
def test_any_table_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, end: str, encoding: str
) -> None:
    names = [f"c{i}" for i in range(len(rows[0]))]
    rows = [*rows, ["last"] * len(names)]  # a file that ends in blank cells of a single column says nothing of them
    text = io.StringIO(newline="")
    delimiter = delimiter if len(names) > 1 else ","  # one column: no header tells which delimiter was meant
    out = writer.writer(text, delimiter=delimiter, lineterminator=end)
    out.writerows([names, *rows])
    table = read(tmp_path_factory.mktemp("csv"), text.getvalue().encode(encoding))
    assert table.columns == names
    assert table.rows() == [tuple(None if cell in _NULLS else cell for cell in row) for row in rows]


@given(st.binary(max_size=200))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_a_table_or_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    try:
        table = read(tmp_path_factory.mktemp("csv"), content)
    except (EmptyDataError, UnreadableDataError, DuplicateColumnError):
        return
    assert table.height > 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encoding_is_found_out(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, "größe,ort\n1,Köln\n2,Łódź\n".replace("Łódź", "Rhône").encode(encoding)).rows() == [
        ("1", "Köln"),
        ("2", "Rhône"),
    ]


def test_another_encoding_than_utf8_is_noted_with_its_line(tmp_path: Path) -> None:
    log = Notes()
    read(tmp_path, b"a,b\n1,x\n2,K\xf6ln\n", log=log)
    assert len(log.lines) == 1
    assert "line 3" in log.lines[0]
    assert "cp1252" in log.lines[0]


def test_mixed_encodings_name_both_lines_and_the_byte(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDataError, match=r"line 2 is UTF-8, line 3 is not \(byte 13\)"):
        read(tmp_path, "a,b\n1,ö\n".encode() + "2,xö\n".encode("cp1252"))


@pytest.mark.parametrize(
    ("content", "what"), [(b"PK\x03\x04\x00", "Excel"), (b"PAR1\x00", "Parquet"), (b"a,b\n1,\x00", "zero")]
)
def test_a_file_that_is_not_text_is_recognised(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(UnreadableDataError, match=what):
        read(tmp_path, content)


def test_cell_of_ten_megabytes_is_read(tmp_path: Path) -> None:
    table = read(tmp_path, b"text,n\n" + b"x" * 10_000_000 + b',1\n"' + b"y\n" * 5_000_000 + b'",2\n')
    assert table["text"].str.len_bytes().to_list() == [10_000_000, 10_000_000]


def test_repeated_column_names_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DuplicateColumnError, match="'age'"):
        read(tmp_path, "age,plan,age\n1,a,2\n")


@pytest.mark.parametrize("content", ["", "  \n", "a,b", "a,b\n", "a,b\r\n\r\n"])
def test_no_rows_are_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(EmptyDataError):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\n1,2\n3\n", "Line 3 .* 1 cells, the header has 2"),
        ("a,b\n1,2\n3,4,5\n", "Line 3 .* 3 cells"),
        ('a,b\n"two\nlines",1\n7\n', "Line 4 .* 1 cells"),
        ('a,b\n1,2\n"never closed,3\n4,5\n', "Line 3 .* 1 cells"),
        ('a,b\n"' + "x" * 200_000 + "\n", "line 2: field larger"),
    ],
)
def test_ragged_lines_are_named_by_number(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(UnreadableDataError, match=says):
        read(tmp_path, content)


def test_stray_quotes_and_blank_lines_do_not_hurt(tmp_path: Path) -> None:
    table = read(tmp_path, 'size,n\n5" pipe,1\n\n6" pipe,2\n"x" y,3\n')
    assert table.rows() == [('5" pipe', "1"), ('6" pipe', "2"), ("x y", "3")]


def test_single_quotes_round_every_name_are_quotes(tmp_path: Path) -> None:
    assert read(tmp_path, "'a','b'\n'x,y','2'\n").rows() == [("x,y", "2")]


def test_file_without_header_gets_names_and_a_note(tmp_path: Path) -> None:
    log = Notes()
    table = read(tmp_path, "1,2.5\n3,4.5\n", log=log)
    assert table.columns == ["column_1", "column_2"]
    assert table.height == 2
    assert "no header" in log.lines[0]


def test_first_line_of_excel_and_old_line_ends_are_understood(tmp_path: Path) -> None:
    assert read(tmp_path, "sep=;\r\na;b\r\n1,5;2\r\n").rows() == [("1,5", "2")]
    assert read(tmp_path, "a,b\r1,2\r3,4").rows() == [("1", "2"), ("3", "4")]


def test_packed_file_is_read_and_a_damaged_one_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n1,2\n")
    assert read(tmp_path, packed, name="rows.csv.gz").rows() == [("1", "2")]
    with pytest.raises(UnreadableDataError):
        read(tmp_path, packed[:-5], name="rows.csv.gz")


def test_missing_file_suggests_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("a\n1\n")
    with pytest.raises(SourceMissingError) as caught:
        Csv().read("custmers.csv", None, tmp_path, Silent())
    assert "customers.csv" in caught.value.hint


def test_fingerprint_follows_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    before = Csv().fingerprint("a.csv", None, tmp_path)
    assert Csv().fingerprint("*.csv", None, tmp_path) == before
    (tmp_path / "a.csv").write_text("x\n2\n")
    assert Csv().fingerprint("a.csv", None, tmp_path) != before
