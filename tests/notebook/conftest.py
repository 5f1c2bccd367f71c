"""Fixtures of the browser tests: a check for Chromium, one server per application, one page per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crucible_nb.experiment import live, session
from crucible_nb.notebook import dashboards
from tests.conftest import missing
from tests.notebook import lab, shells


@pytest.fixture(autouse=True)
def nothing_open() -> Iterator[None]:
    """No dashboard of one test is there in the next."""
    yield
    dashboards.close_all()


@pytest.fixture
def ip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A shell with the extension, in a kernel that knows no experiment."""
    with monkeypatch.context() as patched, shells.shell(tmp_path) as one:
        patched.setattr(live.LIVE, "_entries", [])
        yield one
        for experiment in session.known():
            if experiment.status in ("running", "paused"):
                experiment.stop()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Server]:
    """One JupyterLab for all tests."""
    if lab.CHROMIUM is None:
        missing("Chromium (apt-get install chromium)")
    with lab.Server(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def browser(served: lab.Server) -> Iterator[lab.Browser]:
    """A page of its own, with nothing remembered."""
    with lab.Browser() as one:
        yield one
        end_kernels(served)


def end_kernels(server: lab.Server) -> None:
    import json

    for one in json.loads(server.api("GET", "/api/sessions")):
        server.api("DELETE", f"/api/sessions/{one['id']}")


@pytest.fixture
def run(served: lab.Server, browser: lab.Browser, request: pytest.FixtureRequest) -> Any:
    """Writes a notebook of these cells, opens it and runs all of it; the page is the browser's."""

    def start(*cells: str, wait: str = ".crucible-live[data-n]") -> lab.Browser:
        name = lab.notebook(
            Path(served.root), *cells, name=f"{request.node.name[:40]}.ipynb".replace("[", "-").replace("]", "")
        )
        browser.open(served, name)
        browser.run_all()
        if wait:
            browser.page.wait_for_selector(wait, timeout=30_000)
        return browser

    return start
