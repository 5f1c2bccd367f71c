"""Intervals: against scipy and statsmodels where they have them, by coverage where they do not."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

import crucible_nb as cr
from crucible_nb.sampling import Importance, Reservoir, Stratified, Uniform, sample
from crucible_nb.stats.intervals import beta_limits, heavy, mean_limits, quantile_limits, rank_limits, total_limits
from crucible_nb.stats.values import values_of


def lognormal(n: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(6, 1, n)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_t_interval_of_a_mean_is_scipys(confidence: float) -> None:
    x = lognormal() - 300
    got = cr.confidence_interval(x, "mean_latency_ms", confidence)
    assert got.method == "t"
    wanted = stats.ttest_1samp(x, 0).confidence_interval(confidence)
    np.testing.assert_allclose(got.confidence_interval, wanted, rtol=1e-12)
    assert got.standard_error == pytest.approx(stats.sem(x), rel=1e-12)


def test_log_interval_of_a_mean_of_positive_values() -> None:
    x = lognormal()
    got = cr.confidence_interval(x, "mean_latency_ms")
    assert got.method == "log"
    half = stats.t.ppf(0.975, 399) * stats.sem(x) / x.mean()
    np.testing.assert_allclose(got.confidence_interval, x.mean() * np.exp([-half, half]), rtol=1e-12)


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (20, 20), (81, 263), (1, 29), (15, 148)])
@pytest.mark.parametrize(("method", "theirs"), [("wilson", "wilson"), ("clopper_pearson", "beta")])
def test_rates_are_statsmodels(hits: int, n: int, method: str, theirs: str) -> None:
    got = cr.confidence_interval([1] * hits + [0] * (n - hits), "success_rate", method=method)
    wanted = proportion_confint(hits, n, method=theirs)
    np.testing.assert_allclose(got.confidence_interval, wanted, rtol=1e-10, atol=1e-15)
    assert got.estimate == hits / n


ORACLES = ["wilson_52_of_100", "newcombe_81_of_263", "newcombe_15_of_148", "newcombe_0_of_20", "newcombe_1_of_29"]


@pytest.mark.parametrize("name", ORACLES)
def test_published_wilson_intervals(shared_data: Path, name: str) -> None:
    entries = json.loads((shared_data / "oracles.json").read_text())["entries"]
    entry = next(one for one in entries if one["id"] == name)
    hits, n = entry["inputs"]["successes"], entry["inputs"]["n"]
    outcomes = [True] * hits + [False] * (n - hits)
    for method in entry["expected"].keys() & {"wilson", "clopper_pearson"}:
        got = cr.confidence_interval(outcomes, method=method).confidence_interval
        np.testing.assert_allclose(got, entry["expected"][method], atol=entry["tolerance"]["abs"])


@pytest.mark.parametrize("q", [0.01, 0.05, 0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [20, 100, 367, 368, 400, 1000])
def test_quantile_intervals_are_the_exact_order_statistics(q: float, n: int) -> None:
    x = np.sort(lognormal(n))
    got = cr.confidence_interval(x, f"p{100 * q:.0f}_latency_ms" if q != 0.01 else "p1_latency_ms")
    low = int(stats.binom.ppf(0.025, n, q))
    low -= stats.binom.cdf(low - 1, n, q) > 0.025
    high = int(stats.binom.isf(0.025, n, q)) + 1
    wanted = (x[low - 1] if low >= 1 else -math.inf, x[high - 1] if high <= n else math.inf)
    assert tuple(got.confidence_interval) == wanted
    assert got.estimate == np.quantile(x, q)


def test_p99_has_no_upper_limit_below_368_rows_and_says_so() -> None:
    few, enough = (cr.confidence_interval(lognormal(n), "p99_latency_ms") for n in (367, 368))
    assert few.confidence_interval.high == math.inf
    assert few.warnings == ("p99_latency_ms: no finite upper limit below 368 effective rows, there are 367",)
    assert math.isfinite(enough.confidence_interval.high)
    assert enough.warnings == ()


@settings(max_examples=50, deadline=None)
@given(n=st.integers(2, 2000), q=st.floats(0.001, 0.999), confidence=st.floats(0.5, 0.999))
@example(n=2, q=0.875, confidence=0.5)
def test_ranks_leave_half_the_rest_on_each_side(n: int, q: float, confidence: float) -> None:
    low, high = rank_limits(q, n, confidence)
    tail = (1 - confidence) / 2
    low, high = math.floor(low * (1 + 1e-9)), math.ceil(high * (1 - 1e-9))
    assert low < 1 or stats.binom.cdf(low - 1, n, q) <= tail * (1 + 1e-6)
    assert high > n or stats.binom.sf(high - 1, n, q) <= tail * (1 + 1e-6)
    assert stats.binom.cdf(low, n, q) >= tail * (1 - 1e-6)


def test_beta_limits_take_any_n() -> None:
    np.testing.assert_allclose(beta_limits(0.3, 50, 0.95), proportion_confint(15, 50, method="beta"))
    assert beta_limits(0.0, 12.5, 0.95).low == 0
    assert beta_limits(1.0, 12.5, 0.95).high == 1
    assert beta_limits(0.4, math.inf, 0.95) == (0.4, 0.4)


@pytest.mark.parametrize(
    "metric", ["mean_latency_ms", "p50_latency_ms", "p95_latency_ms", "success_rate", "latency_ms"]
)
def test_weights_of_one_change_nothing(metric: str) -> None:
    frame = pd.DataFrame({"latency_ms": lognormal(), "success": np.arange(400) % 7 > 0})
    plain, ones = (cr.confidence_interval(data, metric) for data in (frame, frame.assign(weight=1.0)))
    assert plain == ones


@pytest.mark.parametrize("metric", ["mean_latency_ms", "p50_latency_ms", "success_rate", "total_latency_ms"])
def test_the_run_is_known_where_no_row_was_dropped(metric: str) -> None:
    frame = pd.DataFrame({"latency_ms": lognormal(), "success": np.arange(400) % 7 > 0})
    got = cr.confidence_interval(frame, metric, of="run")
    assert got.confidence_interval == (got.estimate, got.estimate)
    assert got.method == "exact"


def test_a_total_is_about_the_run_and_anything_else_about_the_process() -> None:
    frame = pd.DataFrame({"cost_usd": lognormal()})
    assert cr.confidence_interval(frame, "total_cost_usd").of == "run"
    assert cr.confidence_interval(frame, "mean_cost_usd").of == "process"
    process = cr.confidence_interval(frame, "total_cost_usd", of="process")
    mean = cr.confidence_interval(frame, "mean_cost_usd")
    np.testing.assert_allclose(process.confidence_interval, np.array(mean.confidence_interval) * 400, rtol=1e-12)


def test_totals_use_the_events_seen_and_a_part_of_the_frame_does_not() -> None:
    frame = pd.DataFrame({"cost_usd": lognormal(4000), "model": np.arange(4000) % 2})
    rows = sample(frame, Uniform(0.1), seed=3)
    whole = cr.confidence_interval(rows, "total_cost_usd")
    assert whole.estimate == pytest.approx(4000 * rows.cost_usd.mean(), rel=1e-12)
    part = cr.confidence_interval(rows[rows.model == 1], "total_cost_usd")
    assert part.estimate == pytest.approx(10 * rows.cost_usd[rows.model == 1].sum(), rel=1e-12)


def test_totals_of_the_column_the_sampler_was_sized_by_are_horvitz_thompsons() -> None:
    rows = sample(pd.DataFrame({"cost_usd": lognormal(4000)}), Importance(200), seed=3)
    got = cr.confidence_interval(rows, "total_cost_usd")
    assert got.estimate == pytest.approx((rows.weight * rows.cost_usd).sum(), rel=1e-12)


def test_missing_values_add_nothing_to_a_total() -> None:
    frame = pd.DataFrame({"cost_usd": np.where(np.arange(4000) % 4, np.nan, lognormal(4000))})
    truth, covered = frame.cost_usd.sum(), 0
    for seed in range(300):
        got = cr.confidence_interval(sample(frame, Reservoir(400), seed), "total_cost_usd")
        covered += got.confidence_interval.low <= truth <= got.confidence_interval.high
    assert 0.91 <= covered / 300 <= 0.99


SAMPLERS = {
    "uniform": Uniform(0.1),
    "reservoir": Reservoir(400),
    "stratified": Stratified({False: 1.0}, default=0.082),
    "importance": Importance(360, by="latency_ms"),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_coverage_under_samplers(name: str) -> None:
    """The whole tables are in docs/guides/sampling.md; these are enough runs to notice a wrong formula."""
    wanted = {
        ("mean_latency_ms", "process"): 400 * math.exp(0.5),
        ("p50_latency_ms", "process"): 400.0,
        ("p95_latency_ms", "process"): stats.lognorm(1, scale=400).ppf(0.95),
        ("success_rate", "process"): 0.98,
        ("mean_latency_ms", "run"): None,
    }
    covered = dict.fromkeys(wanted, 0)
    for seed in range(250):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"latency_ms": 400 * rng.lognormal(0, 1, 4000), "success": rng.random(4000) < 0.98})
        rows = sample(frame, SAMPLERS[name], seed)
        for (metric, of), truth in wanted.items():
            found = cr.confidence_interval(rows, metric, of=of).confidence_interval
            covered[metric, of] += found.low <= (frame.latency_ms.mean() if truth is None else truth) <= found.high
    for key, count in covered.items():
        assert 0.88 <= count / 250 <= 1.0, key  # 92.5 % or more in earnest; 2.5 standard deviations of 250 runs


def test_a_mean_that_a_few_rows_carry_comes_with_a_warning() -> None:
    pareto = np.random.default_rng(0).pareto(1.5, 400) + 1
    got = cr.confidence_interval(pareto, "mean_latency_ms")
    assert len(got.warnings) == 1
    assert "prefer p50_latency_ms, p95_latency_ms" in got.warnings[0]
    assert heavy(values_of(lognormal(), "mean_latency_ms")) == ()


def test_the_bootstrap_is_seeded_and_close() -> None:
    x = lognormal()
    first, again = (cr.confidence_interval(x, "mean_latency_ms", method="bootstrap", seed=4) for _ in range(2))
    assert first == again
    log = cr.confidence_interval(x, "mean_latency_ms").confidence_interval
    np.testing.assert_allclose(first.confidence_interval, log, rtol=0.05)
    median = cr.confidence_interval(x, "p50_latency_ms", method="bootstrap")
    np.testing.assert_allclose(median.confidence_interval, cr.confidence_interval(x, "p50_latency_ms").confidence_interval, rtol=0.05)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"metric": "mean_latency_ms", "data": []}, cr.StatError, "expected at least 2 rows with a value, got 0"),
        ({"metric": "mean_latency_ms", "data": [np.nan, 1.0]}, cr.StatError, r"got 1 \(1 missing\)"),
        ({"metric": "success_rate", "data": []}, cr.StatError, "expected at least 1 row"),
        ({"metric": "success_rate", "data": [0.5]}, cr.StatError, "expected true, false, 0 or 1"),
        ({"metric": "latency_ms", "data": [1.0, np.inf]}, cr.StatError, "1 infinite"),
        ({"metric": "latency_ms", "data": ["a"]}, cr.SchemaError, "expected numbers"),
        ({"metric": "latency_ms", "data": [1.0, -1.0], "method": "log"}, cr.StatError, "needs positive values"),
        ({"metric": "latency_ms", "data": [1.0, 2.0], "method": "wilson"}, cr.ConfigError, "method='wilson'"),
        ({"metric": "latency_ms", "data": [1.0, 2.0], "of": "population"}, cr.ConfigError, "of='population'"),
        ({"metric": "latency_ms", "data": [1.0, 2.0], "confidence": 95}, cr.ConfigError, "confidence=95"),
        ({"metric": "total_x", "data": [1.0] * 20, "method": "bootstrap"}, cr.ConfigError, "method='bootstrap'"),
        ({"metric": "latency_ms", "data": [1.0] * 20, "method": "bootstrap"}, cr.StatError, "not all alike"),
        ({"metric": "latency_ms", "data": lognormal(), "method": "bootstrap", "of": "run"}, cr.ConfigError, "of='run'"),
        ({"metric": "p95_cost_usd", "data": pd.DataFrame({"latency_ms": [1.0]})}, cr.SchemaError, "no such column"),
        ({"metric": "latency_ms", "data": pd.DataFrame({"latency_ms": [1.0], "weight": [-1.0]})}, cr.StatError, ">= 0"),
    ],
)
def test_bad_input_says_what_to_do(arguments: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        cr.confidence_interval(**arguments)


def test_wilson_is_refused_for_sampled_rows() -> None:
    frame = pd.DataFrame({"success": [True, False] * 10, "weight": [2.0] * 20})
    with pytest.raises(cr.StatError, match="rows that were not sampled"):
        cr.confidence_interval(frame, method="wilson")


def test_rates_without_a_miss_are_bounded_by_the_weights() -> None:
    frame = pd.DataFrame({"success": [True] * 50, "weight": [10.0] * 50})
    got = cr.confidence_interval(frame)
    np.testing.assert_allclose(got.confidence_interval, proportion_confint(50, 50, method="beta"))
    run = cr.confidence_interval(frame, of="run").confidence_interval
    assert got.confidence_interval.low < run.low < 1


def test_experiments_frames_series_and_lists_say_the_same() -> None:
    x = lognormal(50)
    with cr.start("kinds", clock="events") as exp:
        exp.extend(pd.DataFrame({"latency_ms": x, "time": np.arange(50) * 10**9}))
    found = [cr.confidence_interval(data, "p50_latency_ms") for data in (exp, exp.df, exp.df.latency_ms, x, x.tolist())]
    assert all(one == found[0] for one in found[:3])
    # a list has no order that is known, so that nothing is said of neighbours
    assert all(dataclasses.replace(one, assumptions=found[0].assumptions) == found[0] for one in found)


def test_functions_refuse_what_they_cannot_do() -> None:
    one = values_of([3.0], "latency_ms")
    assert mean_limits(one, 0.95, "run").interval == (3.0, 3.0)
    assert total_limits(one, 0.95, "run").interval == (3.0, 3.0)
    assert quantile_limits(values_of([3.0], "p50_latency_ms"), 0.95, "process").interval == (-math.inf, math.inf)
