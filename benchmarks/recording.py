"""What recording costs: the caller's side, with every default consumer, one call's tail, peers, overhead."""

from __future__ import annotations

import gc
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from statistics import median
from time import perf_counter, perf_counter_ns, process_time

import numpy as np
import pandas as pd

import crucible_nb as cr
from benchmarks.timing import Row, at_least, at_most, ratio, rounds, table

N = 300_000


def floor() -> float:
    """ns to append a 7-tuple to a list that is drained every 1,000."""
    rows: list[tuple[object, ...]] = []
    start = perf_counter()
    for i in range(N):
        rows.append((i, "llm.request", 812.4, 0.0021, True, 311, "gpt-4o"))
        if len(rows) >= 1000:
            rows.clear()
    return (perf_counter() - start) / N * 1e9


def _loop(record: Callable[..., bool], n: int) -> None:
    for _ in range(n):
        record("llm.request", latency_ms=812.4, cost_usd=0.0021, success=True, model="gpt-4o", prompt_tokens=311)


def _loop_extra(record: Callable[..., bool], n: int) -> None:
    for _ in range(n):
        record(
            "llm.request", latency_ms=812.4, cost_usd=0.0021, success=True, model="gpt-4o", prompt_tokens=311,
            temperature=0.7, route="eu",
        )  # fmt: skip


def caller(loop: Callable[..., None]) -> float:
    """ns a call costs the caller alone: bursts shorter than a stage, folded in between, untimed."""
    exp = cr.start("caller")
    spent, burst = 0.0, 4000
    for _ in range(N // burst):
        start = perf_counter()
        loop(exp.record, burst)
        spent += perf_counter() - start
        exp.summary()
    exp.stop()
    return spent / (N // burst * burst) * 1e9


def full_frame(loop: Callable[..., None]) -> float:
    """ns per event costs in a tight loop with every default consumer, the last fold included."""
    exp = cr.start("everything")
    start = perf_counter()
    loop(exp.record, N)
    exp.summary()
    spent = perf_counter() - start
    exp.stop()
    return spent / N * 1e9


def tails() -> tuple[float, float, float, int]:
    """p99.9, p99.99 and worst µs of one call in bursts of 100 events 0.5 ms apart; collections it caused."""
    exp = cr.start("tails")
    record, bursts = exp.record, 3000
    times = np.empty(bursts * 100, np.int64)
    gc.collect()
    before = sum(generation["collections"] for generation in gc.get_stats())
    k = 0
    for _ in range(bursts):
        for _ in range(100):
            start = perf_counter_ns()
            record("llm.request", latency_ms=812.4, cost_usd=0.0021, success=True, model="gpt-4o", prompt_tokens=311)
            times[k] = perf_counter_ns() - start
            k += 1
        time.sleep(0.0005)
    collections = sum(generation["collections"] for generation in gc.get_stats()) - before
    exp.stop()
    high, higher = np.quantile(times, [0.999, 0.9999]) / 1e3
    return float(high), float(higher), float(times.max() / 1e3), collections


def worst_without_a_wait() -> float:
    """Worst µs of one call for a producer that never waits."""
    exp = cr.start("worst")
    record, worst = exp.record, 0
    for _ in range(N):
        start = perf_counter_ns()
        record("llm.request", latency_ms=812.4, cost_usd=0.0021, success=True, model="gpt-4o", prompt_tokens=311)
        worst = max(worst, perf_counter_ns() - start)
    exp.stop()
    return worst / 1e3


def extend(own: int = 0) -> tuple[float, float]:
    """ns per event: extend of a frame with default consumers, and np.sum of its numeric columns: three, and `own`."""
    n, rng = 1_000_000, np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "event": pd.Categorical(["llm.request"] * n),
            "model": pd.Categorical(rng.choice(["gpt-4o", "gpt-4o-mini", "o3"], n)),
            "latency_ms": rng.lognormal(6, 1, n),
            "cost_usd": rng.lognormal(-6, 1, n),
            "success": rng.random(n) < 0.98,
            "total_tokens": rng.integers(10, 2000, n).astype(float),
        },
        index=pd.DatetimeIndex(pd.Timestamp("2025-01-01").value + np.arange(n) * 10**7, tz="UTC", name="time"),
    ).assign(**{f"own_{i}": rng.lognormal(0, 1, n) for i in range(own)})
    exp = cr.start("extend", clock="events")
    start = perf_counter()
    exp.extend(frame)
    taken = perf_counter() - start
    exp.stop()
    names = ("latency_ms", "cost_usd", "total_tokens", *(f"own_{i}" for i in range(own)))
    columns = [frame[name].to_numpy() for name in names]
    start = perf_counter()
    for column in columns:
        np.sum(column)
    return taken / n * 1e9, (perf_counter() - start) / n * 1e9


def overhead(body: float, runs: int) -> float:
    """Median over paired runs of the extra processor time of a loop over a busy body of so many seconds, in percent.

    Both loops take turns every few milliseconds, so that a neighbour or a change of clock speed hits both; time of the
    whole process counts, the background fold included.
    """
    units, turn = _calibrated(body), max(2, int(0.004 / body))

    def pair() -> float:
        exp = cr.start("overhead")
        record, plain, measured = exp.record, 0.0, 0.0
        for _ in range(50):
            start = process_time()
            for _ in range(turn):
                _spin(units)
            middle = process_time()
            for _ in range(turn):
                _spin(units)
                record(
                    "llm.request", latency_ms=812.4, cost_usd=0.0021, success=True, model="gpt-4o", prompt_tokens=311
                )
            measured += process_time() - middle
            plain += middle - start
        exp.stop()
        return (measured / plain - 1) * 100

    return median(pair() for _ in range(runs))


def _spin(units: int) -> int:
    total = 0
    for i in range(units):
        total += i
    return total


def _calibrated(body: float) -> int:
    units = 1000
    per_unit = min(_timed(units) for _ in range(200)) / units
    return max(1, int(body / per_unit))


def _timed(units: int) -> float:
    start = perf_counter()
    _spin(units)
    return perf_counter() - start


def peers() -> dict[str, Callable[[], float]]:
    """ns per event of the trackers that are installed, on the same five values."""
    found: dict[str, Callable[[], float]] = {}
    for name, make in (
        ("OpenTelemetry span", _otel),
        ("trackio.log", _trackio),
        ("wandb offline log", _wandb),
        ("mlflow.log_metric", _mlflow),
    ):
        try:
            found[name] = make()
        except ImportError:
            print(f"({name}: not installed, left out)")
    return found


def _otel() -> Callable[[], float]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    tracer = provider.get_tracer("benchmark")
    attributes = {"latency_ms": 812.4, "cost_usd": 0.0021, "success": True, "model": "gpt-4o", "prompt_tokens": 311}

    def run(n: int = 5000) -> float:
        start = perf_counter()
        for _ in range(n):
            with tracer.start_as_current_span("llm.request", attributes=attributes):
                pass
        return (perf_counter() - start) / n * 1e9

    return run


def _trackio() -> Callable[[], float]:
    os.environ["TRACKIO_DIR"] = tempfile.mkdtemp()
    import trackio

    trackio.init(project="benchmark", embed=False)

    def run(n: int = 2000) -> float:
        start = perf_counter()
        for i in range(n):
            trackio.log({"latency_ms": 812.4, "cost_usd": 0.0021, "success": 1, "prompt_tokens": 311, "i": i})
        return (perf_counter() - start) / n * 1e9

    return run


def _wandb() -> Callable[[], float]:
    import wandb

    run_ = wandb.init(mode="offline", dir=tempfile.mkdtemp(), settings=wandb.Settings(silent=True))

    def run(n: int = 500) -> float:
        start = perf_counter()
        for i in range(n):
            run_.log({"latency_ms": 812.4, "cost_usd": 0.0021, "success": 1, "prompt_tokens": 311, "i": i})
        return (perf_counter() - start) / n * 1e9

    return run


def _mlflow() -> Callable[[], float]:
    os.environ |= {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    import mlflow

    mlflow.set_tracking_uri("file:" + tempfile.mkdtemp())
    mlflow.set_experiment("benchmark")
    mlflow.start_run()

    def run(n: int = 60) -> float:
        start = perf_counter()
        for i in range(n):
            mlflow.log_metric("latency_ms", 812.4, step=i)
        return (perf_counter() - start) / n * 1e9

    return run


def main(quick: bool = False) -> str:
    """Run it; returns the tables as Markdown."""
    warnings.simplefilter("ignore")
    count = 3 if quick else 9
    times = rounds(
        {
            "floor": floor,
            "caller": lambda: caller(_loop),
            "all": lambda: full_frame(_loop),
            "caller extra": lambda: caller(_loop_extra),
            "all extra": lambda: full_frame(_loop_extra),
        },
        count,
    )
    ns = {name: median(values) for name, values in times.items()}
    rows = [
        Row("floor: append a 7-tuple to a list drained every 1,000", f"{ns['floor']:.0f} ns", "", True),
        at_most(
            "`record()`, five keywords, caller's side",
            ratio(times, "caller", "floor"),
            5,
            note=f" ({ns['caller']:.0f} ns)",
        ),
        at_most("… with every default consumer", ratio(times, "all", "floor"), 9, note=f" ({ns['all']:.0f} ns)"),
        at_most(
            "two extra keywords, caller's side",
            ratio(times, "caller extra", "floor"),
            12,
            note=f" ({ns['caller extra']:.0f} ns)",
        ),
        at_most(
            "… with every default consumer", ratio(times, "all extra", "floor"), 16, note=f" ({ns['all extra']:.0f} ns)"
        ),
    ]
    high, higher, worst, collections = (
        float(np.median(one)) for one in zip(*(tails() for _ in range(1 if quick else 7)), strict=True)
    )
    rows += [
        at_most("one call in bursts, p99.9", high, 10, " µs"),
        at_most("one call in bursts, p99.99", higher, 50, " µs"),
        Row("… worst", f"{worst:.0f} µs", "stated", True),
        at_most("… garbage-collector passes caused", collections, 0, ""),
        Row("producer that never waits, worst call", f"{worst_without_a_wait():.0f} µs", "stated", True),
    ]
    pairs = [extend() for _ in range(3 if quick else 7)]
    share = median(one / two for one, two in pairs)
    rows.append(
        at_most(
            "`extend` of a frame, against `np.sum` of three columns",
            share,
            25,
            note=f" ({median(p[0] for p in pairs):.0f} ns)",
        )
    )
    pairs = [extend(own=8) for _ in range(3 if quick else 7)]
    rows.append(
        at_most(
            "… with eight columns of one's own, against `np.sum` of all eleven",
            median(one / two for one, two in pairs),
            25,
            note=f" ({median(p[0] for p in pairs):.0f} ns)",
        )
    )
    rows += [
        at_most("overhead on a 100 µs body", overhead(1e-4, 5 if quick else 21), 1, " %"),
        at_most("overhead on a 1 ms body", abs(overhead(1e-3, 5 if quick else 21)), 0.3, " %"),
    ]
    others = peers()
    paired = rounds({"record": lambda: full_frame(_loop), **others}, 3 if quick else 7)
    wanted = {"OpenTelemetry span": 40, "trackio.log": 20, "wandb offline log": 300, "mlflow.log_metric": 500}
    rows += [
        at_least(
            f"cheaper than {name}",
            ratio(paired, name, "record"),
            wanted[name],
            note=f" ({median(paired[name]) / 1e3:.3g} µs)",
        )
        for name in others
    ]
    return table("Recording", rows)


if __name__ == "__main__":
    print(main())
