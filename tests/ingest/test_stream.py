"""Tables read in parts: every row as it is read in the whole table."""

from __future__ import annotations

import csv
import gzip
import io
import sqlite3
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tenure.core.data import Column, Kind, Schema
from tenure.core.errors import DuplicateColumnError, EmptyDataError, SourceMissingError, UnreadableDataError
from tenure.core.ports import Silent
from tenure.ingest.cells import conform, number_styles
from tenure.ingest.delimited import find_form, plain_records, plain_stretches
from tenure.ingest.stream.files import PlainJsonLines
from tenure.ingest.stream.rows import RowStream, identity_of, open_rows
from tenure.ingest.table import read_rows

SCHEMA = Schema(
    (
        Column("city", "String", Kind.CATEGORICAL),
        Column("price", "Float64", Kind.NUMERIC),
        Column("count", "Int64", Kind.NUMERIC),
        Column("seen", "Date", Kind.DATETIME, format="%d.%m.%Y"),
        Column("member", "Boolean", Kind.BOOLEAN),
    )
)


def _table(rows: int = 97) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "city": [("Köln", "São Paulo, SP", 'the "old" town', "line\nbreak", None)[at % 5] for at in range(rows)],
            "price": [None if at % 11 == 0 else at / 8 for at in range(rows)],
            "count": [at * 1_000 for at in range(rows)],
            "seen": [f"{1 + at % 28:02d}.{1 + at % 12:02d}.2026" for at in range(rows)],
            "member": [("true", "false", "")[at % 3] for at in range(rows)],
            "extra": [at % 7 for at in range(rows)],
        }
    )


def _open(source: str, folder: Path, part_rows: int = 10, query: str | None = None) -> RowStream:
    return open_rows(
        source, query, folder, Silent(), schema=SCHEMA, part_rows=part_rows, spool=folder / "spool" / str(part_rows)
    )


def _same_as_whole(source: str, folder: Path, part_rows: int = 10, query: str | None = None) -> RowStream:
    stream = _open(source, folder, part_rows, query)
    whole = read_rows(source, query, folder, Silent(), schema=SCHEMA)
    parts = [stream.read(part, stream.columns) for part in range(len(stream.parts))]
    assert [part.height for part in parts] == list(stream.parts)
    assert max(stream.parts) <= part_rows
    assert_frame_equal(pl.concat(parts), whole)
    return stream


def _csv(folder: Path) -> str:
    _table().write_csv(folder / "rows.csv")
    return "rows.csv"


def _semicolons(folder: Path) -> str:
    table = _table().with_columns(price=pl.col("price").cast(pl.String).str.replace(".", ",", literal=True))
    table.write_csv(folder / "rows.csv", separator=";")
    return "rows.csv"


def _without_header(folder: Path) -> str:
    _table().select("count", "extra").write_csv(folder / "rows.csv", include_header=False)
    return "rows.csv"


def _without_last_line_feed(folder: Path) -> str:
    (folder / "rows.csv").write_bytes((folder / _csv(folder)).read_bytes().rstrip(b"\n"))
    return "rows.csv"


def _marked(folder: Path) -> str:
    (folder / "rows.csv").write_bytes(b"\xef\xbb\xbf" + (folder / _csv(folder)).read_bytes())
    return "rows.csv"


def _packed(folder: Path) -> str:
    (folder / "rows.csv.gz").write_bytes(gzip.compress((folder / _csv(folder)).read_bytes()))
    return "rows.csv.gz"


def _blank_lines(folder: Path) -> str:
    text = _table().drop("city").write_csv()
    (folder / "rows.csv").write_text(text.replace("\n", "\n\n", 40))
    return "rows.csv"


def _stray_quotes(folder: Path) -> str:
    lines = [f'{at},5" pipe {at}' for at in range(35)]
    (folder / "rows.csv").write_text("\n".join(["count,city", *lines]))
    return "rows.csv"


def _windows(folder: Path) -> str:
    (folder / "rows.csv").write_bytes(_table().drop("seen").write_csv().replace("ã", "a").encode("cp1252"))
    return "rows.csv"


def _old_line_ends(folder: Path) -> str:
    (folder / "rows.csv").write_bytes(_table().drop("city").write_csv().replace("\n", "\r").encode())
    return "rows.csv"


def _json_lines(folder: Path) -> str:
    _table().write_ndjson(folder / "rows.jsonl")
    return "rows.jsonl"


def _types_that_widen_late(folder: Path) -> str:
    lines = [f'{{"count": {at}, "city": {at}, "extra": null}}' for at in range(30)]
    lines += ['{"count": 1.5, "city": "Ulm", "price": "1,234.5"}', "", '{"city": 2.5}']
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return "rows.jsonl"


def _parquet(folder: Path) -> str:
    _table().write_parquet(folder / "rows.parquet", row_group_size=13)
    return "rows.parquet"


def _many_files(folder: Path) -> str:
    table = _table()
    for at in range(25):
        part = table[at * 4 : at * 4 + 4]
        part = part if at % 2 else part.select(reversed(part.columns))
        part = part.with_columns(count=pl.col("count").cast(pl.Float64)) if at == 20 else part
        part.write_parquet(folder / f"rows-{at:02d}.parquet")
    return "rows-*.parquet"


@pytest.mark.parametrize(
    "write",
    [
        _csv,
        _semicolons,
        _without_header,
        _without_last_line_feed,
        _marked,
        _packed,
        _blank_lines,
        _stray_quotes,
        _windows,
        _old_line_ends,
        _json_lines,
        _types_that_widen_late,
        _parquet,
        _many_files,
    ],
)
@pytest.mark.parametrize("part_rows", [7, 1_000])
def test_parts_hold_the_rows_of_the_whole_table(write, part_rows: int, tmp_path: Path) -> None:
    source = write(tmp_path)
    stream = _open(source, tmp_path, part_rows)
    whole = read_rows(source, None, tmp_path, Silent(), schema=SCHEMA)
    parts = [stream.read(part, stream.columns) for part in range(len(stream.parts))]
    assert max(stream.parts) <= max(part_rows, 1)
    assert_frame_equal(pl.concat(parts), whole)
    again = _open(source, tmp_path, part_rows)  # what was spooled is taken from there
    assert again.parts == stream.parts


def test_a_query_is_read_once_and_then_in_parts(tmp_path: Path) -> None:
    place = tmp_path / "shop.db"
    with sqlite3.connect(place) as base:
        base.execute("create table rows (city, price, count)")
        base.executemany("insert into rows values (?, ?, ?)", _table()[["city", "price", "count"]].rows())
    source, query = "sqlite:///shop.db", "select * from rows order by count"
    stream = _open(source, tmp_path, 10, query)
    whole = read_rows(source, query, tmp_path, Silent(), schema=SCHEMA)
    assert_frame_equal(pl.concat([stream.read(part, stream.columns) for part in range(len(stream.parts))]), whole)
    with sqlite3.connect(place) as base:
        base.execute("delete from rows where count > 5000")
    assert _open(source, tmp_path, 10, query).parts == stream.parts


def test_only_the_columns_asked_for_are_read(tmp_path: Path) -> None:
    stream = _open(_csv(tmp_path), tmp_path)
    assert stream.read(0, {"count", "city", "not there"}).columns == ["city", "count"]


_NUMBERS = st.sampled_from(
    [
        "1",
        "2.5",
        "1,234",
        "1,234.5",
        "1.234,5",
        "3,5",
        "1.234",
        "007",
        "",
        "n/a",
        "x",
        " 4 ",
        "1e3",
        "-2",
        "1.234.567,8",
    ]
)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(_NUMBERS, _NUMBERS, st.sampled_from(["Ulm", "a,b", "1,5", "2,5"])), min_size=1, max_size=40),
    st.integers(1, 15),
    st.sampled_from([",", ";"]),
)
def test_numbers_in_text_are_read_in_parts_as_in_the_whole(tmp_path_factory, rows, part_rows, separator) -> None:
    folder = tmp_path_factory.mktemp("numbers")
    frame = pl.DataFrame(rows, schema=["price", "count", "city"], orient="row")
    frame.write_csv(folder / "rows.csv", separator=separator, quote_style="always")
    _same_as_whole("rows.csv", folder, part_rows)


@settings(max_examples=8)
@given(st.integers(100, 5_000), st.integers(0, 5_000), st.sampled_from(["3,5", "1,234", "1,234.5"]))
def test_long_columns_are_sampled_alike_in_parts(part_rows: int, rare: int, odd: str) -> None:
    cells = ["1,234" if at % 3 else "x" if at % 2 else None for at in range(6_000)]
    cells[rare : rare + 3] = [odd] * 3
    frame = pl.DataFrame({"price": cells, "city": [None if at % 4 else "2,5" for at in range(6_000)]})
    styles = number_styles(lambda: frame.iter_slices(part_rows), SCHEMA)
    parts = [conform(part, SCHEMA, styles=styles) for part in frame.iter_slices(part_rows)]
    assert_frame_equal(pl.concat(parts), conform(frame, SCHEMA))


@pytest.mark.parametrize("block", [1, 40, 200, 1_000_000])
def test_types_of_json_lines_do_not_depend_on_the_blocks_they_are_found_in(tmp_path: Path, block: int) -> None:
    for write in (_json_lines, _types_that_widen_late):
        path = tmp_path / write(tmp_path)
        assert PlainJsonLines(path, block=block).dtypes == dict(pl.read_ndjson(path, infer_schema_length=None).schema)


@given(
    st.lists(st.sampled_from(["a,b", '"x,y",z', '"line\nfeed",2', '"",', "1,2\r"]), min_size=1, max_size=30),
    st.integers(1, 12),
    st.integers(1, 40),
    st.booleans(),
)
def test_records_are_found_whatever_the_blocks(records: list[str], every: int, block: int, ends: bool) -> None:
    text = ("one,two\n" + "\n".join(records) + "\n" * ends).encode()
    form = find_form(text, where="text")
    blocks = [text[at : at + block] for at in range(form.rest, len(text), block)]
    found = plain_stretches(blocks, form, begin=form.rest, every=every)
    assert found is not None
    assert [stretch.records for stretch in found[:-1]] == [every] * (len(found) - 1)
    assert sum(stretch.records for stretch in found) == plain_records(text, form) == len(records)
    pieces = [text[stretch.start : stretch.start + stretch.size] for stretch in found]
    assert b"".join(pieces) == text[form.rest :]
    read = [row for piece in pieces for row in csv.reader(io.StringIO(piece.decode(), newline=""))]
    assert read == list(csv.reader(io.StringIO(text[form.rest :].decode(), newline="")))


def test_a_wrong_line_of_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"count": 1}\n' * 30 + "[1]\n")
    with pytest.raises(UnreadableDataError, match="Line 31"):
        _open("rows.jsonl", tmp_path)


def test_a_line_with_too_many_cells_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("count,price\n" + "1,2\n" * 30 + "1,2,3\n")
    with pytest.raises(UnreadableDataError, match="Line 32"):
        _open("rows.csv", tmp_path)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", EmptyDataError),
        (b" \n \n", EmptyDataError),
        (b"a,b\n", EmptyDataError),
        (b"a,a\n1,2\n", DuplicateColumnError),
    ],
)
def test_what_cannot_be_read_whole_cannot_be_read_in_parts(tmp_path: Path, content: bytes, error) -> None:
    (tmp_path / "rows.csv").write_bytes(content)
    with pytest.raises(error):
        _open("rows.csv", tmp_path)
    with pytest.raises(error):
        read_rows("rows.csv", None, tmp_path, Silent(), schema=SCHEMA)


def test_damaged_packing_is_told(tmp_path: Path) -> None:
    packed = (tmp_path / _packed(tmp_path)).read_bytes()
    (tmp_path / "rows.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UnreadableDataError):
        _open("rows.csv.gz", tmp_path)


def test_the_identity_of_files_changes_with_them(tmp_path: Path) -> None:
    before = identity_of(_csv(tmp_path), None, tmp_path)
    assert identity_of("rows.csv", None, tmp_path) == before
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("x")
    assert identity_of("rows.csv", None, tmp_path) != before
    with pytest.raises(SourceMissingError):
        identity_of("gone.csv", None, tmp_path)
