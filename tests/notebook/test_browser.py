"""The dashboard in JupyterLab, in a real browser: display, buttons and pickers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.notebook import lab
from tests.notebook.lab import PANEL

pytestmark = [pytest.mark.browser, pytest.mark.check]

START = "import crucible_nb as cr\nexp = cr.start('agent run', sample_size=100_000, anomaly='auto', anomaly_config={'metrics': ['latency_ms', 'cost_usd', 'success']})\nexp.dashboard()"
# never sleeps, never awaits: 1,000 events/s and arithmetic in between; writes down when each kind of trouble began
NEVER_YIELDS = """
import json, time, numpy as np
rng, begin, i, began = np.random.default_rng(1), time.time(), 0, {}
def spell(kind, start, length):
    inside = start < time.time() - begin < start + length
    if inside:
        began.setdefault(kind, time.time())
    return inside
while time.time() - begin < 18 and not exp.should_stop:
    while i < 1000 * (time.time() - begin):
        slow, broken, dear = spell('latency_ms', 6, 1), spell('success', 9, 1), spell('cost_usd', 12, 3)
        exp.record('llm.request', latency_ms=float(rng.lognormal(6, .25)) * (6 if slow else 1),
                   success=bool(rng.random() < (.5 if broken else .99)),
                   cost_usd=float(rng.normal(4e-4, 4e-5)) * (8 if dear else 1), loss=float(np.exp(-i / 9e3)))
        i += 1
    sum(range(1000))
print(json.dumps(began))
"""
BUSY = """
import time
begin, n = time.time(), 0
while time.time() - begin < 15 and not exp.should_stop:
    exp.record('x', latency_ms=1.0 + n % 7)
    n += 1
    sum(range(500))
print('left the loop', exp.status)
"""
QUICK = """
import time
for i in range(2000):
    exp.record('llm.request', latency_ms=100.0 + i % 9 + 900 * (i == 1500), success=i % 50 > 0, cost_usd=1e-4, loss=1 / (1 + i))
exp.stop()
"""


def clean(page: lab.Browser) -> None:
    """No error of page or console, no request that left the machine."""
    assert page.errors == []
    assert page.blocked == []


def test_trouble_shows_within_two_seconds_while_a_cell_never_yields(run: Any) -> None:
    import json

    page = run(START, NEVER_YIELDS)
    shown: dict[tuple[str, float], float] = {}
    rows = "[...document.querySelectorAll('.crucible-anomalies tbody tr')].map(row => [Date.parse(row.cells[1].title), row.cells[3].innerText])"
    while not page.page.evaluate(
        "[...document.querySelectorAll('.jp-OutputArea-output')].some(o => !o.querySelector('style') && o.innerText.includes('{'))"
    ):
        for start, metrics in page.page.evaluate(rows):
            for metric in metrics.split(", "):
                shown.setdefault((metric, start / 1000), time.time())
        page.page.wait_for_timeout(50)
    assert page.page.locator(".crucible-chart").count() == 5
    assert page.page.locator("[data-panel=latency] .crucible-flags").inner_text().startswith("◆")
    page.wait_done(40)
    began = json.loads([line for line in page.outputs().splitlines() if line.startswith("{")][-1])
    late = {
        kind: min([seen for (metric, start), seen in shown.items() if metric == kind and start > when - 0.01]) - when
        for kind, when in began.items()
    }
    assert set(late) == {"latency_ms", "success", "cost_usd"}
    assert all(0 < seconds < 2 for seconds in late.values()), late
    assert max(page.messages("tick")) <= 2000
    assert sum(page.messages()) <= 2000 * len(page.messages()) + 20_000
    opened = max(size for _, way, size, head in page.frames if way == "in" and b'"comm_open"' in head)
    program = [size for _, way, size, head in page.frames if way == "in" and b'"kind":"code"' in head]
    assert opened <= 60_000
    assert 1 <= len(program) <= 3  # asked for again while a busy kernel does not answer
    assert max(program) <= 1_500_000
    assert max(page.messages("tables")) <= 4096 + 1000
    clean(page)


def kernels() -> list[Any]:
    """The installed kernel, and the versions installed by `make browser`."""
    found = sorted((lab.ROOT / ".ipykernels").glob("*"))
    return [pytest.param("", id="installed"), *(pytest.param(str(one), id=one.name) for one in found)]


@pytest.mark.parametrize("kernel_path", kernels())
def test_pause_and_stop_react_inside_a_cell_that_never_yields(kernel_path: str, tmp_path: Path) -> None:
    if lab.CHROMIUM is None:
        missing("Chromium (apt-get install chromium)")
    old = Path(kernel_path).name.startswith("6.")
    name = lab.notebook(tmp_path, START, BUSY)
    with lab.Server(tmp_path, kernel_path=kernel_path) as server, lab.Browser() as page:
        page.open(server, name)
        page.run_all()
        page.page.wait_for_selector(".crucible-live[data-status=running]", timeout=30_000)
        page.page.wait_for_timeout(1000)
        assert ("when the running cell has ended" in page.page.locator(".crucible-said").inner_text()) is old
        if old:
            page.page.click(".crucible-stop")
            page.wait_done(40)
            page.page.wait_for_selector(".crucible-live[data-status=stopped]", timeout=5000)
            return
        for button, status in (
            (".crucible-pause", "paused"),
            (".crucible-pause", "running"),
            (".crucible-stop", "stopped"),
        ):
            page.page.click(button)  # the cell goes on for 15 s, so the answer comes from inside it
            page.page.wait_for_selector(f".crucible-live[data-status={status}]", timeout=5000)
        page.wait_done(5)
        assert "left the loop stopped" in page.outputs()
        clean(page)


def test_interrupting_the_cell_keeps_the_data(run: Any) -> None:
    page = run(START, BUSY, wait=".crucible-live[data-status=running]")
    page.page.wait_for_timeout(1500)
    page.command("notebook:interrupt-kernel")
    page.wait(
        "[...document.querySelectorAll('.jp-OutputArea-output')].some(o => o.innerText.includes('KeyboardInterrupt'))",
        10,
    )
    page.page.wait_for_timeout(1000)
    assert page.page.locator(".crucible-live").get_attribute("data-status") == "running"
    assert float(page.page.locator(".crucible-large").first.inner_text().replace(",", "").replace("M", "e6")) > 100


def test_a_reloaded_page_a_second_view_and_a_cell_that_runs_again(run: Any) -> None:
    count = "import threading\nprint('threads', sum(one.name == 'crucible-dashboard' for one in threading.enumerate()))"
    page = run(START, QUICK, "exp.dashboard()", count, wait=".crucible-live[data-status=stopped]")
    page.page.set_viewport_size({"width": 1280, "height": 3000})  # both views are on the screen, and painted
    page.wait_done()
    page.wait("document.querySelectorAll('.crucible-live[data-status=stopped]').length === 2")
    page.page.evaluate(f"async () => {{ await {PANEL}.context.save() }}")
    page.page.reload()
    page.wait("document.querySelectorAll('.crucible-live[data-status=stopped]').length === 2", 60)
    assert page.page.locator(".crucible-large").first.inner_text() == "2,000"
    clean(page)
    page.run_all()
    page.page.wait_for_timeout(500)
    page.wait_done()
    page.wait("document.querySelectorAll('.crucible-live[data-status=stopped]').length === 2")
    assert page.page.locator(".crucible-empty:visible").count() == 0
    page.command("notebook:run-all-cells")
    page.wait_done()
    again = "from ipywidgets.widgets.widget import _instances\nprint('widgets', sum(type(one).__name__ == 'Dashboard' for one in _instances.values()))"
    page.page.evaluate(
        "code => { const p = window.jupyterapp.shell.currentWidget; p.content.model.sharedModel.addCell({cell_type: 'code', source: code}) }",
        again,
    )
    page.run_all()
    page.page.wait_for_timeout(500)
    page.wait_done()
    assert "widgets 1" in page.outputs()
    said = f"[...{PANEL}.content.model.cells].map(c => JSON.stringify(c.outputs?.toJSON() ?? '')).join()"  # also off the screen
    page.wait(f"/threads [01]\\D/.test({said})", 60)
    clean(page)


def test_nothing_is_sent_while_the_view_is_hidden(run: Any) -> None:
    idle = "import threading, time\ndef feed():\n    while exp.status == 'running':\n        exp.record('x', latency_ms=1.0)\n        time.sleep(.01)\nthreading.Thread(target=feed, daemon=True).start()"
    page = run(START, idle, *["1 + 1"] * 30, wait="")
    page.wait_done()
    page.page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 0)")
    page.page.wait_for_selector(".crucible-live[data-n]", timeout=20_000)
    page.page.wait_for_timeout(1500)
    assert len(page.messages()) > 2
    page.page.locator(".jp-Cell").last.scroll_into_view_if_needed()
    page.page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 1e6)")
    page.page.wait_for_timeout(1500)
    before = len(page.messages())
    page.page.wait_for_timeout(3000)
    assert len(page.messages()) == before
    page.page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 0)")
    page.page.wait_for_timeout(1500)
    assert len(page.messages()) > before
    clean(page)


def test_it_says_that_it_is_stale(run: Any) -> None:
    start = START.replace("exp.dashboard()", "shown = exp.dashboard()\nshown")
    seen = "any(seen for seen, _ in list(shown.refresher._views.values()))"
    # then hold the interpreter: nothing of Python runs; before, the page could not even get its code
    held = f"import ctypes, time\nwhile not {seen}: time.sleep(0.05)\nctypes.PyDLL(None).sleep(12)"
    page = run(start, held)
    page.page.wait_for_selector(".crucible-live[data-stale]", timeout=12_000)
    assert "Stale: no message from the kernel" in page.page.locator(".crucible-said").inner_text()
    page.page.wait_for_selector(".crucible-live:not([data-stale])", timeout=9000)
    clean(page)


def test_windows_columns_freeze_and_the_way_from_the_table_to_the_chart(run: Any) -> None:
    page = run(START, QUICK, wait=".crucible-live[data-status=stopped]")
    page.wait_done()
    page.page.wait_for_timeout(800)
    view = page.page.locator(".crucible-live")
    view.locator("input[value='1min']").focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowRight")
    page.page.wait_for_selector("text=whole run >> visible=true")
    assert view.locator("input:checked").first.get_attribute("value") == "all"
    view.locator(".crucible-picker summary").press("Enter")
    view.locator(".crucible-choices input[value=loss]").press("Space")
    page.wait("document.querySelectorAll('.crucible-chart').length === 4")
    page.page.keyboard.press("Escape")
    assert view.locator(".crucible-picker").get_attribute("open") is None
    view.locator(".crucible-flag").first.press("Enter")
    page.page.wait_for_selector(".crucible-anomalies tr[data-picked]")
    assert view.locator(".crucible-chart[data-pointed]").get_attribute("data-panel") == "latency"
    view.locator(".crucible-freeze").press("Enter")
    assert view.locator(".crucible-freeze").get_attribute("aria-pressed") == "true"
    assert "frozen at" in view.locator(".crucible-said").inner_text()
    clean(page)


def test_hostile_names_stay_text(run: Any) -> None:
    evil = "<img src=x onerror=window.owned=1>"
    cell = f"import crucible_nb as cr\nexp = cr.start({evil!r}, condition={evil!r}, anomaly='z_score')\nexp.dashboard()\nfor i in range(200): _ = exp.record({evil!r}, {{{evil!r}: 1.0 + i}}, latency_ms=100. + i % 3 + 900 * (i == 150))\nexp.stop()"
    page = run(cell, wait=".crucible-live[data-status=stopped]")
    page.page.wait_for_timeout(1000)
    assert page.page.evaluate("window.owned") is None
    assert evil in page.page.locator(".crucible-live").inner_text()
    clean(page)
