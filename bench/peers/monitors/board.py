"""Turn the records of the campaigns into Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from textwrap import shorten
from typing import Any, Final

from scipy.stats import chi2

from peers.compare import figure, table
from peers.monitors.results import Record
from peers.monitors.watching import OURS, PAGE

COSTLY: Final = 0.05
HARMLESS: Final = 0.005
_YEAR: Final = 365
_LONGEST: Final = 140
_NAMES: Final = {
    (OURS, PAGE): "tenure, pages",
    ("evidently", "dataset"): "Evidently, dataset drift",
    ("evidently", "column"): "Evidently, any column",
    ("nannyml", "column"): "NannyML, any column",
}


def report(records: Sequence[Record]) -> str:
    """Return every table for which there are records."""
    parts: list[tuple[str, Callable[[Sequence[Record]], str]]] = [
        ("alarms", alarms_tables),
        ("power", power_tables),
        ("speed", speed_table),
        ("replay", timelines),
    ]
    told = []
    for bench, show in parts:
        chosen = [record for record in records if record["bench"] == bench]
        if chosen:
            told.append(show(chosen))
    return "\n\n".join(told) or "No results yet."


# ---- false alarms ----


def most_a_year(count: int, years: float) -> float:
    """Return the 95 % upper bound of a yearly rate of which `count` were seen (one-sided, exact for Poisson counts)."""
    return float(chi2.ppf(0.95, 2 * (count + 1)) / 2 / years)


def alarms_tables(records: Sequence[Record]) -> str:
    """Return false alarms in all, and by set."""
    told = []
    for reference in sorted({record["reference"] for record in records}):
        chosen = [record for record in records if record["reference"] == reference]
        sets = len({record["set"] for record in chosen})
        where = {
            "kept": "Windows and reference are drawn from the same rows: nothing drifts at all.",
            "learned": "The reference is the half that was learned, windows come from the other half.",
        }[reference]
        told.append(f"### False alarms, {sets} stationary sets\n\n{where}\n\n{_alarms_in_all(chosen)}")
        told.append(f"By set, false alarms a model-year:\n\n{_alarms_by_set(chosen)}")
    return "\n\n".join(told)


def _alarms_in_all(records: Sequence[Record]) -> str:
    rows = []
    for name, size, chosen, counts in _readings(records):
        windows = sum(record["windows"] for record in chosen)
        alarmed, began = (sum(count[what] for count in counts) for what in ("windows", "onsets"))
        years = windows / _YEAR
        is_whole = all(_in_a_row(record) for record in chosen)
        rows.append(
            [
                name,
                f"{size:,}",
                f"{years:.1f}" + ("" if is_whole else " *"),
                f"{alarmed:,} of {windows:,}",
                f"{100 * alarmed / windows:.1f} %",
                figure(began / years, 3) if is_whole else f"{_YEAR * alarmed / windows:.0f} windows *",
                figure(most_a_year(began, years), 3) if is_whole else "",
            ]
        )
    ours = [record for record in records if record["system"] == OURS]
    if len({record["rows"] for record in ours}) > 1:
        windows = sum(record["windows"] for record in ours)
        alarmed, began = (sum(r["readings"][PAGE][what] for r in ours) for what in ("windows", "onsets"))
        years, share = windows / _YEAR, f"{100 * alarmed / windows:.1f} %"
        bound = figure(most_a_year(began, years), 3)
        told = [f"{years:.1f}", f"{alarmed:,} of {windows:,}", share, figure(began / years, 3), bound]
        rows.insert(0, [_NAMES[OURS, PAGE], "all", *told])
    head = ["", "rows", "model-years", "windows alarmed", "share", "alarms a model-year", "95 % at most"]
    return (
        table(head, rows)
        + "\n\nAn alarm is a cause that begins, and again after a window without it. * Fewer windows than a "
        "year: the figure is the share of windows alarmed, times 365."
    )


def _alarms_by_set(records: Sequence[Record]) -> str:
    found: dict[str, dict[tuple[str, int], str]] = defaultdict(dict)
    columns: list[tuple[str, int]] = []
    for name, size, chosen, counts in _readings(records):
        columns.append((name, size))
        for which in dict.fromkeys(record["set"] for record in chosen):
            mine = [(r, c) for r, c in zip(chosen, counts, strict=True) if r["set"] == which]
            windows = sum(r["windows"] for r, _ in mine)
            what = "onsets" if all(_in_a_row(r) for r, _ in mine) else "windows"
            found[which][name, size] = figure(_YEAR * sum(c[what] for _, c in mine) / windows, 3)
    head = ["", *(f"{name}, {size:,}" for name, size in columns)]
    return table(head, [[which, *(cells.get(column, "") for column in columns)] for which, cells in found.items()])


def _in_a_row(record: Record) -> bool:
    """Say whether alarms are counted as they begin: ours sees window after window, the peers where they got a year."""
    return record["system"] == OURS or record["windows"] >= _YEAR


def _readings(records: Sequence[Record]) -> Iterable[tuple[str, int, list[Record], list[dict[str, Any]]]]:
    """Yield (name, rows of a window, records, what each counted), in the order of the names."""
    for (system, reading), name in _NAMES.items():
        chosen = [record for record in records if record["system"] == system]
        for size in sorted({record["rows"] for record in chosen}):
            some = [record for record in chosen if record["rows"] == size]
            yield name, size, some, [record["readings"][reading] for record in some]


# ---- power ----


def power_tables(records: Sequence[Record]) -> str:
    """Return who finds what costs skill, who is bothered by what costs nothing, and what ours missed."""
    sets = len({record["set"] for record in records})
    shifts = len({(r["set"], r["column"], r["shift"]) for r in records})
    told = [f"### Shifts of known cost: {shifts} in {sets} sets"]
    told.append(_found_table(records))
    told.append(f"Found of those that cost 5 % of skill or more, by shift:\n\n{_by_shift(records)}")
    missed = _missed(records)
    if missed:
        told.append(f"Not found by ours:\n\n{missed}")
    bothered = _bothered(records)
    if bothered:
        told.append(f"Harmless, and paged by ours:\n\n{bothered}")
    return "\n\n".join(told)


def _found_table(records: Sequence[Record]) -> str:
    rows = []
    for name, size, chosen, counts in _readings(records):
        firsts = [count["first"] for count in counts]
        costly = [f for r, f in zip(chosen, firsts, strict=True) if r["cost"] >= COSTLY]
        between = [f for r, f in zip(chosen, firsts, strict=True) if HARMLESS <= r["cost"] < COSTLY]
        harmless = [f for r, f in zip(chosen, firsts, strict=True) if r["cost"] < HARMLESS]
        found = [first for first in costly if first is not None]
        rows.append(
            [
                name,
                f"{size:,}",
                f"{max(record['looked'] for record in chosen)}",
                _share(costly),
                f"{median(found):g}" if found else "-",
                _share([f if f is not None and f <= 3 else None for f in costly]),
                _share(between),
                _share(harmless),
            ]
        )
    head = [
        "",
        "rows",
        "windows",
        "cost >= 5 %: found",
        "in window (median)",
        "by the third",
        "between",
        "cost < 0.5 %",
    ]
    return table(head, rows) + "\n\nThe first window with the shift is window 1. The cost is a share of skill."


def _share(firsts: Sequence[int | None]) -> str:
    if not firsts:
        return "-"
    found = sum(first is not None for first in firsts)
    return f"{found} of {len(firsts)} ({100 * found / len(firsts):.0f} %)"


def _by_shift(records: Sequence[Record]) -> str:
    costly = [record for record in records if record["cost"] >= COSTLY]
    shifts = list(dict.fromkeys(record["shift"] for record in records))
    cells: dict[str, dict[str, str]] = defaultdict(dict)
    columns = []
    for name, size, chosen, counts in _readings(costly):
        column = f"{name}, {size:,}"
        columns.append(column)
        for shift in shifts:
            firsts = [c["first"] for r, c in zip(chosen, counts, strict=True) if r["shift"] == shift]
            if firsts:
                cells[shift][column] = f"{sum(first is not None for first in firsts)}/{len(firsts)}"
    return table(["", *columns], [[s, *(cells[s].get(c, "") for c in columns)] for s in shifts if s in cells])


def _missed(records: Sequence[Record]) -> str:
    rows = [
        [r["set"], f"{r['rows']:,}", r["column"], r["shift"], f"{100 * r['cost']:.1f} %"]
        for r in sorted(records, key=lambda r: -r["cost"])
        if r["system"] == OURS and r["cost"] >= COSTLY and r["readings"][PAGE]["first"] is None
    ]
    return table(["set", "rows", "column", "shift", "cost"], rows) if rows else ""


def _bothered(records: Sequence[Record]) -> str:
    rows = [
        [r["set"], f"{r['rows']:,}", r["column"], r["shift"], f"{100 * r['cost']:.2f} %", ", ".join(r["causes"][:3])]
        for r in sorted(records, key=lambda r: -r["cost"])
        if r["system"] == OURS and r["cost"] < HARMLESS and r["readings"][PAGE]["first"] is not None
    ]
    return table(["set", "rows", "column", "shift", "cost", "paged for"], rows) if rows else ""


# ---- speed ----


def speed_table(records: Sequence[Record]) -> str:
    """Return seconds and memory by size: medians of the runs, and how many times the plain scan that is."""
    cells: dict[tuple[int, int, str], list[Record]] = defaultdict(list)
    for record in records:
        cells[record["columns"], record["rows"], record["system"]].append(record)
    rows = []
    for (columns, height, system), runs in sorted(cells.items(), key=lambda item: item[0][:2]):
        limit = _seconds(cells.get((columns, height, "polars"), []))
        seconds = _seconds(runs)
        failed = [run["error"] for run in runs if run["error"]]
        rows.append(
            [
                f"{height:,} x {columns}",
                _SPEED_NAMES.get(system, system),
                failed[0] if failed else f"{seconds:.2f}",
                f"{max(run['peak_mb'] for run in runs):,.0f}",
                "" if seconds is None or limit is None else f"{seconds / limit:.1f}",
                f"{len(runs)}, load {max(run['load'] for run in runs):.1f}",
            ]
        )
    head = ["file", "", "seconds", "memory at most, MB", "times the plain scan", "runs"]
    return f"### Time and memory\n\n{table(head, rows)}"


_SPEED_NAMES: Final = {
    "polars": "polars: scan and aggregate one file (the limit)",
    "tenure-window": "tenure: sketch one file",
    "tenure": "tenure: sketch both files, judge every column",
    "evidently": "Evidently: read both files, DataDriftPreset",
    "nannyml": "NannyML: read both files, UnivariateDriftCalculator",
}


def _seconds(runs: Sequence[Record]) -> float | None:
    known = [run["seconds"] for run in runs if not run["error"]]
    return median(known) if known else None


# ---- replay ----


def timelines(records: Sequence[Record]) -> str:
    """Return what was seen, said and true of each window of each replayed set."""
    return "\n\n".join(_timeline(record) for record in records)


def _timeline(record: Record) -> str:
    expected = _span(record["expected"])
    head = ["window", "rows", "estimated (90 %)", "realised (95 %)", "drift", "moved", "faults", "state", "pages"]
    rows = [
        [
            step["start"][:10],
            f"{step['rows']:,}",
            _estimated(step["estimated"]),
            _span(step["realised"]),
            "" if step["drift"] is None else figure(step["drift"], 2),
            _names(
                [c["subject"] + (" (harmless)" if c["harmless"] else "") for c in step["changes"]] or step["drifted"]
            ),
            _names(step["faults"]),
            step["status"],
            "<br>".join(shorten(page, _LONGEST) for page in step["pages"]),
        ]
        for step in record["course"]
    ]
    pages = sum(len(step["pages"]) for step in record["course"])
    return (
        f"### {record['set']}\n\nLearned from {record['learned']:,} rows, {record['replayed']:,} replayed in "
        f"windows of {record['window']}; outcomes come after {record['delay']}. "
        f"{record['metric']} promised: {expected}. {pages} pages in {len(rows)} windows.\n\n{table(head, rows)}"
    )


def _estimated(estimate: Sequence[Any] | None) -> str:
    """Return an estimate, or only its interval, or why there is none."""
    if estimate is None:
        return ""
    value, low, high, refused = estimate
    if low is None or high is None:
        return f"refused: {refused}"
    return _span((value, low, high)) if value is not None else f"{figure(low)} to {figure(high)}"


def _span(span: Sequence[float] | None) -> str:
    if span is None:
        return ""
    value, low, high = span
    return figure(value) if low is None or high is None else f"{figure(value)} ({figure(low)} to {figure(high)})"


def _names(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
