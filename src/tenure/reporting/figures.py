"""From a drawing as data to a figure on the page: SVG that takes its colours and font from the page.

Every drawing is made twice, for a wide column and for a phone, so that its text is never scaled down to nothing;
the style sheet shows one of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

import vl_convert
from markupsafe import Markup

from tenure.reporting.look import NARROW, SMALL, STAND_INS, TEXT, WIDE, Size, Spec

_VEGA_LITE: Final = "5.21"
_COLOUR: Final = re.compile("|".join(STAND_INS))
_IDENTITY: Final = re.compile(r'(?<=id=")[^"]+(?=")|(?<=url\(#)[^)]+(?=\))')
_EMPTY_PATH: Final = re.compile(r'<path class="(?:background|foreground)"[^>]*?(?:d=""|d="M0,0h0v0h0Z")[^>]*?/>')
_CLUTTER: Final = re.compile(
    r" (?:role|aria-roledescription|aria-hidden|aria-label|class|pointer-events|font-family"
    r'|stroke-miterlimit|xmlns:xlink|version)="[^"]*"'
)
_LONG_NUMBER: Final = re.compile(r"-?\d+\.\d{3,}")
_TEXT_SIZE: Final = re.compile(r'(?<=font-size=")([\d.]+)(?=px")')
_SET: Final = 13.0 / TEXT
_TAG: Final = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Key:
    """What one sign of a drawing means; `sign` is its class in the style sheet: dot, band, line, bar, ..."""

    sign: str
    says: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with the words around it.

    `alt` says what it shows to who cannot see it, `note` stands under it, `source` is the digest of the record whose
    numbers are drawn. `narrow` is None where one drawing fits every screen. `keys` stand above it.
    """

    name: str
    title: str
    alt: str
    note: str
    source: str
    wide: Markup
    narrow: Markup | None
    keys: tuple[Key, ...] = ()


class Drawer(Protocol):
    """A chart with its numbers, still without a size."""

    def __call__(self, *, size: Size) -> Spec:
        """Return the drawing at that size."""
        ...


def figure(
    name: str,
    draw: Drawer,
    *,
    title: str,
    alt: str,
    source: str,
    note: str = "",
    small: bool = False,
    keys: tuple[Key, ...] = (),
) -> Figure:
    """Draw for the wide column and for a phone (once, when `small`), and put the words around it."""
    wide = svg(draw(size=SMALL if small else WIDE), name=f"{name}-w")
    narrow = None if small else svg(draw(size=NARROW), name=f"{name}-n")
    return Figure(name, title, alt, note, source, wide, narrow, keys)


def svg(spec: Spec, *, name: str) -> Markup:
    """Render a drawing as SVG that inherits colours and font from the page; equal drawings give equal text."""
    return themed(vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE), name=name)


def themed(text: str, *, name: str) -> Markup:
    """Turn stand-in colours into CSS variables, number ids from 1 under `name`, and drop what only costs bytes.

    Vega numbers its clip paths across a whole process, so ids would differ between runs and clash on a page.
    """
    text = _EMPTY_PATH.sub("", text)
    text = _TAG.sub(lambda tag: _CLUTTER.sub("", tag[0]), text)
    text = _TAG.sub(lambda tag: _LONG_NUMBER.sub(lambda n: f"{float(n[0]):.2f}", tag[0]), text)
    text = _TAG.sub(lambda tag: _TEXT_SIZE.sub(lambda size: f"{float(size[0]) * _SET:.1f}", tag[0]), text)
    seen: dict[str, str] = {}
    text = _IDENTITY.sub(lambda found: seen.setdefault(found[0], f"{name}-{len(seen) + 1}"), text)
    text = _COLOUR.sub(lambda found: STAND_INS[found[0]], text)
    # The text comes from vl_convert, which escapes the data; ids and colours are ours.
    return Markup(text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))
