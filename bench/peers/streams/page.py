"""The page of results: what was chosen, the bounds that were set, the tables, the charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import vl_convert

from peers.compare import figure, table
from peers.monitors.results import Record
from peers.streams.contest import EACH, OURS, POLICIES
from peers.streams.verdicts import LITTLE, Run, mean, missing, runs, share_between

_DRAWN: Final = (OURS, "static", EACH, "every 4 windows", "ADWIN", "river's forest")
_STILL: Final = "quiet"
_CHOICES: Final = """\
## What was chosen

- **Streams.** Rows in order of time; identifiers and columns marked as leakage are left out, more than 60,000 rows
  are thinned by chance. Rows that share a time are spread up to the next one, in the order of the file. Windows are
  weeks where that gives 40 to 130 judged windows, else days or four weeks, else equally many rows, about 80 windows.
  The first 22 % (up to the next start of a window) are warm: everybody knows their labels, and the first model learns
  from them.
- **Delay.** With a delay of d the labels of a window are known at the end of the window d windows later. A decision
  is taken at the start of a window and holds for it. Ours gets a table that ends at this moment, with unknown labels
  blanked; asking for a model of unknown labels is an error, for every policy.
- **Encoding.** Numbers as they are; codes for the levels of the warm part; hour, weekday and month of the time column
  (never the date itself); other dates also as days. The same matrix for everybody.
- **Learner.** The same for everybody but river's forest: the product's quick prober (LightGBM, 60 trees of 15 leaves,
  rate 0.15, one thread). Its bins are set by all rows of a stream, features only. Ours may also weight rows, correct
  answers and bring back earlier models; what that costs is counted.
- **Loss.** Minus log of the probability of what came true (clipped to 1e-6); for numbers the absolute error, divided
  by that of a first model on rows of the warm part that it did not learn from (five random folds).
- **Cost.** The sum of the losses of all judged rows, and for each retraining 0.2 % of the skill over four windows.
  Skill is by how much the first model beats a constant in the same folds (at least 2 % of the constant's loss).
  Corrections cost nothing and are counted apart.
- **Oracle.** The cheapest plan in hindsight, by dynamic programming over all times of retraining and the newest 1,
  1/2, 1/4 and 1/8 of what is known. It knows the future, luck included. **Regret share**: (cost - oracle) / (static -
  oracle).
- **Bad promotion.** A new model (also a corrected one) that is worse than the one it replaced on its first window, on
  the same rows: the 95 % interval of the mean difference, from ten stretches of rows, lies below zero. Of two equal
  models one in 40 would be called bad.
- **CPU.** One thread. The time of every fit that a policy asked for, as if nothing had been kept, and its own
  thinking.
- **Peers.** ADWIN (river's defaults, on the errors as they become known) and Evidently (dataset drift with its
  defaults, the last window against what the model learned from, at most 5,000 rows of it drawn, without the
  prediction) retrain on all that is known. `monthly` goes by the calendar. `first model continued`: every fourth
  window 20 % more trees on all rows since the warm part. river's forest: ten trees, learns each row once its label is
  known, gaps filled with medians."""


def page(records: Sequence[Record], drawn: Sequence[str] = ()) -> str:
    """Return the whole page as Markdown."""
    found = runs(records)
    if not found:
        return "No results yet."
    parts = ["# Policies of retraining side by side", _made(records), _CHOICES]
    if any(run.told["policy"] == OURS for run in found):
        parts.append("## What was to be shown\n\n" + _bounds(found))
    parts.append("## In all\n\n" + _in_all(found) + "\n\n" + _words(found))
    if missing(records):
        parts.append("Not run: " + "; ".join(f"{name} ({why})" for name, why in missing(records).items()) + ".")
    parts.append("## Regret share by stream, mean over the delays\n\n" + _by_stream(found, lambda run: run.regret))
    parts.append("## Ours by stream and delay\n\n" + _ours(found))
    parts.append(
        "## Retrainings by stream, mean over the delays\n\n" + _by_stream(found, lambda run: float(run.retrains))
    )
    parts.append(
        "## Loss a row of the worst window, mean over the delays\n\n" + _by_stream(found, lambda run: run.worst)
    )
    parts.append("## The streams\n\n" + _streams(found))
    if drawn:
        parts.append("## Two courses\n\n" + "\n\n".join(f"![Cost beside the static model]({name})" for name in drawn))
    return "\n\n".join(parts)


def _made(records: Sequence[Record]) -> str:
    return (
        f"Made by `bench/autonomy.py`, {min(r['at'] for r in records)[:10]} to {max(r['at'] for r in records)[:10]}. "
        "CPU times were taken on a machine that did other things as well."
    )


def _of(found: Sequence[Run], policy: str) -> list[Run]:
    return [run for run in found if run.told["policy"] == policy]


def _policies(found: Sequence[Run]) -> list[str]:
    present = {run.told["policy"] for run in found}
    return [name for name in POLICIES if name in present]


def _sets(found: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(run.told["set"] for run in found))


# ---- the bounds ----


def _bounds(found: Sequence[Run]) -> str:
    ours = _of(found, OURS)
    changes, bad = sum(len(run.told["changes"]) for run in ours), sum(run.bad for run in ours)
    low, high = share_between(bad, changes) if changes else (0.0, 1.0)
    each = {(run.told["set"], run.told["delay"]): run.retrains for run in _of(found, EACH)}
    shares = [run.retrains / each[key] for run in ours if each.get(key := (run.told["set"], run.told["delay"]))]
    rows = [
        ["mean regret share", "at most 0.20", f"{mean([run.regret for run in ours]):.3f}"],
        ["retrainings, share of every window's", "at most 1/3", _percent(mean(shares))],
        [
            "bad promotions",
            "at most 5 %",
            f"{bad} of {changes}, {_percent(bad / max(changes, 1))} ({_percent(low)} to {_percent(high)})",
        ],
    ]
    quiet = [run for run in ours if run.told["set"].partition("-")[0] == _STILL]
    if quiet:
        windows = sum(len(run.told["losses"]) for run in quiet)
        a_half_year = 26 * sum(run.retrains for run in quiet) / windows
        rows.append(["retrainings in 26 windows where nothing drifts", "at most 1", f"{a_half_year:.2f}"])
    worst = max(ours, key=lambda run: run.over_static)
    where = f"{worst.told['set']}, delay {worst.told['delay']}"
    rows.append(["worse than static, at most", "2 %", f"{100 * worst.over_static:+.1f} % ({where})"])
    slowest = max(run.told.get("slowest", 0.0) for run in ours)
    fresh = [seconds for run in ours for seconds in run.told.get("fresh", ())]
    told = f"{slowest:.1f} s CPU, the slowest of {sum(run.told['decisions'] for run in ours):,}"
    if fresh:
        told += f"; {len(fresh)} taken with nothing kept: {mean(fresh):.1f} s in the mean, {max(fresh):.1f} s at most"
    rows.append(["a decision", "30 s", told])
    return table(["", "bound", "ours"], rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _share(runs_of_one: Sequence[Run]) -> str:
    return f"{mean([run.regret for run in runs_of_one]):.3f}" if runs_of_one else "-"


# ---- tables ----


def _in_all(found: Sequence[Run]) -> str:
    delays = sorted({run.told["delay"] for run in found})
    each = {(run.told["set"], run.told["delay"]): run.retrains for run in _of(found, EACH)}
    head = [
        "",
        "regret share",
        *(f"delay {delay}" for delay in delays),
        "much to gain",
        "retrains",
        "of every",
        "corrections",
    ]
    head += ["bad promotions", "most over static", "CPU s a stream"]
    rows = []
    for name in _policies(found):
        chosen = _of(found, name)
        some = [run for run in chosen if run.has_much_to_gain]
        shares = [run.retrains / each[key] for run in chosen if each.get(key := (run.told["set"], run.told["delay"]))]
        changes, bad = sum(len(run.told["changes"]) for run in chosen), sum(run.bad for run in chosen)
        rows.append(
            [
                name if len(chosen) == len(_of(found, "static")) else f"{name} *",
                _share(chosen),
                *(_share([run for run in chosen if run.told["delay"] == delay]) for delay in delays),
                _share(some),
                f"{mean([float(run.retrains) for run in chosen]):.1f}",
                f"{mean(shares):.2f}",
                f"{mean([float(run.corrections) for run in chosen]):.1f}",
                f"{bad} of {changes}" + (f", {_percent(bad / changes)}" if changes else ""),
                f"{100 * max(run.over_static for run in chosen):+.1f} %",
                figure(mean([run.cpu for run in chosen]), 3),
            ]
        )
    return table(head, rows)


def _words(found: Sequence[Run]) -> str:
    ours = _of(found, OURS)
    told = (
        f'"Much to gain": streams on which the oracle saves at least {100 * LITTLE:.0f} % of the static model\'s cost.'
    )
    if any(len(_of(found, name)) < len(_of(found, "static")) for name in _policies(found)):
        told += " * Not on all streams and delays."
    if ours:
        dearer = mean([run.regret_with_corrections for run in ours])
        told += f" Had each correction cost as much as a retraining, the regret share of ours would be {dearer:.3f}."
    return told


def _by_stream(found: Sequence[Run], value: Callable[[Run], float]) -> str:
    rows = []
    for name in _sets(found):
        line = []
        for policy in _policies(found):
            chosen = [value(run) for run in _of(found, policy) if run.told["set"] == name]
            line.append(figure(mean(chosen), 3) if chosen else "-")
        rows.append([name, *line])
    return table(["", *_policies(found)], rows)


def _ours(found: Sequence[Run]) -> str:
    head = [
        "",
        "delay",
        "static",
        "oracle",
        "ours",
        "regret share",
        "retrains",
        "oracle's",
        "corrections",
        "bad",
        "chosen",
    ]
    rows = []
    for run in sorted(_of(found, OURS), key=lambda run: (_sets(found).index(run.told["set"]), run.told["delay"])):
        names = [change["name"] for change in run.told["changes"]]
        counts = sorted({name: names.count(name) for name in names}.items(), key=lambda pair: -pair[1])
        rows.append(
            [
                run.told["set"],
                str(run.told["delay"]),
                figure(run.static),
                figure(run.oracle),
                figure(run.cost),
                f"{run.regret:.3f}",
                str(run.retrains),
                str(len(run.best["changes"])),
                str(run.corrections),
                str(run.bad),
                ", ".join(f"{name} {count}" for name, count in counts[:4]) + (", ..." if len(counts) > 4 else ""),
            ]
        )
    return table(head, rows)


def _streams(found: Sequence[Run]) -> str:
    head = [
        "",
        "task",
        "rows",
        "features",
        "warm rows",
        "a window is",
        "judged",
        "cost of a retraining",
        "saved by the oracle",
    ]
    rows = []
    for name in _sets(found):
        chosen = [run for run in found if run.told["set"] == name]
        facts = chosen[0].stream
        saved = [1 - run.oracle / run.static for run in _of(chosen, "static")]
        rows.append(
            [
                name,
                facts["task"],
                f"{facts['rows']:,}",
                str(facts["features"]),
                f"{facts['warm']:,}",
                facts["window"],
                str(len(facts["sizes"])),
                figure(facts["cost"], 3),
                f"{100 * min(saved):.1f} to {100 * max(saved):.1f} %",
            ]
        )
    return table(head, rows)


# ---- charts ----


def charts(records: Sequence[Record], names: Sequence[str], out: Path, *, delay: int = 1) -> list[str]:
    """Draw what each policy saved against the static model, beside the page; return the names of the files."""
    found = [run for run in runs(records) if run.told["delay"] == delay]
    drawn = []
    for name in names:
        chosen = [run for run in found if run.told["set"] == name and run.told["policy"] in _DRAWN]
        if chosen:
            file = out.with_name(f"{out.stem}-{name}.svg")
            file.write_text(vl_convert.vegalite_to_svg(_spec(chosen, f"{name}, labels {delay} window(s) late")))
            drawn.append(file.name)
    return drawn


def _spec(chosen: Sequence[Run], title: str) -> dict[str, Any]:
    order = [name for name in _DRAWN if any(run.told["policy"] == name for run in chosen)]
    lines, marks = [], []
    for run in chosen:
        per_row = run.course / sum(run.stream["sizes"])
        base = next(other for other in chosen if other.told["policy"] == "static").course / sum(run.stream["sizes"])
        policy = run.told["policy"]
        lines += [{"policy": policy, "window": at, "cost": round(float(c), 5)} for at, c in enumerate(base - per_row)]
        if policy == OURS:
            marks = [
                {
                    "window": change["window"] - run.stream["first"],
                    "what": "retrained" if change["retrained"] else "corrected",
                }
                for change in run.told["changes"]
            ]
    y = {"field": "cost", "type": "quantitative", "title": "saved against static (loss a row)"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": title,
        "width": 560,
        "height": 260,
        "background": "white",
        "layer": [
            {
                "data": {"values": marks},
                "mark": {"type": "rule", "opacity": 0.35},
                "encoding": {
                    "x": {"field": "window", "type": "quantitative"},
                    "strokeDash": {"field": "what", "title": "ours", "scale": {"domain": ["retrained", "corrected"]}},
                },
            },
            {
                "data": {"values": lines},
                "mark": {"type": "line", "strokeWidth": 1.8},
                "encoding": {
                    "x": {"field": "window", "type": "quantitative", "title": "judged window"},
                    "y": y,
                    "color": {"field": "policy", "title": None, "scale": {"domain": order}},
                },
            },
        ],
    }
