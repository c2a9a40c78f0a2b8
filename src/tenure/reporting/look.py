"""The one look of all drawings: colours, sizes, axes, and the frame that every Vega-Lite spec is put into.

Colours are stand-ins (`INK`, `ACCENT`, ...) that `figures.py` turns into CSS variables, so one drawing serves light,
dark and print. What the vertical direction means stands above the drawing, where a narrow screen has room for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tenure.core.modelling import Floats

Spec = dict[str, Any]

INK: Final = "#0a0001"
MUTED: Final = "#0a0002"
LINE: Final = "#0a0003"
ACCENT: Final = "#0a0004"
PAPER: Final = "#0a0005"
ALARM: Final = "#0a0006"
STAND_INS: Final = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    PAPER: "var(--paper)",
    ALARM: "var(--alarm)",
}

TEXT: Final = 15.0
"""Text is laid out at this size and set smaller (`figures.py`), because the reader's own font may be wider."""

SHARES: Final[Spec] = {"labelExpr": "round(datum.value * 100)", "values": [0, 0.2, 0.4, 0.6, 0.8, 1.0]}
AMOUNTS: Final[Spec] = {
    "labelExpr": "abs(datum.value) >= 1000 ? replace(format(datum.value, '~s'), 'G', 'B') : format(datum.value, '~g')"
}

_AXIS: Final[Spec] = {
    "labelColor": MUTED,
    "titleColor": MUTED,
    "gridColor": LINE,
    "domain": False,
    "ticks": False,
    "labelFontSize": TEXT,
    "titleFontSize": TEXT,
    "titleFontWeight": "normal",
    "labelPadding": 8,
    "titlePadding": 10,
}


@dataclass(frozen=True, slots=True)
class Size:
    """How large a drawing is, in pixels."""

    width: int
    height: int

    @property
    def is_narrow(self) -> bool:
        """Say whether this is for a phone, so that labels must be short and ticks few."""
        return self.width < 400


WIDE: Final = Size(760, 330)
NARROW: Final = Size(342, 280)
SMALL: Final = Size(342, 190)


def drawing(
    size: Size, label: str, layers: Sequence[Spec], *, height: int | None = None, data: Spec | None = None
) -> Spec:
    """Return a whole drawing; `label` says what the vertical direction means, `data` is what layers share."""
    spec: Spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": size.width,
        "height": height or size.height,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 2, "right": 14, "top": 2, "bottom": 2},
        "layer": list(layers),
        "config": {
            "background": None,
            "aria": False,
            "font": "sans-serif",
            "view": {"stroke": None},
            "axis": {**_AXIS, "labelLimit": 140 if size.is_narrow else 240},
            "axisX": {"grid": False},
            "text": {"fontSize": TEXT, "color": INK},
            "point": {"filled": True, "opacity": 1},
        },
    }
    if data is not None:
        spec["data"] = data
    if label:
        spec["title"] = {
            "text": label,
            "anchor": "start",
            "frame": "bounds",
            "color": MUTED,
            "fontSize": TEXT,
            "fontWeight": "normal",
            "offset": 12,
            "limit": size.width - 20,
        }
    return spec


def layer(mark: str, encoding: Spec, *, data: Spec | None = None, **style: Any) -> Spec:
    """Return one layer: a mark with its style, what its places mean, and its own data where it has some."""
    one: Spec = {"mark": {"type": mark, **style}, "encoding": encoding}
    if data is not None:
        one["data"] = data
    return one


def rows(**columns: Sequence[Any] | Floats) -> Spec:
    """Return columns as the rows that Vega-Lite reads, numbers cut to six digits."""
    lists: Mapping[str, list[Any]] = {name: [_short(v) for v in column] for name, column in columns.items()}
    return {"values": [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]}


def _short(value: Any) -> Any:
    return float(f"{float(value):.6g}") if isinstance(value, float | np.floating) else value


def across(field: str, title: str | None, *, size: Size, axis: Spec | None = None, **more: Any) -> Spec:
    """Return the horizontal direction of a number."""
    base: Spec = {"title": title, "tickCount": 4 if size.is_narrow else 8, "labelOverlap": True}
    return {"field": field, "type": "quantitative", "axis": {**base, **(axis or {})}, **more}


def upward(field: str, *, axis: Spec | None = None, **more: Any) -> Spec:
    """Return the vertical direction of a number."""
    base: Spec = {"title": None, "tickCount": 6}
    return {"field": field, "type": "quantitative", "axis": {**base, **(axis or {})}, **more}


def named(field: str, *, size: Size, grid: bool = True) -> Spec:
    """Return the vertical direction of names, in the order given."""
    limit = 140 if size.is_narrow else 240
    return {"field": field, "type": "nominal", "sort": None, "axis": {"title": None, "grid": grid, "labelLimit": limit}}


def spread(direction: Spec, *, along: str) -> Spec:
    """Return the two ends (`low`, `high`) of an interval that runs `along` x or y."""
    return {along: {**direction, "field": "low"}, f"{along}2": {"field": "high"}}


def either(field: str, first: str, second: str, colours: tuple[str, str]) -> Spec:
    """Return a colour for each of two words."""
    scale = {"domain": [first, second], "range": list(colours)}
    return {"field": field, "type": "nominal", "legend": None, "scale": scale}


def moments(times: Sequence[str], *, size: Size) -> Spec:
    """Return the horizontal direction of ISO times, written as precisely as their span asks for."""
    span = (np.datetime64(max(times)[:19]) - np.datetime64(min(times)[:19])) / np.timedelta64(1, "D")
    return {"field": "time", **dated(float(span), ticks=min(len(times), 3 if size.is_narrow else 7))}


def dated(days: float, *, ticks: int) -> Spec:
    """Return what a direction of moments over so many days needs beside its field."""
    form = "%b %Y" if days > 500 else "%-d %b" if days > 4 else "%-d %b %H:%M"
    axis = {
        "title": None,
        "format": form,
        "tickCount": ticks,
        "labelOverlap": True,
        "labelSeparation": 12,
        "labelBound": 4,
    }
    return {"type": "temporal", "axis": axis, "scale": {"type": "utc", "padding": 18}}
