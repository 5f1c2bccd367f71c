"""Every control of the dashboard under a real mouse and the keyboard, while the run goes on; and dashboards in boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.notebook import lab
from tests.notebook.test_browser import clean

pytestmark = [pytest.mark.browser, pytest.mark.check]

LIVE = """
import threading, time, numpy as np, crucible_nb as cr
exp = cr.start('agent', anomaly='auto')
exp.dashboard(refresh=.2)
def feed():
    rng, i = np.random.default_rng(1), 0
    while not exp.should_stop:
        good = i % 9 > 0
        exp.record('call', model='abc'[i % 3], latency_ms=100. + 50 * (i % 3) + float(rng.random()), success=good, cost_usd=1e-3, loss=1 / (1 + i),
                   accuracy=.5, error=None if good else 'TimeoutError', sample_id=f'q{i}', step=i)
        i += 1
        time.sleep(.01)
threading.Thread(target=feed, daemon=True).start()
"""
RANGES = "[...document.querySelectorAll('.crucible-plot')].map(plot => plot._fullLayout.xaxis.range.join())"
CHARTS = "document.querySelectorAll('.crucible-chart').length"
MESSAGE = "Number(document.querySelector('.crucible-live').dataset.n)"


class Mouse:
    """A real mouse on the parts of a dashboard."""

    def __init__(self, page: lab.Browser) -> None:
        self.page, self.view = page, page.page.locator(".crucible-live").first

    def press(self, selector: str, at: tuple[float, float] = (0.5, 0.5)) -> None:
        part = self.view.locator(selector).first
        part.evaluate("part => part.scrollIntoView({block: 'nearest'})")  # it may be drawn anew meanwhile
        box = part.bounding_box()
        self.page.page.mouse.move(box["x"] + at[0] * box["width"], box["y"] + at[1] * box["height"])
        self.page.page.mouse.down()
        self.page.page.wait_for_timeout(60)
        self.page.page.mouse.up()

    def drag(self, selector: str, start: float, stop: float) -> None:
        part = self.view.locator(selector).first
        part.scroll_into_view_if_needed()
        box = part.bounding_box()
        x, y = lambda share: box["x"] + share * box["width"], box["y"] + 0.5 * box["height"]
        self.page.page.mouse.move(x(start), y)
        self.page.page.mouse.down()
        self.page.page.mouse.move(x(stop), y + 5, steps=6)
        self.page.page.mouse.up()

    def wait(self, condition: str, seconds: float = 30) -> None:
        self.page.wait(condition, seconds)

    def ticks(self, count: int = 3) -> None:
        """Wait for messages that all charts show."""
        seen = self.page.page.evaluate(MESSAGE)
        self.wait(f"{MESSAGE} >= {seen + count}", 20)

    def text(self, selector: str) -> str:
        return self.view.locator(selector).first.inner_text()


def test_every_control_under_a_mouse(run: Any, tmp_path: Path) -> None:
    page = run(LIVE)
    page.wait(f"{CHARTS} === 6", 30)
    mouse = Mouse(page)
    mouse.ticks(12)
    picks(page, mouse)
    zooms(page, mouse)
    tools(page, mouse, tmp_path)
    chooses(page, mouse)
    keys(page, mouse)
    mouse.press(".crucible-windows label:nth-of-type(4) span")
    page.page.wait_for_selector("text=Whole run")
    mouse.press(".crucible-freeze")
    assert "frozen at" in mouse.text(".crucible-said")
    mouse.press(".crucible-freeze")
    for button, status in (("pause", "paused"), ("pause", "running"), ("stop", "stopped")):
        mouse.press(f".crucible-controls .crucible-{button}")
        page.page.wait_for_selector(f".crucible-live[data-status={status}]", timeout=10_000)
    clean(page)


def picks(page: lab.Browser, mouse: Mouse) -> None:
    """A press on the text of a choice picks it; a press elsewhere closes the list."""
    mouse.press(".crucible-picker summary")
    mouse.press(".crucible-choices label:nth-of-type(3)", (0.8, 0.5))
    mouse.wait(f"{CHARTS} === 7")
    assert mouse.view.locator(".crucible-picker").get_attribute("open") == ""
    mouse.press(".crucible-choices label:nth-of-type(3)", (0.8, 0.5))
    mouse.wait(f"{CHARTS} === 6")
    mouse.press(".crucible-name")
    assert mouse.view.locator(".crucible-picker").get_attribute("open") is None


def zooms(page: lab.Browser, mouse: Mouse) -> None:
    """A zoom is that of all charts, stays over ticks, sets the cards if asked to, and is reset by a double click."""
    area = "[data-panel=rate] .crucible-area"
    mouse.drag(area, 0.3, 0.7)
    mouse.wait(f"new Set({RANGES}).size === 1 && document.querySelector('.crucible-live[data-zoomed]')")
    before = page.page.evaluate(RANGES)
    mouse.ticks()
    assert page.page.evaluate(RANGES) == before
    assert "Zoomed to" in mouse.text(".crucible-zoom")
    mouse.press(".crucible-select")
    mouse.wait("document.querySelector('.crucible-caption').innerText.startsWith('From ')")
    shown = mouse.text(".crucible-large")
    mouse.ticks()
    assert mouse.text(".crucible-large") == shown
    mouse.press(".crucible-back")
    mouse.wait("document.querySelector('.crucible-caption').innerText.startsWith('Last 5 minutes')")
    mouse.view.locator(area).scroll_into_view_if_needed()
    box = mouse.view.locator(area).bounding_box()
    page.page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 80)
    mouse.wait("!document.querySelector('.crucible-live[data-zoomed]')")
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 70)
    mouse.wait("document.querySelectorAll('.crucible-tip:not([hidden])').length === 6")
    assert len({one.inner_text() for one in mouse.view.locator(".crucible-tip-time").all()}) == 1
    assert [word in mouse.text("[data-panel=latency] .crucible-tip") for word in ("p50", "p95", "p99")] == [True] * 3


def tools(page: lab.Browser, mouse: Mouse, folder: Path) -> None:
    """Hide a line, a logarithmic axis, enlarge, download, copy a row."""
    lines = "document.querySelector('[data-panel=latency] .crucible-plot')._fullData.length"
    before = page.page.evaluate(lines)
    mouse.press("[data-panel=latency] .crucible-entry:nth-of-type(2)")
    mouse.wait(f"{lines} === {before - 1}")
    mouse.press("[data-panel=latency] .crucible-entry:nth-of-type(2)")
    mouse.wait(f"{lines} === {before}")
    mouse.press("[data-panel=latency] .crucible-log")
    mouse.wait("document.querySelector('[data-panel=latency] .crucible-plot')._fullLayout.yaxis.type === 'log'")
    mouse.press("[data-panel=latency] .crucible-enlarge")
    mouse.wait("document.querySelector('[data-panel=latency] .crucible-plot').clientHeight > 400")
    mouse.press("[data-panel=latency] .crucible-enlarge")
    mouse.wait("document.querySelector('[data-panel=latency] .crucible-plot').clientHeight < 300")
    for kind, starts in (("csv", b"time,line,value\n"), ("svg", b"<svg"), ("png", b"\x89PNG")):
        mouse.press("[data-panel=latency] .crucible-menu summary")
        with page.page.expect_download() as saved:
            mouse.press(f"[data-panel=latency] .crucible-{kind}")
        path = folder / saved.value.suggested_filename
        saved.value.save_as(path)
        assert path.name == f"agent_Latency_ms.{kind}"
        assert path.read_bytes().startswith(starts)
    assert "TimeoutError" in mouse.text(".crucible-errors")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    mouse.press(".crucible-dearest .crucible-copy")
    mouse.wait("document.querySelector('.crucible-dearest').innerText.includes('done')")
    copied = page.page.evaluate("navigator.clipboard.readText()")
    assert '"sample_id":"q' in copied


def chooses(page: lab.Browser, mouse: Mouse) -> None:
    """Break down, axis and smoothing; the list of a choice stands a press of the mouse."""
    mouse.press(".crucible-by select")
    page.page.keyboard.press("Escape")
    mouse.view.locator(".crucible-by select").select_option("model")
    mouse.wait(
        "[...document.querySelectorAll('[data-panel=latency] .crucible-entry > span:first-of-type')]"
        ".map(one => one.textContent).sort().join() === 'a,b,c'"
    )
    assert mouse.text("[data-panel=rate] .crucible-chart-title") == "Throughput, events/s, by model"
    mouse.view.locator(".crucible-axis select").select_option("step")
    mouse.wait("document.querySelector('.crucible-plot')._fullLayout.xaxis.title.text === 'step'")
    mouse.view.locator(".crucible-axis select").select_option("elapsed")
    mouse.wait("document.querySelector('.crucible-plot')._fullLayout.xaxis.title.text === 's since the start'")
    mouse.view.locator(".crucible-axis select").select_option("time")
    mouse.view.locator(".crucible-smooth select").select_option("15")
    measured = "document.querySelector('[data-panel=\"column:loss\"] .crucible-plot')._fullData.some(one => one.name.endsWith('as measured'))"
    mouse.wait(measured)
    mouse.view.locator(".crucible-by select").select_option("")
    mouse.view.locator(".crucible-smooth select").select_option("0")
    mouse.wait(f"!{measured}")


def keys(page: lab.Browser, mouse: Mouse) -> None:
    """The keys of a chart: zoom, pan, crosshair, reset; Escape closes a list."""
    mouse.view.locator("[data-panel=latency] .crucible-area").focus()
    page.page.keyboard.press("ArrowRight")
    mouse.wait("document.querySelectorAll('.crucible-cross:not([hidden])').length === 6")
    page.page.keyboard.press("+")
    mouse.wait("document.querySelector('.crucible-live[data-zoomed]')")
    zoomed = page.page.evaluate(RANGES)
    page.page.keyboard.press("Shift+ArrowLeft")
    mouse.wait(f"({RANGES})[0] !== {zoomed[0]!r}")
    page.page.keyboard.press("0")
    mouse.wait("!document.querySelector('.crucible-live[data-zoomed]')")
    mouse.view.locator(".crucible-picker summary").press("Enter")
    page.page.keyboard.press("Escape")
    assert mouse.view.locator(".crucible-picker").get_attribute("open") is None


BOXED = """
import ipywidgets as W, pandas as pd, crucible_nb as cr
arms = [cr.start(name, clock='events') for name in ('one', 'two')]
for arm in arms:
    for i in range(300): _ = arm.record('call', latency_ms=100. + i % 7, success=i % 9 > 0, cost_usd=.1, time=i * 10**8)
    arm.stop()
verdict = cr.compare(*arms)
"""
SIZES = "[...document.querySelectorAll('.crucible-live')].map(one => one.clientWidth)"


def test_a_dashboard_in_any_box_leaves_the_page_alone(run: Any) -> None:
    page = run(BOXED, "verdict", wait=".crucible-view")
    page.wait_done()
    table = "JSON.stringify([...document.querySelectorAll('.crucible-view :is(table, caption, th, td)')].map(one => [one.clientWidth, getComputedStyle(one).whiteSpace, getComputedStyle(one).backgroundColor, getComputedStyle(one).position]))"
    before = page.page.evaluate(table)
    show = "\n".join(
        (
            "hidden = arms[0].dashboard(show=False)",
            "out = W.Output()",
            "with out:",
            "    print('before'); arms[1].dashboard(); print('after')",
            "display(W.HBox([W.Label('a'), hidden]), W.Tab([hidden]), W.Accordion([hidden], selected_index=0), W.VBox([hidden]), out)",
        )
    )
    page.page.evaluate(
        "code => window.jupyterapp.shell.currentWidget.content.model.sharedModel.addCell({cell_type: 'code', source: code})",
        show,
    )
    page.command("notebook:run-all-cells")
    page.page.wait_for_timeout(500)
    page.wait_done()
    page.wait("document.querySelectorAll('.crucible-live').length === 5", 60)
    assert all(width > 450 for width in page.page.evaluate(SIZES)), page.page.evaluate(SIZES)
    said = page.outputs()
    assert "before" in said
    assert "after" in said
    assert page.page.evaluate(table) == before
    clean(page)
