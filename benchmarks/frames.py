"""Tables in, numbers out: `extend` and `df.crucible.metrics`, in processor time of all threads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import process_time

import numpy as np
import pandas as pd

import crucible_nb as cr
from benchmarks.timing import Row, at_most, rounds, table
from crucible_nb.accumulators.chan import moments_by
from crucible_nb.accumulators.kernels import KERNELS
from crucible_nb.metrics.block_state import block_of
from crucible_nb.metrics.fold import fold, one_cell

_WHOLE = np.zeros(1, np.intp)


def trace(n: int) -> pd.DataFrame:
    """Three columns without gaps and a time index."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "latency_ms": rng.lognormal(5, 1, n),
            "cost_usd": rng.lognormal(-8, 1, n),
            "prompt_tokens": rng.integers(1, 3000, n),
        },
        index=pd.date_range("2025", periods=n, freq="10ms", tz="UTC", name="time"),
    )


def gaps(n: int, *, objects: bool = False) -> pd.DataFrame:
    """Eight columns, 1 % missing; with `objects` booleans and None, as `pd.read_parquet` returns nullable ones."""
    rng = np.random.default_rng(2)

    def holed(values: np.ndarray) -> np.ndarray:
        return np.where(rng.random(n) < 0.01, np.nan, values)

    frame = trace(n).assign(
        completion_tokens=holed(rng.integers(1, 900, n)),
        success=rng.random(n) < 0.9,
        score=holed(rng.random(n)),
        loss=holed(rng.random(n)),
        model=pd.Categorical.from_codes(rng.integers(0, 8, n, dtype=np.int8), list("abcdefgh")),
    )
    for name in ("latency_ms", "cost_usd", "prompt_tokens"):
        frame[name] = holed(frame[name].to_numpy(np.float64))
    if objects:
        frame["success"] = np.where(rng.random(n) < 0.005, None, frame["success"])
    return frame


def cpu(work: Callable[[], object]) -> float:
    """Processor time of one call, of all threads."""
    start = process_time()
    work()
    return process_time() - start


def extended(frame: pd.DataFrame) -> float:
    exp = cr.start("extended")
    spent = cpu(lambda: exp.extend(frame, "llm.request"))
    exp.stop()
    return spent


def price(n: int) -> Callable[[], float]:
    """Processor time of floating moments in blocks, which exact sums replace."""
    frame = trace(n)
    values = np.stack([frame[name].to_numpy(np.float64) for name in frame])

    def floating() -> float:
        return cpu(lambda: [moments_by(values[:, at : at + 65_536], _WHOLE) for at in range(0, n, 65_536)])

    return floating


def summed(n: int) -> Callable[[], float]:
    """Processor time of exact sums of the same columns in blocks of the same size."""
    frame = trace(n)
    columns = {name: frame[name].to_numpy(np.float64) for name in frame}
    blocks = [
        block_of(
            lambda name, at=at: columns[name][at : at + 65_536] if name in columns else None,
            np.zeros(min(65_536, n - at), np.int64),
        )
        for at in range(0, n, 65_536)
    ]
    return lambda: cpu(lambda: [fold(block, one_cell(block.size)) for block in blocks])


PEAK = """
import sys, pandas as pd, crucible_nb as cr
from benchmarks.frames import gaps
n = int(sys.argv[1])
frame = gaps(n)
gaps(200_000).crucible.metrics(by="model")
open("/proc/self/clear_refs", "w").write("5")
def peak(): return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
frame.crucible.metrics(by="model")
print((peak() - before) / 1e3)
"""


def peak(n: int) -> float:
    """MB of memory above the frame that `metrics(by="model")` takes, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PEAK, str(n)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main(quick: bool = False) -> str:
    n, largest = (200_000, 1_000_000) if quick else (1_000_000, 10_000_000)
    compiled = KERNELS.load() is not None
    clean, holed, objects = trace(n), gaps(n), gaps(n, objects=True)
    x = np.random.default_rng(0).random(1_000_000)
    sizes = {size: gaps(size) for size in (100_000, n, largest)}
    floating, exact = price(n), summed(n)
    cases: dict[str, Callable[[], float]] = {
        "np.sum": lambda: cpu(lambda: [x.sum() for _ in range(20)]) / 20 / 1e6,
        "3 columns": lambda: extended(clean) / n,
        "8 columns": lambda: extended(holed) / n,
        "objects": lambda: extended(objects) / n,
        **{
            f"metrics {size}": lambda frame=frame: cpu(lambda: frame.crucible.metrics(by="model")) / len(frame)
            for size, frame in sizes.items()
        },
        "floating": lambda: floating() / n,
        "exact": lambda: exact() / n,
    }
    for case in list(cases.values())[:-3]:
        case()  # compiled, and memory taken once
    times = rounds(cases)
    ns = {name: median(found) * 1e9 for name, found in times.items()}
    rows = [
        Row("`np.sum` of 1,000,000 float64, ns a row", f"{ns['np.sum']:.2f}", "", True),
    ]
    for name, what in (
        ("3 columns", "3 columns without gaps"), ("8 columns", "8 columns with gaps"), ("objects", "the same with an object bool"),
    ):  # fmt: skip
        rows.append(
            Row(f"`extend`, {what}, ns a row", f"{ns[name]:.0f} ({ns[name] / ns['np.sum']:.0f} `np.sum`)", "", True)
        )
    for size in sizes:
        rows.append(
            at_most(f'`df.crucible.metrics(by="model")`, {size:,} rows, ns a row', ns[f"metrics {size}"], 60, "")
        )
    flat = max(ns[f"metrics {size}"] for size in sizes) / min(ns[f"metrics {size}"] for size in sizes)
    rows.append(at_most("largest by smallest of these", flat, 1.3))
    rows.append(at_most(f"memory above the frame, {largest:,} rows", peak(largest), 200, " MB"))
    share = (ns["exact"] - ns["floating"]) / ns["metrics " + str(n)]
    rows.append(
        Row("exact against floating sums of 3 columns, ns a row", f"{ns['exact']:.1f} / {ns['floating']:.1f}", "", True)
    )
    rows.append(at_most('their difference, of the pass `metrics(by="model")`', 100 * share, 25, " %"))
    return table(f"Frames ({'numba' if compiled else 'numpy'}, processor time, {n:,} rows)", rows)
