"""One look at the dashboard in Debian's Firefox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import missing
from tests.notebook import lab
from tests.notebook.firefox import FIREFOX, Firefox
from tests.notebook.test_browser import BUSY, START

pytestmark = [pytest.mark.browser, pytest.mark.check]

CELLS = "window.jupyterapp?.shell?.currentWidget"


def test_the_dashboard_is_live_and_controls_stand_a_mouse(served: lab.Server) -> None:
    if FIREFOX is None:
        missing("Firefox (apt-get install firefox-esr)")
    name = lab.notebook(Path(served.root), START, BUSY, name="firefox.ipynb")
    with Firefox() as page:
        page.open(served.url(name))
        page.wait(f"{CELLS}?.sessionContext?.session?.kernel?.status === 'idle'")
        page.evaluate("(window.jupyterapp.commands.execute('notebook:run-all-cells'), true)")
        page.wait("document.querySelector('.crucible-live[data-n][data-status=running]')")
        page.wait("parseFloat(document.querySelector('.crucible-large').innerText) > 0")
        page.press("[data-panel=latency] .crucible-entry:nth-of-type(2)")
        page.wait("document.querySelector('[data-panel=latency] .crucible-plot')._fullData.length === 2", 15)
        page.press(".crucible-windows label:nth-of-type(4) span")
        page.wait("document.querySelector('.crucible-caption').innerText.startsWith('Whole run')", 15)
        page.press(".crucible-controls .crucible-stop")
        page.wait("document.querySelector('.crucible-live[data-status=stopped]')", 30)
