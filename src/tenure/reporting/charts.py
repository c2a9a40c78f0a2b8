"""Figures as data: pure functions from arrays to Vega-Lite dicts, all in the look of `look.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tenure.core.modelling import Floats, Indices
from tenure.reporting.look import (
    ACCENT,
    AMOUNTS,
    INK,
    MUTED,
    PAPER,
    SHARES,
    TEXT,
    Size,
    Spec,
    across,
    dated,
    drawing,
    either,
    layer,
    named,
    rows,
    spread,
    upward,
)
from tenure.reporting.words import Estimate, hundredths, number

_DASHED: Final[Spec] = {"color": MUTED, "strokeDash": [4, 4], "strokeWidth": 1.2}
_CURVE: Final[Spec] = {"color": ACCENT, "strokeWidth": 2.6}
_BAND: Final[Spec] = {"color": ACCENT, "opacity": 0.16}
_SHADES: Final = (ACCENT, INK, MUTED)
_DASHES: Final = ([1, 0], [6, 4], [2, 3])
_FEW_PLACES: Final = 4
_FLOOR: Final[Spec] = {"value": "height"}


def _acted_on(size: Size) -> Spec:
    title = "of 100 cases, acted on" if size.is_narrow else "of 100 cases, how many are acted on (highest scores first)"
    return across("share", title, size=size, axis=SHARES)


def _cut_off(share: float, height: float, text: str, *, x: Spec, y: Spec) -> list[Spec]:
    """Return the layers that mark the share acted on: a line down from the curve, a dot, and words at its foot."""
    at = rows(share=[share], height=[height])
    here = {"x": x, "y": {**y, "field": "height"}}
    side: Spec = {"align": "left", "dx": 8} if share < 0.6 else {"align": "right", "dx": -8}
    return [
        layer("rule", {**here, "y2": _FLOOR}, data=at, color=ACCENT, strokeWidth=1.2),
        layer("point", here, data=at, color=ACCENT, size=110, stroke=PAPER),
        layer("text", {"x": x, "y": _FLOOR}, data=at, text=text, dy=-12, fontWeight=600, **side),
    ]


def gains(share: Floats, found: Floats, *, chosen: tuple[float, float], yes: str, size: Size) -> Spec:
    """Draw how many of 100 yes cases the top share reaches; `chosen` is the share and height in use."""
    x, y = _acted_on(size), upward("found", axis=SHARES, scale={"domain": [0, 1]})
    both = {"x": x, "y": y}
    return drawing(
        size,
        f"of 100 {yes}, reached",
        [
            layer("line", both, data=rows(share=[0.0, 1.0], found=[0.0, 1.0]), **_DASHED),
            layer("line", both, data=rows(share=share, found=found), **_CURVE),
            *_cut_off(*chosen, f"act on {hundredths(chosen[0])}, reach {hundredths(chosen[1])}", x=x, y=y),
        ],
    )


def profit(
    share: Floats, worth: Floats, low: Floats, high: Floats, *, chosen: tuple[float, float], currency: str, size: Size
) -> Spec:
    """Draw money per 1,000 decisions against the share acted on, with its 80 % band; `chosen` as in `gains`."""
    x, y = _acted_on(size), upward("worth", axis=AMOUNTS)
    return drawing(
        size,
        f"{currency} per 1,000 decisions",
        [
            layer("area", {"x": x, **spread(y, along="y")}, data=rows(share=share, low=low, high=high), **_BAND),
            layer("rule", {"y": y}, data=rows(worth=[0.0]), color=MUTED),
            layer("line", {"x": x, "y": y}, data=rows(share=share, worth=worth), **_CURVE),
            *_cut_off(*chosen, f"act on {hundredths(chosen[0])}", x=x, y=y),
        ],
    )


def partial_line(
    places: Sequence[float],
    lines: Sequence[str],
    averages: Sequence[Sequence[float]],
    *,
    shares: bool,
    reach: tuple[float, float],
    label: str,
    dates: bool,
    size: Size,
) -> Spec:
    """Draw how the average answer moves with a number or a date; several classes are named at their peaks."""
    y = upward("average", axis=_few_shares() if shares else {**AMOUNTS, "tickCount": 4})
    y["scale"] = {"domain": list(reach), "nice": True}
    x: Spec = across("place", None, size=size, axis={"tickCount": 4, **({} if dates else AMOUNTS)})
    x["scale"] = {"zero": False, "nice": False, "padding": 8 if len(lines) == 1 else 28}
    if len(places) <= _FEW_PLACES and all(float(p).is_integer() for p in places) and not dates:
        x["axis"] |= {"values": list(places), "tickCount": 2 * _FEW_PLACES}
    if dates:
        x |= dated((max(places) - min(places)) / 86_400_000, ticks=4)
    data = rows(
        place=[p for p in places for _ in lines],
        line=[name for _ in places for name in lines],
        average=[v for row in averages for v in row],
    )
    shade = {"field": "line", "type": "nominal", "legend": None}
    colour = {**shade, "scale": {"domain": list(lines), "range": list(_SHADES[: len(lines)])}}
    dash = {**shade, "scale": {"domain": list(lines), "range": list(_DASHES[: len(lines)])}}
    both = {"x": x, "y": y, "color": colour}
    layers = [
        layer("line", {**both, "strokeDash": dash}, strokeWidth=2.4, interpolate="monotone"),
        layer("point", both, size=34),
    ]
    if len(lines) > 1:
        top = _peaks(places, lines, averages, near=0.12 * (reach[1] - reach[0]))
        layers.append(
            layer("text", {"x": x, "y": y, "text": {"field": "line"}}, data=top, dy=-12, fontWeight=600, limit=90)
        )
    return drawing(size, label, layers, data=data)


def _peaks(places: Sequence[float], lines: Sequence[str], averages: Sequence[Sequence[float]], *, near: float) -> Spec:
    """Return where each line is highest, with its name; lines that peak at nearly the same point share a label."""
    table = np.array(averages)
    labels: list[tuple[int, float, str]] = []
    for c, name in enumerate(lines):
        at = int(table[:, c].argmax())
        height = float(table[at, c])
        twin = next((k for k, (i, h, _) in enumerate(labels) if i == at and abs(h - height) < near), None)
        if twin is None:
            labels.append((at, height, name))
        else:
            labels[twin] = (at, max(labels[twin][1], height), f"{labels[twin][2]}, {name}")
    return rows(
        place=[places[i] for i, _, _ in labels], average=[h for _, h, _ in labels], line=[n for *_, n in labels]
    )


def _few_shares() -> Spec:
    return {"labelExpr": SHARES["labelExpr"], "tickCount": 4}


def partial_bars(
    labels: Sequence[str],
    lines: Sequence[str],
    averages: Sequence[Sequence[float]],
    *,
    shares: bool,
    reach: tuple[float, float],
    label: str,
    size: Size,
) -> Spec:
    """Draw the average answer of each level, the largest first; several classes become one bar each."""
    order = sorted(range(len(labels)), key=lambda i: -max(averages[i]))
    say = hundredths if shares else number
    cells = [(labels[i], name, averages[i][c]) for i in order for c, name in enumerate(lines)]
    text = [say(v) if len(lines) == 1 else f"{name} {say(v)}" for _, name, v in cells]
    data = rows(label=[c[0] for c in cells], line=[c[1] for c in cells], average=[c[2] for c in cells], text=text)
    room = reach[1] + 0.35 * (reach[1] - min(0.0, reach[0]))
    x = {"field": "average", "type": "quantitative", "axis": None, "scale": {"domain": [min(0.0, reach[0]), room]}}
    y = named("label", size=size, grid=False)
    y["scale"] = {"paddingInner": 0.35}
    both: Spec = {"x": x, "y": y}
    if len(lines) > 1:
        both["yOffset"] = {"field": "line", "type": "nominal", "sort": None}
    return drawing(
        size,
        label,
        [
            layer("bar", both, color=ACCENT, cornerRadiusEnd=2),
            layer("text", {**both, "text": {"field": "text"}}, align="left", dx=6),
        ],
        height=max(36 + (34 if len(lines) == 1 else 26) * len(cells), 110),
        data=data,
    )


def predicted_actual(
    predicted: Floats, actual: Floats, centres: Floats, low: Floats, high: Floats, *, unit: str, size: Size
) -> Spec:
    """Draw answers against the truth: sampled cases, the line of perfect answers, the band that holds 9 of 10."""
    both = np.concatenate([predicted, actual])
    ends = [float(both.min()), float(both.max())]
    scale = {"domain": ends, "nice": True, "zero": False}
    x = across("predicted", f"the model’s answer ({unit})", size=size, scale=scale, axis={**AMOUNTS, "tickCount": 5})
    y = upward("actual", scale=scale, axis=AMOUNTS)
    here = {"x": x, "y": y}
    band = rows(predicted=centres, low=low, high=high)
    return drawing(
        size,
        f"what came true ({unit})",
        [
            layer("area", {"x": x, **spread(y, along="y")}, data=band, interpolate="monotone", **_BAND),
            layer("point", here, data=rows(predicted=predicted, actual=actual), color=ACCENT, opacity=0.45, size=14),
            layer("line", here, data=rows(predicted=ends, actual=ends), color=INK, strokeDash=[5, 4], strokeWidth=1.3),
        ],
        height=round(size.width * (0.95 if size.is_narrow else 0.52)),
    )


def calibration(stated: Floats, observed: Sequence[Estimate], *, size: Size) -> Spec:
    """Draw stated chances against what came true, with 95 % bars and the line of perfect honesty."""
    scale = {"domain": [0, 1]}
    x = across("stated", "stated chance, of 100", size=size, axis=SHARES, scale=scale)
    y = upward("observed", axis=SHARES, scale=scale)
    both = {"x": x, "y": y}
    data = rows(stated=stated, observed=[e.value for e in observed], **_ends(observed))
    return drawing(
        size,
        "came true, of 100",
        [
            layer("line", both, data=rows(stated=[0.0, 1.0], observed=[0.0, 1.0]), **_DASHED),
            layer("rule", {"x": x, **spread(y, along="y")}, data=data, color=ACCENT, strokeWidth=1.6),
            layer("point", both, data=data, color=ACCENT, size=60),
        ],
    )


def _ends(estimates: Sequence[Estimate]) -> dict[str, Sequence[Any]]:
    return {"low": [e.low for e in estimates], "high": [e.high for e in estimates]}


def candidates(
    names: Sequence[str],
    scores: Sequence[Estimate],
    folds: Sequence[Sequence[float]],
    *,
    used: Sequence[bool],
    metric: str,
    size: Size,
) -> Spec:
    """Draw each candidate's score with its interval, and its folds as small ticks; those in use are coloured."""
    y = named("name", size=size)
    x = across("score", metric, size=size, scale={"zero": False}, axis={"tickCount": 4 if size.is_narrow else 6})
    use = ["in use" if u else "not in use" for u in used]
    data = rows(name=names, score=[s.value for s in scores], use=use, **_ends(scores))
    pairs = [(name, value) for name, row in zip(names, folds, strict=True) for value in row if np.isfinite(value)]
    ticks = rows(name=[p[0] for p in pairs], score=[p[1] for p in pairs])
    colour = either("use", "in use", "not in use", (ACCENT, MUTED))
    return drawing(
        size,
        "",
        [
            layer("tick", {"x": x, "y": y}, data=ticks, color=MUTED, opacity=0.7, thickness=1.4),
            layer("rule", {**spread(x, along="x"), "y": y, "color": colour}, data=data, strokeWidth=2),
            layer("point", {"x": x, "y": y, "color": colour}, data=data, size=70),
        ],
        height=64 + 30 * len(names),
    )


def intervals(
    labels: Sequence[str], estimates: Sequence[Estimate], *, title: str, zero: bool = False, size: Size
) -> Spec:
    """Draw a few labelled numbers with their intervals under one another; `zero` marks the line of no difference."""
    y = named("label", size=size)
    x = across("value", title, size=size, scale={"zero": zero}, axis={"tickCount": 4 if size.is_narrow else 6})
    data = rows(label=labels, value=[e.value for e in estimates], **_ends(estimates))
    layers = [
        layer("rule", {**spread(x, along="x"), "y": y}, data=data, color=ACCENT, strokeWidth=2.4),
        layer("point", {"x": x, "y": y}, data=data, color=ACCENT, size=110),
    ]
    if zero:
        layers.insert(0, layer("rule", {"x": x}, data=rows(value=[0.0]), color=INK, strokeDash=[4, 4]))
    return drawing(size, "", layers, height=62 + 40 * len(labels))


def mix_ups(table: Indices, codes: Indices, classes: Sequence[str], *, size: Size) -> Spec:
    """Draw of 100 cases of each class (row) how many were answered as each class (column)."""
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    cells = [(classes[a], classes[s], float(shares[a, s])) for a in codes for s in codes]
    data = rows(
        actual=[c[0] for c in cells],
        said=[c[1] for c in cells],
        # Two steps of depth keep the text on each readable: ink on pale cells, paper on full ones.
        depth=[0.85 + 0.15 * v if v >= 0.5 else 0.04 + 0.5 * float(np.sqrt(v)) for _, _, v in cells],
        full=[v >= 0.5 for _, _, v in cells],
        text=[f"{v * 100:.0f}" if v >= 0.005 else "" for _, _, v in cells],
    )
    order = [classes[c] for c in codes]
    tilt = 0 if max(map(len, order)) <= 3 else -60
    x: Spec = {"field": "said", "type": "nominal", "sort": order}
    x["axis"] = {"title": "the model said", "labelAngle": tilt, "labelLimit": 90}
    y = {**x, "field": "actual", "axis": {"title": None, "labelLimit": 90}}
    side = Size(min(size.width, 600), round(min(size.width, 600) * 0.9))
    depth = {"field": "depth", "type": "quantitative", "scale": None, "legend": None}
    colour = {"condition": {"test": "datum.full", "value": PAPER}, "value": INK}
    return drawing(
        side,
        "of 100 that truly are",
        [
            layer("rect", {"x": x, "y": y, "fillOpacity": depth}, color=ACCENT, stroke=PAPER, strokeWidth=1.5),
            layer(
                "text",
                {"x": x, "y": y, "text": {"field": "text"}, "color": colour},
                fontSize=12.5 if size.is_narrow else TEXT,
            ),
        ],
        data=data,
    )
