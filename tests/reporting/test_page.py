from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from reporting_page_reader import Element, read_page
from reporting_runs import Written

FETCHES = ("src", "href", "xlink:href", "action", "data", "poster", "srcset", "background", "formaction")


def test_the_page_asks_nothing_of_any_network(any_run: Written) -> None:
    root = read_page(any_run.page)
    for element in root.all():
        for name in FETCHES:
            assert element.attributes.get(name, "#").startswith("#"), (element.tag, name)
    assert not root.all("script")
    assert not root.all("link")
    assert not root.all("img")
    style = " ".join(e.text for e in root.all("style"))
    assert "@import" not in style
    assert "url(" not in style
    assert not re.search(r"url\((?!#)", any_run.page)
    assert not [name for e in root.all() for name in e.attributes if name.startswith("on")]


def test_every_figure_says_what_it_shows_and_where_it_comes_from(any_run: Written) -> None:
    root = read_page(any_run.page)
    figures = root.all("figure")
    assert len(figures) >= 4
    for figure in figures:
        picture = next(e for e in figure.all("div") if e.attributes.get("role") == "img")
        assert len(picture.attributes["aria-label"]) > 20
        assert figure.all("figcaption")[0].words()
        assert re.fullmatch(r"[0-9a-f]{64}", figure.attributes["data-source"])
        assert all(svg.attributes["aria-hidden"] == "true" for svg in figure.all("svg"))


def test_sources_name_records_of_the_run(any_run: Written) -> None:
    walk = any_run.walk
    known = {r.digest for r in walk.records} | {walk.leaderboard.oof, walk.leaderboard.baseline_oof}
    sources = {e.attributes["data-source"] for e in read_page(any_run.page).all() if "data-source" in e.attributes}
    assert sources <= known
    assert len(sources) >= 5


def test_headings_go_down_one_step_at_a_time(any_run: Written) -> None:
    levels = [int(e.tag[1]) for e in read_page(any_run.page).all() if re.fullmatch(r"h[1-6]", e.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_ids_are_unique_and_links_lead_somewhere(any_run: Written) -> None:
    root = read_page(any_run.page)
    ids = [e.attributes["id"] for e in root.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for link in root.all("a"):
        assert link.attributes["href"].removeprefix("#") in ids
    for used in re.findall(r"url\(#([^)]+)\)", any_run.page):
        assert used in ids


def test_charts_take_every_colour_from_the_page(any_run: Written) -> None:
    for svg in read_page(any_run.page).all("svg"):
        for element in svg.all():
            for name in ("fill", "stroke"):
                colour = element.attributes.get(name, "none")
                assert colour in ("none", "transparent") or colour.startswith("var(--"), colour


def test_wide_charts_have_a_narrow_twin_with_readable_text(any_run: Written) -> None:
    for figure in read_page(any_run.page).all("figure"):
        for picture in figure.all("svg"):
            assert float(picture.attributes["width"]) <= 760
            sizes = [float(e.attributes["font-size"].removesuffix("px")) for e in picture.all("text")]
            assert min(sizes) >= 10.5
        kinds = [e.attributes.get("class", "") for e in figure.all("div")]
        if "wide has-narrow" in kinds:
            assert "narrow" in kinds


def _of(root: Element, name: str) -> Element:
    return next(e for e in root.all("section") if e.attributes.get("id") == name)


@pytest.mark.parametrize("name", ["churn", "housing", "letter"])
def test_the_owner_reads_before_the_engineer(name: str, written: Callable[[str], Written]) -> None:
    page = written(name).page
    places = [page.index(f'id="{part}"') for part in ("worth", "drivers", "weak", "next", "engineer", "decision")]
    assert places == sorted(places)


def test_the_engineer_finds_scores_as_recorded(written: Callable[[str], Written]) -> None:
    run = written("churn")
    words = _of(read_page(run.page), "candidates").words()
    for candidate in run.walk.leaderboard.candidates:
        assert candidate.name in words
    assert f"{run.walk.leaderboard.score.value:.4f}" in words
    lineage = _of(read_page(run.page), "lineage").words()
    for record in run.walk.records:
        assert record.digest in lineage


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    bright, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_text_has_enough_contrast_in_light_and_dark(written: Callable[[str], Written]) -> None:
    style = read_page(written("churn").page).all("style")[0].text
    themes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in re.findall(r":root \{([^}]+)\}", style)]
    for theme in themes[:2]:
        for text in ("ink", "muted", "accent", "alarm"):
            for ground in ("paper", "raised"):
                assert _contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
        assert _contrast(theme["alarm"], theme["alarm-soft"]) >= 4.5
        assert _contrast(theme["ink"], theme["alarm-soft"]) >= 4.5
