"""What deciding costs: `compare` of two arms of a million events beside bare t-tests, and a look at a sequence."""

from __future__ import annotations

import sys
from statistics import median

import numpy as np
import pandas as pd
from scipy import stats

import crucible_nb as cr
from benchmarks.timing import Row, at_most, ratio, rounds, seconds, table

METRICS = ("success", "cost_usd", "latency_ms", "score")


def arm(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "success": rng.random(n) < 0.95,
            "cost_usd": rng.lognormal(-5, 0.4, n),
            "latency_ms": rng.lognormal(6, 0.6, n),
            "score": rng.normal(0, 1, n),
        }
    )


def in_sessions(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same rows in sessions of lognormal size, as many as there are 20 rows; no session is in two arms."""
    rng, n = np.random.default_rng(seed), len(frame)
    share = rng.lognormal(0, 1.5, n // 20)
    return frame.assign(session_id=rng.choice(n // 20, n, p=share / share.sum()) + seed * n)


def main(*, quick: bool = False) -> str:
    n = 100_000 if quick else 1_000_000
    control, treatment = arm(n, 1), arm(n, 2)
    bare = [(control[name].to_numpy(np.float64), treatment[name].to_numpy(np.float64)) for name in METRICS]
    clustered = in_sessions(control, 3), in_sessions(treatment, 4)
    asked = ["success_rate", "mean_cost_usd", "p95_latency_ms", "score"]
    times = rounds(
        {
            "compare": lambda: seconds(lambda: cr.compare(control, treatment, metrics=asked)),
            "clusters": lambda: seconds(lambda: cr.compare(*clustered, metrics=asked)),
            "sequential": lambda: seconds(lambda: cr.compare(control, treatment, sequential=True)),
            "ttest_ind": lambda: seconds(lambda: [stats.ttest_ind(one, two) for one, two in bare]),
        },
        3 if quick else 7,
    )
    took = median(times["ttest_ind"])
    rows = [
        Row(f"four `scipy.stats.ttest_ind`, {n:,} events an arm", f"{1e3 * took:.0f} ms", "-", True),
        at_most(f"`compare`, four metrics, {n:,} events an arm", ratio(times, "compare", "ttest_ind"), 6, "x the four"),
        at_most(
            f"`compare`, the same events in {n // 20:,} sessions of unequal size",
            ratio(times, "clusters", "ttest_ind"),
            15,
            "x the four",
        ),
        Row("`compare(sequential=True)`, three metrics", f"{1e3 * median(times['sequential']):.0f} ms", "-", True),
    ]
    return table("Comparing", rows)


if __name__ == "__main__":
    print(main(quick="--quick" in sys.argv))
