"""Pages for strangers: links that lead somewhere, headings in order, a short README, facts that agree."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import crucible_nb as cr

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("notebooks/src/*.md"), *ROOT.glob(".github/**/*.md")]
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


def prose(path: Path) -> str:
    """Text of a page without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```", "", path.read_text(encoding="utf-8"))


def links(text: str) -> list[str]:
    return [one or other for one, other in LINK.findall(text)]


def _place(page: Path) -> Path:
    """Folder of the page that is read; a tutorial is a notebook one folder up."""
    return page.parents[1] if page.parent.name == "src" else page.parent


def anchors(path: Path) -> set[str]:
    """Anchors of the headings of a page, as code hosts make them."""
    titles = re.findall(r"(?m)^#+ (.*)$", prose(path))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_headings_do_not_jump(page: Path) -> None:
    text = prose(page)
    for link in links(text):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (_place(page) / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), link
    levels = [len(marks) for marks in re.findall(r"(?m)^(#+) ", text)]
    assert levels[:1] == [1]
    assert [(one, other) for one, other in zip(levels, levels[1:], strict=False) if other > one + 1] == []


def test_the_readme_is_short_and_its_links_work_on_the_package_index() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    for rule in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    assert len(links(text)) > 30
    assert [link for link in links(text) if not re.match(r"https?://[\w.]+/", link)] == []
    assert [link for link in links(text) if link.endswith(".png") and "raw.githubusercontent.com" not in link] == []


def test_facts_agree() -> None:
    assert PROJECT["project"]["version"] == cr.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {cr.__version__}\n" in citation
    assert PROJECT["project"]["urls"]["Repository"] in citation
    conda = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert [need for need in PROJECT["project"]["dependencies"] if f"  - {need}\n" not in conda] == []


def test_licences_of_what_is_bundled_are_in_the_wheel() -> None:
    notices = (ROOT / "THIRD_PARTY_LICENSES").read_text(encoding="utf-8")
    bundled = json.loads((ROOT / "crucible_nb/notebook/js/package.json").read_text(encoding="utf-8"))["dependencies"]
    assert bundled == {"plotly.js-basic-dist-min": "4.1.1"}
    assert "plotly.js, basic bundle, 4.1.1" in notices
    code = (ROOT / "crucible_nb/notebook/static/dashboard.js").read_text(encoding="utf-8")
    named = re.search(r"/\*! Bundled license information:(.*?)\*/", code, re.DOTALL)[1]
    for package in re.findall(r"(?m)^([\w-]+)/[\w./-]+:$", named):
        assert package in notices
    source = json.loads((ROOT / "crucible_nb/pipeline/prices.json").read_text(encoding="utf-8"))["source"]
    assert source.partition(",")[0] in notices
    assert "THIRD_PARTY_LICENSES" in PROJECT["project"]["license-files"]


def test_workflows_run_the_commands_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [
        name
        for path in ROOT.glob(".github/workflows/*.yml")
        for name in re.findall(r"run: make (\w+)", path.read_text())
    ]
    assert {"test", "check", "release"} <= set(commands)
    assert [name for name in commands if not re.search(rf"(?m)^{name}:", makefile)] == []
