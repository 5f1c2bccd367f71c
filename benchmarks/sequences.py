"""What a look at a sequence costs: it takes the new events in, and does not grow with those that came before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.timing import Row, at_most, table
from crucible_nb.stats.sequences import ConfidenceSequence, Difference

NEW = 100
SIZES = (1_000, 10_000, 100_000, 1_000_000)
BOUND = (0.0, 60_000.0)


def latencies(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.minimum(rng.lognormal(6, 1, n), BOUND[1])


def outcomes(rng: np.random.Generator, n: int) -> np.ndarray:
    return (rng.random(n) < 0.98).astype(np.float64)


CASES: dict[str, tuple[Callable[[], Any], Callable[[np.random.Generator, int], np.ndarray]]] = {
    "success_rate": (lambda: ConfidenceSequence("success_rate"), outcomes),
    "p95_latency_ms": (lambda: ConfidenceSequence("p95_latency_ms"), latencies),
    "mean_latency_ms with a bound": (lambda: ConfidenceSequence("mean_latency_ms", bound=BOUND), latencies),
    "success_rate, two arms": (lambda: Difference("success_rate"), outcomes),
    "p50_latency_ms, two arms": (lambda: Difference("p50_latency_ms"), latencies),
    "mean_latency_ms with a bound, two arms": (lambda: Difference("mean_latency_ms", bound=BOUND), latencies),
}


def feed(sequence: Any, draw: Callable[[], np.ndarray]) -> None:
    if isinstance(sequence, Difference):
        sequence.update(draw(), draw())
    else:
        sequence.update(draw())


def looks(make: Callable[[], Any], draw: Any, n: int, count: int) -> float:
    """ms a look after n events: 100 new ones taken in, then everything that is said."""
    rng = np.random.default_rng(0)
    sequence = make()
    feed(sequence, lambda: draw(rng, n))
    spent = []
    for _ in range(count):
        new = [draw(rng, NEW), draw(rng, NEW)]
        start = perf_counter()
        feed(sequence, lambda new=new: new.pop())
        sequence.result()
        spent.append(perf_counter() - start)
    return median(spent) * 1e3


def main(quick: bool = False) -> str:
    """Run it; returns the table as Markdown."""
    sizes, count = (SIZES[:3], 5) if quick else (SIZES, 15)
    rows = []
    for name, (make, draw) in CASES.items():
        taken = {n: looks(make, draw, n, count) for n in sizes}
        said = " / ".join(f"{taken[n]:.2g}" for n in sizes)
        rows.append(at_most(f"{name}: a look after {sizes[-1]:,} events", taken[sizes[-1]], 100, " ms"))
        rows.append(
            Row(f"{name}: after {' / '.join(f'{n:,}' for n in sizes)}", f"{said} ms", "bounded", taken[sizes[-1]] < 100)
        )
    rows.append(at_most("largest growth of a rate's look over that", _growth(sizes, count), 2))
    return table("Sequences", rows)


def _growth(sizes: tuple[int, ...], count: int) -> float:
    make, draw = CASES["success_rate, two arms"]
    first, last = (looks(make, draw, n, count) for n in (sizes[0], sizes[-1]))
    return last / first


if __name__ == "__main__":
    print(main(quick="--quick" in sys.argv[1:]))
