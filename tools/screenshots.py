"""Pictures of the dashboard in a real browser, for the guides: `python tools/screenshots.py [FOLDER]`.

A run with a latency spike, an error burst and a cost overrun, light and dark; two arms side by side; and what is left
without a kernel. Needs the extra `test` and Chromium. Writes into docs/guides/pictures, or FOLDER.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.notebook import lab  # noqa: E402

START = """
import time, numpy as np, crucible_nb as cr
rng = np.random.default_rng(1)
exp = cr.start("support agent, prompt v7", condition="treatment", sample_size=20_000, anomaly="auto",
               anomaly_config={"metrics": ["latency_ms", "success", "cost_usd"]})
exp.watch("p95_latency_ms > 900 over 1min")
exp.dashboard()
"""
WORK = """
begin, i = time.time(), 0
while time.time() - begin < SECONDS and not exp.should_stop:
    while i < 300 * (time.time() - begin):
        t = i / 300
        exp.record("llm.request", model="gpt-4o", latency_ms=float(rng.lognormal(5.9, .22)) * (4 if 16 < t < 18 else 1),
                   success=bool(rng.random() < (.55 if 26 < t < 28 else .99)),
                   cost_usd=float(rng.normal(6e-4, 6e-5)) * (5 if t > 36 else 1),
                   prompt_tokens=int(rng.integers(300, 500)), completion_tokens=int(rng.integers(60, 120)),
                   judge_score=float(np.tanh(t / 20) + rng.normal() * .08))
        i += 1
    sum(range(1000))
"""
ARMS = """
import time, numpy as np, crucible_nb as cr
rng = np.random.default_rng(2)
a = cr.start("prompt v6", condition="control", anomaly="auto")
b = cr.start("prompt v7", condition="treatment", anomaly="auto")
a.dashboard(compare=b)
"""
BOTH = """
begin, i = time.time(), 0
while time.time() - begin < SECONDS:
    while i < 150 * (time.time() - begin):
        for arm, mu, good, usd in ((a, 6.3, .93, 3e-4), (b, 6.1, .965, 3.1e-4)):
            arm.record("llm.request", latency_ms=float(rng.lognormal(mu, .3)), success=bool(rng.random() < good),
                       cost_usd=float(rng.gamma(9, usd / 9)), prompt_tokens=420, completion_tokens=90)
        i += 1
    sum(range(1000))
"""


@contextmanager
def running(*cells: str, theme: str = "light") -> Iterator[lab.Browser]:
    """A notebook that runs these cells, its dashboard on the screen."""
    folder = Path(tempfile.mkdtemp(prefix="crucible-pictures-"))
    name = lab.notebook(folder, *cells)
    style = "JupyterLab Dark" if theme == "dark" else "JupyterLab Light"
    with lab.Server(folder, theme=style) as server, lab.Browser((1280, 1400)) as page:
        page.open(server, name)
        page.command("application:toggle-left-area")
        page.run_all()
        page.page.wait_for_selector(".crucible-live[data-n]", timeout=30_000)
        yield page


def shoot(page: lab.Browser, path: Path, selector: str = ".crucible-live") -> None:
    """A picture of one element."""
    page.page.locator(selector).first.scroll_into_view_if_needed()
    page.page.wait_for_timeout(600)
    page.page.locator(selector).first.screenshot(path=str(path))
    print(path)


def main(folder: Path) -> None:
    """Make all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for theme in ("light", "dark"):
        with running(START, WORK.replace("SECONDS", "46"), "exp.stop()", theme=theme) as page:
            page.page.click(".crucible-windows label:first-of-type")
            page.page.wait_for_timeout(39_000)
            shoot(page, folder / f"dashboard-{theme}.png")
            if theme == "light":
                page.wait_done()
                shoot_static(page, folder / "dashboard-static.png")
    with running(ARMS, BOTH.replace("SECONDS", "32")) as page:
        page.page.wait_for_timeout(28_000)
        shoot(page, folder / "dashboard-compare.png")


def shoot_static(page: lab.Browser, path: Path) -> None:
    """What is left without a kernel: the saved output, shown by a page that has none."""
    script = f"""() => [...{lab.PANEL}.content.model.cells].flatMap(c => c.outputs ? [...Array(c.outputs.length).keys()]
        .map(i => c.outputs.get(i).toJSON().data?.['text/html']).filter(Boolean) : [])[0]"""
    page.page.wait_for_timeout(1500)
    still = page.page.evaluate(script)
    other = page.new_page()
    other.set_content(f"<body style='font:13px sans-serif;padding:16px'>{''.join(still)}</body>")
    other.locator(".crucible-static").screenshot(path=str(path))
    other.close()
    print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "guides" / "pictures")
