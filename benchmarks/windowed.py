"""`windowed_metrics` against pandas and polars: `python -m benchmarks.windowed [--quick]`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import Row, at_least, ratio, rounds, seconds, table
from crucible_nb.events.times import zoned_index
from crucible_nb.utils.optional import have
from crucible_nb.windows import windowed_metrics
from crucible_nb.windows.columns import numbers, outcomes, tokens
from crucible_nb.windows.grid import grid
from crucible_nb.windows.measures import Measure
from crucible_nb.windows.quantiles import quantiles
from crucible_nb.windows.rows import rows_of

WINDOW, STEP = "5min", "10s"
Q = np.array([0.5, 0.95, 0.99])
SAMPLE = 40  # windows of a loop that are timed; the loop is their mean times the number of windows
TOTALS = {"cost_usd": "sum", "success": ["sum", "mean"], "total_tokens": "sum"}
SUMS = {name: ["sum", "count"] for name in ("latency_ms", "cost_usd", "success", "total_tokens")}


def events(n: int) -> pd.DataFrame:
    """About 100 events a second, sorted, as an experiment keeps them."""
    rng = np.random.default_rng(7)
    start = pd.Timestamp("2025-01-01 03:00:01", tz="UTC").value
    times = pd.DatetimeIndex(start + np.sort(rng.integers(0, n * 10_000_000, n)), tz="UTC", name="time")
    return pd.DataFrame(
        {
            "latency_ms": rng.lognormal(6, 0.6, n),
            "cost_usd": rng.lognormal(-6, 1, n),
            "success": pd.array(rng.random(n) < 0.97, dtype="boolean"),
            "total_tokens": pd.array(rng.integers(10, 4000, n), dtype="Int64"),
        },
        index=times,
    )


def moments(frame: pd.DataFrame, window: Any, step: Any = None) -> pd.DataFrame:
    """What `windowed_metrics` does, without quantiles."""
    times = zoned_index(frame)
    windows = grid(times, window, step, origin="start_day", closed="left")
    measure = Measure(rows_of(times, windows, None, 1), None, exact=True)
    total, known = measure.sums(numbers(frame, "latency_ms"))
    table = {"count": measure.counts(), "mean": total / known, "cost": measure.totals(numbers(frame, "cost_usd"))}
    table |= measure.outcomes(outcomes(frame)) | {"tokens": measure.tokens(tokens(frame))}
    return pd.DataFrame(table, index=windows.starts)


def loop(frame: pd.DataFrame, of_window: Callable[[pd.DataFrame], Any]) -> float:
    """Seconds of a loop over all sliding windows, from a sample of them."""
    windows = grid(zoned_index(frame), WINDOW, STEP, origin="start_day", closed="left")
    some = np.linspace(0, len(windows.starts) - 1, SAMPLE).astype(int)
    last = windows.ends - pd.Timedelta(1)  # .loc includes its right edge
    began = time.perf_counter()
    for i in some:
        of_window(frame.loc[windows.starts[i] : last[i]])
    return (time.perf_counter() - began) / SAMPLE * len(windows.starts)


def agg(rows: pd.DataFrame) -> Any:
    """One window, the usual way."""
    return rows.agg({"latency_ms": ["count", "mean"], **TOTALS})


def direct(rows: pd.DataFrame) -> Any:
    """One window, the fastest way pandas has."""
    done = rows.success
    return len(rows), rows.latency_ms.mean(), rows.cost_usd.sum(), done.sum(), done.mean(), rows.total_tokens.sum()


def agg_quantiles(rows: pd.DataFrame) -> Any:
    """Moments and quantiles of one window, the usual way."""
    return agg(rows), rows.latency_ms.quantile(Q)


def direct_quantiles(rows: pd.DataFrame) -> Any:
    """Moments and quantiles of one window, the fastest way pandas has."""
    return direct(rows), rows.latency_ms.quantile(Q)


def pane_rolling(frame: pd.DataFrame) -> Any:
    """Pandas' own trick: 10 s panes of the raw rows, then rolling sums of the panes."""
    return frame.resample(STEP).agg(SUMS).rolling(30).sum()


def tumbling_resample(frame: pd.DataFrame) -> Any:
    """Moments and quantiles of raw rows, minute by minute."""
    windows = frame.resample("1min")
    return windows.agg({"latency_ms": ["mean", "count"], **TOTALS}), windows.latency_ms.quantile(Q)


def polars_sliding(frame: pd.DataFrame) -> Callable[[], Any] | None:
    """The same windows by polars, on one thread as everything here; None without polars."""
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # read at its import
    pl = have("polars")
    if pl is None:
        return None
    rows = pl.from_pandas(frame.assign(success=frame.success.astype(bool)).reset_index())
    ms = pl.col("latency_ms")
    wanted = [pl.len(), ms.mean().alias("mean"), pl.col("cost_usd").sum(), pl.col("success").sum()]
    wanted += [pl.col("total_tokens").sum(), *(ms.quantile(q, "linear").alias(f"p{q}") for q in Q)]
    return lambda: rows.group_by_dynamic("time", every="10s", period="5m").agg(wanted)


def cases_of(frame: pd.DataFrame) -> dict[str, Callable[[], float]]:
    """What is measured, in seconds."""
    times = zoned_index(frame)
    windows = grid(times, WINDOW, STEP, origin="start_day", closed="left")
    rows, latency = rows_of(times, windows, None, 1), frame.latency_ms.to_numpy()

    def numpy_alone() -> None:
        moments(frame, WINDOW, STEP)
        quantiles(latency, rows.lo[0], rows.hi[0], Q, compiled=False)

    cases: dict[str, Callable[[], float]] = {
        "sliding moments": lambda: seconds(lambda: moments(frame, WINDOW, STEP)),
        "sliding, numpy alone": lambda: seconds(numpy_alone),
        "tumbling": lambda: seconds(lambda: windowed_metrics(frame, "1min")),
        "sketch": lambda: seconds(lambda: windowed_metrics(frame, WINDOW, STEP, exact=False)),
        "agg": lambda: loop(frame, agg),
        "direct": lambda: loop(frame, direct),
        "agg quantiles": lambda: loop(frame, agg_quantiles),
        "direct quantiles": lambda: loop(frame, direct_quantiles),
        "panes rolling": lambda: seconds(lambda: pane_rolling(frame)),
        "resample": lambda: seconds(lambda: tumbling_resample(frame)),
    }
    if have("numba") is not None:
        cases["sliding"] = lambda: seconds(lambda: windowed_metrics(frame, WINDOW, STEP))
    polars = polars_sliding(frame)
    if polars is not None:
        cases["polars"] = lambda: seconds(polars)
    return cases


COMPARED = (
    ("moments", "sliding moments", "agg", "pandas `.loc[a:b].agg` loop", 200),
    ("moments", "sliding moments", "direct", "pandas `.loc[a:b]` loop, direct methods", None),
    ("moments", "sliding moments", "panes rolling", "pandas 10 s panes + rolling", 7),
    ("and exact quantiles, numba", "sliding", "agg quantiles", "pandas `.loc[a:b].agg` loop", 80),
    ("and exact quantiles, numba", "sliding", "direct quantiles", "pandas `.loc[a:b]` loop, direct methods", None),
    ("and exact quantiles, numba", "sliding", "polars", "polars group_by_dynamic", 120),
    ("and exact quantiles, numpy", "sliding, numpy alone", "agg quantiles", "pandas `.loc[a:b].agg` loop", 15),
    ("and histogram quantiles", "sketch", "agg quantiles", "pandas `.loc[a:b].agg` loop", None),
    ("tumbling 1 min, exact quantiles", "tumbling", "resample", "pandas `resample` of the raw rows", 6),
)


def table_of(n: int, count: int) -> str:
    """The figures for n events."""
    cases = cases_of(events(n))
    rounds(cases, 1)  # compiles, loads, warms
    taken, rows = rounds(cases, count), []
    for what, ours, theirs, against, target in COMPARED:
        if ours not in taken or theirs not in taken:
            continue
        value, said = ratio(taken, theirs, ours), f"{what}, against {against}"
        note = f" ({sorted(taken[ours])[count // 2] / n * 1e9:.1f} ns per event)"
        row = Row(said, f"{value:.3g}x{note}", "", True) if target is None else at_least(said, value, target, note=note)
        rows.append(row)
    return table(f"Windowed metrics: 5 min every 10 s, {n:,} events, 100 a second", rows)


def main(quick: bool = False) -> str:
    """Run it; returns the tables as Markdown."""
    sizes = {200_000: 3} if quick else {1_000_000: 7, 10_000_000: 3}
    return "\n".join(table_of(n, count) for n, count in sizes.items())


if __name__ == "__main__":
    print(main(quick="--quick" in sys.argv[1:]))
