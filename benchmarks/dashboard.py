"""What the dashboard costs: bytes, the cell it watches, the way from data to pixels; beside one FigureWidget.

A real JupyterLab in Chromium. The watched cell never yields: 1,000 events/s of ten fields and arithmetic in between. What
it loses is told in three ways, with and without the dashboard in turn: work done in equal times, which a neighbour on the
same machine moves by far more than a dashboard does; the time in which the cell did not compute; and the processor time
that other threads of the kernel take. The kernel has a processor of its own, so that what a browser draws beside it, on
however few processors there are, does not count as the kernel's; what processors share besides, caches and clock, a row of
its own tells: what is lost without any dashboard beside a program that only computes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.timing import Row, at_most, table
from tests.notebook import lab

ALONE = """
import os
if hasattr(os, "sched_setaffinity") and os.cpu_count() > 1:
    for thread in os.listdir("/proc/self/task"): os.sched_setaffinity(int(thread), {0})
"""
"""A kernel has the first processor for itself."""
OURS = (
    ALONE
    + """
import crucible_nb as cr
exp = cr.start("watched", anomaly="auto")
dash = exp.dashboard(refresh=0.5)
def looks(): return dash.refresher.composer.number
def show(hz): dash.refresher.refresh = 1 / hz if hz else 3600.0; dash.refresher._wake.set()
"""
)
BY_MODEL = OURS.replace("refresh=0.5", 'refresh=0.5, by="model"')
THREE_ARMS = OURS.replace(
    "dash =",
    """
others = [cr.start(name) for name in ("second", "third")]
for other in others:
    other.extend(exp.df.__class__({"latency_ms": [400.0, 500.0] * 500, "success": [True] * 1000, "cost_usd": 1e-4}))
dash =""",
).replace("refresh=0.5", "refresh=0.5, compare=others")
# what people build by hand: six subplots of one figure, 1,000 points each, replaced by a thread
FIGURE = (
    ALONE
    + """
import threading, time, numpy as np, plotly.graph_objects as go, crucible_nb as cr
from plotly.subplots import make_subplots
exp = cr.start("watched", anomaly="auto")
fig = go.FigureWidget(make_subplots(rows=2, cols=3))
for i in range(6): fig.add_scatter(y=np.zeros(1000), row=i // 3 + 1, col=i % 3 + 1)
rate = [2]
def push():
    while True:
        time.sleep(1 / rate[0] if rate[0] else .1)
        if rate[0]:
            y = exp.query_window(last_n=1000)["latency_ms"].to_numpy()
            with fig.batch_update():
                for one in fig.data: one.y = y
def looks(): return 0
def show(hz): rate[0] = hz
threading.Thread(target=push, daemon=True).start()
display(fig)
"""
)
WATCHED = """
import json, random, time
def busy(seconds):
    random.seed(1)
    begin, cpu, mine, work, i, looked = time.perf_counter(), time.process_time(), time.thread_time(), 0, 0, looks()
    while (now := time.perf_counter() - begin) < seconds:
        while i < 1000 * now:
            exp.record("llm.request", latency_ms=random.lognormvariate(6, .3), success=i % 50 > 0, cost_usd=1e-4, model=f"gpt-{i % 8}",
                       prompt_tokens=300, completion_tokens=80, loss=random.random(), accuracy=.5, step=i)
            i += 1
        work += sum(range(200)) > 0
    mine, wall = time.thread_time() - mine, time.perf_counter() - begin
    return work / wall, (time.process_time() - cpu - mine) / wall, 1 - mine / wall, (looks() - looked) / wall
found = {}
busy(2)
for turn in range(ROUNDS):
    for hz in (0, 2, 10, 10, 2, 0):
        show(hz)
        busy(.3)  # a change of the rate is a tick of its own
        found.setdefault(hz, []).append(busy(SECONDS))
print("FOUND " + json.dumps(found))
"""
FULL = """
import numpy as np, pandas as pd, time, threading, random, crucible_nb as cr
exp = cr.start("full", anomaly=None)
rng, n = np.random.default_rng(1), SIZE
exp.extend(pd.DataFrame({"latency_ms": rng.lognormal(6, .3, n), "success": rng.random(n) < .98, "cost_usd": rng.random(n) * 1e-3, "loss": rng.random(n)},
                        index=pd.to_datetime(time.time_ns() - np.arange(n)[::-1] * (280 * 10**9 // WITHIN), utc=True)))
exp.dashboard(refresh=0.1)
def feed():
    while exp.status == "running":
        exp.record("llm.request", latency_ms=random.lognormvariate(6, .3), success=True, cost_usd=1e-3, loss=random.random())
        time.sleep(.001)
threading.Thread(target=feed, daemon=True).start()
"""
FRAMES = """seconds => new Promise(done => {
  const gaps = []; let last = performance.now(); const end = last + 1000 * seconds;
  const step = now => { gaps.push(now - last); last = now; now < end ? requestAnimationFrame(step) : done(gaps) };
  requestAnimationFrame(step);
})"""
# each chart counts for itself, and each message until the chart shows it or a newer one; one that was never drawn
# by itself is as old as those before and after it let it be
LATE = """seconds => new Promise(done => {
  const late = [], root = document.querySelector('.crucible-charts'), shown = new Map();
  const seen = (entries, frame) => {
    const at = performance.timeOrigin + frame; // when the frame after the drawing began
    for (const chart of new Set(entries.map(one => one.target))) {
      const [n, now] = [Number(chart.dataset.n), Number(chart.dataset.now)];
      const before = shown.get(chart) ?? {n: n - 1, now};
      for (let i = before.n + 1; i <= n; i++) late.push(at - now + (n - i) * (now - before.now) / (n - before.n));
      shown.set(chart, {n, now});
    }
  };
  new MutationObserver(found => requestAnimationFrame(frame => seen(found, frame))).observe(root, {subtree: true, attributes: true, attributeFilter: ['data-now']});
  setTimeout(() => done(late), 1000 * seconds);
})"""


PLOTLY = lab.ROOT / "crucible_nb/notebook/js/node_modules/plotly.js-basic-dist-min/plotly-basic.min.js"


@contextlib.contextmanager
def beside() -> Iterator[None]:
    """What is started within, browser and server, leaves the kernel's processor alone."""
    all_of_them = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if all_of_them - {0}:
        os.sched_setaffinity(0, all_of_them - {0})
    try:
        yield
    finally:
        if all_of_them:
            os.sched_setaffinity(0, all_of_them)


@contextlib.contextmanager
def page(*cells: str) -> Iterator[lab.Browser]:
    folder = Path(tempfile.mkdtemp(prefix="crucible-bench-"))
    name = lab.notebook(folder, *cells)
    with lab.Server(folder) as server, lab.Browser() as one:
        one.open(server, name)
        one.run_all()
        yield one


def watched(start: str, ready: str, rounds: int, seconds: float) -> tuple[dict[str, Any], lab.Browser, list[float]]:
    """Work a second and processor time of others, by rate; the page with what it received; ms from data to pixel."""
    with beside(), page(start, WATCHED.replace("ROUNDS", str(rounds)).replace("SECONDS", str(seconds))) as one:
        one.page.wait_for_selector(ready, timeout=60_000)
        late = []
        end = time.monotonic() + 60 + rounds * 6 * (seconds + 0.3) * 2
        while "FOUND" not in one.outputs() and time.monotonic() < end:
            if ready == ".crucible-live[data-n]":
                late += one.page.evaluate(LATE, 2)
            else:
                one.page.wait_for_timeout(1000)
        return json.loads(one.outputs().split("FOUND ")[1].splitlines()[0]), one, late


def _pairs(found: dict[str, Any], hz: int, what: int) -> tuple[np.ndarray, np.ndarray]:
    """Without and with: within one round, what else runs is much the same."""
    none, some = (np.reshape([one[what] for one in found[key]], (-1, 2)).mean(axis=1) for key in ("0", str(hz)))
    return none, some


def slower(found: dict[str, Any], hz: int) -> tuple[float, float, float]:
    """Percent of its work that the cell loses, median of the rounds, with its 95 % bootstrap interval."""
    none, some = _pairs(found, hz, 0)
    return _median(100 * (1 - some / none))


def taken(found: dict[str, Any], hz: int) -> tuple[float, float, float]:
    """Percent of a processor that other threads of the kernel take, above what they take without."""
    none, some = _pairs(found, hz, 1)
    return _median(100 * (some - none))


def waiting(found: dict[str, Any], hz: int) -> tuple[float, float, float]:
    """Percent of the time in which the cell did not compute, above what it is without."""
    none, some = _pairs(found, hz, 2)
    return _median(100 * (some - none))


def _median(values: np.ndarray) -> tuple[float, float, float]:
    around = stats.bootstrap((values,), np.median, method="percentile", rng=1).confidence_interval
    return float(np.median(values)), around.low, around.high


def smooth(size: int, within: int, quick: bool) -> list[Row]:
    """Frames and delays at 10 Hz with many events."""
    with page(FULL.replace("SIZE", str(size)).replace("WITHIN", str(within))) as one:
        one.page.wait_for_selector(".crucible-live[data-n]", timeout=120_000)
        one.page.wait_for_timeout(5000 if size > 10**6 else 2000)
        late = one.page.evaluate(LATE, 4 if quick else 10)
        gaps = sorted(one.page.evaluate(FRAMES, 4 if quick else 10))
        what = f"{within:.0e} events on screen, {size:.0e} in the buffer, 10 Hz"
        return [
            at_most(f"{what}: data to pixel, median", median(late), 100, " ms"),
            at_most(f"{what}: longest frame in 99 %", gaps[int(0.99 * len(gaps))], 100, " ms"),
            at_most(
                f"{what}: points drawn", float(one.page.get_attribute(".crucible-live", "data-points")), 10_000, ""
            ),
        ]


BUSY = """
import time
end = time.time() + 60
while time.time() < end and not exp.should_stop:
    exp.record("x", latency_ms=1.0)
    sum(range(500))
"""


def answers(turns: int) -> list[float]:
    """Seconds from a click to the status it asks for, inside a cell that never yields."""
    with page(OURS, BUSY) as one:
        one.page.wait_for_selector(".crucible-live[data-status=running]", timeout=60_000)
        one.page.wait_for_timeout(2000)
        taken = []
        for button, status in [("pause", "paused"), ("pause", "running")] * turns + [("stop", "stopped")]:
            begun = time.monotonic()
            one.page.click(f".crucible-{button}")
            one.page.wait_for_selector(f".crucible-live[data-status={status}]", timeout=10_000)
            taken.append(time.monotonic() - begun)
        return taken


SIX = """async () => {
  const plots = [...Array(6)].map(() => document.body.appendChild(document.createElement('div')));
  const x = Float64Array.from({length: 1000}, (_, i) => i), layout = {width: 300, height: 168};
  const draw = () => { const begin = performance.now(); for (const plot of plots) Plotly.react(plot, [{x, y: x.map(Math.random), mode: 'lines'}], layout); return performance.now() - begin };
  const times = [];
  for (let i = 0; i < 40; i++) { times.push(draw()); await new Promise(done => setTimeout(done, 100)) }
  return times.slice(10).sort((one, two) => one - two)[15];
}"""


def plain() -> float:
    """Milliseconds that plotly.js takes for six charts of one line each: how fast this machine's browser is."""
    with beside(), lab.Browser() as one:
        one.page.goto("about:blank")
        one.page.add_script_tag(path=PLOTLY)
        return float(one.page.evaluate(SIX))


COMPUTES = "while True: sum(range(1000))"


def neighbour(rounds: int, seconds: float) -> tuple[float, float, float]:
    """Percent of its work that a program loses, without any dashboard, beside another that keeps the other processors busy."""
    with beside():
        other = subprocess.Popen([sys.executable, "-c", COMPUTES])
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    try:
        lost = []
        for _ in range(rounds):
            done = []
            for turn in (signal.SIGSTOP, signal.SIGCONT, signal.SIGCONT, signal.SIGSTOP):
                other.send_signal(turn)
                time.sleep(0.1)
                done.append(_work(seconds))
            lost.append(100 * (1 - (done[1] + done[2]) / (done[0] + done[3])))
        return _median(np.array(lost))
    finally:
        os.sched_setaffinity(0, mine)
        other.kill()
        other.wait()


def _work(seconds: float) -> float:
    begin, work = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        work += sum(range(200)) > 0
    return work / (time.perf_counter() - begin)


def budgets(start: str, what: str, rounds: int, seconds: float, tick: float = 6) -> list[Row]:
    """Bytes and waits of a page; at most `tick` kB a tick."""
    found, mine, _ = watched(start, ".crucible-live[data-n]", rounds, seconds)
    rows = [
        at_most(f"{what}: a tick, keyframes spread over them", _spread(mine), tick, " kB"),
        at_most(f"{what}: the tables, largest", max(mine.messages("tables"), default=0) / 1e3, 4, " kB"),
    ]
    for hz, limit in ((2, 1), (10, 4)):
        value, low, high = waiting(found, hz)
        said = f", 95 % {low:.2f} to {high:.2f}"
        rows.append(at_most(f"{what}: time the cell waits at {hz} Hz", value, limit, " %", said))
    return rows


def _spread(page: lab.Browser) -> float:
    """kB of a tick, with the keyframes spread over them."""
    return sum(page.messages()) / len(page.messages()) / 1e3


def short(rounds: int = 3, seconds: float = 1.0) -> str:
    """The budgets of the three kinds of pages alone, within a few minutes."""
    load = os.getloadavg()[0]
    rows = budgets(OURS, "one arm", rounds, seconds, tick=2)
    rows += budgets(BY_MODEL, "by eight models", rounds, seconds)
    rows += budgets(THREE_ARMS, "three arms", rounds, seconds)
    return table(f"Dashboard, budgets (load of the machine before: {load:.1f})", rows)


def main(*, quick: bool = False) -> str:
    """The table."""
    load = os.getloadavg()[0]
    rounds, seconds = (3, 1.5) if quick else (16, 1.5)
    ours, mine, late = watched(OURS, ".crucible-live[data-n]", rounds, seconds)
    figure, theirs, _ = watched(FIGURE, ".js-plotly-plot", rounds, seconds)
    came = [(size, head) for _, way, size, head in mine.frames if way == "in"]
    boot = max(size for size, head in came if b'"comm_open"' in head or b'"kind":"code"' in head)
    boots = max(size for _, way, size, head in theirs.frames if way == "in" and b'"comm_open"' in head)
    updates = [size for _, way, size, head in theirs.frames if b'"comm_msg"' in head and b'"update"' in head]
    pushes = max(rounds * (seconds + 0.3) * 2 * 12, 1)
    ticks = mine.messages("tick")
    rows = [
        at_most("boot", boot / 1e6, 1.5, " MB", f" (FigureWidget {boots / 1e6:.1f} MB)"),
        at_most("a tick, largest", max(ticks) / 1e3, 2, " kB"),
        at_most("a tick, keyframes spread over them", _spread(mine), 2, " kB",
                f" (FigureWidget {sum(updates) / pushes / 1e3:.0f} kB an update)"),
        at_most("data to pixel while the cell is busy, median", median(late), 100, " ms"),
    ]  # fmt: skip
    if PLOTLY.is_file():  # after `make browser`
        rows.append(Row("plotly.js for six plain charts, nothing else", f"{plain():.0f} ms", "stated", met=True))
    for hz, limit in ((2, 1), (10, 4)):
        looked = np.mean([one[3] for one in ours[str(hz)]])
        rows.append(Row(f"looks a second, {hz} asked for", f"{looked:.1f}", "stated", met=True))
        for what, measure in (
            ("work the cell loses", slower),
            ("time the cell waits", waiting),
            ("processor time of other threads", taken),
        ):
            (value, low, high), other = measure(ours, hz), measure(figure, hz)[0]
            said = f", 95 % {low:.2f} to {high:.2f} (FigureWidget {other:.1f} %)"
            rows.append(at_most(f"{what} at {hz} Hz", value, limit, " %", said))
    if hasattr(os, "sched_getaffinity") and os.cpu_count() > 1:
        value, low, high = neighbour(rounds, seconds)
        said = f"{value:.2f} %, 95 % {low:.2f} to {high:.2f}"
        rows.append(
            Row("without a dashboard, beside a program that keeps the other processors busy", said, "stated", met=True)
        )
    rows += budgets(BY_MODEL, "by eight models", rounds, seconds)
    rows += budgets(THREE_ARMS, "three arms", rounds, seconds)
    rows.append(at_most("a button inside a busy cell, slowest answer", max(answers(3 if quick else 10)), 1, " s"))
    rows += smooth(10**5, 10**5, quick)
    rows += smooth(10**6 if quick else 10**7, 10**5, quick)
    return table(f"Dashboard (load of the machine before: {load:.1f})", rows)


if __name__ == "__main__":
    print(short() if sys.argv[1:] == ["--short"] else main(quick=True))
