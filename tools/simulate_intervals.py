"""Coverage and width of every interval: `python tools/simulate_intervals.py [--write | --quick]`.

--write fills the tables of docs/guides/statistics.md (coverage, width) and docs/guides/sampling.md (bias with and
without weights) that were run; --only selects tables by a part of their title; --quick takes 100 runs. Whatever misses
what is promised is printed at the end.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, signal, stats

from crucible_nb.sampling import Adaptive, Importance, Reservoir, Sampler, Stratified, Uniform, sample
from crucible_nb.stats.estimates.bootstrap import bootstrap_limits
from crucible_nb.stats.estimates.intervals import LIMITS
from crucible_nb.stats.samples.blocks import sample_of
from crucible_nb.stats.samples.values import values_of

DOCS = Path(__file__).resolve().parents[1] / "docs" / "guides"
KEPT, N, BURSTS, LENGTH, FACTOR, ERRORS = 400, 4000, 2, 20, 4.0, 0.02
SHARE = BURSTS * LENGTH / N
LAWS: dict[str, Any] = {
    "normal": stats.norm(400.0, 80.0),
    "lognormal 1": stats.lognorm(1.0, scale=400.0),
    "lognormal 1.5": stats.lognorm(1.5, scale=400.0),
    "Pareto 3": stats.pareto(3.0, scale=400.0),
    "Pareto 1.5": stats.pareto(1.5, scale=400.0),
}
SAMPLERS: dict[str, Sampler] = {
    "uniform": Uniform(0.1),
    "reservoir": Reservoir(KEPT),
    "stratified": Stratified({False: 1.0}, default=0.082),
    "adaptive": Adaptive(0.06, min_samples=100, cooldown=30),
    "importance": Importance(360, by="latency_ms"),
}
PER_SUCCESS = "latency_ms_per_success"
SAMPLED = {
    "total, run": ("total_latency_ms", "run"),
    "mean, run": ("mean_latency_ms", "run"),
    "mean": ("mean_latency_ms", "process"),
    "rate 2%": ("success_rate", "process"),
    "p50": ("p50_latency_ms", "process"),
    "p95": ("p95_latency_ms", "process"),
    "p99": ("p99_latency_ms", "process"),
    "ratio": (PER_SUCCESS, "process"),
}
WHOLE = {
    "mean, t": ("mean_latency_ms", "t"),
    "mean, log": ("mean_latency_ms", "log"),
    "p50": ("p50_latency_ms", None),
    "p95": ("p95_latency_ms", None),
    "p99": ("p99_latency_ms", None),
    "ratio": (PER_SUCCESS, "log"),
    "ratio, Fieller": (PER_SUCCESS, "fieller"),
}
RATES = ("wilson", "wilson_cc", "clopper_pearson", "agresti_coull")
GROUPED = ("mean_latency_ms", "total_latency_ms", "success_rate", "p50_latency_ms", "p95_latency_ms", PER_SUCCESS)
UNEQUAL, RARE, ZEROS = "Sessions of unequal size", "Rare errors: 400 kept of 4,000", "Many zeros: 400 rows"
MESSY = (UNEQUAL, RARE, ZEROS)
BLOCKS = (None, "5s", "20s", "50s", "100s")


class Found(NamedTuple):
    """What one run said of one metric: the truth, and what the rows say without their weights."""

    estimate: float
    low: float
    high: float
    truth: float
    naive: float = np.nan


class Cell(NamedTuple):
    """All runs of one interval."""

    coverage: float
    width: float
    open: float
    bias: float
    naive: float

    def __str__(self) -> str:
        width = "–" if np.isnan(self.width) else f"{self.width:.2f}" if self.width < 10 else ">10"
        return f"{self.coverage:.1%} · {width}" + (f" ({self.open:.0%} open)" if self.open >= 0.005 else "")


class Task(NamedTuple):
    """A row of a table: runs of one setting."""

    table: str
    row: str
    run: Callable[..., dict[str, Found]]
    arguments: tuple[Any, ...]
    share: float = 1.0


def cell(found: list[Found]) -> Cell:
    """The figures of one interval over all runs."""
    estimate, low, high, truth, naive = np.array(found).T
    finite = np.isfinite(high) & np.isfinite(low)
    spread = (estimate - truth).std(ddof=1)
    width = np.mean((high - low)[finite]) / (3.92 * spread) if finite.mean() > 0.5 and spread > 0 else np.nan
    bias, plain = (float((one / truth).mean() - 1) for one in (estimate, naive))
    return Cell(float(np.mean((low <= truth) & (truth <= high))), width, float(1 - finite.mean()), bias, plain)


def work(task: Task, runs: int) -> dict[str, Cell]:
    """One row of a table."""
    seeds = range(max(2, round(runs * task.share)))
    results = [task.run(*task.arguments, np.random.default_rng([seed, 5]), seed) for seed in seeds]
    return {what: cell([result[what] for result in results]) for what in results[0]}


def quantile_of(law: Any, q: float, share: float) -> float:
    """Of the mixture with bursts."""
    if not share:
        return float(law.ppf(q))
    return float(optimize.brentq(lambda x: (1 - share) * law.cdf(x) + share * law.cdf(x / FACTOR) - q, 1e-3, 1e9))


def truths(law: Any, share: float) -> dict[str, float]:
    """What the numbers are in the long run."""
    mean = law.mean() * (1 + share * (FACTOR - 1))
    quantiles = {f"p{100 * q:.0f}_latency_ms": quantile_of(law, q, share) for q in (0.5, 0.95, 0.99)}
    return {"mean_latency_ms": mean, "success_rate": 1 - ERRORS, PER_SUCCESS: mean / (1 - ERRORS), **quantiles}


def log_of(law: Any, n: int, bursts: int, rng: np.random.Generator) -> pd.DataFrame:
    """A run's full log."""
    values = law.ppf(rng.random(n))
    for start in rng.choice(n // LENGTH, bursts, replace=False) * LENGTH:
        values[start : start + LENGTH] *= FACTOR
    return pd.DataFrame({"latency_ms": values, "success": rng.random(n) >= ERRORS})


def naive_of(rows: pd.DataFrame, metric: str) -> float:
    """The number without weights."""
    x = rows["success" if metric == "success_rate" else "latency_ms"].to_numpy(np.float64)
    if metric == PER_SUCCESS:
        return float(x.sum() / rows["success"].sum())
    if metric[0] == "p":
        return float(np.quantile(x, float(metric[1:3]) / 100))
    return float(x.mean()) * (N if metric.startswith("total") else 1)


def sampled(law: Any, sampler: Sampler, known: dict[str, float], rng: np.random.Generator, seed: int) -> Any:
    """400 of 4,000 kept."""
    log = log_of(law, N, BURSTS, rng)
    rows, found = sample(log, sampler, seed), {}
    for what, (metric, of) in SAMPLED.items():
        values = values_of(rows, metric)
        limits = LIMITS[values.metric.kind](values, 0.95, of, None)
        total = float(log.latency_ms.sum())
        run = {"mean_latency_ms": total / N, "total_latency_ms": total}
        truth = run[metric] if of == "run" else known[metric]
        found[what] = Found(limits.estimate, *limits.interval, truth, naive_of(rows, metric))
        if metric == "success_rate":  # shown is the error rate
            estimate, low, high, truth, naive = (1 - number for number in found[what])
            found[what] = Found(estimate, high, low, truth, naive)
    return found


def whole(law: Any, known: dict[str, float], rng: np.random.Generator, seed: int) -> Any:
    """400 rows, every one kept."""
    del seed
    log, found = log_of(law, KEPT, 0, rng), {}
    for what, (metric, method) in WHOLE.items():
        values = values_of(log, metric)
        limits = LIMITS[values.metric.kind](values, 0.95, "process", method)
        found[what] = Found(limits.estimate, *limits.interval, known[metric])
    return found


def rates(rate: float, rng: np.random.Generator, seed: int) -> Any:
    """400 outcomes."""
    del seed
    values, found = values_of(rng.random(KEPT) < rate, "success_rate"), {}
    for method in RATES:
        limits = LIMITS["rate"](values, 0.95, "process", method)
        found[method] = Found(limits.estimate, *limits.interval, rate)
    return found


def bootstrapped(law: Any, known: dict[str, float], rng: np.random.Generator, seed: int) -> Any:
    """The same 400 rows by BCa."""
    log, found = log_of(law, KEPT, 0, rng), {}
    for metric in ("mean_latency_ms", "success_rate", "p50_latency_ms", "p95_latency_ms", PER_SUCCESS):
        values = values_of(log, metric)
        limits = bootstrap_limits(values, 0.95, seed, 999)
        found[metric] = Found(limits.estimate, *limits.interval, known[metric])
    return found


def sessions(groups: int, how: str, rng: np.random.Generator, seed: int) -> Any:
    """Sessions of 5 to 35 calls: a third of the variance of log latency is between them, and error rates differ."""
    size = rng.integers(5, 36, groups)
    session = np.repeat(np.arange(groups), size)
    level = rng.normal(0, np.sqrt(1 / 3), groups)[session] + rng.normal(0, np.sqrt(2 / 3), len(session))
    fails = rng.beta(1.0, 9.0, groups)[session]
    log = pd.DataFrame({
        "latency_ms": 400 * np.exp(level), "success": rng.random(len(session)) >= fails, "session_id": session
    })  # fmt: skip
    law = LAWS["lognormal 1"]
    known = {**truths(law, 0.0), "success_rate": 0.9, PER_SUCCESS: law.mean() / 0.9}
    rows, found = log if how != "sampled" else sample(log, Uniform(0.3), seed), {}
    for metric in GROUPED:
        values = values_of(rows, metric, cluster="session_id" if how != "rows" else None)
        if how == "bootstrap" and metric.startswith("total"):
            continue
        limits = (
            bootstrap_limits(values, 0.95, seed, 999) if how == "bootstrap"
            else LIMITS[values.metric.kind](values, 0.95, "process", None)
        )  # fmt: skip
        truth = known[metric] if metric in known else law.mean() * len(log)
        found[metric] = Found(limits.estimate, *limits.interval, truth)
    return found


def unequal_sessions(groups: int, sigma: float, between: float, rng: np.random.Generator, seed: int) -> Any:
    """Sessions of lognormal size with a median of 10 calls; a part of the variance of the score is between them."""
    del seed
    size = np.maximum(1, (10 * rng.lognormal(0, sigma, groups)).astype(int))
    session = np.repeat(np.arange(groups), size)
    score = np.sqrt(between) * rng.normal(size=groups)[session] + np.sqrt(1 - between) * rng.normal(size=len(session))
    log = pd.DataFrame({
        "score": score, "success": score < stats.norm.ppf(0.9), "latency_ms": 400 * np.exp(score), "session_id": session
    })  # fmt: skip
    known = {
        "score": 0.0, "success_rate": 0.9, "p50_score": 0.0, "p95_score": stats.norm.ppf(0.95),
        "mean_latency_ms": 400 * np.exp(0.5),
    }  # fmt: skip
    found = {}
    for metric, truth in known.items():
        values = values_of(log, metric, cluster="session_id")
        limits = LIMITS[values.metric.kind](values, 0.95, "process", None)
        found[metric] = Found(limits.estimate + 1, limits.interval.low + 1, limits.interval.high + 1, truth + 1)
    return found


def rare_errors(sampler: Sampler | None, rng: np.random.Generator, seed: int) -> Any:
    """4,000 calls with few failures; the cost is lognormal, and the sampler may depend on it."""
    found = {}
    for rate in (0.001, 0.002, 0.005, 0.05):
        log = pd.DataFrame({
            "latency_ms": 400 * rng.lognormal(0, 1, N), "success": rng.random(N) >= rate,
            "cost_usd": 0.002 * rng.lognormal(0, 1, N),
        })  # fmt: skip
        limits = LIMITS["rate"](
            values_of(log if sampler is None else sample(log, sampler, seed), "success_rate"), 0.95, "process", None
        )
        low, high = limits.interval
        found[f"{rate:.1%}"] = Found(1 - limits.estimate, 1 - high, 1 - low, rate)
    return found


def many_zeros(zeros: float, rng: np.random.Generator, seed: int) -> Any:
    """400 costs, most of which are 0; the others are lognormal."""
    del seed
    cost = np.where(rng.random(KEPT) < zeros, 0.0, 0.002 * rng.lognormal(0, 1, KEPT))
    log, found = pd.DataFrame({"cost_usd": cost, "success": rng.random(KEPT) < 0.9}), {}
    mean = (1 - zeros) * 0.002 * np.exp(0.5)
    for metric, truth in {"mean_cost_usd": mean, "cost_per_success": mean / 0.9}.items():
        values = values_of(log, metric)
        limits = LIMITS[values.metric.kind](values, 0.95, "process", None)
        found[metric] = Found(limits.estimate, *limits.interval, truth)
    return found


def series(rule: str | None, sampler: Sampler | None, rng: np.random.Generator, seed: int) -> Any:
    """4,000 events, one a second, AR(1) 0.7; latencies are lognormal 0.5, every tenth event fails."""
    noise = rng.normal(0, np.sqrt(1 - 0.7**2), N + 200)
    x = signal.lfilter([1.0], [1.0, -0.7], noise)[200:]
    log = pd.DataFrame({"score": x, "latency_ms": 400 * np.exp(0.5 * x), "success": x < stats.norm.ppf(0.9)})
    log.index = pd.date_range("2025-01-01", periods=N, freq="s")
    rows, found = log if sampler is None else sample(log, sampler, seed), {}
    known = {"score": 0.0, "latency_ms": 400 * np.exp(0.125), "success_rate": 0.9}
    for metric, truth in known.items():
        values = sample_of(rows, metric, resample=rule)
        limits = LIMITS[values.metric.kind](values, 0.95, "process", None)
        found[metric] = Found(limits.estimate + 1, limits.interval.low + 1, limits.interval.high + 1, truth + 1)
    return found


def tasks() -> list[Task]:
    """Every row of every table."""
    found = [Task("Every row kept: 400 rows", law, whole, (LAWS[law], truths(LAWS[law], 0.0))) for law in LAWS]
    found += [Task("Rates: 400 rows", f"{rate:.0%}", rates, (rate,)) for rate in (0.02, 0.1, 0.5)]
    found += [
        Task(f"400 kept of 4,000, {law}", name, sampled, (LAWS[law], sampler, truths(LAWS[law], SHARE)))
        for law in LAWS
        for name, sampler in SAMPLERS.items()
    ]
    hows = {"rows": "as rows", "cluster": "`cluster=`", "sampled": "`cluster=`, 30% kept", "bootstrap": "bootstrap"}
    found += [
        Task("Sessions", f"{groups} sessions, {said}", sessions, (groups, how), 0.25 if how == "bootstrap" else 1.0)
        for groups in (30, 100)
        for how, said in hows.items()
    ]
    blocks = {(rule, None): f"blocks of {rule}" if rule else "as rows" for rule in BLOCKS}
    some = {**SAMPLERS, "stratified": Stratified({False: 1.0}, default=0.2)}
    blocks |= {("100s", sampler): f"{name}, blocks of 100s" for name, sampler in some.items()}
    found += [Task("Correlated neighbours", said, series, arguments) for arguments, said in blocks.items()]
    found += [
        Task("Bootstrap (BCa): 400 rows", law, bootstrapped, (LAWS[law], truths(LAWS[law], 0.0)), 0.25) for law in LAWS
    ]
    found += [
        Task(UNEQUAL, f"{groups} sessions, sigma {sigma:g}", unequal_sessions, (groups, sigma, 0.5))
        for groups in (20, 40, 100)
        for sigma in (1.0, 1.5, 2.0)
    ]
    by_cost = {"stratified": Stratified({False: 1.0}, default=0.1), "importance": Importance(KEPT, by="cost_usd")}
    found += [
        Task(RARE, name, rare_errors, (sampler,))
        for name, sampler in {"every row": None, **SAMPLERS, **by_cost}.items()
    ]
    found += [Task(ZEROS, f"{zeros:.0%} zeros", many_zeros, (zeros,)) for zeros in (0.3, 0.7, 0.97)]
    return found


def table(title: str, rows: dict[str, dict[str, Cell]], show: Callable[[Cell], str] = str) -> str:
    """A table as Markdown."""
    names = list(next(iter(rows.values())))
    names += [name for cells in rows.values() for name in cells if name not in names]
    lines = [f"**{title}**\n", "| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for row, cells in rows.items():
        lines.append(f"| {row} | " + " | ".join(show(cells[name]) if name in cells else "" for name in names) + " |")
    return "\n".join([*lines, ""])


def promised(title: str, row: str, name: str) -> tuple[float, float] | None:
    """The coverage to reach; None where none is promised."""
    if row.endswith("as rows") or "bootstrap" in row or title.startswith("Bootstrap") or row == "blocks of 5s":
        return None
    if title in MESSY:
        few = row.startswith("20 ") or name == "mean_latency_ms" or (title == ZEROS and row != "30% zeros")
        return None if few or row == "every row" else (0.93, 0.99) if title == UNEQUAL else (0.925, 1.0)
    heavy = [law for law in ("lognormal 1.5", "Pareto 1.5") if row == law or title.endswith(law)]
    if name.startswith(("mean", "total", "ratio", "latency_ms", "score")):
        kept = heavy == ["Pareto 1.5"] and row in {"adaptive", "importance"} and name.endswith("run")
        return None if heavy and not kept else (0.915, 0.98)
    return None if name.startswith("p99") else (0.925, 0.98)


def missed(tables: dict[str, dict[str, dict[str, Cell]]], runs: int) -> list[str]:
    """What is outside of its target by more than chance."""
    said, slack = [], 2 * np.sqrt(0.05 * 0.95 / runs)
    for title, rows in tables.items():
        for row, cells in rows.items():
            for name, one in cells.items():
                target = promised(title, row, name)
                off = target and not target[0] - slack <= one.coverage <= target[1] + slack
                wide = target and title not in MESSY and one.open < 0.005 and not 0.85 <= one.width <= 1.25
                if off or wide:
                    said.append(f"{title} / {row} / {name}: {one}")
    return said


def biased(one: Cell) -> str:
    """Bias with weights (and without)."""
    return f"{one.bias:+.1%} ({one.naive:+.0%})"


def put(page: Path, mark: str, text: str) -> None:
    """Between <!-- mark --> and <!-- /mark -->."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    whole_page = page.read_text(encoding="utf-8")
    before, after = whole_page.split(begin)[0], whole_page.split(end)[1]
    page.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="100 runs")
    parser.add_argument("--only", default="", help="tables whose title has this in it")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/guides")
    args = parser.parse_args()
    runs, tables = 100 if args.quick else args.runs, {}
    wanted = [task for task in tasks() if args.only in task.table]
    with ProcessPoolExecutor(int(os.environ.get("CPUS", "2"))) as pool:
        for task, cells in zip(wanted, pool.map(work, wanted, [runs] * len(wanted)), strict=True):
            tables.setdefault(task.table, {})[task.row] = cells
    text = "\n".join(table(title, rows) for title, rows in tables.items())
    bias = {title: rows for title, rows in tables.items() if "kept of" in title and title not in MESSY}
    biases = "\n".join(
        table(title, rows, lambda one: f"{one.bias:+.1%} ({one.naive:+.0%})") for title, rows in bias.items()
    )
    print(text, biases, "Missed:", *missed(tables, runs), sep="\n")
    if args.write:
        said = f"{runs:,} runs each; `python tools/simulate_intervals.py --write` recomputes the tables.\n\n"
        parts = ((False, "coverage"), (True, "messy"))
        for messy, mark in parts:
            shown = [table(title, rows) for title, rows in tables.items() if (title in MESSY) == messy]
            if shown:
                put(DOCS / "statistics.md", mark, said + "\n".join(shown))
        if bias:
            put(DOCS / "sampling.md", "simulated", said + biases)


if __name__ == "__main__":
    main()
