"""CR2 and Satterthwaite's degrees of freedom against dense matrices, and what they promise against simulations."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import crucible_nb as cr
from crucible_nb.stats import cluster_robust
from crucible_nb.stats.cluster_robust import Units, units_of
from tests.tiers import examples


def dense(arm: np.ndarray, cluster: np.ndarray, effect: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, float]:
    """Factor of each cluster total, and df, by matrices of rows x rows (Bell and McCaffrey)."""
    own = arm[:, None] == arm[None, :]
    residuals = np.eye(len(arm)) - own / own.sum(1)
    rows = []
    for code in np.unique(cluster):
        row = np.where(cluster == code, effect, 0.0)
        left = row @ residuals
        factor = np.sqrt((row @ covariance @ row) / (left @ covariance @ left))
        rows.append(factor * left)
    squares = np.array(rows) @ covariance @ np.array(rows).T
    return np.array(rows), float(np.trace(squares) ** 2 / np.sum(squares**2))


@examples(25)
@given(sizes=st.lists(st.integers(1, 30), min_size=3, max_size=12), rho=st.floats(0, 1), seed=st.integers(0, 1000))
def test_one_arm_is_the_dense_form(sizes: list[int], rho: float, seed: int) -> None:
    size = np.array(sizes, float)
    n, cluster = int(size.sum()), np.repeat(np.arange(len(sizes)), sizes)
    covariance = rho * (cluster[:, None] == cluster[None, :]) + (1 - rho) * np.eye(n)
    factors, df = dense(np.zeros(n), cluster, np.full(n, 1 / n), covariance)
    x = np.random.default_rng(seed).normal(size=n)
    total = np.bincount(cluster, x - x.mean()) / n
    each, ours = cluster_robust.adjust(Units(total, size / n, (rho * size**2 + (1 - rho) * size) / n**2))
    np.testing.assert_allclose(each, factors @ x, rtol=1e-9, atol=1e-12)
    assert ours == pytest.approx(df, rel=1e-8)


@examples(25)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=9),
    rho=st.floats(0.05, 0.95), seed=st.integers(0, 1000),
)  # fmt: skip
def test_clusters_in_both_arms_are_the_dense_form(sizes: list[tuple[int, int]], rho: float, seed: int) -> None:
    size = np.array([pair for pair in sizes if sum(pair)], float).reshape(-1, 2)
    if len(size) < 3 or ((size > 0).sum(0) < 2).any():
        return
    n = size.sum(0)
    arm = np.repeat([0, 1], n.astype(int))
    cluster = np.concatenate([np.repeat(np.arange(len(size)), size[:, i].astype(int)) for i in (0, 1)])
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=len(size))
    sides = [
        Units(part * (effects + rng.normal(size=len(size))), part, rho * part**2 + (1 - rho) * part / total, rho)
        for part, total in zip((size / n).T, n, strict=True)
    ]
    common = cluster_robust.covariance_between(*sides)
    assert abs(common) <= rho
    same, own = cluster[:, None] == cluster[None, :], arm[:, None] == arm[None, :]
    covariance = np.where(same, np.where(own, rho, common), 0) + (1 - rho) * np.eye(len(arm))
    _, df = dense(arm, cluster, np.where(arm == 0, -1 / n[0], 1 / n[1]), covariance)
    assert cluster_robust.paired_adjust(*sides)[1] == pytest.approx(df, rel=1e-6)


def test_the_correlation_is_that_of_the_model() -> None:
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(4000), rng.integers(1, 9, 4000))
    x = 2 * rng.normal(size=4000)[cluster] + rng.normal(size=len(cluster))
    units = units_of(x - x.mean(), np.ones(len(x)), cluster)
    assert units.between == pytest.approx(4, rel=0.05)
    assert units.within == pytest.approx(1, rel=0.2)


def sessions(rng: np.random.Generator, count: int, sigma: float, tag: str = "") -> pd.DataFrame:
    """Sessions of lognormal size; half of the variance of the score is between them."""
    size = np.maximum(1, (10 * rng.lognormal(0, sigma, count)).astype(int))
    session = np.repeat(np.arange(count), size)
    score = (rng.normal(size=count)[session] + rng.normal(size=len(session))) / np.sqrt(2)
    return pd.DataFrame({
        "score": score, "success": score < stats.norm.ppf(0.9), "session_id": [f"{tag}{i}" for i in session]
    })  # fmt: skip


@pytest.mark.check
@pytest.mark.parametrize(("count", "sigma"), [(40, 1.0), (40, 2.0), (100, 1.5)])
def test_sessions_of_unequal_size_are_covered(count: int, sigma: float) -> None:
    truths = {"mean_score": 0.0, "success_rate": 0.9, "p50_score": 0.0, "p95_score": stats.norm.ppf(0.95)}
    runs, covered = 300, dict.fromkeys(truths, 0)
    for run in range(runs):
        frame = sessions(np.random.default_rng([run, 5]), count, sigma)
        for metric, truth in truths.items():
            low, high = cr.confidence_interval(frame, metric, cluster="session_id").confidence_interval
            covered[metric] += low <= truth <= high
    assert all(0.93 * runs - 2 * np.sqrt(runs * 0.05 * 0.95) <= hits <= runs for hits in covered.values())


@pytest.mark.check
def test_equal_arms_of_unequal_sessions_seldom_differ() -> None:
    wrong = 0
    for run in range(100):
        rng = np.random.default_rng([run, 5])
        arms = [sessions(rng, 40, 2.0, tag) for tag in "ab"]
        wrong += cr.t_test(*arms, "score", cluster="session_id").pvalue <= 0.05
    assert wrong <= 10  # 16.5 of 100 by clusters - 1 degrees of freedom


def test_few_effective_clusters_are_said_and_wide() -> None:
    frame = sessions(np.random.default_rng(1), 100, 2.0)
    got = cr.confidence_interval(frame, "score", cluster="session_id")
    size = frame.session_id.value_counts().to_numpy()
    effective = size.sum() ** 2 / (size**2).sum()
    assert got.warnings == (
        f"100 clusters are worth {effective:.1f} of equal size: fewer than 30 give a wide interval",
    )
    low, high = got.confidence_interval
    assert high - low > 2 * 1.2 * stats.t.ppf(0.975, 99) * got.standard_error


@pytest.mark.parametrize("metric", ["mean_cost_usd", "cost_per_success"])
def test_the_error_of_weighted_clusters_is_the_dense_form(metric: str) -> None:
    rng = np.random.default_rng(4)
    cluster = np.repeat(np.arange(35), rng.integers(1, 12, 35))
    n = len(cluster)
    frame = pd.DataFrame({
        "cost_usd": rng.lognormal(size=n) * rng.lognormal(size=35)[cluster], "success": rng.random(n) < 0.8,
        "session_id": cluster, "weight": rng.integers(1, 5, n).astype(float),
    })  # fmt: skip
    got = cr.confidence_interval(frame, metric, method="t", cluster="session_id")
    x, share = frame.cost_usd.to_numpy(), (frame.weight / frame.weight.sum()).to_numpy()
    below = frame.success.to_numpy(float) if metric == "cost_per_success" else np.ones(n)
    deviation = (x - got.estimate * below) / (share @ below)
    same = cluster[:, None] == cluster[None, :]
    total = (same * share).sum(1)  # of the cluster of each row
    pairs = np.outer(share / total, share / total) * (same & ~np.eye(n, dtype=bool))
    whole = (share * deviation) @ (share * deviation) / (share @ share)
    between = min(max((pairs * np.outer(deviation, deviation)).sum() / pairs.sum(), 0.0), whole)
    covariance = between * same + (whole - between) * np.eye(n)
    residuals, squares = np.eye(n) - share[None, :], []
    for code in range(35):
        row = np.where(cluster == code, share, 0.0)
        left = row @ residuals
        squares.append((row @ deviation) ** 2 * (row @ covariance @ row) / (left @ covariance @ left))
    assert got.estimate == pytest.approx((share @ x) / (share @ below), rel=1e-12)
    assert got.standard_error == pytest.approx(math.sqrt(sum(squares)), rel=1e-9)


def test_quantiles_of_the_same_sessions_in_both_arms_use_their_covariance() -> None:
    rng = np.random.default_rng(6)
    level = rng.normal(0, 1, 200)
    one, two = (np.exp(6 + level + rng.normal(0, 0.3, 200)) for _ in range(2))
    arms = [pd.DataFrame({"session_id": range(200), "latency_ms": x}) for x in (one, two)]
    shared = cr.compare(*arms, metrics=["p50_latency_ms"], cluster="session_id")["p50_latency_ms"].confidence_interval
    items = [arm.rename(columns={"session_id": "sample_id"}) for arm in arms]  # the same rows as pairs
    pairs = cr.compare(*items, metrics=["p50_latency_ms"])["p50_latency_ms"].confidence_interval
    apart = cr.compare(arms[0], arms[1].assign(session_id=range(200, 400)), metrics=["p50_latency_ms"])
    width = apart["p50_latency_ms"].confidence_interval
    assert shared == pytest.approx(pairs, rel=0.1)
    assert shared.high - shared.low < 0.6 * (width.high - width.low)
