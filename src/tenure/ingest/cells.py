"""Give columns of text their types, and reduce all column types to six: what any source gives, models can read.

The six: Int64, Float64, Boolean, String, Date, Datetime in microseconds (without zone, UTC where a zone was given).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import polars as pl

from tenure.core.data import Schema
from tenure.ingest.dates import parse_dates, read_dates
from tenure.ingest.names import looks_like_id

_NUMERIC_SHARE: Final = 0.98  # methods 2.1
_SAMPLE: Final = 2_000
_FEW_CODES: Final = 20
_CODE: Final = r"^[+-]?0\d"  # a leading zero belongs to a code such as 01067, never to a number
_GROUPED: Final = r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$"
_DECIMAL_COMMA: Final = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+),\d*$"
_EMPTY: Final = ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "?", "-", "--", ".")
DTYPES: Final = {str(dtype): dtype for dtype in (pl.Int64(), pl.Float64(), pl.Boolean(), pl.String(), pl.Date())} | {
    str(pl.Datetime("us")): pl.Datetime("us")
}


class Style(StrEnum):
    """How numbers stand in a column of text: 1234.5, 1,234.5 or 1.234,5."""

    PLAIN = "plain"
    GROUPED = "grouped"
    COMMA = "comma"


@dataclass(frozen=True, slots=True, eq=False)
class Typed:
    """A table in the six types.

    `formats` holds the formats of dates that stood as text, `notes` says in words what was changed, `nested` names
    the columns whose cells were no single values (lists, structs, bytes) and stand here as JSON text.
    """

    frame: pl.DataFrame
    formats: dict[str, str]
    notes: dict[str, str]
    nested: frozenset[str]


def typed(frame: pl.DataFrame) -> Typed:
    """Type the text columns of `frame`: numbers from 98 %, dates of one format from 95 % of the given cells.

    Cells that do not fit the column's type become empty, and the note says how many. Where every column is text
    (CSV), each column that reads as numbers becomes numbers; where the source has types of its own, short codes and
    identifiers that somebody stored as text stay text.
    """
    untyped = all(dtype == pl.String for dtype in frame.dtypes)
    comma = _decimal_comma(frame)
    columns, formats, notes, nested = [], {}, {}, set()
    for series in frame.iter_columns():
        column, name = _simple(series), series.name
        if column.dtype == pl.String and series.dtype in (pl.String, pl.Categorical, pl.Enum):
            column, formats[name], notes[name] = _typed_text(column, untyped=untyped, decimal_comma=comma)
        elif series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
            notes[name] = "its cells are not single values"
            nested.add(name)
        columns.append(column)
    return Typed(
        pl.DataFrame(columns),
        {name: text for name, text in formats.items() if text},
        {name: text for name, text in notes.items() if text},
        frozenset(nested),
    )


def conform(frame: pl.DataFrame, schema: Schema, *, styles: Mapping[str, Style] | None = None) -> pl.DataFrame:
    """Return `frame` with every column that `schema` knows in the type it was learnt with; other columns are kept.

    Cells that do not fit become empty. How numbers stand in text is a matter of the whole table: where `frame` is a
    part of one, `styles` holds what `number_styles` found in all of it (plain where a column is not named).
    """
    comma = styles is None and _decimal_comma(frame)
    known = {column.name: column for column in schema.columns}
    columns = []
    for series in frame.iter_columns():
        column = _simple(series)
        learnt = known.get(series.name)
        if learnt is not None and learnt.dtype in DTYPES:
            dtype = DTYPES[learnt.dtype]
            if styles is not None and column.dtype == pl.String and dtype.is_numeric():
                style = styles.get(series.name, Style.PLAIN)
                column = _read_numbers(_without_blanks(column), style).cast(dtype, strict=False)
            else:
                column = to_dtype(column, dtype, date_format=learnt.format, decimal_comma=comma)
        columns.append(column)
    return pl.DataFrame(columns)


def texts_to_read_as_numbers(dtypes: Mapping[str, pl.DataType], schema: Schema) -> list[str]:
    """Return the columns of text that `schema` learnt as numbers, in the order of `dtypes`."""
    known = {column.name: DTYPES[column.dtype] for column in schema.columns if column.dtype in DTYPES}
    texts = (name for name, dtype in dtypes.items() if dtype in (pl.String, pl.Categorical, pl.Enum))
    return [name for name in texts if name in known and known[name].is_numeric()]


def number_styles(parts: Callable[[], Iterable[pl.DataFrame]], schema: Schema) -> dict[str, Style]:
    """Return the style that reads most cells of each text column with commas, over all parts of a table.

    It is the style that `conform` finds in the whole table. `parts` gives the raw parts in order, and is called twice
    where commas make a difference.
    """
    unread: dict[str, dict[Style, int]] = {}
    given: dict[str, int] = {}
    with_comma: set[str] = set()
    for part in parts():
        numeric = texts_to_read_as_numbers(part.schema, schema)
        for series in part.iter_columns():
            if series.dtype == pl.String:
                given[series.name] = given.get(series.name, 0) + len(series) - series.null_count()
                if series.str.contains(",", literal=True).any():
                    with_comma.add(series.name)
            if series.name in numeric:
                counts = unread.setdefault(series.name, dict.fromkeys(Style, 0))
                cells = _without_blanks(series.cast(pl.String))
                for style in Style:
                    counts[style] += _read_numbers(cells, style).null_count()
    if all(len(set(counts.values())) == 1 for counts in unread.values()):
        return {}  # every style reads as many cells, so none can read a cell that plain does not
    comma = _decimal_comma_in(parts(), given, with_comma)
    return {name: min(_preferred(comma), key=counts.__getitem__) for name, counts in unread.items()}


def to_dtype(series: pl.Series, dtype: pl.DataType, *, date_format: str = "", decimal_comma: bool = False) -> pl.Series:
    """Return `series` (of one of the six types) as `dtype`; text is parsed, cells that do not fit become empty."""
    if series.dtype == dtype:
        return series
    if series.dtype == pl.String and dtype.is_temporal():
        return parse_dates(series, date_format).cast(dtype)
    if series.dtype == pl.String and dtype.is_numeric():
        return _best_numbers(_without_blanks(series), decimal_comma).cast(dtype, strict=False)
    if series.dtype == pl.String and dtype == pl.Boolean:
        return _boolean(series)
    if series.dtype.is_temporal() and not dtype.is_temporal() and dtype != pl.String:
        return pl.Series(series.name, [None] * len(series), dtype=dtype)
    return series.cast(dtype, strict=False)


def _simple(series: pl.Series) -> pl.Series:
    """Reduce the column's type to one of the six, without reading text."""
    dtype = series.dtype
    if dtype.is_integer():
        whole = series.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == series.null_count() else series.cast(pl.Float64)
    if dtype.is_numeric():
        return series.cast(pl.Float64)
    if isinstance(dtype, pl.Datetime):
        utc = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else series
        return utc.cast(pl.Datetime("us"))
    if dtype == pl.Duration:
        return series.dt.total_microseconds().cast(pl.Float64) / 1e6
    if dtype == pl.Time:
        return series.cast(pl.Int64).cast(pl.Float64) / 1e9
    if dtype in (pl.Boolean, pl.String, pl.Date):
        return series
    if dtype in (pl.Categorical, pl.Enum, pl.Null):
        return series.cast(pl.String)
    return pl.Series(series.name, [_as_text(value) for value in series.to_list()], dtype=pl.String)


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(value, default=str, ensure_ascii=False)


def _typed_text(series: pl.Series, *, untyped: bool, decimal_comma: bool) -> tuple[pl.Series, str, str]:
    """Return the column in its type, the format of its dates, and in words what was changed."""
    given = series.drop_nulls()
    if given.is_empty():
        return series, "", ""
    sample = given.gather_every(max(len(given) // _SAMPLE, 1))
    if untyped and sample.str.to_lowercase().is_in(["true", "false"]).all():
        flags = _boolean(series)
        if flags.null_count() == series.null_count():
            return flags, "", ""
    numbers = _numbers(series, sample, decimal_comma)
    if numbers is not None and (untyped or _is_measured(series.name, numbers)):
        return numbers, "", _lost(series, numbers, "numbers")
    dates = read_dates(series, sample)
    if dates is not None:
        return dates.values, dates.format, _lost(series, dates.values, f"dates written {dates.words}")
    return series, "", ""


def _is_measured(name: str, numbers: pl.Series) -> bool:
    """Say whether numbers that somebody stored as text are quantities: not an identifier, not a few codes."""
    return not looks_like_id(name) and numbers.n_unique() > _FEW_CODES


def _lost(before: pl.Series, after: pl.Series, what: str) -> str:
    lost = after.null_count() - before.null_count()
    blank = f"; {lost:,} of {len(before):,} cells do not fit and are empty" if lost > 0 else ""
    return f"text read as {what}{blank}" if blank or what != "numbers" else ""


def _boolean(series: pl.Series) -> pl.Series:
    lower = series.str.strip_chars().str.to_lowercase()
    truth = pl.when(lower.is_in(["true", "1"])).then(True).when(lower.is_in(["false", "0"])).then(False)
    return pl.select(truth.alias(series.name)).to_series()


def _numbers(series: pl.Series, sample: pl.Series, decimal_comma: bool) -> pl.Series | None:
    """Return the column as Int64 or Float64, or None where under 98 % of the given cells are numbers."""
    if _share(_best_numbers(_without_blanks(sample), decimal_comma), _without_blanks(sample)) < _NUMERIC_SHARE:
        return None
    cells = _without_blanks(series)
    values = _best_numbers(cells, decimal_comma)
    if cells.null_count() == len(cells) or _share(values, cells) < _NUMERIC_SHARE:
        return None
    whole = cells.cast(pl.Int64, strict=False)
    if whole.null_count() == values.null_count():
        return whole
    digits_only = cells.str.contains(r"^[+-]?\d+$").all()
    return None if digits_only else values  # whole numbers too long for Int64 are codes


def _share(values: pl.Series, cells: pl.Series) -> float:
    given = len(cells) - cells.null_count()
    return (len(values) - values.null_count()) / given if given else 0.0


def _without_blanks(series: pl.Series) -> pl.Series:
    """Strip the cells and empty those that only say that nothing is there."""
    cells = series.str.strip_chars()
    blank = cells.str.to_lowercase().is_in(list(_EMPTY)).fill_null(True)
    return cells.set(blank, None)


def _best_numbers(cells: pl.Series, decimal_comma: bool) -> pl.Series:
    """Return the cells as Float64 in the style that reads most of them."""
    plain = _read_numbers(cells, Style.PLAIN)
    if plain.null_count() == cells.null_count() or not cells.str.contains(",", literal=True).any():
        return plain
    read = (_read_numbers(cells, style) for style in _preferred(decimal_comma))
    return min(read, key=lambda values: values.null_count())


def _preferred(decimal_comma: bool) -> tuple[Style, Style, Style]:
    """Return the styles in the order in which they win where they read as many cells."""
    return (Style.COMMA, Style.GROUPED, Style.PLAIN) if decimal_comma else (Style.GROUPED, Style.COMMA, Style.PLAIN)


def _read_numbers(cells: pl.Series, style: Style) -> pl.Series:
    """Return the cells as Float64 in one style; plain numbers are read in every style."""
    coded = cells.str.contains(_CODE + r"\d*$")
    plain = cells.set(coded, None).cast(pl.Float64, strict=False).fill_nan(None)
    if style is Style.PLAIN:
        return plain
    if style is Style.GROUPED:
        texts = cells.set(~cells.str.contains(_GROUPED), None).str.replace_all(",", "", literal=True)
    else:
        texts = cells.set(~cells.str.contains(_DECIMAL_COMMA), None).str.replace_all(".", "", literal=True)
        texts = texts.str.replace(",", ".", literal=True)
    return _first(texts.cast(pl.Float64, strict=False), plain)


def _first(one: pl.Series, other: pl.Series) -> pl.Series:
    return one.zip_with(one.is_not_null(), other)


def _decimal_comma(frame: pl.DataFrame) -> bool:
    """Say whether any column can only be read with a decimal comma; then 1,234 is read so in the others too."""
    texts = [series for series in frame.iter_columns() if series.dtype == pl.String]
    samples = (series.drop_nulls().gather_every(_step(len(series) - series.null_count())) for series in texts)
    return any(_needs_decimal_comma(sample) for sample in samples)


def _decimal_comma_in(parts: Iterable[pl.DataFrame], given: Mapping[str, int], names: Collection[str]) -> bool:
    """Say the same of a table in parts, from the same sample; `given` counts the cells that the columns hold."""
    seen = dict.fromkeys(given, 0)
    samples: dict[str, list[pl.Series]] = {name: [] for name in names}
    for part in parts:
        for name in names:
            cells, step = part[name].cast(pl.String).drop_nulls(), _step(given[name])
            samples[name].append(cells.gather_every(step, offset=-seen[name] % step))
            seen[name] += len(cells)
    return any(_needs_decimal_comma(pl.concat(sample)) for sample in samples.values())


def _step(given: int) -> int:
    return max(given // _SAMPLE, 1)


def _needs_decimal_comma(sample: pl.Series) -> bool:
    cells = sample.str.strip_chars()
    with_comma = cells.filter(cells.str.contains(",", literal=True))
    if with_comma.is_empty() or not with_comma.str.contains(_DECIMAL_COMMA).all():
        return False
    return not with_comma.str.contains(_GROUPED).all()
