"""Errors of `cr.compare` in its default settings: `python tools/simulate_comparisons.py [--runs 2000] [--write]`.

Each line compares arms that have the same distribution, by success_rate, p95_latency_ms and mean_cost_usd with Holm's
correction: the share of runs in which any metric is called better, worse or different, which should be at most 5 %, and
for each metric the share of raw p-values up to 0.05. --write fills the table of docs/guides/statistics.md.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import crucible_nb as cr

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "statistics.md"
BEGIN, END = "<!-- comparisons -->\n", "<!-- /comparisons -->"
METRICS = ("success_rate", "p95_latency_ms", "mean_cost_usd")
FIRM = {"better", "worse", "different"}
SIZES = np.maximum(1, (200 * 0.75 ** np.arange(20)).astype(int))
Rng = np.random.Generator
Draw = Callable[[Rng], tuple[pd.DataFrame, Any]]


def calls(rng: Rng, n: int, success: float = 0.95, latency: float = 1.0, cost: float = 0.5) -> pd.DataFrame:
    """Independent calls with lognormal latency and cost (sigma)."""
    return pd.DataFrame({
        "success": rng.random(n) < success, "latency_ms": 400 * rng.lognormal(0, latency, n),
        "cost_usd": 0.002 * rng.lognormal(0, cost, n),
    })  # fmt: skip


def rare(rng: Rng, n: int) -> pd.DataFrame:
    """Failures of 0.2 %, very skewed latencies, and costs of which 70 % are 0."""
    arm = calls(rng, n, 0.998, 2.0)
    return arm.assign(cost_usd=np.where(rng.random(n) < 0.7, 0, 0.002 * rng.lognormal(0, 1.5, n)))


def rounded(rng: Rng, n: int, step: float, how: Callable[[Any], Any]) -> pd.DataFrame:
    """Calls whose latencies have ties."""
    arm = calls(rng, n)
    return arm.assign(latency_ms=how(arm.latency_ms / step) * step)


def items(rng: Rng, level: np.ndarray, rows: np.ndarray, names: Any = None) -> pd.DataFrame:
    """Rows of items whose success, latency and cost depend on the level of the item."""
    n, hard = len(rows), level[rows]
    return pd.DataFrame({
        "sample_id": rows if names is None else names(rows), "success": hard + rng.normal(0, 0.7, n) > -1,
        "latency_ms": 400 * np.exp(hard + rng.normal(0, 0.4, n)),
        "cost_usd": 0.002 * np.exp(0.5 * hard + rng.normal(0, 0.2, n)),
    })  # fmt: skip


def sessions(rng: Rng) -> pd.DataFrame:
    """20 sessions of 200, 150, ... 1 calls."""
    rows = np.repeat(np.arange(20), SIZES)
    effect, n, first = rng.normal(0, 0.7, 20)[rows], len(rows), rng.integers(0, 10**6)
    return pd.DataFrame({
        "session_id": [f"{first}-{session}" for session in rows],
        "success": rng.random(n) < 1 / (1 + np.exp(-2 - effect)),
        "latency_ms": 400 * np.exp(effect + rng.normal(0, 0.7, n)),
        "cost_usd": 0.002 * np.exp(0.5 * effect + rng.normal(0, 0.3, n)),
    })  # fmt: skip


def pairs(rng: Rng) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same 200 items in both arms."""
    level, rows = rng.normal(0, 1, 200), np.arange(200)
    return items(rng, level, rows), items(rng, level, rows)


def repeated_pairs(rng: Rng) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same 150 items in both arms, with 1 to 4 rows each."""
    level = rng.normal(0, 1, 150)
    first, second = (items(rng, level, np.repeat(np.arange(150), rng.integers(1, 5, 150))) for _ in range(2))
    return first, second


def repeated(rng: Rng) -> pd.DataFrame:
    """60 items with 8 rows each, which no other arm has."""
    level, rows = rng.normal(0, 1, 60), np.repeat(np.arange(60), 8)
    first = rng.integers(0, 10**6)
    return items(rng, level, rows, lambda of: [f"{first}-{item}" for item in of])


def stratified(rng: Rng) -> pd.DataFrame:
    """All failures and 10 % of the successes of 3,000 calls."""
    kept = cr.sampling.Stratified({False: 1.0, True: 0.1}, by="success")
    return cr.sampling.sample(calls(rng, 3000), kept, seed=int(rng.integers(0, 2**31)))


def both(draw: Callable[[Rng], pd.DataFrame]) -> Draw:
    """Two arms of one kind."""
    return lambda rng: (draw(rng), draw(rng))


SHAPES: dict[str, Draw] = {
    "300 calls an arm, latency lognormal 1": both(lambda rng: calls(rng, 300)),
    "20 calls an arm": both(lambda rng: calls(rng, 20)),
    "0.2 % failures, latency lognormal 2, 70 % of costs are 0": both(lambda rng: rare(rng, 500)),
    "latency rounded to 100 ms, 200 calls": both(lambda rng: rounded(rng, 200, 100, np.round)),
    "latency rounded up to 1 s, 400 calls": both(lambda rng: rounded(rng, 400, 1000, np.ceil)),
    "200 pairs": pairs,
    "150 pairs with 1 to 4 rows each": repeated_pairs,
    "items with 8 rows each, none in both arms": both(repeated),
    "20 sessions of 200, 150, ... 1 calls": both(sessions),
    "three arms, Holm over 6": lambda rng: (calls(rng, 200), {"b": calls(rng, 200), "c": calls(rng, 200)}),
    "stratified sample (all failures, 10 % of successes)": both(stratified),
    "50 calls against 2,000, cost lognormal 1.5": lambda rng: (calls(rng, 50, cost=1.5), calls(rng, 2000, cost=1.5)),
}


class Errors(NamedTuple):
    """Numbers of runs: all, with a verdict, and of comparisons by metric with a raw p-value up to 0.05."""

    runs: int
    firm: int
    compared: int
    raw: tuple[int, ...]

    def __add__(self, other: Any) -> Errors:
        """Count the runs of both."""
        raw = tuple(a + b for a, b in zip(self.raw, other.raw, strict=True))
        return Errors(self.runs + other.runs, self.firm + other.firm, self.compared + other.compared, raw)

    def row(self, name: str) -> str:
        """One line of the table."""
        raw = " | ".join(f"{count / self.compared:.1%}" for count in self.raw)
        return f"| {name} | {self.firm / self.runs:.1%} | {raw} | {self.runs:,} |"


def simulate(name: str, start: int, end: int) -> Errors:
    """Runs of one line; the seed of a run is [7, run]."""
    firm, compared, raw = 0, 0, np.zeros(len(METRICS), int)
    for run in range(start, end):
        control, treatment = SHAPES[name](np.random.default_rng([7, run]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: Any = cr.compare(control, treatment)
        arms = list(found.values()) if isinstance(treatment, Mapping) else [found]
        firm += any(metric.verdict in FIRM for arm in arms for metric in arm.values())
        compared += len(arms)
        raw += [sum(arm[metric].raw_pvalue <= 0.05 for arm in arms) for metric in METRICS]
    return Errors(end - start, firm, compared, tuple(raw.tolist()))


def table(found: Mapping[str, Errors]) -> str:
    """The lines as Markdown."""
    mean = np.mean([errors.firm / errors.runs for errors in found.values()])
    return "\n".join([
        "`python tools/simulate_comparisons.py --write` recomputes this table; the seed of a run is [7, run].\n",
        f"| equal arms | better or worse | raw p <= 0.05: {' | '.join(METRICS)} | runs |", "|---|--:|--:|--:|--:|--:|",
        *(errors.row(name) for name, errors in found.items()),
        f"| mean | {mean:.1%} | | | | |", "",
    ])  # fmt: skip


def write(text: str) -> None:
    """Put the table into its place in the guide."""
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}{text}{END}{after}", encoding="utf-8")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="put the table into docs/guides/statistics.md")
    args = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        waiting = {name: pool.submit(simulate, name, 0, args.runs) for name in SHAPES}
    text = table({name: future.result() for name, future in waiting.items()})
    print(text)
    if args.write:
        write(text)


if __name__ == "__main__":
    main()
