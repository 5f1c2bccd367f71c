"""The dashboard after a crash of the kernel, and in a notebook that reads while another process writes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import crucible_nb as cr
from tests.notebook import lab
from tests.notebook.lab import PANEL
from tests.notebook.test_browser import clean

pytestmark = [pytest.mark.browser, pytest.mark.check]

OPTIONS = "sample_size=1_000_000, anomaly='z_score', seed=1"
START = "import crucible_nb as cr\nexp = cr.start('night', store={store!r}, on_exists='resume', " + OPTIONS + ")"
ATTACH = "import crucible_nb as cr\nexp = cr.attach('night', store={store!r})"
# never yields; writes down what was acknowledged, the way a caller would know it; ends when the test says so
FEED = """
import os, time
from pathlib import Path
place = Path({store!r})
exp.pause(); time.sleep(1.2); exp.resume()
(place / 'pid').write_text(str(os.getpid()))
known, n = os.open(place / 'known', os.O_CREAT | os.O_WRONLY), exp.summary()['total_events']
while not (place / 'end').exists():
    assert exp.record('llm.request', latency_ms=100.0 + n % 9 + 900 * (n == 1500), success=n % 50 > 0, loss=1 / (1 + n))
    n += 1
    os.pwrite(known, b'%12d' % n, 0)
    sum(range(2000))
print('total', exp.summary()['total_events'], 'pauses', exp.pause_count)
"""
WRITER = """
import sys, crucible_nb as cr
exp = cr.start("theirs", store=sys.argv[1], on_exists="resume", anomaly="z_score", sample_size=1_000_000)
print("ready", flush=True)
for line in sys.stdin:
    for n in range(int(line)):
        exp.record("call", latency_ms=100.0 + n % 9 + 900 * (n == 1500))
    print("done", flush=True)
"""
TOTAL = "parseInt(document.querySelector('.crucible-live .crucible-title').innerText.match(/([\\d,]+) of/)[1].replaceAll(',', ''))"


def total(page: lab.Browser) -> int:
    return page.page.evaluate(TOTAL)


def shown_at_least(page: lab.Browser, count: int, status: str = "running") -> None:
    page.wait(f"document.querySelector('.crucible-live[data-status={status}]:not([data-stale])') && {TOTAL} >= {count}")


@pytest.mark.parametrize("again", [START, ATTACH], ids=["start", "attach"])
def test_a_kernel_that_was_killed_and_the_cell_run_again(run: Any, tmp_path: Path, again: str) -> None:
    store = str(tmp_path)
    page = run(START.format(store=store) + "\nexp.dashboard()", FEED.format(store=store))
    page.page.wait_for_selector(".crucible-anomalies tbody tr", timeout=30_000)
    shown_at_least(page, 3000)
    reason = page.page.locator(".crucible-anomalies tbody tr").first.inner_text()
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    known = int((tmp_path / "known").read_text())

    page.page.locator(".jp-Dialog button.jp-mod-accept").click()  # the kernel has died and restarts, says the host
    page.page.wait_for_selector(".crucible-live[data-stale]", timeout=15_000)
    # where the kernel takes long to come again there is silence first; that it is gone shows when it is spoken to
    page.wait(
        "document.querySelector('.crucible-said').innerText.includes('the kernel of this dashboard has ended')", 15
    )
    assert page.page.locator(".crucible-pause").is_disabled()
    assert page.page.locator(".crucible-anomalies tbody tr").first.inner_text() == reason
    assert cr.experiments(store).status.tolist() == ["dead"]
    assert not page.page.locator(".crucible-left").is_visible()

    page.page.evaluate(f"async () => {{ await {PANEL}.context.save() }}")
    page.page.reload()  # a page that never knew the widget shows the picture that was saved, and says so
    page.page.wait_for_selector(".crucible-left", timeout=60_000)
    assert "The kernel of this dashboard has ended: as of" in page.page.locator(".crucible-left").inner_text()
    assert page.page.locator(".crucible-left caption").first.inner_text() == "night"
    assert not page.page.get_by_text("Error displaying widget").is_visible()

    (tmp_path / "pid").unlink()
    page.page.evaluate(
        f"code => {PANEL}.content.model.cells.get(0).sharedModel.setSource(code)",
        again.format(store=store) + "\nexp.dashboard()",
    )
    page.run_all()
    shown_at_least(page, known + 500)  # all that was known, and it goes on
    assert page.page.locator(".crucible-live").count() == 1
    assert not page.page.locator(".crucible-left").is_visible()
    assert page.page.locator(".crucible-anomalies tbody tr").first.inner_text() == reason
    assert page.page.locator(".crucible-chart").count() >= 3
    assert "paused" in page.page.locator(".crucible-title").inner_text()
    (tmp_path / "end").touch()
    page.wait_done()
    assert "pauses 2" in page.outputs()
    [count] = [int(line.split()[1]) for line in page.outputs().splitlines() if line.startswith("total")]
    shown_at_least(page, count)
    assert total(page) == count
    assert page.blocked == []
    assert [one for one in page.errors if "crucible" in one] == []


class Writer:
    """Another process that records when it is told to."""

    def __init__(self, store: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=lab.ROOT,
        )
        assert self.process.stdout.readline().strip() == "ready"

    def record(self, count: int) -> None:
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "done"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[Any]:
    made: list[Writer] = []

    def begin() -> Writer:
        made.append(Writer(tmp_path))
        return made[-1]

    yield begin
    for one in made:
        one.kill()


def test_a_read_only_notebook(run: Any, writers: Any, tmp_path: Path) -> None:
    writer = writers()
    writer.record(1000)
    look = f"import crucible_nb as cr\nexp = cr.attach('theirs', store={str(tmp_path)!r}, mode='read')\nexp.dashboard()"
    page = run(look, wait=".crucible-live[data-status=running]")
    shown_at_least(page, 1000)
    assert page.page.locator(".crucible-pause").is_disabled()
    assert page.page.locator(".crucible-stop").is_disabled()
    assert "Read-only" in page.page.locator(".crucible-said").inner_text()
    writer.record(2000)
    shown_at_least(page, 3000)
    page.page.wait_for_selector(".crucible-anomalies tbody tr")
    writer.kill()
    page.page.wait_for_selector(".crucible-live[data-status=dead]", timeout=10_000)
    assert "dead" in page.page.locator(".crucible-state").inner_text()
    assert total(page) == 3000
    other = writers()
    other.record(500)
    shown_at_least(page, 3500)
    assert page.page.locator(".crucible-anomalies tbody tr").count() == 1
    clean(page)
