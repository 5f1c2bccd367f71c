"""Bias, coverage and width of estimates under every sampler: `python tools/simulate_sampling.py [--write]`.

4,000 events a run, about 400 kept: latencies lognormal or Pareto, two bursts of 20 events with four times the
latency, 2 % errors.
"""

from __future__ import annotations

import argparse
import math
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats

from crucible_nb.sampling import Adaptive, Events, Importance, Reservoir, Sampler, Stratified, Uniform
from crucible_nb.stats.intervals import LIMITS
from crucible_nb.stats.values import Values, metric_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "sampling.md"
BEGIN, END = "<!-- simulated: begin -->\n", "<!-- simulated: end -->\n"
N, BURSTS, LENGTH, FACTOR, ERRORS = 4000, 2, 20, 4.0, 0.02
SHARE = BURSTS * LENGTH / N
LATENCIES = {
    "lognormal 1": stats.lognorm(1.0, scale=400.0),
    "lognormal 1.5": stats.lognorm(1.5, scale=400.0),
    "Pareto 3": stats.pareto(3.0, scale=400.0),
    "Pareto 1.5": stats.pareto(1.5, scale=400.0),
}
SAMPLERS: dict[str, Sampler] = {
    "Uniform": Uniform(0.1),
    "Reservoir": Reservoir(400),
    "Stratified": Stratified({False: 1.0}, default=0.082),
    "Adaptive": Adaptive(0.06, min_samples=100, cooldown=30),
    "Importance": Importance(360, by="latency_ms"),
}
WANTED = {
    "total, run": ("total_latency_ms", "run"),
    "mean, run": ("mean_latency_ms", "run"),
    "mean": ("mean_latency_ms", "process"),
    "error rate": ("success_rate", "process"),
    "p50": ("p50_latency_ms", "process"),
    "p95": ("p95_latency_ms", "process"),
    "p99": ("p99_latency_ms", "process"),
}


class Found(NamedTuple):
    """What one run said of one metric."""

    estimate: float
    low: float
    high: float
    truth: float
    naive: float


def events(latency: Any, rng: np.random.Generator) -> pd.DataFrame:
    """One run's full log."""
    values = latency.ppf(rng.random(N))
    for start in rng.choice(N // LENGTH, BURSTS, replace=False) * LENGTH:
        values[start : start + LENGTH] *= FACTOR
    return pd.DataFrame({"latency_ms": values, "success": rng.random(N) >= ERRORS})


def process_truths(latency: Any) -> dict[str, float]:
    """What the numbers are in the long run."""

    def quantile(q: float) -> float:
        def off(x: float) -> float:
            return (1 - SHARE) * latency.cdf(x) + SHARE * latency.cdf(x / FACTOR) - q

        return float(optimize.brentq(off, 1e-3, 1e9, xtol=1e-9))

    mean = latency.mean() * (1 + SHARE * (FACTOR - 1))
    return {"mean": mean, "error rate": 1 - ERRORS, **{f"p{100 * q:.0f}": quantile(q) for q in (0.5, 0.95, 0.99)}}


def one_run(latency: Any, sampler: Sampler, truths: dict[str, float], seed: int) -> dict[str, Found]:
    """Sample one log and say everything of it."""
    frame = events(latency, np.random.default_rng([seed, 1]))
    running = sampler.begin(seed)
    choice = running.choose(Events.of_frame(frame))
    rows = np.flatnonzero(choice.keep)
    now = running.weights(rows)
    weight = choice.weight[rows] if now is None else now
    full, found = {name: frame[name].to_numpy(np.float64) for name in frame}, {}
    for what, (name, of) in WANTED.items():
        metric = metric_of(name)
        x = full[metric.column][rows]
        sized = sampler.sized_by == metric.column
        limits = LIMITS[metric.kind](Values(metric, x, weight, 0, True, N, float(weight.sum()), sized), 0.95, of, None)
        run_truth = full[metric.column].sum() if metric.kind == "total" else full[metric.column].mean()
        naive = float(np.quantile(x, metric.q)) if metric.kind == "quantile" else float(x.mean())
        naive *= N if metric.kind == "total" else 1
        found[what] = Found(limits.estimate, *limits.interval, truths.get(what, float(run_truth)), naive)
    return found


def row(what: str, found: np.ndarray) -> dict[str, str]:
    """The figures of one metric over all runs."""
    estimate, low, high, truth, naive = found.T
    if what == "error rate":  # the metric is the success rate
        estimate, low, high, truth, naive = 1 - estimate, 1 - high, 1 - low, 1 - truth, 1 - naive
    covered = np.mean((low <= truth) & (truth <= high))
    finite = np.isfinite(high) & np.isfinite(low)
    spread = (estimate - truth).std(ddof=1)
    width = np.mean((high - low)[finite]) / (3.92 * spread) if finite.mean() > 0.5 else math.nan
    return {
        "bias": f"{(estimate / truth).mean() - 1:+.1%}",
        "coverage": f"{covered:.1%}" + ("" if finite.all() else f" ({1 - finite.mean():.0%} open)"),
        "width": "–" if math.isnan(width) else f"{width:.2f}",
        "naive": f"{(naive / truth).mean() - 1:+.0%}",
    }


def table(law: str, runs: int) -> str:
    """One latency law: a row a sampler and metric."""
    latency = LATENCIES[law]
    truths = process_truths(latency)
    lines = [f"**{law}**\n", "| sampler | " + " | ".join(WANTED) + " |", "|---|" + "---|" * len(WANTED)]
    for name, sampler in SAMPLERS.items():
        results = [one_run(latency, sampler, truths, seed) for seed in range(runs)]
        cells = {what: row(what, np.array([result[what] for result in results])) for what in WANTED}
        for figure in ("bias", "coverage", "width", "naive"):
            label = f"{name}: {figure}" if figure != "naive" else f"{name}: bias without weights"
            lines.append(f"| {label} | " + " | ".join(cells[what][figure] for what in WANTED) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/guides/sampling.md")
    args = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        text = "\n".join(pool.map(partial(table, runs=args.runs), LATENCIES))
    print(text)
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        said = f"{args.runs:,} runs each; `python tools/simulate_sampling.py --write` makes the tables anew.\n\n"
        PAGE.write_text(f"{before}{BEGIN}{said}{text}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
