"""The charts of the health page: pure functions from numbers by window to Vega-Lite dicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tenure.reporting.look import (
    ACCENT,
    ALARM,
    AMOUNTS,
    INK,
    MUTED,
    PAPER,
    SHARES,
    Size,
    Spec,
    across,
    drawing,
    either,
    layer,
    moments,
    named,
    rows,
    spread,
    upward,
)
from tenure.reporting.words import Estimate

_PALE: Final = 0.35
_SAME_LEFT: Final = 48
"""Drawings that stand under one another begin at the same place when their labels are no wider."""
_LEVELS: Final = (0.01, 0.1, 1.0, 10.0)
LOWEST: Final = 0.005
HIGHEST: Final = 20.0


@dataclass(frozen=True, slots=True)
class Known:
    """A realised number of one window; `young` as long as its outcomes are not final, `ill` clearly below promise."""

    time: str
    value: Estimate
    ill: bool = False
    young: bool = False


def performance(
    told: Sequence[tuple[str, Estimate | None]],
    known: Sequence[Known],
    *,
    promised: Estimate | None,
    limit: float | None,
    label: str,
    size: Size,
) -> Spec:
    """Draw what was told of each window before its outcomes beside what came true, over the promise.

    `told` has an entry for each window, None where nothing was told; `limit` is where harm begins.
    """
    x = moments([time for time, _ in told], size=size)
    y = upward("value", scale={"zero": False}, axis=AMOUNTS)
    return drawing(size, label, [*_promise(promised, limit, y), *_told(told, x, y), *_known(known, x, y)])


def _promise(promised: Estimate | None, limit: float | None, y: Spec) -> list[Spec]:
    layers = []
    if promised is not None:
        band = rows(value=[promised.value], low=[promised.low], high=[promised.high])
        layers += [
            layer("rect", spread(y, along="y"), data=band, color=MUTED, opacity=0.14),
            layer("rule", {"y": y}, data=band, color=MUTED, strokeDash=[4, 4]),
        ]
    if limit is not None:
        layers.append(layer("rule", {"y": y}, data=rows(value=[limit]), color=ALARM, strokeDash=[6, 4], opacity=0.8))
    return layers


def _told(told: Sequence[tuple[str, Estimate | None]], x: Spec, y: Spec) -> list[Spec]:
    data = rows(
        time=[time for time, _ in told],
        value=[e.value if e else None for _, e in told],
        low=[e.low if e else None for _, e in told],
        high=[e.high if e else None for _, e in told],
    )
    if not any(e for _, e in told):
        return []
    # Lines and areas break where nothing was told; dots keep a window that stands alone visible.
    gaps: Spec = {"invalid": "break-paths-show-path-domains"}
    return [
        layer("area", {"x": x, **spread(y, along="y")}, data=data, color=ACCENT, opacity=0.2, **gaps),
        layer("line", {"x": x, "y": y}, data=data, color=ACCENT, strokeWidth=2.2, **gaps),
        layer("point", {"x": x, "y": y}, data=data, color=ACCENT, size=16, invalid="filter"),
    ]


def _known(known: Sequence[Known], x: Spec, y: Spec) -> list[Spec]:
    layers = []
    for ill, young in ((False, True), (False, False), (True, True), (True, False)):
        part = [k for k in known if (k.ill, k.young) == (ill, young)]
        if not part:
            continue
        data = rows(
            time=[k.time for k in part],
            value=[k.value.value for k in part],
            low=[k.value.low for k in part],
            high=[k.value.high for k in part],
        )
        colour = ALARM if ill else INK
        dot: Spec = {"fill": PAPER, "stroke": colour, "strokeWidth": 1.5} if young else {"color": colour}
        faint = _PALE if young else 0.75
        layers += [
            layer("rule", {"x": x, **spread(y, along="y")}, data=data, color=colour, strokeWidth=1.3, opacity=faint),
            layer("point", {"x": x, "y": y}, data=data, size=38, **dot),
        ]
    return layers


def misses(errors: Sequence[tuple[str, Estimate, bool]], *, label: str, size: Size) -> Spec:
    """Draw how far what came true was from what was told, with the told range around zero; red where it missed."""
    x = moments([time for time, _, _ in errors], size=size)
    y = upward("value", axis={**AMOUNTS, "tickCount": 4})
    data = rows(
        time=[time for time, _, _ in errors],
        value=[e.value for _, e, _ in errors],
        low=[e.low for _, e, _ in errors],
        high=[e.high for _, e, _ in errors],
        state=["held" if held else "missed" for _, _, held in errors],
    )
    colour = either("state", "held", "missed", (INK, ALARM))
    return drawing(
        size,
        label,
        [
            layer("rule", {"y": y}, data=rows(value=[0.0]), color=MUTED, strokeDash=[4, 4]),
            layer(
                "bar",
                {"x": x, **spread(y, along="y")},
                data=data,
                color=ACCENT,
                opacity=0.25,
                width=_width(len(errors), size),
            ),
            layer("point", {"x": x, "y": y, "color": colour}, data=data, size=38),
        ],
        height=round(size.height * 0.65),
    )


def _width(count: int, size: Size) -> float:
    """Return how wide the bar of one of `count` windows is, in pixels."""
    return max(min((size.width - 90) / max(count, 1) * 0.6, 28), 2)


def drift(levels: Sequence[tuple[str, float]], faults: Sequence[str], *, size: Size) -> Spec:
    """Draw how far the drift detector stood on its way to an alarm (1 is one), and windows with a broken feed."""
    times = [time for time, _ in levels]
    x = moments([*times, *faults], size=size)
    axis = {"values": list(_LEVELS), "labelExpr": "datum.value == 1 ? '1 alarm' : format(datum.value, '~g')"}
    y = upward("level", axis=axis, scale={"type": "log", "domain": [LOWEST, HIGHEST], "clamp": True})
    data = rows(
        time=times,
        level=[min(max(level, LOWEST), HIGHEST) for _, level in levels],
        state=["alarm" if level >= 1 else "quiet" for _, level in levels],
    )
    colour = either("state", "quiet", "alarm", (ACCENT, ALARM))
    layers = [
        layer("rule", {"y": y}, data=rows(level=[1.0]), color=ALARM, strokeDash=[6, 4], opacity=0.8),
        layer("line", {"x": x, "y": y}, data=data, color=ACCENT, strokeWidth=1.4, opacity=0.6),
        layer("point", {"x": x, "y": y, "color": colour}, data=data, size=38),
    ]
    if faults:
        top: Spec = {"value": 6}
        marks = rows(time=list(faults))
        layers.append(layer("point", {"x": x, "y": top}, data=marks, color=ALARM, shape="triangle-down", size=90))
    return drawing(size, "drift level (log scale)", layers, height=round(size.height * 0.7))


def amounts(
    times: Sequence[str],
    made: Sequence[float],
    best: Sequence[float | None],
    *,
    young: Sequence[bool],
    label: str,
    size: Size,
) -> Spec:
    """Draw money by window as bars from zero with a mark at the best possible; young windows are paler."""
    x = moments(times, size=size)
    y = upward("amount", axis=AMOUNTS)
    wide = _width(len(times), size)
    layers = [_bars(times, made, young, x=x, y=y, width=wide)]
    marks = [(time, amount) for time, amount in zip(times, best, strict=True) if amount is not None]
    if marks:
        data = rows(time=[time for time, _ in marks], amount=[amount for _, amount in marks])
        layers.append(
            layer("tick", {"x": x, "y": y}, data=data, color=INK, width=wide, thickness=2, orient="horizontal")
        )
    layers.append(layer("rule", {"y": y}, data=rows(amount=[0.0]), color=MUTED))
    return drawing(size, label, layers, height=round(size.height * 0.75))


def _bars(
    times: Sequence[str], amount: Sequence[float], young: Sequence[bool], *, x: Spec, y: Spec, width: float
) -> Spec:
    data = rows(time=list(times), amount=list(amount), depth=[_PALE if is_young else 1.0 for is_young in young])
    depth = {"field": "depth", "type": "quantitative", "scale": None, "legend": None}
    return layer("bar", {"x": x, "y": y, "opacity": depth}, data=data, color=ACCENT, width=width)


def maturity(times: Sequence[str], shares: Sequence[float], *, young: Sequence[bool], size: Size) -> Spec:
    """Draw the share of outcomes known by window; windows whose outcomes are not final are paler."""
    x = moments(times, size=size)
    axis = {**SHARES, "values": [0, 0.5, 1]}
    y = upward("amount", axis=axis, scale={"domain": [0, 1]})
    bars = _bars(times, shares, young, x=x, y=y, width=_width(len(times), size))
    return drawing(size, "of 100 outcomes, known", [bars], height=round(size.height * 0.45))


def course(
    times: Sequence[str],
    middle: Sequence[float | None],
    low: Sequence[float | None],
    high: Sequence[float | None],
    *,
    usual: tuple[float | None, float | None, float | None],
    share: bool,
    size: Size,
) -> Spec:
    """Draw how one column ran: its middle and band by window over the usual band; a `share` is drawn of 100.

    `usual` is (middle, low, high) of the reference, each None where it is not known.
    """
    x = moments(times, size=size)
    axis: Spec = {"tickCount": 4, "minExtent": _SAME_LEFT, **({"labelExpr": SHARES["labelExpr"]} if share else AMOUNTS)}
    y = upward("value", scale={"zero": False}, axis=axis)
    normal, bottom, top = usual
    layers: list[Spec] = []
    if bottom is not None and top is not None:
        band = rows(low=[bottom], high=[top])
        layers.append(layer("rect", spread(y, along="y"), data=band, color=MUTED, opacity=0.14))
    if normal is not None:
        layers.append(layer("rule", {"y": y}, data=rows(value=[normal]), color=MUTED, strokeDash=[4, 4]))
    gaps: Spec = {"invalid": "break-paths-show-path-domains"}
    both: dict[str, Sequence[Any]] = {"time": list(times), "value": list(middle)}
    if low and high:
        banded = rows(**both, low=list(low), high=list(high))
        layers.append(layer("area", {"x": x, **spread(y, along="y")}, data=banded, color=ACCENT, opacity=0.2, **gaps))
    data = rows(**both)
    layers += [
        layer("line", {"x": x, "y": y}, data=data, color=ACCENT, strokeWidth=2, **gaps),
        layer("point", {"x": x, "y": y}, data=data, color=ACCENT, size=12, invalid="filter"),
    ]
    return drawing(size, "of 100 rows" if share else "", layers, height=150)


def emptiness(times: Sequence[str], missing: Sequence[float | None], *, size: Size) -> Spec:
    """Draw the share of empty cells of one column by window, to stand under its course."""
    x = {**moments(times, size=size), "axis": None}
    axis = {**SHARES, "values": [0, 1], "minExtent": _SAME_LEFT}
    y = upward("amount", axis=axis, scale={"domain": [0, 1]})
    here = [(time, share) for time, share in zip(times, missing, strict=True) if share is not None]
    data = rows(time=[time for time, _ in here], amount=[share for _, share in here])
    bars = layer("bar", {"x": x, "y": y}, data=data, color=INK, width=_width(len(times), size))
    return drawing(size, "empty cells, of 100", [bars], height=70)


def prices(names: Sequence[str], costs: Sequence[Estimate], *, limit: float | None, size: Size) -> Spec:
    """Draw what each change costs, in hundredths of the skill, with its range; the dashed line is what is tolerated."""
    y = named("name", size=size)
    x = across("value", "% of the skill that is lost", size=size, axis={"tickCount": 4 if size.is_narrow else 7})
    scaled = [cost.times(100) for cost in costs]
    data = rows(
        name=list(names), value=[c.value for c in scaled], low=[c.low for c in scaled], high=[c.high for c in scaled]
    )
    layers = [
        layer("rule", {"x": x}, data=rows(value=[0.0]), color=MUTED),
        layer("rule", {**spread(x, along="x"), "y": y}, data=data, color=ACCENT, strokeWidth=2.4),
        layer("point", {"x": x, "y": y}, data=data, color=ACCENT, size=90),
    ]
    if limit is not None:
        layers.append(layer("rule", {"x": x}, data=rows(value=[100 * limit]), color=ALARM, strokeDash=[6, 4]))
    return drawing(size, "", layers, height=62 + 34 * len(names))
