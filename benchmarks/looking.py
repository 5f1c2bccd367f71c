"""What a look costs: windows as frames, live metrics, at any number of events."""

from __future__ import annotations

from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd

import crucible_nb as cr
from benchmarks.timing import Row, at_least, at_most, table

RATE = 100  # events a second of the traces


def trace(n: int) -> pd.DataFrame:
    """n events, 100 a second, with the columns of an LLM trace."""
    rng = np.random.default_rng(1)
    times = pd.Timestamp("2025-01-01").value + np.arange(n) * (10**9 // RATE)
    return pd.DataFrame(
        {
            "event": pd.Categorical.from_codes(np.zeros(n, np.int8), ["llm.request"]),
            "model": pd.Categorical.from_codes(rng.integers(0, 3, n, dtype=np.int8), ["a", "b", "c"]),
            "latency_ms": rng.lognormal(6, 1, n),
            "cost_usd": rng.lognormal(-6, 1, n),
            "success": rng.random(n) < 0.98,
            "prompt_tokens": rng.integers(10, 2000, n),
            "completion_tokens": rng.integers(10, 2000, n),
        },
        index=pd.DatetimeIndex(times, tz="UTC", name="time"),
    )


def experiment(n: int) -> cr.Experiment:
    exp = cr.start(f"look {n}", clock="events")
    exp.extend(trace(n))
    exp.metrics()
    return exp


def timed(work: object, repeat: int = 200) -> float:
    """Median µs of one call."""
    times = []
    for _ in range(repeat):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return median(times) * 1e6


def windows(sizes: list[int]) -> list[Row]:
    rows, flat = [], {}
    for n in sizes:
        exp = experiment(n)
        frame = exp.frame()
        times = frame.index.asi8  # type: ignore[attr-defined]
        start, a = pd.Timestamp(int(times[-n // 100]), tz="UTC"), n - n // 100
        ours = [timed(lambda: exp.query_window(start=start)) for _ in range(7)]
        pandas = [timed(lambda: frame.iloc[a:n]) for _ in range(7)]
        flat[n] = median(ours)
        window = exp.query_window(start=start)
        copied = (
            0
            if np.shares_memory(window.latency_ms.to_numpy(), frame.latency_ms.to_numpy())
            else window.memory_usage().sum()
        )
        rows.append(
            at_most(
                f"last 1 % of {n:.0e} events, against `iloc`",
                median(x / y for x, y in zip(ours, pandas, strict=True)),
                1.3,
                note=f" ({flat[n]:.0f} µs)",
            )
        )
        rows.append(at_most("… bytes copied", copied, 0, " B"))
        if n == 10**7:
            mask = timed(lambda: frame[frame.index >= start], 5)
            rows.append(at_least("… against the boolean mask", mask / flat[n], 500))
        exp.stop()
    rows.append(at_most(f"flat from {sizes[0]:.0e} to {sizes[-1]:.0e}", flat[sizes[-1]] / flat[sizes[0]], 1.3))
    return rows


def panel(n: int) -> list[Row]:
    exp = experiment(n)
    frame = exp.frame()
    lasts = ("1min", "5min", "1h")

    def live() -> None:
        for last in lasts:
            view = exp.metrics(last=last)
            _ = view.latency, view.cost, view.reliability

    def pandas() -> None:
        for last in lasts:
            rows = frame.loc[frame.index[-1] - pd.Timedelta(last) :]
            rows.latency_ms.agg(["count", "mean", "std", "min", "max"])
            rows.latency_ms.quantile([0.5, 0.95, 0.99])
            rows.cost_usd.sum(), rows.success.mean()

    ours = [timed(live, 50) for _ in range(7)]
    theirs = [timed(pandas, 3) for _ in range(7)]
    newest, moves = exp.frame().index[-1].value, iter(range(1, 10**9))

    def moving() -> None:
        at = newest + next(moves)
        for last in lasts:
            view = exp.metrics(last=last, at=at)
            _ = view.latency, view.cost, view.reliability

    uncached = [timed(moving, 30) for _ in range(7)]
    pending = [full_block(n, lasts) for _ in range(7)]
    return [
        at_most(f"1 min + 5 min + 1 h live metrics at {n:.0e}, nothing pending", median(ours), 300, " µs"),
        at_least("… against pandas `.loc` and `agg`", median(a / b for a, b in zip(theirs, ours, strict=True)), 60),
        Row("… when now moves between the looks", f"{median(uncached):.0f} µs", "stated", True),
        at_most("… with a full block pending", median(pending), 3, " ms"),
    ]


def full_block(n: int, lasts: tuple[str, ...]) -> float:
    """ms of the panel with 4,095 events staged and not yet folded."""
    now = [trace(1).index[0].value + n * 10**7]
    exp = cr.start("pending", clock=lambda: now[0])
    exp.extend(trace(n))
    live_of(exp, lasts)
    for _ in range(4095):
        now[0] += 10**7
        exp.record("llm.request", latency_ms=812.4, cost_usd=0.0021, success=True, model="a", prompt_tokens=311)
    start = perf_counter()
    live_of(exp, lasts)
    spent = perf_counter() - start
    exp.stop()
    return spent * 1e3


def live_of(exp: cr.Experiment, lasts: tuple[str, ...]) -> None:
    for last in lasts:
        view = exp.metrics(last=last)
        _ = view.latency, view.cost, view.reliability


def main(quick: bool = False) -> str:
    """Run it; returns the table as Markdown."""
    sizes = [10**5, 10**6] if quick else [10**5, 10**6, 10**7]
    rows = windows(sizes)
    for n in sizes[1:]:
        rows += panel(n)
    return table("Looking", rows)


if __name__ == "__main__":
    print(main())
