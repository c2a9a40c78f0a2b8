"""Read dates that stand as text: ISO 8601 in its variants, or the one usual format that fits the column best."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import polars as pl

_DATE_SHARE: Final = 0.95  # methods 2.1
_MICROSECONDS: Final = pl.Datetime("us")
_ISO: Final = r"^\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?(?:Z|[+-]\d{2}(?::?\d{2})?))?)?$"
_ISO_ZONE: Final = r"(?:Z|[+-]\d{2}(?::?\d{2})?)$"
_MONTH: Final = r"^\d{4}-(?:0[1-9]|1[0-2])$"
_FULL_YEAR: Final = r"(?:^|\D)\d{4}(?:\D|$)"
_SHORT_YEAR: Final = r"^\d{1,2}[/.-](?:\d{1,2}|[A-Za-z]{3})[/.-]\d{2}(?: |$)"
_FULL: Final = (
    *("%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y"),
)
_SHORT: Final = ("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%b-%y")
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_MONTH_FORMAT: Final = "%Y-%m"


@dataclass(frozen=True, slots=True, eq=False)
class ReadDates:
    """Dates out of text: the values (Date or Datetime), their format (empty for ISO 8601), and that in words."""

    values: pl.Series
    format: str
    words: str


def read_dates(series: pl.Series, sample: pl.Series) -> ReadDates | None:
    """Return the column as dates where one format reads at least 95 % of its given cells, else None.

    Where day and month could change places, the order that reads more cells wins, then the one that leaves the column
    sorted, then day first. `sample` holds some given cells, to say no quickly.
    """
    probe = sample.str.strip_chars()
    if _share(probe.str.contains(_ISO)) >= _DATE_SHARE:
        return _accepted(series, "", "as ISO 8601")
    if _share(probe.str.contains(_MONTH)) >= _DATE_SHARE:
        return _accepted(series, _MONTH_FORMAT, "as year and month")
    candidates = _candidates(probe)
    if not candidates:
        return None
    best = max(candidates, key=candidates.__getitem__)
    rivals = [form for form in candidates if candidates[form] == candidates[best]]
    in_order = [form for form in rivals if _parse(probe, form).drop_nulls().is_sorted()]
    chosen = (in_order or rivals)[0]
    told = "the order of day and month is a guess" if len(rivals) > 1 and not in_order else ""
    return _accepted(series, chosen, f"as {chosen}" + (f" ({told})" if told else ""))


def parse_dates(series: pl.Series, date_format: str = "") -> pl.Series:
    """Return the text as Datetime (UTC, no zone) by a format of `read_dates`; what does not fit becomes empty.

    ISO 8601 is always understood, so that rows may come as JSON whatever the training file looked like.
    """
    cells = series.str.strip_chars()
    iso = _parse_iso(cells)
    if not date_format:
        return iso
    read = _parse(cells, date_format)
    return read.zip_with(read.is_not_null(), iso)


def _candidates(probe: pl.Series) -> dict[str, float]:
    """Return each usual format that reads enough of the sample, with the share that it reads."""
    dates: tuple[str, ...]
    if _share(probe.str.contains(_FULL_YEAR)) >= _DATE_SHARE:
        dates = _FULL
    elif _share(probe.str.contains(_SHORT_YEAR)) >= _DATE_SHARE:
        dates = _SHORT
    else:
        return {}
    found = {}
    for day, time in product(dates, _TIMES):
        share = _share(_parse(probe, day + time).is_not_null())
        if share >= _DATE_SHARE:
            found[day + time] = share
    return found


def _accepted(series: pl.Series, date_format: str, words: str) -> ReadDates | None:
    values = parse_dates(series, date_format)
    given = len(series) - series.null_count()
    if len(values) - values.null_count() < _DATE_SHARE * given:
        return None
    whole_days = (values.drop_nulls() == values.drop_nulls().dt.truncate("1d")).all()
    times_written = series.str.contains(":", literal=True).any()
    return ReadDates(values.cast(pl.Date) if whole_days and not times_written else values, date_format, words)


def _parse(cells: pl.Series, date_format: str) -> pl.Series:
    if date_format == _MONTH_FORMAT:
        return (cells + "-01").str.to_datetime("%Y-%m-%d", strict=False, time_unit="us")
    return cells.str.to_datetime(date_format, strict=False, time_unit="us")


def _parse_iso(cells: pl.Series) -> pl.Series:
    """Parse ISO 8601 with or without time, fraction and offset; a time with an offset is moved to UTC."""
    plain = cells.set(~cells.str.contains(_ISO), None).str.replace("T", " ", literal=True)
    plain = plain.str.replace(",", ".", literal=True)
    zoned = plain.set(~plain.str.contains(_ISO_ZONE) | ~plain.str.contains(":", literal=True), None)
    local = plain.set(zoned.is_not_null(), None)
    result = pl.Series(cells.name, [None] * len(cells), dtype=_MICROSECONDS)
    for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        read = local.str.to_datetime(form, strict=False, time_unit="us")
        result = result.zip_with(result.is_not_null(), read)
    if zoned.null_count() == len(zoned):
        return result
    with_offset = zoned.str.replace(r" ?Z$", "+0000").str.replace(r" ?([+-]\d{2}):?(\d{2})?$", "${1}${2}")
    with_offset = with_offset.str.replace(r"([+-]\d{2})$", "${1}00")
    for form in ("%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M%z"):
        read = with_offset.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC")
        result = result.zip_with(result.is_not_null(), read.dt.replace_time_zone(None))
    return result


def _share(flags: pl.Series) -> float:
    return float(flags.fill_null(False).mean() or 0.0)  # type: ignore[arg-type]  # polars types a sum-up as any cell
