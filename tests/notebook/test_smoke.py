"""One look at the dashboard in a real browser; `make check` runs the others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.notebook.test_browser import BUSY, START, clean

pytestmark = pytest.mark.browser


def test_the_dashboard_is_live_and_its_stop_button_ends_the_run(run: Any) -> None:
    page = run(START, BUSY, wait=".crucible-live[data-status=running]")
    page.wait("parseFloat(document.querySelector('.crucible-large').innerText) > 0")
    page.page.click(".crucible-stop")
    page.page.wait_for_selector(".crucible-live[data-status=stopped]", timeout=30_000)
    page.wait_done(30)
    assert "left the loop stopped" in page.outputs()
    clean(page)
