"""Coverage of the intervals of rates per time: `python tools/simulate_rates.py [--runs 2000] [--write]`.

Events arrive at random (Poisson), in sessions, in bursts of a changing rate, at a random time after the one before
(under-dispersed), or with costs. Each line is the share of runs whose 95 % interval has the true rate; the last column
is that of the difference of two such arms, by `cr.compare`. --write fills the table of docs/guides/statistics.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from crucible_nb.comparison import compare
from crucible_nb.stats.estimates.confidence import confidence_interval

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "statistics.md"
BEGIN, END = "<!-- rates -->\n", "<!-- /rates -->"
SECONDS = 3600.0
Draw = Callable[[np.random.Generator, float], np.ndarray]


def poisson(rng: np.random.Generator, n: float) -> np.ndarray:
    """Times of events that arrive independently, n in SECONDS on average."""
    return np.asarray(rng.random(rng.poisson(n)) * SECONDS)


def sessions(rng: np.random.Generator, n: float) -> np.ndarray:
    """Sessions of 4 events on average, 5 s apart on average."""
    count = rng.poisson(n / 4)
    sizes = rng.geometric(0.25, count)
    begins = np.repeat(rng.random(count) * SECONDS, sizes)
    gaps = rng.exponential(5.0, int(sizes.sum()))
    passed = np.cumsum(gaps)
    before = np.repeat(passed[np.cumsum(sizes) - sizes] if count else passed, sizes)
    times = begins + passed - before
    return np.asarray(times[times < SECONDS])


def bursts(rng: np.random.Generator, n: float) -> np.ndarray:
    """A rate that is drawn anew (exponential) every 20 s."""
    pieces = round(SECONDS / 20)
    counts = rng.poisson(n / pieces * rng.exponential(1.0, pieces))
    return np.asarray((np.repeat(np.arange(pieces), counts) + rng.random(counts.sum())) * 20)


def regular(rng: np.random.Generator, n: float) -> np.ndarray:
    """Gaps of gamma shape 4: more even than at random."""
    gap = SECONDS / n
    times = np.cumsum(rng.gamma(4.0, gap / 4, int(n + 10 * np.sqrt(n) + 20))) - rng.random() * gap
    return np.asarray(times[(times > 0) & (times < SECONDS)])


ARRIVALS: dict[str, tuple[Draw, str]] = {
    "at random": (poisson, "events_per_second"),
    "at random, USD (lognormal 1)": (poisson, "usd_per_hour"),
    "sessions of 4, 5 s apart": (sessions, "events_per_second"),
    "rate drawn anew each 20 s": (bursts, "events_per_second"),
    "evenly (gamma gaps, shape 4)": (regular, "events_per_second"),
}
SIZES = (100, 400, 2000)


def arm(rng: np.random.Generator, draw: Draw, n: float) -> pd.DataFrame:
    """Events of one hour."""
    times = np.sort(draw(rng, n))
    index = pd.DatetimeIndex((times * 1e9).astype(np.int64), tz="UTC")
    return pd.DataFrame({"cost_usd": rng.lognormal(-0.5, 1.0, len(times))}, index=index)


def coverage(name: str, n: int, runs: int) -> tuple[float, float]:
    """Share of runs whose interval has the true rate, and the true difference of two arms (n and 1.2 n events)."""
    draw, metric = ARRIVALS[name]
    per_event = 1.0 if metric == "usd_per_hour" else 1 / SECONDS
    one = two = 0
    for run in range(runs):
        rng = np.random.default_rng([len(name), n, run])
        arms = arm(rng, draw, n), arm(rng, draw, 1.2 * n)
        low, high = confidence_interval(arms[0], metric).confidence_interval
        one += low <= n * per_event <= high
        low, high = compare(*arms, metrics=[metric])[metric].confidence_interval
        two += low <= 0.2 * n * per_event <= high
    return one / runs, two / runs


def table(runs: int) -> str:
    """The table as Markdown."""
    lines = [
        "`python tools/simulate_rates.py --write` recomputes this table; the seed of a run is [line, events, run].\n",
        f"| events arrive, {runs:,} runs | events in an hour | 95 % interval of the rate | of the difference |",
        "|---|--:|--:|--:|",
    ]
    for name in ARRIVALS:
        for n in SIZES:
            one, two = coverage(name, n, runs)
            lines.append(f"| {name} | {n:,} | {one:.1%} | {two:.1%} |")
    return "\n".join([*lines, "", ""])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="put the table into docs/guides/statistics.md")
    args = parser.parse_args()
    text = table(args.runs)
    print(text)
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}{text}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
