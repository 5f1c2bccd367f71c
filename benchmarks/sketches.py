"""Accuracy and cost of the quantile sketches, side by side in one run, as Markdown.

Run it with `python benchmarks/sketches.py [--quick]`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from crucible_nb.accumulators import LogHistogram, Moments, Quantiles, TDigest
from crucible_nb.utils.optional import have

QS = (0.5, 0.95, 0.99, 0.999)
CHUNK = 1000
REPEATS = 7


def distributions(seed: int, n: int) -> dict[str, np.ndarray]:
    """Nine kinds of data of n values."""
    rng = np.random.default_rng(seed)
    lognormal = rng.lognormal(6, 1, n)
    fast, slow = rng.lognormal(5, 0.3, n), rng.lognormal(8, 0.3, n)
    return {
        "lognormal": lognormal,
        "Pareto 1.5": rng.pareto(1.5, n) + 1,
        "bimodal 70:30": np.where(rng.random(n) < 0.7, fast, slow),
        "uniform": rng.random(n),
        "sorted": np.sort(lognormal),
        "reversed": np.sort(lognormal)[::-1].copy(),
        "integers": np.round(rng.lognormal(8, 1, n)),
        "drift x100": lognormal * np.linspace(1, 100, n),
        "constant": np.full(n, 7.3),
    }


def sketches() -> dict[str, Callable[[np.ndarray], Callable[[Any], Any]]]:
    """Each takes data in chunks and gives back its quantile function."""

    def filled(make: Callable[[], Any]) -> Callable[[np.ndarray], Callable[[Any], Any]]:
        def build(values: np.ndarray) -> Callable[[Any], Any]:
            sketch = make()
            for start in range(0, len(values), CHUNK):
                sketch.update(values[start : start + CHUNK])
            return sketch.quantile

        return build

    found = {
        "TDigest(1000)": filled(TDigest),
        "LogHistogram(8)": filled(LogHistogram),
        "Quantiles()": filled(Quantiles),
    }
    package = have("fastdigest")
    if package is not None:
        found["fastdigest 1000"] = _fastdigest(package)
    return found


def _fastdigest(package: Any) -> Callable[[np.ndarray], Callable[[Any], Any]]:
    def build(values: np.ndarray) -> Callable[[Any], Any]:
        digest = package.TDigest(max_centroids=1000)
        for start in range(0, len(values), CHUNK):
            digest.batch_update(values[start : start + CHUNK])
        return lambda qs: np.array([digest.quantile(float(q)) for q in qs])

    return build


def accuracy(n: int, seeds: int) -> Iterator[str]:
    """Largest relative error of a value at each quantile, in percent, over the seeds."""
    yield f"Worst error in value, % ({seeds} seeds, {n:,} values in chunks of {CHUNK}), at p50 / p95 / p99 / p99.9:\n"
    rows: dict[str, dict[str, np.ndarray]] = {}
    for seed in range(seeds):
        for kind, values in distributions(seed, n).items():
            exact = np.quantile(values, QS)
            for name, build in sketches().items():
                error = np.abs(build(values)(np.array(QS)) / exact - 1) * 100
                rows.setdefault(kind, {})[name] = np.maximum(rows.get(kind, {}).get(name, 0.0), error)
    names = list(sketches())
    yield "| | " + " | ".join(names) + " |"
    yield "|---|" + "---|" * len(names)
    worst = {name: np.max([row[name] for row in rows.values()], axis=0) for name in names}
    for kind, row in {**rows, "**worst**": worst}.items():
        yield f"| {kind} | " + " | ".join(" / ".join(f"{error:.3f}" for error in row[name]) for name in names) + " |"


def seconds(*works: Callable[[], object]) -> list[float]:
    """Median time of each piece of work, taken in turns so that a slow moment hits all."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(REPEATS):
        for work, spent in zip(works, times, strict=True):
            begun = time.perf_counter()
            work()
            spent.append(time.perf_counter() - begun)
    return [statistics.median(spent) for spent in times]


def cost(n: int) -> Iterator[str]:
    """Time to take n lognormal values in, against sorting and summing the same."""
    values = distributions(0, n)["lognormal"]
    chunks = values.reshape(-1, CHUNK)
    builds = sketches()

    def moments() -> None:
        sink = Moments()
        for chunk in chunks:
            sink.update(chunk)

    def each(work: Callable[[np.ndarray], object]) -> Callable[[], object]:
        return lambda: [work(chunk) for chunk in chunks]

    bulk = {"TDigest(1000)": TDigest, "LogHistogram(8)": LogHistogram, "Moments()": Moments}
    names = [*builds, "Moments()"]
    works = [*[lambda build=build: build(values)(np.array(QS)) for build in builds.values()], moments]
    *chunked, sorting, summing = seconds(*works, each(np.sort), each(np.sum))
    *whole, sorting_all, summing_all = seconds(
        *[lambda make=make: make().update(values) for make in bulk.values()],
        lambda: np.sort(values),
        lambda: np.sum(values),
    )
    yield f"\nCost of {n:,} lognormal values (medians of {REPEATS}), reading once included:\n"
    yield "| | ns a value | x np.sort | x np.sum |"
    yield "|---|--:|--:|--:|"
    for name, spent in zip([*names, "np.sort", "np.sum"], [*chunked, sorting, summing], strict=True):
        row = f"{spent / n * 1e9:.2f} | {spent / sorting:.2f} | {spent / summing:.2f}"
        yield f"| {name}, chunks of {CHUNK} | {row} |"
    for name, spent in zip([*bulk, "np.sort", "np.sum"], [*whole, sorting_all, summing_all], strict=True):
        row = f"{spent / n * 1e9:.2f} | {spent / sorting_all:.2f} | {spent / summing_all:.2f}"
        yield f"| {name}, one call | {row} |"


def merging(panes: int) -> Iterator[str]:
    """Time to fold panes of 6,000 values each."""
    rng = np.random.default_rng(0)
    histograms = [LogHistogram().update(rng.lognormal(6, 1, 6000)) for _ in range(panes)]
    kept = [Quantiles().update(rng.lognormal(6, 1, 6000)) for _ in range(panes)]
    folded, read = seconds(
        lambda: LogHistogram.merge_all(histograms),
        lambda: Quantiles.merge_all(kept).quantile(np.array(QS)),
    )
    yield f"\nFolding {panes} panes of 6,000 values: LogHistogram {folded / panes * 1e6:.1f} us a pane;"
    yield f"Quantiles, then reading four quantiles: {read * 1e6:.0f} us in all."


def main(quick: bool = False) -> str:
    """Run it; returns the tables as Markdown. Quick: a tenth of the values and one seed."""
    n, seeds = (50_000, 1) if quick else (500_000, 3)
    parts = (accuracy(n, seeds), cost(2 * n), merging(60))
    return "\n".join(["### Quantile sketches", *(line for part in parts for line in part), ""])


if __name__ == "__main__":
    print(main(quick="--quick" in sys.argv[1:]))
