"""The appearance of the dashboard: themes, widths, assistive technology, other hosts, no kernel."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.notebook import lab
from tests.notebook.test_browser import QUICK, START, clean

pytestmark = [pytest.mark.browser, pytest.mark.check]

AXE = lab.ROOT / "crucible_nb" / "notebook" / "js" / "node_modules" / "axe-core" / "axe.min.js"
STAMPS = """[...document.querySelectorAll('.crucible-plot')].map(plot => {
  const boxes = name => [...plot.querySelectorAll(name)].map(text => text.getBoundingClientRect());
  const [end, values] = [plot.getBoundingClientRect().bottom, Math.max(...boxes('.ytick text').map(box => box.bottom))];
  return boxes('.xtick text').map(box => [box.left, box.right, box.top - values, box.bottom - end]).sort((one, two) => one[0] - two[0]);
})"""
"""For each chart its times: left and right end, px below the values beside it, px below its box."""
DONE = ".crucible-live[data-status=stopped]"


def violations(page: lab.Browser) -> list[str]:
    """Accessibility violations that axe-core finds in the dashboard."""
    if not AXE.is_file():
        missing("axe-core (npm ci in crucible_nb/notebook/js)")
    page.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.page.evaluate("() => axe.run(document.querySelector('.crucible-live'), {resultTypes: ['violations']})")
    return [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]]


def test_axe_finds_nothing_in_either_theme_and_a_theme_changes_live(run: Any) -> None:
    page = run(START, QUICK, wait=DONE)
    page.wait_done()
    page.page.wait_for_timeout(1000)
    view = page.page.locator(".crucible-live")
    assert view.get_attribute("data-theme") == "light"
    assert violations(page) == []
    line = "document.querySelector('[data-panel=latency] .scatterlayer path.js-line').style.stroke"
    before = page.page.evaluate(line)
    page.command("apputils:change-theme", theme="JupyterLab Dark")
    page.page.wait_for_selector(".crucible-live[data-theme=dark]", timeout=10_000)
    page.wait(f"{line} !== '{before}'", 5)
    page.page.wait_for_timeout(500)
    assert violations(page) == []
    page.command("apputils:change-theme", theme="JupyterLab Light")
    page.page.wait_for_selector(".crucible-live[data-theme=light]", timeout=10_000)
    clean(page)


@pytest.mark.parametrize(("width", "columns"), [(392, 1), (700, 2), (1268, 3)])
def test_one_to_three_columns_by_the_width_of_the_container(run: Any, width: int, columns: int) -> None:
    page = run(START, QUICK, wait=DONE)
    page.wait_done()
    page.page.evaluate(
        f"Object.assign(document.querySelector('.crucible-live').parentElement.style, {{width: '{width}px', minWidth: '0'}})"
    )
    page.page.wait_for_timeout(1000)
    rows = page.page.evaluate(
        "Object.values(Object.groupBy([...document.querySelectorAll('.crucible-chart')], one => one.offsetTop)).map(row => row.length)"
    )
    assert max(rows) == columns
    right = page.page.evaluate(
        "[...document.querySelectorAll('.crucible-chart')].map(one => Math.round(one.getBoundingClientRect().right / 4))"
    )
    assert right.count(max(right)) == len(rows), "no row has a hole at its end"
    sizes = page.page.evaluate(
        "[...document.querySelectorAll('.crucible-plot')].map(p => [p.clientWidth, p.querySelector('svg').clientWidth, p.scrollWidth])"
    )
    assert all(outer == inner == scroll for outer, inner, scroll in sizes), sizes
    wide = page.page.evaluate(
        "[...document.querySelectorAll('.crucible-card, .crucible-title, .crucible-controls, .crucible-listed .crucible-scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.className)"
    )
    assert wide == []
    clean(page)


@pytest.mark.parametrize("seconds", [39, 290])
def test_times_are_level_and_apart(run: Any, seconds: int) -> None:
    page = run(
        "import crucible_nb as cr, pandas as pd\nexp = cr.start('past', clock='events')\nexp.dashboard()",
        f"times = pd.date_range('2026-01-01 20:49:50', periods={seconds}, freq='s', tz='UTC')\n"
        f"exp.extend(pd.DataFrame({{'latency_ms': range({seconds}), 'loss': 1.0}}, index=times))\nexp.stop()",
        wait=DONE,
    )
    page.wait_done()
    page.page.evaluate("document.querySelector('.crucible-live').parentElement.style.width = '850px'")
    page.page.wait_for_timeout(1000)
    charts = page.page.evaluate(STAMPS)
    assert len(charts) >= 3
    for labels in charts:
        assert len(labels) >= 2
        assert all(below >= 0 >= out for _, _, below, out in labels), labels
        assert all(one[1] < two[0] for one, two in itertools.pairwise(labels)), labels
    clean(page)


def test_reduced_motion_limits_paints(served: lab.Server) -> None:
    name = lab.notebook(
        served.root,
        START.replace("exp.dashboard()", "exp.dashboard(refresh=.1)"),
        "import time\nfor i in range(4000):\n    exp.record('x', latency_ms=1.0)\n    time.sleep(.001)",
    )
    with lab.Browser(calm=True) as page:
        page.open(served, name)
        page.run_all()
        page.page.wait_for_selector(".crucible-live[data-n]", timeout=30_000)
        count = "() => new Promise(done => { let n = 0; const o = new MutationObserver(() => n++); o.observe(document.querySelector('.crucible-live'), {attributes: true, attributeFilter: ['data-n']}); setTimeout(() => done(n), 2500) })"
        assert page.page.evaluate(count) <= 4


def test_without_a_kernel_a_truthful_picture_is_left(run: Any, served: lab.Server) -> None:
    page = run(START, QUICK, wait=DONE)
    page.wait_done()
    page.page.wait_for_timeout(1500)
    page.page.evaluate(f"async () => {{ await {lab.PANEL}.context.save() }}")
    name = page.page.url.split("/")[-1].split("?")[0]
    path = served.root / name
    saved = json.loads(path.read_text())
    for session in json.loads(served.api("GET", "/api/sessions")):
        served.api("DELETE", f"/api/sessions/{session['id']}")
    saved["metadata"]["kernelspec"] = {"name": "gone", "display_name": "gone", "language": "python"}
    path.with_name("gone.ipynb").write_text(json.dumps(saved))
    page.page.close()
    other = page.new_page()
    other.goto(served.url("gone.ipynb"))
    other.wait_for_selector(".crucible-static", timeout=30_000)
    still = other.locator(".crucible-static").first
    text = still.inner_text()
    assert "stopped" in text
    assert "2,000 of 100,000" in text
    assert "anomalies in agent run" in text
    assert still.locator("table").count() == 2
    assert not other.locator(".crucible-left").is_visible()  # what a page with a new kernel shows
    page_html = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", "--stdout", str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "2,000 of 100,000" in page_html
    assert page_html.count('role="img"') >= 4


def test_notebook_7_shows_it_live(tmp_path: Path) -> None:
    if lab.CHROMIUM is None:
        missing("Chromium (apt-get install chromium)")
    name = lab.notebook(tmp_path, START, QUICK)
    with lab.Server(tmp_path, "notebook") as server, lab.Browser() as page:
        page.open(server, name)
        page.run_all()
        page.page.wait_for_selector(DONE, timeout=30_000)
        assert page.page.locator(".crucible-chart").count() >= 4
        assert page.blocked == []


def test_voila_shows_it_live(tmp_path: Path) -> None:
    if lab.CHROMIUM is None:
        missing("Chromium (apt-get install chromium)")
    name = lab.notebook(
        tmp_path,
        START,
        "import threading\ndef work():\n"
        + "".join(f"    {line}\n" for line in QUICK.strip().splitlines())
        + "threading.Thread(target=work).start()",
    )
    with lab.Server(tmp_path, "voila") as server, lab.Browser() as page:
        page.page.goto(server.url(name), timeout=60_000)
        page.page.wait_for_selector(DONE, timeout=60_000)
        assert page.page.locator(".crucible-chart").count() >= 4


def test_marimo_shows_it_live(tmp_path: Path) -> None:
    if lab.CHROMIUM is None:
        missing("Chromium (apt-get install chromium)")
    (tmp_path / "page.py").write_text(
        "import marimo\napp = marimo.App()\n@app.cell\ndef _():\n"
        "    import threading\n    import crucible_nb as cr\n"
        "    exp = cr.start('agent run', anomaly='auto')\n"
        "    def work():\n" + "".join(f"        {line}\n" for line in QUICK.strip().splitlines())
        + "    threading.Timer(2.0, work).start()\n"
        "    exp.dashboard()\n    return\n"
        "if __name__ == '__main__':\n    app.run()\n"
    )  # fmt: skip
    with lab.Server(tmp_path, "marimo") as server, lab.Browser() as page:
        page.page.goto(server.url(), timeout=60_000)
        page.page.wait_for_selector(DONE, timeout=60_000)
        assert page.page.locator(".crucible-chart").count() >= 4


LOOK = """() => new Promise(done => {
  const root = document.querySelector('.crucible-live'), seen = [], end = performance.now() + 3000;
  const look = () => {
    seen.push([root, ...root.querySelectorAll('.crucible-chart')].map(one => Number(one.dataset.n)));
    performance.now() < end ? requestAnimationFrame(look) : done(seen);
  };
  requestAnimationFrame(look);
})"""


def test_charts_take_turns_and_none_is_left_behind(run: Any) -> None:
    page = run(
        START.replace("exp.dashboard()", "exp.dashboard(refresh=.1)"),
        "for i in range(10**7):\n    exp.record('x', latency_ms=1.0, success=True, cost_usd=.1, loss=.1)\n    sum(range(9999))\n    if exp.should_stop: break",
    )
    page.page.wait_for_selector("[data-panel='column:loss'][data-n]")
    seen = page.page.evaluate(LOOK)
    whole, *charts = zip(*seen, strict=True)
    assert len(charts) == 5
    assert list(whole) == [min(numbers) for numbers in zip(*charts, strict=True)]
    assert all(numbers[-1] > numbers[0] for numbers in charts)
    page.page.click(".crucible-stop")
    page.page.wait_for_selector(DONE)
    page.wait_done()
    page.wait(
        "new Set([...document.querySelectorAll('.crucible-live, .crucible-chart')].map(one => one.dataset.n)).size === 1",
        5,
    )
    clean(page)
