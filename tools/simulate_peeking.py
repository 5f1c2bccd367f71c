"""Errors and power under continuous peeking: `python tools/simulate_peeking.py [--runs N] [--write] [--plans]`.

Two arms, looked at every 20 events an arm; a run counts as decided at its first look that decides. Every run has its
own seed: [scenario, run]. The figures come from the functions behind `cr.compare(sequential=True)`; looks that cannot
decide are skipped by an upper bound (the evidence at one common value instead of the smallest over all).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from crucible_nb.comparison.preregistered import look_level
from crucible_nb.stats.planning.plan import Ledger, plan_of
from crucible_nb.stats.sequences import asymptotic, quantiles, rates
from crucible_nb.stats.sequences.betting import BETS
from crucible_nb.stats.sequences.mixture import log_mixture, log_sides
from crucible_nb.stats.sequences.quantile_grid import QuantileGrid
from crucible_nb.stats.sequences.rates import SuccessCounts

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "statistics.md"
BEGIN, END = "<!-- peeking -->\n", "<!-- /peeking -->\n"
PLANS_BEGIN, PLANS_END = "<!-- plans -->\n", "<!-- /plans -->\n"
ALPHA, EVERY = 0.05, 20
LIMIT = -math.log(ALPHA)
NEVER = 10**9
Draw = Callable[[np.random.Generator, int], np.ndarray]


# -- what is drawn ------------------------------------------------------------------------------------------------


def normal(rng: np.random.Generator, n: int, mean: float = 400.0) -> np.ndarray:
    """Latencies without a tail."""
    return rng.normal(mean, 100.0, n)


def lognormal(rng: np.random.Generator, n: int, sigma: float = 1.0, factor: float = 1.0) -> np.ndarray:
    """Latencies as they are."""
    return factor * rng.lognormal(6.0, sigma, n)


def pareto(rng: np.random.Generator, n: int) -> np.ndarray:
    """Latencies without a variance."""
    return 100.0 * (1.0 - rng.random(n)) ** (-1 / 1.5)


def rounded(rng: np.random.Generator, n: int, step: float = 10.0) -> np.ndarray:
    """Latencies with ties."""
    return np.round(lognormal(rng, n) / step) * step


def outcomes(rng: np.random.Generator, n: int, rate: float = 0.02) -> np.ndarray:
    """Errors."""
    return (rng.random(n) < rate).astype(np.float64)


def scores(rng: np.random.Generator, n: int, a: float = 2.0, b: float = 2.0) -> np.ndarray:
    """Scores in [0, 1]."""
    return rng.beta(a, b, n)


def marks(rng: np.random.Generator, n: int) -> np.ndarray:
    """Scores in steps of a tenth, mostly 1."""
    return np.round(rng.beta(5.0, 0.5, n), 1)


def dependent(rng: np.random.Generator, n: int, block: int = 1) -> np.ndarray:
    """Latencies that resemble their neighbours: logs are AR(1) with 0.7; with `block`, their means over that many."""
    noise = rng.normal(0.0, 1.0, n * block)
    x = np.empty(n * block)
    x[0] = noise[0]
    for i in range(1, len(x)):
        x[i] = 0.7 * x[i - 1] + math.sqrt(1 - 0.49) * noise[i]
    return np.exp(6.0 + x.reshape(n, block).mean(axis=1))


# -- who decides --------------------------------------------------------------------------------------------------


def at_looks(x: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """Running sums at the looks."""
    return x.cumsum(axis=-1, dtype=np.float64)[..., looks - 1]


def first(hits: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """The first look that decided, of each run."""
    return np.where(hits.any(axis=1), looks[hits.argmax(axis=1)], NEVER)


def confirmed(maybe: np.ndarray, looks: np.ndarray, exact: Callable[[int, int], float]) -> np.ndarray:
    """The first look that decides, asked only where it may."""
    found = np.full(len(maybe), NEVER)
    for run in np.flatnonzero(maybe.any(axis=1)):
        asked = (int(n) for n in looks[maybe[run]])
        found[run] = next((n for n in asked if exact(run, n) >= LIMIT), NEVER)
    return found


def by_rates(one: np.ndarray, two: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """`rates.log_difference`."""
    a, b = at_looks(one, looks), at_looks(two, looks)
    n = np.broadcast_to(looks.astype(np.float64), a.shape)
    pooled = ((a + b) / (2 * n)).ravel()
    bound = np.concatenate([
        rates.log_capital(SuccessCounts(x[:, None], m[:, None]), SuccessCounts(y[:, None], m[:, None]), p, 0.0)  # type: ignore[arg-type]
        for x, y, m, p in zip(*(np.array_split(z.ravel(), 50) for z in (a, b, n, pooled)), strict=True)
    ]).reshape(a.shape)  # fmt: skip
    place = {int(n): i for i, n in enumerate(looks)}
    known: dict[tuple[float, ...], float] = {}

    def exact(run: int, n: int) -> float:
        key = (float(a[run, place[n]]), float(b[run, place[n]]), float(n))
        if key not in known:
            known[key] = rates.log_difference(SuccessCounts(key[0], key[2]), SuccessCounts(key[1], key[2]))
        return known[key]

    return confirmed(bound >= LIMIT, looks, exact)


def by_quantiles(one: np.ndarray, two: np.ndarray, looks: np.ndarray, q: float = 0.5) -> np.ndarray:
    """`quantiles.log_difference`."""
    common = np.quantile(np.concatenate((one, two), axis=1), q, axis=1, method="inverted_cdf")[:, None]
    bound = sum(
        log_sides(at_looks(x <= common, looks), at_looks(x < common, looks), looks, q, quantiles.AGAINST)  # type: ignore[arg-type]
        for x in (one, two)
    )

    def exact(run: int, n: int) -> float:
        return quantiles.log_difference(QuantileGrid().update(one[run, :n]), QuantileGrid().update(two[run, :n]), q)

    return confirmed(np.asarray(bound) >= LIMIT, looks, exact)


def by_pairs(one: np.ndarray, two: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """`betting.log_evidence_against` of the pairs' differences at 0; values in [0, 1]."""
    gap, log = two - one, np.full((len(one), len(looks)), -np.inf)
    for stake, weight in zip(BETS.amount, BETS.log_weight, strict=True):
        for sign in (1, -1):
            log = np.logaddexp(log, at_looks(np.log1p(sign * stake * gap), looks) + weight - math.log(2))
    return first(log >= LIMIT, looks)


def by_plug_in(one: np.ndarray, two: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """The hedged bets of Waudby-Smith and Ramdas, sized by the past (their equations 24 to 26, c = 1/2)."""
    x = (two - one + 1) / 2
    i = np.arange(1, x.shape[1] + 1)
    mean = (0.5 + x.cumsum(axis=1)) / (i + 1)
    spread = (0.25 + ((x - mean) ** 2).cumsum(axis=1)) / (i + 1)
    before = np.concatenate((np.full((len(x), 1), 0.25), spread[:, :-1]), axis=1)
    stake = np.minimum(np.sqrt(2 * math.log(2 / ALPHA) / (before * i * np.log1p(i))), 1.0)
    sides = [at_looks(np.log1p(sign * stake * (x - 0.5)), looks) for sign in (1, -1)]
    return first(np.maximum(*sides) - math.log(2) >= LIMIT, looks)


def by_limit_theorem(one: np.ndarray, two: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """`asymptotic.log_evidence`."""
    gap, error, _ = _gap(one, two, looks)
    return first(np.vectorize(asymptotic.log_evidence)(gap, error, looks) >= LIMIT, looks)


def by_t_test(one: np.ndarray, two: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """Welch's t-test at 5 % at every look: what not to do."""
    gap, error, df = _gap(one, two, looks)
    with np.errstate(divide="ignore", invalid="ignore"):
        pvalue = 2 * stats.t.sf(np.abs(gap) / error, df)
    return first(pvalue < ALPHA, looks)


def _gap(one: np.ndarray, two: np.ndarray, looks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    means, squares = [], []
    for x in (one, two):
        shifted = x - x.mean(axis=1, keepdims=True)
        mean = at_looks(shifted, looks) / looks
        means.append(mean + x.mean(axis=1, keepdims=True))
        squares.append((at_looks(shifted**2, looks) - looks * mean**2) / (looks - 1) / looks)
    total = squares[0] + squares[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        df = total**2 / sum(s**2 / (looks - 1) for s in squares)
    return means[1] - means[0], np.sqrt(np.maximum(total, 0)), df


def by_untied(one: np.ndarray, two: np.ndarray, looks: np.ndarray, q: float = 0.5) -> np.ndarray:
    """The beta mixture as if there were no ties: what not to do with rounded latencies."""
    found = np.full(len(one), NEVER)
    for run in range(len(one)):
        for n in looks:
            values = np.unique(np.concatenate((one[run, :n], two[run, :n])))
            counts = (np.searchsorted(np.sort(x[run, :n]), values, side="right") for x in (one, two))
            if sum(log_mixture(s, n, q, quantiles.AGAINST) for s in counts).min() >= LIMIT:
                found[run] = n
                break
    return found


# -- one arm, against the truth --


def left_by_rate(one: np.ndarray, _: np.ndarray, looks: np.ndarray, truth: float) -> np.ndarray:
    """When `rates.rate_interval` first left the true rate out."""
    return first(log_mixture(at_looks(one, looks), looks, truth, rates.STRENGTH) >= LIMIT, looks)


def left_by_quantile(one: np.ndarray, _: np.ndarray, looks: np.ndarray, q: float, truth: float) -> np.ndarray:
    """When `quantiles.quantile_interval` first left the true quantile out."""
    counts = at_looks(one <= truth, looks), at_looks(one < truth, looks)
    return first(log_sides(*counts, looks, q, quantiles.STRENGTH) >= LIMIT, looks)  # type: ignore[arg-type]


def left_by_mean(one: np.ndarray, _: np.ndarray, looks: np.ndarray, truth: float) -> np.ndarray:
    """When `betting.mean_limits` first left the true mean out; values in [0, 1]."""
    sides = []
    for x, mean in ((one, truth), (1 - one, 1 - truth)):
        log = np.full((len(one), len(looks)), -np.inf)
        for stake, weight in zip(BETS.amount, BETS.log_weight, strict=True):
            log = np.logaddexp(log, at_looks(np.log1p(stake * (x / mean - 1)), looks) + weight)
        sides.append(log)
    return first(np.maximum(*sides) >= LIMIT + math.log(2), looks)


def left_by_limit_theorem(one: np.ndarray, _: np.ndarray, looks: np.ndarray, truth: float) -> np.ndarray:
    """When `asymptotic.around` first left the true mean out."""
    mean = at_looks(one, looks) / looks
    spread = np.maximum(at_looks(one**2, looks) - looks * mean**2, 0) / (looks - 1)
    half = np.vectorize(asymptotic.radius)(np.sqrt(spread / looks), looks, ALPHA)
    return first(np.abs(mean - truth) > half, looks)


# -- tables -------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """One line of a table.

    Attributes:
        name: What is compared.
        control, treatment: What is drawn.
        rule: Who decides.
        until: Last look, events an arm.
        fixed: Events an arm that one planned test at the end needs for 80 % power.
        share: Of the runs that are simulated.
    """

    name: str
    control: Draw
    treatment: Draw
    rule: Callable[..., np.ndarray]
    until: int = 1000
    fixed: float = math.nan
    share: float = 1.0


def same(name: str, draw: Draw, rule: Callable[..., np.ndarray], share: float = 1.0) -> Case:
    """Two equal arms."""
    return Case(name, draw, draw, rule, share=share)


P50, P95 = by_quantiles, partial(by_quantiles, q=0.95)
EQUAL = [
    same("errors 2 %", outcomes, by_rates),
    same("errors 0.5 %", partial(outcomes, rate=0.005), by_rates),
    same("success 50 %", partial(outcomes, rate=0.5), by_rates),
    same("p50, normal", normal, P50),
    same("p50, lognormal 1.5", partial(lognormal, sigma=1.5), P50),
    same("p95, lognormal 1.5", partial(lognormal, sigma=1.5), P95),
    same("p50, Pareto 1.5", pareto, P50),
    same("p95, Pareto 1.5", pareto, P95),
    same("p50, rounded to 10 ms", rounded, P50),
    same("p50, rounded to 100 ms", partial(rounded, step=100.0), P50),
    same("p50, rounded to 1 s", partial(rounded, step=1000.0), P50),
    same("p95, rounded to 1 s", partial(rounded, step=1000.0), P95),
    same("scores in [0, 1]", scores, by_pairs),
    same("marks of 0, 0.1, ... 1", marks, by_pairs),
]
WRONG = [
    same("t-test, normal", normal, by_t_test),
    same("t-test, lognormal 1.5", partial(lognormal, sigma=1.5), by_t_test),
    same("t-test, errors 2 %", outcomes, by_t_test),
    same("p50 as if untied, rounded to 100 ms", partial(rounded, step=100.0), by_untied, 0.1),
    same("p50 as if untied, rounded to 1 s", partial(rounded, step=1000.0), by_untied, 0.1),
    same("asymptotic mean, normal", normal, by_limit_theorem),
    same("asymptotic mean, Pareto 1.5", pareto, by_limit_theorem),
    same("asymptotic mean, errors 1 %", partial(outcomes, rate=0.01), by_limit_theorem),
    same("p50, AR(1) 0.7 (warned of)", dependent, P50, 0.25),
    same("p50 of blocks of 50, AR(1) 0.7", partial(dependent, block=50), P50, 0.05),
]


def two_rates(one: float, two: float) -> float:
    """Events an arm of a z-test at 5 % with 80 % power."""
    z = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    return z**2 * (one * (1 - one) + two * (1 - two)) / (one - two) ** 2


def two_quantiles(q: float, sigma: float, factor: float) -> float:
    """Events an arm of a test of lognormal quantiles, from the asymptotic variance of their logs."""
    z = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    return z**2 * 2 * q * (1 - q) * (sigma / stats.norm.pdf(stats.norm.ppf(q)) / math.log(factor)) ** 2


def rate_case(one: float, two: float, rule: Callable[..., np.ndarray] = by_rates, said: str = "") -> Case:
    """Two rates."""
    name = f"{one:.0%} against {two:.0%}{said}"
    return Case(name, partial(outcomes, rate=one), partial(outcomes, rate=two), rule, 4000, two_rates(one, two))


def slower(name: str, q: float, sigma: float, factor: float) -> Case:
    """A latency that has grown."""
    draws = [partial(lognormal, sigma=sigma, factor=by) for by in (1.0, factor)]
    return Case(name, *draws, partial(by_quantiles, q=q), 6000, two_quantiles(q, sigma, factor), 0.25)


def score_case() -> Case:
    """Mean 0.5 against 0.55, in [0, 1]."""
    one, two = (2.0, 2.0), (2.2, 1.8)
    spread = sum(stats.beta(*shape).var() for shape in (one, two))
    z = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    draws = [partial(scores, a=a, b=b) for a, b in (one, two)]
    return Case("scores, mean 0.50 against 0.55", *draws, by_pairs, 4000, z**2 * spread / 0.05**2, 0.25)


DIFFERENT = [
    rate_case(0.02, 0.05),
    rate_case(0.02, 0.05, by_pairs, ", in pairs"),
    rate_case(0.02, 0.05, by_plug_in, ", in pairs, bets sized by the past"),
    rate_case(0.02, 0.10),
    rate_case(0.50, 0.60),
    slower("median doubled, sigma 1.5", 0.5, 1.5, 2.0),
    slower("median + 20 %, sigma 1", 0.5, 1.0, 1.2),
    slower("p95 + 50 %, sigma 1", 0.95, 1.0, 1.5),
    score_case(),
]


def alone(name: str, draw: Draw, rule: Callable[..., np.ndarray], **truth: float) -> Case:
    """One arm."""
    return Case(name, draw, draw, partial(rule, **truth))


ONE_IN_100 = partial(outcomes, rate=0.01)
MEDIAN, HIGH = math.exp(6.0), math.exp(6.0 + float(stats.norm.ppf(0.95)))
ALONE = [
    alone("errors 2 %", outcomes, left_by_rate, truth=0.02),
    alone("success 50 %", partial(outcomes, rate=0.5), left_by_rate, truth=0.5),
    alone("p50, lognormal 1", lognormal, left_by_quantile, q=0.5, truth=MEDIAN),
    alone("p95, lognormal 1", lognormal, left_by_quantile, q=0.95, truth=HIGH),
    alone("p50, rounded to 100 ms", partial(rounded, step=100.0), left_by_quantile, q=0.5, truth=400.0),
    alone("scores in [0, 1]", scores, left_by_mean, truth=0.5),
    alone("asymptotic mean, normal", normal, left_by_limit_theorem, truth=400.0),
    alone("asymptotic mean, Pareto 1.5 (not guaranteed)", pareto, left_by_limit_theorem, truth=300.0),
    alone(
        "asymptotic mean, errors 1 % (not guaranteed)", partial(outcomes, rate=0.01), left_by_limit_theorem, truth=0.01
    ),
]
CASES = {"equal": EQUAL, "wrong": WRONG, "alone": ALONE, "different": DIFFERENT}


def decided(kind: str, place: int, runs: int) -> np.ndarray:
    """When each run of a case was decided."""
    case = CASES[kind][place]
    looks = np.arange(EVERY, case.until + 1, EVERY)
    found, step = [], 250
    runs = max(1, round(runs * case.share))
    for start in range(0, runs, step):
        rngs = [
            np.random.default_rng([list(CASES).index(kind), place, run])
            for run in range(start, min(start + step, runs))
        ]
        arms = ([draw(rng, case.until) for rng in rngs] for draw in (case.control, case.treatment))
        found.append(case.rule(*(np.array(arm) for arm in arms), looks))
    return np.concatenate(found)


def error_row(case: Case, at: np.ndarray) -> str:
    """Share of runs in which equal arms were told apart."""
    return f"| {case.name} | {np.mean(at < NEVER):.1%} | {len(at):,} |"


def power_row(case: Case, at: np.ndarray) -> str:
    """When different arms were."""
    half, most = (np.quantile(at, q, method="higher") for q in (0.5, 0.8))
    said = [f"{x:,.0f}" if x < NEVER else f"> {case.until:,}" for x in (half, most)]
    times = f"{most / case.fixed:.1f}" if most < NEVER else "–"
    soon = np.mean(at <= 1000)
    return f"| {case.name} | {case.fixed:,.0f} | {said[0]} | {said[1]} | {times} | {soon:.0%} | {len(at):,} |"


def tables(runs: int, pool: Any) -> str:
    """All tables."""
    asked = [(kind, place) for kind, cases in CASES.items() for place in range(len(cases))]
    waiting = {one: pool.submit(decided, *one, runs) for one in reversed(asked)}
    found = {kind: [waiting[kind, place].result() for place in range(len(cases))] for kind, cases in CASES.items()}
    errors = "| two equal arms | wrong | runs |\n|---|--:|--:|"
    power = (
        "| two different arms | one planned test, 80 % | half of runs by | 80 % of runs by | times as many | "
        "by 1,000 | runs |\n|---|--:|--:|--:|--:|--:|--:|"
    )
    parts = ["**Guaranteed: at most 5 %**, with a look every 20 events up to 1,000 per arm:\n", errors]
    parts += [error_row(case, at) for case, at in zip(EQUAL, found["equal"], strict=True)]
    parts += ["\n**Not guaranteed**, the same looks:\n", errors]
    parts += [error_row(case, at) for case, at in zip(WRONG, found["wrong"], strict=True)]
    parts += [
        "\n**One arm**: runs in which any of the same looks excludes the true value:\n",
        errors.replace("two equal arms", "one arm"),
    ]
    parts += [error_row(case, at) for case, at in zip(ALONE, found["alone"], strict=True)]
    parts += ["\n**Until the decision**, events per arm, with a look every 20:\n", power]
    parts += [power_row(case, at) for case, at in zip(DIFFERENT, found["different"], strict=True)]
    return "\n".join([*parts, ""])


# -- planned looks ------------------------------------------------------------------------------------------------


class PlannedLooks(NamedTuple):
    """Looks at a plan of 1,000 events.

    Attributes:
        name: How the looks differ from the plan.
        looks: Planned number of looks.
        at: Events of (control, treatment) at each look that is taken.
    """

    name: str
    looks: int
    at: tuple[tuple[int, int], ...]


def even(*sizes: int) -> tuple[tuple[int, int], ...]:
    """Looks at which both arms have as many events."""
    return tuple((size, size) for size in sizes)


PLANS = [
    PlannedLooks("five even looks", 5, even(100, 200, 300, 400, 500)),
    PlannedLooks("a hundred looks", 100, even(*range(5, 501, 5))),
    PlannedLooks("the first look late, at 60 %", 5, even(300, 400, 500)),
    PlannedLooks("one look, late, at 140 %", 5, even(700)),
    PlannedLooks("the last look late, at 140 %", 2, even(250, 700)),
    PlannedLooks("early looks, at 2, 10, 20 and 40 % of a plan of one", 1, even(10, 50, 100, 200, 500)),
    PlannedLooks("uneven looks, at 21, 22, 78, 80 and 100 %", 5, even(105, 110, 390, 400, 500)),
    PlannedLooks("the treatment grows at half the speed", 5, tuple((2 * n, n) for n in range(100, 501, 100))),
    PlannedLooks("a finished control of 5,000 events", 5, tuple((5000, n) for n in range(100, 501, 100))),
]


def plan_levels(case: PlannedLooks) -> np.ndarray:
    """Levels that `cr.compare` gives these looks."""
    ledger, levels = Ledger(plan_of("score", sample_size=1000, looks=case.looks)), []
    for control, treatment in case.at:
        levels.append(look_level(ledger, min(control, treatment)))
        ledger.take(control + treatment, ["score"], min(control, treatment))
    return np.array(levels)


def plan_errors(case: PlannedLooks, place: int, runs: int) -> float:
    """Share of runs in which any of the looks told equal arms apart."""
    n, levels = np.array(case.at).T, plan_levels(case)
    found = []
    for run in range(runs):
        rng = np.random.default_rng([place, run])
        moments = []
        for size in n:
            x = rng.normal(size=size[-1])
            mean = x.cumsum()[size - 1] / size
            moments.append((mean, ((x**2).cumsum()[size - 1] - size * mean**2) / (size - 1), size))
        (one, first_variance, m), (two, second_variance, k) = moments
        error = np.sqrt(first_variance / m + second_variance / k)
        df = error**4 / ((first_variance / m) ** 2 / (m - 1) + (second_variance / k) ** 2 / (k - 1))
        found.append(2 * stats.t.sf(np.abs(two - one) / error, df) <= levels)
    return float(np.array(found).any(axis=1).mean())


def plan_table(runs: int) -> str:
    """Errors of every way of looking at a plan."""
    rows = ["| looks at a plan of 1,000 events | planned | wrong at any look | runs |", "|---|--:|--:|--:|"]
    for place, case in enumerate(PLANS):
        wrong = plan_errors(case, place, runs)
        rows.append(f"| {case.name} | {case.looks} | {wrong:.1%} | {runs:,} |")
    return "\n".join([*rows, ""])


def write(text: str, begin: str, end: str) -> None:
    """Put a table into its place in the guide."""
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(begin)[0], page.split(end)[1]
    PAGE.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/guides/statistics.md")
    parser.add_argument("--plans", action="store_true", help="only the table of planned looks")
    args = parser.parse_args()
    plans = plan_table(args.runs)
    print(plans)
    if args.write:
        write(plans, PLANS_BEGIN, PLANS_END)
    if args.plans:
        return
    with ProcessPoolExecutor() as pool:
        text = tables(args.runs, pool)
    print(text)
    if args.write:
        said = (
            "`python tools/simulate_peeking.py --write` recomputes these tables; the seed of a run is "
            "[table, line, run], counted from 0.\n\n"
        )
        write(said + text, BEGIN, END)


if __name__ == "__main__":
    main()
