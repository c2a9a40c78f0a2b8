"""The pages in a real browser: nothing overflows, nothing is fetched, both colour schemes can be read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from reporting_worlds import churn_project

from health_years import RICH
from tenure.core.project import parse_project
from tenure.reporting.health_page import health_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CONTRAST = """() => {
  const rgb = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const back = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/rgba\\(0, 0, 0, 0\\)|transparent/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const worst = [...document.querySelectorAll('p, li, td, th, h1, h2, h3, figcaption')].filter(e => e.innerText.trim())
    .map(e => [light(rgb(getComputedStyle(e).color)), light(rgb(back(e)))])
    .map(([a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  return Math.min(...worst);
}"""

PARTS = (".chip", "h1", "#worth", "#changed", "#trust", "#engineer")
CUT_OFF = """() => [...document.querySelectorAll('figure, figure svg, .keys li, td, th, .entries p')]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    && !e.closest('.scroll'))
  .map(e => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def health(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the health page of a whole year, with everything that a report can hold."""
    page = tmp_path_factory.mktemp("health") / "health.html"
    page.write_text(health_page(RICH, parse_project(churn_project())))
    return page


def _opened(browser: Browser, path: Path, width: int, scheme: Any) -> Page:
    """Open a page and check what holds for every page: it fits, it can be read, and nothing is fetched."""
    asked: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{path}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) >= 4.5
    assert page.locator("h1").inner_text()
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
    return page


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dossier_can_be_read(browser: Browser, office: Path, width: int, scheme: Any) -> None:
    page = _opened(browser, office / "reports" / "dossier.html", width, scheme)
    assert page.locator("svg:visible").count() >= 3
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_health_page_can_be_read(browser: Browser, health: Path, width: int, scheme: Any) -> None:
    page = _opened(browser, health, width, scheme)
    assert page.locator("figure:visible").count() == page.locator("figure").count() >= 15
    # A wide table may scroll in its own frame; everything else ends within the window.
    assert page.evaluate(CUT_OFF) == []
    # The first screen answers how it is doing; money and what changed come before any chart of the engineer's.
    tops = [page.evaluate(f"document.querySelector('{name}').getBoundingClientRect().top") for name in PARTS]
    assert tops == sorted(tops)
    assert tops[1] < 900
    page.close()
