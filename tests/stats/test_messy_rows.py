"""Unequal weights, rare outcomes of sampled rows, quantiles beyond the data, and extreme units."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crucible_nb as cr
from crucible_nb.sampling import Adaptive, Importance, Reservoir, Sampler, Uniform, sample


def limits(data: Any, metric: str, **options: Any) -> tuple[float, float]:
    return tuple(cr.confidence_interval(data, metric, **options).confidence_interval)


@pytest.mark.parametrize("metric", ["score", "p50_score", "total_score", "score_per_size", "success_rate"])
def test_rows_of_weight_zero_count_nowhere(metric: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "score": rng.normal(10, 1, 200), "size": rng.uniform(1, 2, 200), "success": rng.random(200) < 0.9, "weight": 1.0
    })  # fmt: skip
    frame.loc[20:, "weight"] = 0.0
    frame.loc[15:30, "score"] = np.nan
    some = cr.confidence_interval(frame, metric, of="process")
    few = cr.confidence_interval(frame[:20], metric, of="process")
    assert some.confidence_interval == few.confidence_interval
    assert (some.n, some.missing, some.exclusions) == (few.n, few.missing, few.exclusions)


@pytest.mark.parametrize("metric", ["x", "p95_x", "success_rate", "x_per_y"])
def test_intervals_do_not_depend_on_the_unit_of_weights(metric: str) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({
        "x": rng.lognormal(size=300), "y": rng.uniform(1, 2, 300), "success": rng.random(300) < 0.9,
        "weight": rng.uniform(1, 5, 300),
    })  # fmt: skip
    found = limits(frame.assign(weight=frame.weight / 1024), metric)
    np.testing.assert_allclose(found, limits(frame, metric), rtol=2e-3)  # p95 interpolates within one event


def test_totals_of_small_weights_have_an_interval() -> None:
    x = np.random.default_rng(1).lognormal(0, 1, 300)
    got = cr.confidence_interval(pd.DataFrame({"x": x, "weight": 0.001}), "total_x", method="t")
    half = stats.t.ppf(0.975, 299) * x.std(ddof=1) * np.sqrt(300) * 0.001
    np.testing.assert_allclose(got.confidence_interval, [0.001 * x.sum() - half, 0.001 * x.sum() + half], rtol=1e-9)
    assert "weights below 1 are not inverse probabilities" in got.warnings[0]


@pytest.mark.parametrize("giant", [1e3, 1e5, 1e12, 1e300])
def test_one_giant_weight_is_one_row(giant: float) -> None:
    x = np.random.default_rng(1).normal(10, 1, 300)
    got = cr.confidence_interval(pd.DataFrame({"x": x, "weight": np.r_[giant, np.ones(299)]}), "x", method="t")
    low, high = got.confidence_interval
    # the limit of CR2 for one unit with all the weight: it differs from the others by the error, with one df
    half = stats.t.ppf(0.975, 1) * abs(x[0] - x[1:].mean())
    assert high - low == pytest.approx(2 * half, rel=5 * 300 / giant + 1e-6)
    assert "fewer than 10 give a wide interval" in got.warnings[0]


SAMPLERS = {
    "uniform": Uniform(0.1), "reservoir": Reservoir(400), "adaptive": Adaptive(base_rate=0.1, min_samples=100),
    "importance": Importance(400, by="cost_usd"),
}  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.check) for name in SAMPLERS])
def test_rare_errors_of_sampled_rows_are_covered(name: str) -> None:
    sampler, runs, covered = SAMPLERS[name], 150, 0
    for run in range(runs):
        rng = np.random.default_rng([21, run])
        log = pd.DataFrame({
            "latency_ms": 400 * rng.lognormal(0, 1, 4000), "success": rng.random(4000) >= 0.002,
            "cost_usd": 0.002 * rng.lognormal(0, 1, 4000),
        })  # fmt: skip
        low, high = limits(sample(log, sampler, seed=run), "success_rate")
        covered += low <= 0.998 <= high
    assert covered >= 0.925 * runs - 2 * np.sqrt(runs * 0.05 * 0.95)


def test_a_light_failure_does_not_speak_for_heavy_rows() -> None:
    weight = np.r_[1.2, np.linspace(5, 15, 399)]
    frame = pd.DataFrame({"success": np.r_[False, np.ones(399, bool)], "weight": weight})
    kish = weight.sum() ** 2 / (weight**2).sum()
    share = 1 - weight[0] / weight.sum()
    low = stats.beta.ppf(0.025, kish * share, kish * (1 - share) + 1)
    assert limits(frame, "success_rate")[0] == pytest.approx(low, rel=1e-3)


def arms_without_a_failure(sampler: Sampler, n: int) -> list[pd.DataFrame]:
    rows = pd.DataFrame({"latency_ms": np.ones(n), "success": np.ones(n, bool), "cost_usd": np.linspace(1, 5, n)})
    return [sample(rows, sampler, seed=seed) for seed in range(6)]


@pytest.mark.parametrize("sampler", [*SAMPLERS.values(), Uniform(0.15), Reservoir(333)], ids=repr)
def test_no_failure_is_a_share_of_one(sampler: Sampler) -> None:
    arms = arms_without_a_failure(sampler, 2900)
    for arm in arms:
        got = cr.confidence_interval(arm)
        assert got.estimate == got.confidence_interval.high == 1.0
        assert 0.9 < got.confidence_interval.low < 0.9995
        known = cr.one_proportion(arm, 0.999)
        assert known.pvalue > 0.4
        assert known.confidence_interval.high <= 1.0
    for one, two in pairwise(arms):
        test = cr.two_proportions(one, two)
        assert test.pvalue == 1.0
        assert test.confidence_interval.low < -0.001 < 0.001 < test.confidence_interval.high
        assert cr.compare(one, two, metrics=["success_rate"])["success_rate"].verdict == "inconclusive"


@pytest.mark.parametrize("method", [None, "bootstrap"])
def test_quantiles_beyond_the_data_are_open(method: str | None) -> None:
    x = np.random.default_rng(0).lognormal(0, 1, 50)
    for metric, side in (("p99_x", 1), ("p95_x", 1), ("p1_x", 0)):
        got = cr.confidence_interval(x, metric, method=method)
        assert np.isinf(got.confidence_interval[side])
        assert np.isfinite(got.confidence_interval[1 - side])
        assert "effective rows, there are 50" in got.warnings[0]


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_results_do_not_depend_on_the_unit(unit: float) -> None:
    rng = np.random.default_rng(0)
    first, second = (
        pd.DataFrame({"x": rng.lognormal(mu, 1, 100), "session_id": [f"{mu}{i}" for i in np.arange(100) // 4]})
        for mu in (0.0, 0.3)
    )
    scaled = [arm.assign(x=arm.x * unit) for arm in (first, second)]
    for options in ({}, {"cluster": "session_id"}, {"method": "t"}, {"method": "bootstrap"}):
        for metric in ("x", "p50_x"):
            if metric == "p50_x" and options.get("method") == "t":
                continue
            ours, there = limits(first, metric, **options), limits(scaled[0], metric, **options)
            np.testing.assert_allclose(np.array(there) / unit, ours, rtol=1e-9)
    bare = [[arm.x.to_numpy() for arm in arms] for arms in ((first, second), scaled)]
    for arms in (((first, second), scaled), bare):
        ours, there = (cr.t_test(*pair, "x") for pair in arms)
        assert there.pvalue == pytest.approx(ours.pvalue, rel=1e-9)
        assert there.effect_size == pytest.approx(ours.effect_size, rel=1e-9)
        assert there.estimate / unit == pytest.approx(ours.estimate, rel=1e-9)
        assert cr.anova(*arms[1], metric="x").pvalue == pytest.approx(cr.anova(*arms[0], metric="x").pvalue, rel=1e-9)
    assert cr.t_test(*bare[1], "x", paired=True).pvalue == pytest.approx(cr.t_test(*bare[0], "x", paired=True).pvalue)


def test_a_large_common_offset_costs_no_digits() -> None:
    rng = np.random.default_rng(0)
    first, second = 1e9 + 1e-3 * rng.normal(size=(2, 500))
    exact = cr.t_test(first - 1e9, second - 1e9, "x")  # the subtraction is exact
    got = cr.t_test(first, second, "x")
    assert got.estimate == pytest.approx(exact.estimate, rel=1e-9)
    assert got.pvalue == pytest.approx(exact.pvalue, rel=1e-9)
