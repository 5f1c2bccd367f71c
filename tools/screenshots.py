"""Pictures of the dashboard in a real browser, for the guides: `python tools/screenshots.py [FOLDER]`.

A run with a latency spike, an error burst and a cost overrun, light and dark, by model, with one chart enlarged, and
narrow; a training by step; three arms side by side; and what is left without a kernel. Needs the extra `test` and
Chromium. Writes into docs/guides/pictures, or FOLDER.
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
        m, good = i % 7 % 3, bool(rng.random() < (.55 if 26 < t < 28 else .99))
        exp.record("llm.request", model=("gpt-4o", "gpt-4o-mini", "claude-sonnet")[m],
                   sample_id=f"q-{i:05d}", success=good,
                   latency_ms=float(rng.lognormal(5.9 - .3 * m, .22)) * (4 if 16 < t < 18 else 1),
                   error=None if good else ("RateLimitError", "TimeoutError")[i % 3 > 1],
                   cost_usd=float(rng.normal(6e-4, 6e-5)) * (5 if t > 36 else 1),
                   prompt_tokens=int(rng.integers(300, 500)), completion_tokens=int(rng.integers(60, 120)),
                   judge_score=float(np.tanh(t / 20) + rng.normal() * .08))
        i += 1
    sum(range(1000))
"""
ARMS = """
import time, numpy as np, crucible_nb as cr
rng = np.random.default_rng(2)
a, b, c = (cr.start(f"prompt v{i}", anomaly="auto") for i in (6, 7, 8))
a.dashboard(compare=[b, c])
"""
BOTH = """
begin, i = time.time(), 0
while time.time() - begin < SECONDS:
    while i < 150 * (time.time() - begin):
        for arm, mu, good, usd in ((a, 6.3, .93, 3e-4), (b, 6.1, .965, 3e-4), (c, 6.25, .94, 2.6e-4)):
            arm.record("llm.request", latency_ms=float(rng.lognormal(mu, .3)), success=bool(rng.random() < good),
                       cost_usd=float(rng.gamma(9, usd / 9)), prompt_tokens=420, completion_tokens=90)
        i += 1
    sum(range(1000))
"""
TRAIN = """
import time, numpy as np, crucible_nb as cr
rng = np.random.default_rng(3)
exp = cr.start("resnet, lr 0.1", metadata={"lr": .1})
exp.dashboard()
for step in range(4000):
    loss = float(2.3 * np.exp(-step / 900) + .1 * rng.random())
    exp.record("train.step", {"train/loss": loss}, step=step,
               accuracy=float(1 - .9 * np.exp(-step / 800)), learning_rate=.1 * .999 ** step,
               gradient_norm=float(rng.gamma(3)))
    time.sleep(.002)
exp.stop()
"""


@contextmanager
def running(*cells: str, theme: str = "light") -> Iterator[lab.Browser]:
    """A notebook that runs these cells, its dashboard on the screen."""
    folder = Path(tempfile.mkdtemp(prefix="crucible-pictures-"))
    name = lab.notebook(folder, *cells)
    style = "JupyterLab Dark" if theme == "dark" else "JupyterLab Light"
    with lab.Server(folder, theme=style) as server, lab.Browser((1280, 2000)) as page:
        page.open(server, name)
        page.command("application:toggle-left-area")
        page.run_all()
        page.page.wait_for_selector(".crucible-live[data-n]", timeout=120_000)
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
                shoot_variants(page, folder)
                page.wait_done()
                shoot_static(page, folder / "dashboard-static.png")
    with running(TRAIN) as page:
        page.wait_done()
        page.page.wait_for_timeout(2000)
        shoot(page, folder / "dashboard-training.png")
    with running(ARMS, BOTH.replace("SECONDS", "32")) as page:
        page.page.wait_for_timeout(28_000)
        shoot(page, folder / "dashboard-compare.png")


def shoot_variants(page: lab.Browser, folder: Path) -> None:
    """The same run by model, with one chart enlarged, and in a narrow cell."""
    page.page.select_option(".crucible-by select", "model")
    page.page.wait_for_timeout(2000)
    shoot(page, folder / "dashboard-by-model.png")
    page.page.click("[data-panel=latency] .crucible-enlarge")
    page.page.wait_for_timeout(1000)
    shoot(page, folder / "dashboard-enlarged.png")
    page.page.click("[data-panel=latency] .crucible-enlarge")
    narrow = (
        "Object.assign(document.querySelector('.crucible-live').parentElement.style, {width: '400px', minWidth: '0'})"
    )
    page.page.evaluate(f"({narrow}, true)")
    page.page.wait_for_timeout(1500)
    shoot(page, folder / "dashboard-narrow.png")
    page.page.evaluate("document.querySelector('.crucible-live').parentElement.style.width = ''")


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
