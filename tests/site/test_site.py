"""The documentation site as a reader has it: opened from a folder, with no network, light, dark and narrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import missing
from tests.notebook import lab

pytestmark = [pytest.mark.check, pytest.mark.browser]
SITE = lab.ROOT / "docs" / "_build" / "html"
AXE = lab.ROOT / "crucible_nb" / "notebook" / "js" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = [
    "index.html",
    "guides/index.html",
    "guides/comparing.html",
    "api/experiment.html",
    "tutorials/01_quickstart.html",
]
SEARCHES = {
    "t_test": "t_test", "pause": "Experiment.pause", "reservoir": "Reservoir", "windowed_metrics": "windowed_metrics",
    "postgres": "PostgreSQL", "dashboard": "dashboard", "redaction": "Redaction", "anomaly": "nomal", "capture": "Capture",
    "sample size": "Sample sizes",
}  # fmt: skip


@pytest.fixture(scope="module")
def site() -> Iterator[Any]:
    """Chromium without a network."""
    if lab.CHROMIUM is None:
        missing("Chromium (apt-get install chromium)")
    if not (SITE / "index.html").is_file():
        missing("the documentation site (make docs)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=lab.CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Any, name: str, asked: list[str], **context: Any) -> Any:
    page = browser.new_context(offline=True, **context).new_page()
    page.on("request", lambda one: None if one.url.startswith(("file:", "data:", "blob:")) else asked.append(one.url))
    path, _, query = name.partition("?")
    page.goto((SITE / path).as_uri() + (f"?{query}" if query else ""))
    return page


def test_every_plotly_figure_of_every_tutorial_is_drawn(site: Any) -> None:
    asked: list[str] = []
    count = 0
    for path in sorted((lab.ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        figures = sum(
            "application/vnd.plotly.v1+json" in o.get("data", {}) for cell in cells for o in cell.get("outputs", ())
        )
        page = opened(site, f"tutorials/{path.stem}.html", asked)
        page.wait_for_function(f"document.querySelectorAll('.plotly-figure .main-svg:first-child').length >= {figures}")
        assert page.locator(".plotly-figure").count() == figures
        count += figures
        page.context.close()
    assert count >= 4
    assert not asked


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_axe_finds_nothing(site: Any, scheme: str) -> None:
    asked: list[str] = []
    for name in PAGES:
        page = opened(site, name, asked, color_scheme=scheme, viewport={"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
        page.add_script_tag(path=AXE)
        found = page.evaluate(  # tables of pandas have a header cell without a text
            "() => axe.run({include: ['article'], exclude: ['.dataframe']}, {resultTypes: ['violations']})"
        )
        assert not [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]], name
        page.context.close()
    assert not asked


def test_ten_searches_find_their_page_from_a_folder(site: Any) -> None:
    asked: list[str] = []
    for words, wanted in SEARCHES.items():
        page = opened(site, f"search.html?q={words}", asked)
        page.wait_for_selector("#search-results li")
        page.wait_for_function("document.querySelector('#search-results .search-summary')?.innerText.includes('found')")
        first = page.locator("#search-results li").all_inner_texts()[:5]
        assert any(wanted in text for text in first), (words, first)
        page.context.close()
    assert not asked


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in SITE.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for host in ("cdn.", "unpkg", "jsdelivr", "googleapis"):
            assert f'src="https://{host}' not in text, path
