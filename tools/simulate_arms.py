"""Error and power of the tests of two means: `python tools/simulate_arms.py [--runs 2000] [--write]`.

Each line compares arms of one size: the share of runs with p <= 0.05 by Welch's test alone, and the shares that
`cr.compare` calls better or worse, and "leaning". Arms with the same distribution should be told apart in at most 5 %,
arms with different means as often as possible. Where means are equal and shapes differ, no test of means is right.
--write fills the tables of docs/guides/statistics.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from crucible_nb.stats.hypotests.skewed_means import skew_safe_t_test
from crucible_nb.stats.samples.values import values_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "statistics.md"
BEGIN, END = "<!-- arms -->\n", "<!-- /arms -->"
ALPHA = 0.05
Draw = Callable[[np.random.Generator, int], np.ndarray]


def lognormal(rng: np.random.Generator, n: int, sigma: float, mean: float = 1.0) -> np.ndarray:
    """Lognormal values of a given mean."""
    return mean * rng.lognormal(-sigma * sigma / 2, sigma, n)


def zeros(rng: np.random.Generator, n: int, mean: float = 1.0) -> np.ndarray:
    """Costs of which 70 % are 0, the others lognormal 1.5."""
    return np.where(rng.random(n) < 0.7, 0.0, lognormal(rng, n, 1.5, mean / 0.3))


def pareto(rng: np.random.Generator, n: int, shape: float, mean: float = 1.0) -> np.ndarray:
    """Pareto values of a given mean."""
    return mean * (1 + rng.pareto(shape, n)) * (shape - 1) / shape


def exponential(rng: np.random.Generator, n: int, mean: float = 1.0) -> np.ndarray:
    """Exponential values."""
    return rng.exponential(mean, n)


def gains(rng: np.random.Generator, n: int, mean: float = 0.0) -> np.ndarray:
    """Skewed values of either sign."""
    return rng.exponential(1.0, n) - 1 + mean


class Law(NamedTuple):
    """A distribution, and the same with another mean."""

    name: str
    draw: Callable[..., np.ndarray]
    null: float = 1.0


LAWS = (
    Law("lognormal 0.5", partial(lognormal, sigma=0.5)),
    Law("lognormal 1", partial(lognormal, sigma=1.0)),
    Law("lognormal 1.5", partial(lognormal, sigma=1.5)),
    Law("lognormal 2", partial(lognormal, sigma=2.0)),
    Law("70 % zeros, lognormal 1.5", zeros),
    Law("exponential", exponential),
    Law("Pareto 3", partial(pareto, shape=3.0)),
    Law("Pareto 1.5", partial(pareto, shape=1.5)),
)
SIZES = ((50, 2000), (20, 2000), (100, 400), (300, 300))
SHAPES = ((1.5, 1.0), (1.0, 1.5), (2.0, 1.0), (1.0, 0.5))


class Case(NamedTuple):
    """One line: what is compared, how many values of each, and their distributions."""

    name: str
    n: int
    m: int
    control: Draw
    treatment: Draw


def _equal() -> list[Case]:
    cases = [Case(law.name, n, m, law.draw, law.draw) for law in LAWS for n, m in SIZES]
    return [*cases, Case("exponential - 1, either sign", 50, 2000, gains, gains)]


def _different() -> list[Case]:
    cases = []
    for law in LAWS[:5]:
        tripled = partial(law.draw, mean=3.0)
        cases += [
            Case(f"{law.name}, treatment x 3", 50, 2000, law.draw, tripled),
            Case(f"{law.name}, control x 3", 50, 2000, tripled, law.draw),
            Case(f"{law.name}, treatment x 1.5", 300, 300, law.draw, partial(law.draw, mean=1.5)),
        ]
    return [*cases, Case("exponential - 1, treatment + 0.5", 50, 2000, gains, partial(gains, mean=0.5))]


def _shapes() -> list[Case]:
    return [
        Case(f"lognormal {one:g} against {two:g}", n, m, partial(lognormal, sigma=one), partial(lognormal, sigma=two))
        for one, two in SHAPES
        for n, m in ((50, 2000), (100, 400), (50, 50), (300, 300))
    ]


TABLES = {
    "The same distribution in both arms": _equal(),
    "Different means": _different(),
    "Equal means, different shapes (no test is right)": _shapes(),
}


class Shares(NamedTuple):
    """Shares of runs: p <= 0.05 by Welch, called better or worse, at most leaning; and how many runs."""

    welch: float
    firm: float
    leaning: float
    runs: int


def welch_pvalue(control: np.ndarray, treatment: np.ndarray) -> float:
    """P-value of Welch's test."""
    parts = [x.var(ddof=1) / len(x) for x in (control, treatment)]
    below = sum(part**2 / (len(x) - 1) for part, x in zip(parts, (control, treatment), strict=True))
    t = (treatment.mean() - control.mean()) / np.sqrt(sum(parts))
    return float(2 * special.stdtr(sum(parts) ** 2 / below, -abs(t)))


def shares_of(table: str, at: int, runs: int) -> Shares:
    """Simulate one line; the seed of a run is [table, line, run]."""
    case, found = TABLES[table][at], np.zeros(3)
    for run in range(runs):
        rng = np.random.default_rng([list(TABLES).index(table), at, run])
        control, treatment = case.control(rng, case.n), case.treatment(rng, case.m)
        if welch_pvalue(control, treatment) > ALPHA:
            continue  # the p-value of `cr.compare` is never smaller
        arms = values_of(control, "cost_usd"), values_of(treatment, "cost_usd")
        test, _ = skew_safe_t_test(*arms, 1 - ALPHA)
        decided = test.pvalue <= ALPHA
        found += 1, decided and test.limited is None, decided and test.limited is not None
    return Shares(*(found / runs), runs)


def tables(runs: int, pool: Any) -> str:
    """All tables as Markdown."""
    waiting = {(name, at): pool.submit(shares_of, name, at, runs) for name in TABLES for at in range(len(TABLES[name]))}
    parts = [
        "`python tools/simulate_arms.py --write` recomputes these tables; the seed of a run is [table, line, run].\n"
    ]
    for name, cases in TABLES.items():
        parts += [
            f"| {name} | values | Welch alone | better or worse | leaning | runs |",
            "|---|--:|--:|--:|--:|--:|",
        ]
        for at, case in enumerate(cases):
            welch, firm, leaning, count = waiting[name, at].result()
            shares = f"{welch:.1%} | {firm:.1%} | {leaning:.1%} | {count:,}"
            parts.append(f"| {case.name} | {case.n:,} / {case.m:,} | {shares} |")
        parts.append("")
    return "\n".join(parts)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/guides/statistics.md")
    args = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        text = tables(args.runs, pool)
    print(text)
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}{text}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
