"""Read raw values: anything a row may hold becomes a number, a text or a moment.

Each reader comes twice, for one value and for a column, and both give the same result bit for bit: columns of plain
numbers and times are cast, everything else goes through the reader of one value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tenure.core.modelling import Floats

if TYPE_CHECKING:  # a served model reads rows, and polars is slow to load
    import polars as pl

NO_MOMENT: Final = int(np.iinfo(np.int64).min)
"""Stands for a missing moment, as in numpy."""

_NAN: Final = float("nan")
_WORDS: Final = {"true": 1.0, "false": 0.0}
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - moments are counted in UTC without a zone
_EPOCH_UTC: Final = _EPOCH.replace(tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = 86_400_000_000
_ISO: Final = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:[T ]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?(?: ?(?:Z|([+-])([0-9]{2})(?::?([0-9]{2}))?))?)?"
)
_MONTH_FORMAT: Final = "%Y-%m"
_WHOLE: Final = 2.0**53


def number_of(value: Any) -> float:
    """Read one value as a number; NaN where it is none, and for infinities."""
    kind = type(value)
    if kind is float:
        number = value
    elif kind is int or kind is bool:
        number = _from_int(value)
    elif value is None:
        return _NAN
    elif isinstance(value, str):
        number = _from_text(value)
    else:
        number = _from_other(value)
    return number if -math.inf < number < math.inf else _NAN


def _from_int(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return _NAN


def _from_text(text: str) -> float:
    """Read numbers and true/false; Python's `1_000` is not how tables write numbers."""
    try:
        return _NAN if "_" in text else float(text)
    except ValueError:
        return _WORDS.get(text.strip().lower(), _NAN)


def _from_other(value: Any) -> float:
    if isinstance(value, timedelta):
        return (value // _MICROSECOND) / 1e6 if value == value else _NAN
    if isinstance(value, time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    if isinstance(value, np.generic):
        return number_of(value.item())
    try:
        return float(value) if isinstance(value, int | float | Decimal) else _NAN
    except (ValueError, OverflowError):  # a signalling NaN; a number beyond every float
        return _NAN


def numbers_of(series: pl.Series) -> Floats:
    """Read a column as numbers: float64, NaN where a cell holds none."""
    import polars as pl

    if series.dtype.is_integer() or series.dtype.is_float() or series.dtype == pl.Boolean:
        numbers: Floats = series.cast(pl.Float64).fill_null(_NAN).to_numpy().copy()
        numbers[~np.isfinite(numbers)] = np.nan
        return numbers
    return mapped(series, number_of)


def text_of(value: Any) -> str | None:
    """Read one value as text; None where it is missing. Whole floats read like integers, so 3.0 is `3`."""
    if type(value) is str:
        return value
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(float(value))
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value.is_finite() else None
    if isinstance(value, np.generic):
        return text_of(value.item())
    if isinstance(value, datetime | date | time):
        return value.isoformat() if value == value else None
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _float_text(value: float) -> str | None:
    if math.isnan(value):
        return None
    return str(int(value)) if abs(value) < _WHOLE and value == int(value) else repr(value)


def texts_of(series: pl.Series) -> pl.Series:
    """Read a column as text: String, null where a cell is missing."""
    import polars as pl

    if series.dtype in (pl.String, pl.Categorical, pl.Enum) or series.dtype.is_integer() or series.dtype == pl.Boolean:
        return series.cast(pl.String)
    return pl.Series(series.name, [text_of(value) for value in series.to_list()], dtype=pl.String)


def moment_of(value: Any, date_format: str = "") -> int:
    """Read one value as microseconds since 1970 (UTC); NO_MOMENT where it is no time.

    Text may be ISO 8601, or stand as `date_format` says (as in `strptime`), like the dates of the training file.
    """
    if isinstance(value, str):
        moment = _iso_moment(value)
        if moment == NO_MOMENT and date_format:
            return _formatted_moment(value, date_format)
        return moment
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[us]").astype(np.int64))
    if isinstance(value, datetime):
        if value != value:  # pandas' missing time is a datetime that does not equal itself
            return NO_MOMENT
        return (value - (_EPOCH if value.tzinfo is None else _EPOCH_UTC)) // _MICROSECOND
    if isinstance(value, date):
        return (value.toordinal() - _EPOCH_DAY) * _DAY
    return NO_MOMENT


def _iso_moment(text: str) -> int:
    """Read ISO 8601 as it stands in files: one digit will do for month, day and hour, an offset may lack minutes."""
    moment = _plain_iso_moment(text)
    if moment != NO_MOMENT:
        return moment
    found = _ISO.fullmatch(text.strip())
    if found is None:
        return NO_MOMENT
    year, month, day, hour, minute, second, fraction, sign, ahead, ahead_minutes = found.groups(default="0")
    try:
        plain = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))  # noqa: DTZ001 - no zone here
    except ValueError:
        return NO_MOMENT
    offset = (int(ahead) * 60 + int(ahead_minutes)) * (-60_000_000 if sign == "-" else 60_000_000)
    return (plain - _EPOCH) // _MICROSECOND + int(fraction[:6].ljust(6, "0")) - offset


def _plain_iso_moment(text: str) -> int:
    """Read 2026-01-31 and 2026-01-31T12:00:00, with Z or without, much quicker; NO_MOMENT for every other text."""
    size = len(text)
    if size < 10 or text[4] != "-" or text[7] != "-":
        return NO_MOMENT
    try:
        if size == 10:
            return (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * _DAY
        if text[10] in "T " and text[13:17:3] == "::" and (size == 19 or (size == 20 and text[19] == "Z")):
            return (datetime.fromisoformat(text[:19]) - _EPOCH) // _MICROSECOND
    except ValueError:
        pass
    return NO_MOMENT


@lru_cache(maxsize=4096)
def _formatted_moment(text: str, date_format: str) -> int:
    """Read one text by a format; rows that come together have few dates, and the parser takes its time."""
    import polars as pl

    return int(_formatted_moments(pl.Series([text], dtype=pl.String), date_format)[0])


def _formatted_moments(texts: pl.Series, date_format: str) -> NDArray[np.int64]:
    """Read texts by a format, with the parser that reads files; Python's own differs in years of two digits."""
    cells = texts.str.strip_chars()
    if date_format == _MONTH_FORMAT:
        cells, date_format = cells + "-01", "%Y-%m-%d"
    read = cells.str.to_datetime(date_format, strict=False, time_unit="us")
    moments: NDArray[np.int64] = read.to_physical().fill_null(NO_MOMENT).to_numpy()
    return moments


def moments_of(series: pl.Series, date_format: str = "") -> NDArray[np.int64]:
    """Read a column as microseconds since 1970 (UTC): int64, NO_MOMENT where a cell holds no time."""
    import polars as pl

    if series.dtype.is_temporal() and series.dtype not in (pl.Duration, pl.Time):
        moments = series.cast(pl.Datetime("us")) if series.dtype == pl.Date else series.dt.cast_time_unit("us")
        whole: NDArray[np.int64] = moments.to_physical().fill_null(NO_MOMENT).to_numpy()
        return whole
    if series.dtype == pl.String:
        known = series.unique().drop_nulls()
        read = np.array([_iso_moment(text) for text in known], dtype=np.int64)
        if date_format:
            read = np.where(read == NO_MOMENT, _formatted_moments(known, date_format), read)
        table = dict(zip(known, read.tolist(), strict=True))
        return np.array([NO_MOMENT if text is None else table[text] for text in series], dtype=np.int64)
    return np.array([moment_of(value, date_format) for value in series.to_list()], dtype=np.int64)


def mapped(series: pl.Series, read: Callable[[Any], float]) -> Floats:
    """Return what `read` makes of every cell (float64, NaN for null), reading equal texts once."""
    import polars as pl

    if series.dtype in (pl.String, pl.Categorical, pl.Enum):
        texts = series.cast(pl.String)
        known = texts.unique().drop_nulls()
        if known.is_empty():
            return np.full(len(series), np.nan)
        numbers = pl.Series([read(text) for text in known], dtype=pl.Float64)
        looked_up = texts.replace_strict(known, numbers, default=None, return_dtype=pl.Float64)
        found: Floats = looked_up.fill_null(_NAN).to_numpy()
        return found
    return np.array([_NAN if value is None else read(value) for value in series.to_list()], dtype=np.float64)
