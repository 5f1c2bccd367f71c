"""Means of skewed values in arms of unequal size: error and power by simulation, and what is said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crucible_nb as cr
from crucible_nb.stats.hypotests.skewed_means import shape_pvalue, skew_safe_t_test
from crucible_nb.stats.samples.values import values_of


def lognormal(rng: np.random.Generator, n: int, sigma: float = 1.5, mean: float = 1.0) -> np.ndarray:
    return mean * rng.lognormal(-sigma * sigma / 2, sigma, n)


def costs(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 0.7, 0.0, lognormal(rng, n))


def both_signs(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.exponential(1.0, n) - 1


def firm(control: np.ndarray, treatment: np.ndarray) -> bool:
    test, _ = skew_safe_t_test(values_of(control, "cost_usd"), values_of(treatment, "cost_usd"), 0.95)
    return test.pvalue <= 0.05 and test.limited is None


@pytest.mark.parametrize("draw", [lognormal, costs, both_signs])
@pytest.mark.parametrize("sizes", [(50, 2000), (2000, 50)])
def test_equal_arms_are_not_told_apart(draw: Callable[..., np.ndarray], sizes: tuple[int, int]) -> None:
    rngs = [np.random.default_rng([1, seed]) for seed in range(100)]
    assert (
        sum(firm(*(draw(rng, n) for n in sizes)) for rng in rngs) <= 18
    )  # 5 % and 2.6 standard errors; Welch 28 to 48


@pytest.mark.parametrize("means", [(1.0, 3.0), (3.0, 1.0)])
def test_a_tripled_cost_is_found(means: tuple[float, float]) -> None:
    rngs = [np.random.default_rng([2, seed]) for seed in range(100)]
    found = sum(firm(lognormal(rng, 50, mean=means[0]), lognormal(rng, 2000, mean=means[1])) for rng in rngs)
    assert found >= (75 if means[1] == 3.0 else 50)


def test_equal_means_of_other_shapes_are_at_most_leaning() -> None:
    limited = wrong = 0
    for seed in range(100):
        rng = np.random.default_rng([3, seed])
        control, treatment = lognormal(rng, 50, 1.5), lognormal(rng, 2000, 1.0)
        got = cr.compare(control, treatment, metrics=["cost_usd"])["cost_usd"]
        wrong += got.verdict in ("better", "worse")
        if got.verdict == "leaning":
            limited += 1
            assert "shape differs between the arms" in got.why
            assert any("shape differs" in sentence for sentence in got.warnings)
    assert wrong <= 8
    assert limited >= 3


def test_balanced_arms_are_welchs() -> None:
    rng = np.random.default_rng(4)
    control, treatment = lognormal(rng, 300), lognormal(rng, 300, mean=1.5)
    test, contrast = skew_safe_t_test(values_of(control, "cost_usd"), values_of(treatment, "cost_usd"), 0.95)
    theirs = stats.ttest_ind(treatment, control, equal_var=False)
    assert test.pvalue == pytest.approx(theirs.pvalue, rel=1e-12)
    assert contrast.difference(0.95) == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-9)


def test_p_value_and_interval_agree_and_both_tests_have_to_reject() -> None:
    for seed in range(30):
        rng = np.random.default_rng([5, seed])
        control, treatment = lognormal(rng, 50), lognormal(rng, 2000, mean=2.0)
        test, contrast = skew_safe_t_test(values_of(control, "cost_usd"), values_of(treatment, "cost_usd"), 0.95)
        low, high = contrast.difference(1 - test.pvalue * (1 + 1e-6))
        assert low <= 1e-9 or high >= -1e-9
        assert test.significant != (test.confidence_interval.low <= 0 <= test.confidence_interval.high)
        assert test.pvalue >= stats.ttest_ind(control, treatment, equal_var=False).pvalue * (1 - 1e-9)
        # by hand: log ratio / (coefficient of variation of both arms pooled * root of 1 / n + 1 / m)
        squares = [x.var(ddof=1) / x.mean() ** 2 * (len(x) - 1) for x in (control, treatment)]
        error = np.sqrt(sum(squares) / 2048 * (1 / 50 + 1 / 2000))
        t = np.log(treatment.mean() / control.mean()) / error
        assert test.pvalue >= 2 * stats.t.sf(abs(t), 2048) * 0.9


def test_where_the_small_arm_is_the_higher_one_welch_decides_alone() -> None:
    for seed in range(10):
        rng = np.random.default_rng([9, seed])
        few, many = lognormal(rng, 50, mean=3.0), lognormal(rng, 2000)
        theirs = stats.ttest_ind(many, few, equal_var=False)
        test, contrast = skew_safe_t_test(values_of(few, "cost_usd"), values_of(many, "cost_usd"), 0.95)
        limits, welch = contrast.difference(0.95), theirs.confidence_interval()
        assert "Welch" in test.test
        assert test.pvalue == pytest.approx(theirs.pvalue, rel=1e-6)
        assert limits.high == pytest.approx(welch.high)
        assert limits.low <= welch.low + 1e-9
        back, contrast = skew_safe_t_test(values_of(many, "cost_usd"), values_of(few, "cost_usd"), 0.95)
        assert back.pvalue == pytest.approx(test.pvalue, rel=1e-9)
        assert contrast.difference(0.95) == pytest.approx((-limits.high, -limits.low))


def test_weights_and_clusters() -> None:
    found = 0
    for seed in range(60):
        rng = np.random.default_rng([6, seed])
        arms = []
        for start, clusters in ((0, 50), (1000, 800)):
            ids = np.repeat(np.arange(clusters), rng.integers(1, 4, clusters))
            cost = lognormal(rng, clusters)[ids] * rng.lognormal(0, 0.2, len(ids))
            arms.append(pd.DataFrame({"cost_usd": cost, "session_id": ids + start}))
        got = cr.compare(*arms, metrics=["cost_usd"])["cost_usd"]
        found += got.verdict in ("better", "worse")
    assert found <= 8  # 5 % and 3 standard errors


def test_shapes() -> None:
    rng = np.random.default_rng(8)
    same = [
        shape_pvalue(values_of(lognormal(rng, 50), "x"), values_of(lognormal(rng, 900, mean=7.0), "x"))
        for _ in range(200)
    ]
    assert np.mean(np.array(same) < 0.05) <= 0.095
    assert shape_pvalue(values_of(lognormal(rng, 60, 1.5), "x"), values_of(lognormal(rng, 900, 0.8), "x")) < 1e-3
    zeros = values_of(np.r_[np.zeros(40), lognormal(rng, 20)], "x")
    assert shape_pvalue(zeros, values_of(lognormal(rng, 900), "x")) < 1e-6
