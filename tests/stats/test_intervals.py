"""Intervals: equal to scipy and statsmodels where these have them, otherwise by simulated coverage."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

import crucible_nb as cr
from crucible_nb.sampling import Importance, Reservoir, Stratified, Uniform, sample
from crucible_nb.stats.estimates.intervals import (
    beta_limits,
    heavy_tail_warnings,
    mean_limits,
    quantile_limits,
    rank_limits,
    total_limits,
)
from crucible_nb.stats.samples.values import values_of
from tests.stats import oracle
from tests.tiers import examples

RATIO = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [2.0, 2.0, 3.0, 1.0]})


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
@pytest.mark.parametrize(
    ("method", "theirs"), [("wilson", "wilson"), ("clopper_pearson", "beta"), ("agresti_coull", "agresti_coull")]
)
def test_rates_are_statsmodels(hits: int, n: int, method: str, theirs: str) -> None:
    got = cr.confidence_interval([1] * hits + [0] * (n - hits), "success_rate", method=method)
    wanted = proportion_confint(hits, n, method=theirs)
    np.testing.assert_allclose(got.confidence_interval, np.clip(wanted, 0, 1), rtol=1e-10, atol=1e-15)
    assert got.estimate == hits / n


@examples(60)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 400), confidence=st.floats(0.5, 0.999))
def test_agreement_with_scipy_and_statsmodels(seed: int, n: int, confidence: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.normal(), 1.0, n)
    got = cr.confidence_interval(x, "y", confidence, method="t")
    wanted = stats.ttest_1samp(x, 0).confidence_interval(confidence)
    np.testing.assert_allclose(got.confidence_interval, wanted, rtol=1e-12, atol=1e-12)
    hits = rng.random(n) < rng.random()
    for method, theirs in {"wilson": "wilson", "clopper_pearson": "exact", "wilson_cc": "wilsoncc"}.items():
        found = cr.confidence_interval(hits, confidence=confidence, method=method).confidence_interval
        test = stats.binomtest(int(hits.sum()), n)
        np.testing.assert_allclose(found, test.proportion_ci(confidence, theirs), rtol=1e-12, atol=1e-12)


@examples(30)
@given(seed=st.integers(0, 10**6), groups=st.integers(5, 60))
def test_intervals_between_clusters_of_equal_size_are_those_of_their_means(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"y": rng.normal(size=5 * groups), "g": rng.permutation(np.repeat(np.arange(groups), 5))})
    means = frame.groupby("g").y.mean()
    expected = stats.t.interval(0.95, groups - 1, means.mean(), means.std() / np.sqrt(groups))
    got = cr.confidence_interval(frame, "y", method="t", cluster="g")
    np.testing.assert_allclose(got.confidence_interval, expected, rtol=1e-12, atol=1e-12)


def entries(folder: Path, kind: str) -> list[dict]:
    return [one for one in json.loads((folder / "oracles.json").read_text())["entries"] if one["kind"] == kind]


def test_published_intervals_of_proportions(shared_data: Path) -> None:
    checked = 0
    for entry in entries(shared_data, "proportion"):
        if isinstance(entry["inputs"]["n"], list):
            continue  # several proportions: a test, not an interval
        hits, n = entry["inputs"]["successes"], entry["inputs"]["n"]
        expected = {"clopper_pearson" if key == "ci95" else key: limits for key, limits in entry["expected"].items()}
        for method in expected.keys() & {"wilson", "wilson_cc", "clopper_pearson", "agresti_coull"}:
            got = cr.confidence_interval([True] * hits + [False] * (n - hits), method=method)
            oracle.agrees({"ci95" if "ci95" in entry["expected"] else method: got.confidence_interval}, entry)
            assert got.estimate == pytest.approx(expected.get("estimate", hits / n), abs=5e-8)
            checked += 1
    assert checked == 21


def test_published_quantiles(shared_data: Path) -> None:
    (entry,) = entries(shared_data, "quantile")
    rows = pd.read_parquet(shared_data / entry["inputs"]["file"])
    for name in entry["expected"]:
        run, what = name.split(".", 1)
        of_run = rows[rows.run == run]
        if what == "error_rate":
            found = cr.confidence_interval(of_run.error_code.notna(), "success_rate")
        else:
            column, quantile = what.split(".")
            found = cr.confidence_interval(of_run[of_run.error_code.isna()], f"{quantile}_{column}")
        oracle.agrees({name: found.estimate}, entry)


def test_published_win_rates(shared_data: Path) -> None:
    entry = oracle.entry(shared_data, "alpaca_eval2_win_rates")
    rows = pd.read_parquet(shared_data / entry["inputs"]["file"])
    rows["win"] = 100 * (rows.preference - 1)
    found = {model: cr.confidence_interval(of_model, "win", method="t") for model, of_model in rows.groupby("model")}
    assert len(entry["expected"]) == 2 * len(found)
    for name in entry["expected"]:
        model, what = name.rsplit(".", 1)
        oracle.agrees({name: found[model].estimate if what == "win_rate" else found[model].standard_error}, entry)


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


@pytest.mark.parametrize("q", [10, 50, 95])
def test_limits_of_sampled_quantiles_lie_between_order_statistics(q: int) -> None:
    x = np.sort(lognormal(400))
    plain = cr.confidence_interval(x, f"p{q}_x").confidence_interval
    alike = cr.confidence_interval(pd.DataFrame({"x": x, "weight": 10.0}), f"p{q}_x").confidence_interval
    assert plain.low <= alike.low <= x[np.searchsorted(x, plain.low) + 1]
    assert x[np.searchsorted(x, plain.high) - 1] <= alike.high <= plain.high


def test_p99_has_no_upper_limit_below_368_rows_and_says_so() -> None:
    few, enough = (cr.confidence_interval(lognormal(n), "p99_latency_ms") for n in (367, 368))
    assert few.confidence_interval.high == math.inf
    assert few.warnings == ("p99_latency_ms: a finite upper limit needs 368 effective rows, there are 367",)
    assert math.isfinite(enough.confidence_interval.high)
    assert enough.warnings == ()


@examples(50)
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


@pytest.mark.check
@pytest.mark.parametrize("name", SAMPLERS)
def test_coverage_under_samplers(name: str) -> None:
    """The full tables are in docs/guides/sampling.md; these runs are enough to detect a wrong formula."""
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
    assert heavy_tail_warnings(values_of(lognormal(), "mean_latency_ms")) == ()


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
        (
            {"metric": "a_per_b", "data": RATIO.assign(b=0.0)},
            cr.StatError,
            "b adds up to 0 in 4 rows, so there is no ratio",
        ),
        ({"metric": "a_per_b", "data": RATIO.assign(b=[0, 1, 0, 0]), "of": "run"}, None, ""),
        (
            {"metric": "a_per_b", "data": RATIO - 5, "method": "log"},
            cr.StatError,
            "needs numerator and denominator >= 0",
        ),
        ({"metric": "a_per_b", "data": RATIO, "method": "wilson"}, cr.ConfigError, "method='wilson'"),
        ({"metric": "a_per_b", "data": RATIO.iloc[:1]}, cr.StatError, "expected at least 2 rows"),
        (
            {"metric": "a", "data": RATIO.assign(g=1), "cluster": "g"},
            cr.StatError,
            "expected at least 2 clusters, got 1",
        ),
        ({"metric": "p50_a", "data": RATIO.assign(g=1), "cluster": "g"}, cr.StatError, "expected at least 2 clusters"),
        (
            {"metric": "a", "data": RATIO.assign(g=[1, 1, 2, 2]), "cluster": "g", "method": "bootstrap"},
            cr.StatError,
            "needs at least ten clusters with values that are not all equal, got 2",
        ),
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
        ({"metric": "latency_ms", "data": [1.0] * 20, "method": "bootstrap"}, cr.StatError, "not all equal"),
        ({"metric": "latency_ms", "data": lognormal(), "method": "bootstrap", "of": "run"}, cr.ConfigError, "of='run'"),
        ({"metric": "p95_cost_usd", "data": pd.DataFrame({"latency_ms": [1.0]})}, cr.SchemaError, "no such column"),
        ({"metric": "latency_ms", "data": pd.DataFrame({"latency_ms": [1.0], "weight": [-1.0]})}, cr.StatError, ">= 0"),
    ],
)
def test_bad_input_says_what_to_do(arguments: dict, error: type[Exception] | None, said: str) -> None:
    if error is None:
        cr.confidence_interval(**arguments)
        return
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


def calls(n: int = 600, groups: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    session = rng.integers(0, groups, n)
    level = rng.normal(0, 1, groups)[session] + rng.normal(0, 1, n)
    return pd.DataFrame(
        {
            "latency_ms": 400 * np.exp(level / 2),
            "success": rng.random(n) < rng.beta(9, 1, groups)[session],
            "cost_usd": rng.random(n),
            "session_id": session,
        }
    )


@pytest.mark.parametrize(
    "metric", ["mean_latency_ms", "success_rate", "p50_latency_ms", "cost_per_success", "total_cost_usd"]
)
def test_clusters_of_one_row_are_rows(metric: str) -> None:
    frame = calls()
    frame["session_id"] = np.random.default_rng(0).permutation(len(frame))
    rows, clustered = (cr.confidence_interval(frame, metric, of="process", cluster=c) for c in (None, "session_id"))
    assert clustered.estimate == rows.estimate
    loose = {"rtol": 1e-9} if metric not in {"success_rate", "p50_latency_ms"} else {"rtol": 0.03}
    np.testing.assert_allclose(clustered.confidence_interval, rows.confidence_interval, **loose)


@pytest.mark.parametrize(
    "metric", ["mean_latency_ms", "success_rate", "p50_latency_ms", "latency_ms_per_success", "total_latency_ms"]
)
def test_rows_written_twice_say_no_more_than_once(metric: str) -> None:
    frame = calls(200, 200)
    frame["session_id"] = np.arange(200)
    twice = pd.concat([frame, frame], ignore_index=True)
    once, both = (cr.confidence_interval(data, metric, of="process", cluster="session_id") for data in (frame, twice))
    scale = 2 if metric.startswith("total") else 1
    if metric.startswith("p50"):  # ranks move by one at most
        np.testing.assert_allclose(both.confidence_interval, once.confidence_interval, rtol=0.03)
    else:
        np.testing.assert_allclose(np.array(both.confidence_interval) / scale, once.confidence_interval, rtol=0.005)


def test_clusters_in_a_result() -> None:
    found = cr.confidence_interval(calls(), "mean_latency_ms", cluster="session_id")
    assert "60 clusters (session_id) are taken as independent; rows within one need not be" in found.assumptions
    assert "600 rows in 60 clusters by session_id" in found.text
    assert found.warnings == ()
    few = cr.confidence_interval(calls(groups=12), "mean_latency_ms", cluster="session_id")
    assert few.warnings == ("12 clusters are worth 11.7 of equal size: fewer than 30 give a wide interval",)


def test_a_run_knows_no_clusters() -> None:
    rows = sample(calls(), Uniform(0.3), seed=1)
    for metric in ("mean_latency_ms", "success_rate", "p50_latency_ms", "total_cost_usd", "cost_per_success"):
        one, other = (cr.confidence_interval(rows, metric, of="run", cluster=c) for c in (None, "session_id"))
        assert one.confidence_interval == other.confidence_interval


def test_missing_values_of_clusters_add_nothing_to_a_total() -> None:
    frame = calls()
    frame.loc[frame.session_id % 3 == 0, "cost_usd"] = np.nan
    rows = sample(frame, Uniform(0.5), seed=2)
    missing, zero = (cr.confidence_interval(data, "total_cost_usd", of="process", method="t", cluster="session_id") for data in (rows, rows.fillna({"cost_usd": 0.0})))  # fmt: skip
    assert missing.estimate == pytest.approx(zero.estimate, rel=1e-12)
    assert missing.standard_error == pytest.approx(zero.standard_error, rel=1e-9)


def test_all_successes_of_clusters_are_as_many_as_the_clusters() -> None:
    frame = calls().assign(success=True)
    found = cr.confidence_interval(frame, cluster="session_id").confidence_interval
    plain = cr.confidence_interval(frame.success, method="clopper_pearson").confidence_interval
    assert found.high == plain.high == 1.0
    assert found.low < 0.95 < plain.low


def test_a_ratio_is_the_linearised_one() -> None:
    frame = calls().drop(columns="session_id")
    paid, ok = frame.cost_usd.to_numpy(), frame.success.to_numpy(float)
    got = cr.confidence_interval(frame, "cost_per_success", method="t")
    assert got.estimate == pytest.approx(paid.sum() / ok.sum(), rel=1e-14)
    u = (paid - got.estimate * ok) / ok.mean()
    assert got.standard_error == pytest.approx(stats.sem(u), rel=1e-12)
    wanted = stats.t.interval(0.95, 599, got.estimate, got.standard_error)
    np.testing.assert_allclose(got.confidence_interval, wanted, rtol=1e-12)
    log = cr.confidence_interval(frame, "cost_per_success")
    assert log.method == "log"
    assert log.confidence_interval.low * log.confidence_interval.high == pytest.approx(got.estimate**2, rel=1e-12)


def test_a_ratio_to_a_constant_is_a_mean() -> None:
    frame = calls().assign(one=1.0)
    for method in ("t", "log", "fieller"):
        ratio = cr.confidence_interval(frame, "cost_usd_per_one", method=method)
        mean = cr.confidence_interval(frame, "cost_usd", method="t" if method == "fieller" else method)
        np.testing.assert_allclose(ratio.confidence_interval, mean.confidence_interval, rtol=1e-12)


def test_fieller_solves_its_equation() -> None:
    frame = calls(40).drop(columns="session_id")
    found = cr.confidence_interval(frame, "cost_per_success", method="fieller")
    for limit in found.confidence_interval:
        distance = frame.cost_usd - limit * frame.success
        assert abs(distance.mean() / stats.sem(distance)) == pytest.approx(stats.t.ppf(0.975, 39), rel=1e-9)
    rare = pd.DataFrame({"cost_usd": np.arange(1.0, 21.0), "success": np.arange(20) == 3})
    assert cr.confidence_interval(rare, "cost_per_success", method="fieller").confidence_interval == (
        -math.inf,
        math.inf,
    )
    assert cr.confidence_interval(rare, "cost_per_success").confidence_interval.low > 0


def test_failed_calls_cost_and_unknown_ones_are_left_out() -> None:
    frame = pd.DataFrame(
        {"cost_usd": [1.0, 2.0, 3.0, 4.0, np.nan], "success": pd.array([True, False, True, None, True], "boolean")}
    )
    found = cr.confidence_interval(frame, "cost_per_success")
    assert (found.estimate, found.n, found.missing) == (3.0, 3, 2)
    assert found.exclusions == ("2 rows without cost_usd or success",)


def test_weights_of_a_ratio() -> None:
    frame = calls()
    frame["weight"] = np.random.default_rng(0).integers(1, 4, len(frame)).astype(float)
    every = frame.loc[frame.index.repeat(frame.weight.astype(int))]
    found, whole = (cr.confidence_interval(data, "cost_per_success", method="t", cluster="session_id") for data in (frame, every.drop(columns="weight")))  # fmt: skip
    assert found.estimate == pytest.approx(whole.estimate, rel=1e-12)
    # a row of weight 3 is one observation, three equal rows correlate: the working models differ a little;
    # exactly, the error of weighted clusters is that of dense matrices (test_cluster_robust)
    assert found.standard_error == pytest.approx(whole.standard_error, rel=1e-3)
    exact = cr.confidence_interval(every.drop(columns="weight"), "cost_per_success", of="run")
    assert exact.confidence_interval == (exact.estimate, exact.estimate)
    run = cr.confidence_interval(frame, "cost_per_success", of="run", method="t")
    assert 0 < run.standard_error < cr.confidence_interval(frame, "cost_per_success", method="t").standard_error


@pytest.mark.parametrize(
    "metric", ["mean_latency_ms", "success_rate", "cost_per_success", "p50_latency_ms", "p95_latency_ms"]
)
@pytest.mark.parametrize("cluster", [None, "session_id"])
def test_bootstraps_of_rows_and_clusters(metric: str, cluster: str | None) -> None:
    frame = calls(800, 100)
    first, again = (
        cr.confidence_interval(frame, metric, method="bootstrap", seed=3, cluster=cluster) for _ in range(2)
    )
    assert first == again
    other = cr.confidence_interval(frame, metric, cluster=cluster).confidence_interval
    width = other.high - other.low
    np.testing.assert_allclose(first.confidence_interval, other, atol=0.35 * width)


def test_a_bootstrap_of_many_rows_takes_bundles() -> None:
    x = lognormal(60_000)
    mean, p95 = (cr.confidence_interval(x, metric, method="bootstrap") for metric in ("mean_y", "p95_y"))
    np.testing.assert_allclose(
        mean.confidence_interval, cr.confidence_interval(x, "mean_y").confidence_interval, rtol=2e-3
    )
    np.testing.assert_allclose(
        p95.confidence_interval, cr.confidence_interval(x, "p95_y").confidence_interval, rtol=1e-2
    )
    assert p95.estimate == np.quantile(x, 0.95)


def test_ties_do_not_make_a_sampled_quantile_too_sure() -> None:
    """A p95 equal to the largest of rounded values, with nearly as many rows above as the quantile allows."""
    rng, covered = np.random.default_rng(0), 0
    for seed in range(300):
        frame = pd.DataFrame({"latency_ms": np.where(rng.random(2000) < 0.049, 300.0, 200.0)})  # p95 is 200
        found = cr.confidence_interval(sample(frame, Uniform(0.2), seed), "p95_latency_ms").confidence_interval
        covered += found.low <= 200.0 <= found.high
    assert covered / 300 >= 0.93


def test_a_log_interval_never_overflows() -> None:
    found = cr.confidence_interval([1e-300, 1.0], "y", confidence=1 - 1e-12, method="log").confidence_interval
    assert 0 <= found.low < found.high
