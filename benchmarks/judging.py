"""Cost of judging per event and metric in blocks of 4,096, and how soon a callback hears of an anomaly.

The cost is processor time of this process (`time.process_time`), so that others on the machine change it little.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time, sleep

import numpy as np

import crucible_nb as cr
from benchmarks.timing import Row, at_most, ratio, rounds, table
from crucible_nb.anomaly import CUSUM, EWMA, IQR, Auto, Detector, IsolationForest, ModifiedZScore, ZScore
from crucible_nb.anomaly.kernel import KERNEL
from crucible_nb.events.event_columns import EventColumns

BLOCK = 4096
KINDS: dict[str, Callable[..., Detector]] = {
    "auto": Auto,
    "z-score": lambda *args, **options: ZScore(*args, 6.0, **options),
    "EWMA": lambda *args, **options: EWMA(*args, 6.0, **options),
    "CUSUM": lambda *args, **options: CUSUM(*args, 24.0, **options),
    "modified z-score": lambda *args, **options: ModifiedZScore(*args, 8.0, **options),
    "IQR": lambda *args, **options: IQR(*args, 8.0, **options),
}
COMPILED = ("auto", "z-score", "EWMA", "CUSUM")
AIM = 400  # ns of auto with numpy alone
SUM = "np.sum"


def blocks(n: int, groups: int) -> list[EventColumns]:
    """Normal latencies with one spike in 2,000, of some models."""
    rng = np.random.default_rng(0)
    values, codes = rng.normal(400, 50, n), rng.integers(0, groups, n)
    values[rng.choice(n, n // 2000, replace=False)] *= 5
    labels = [f"model-{i}" for i in range(groups)]

    def block(start: int) -> EventColumns:
        x, c = values[start : start + BLOCK], codes[start : start + BLOCK].astype(np.int32)
        names = ["latency_ms", "model"]
        return EventColumns(np.arange(start, start + len(x)), names, lambda _: x, lambda _: (c, labels), lambda: None)

    return [block(start) for start in range(0, n, BLOCK)]


def cost(detector: Detector, events: list[EventColumns], compiled: bool) -> float:
    """ns per event, warm-up aside."""
    KERNEL._walk, KERNEL._requested = WALK if compiled else None, True
    running, spent, count = detector.begin(), 0.0, 0
    for i, block in enumerate(events):
        start = process_time()
        running.judge(block)
        if i >= 2:
            spent += process_time() - start
            count += len(block)
    return spent / count * 1e9


def summing(events: list[EventColumns]) -> float:
    """ns per value of numpy's sum of the same blocks, ten times over."""
    values = [block["latency_ms"] for block in events]
    start = process_time()
    for _ in range(10):
        for x in values:
            x.sum()
    return (process_time() - start) / sum(map(len, values)) / 10 * 1e9


def peer(n: int) -> float:
    """ns per event of river's GaussianScorer, score and learn."""
    from river.anomaly import GaussianScorer

    model, values = GaussianScorer(), np.random.default_rng(0).normal(400, 50, n).tolist()
    start = process_time()
    for value in values:
        model.score_one(None, value)
        model.learn_one(None, value)
    return (process_time() - start) / n * 1e9


def heard(seed: int, pause: float, spin: int) -> float:
    """ms from the return of `record` to the callback; between events the producer sleeps or computes."""
    rng, got, at = np.random.default_rng(seed), threading.Event(), []
    exp = cr.start("heard", anomaly=Auto("latency_ms", threshold=3.0))
    exp.on_anomaly(lambda _: (at.append(perf_counter()), got.set()))
    values = rng.normal(400, 50, 20_000).clip(250, 550).tolist()
    for value in values[:2000]:
        exp.record("llm.request", latency_ms=value, cost_usd=0.002, success=True, model="gpt-4o")
    exp.summary()
    begin, wait, sent, i = perf_counter(), 0.3 + 0.1 * rng.random(), 0.0, 0
    while not got.is_set() and perf_counter() - begin < 5:
        value = values[i % len(values)]
        i += 1
        if not sent and perf_counter() - begin > wait:
            value = 4000.0
        exp.record("llm.request", latency_ms=value, cost_usd=0.002, success=True, model="gpt-4o")
        sent = sent or (perf_counter() if value == 4000.0 else 0.0)
        if pause:
            sleep(pause)
        for _ in range(spin):
            pass
    exp.stop()
    return (at[0] - sent) * 1000 if at else float("inf")


WALK = None


def main(quick: bool = False) -> str:
    """Run it; returns the table as Markdown."""
    global WALK  # noqa: PLW0603
    n, count = (100_000, 3) if quick else (400_000, 7)
    KERNEL.load()
    WALK = KERNEL._walk
    rows: list[Row] = []
    for learn, groups, limit in (("always", 1, 150), ("always", 8, 150), ("always", 64, 400), ("normal", 8, 400)):
        events = blocks(n, groups)
        options = {"learn": learn, "by": "model" if groups > 1 else ()}
        plain = {name: (kind("latency_ms", **options), False) for name, kind in KINDS.items()}
        fast = {f"{name}, `[fast]`": (plain[name][0], True) for name in COMPILED}
        cases = {
            name: lambda made=made, compiled=compiled: cost(made, events, compiled)
            for name, (made, compiled) in {**plain, **fast}.items()
        }
        what = f'learn="{learn}", {groups} group{"s" * (groups > 1)}'
        cases[SUM] = lambda: summing(events)
        found = rounds(cases, count)
        for name, taken in found.items():
            if name == SUM:
                continue
            target = 150 if "[fast]" in name else max(limit, AIM) if name == "auto" else limit
            note = f", {ratio(found, name, SUM):,.0f} × np.sum" if name.startswith("auto") else ""
            rows.append(at_most(f"{name}, {what}", median(taken), target, " ns", note))
    KERNEL._walk = WALK
    forest = [cost(IsolationForest("latency_ms"), blocks(50_000, 1), False) for _ in range(3)]
    rows.append(Row("isolation forest (scikit-learn scores)", f"{median(forest):,.0f} ns", "stated", True))
    river = [peer(20_000) for _ in range(3)]
    rows.append(Row("river GaussianScorer, event by event", f"{median(river):,.0f} ns", "stated", True))
    text = table("Judging: per event and metric", rows)
    rows = []
    for label, pause, spin in (
        ("1,000 events/s, producer waits between them", 0.001, 0),
        ("producer computes 1 ms between events", 0.0, 40_000),
        ("producer that never waits", 0.0, 0),
    ):
        taken = [heard(seed, pause, spin) for seed in range(10 if quick else 40)]
        rows.append(at_most(f"{label}: median", median(taken), 100, " ms"))
        rows.append(at_most(f"{label}: worst of {len(taken)}", max(taken), 100, " ms"))
    return text + "\n" + table("From `record()` to the callback", rows)


if __name__ == "__main__":
    print(main(quick="--quick" in sys.argv[1:]))
