"""The page of a report in a browser: readable in light, dark and print, nothing cut off, nothing asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from tests.conftest import missing
from tests.notebook import lab
from tests.notebook.test_looks import AXE
from tests.reports.test_report import calls

pytestmark = [pytest.mark.check, pytest.mark.browser]

CUT = """() => [...document.querySelectorAll("body, body *")]
    .filter(e => !e.closest("svg") && e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1)
    .map(e => `${e.tagName} ${e.textContent.slice(0, 40)}`)"""
WIDTHS = {"A4": 688, "Letter": 710}  # CSS pixels between the margins of 14 mm


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, arms = tmp_path_factory.mktemp("page"), []
    for at in range(4):
        with cr.start(f"{'a_very_long_name_without_a_space_' * 3}{at}", clock="events", anomaly="auto") as exp:
            exp.extend(calls(600, seed=at).assign(model=f"model-{'m' * 70}", error=f"{'E' * 300}"))
        arms.append(exp)
    return cr.report(arms, folder / "compare.html", data="csv")


def test_nothing_is_cut_off_and_axe_finds_nothing(source: Path) -> None:
    if lab.CHROMIUM is None:
        missing("Chromium (apt-get install chromium)")
    if not AXE.exists():
        missing("axe-core (npm ci in crucible_nb/notebook/js)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=lab.CHROMIUM, args=list(lab.ARGUMENTS))
        said: list[str] = []
        with chromium.new_context(offline=True, bypass_csp=True) as context:  # the policy would stop axe as well
            page = context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("request", lambda request: said.append(request.url))
            page.goto(source.as_uri())
            assert said == [source.as_uri()]
            page.evaluate(AXE.read_text(encoding="utf-8"))
            looks: dict[str, dict[str, Any]] = {
                "light": {"color_scheme": "light", "width": 1100},
                "narrow": {"color_scheme": "dark", "width": 390},
                **{
                    paper: {"color_scheme": "dark", "media": "print", "width": width} for paper, width in WIDTHS.items()
                },
            }
            for name, look in looks.items():
                page.set_viewport_size({"width": look.pop("width"), "height": 900})
                page.emulate_media(**look)
                assert page.evaluate(CUT) == [], name
                found = page.evaluate("() => axe.run({resultTypes: ['violations']})")["violations"]
                assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], name
        with chromium.new_context(offline=True) as context:
            page = context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.goto(source.as_uri())
            assert page.evaluate("getComputedStyle(document.body).fontSize") == "14px"  # the policy allows the style
            with page.expect_download() as download:
                page.locator("a[download]").first.click()
            saved = source.parent / "saved.csv"
            download.value.save_as(saved)
        chromium.close()
    assert said[1:] == []
    assert len(cr.load(saved)) == 600
