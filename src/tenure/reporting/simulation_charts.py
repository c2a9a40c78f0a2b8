"""The charts of a simulation: pure functions from numbers by window to Vega-Lite dicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tenure.reporting.look import (
    ACCENT,
    ALARM,
    AMOUNTS,
    INK,
    MUTED,
    PAPER,
    Size,
    Spec,
    drawing,
    layer,
    moments,
    named,
    rows,
    upward,
)

_LEFT: Final = 110
_LANE: Final = 30


@dataclass(frozen=True, slots=True)
class Line:
    """One line by window; `sign` is how it looks: line, second, third, fourth, without or best."""

    name: str
    sign: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """One act on a line: where it stands, and its sign: hollow, dot, alarm or fault."""

    time: str
    value: float
    sign: str


STYLES: Final[dict[str, Spec]] = {
    "line": {"color": ACCENT, "strokeWidth": 2.4},
    "second": {"color": INK, "strokeWidth": 1.8},
    "third": {"color": ACCENT, "strokeWidth": 1.8, "strokeDash": [6, 4]},
    "fourth": {"color": INK, "strokeWidth": 1.6, "strokeDash": [6, 4]},
    "without": {"color": MUTED, "strokeWidth": 1.6, "strokeDash": [5, 4]},
    "best": {"color": MUTED, "strokeWidth": 1.6, "strokeDash": [1, 3]},
}
"""How lines look, by the sign that stands for them in the key."""


_MARKS: Final[dict[str, Spec]] = {
    "hollow": {"fill": PAPER, "stroke": INK, "strokeWidth": 1.5, "size": 60},
    "dot": {"color": INK, "size": 60},
    "alarm": {"color": ALARM, "size": 34},
    "fault": {"color": ALARM, "shape": "triangle-down", "size": 110},
}


def courses(
    times: Sequence[str], lines: Sequence[Line], *, label: str, zero: bool, size: Size, marks: Sequence[Mark] = ()
) -> Spec:
    """Draw one line for each policy over the windows; `zero` marks the line of no difference."""
    x = moments(times, size=size)
    y = upward("value", axis=AMOUNTS, scale={"zero": zero})
    layers = [layer("rule", {"y": y}, data=rows(value=[0.0]), color=MUTED)] if zero else []
    gaps: Spec = {"invalid": "break-paths-show-path-domains"}
    for line in sorted(lines, key=lambda one: one.sign == "line"):
        data = rows(time=list(times), value=list(line.values))
        layers.append(layer("line", {"x": x, "y": y}, data=data, **STYLES[line.sign], **gaps))
    for sign, style in _MARKS.items():
        if some := [mark for mark in marks if mark.sign == sign]:
            data = rows(time=[mark.time for mark in some], value=[mark.value for mark in some])
            layers.append(layer("point", {"x": x, "y": y}, data=data, **style))
    return drawing(size, label, layers)


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of act: when it happened; `is_bad` colours it as what nobody wants."""

    name: str
    times: Sequence[str]
    is_bad: bool = False


def lanes(times: Sequence[str], reigns: Sequence[tuple[str, str, str]], acts: Sequence[Lane], *, size: Size) -> Spec:
    """Draw who held the office as bands (name, from, to), and below when what was done, a lane for each kind."""
    names = ["in office", *(lane.name for lane in acts)]
    x = moments(times, size=size)
    y = named("lane", size=size)
    y["scale"] = {"domain": names}
    y["axis"] |= {"minExtent": _LEFT}
    bands = rows(
        time=[begin for _, begin, _ in reigns],
        end=[end for _, _, end in reigns],
        lane=["in office"] * len(reigns),
        depth=[0.3 if at % 2 else 0.14 for at in range(len(reigns))],
        name=[name for name, _, _ in reigns],
    )
    depth = {"field": "depth", "type": "quantitative", "scale": None, "legend": None}
    layers = [
        layer(
            "bar",
            {"x": x, "x2": {"field": "end"}, "y": y, "fillOpacity": depth},
            data=bands,
            color=ACCENT,
            stroke=PAPER,
            height=_LANE - 6,
        ),
        layer(
            "text",
            {"x": x, "y": y, "text": {"field": "name"}},
            data=_told(reigns, times, size),
            align="left",
            dx=4,
            fontWeight=600,
        ),
    ]
    for is_bad, colour in ((False, INK), (True, ALARM)):
        some = [(time, lane.name) for lane in acts if lane.is_bad is is_bad for time in lane.times]
        if some:
            data = rows(time=[time for time, _ in some], lane=[name for _, name in some])
            layers.append(layer("point", {"x": x, "y": y}, data=data, color=colour, size=60))
    return drawing(size, "", layers, height=46 + _LANE * len(names))


def _told(reigns: Sequence[tuple[str, str, str]], times: Sequence[str], size: Size) -> Spec:
    """Return the names of the reigns that are long enough to be written into."""
    first, last = _number(times[0]), _number(times[-1])
    room = (last - first) * 40 / max(size.width - _LEFT, 1)
    shown = [(name, begin) for name, begin, end in reigns if _number(end) - _number(begin) > room]
    return rows(time=[begin for _, begin in shown], lane=["in office"] * len(shown), name=[name for name, _ in shown])


def _number(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
