"""Permutation test: enumeration of all permutations, whole clusters, signs of pairs, seeds."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from crucible_nb.errors import ConfigError, StatError
from crucible_nb.stats.hypotests.means import t_test
from crucible_nb.stats.hypotests.permutation import permutation_test


def by_hand(control: np.ndarray, treatment: np.ndarray, statistic) -> float:
    both, n = np.concatenate([control, treatment]), len(control)
    seen = statistic(control, treatment)
    found = []
    for chosen in combinations(range(len(both)), n):
        mask = np.zeros(len(both), bool)
        mask[list(chosen)] = True
        found.append(statistic(both[mask], both[~mask]))
    found = np.array(found)
    return 2 * min(np.mean(found >= seen - 1e-12), np.mean(found <= seen + 1e-12), 0.5)


@pytest.mark.parametrize(("metric", "statistic"), [
    ("score", lambda a, b: a.mean() - b.mean()),
    ("p50_score", lambda a, b: np.quantile(a, 0.5) - np.quantile(b, 0.5)),
    ("p90_score", lambda a, b: np.quantile(a, 0.9) - np.quantile(b, 0.9)),
])  # fmt: skip
def test_few_permutations_are_all_tried(rng: np.random.Generator, metric: str, statistic) -> None:
    control, treatment = rng.normal(0, 1, 5), rng.normal(1.2, 1, 6)
    got = permutation_test(control, treatment, metric)
    assert got.pvalue == pytest.approx(by_hand(control, treatment, statistic))
    assert got.statistic == pytest.approx(statistic(control, treatment))
    assert got.estimate == pytest.approx(-got.statistic)
    assert any(said.startswith("all permutations of 5 and 6 values") for said in got.assumptions)


def test_pairs_by_their_signs(rng: np.random.Generator) -> None:
    control = rng.normal(0, 1, 8)
    treatment = control + rng.normal(0.5, 0.5, 8)
    got = permutation_test(control, treatment, "score", paired=True, alternative="greater")
    d = treatment - control
    found = np.array([(np.array(signs) * d).mean() for signs in product((1, -1), repeat=8)])
    assert got.pvalue == pytest.approx(np.mean(found >= d.mean() - 1e-12))
    assert got.n == 8
    assert got.effect == "Cohen's d_z"
    assert (
        got.confidence_interval
        == t_test(control, treatment, "score", paired=True, alternative="greater").confidence_interval
    )
    quantile = permutation_test(control, treatment, "p50_score", paired=True)
    assert quantile.estimate == pytest.approx(np.median(treatment) - np.median(control))
    assert np.isnan(quantile.confidence_interval.low)


def test_random_permutations_are_seeded_and_never_zero(rng: np.random.Generator) -> None:
    control, treatment = rng.normal(0, 1, 100), rng.normal(3, 1, 100)
    got = permutation_test(control, treatment, "score", n_resamples=999, seed=3)
    assert got.pvalue == pytest.approx(2 / 1000)
    assert got == permutation_test(control, treatment, "score", n_resamples=999, seed=3)
    close = control + 0.1
    assert (
        permutation_test(control, close, "score", seed=1).pvalue
        != permutation_test(control, close, "score", seed=2).pvalue
    )
    assert permutation_test(control, close, "score").pvalue == pytest.approx(
        t_test(control, close, "score").pvalue, abs=0.03
    )


def test_quantiles_have_an_interval_and_power(rng: np.random.Generator) -> None:
    control, treatment = rng.lognormal(6, 1, 300), rng.lognormal(6, 1, 300)
    treatment[:40] *= 8
    got = permutation_test(control, treatment, "p95_latency_ms", n_resamples=999)
    assert got.pvalue < 0.02
    low, high = got.confidence_interval
    assert low < got.estimate < high
    assert "order statistics" in " ".join(got.assumptions)


@pytest.mark.check
def test_clusters_are_permuted_whole() -> None:
    rng, rejected, naive = np.random.default_rng(23), 0, 0
    for _ in range(120):
        arms = [
            pd.DataFrame({
                "score": rng.normal(0, 1, 12).repeat(6) + rng.normal(0, 1, 72),
                "session_id": np.arange(72) // 6 + 100 * arm,
            })
            for arm in range(2)
        ]  # fmt: skip
        rejected += permutation_test(*arms, "score", cluster="session_id", n_resamples=199).pvalue < 0.05
        rows = [arm[["score"]] for arm in arms]
        naive += permutation_test(*rows, "score", n_resamples=199).pvalue < 0.05
    assert rejected <= 15, rejected
    assert naive > 25, naive


def test_clusters_of_pairs_and_quantiles_of_clusters(rng: np.random.Generator) -> None:
    topic = np.arange(60) // 6
    control = pd.DataFrame({"sample_id": range(60), "topic": topic, "score": rng.normal(0, 1, 60)})
    treatment = control.assign(score=control.score + rng.normal(0, 1, 10)[topic])
    got = permutation_test(control, treatment, "score", paired=True, cluster="topic")
    sums = (treatment.score - control.score).groupby(topic).sum().to_numpy()
    found = np.array([(np.array(signs) * sums).sum() / 60 for signs in product((1, -1), repeat=10)])
    seen = sums.sum() / 60
    assert got.pvalue == pytest.approx(2 * min(np.mean(found >= seen - 1e-12), np.mean(found <= seen + 1e-12), 0.5))
    other = treatment.assign(topic=topic + 100)
    tail = permutation_test(control, other, "p95_score", cluster="topic", n_resamples=499)
    assert 0 < tail.pvalue <= 1
    assert any("random permutations of 10 and 10 clusters" in said for said in tail.assumptions)


def test_ratios(rng: np.random.Generator) -> None:
    arms = [pd.DataFrame({"cost_usd": rng.gamma(2, 1, 80), "success": rng.random(80) < rate}) for rate in (0.9, 0.5)]
    got = permutation_test(*arms, "cost_per_success", n_resamples=999)
    ratios = [arm.cost_usd.sum() / arm.success.sum() for arm in arms]
    assert got.estimate == pytest.approx(ratios[1] - ratios[0])
    assert got.statistic == pytest.approx(-got.estimate)
    assert got.pvalue < 0.01


def test_the_sentence(rng: np.random.Generator) -> None:
    got = permutation_test(rng.normal(0, 1, 30), rng.normal(0, 1, 40), "latency_ms", seed=4)
    assert got.method.startswith(
        "Permutation test of the mean latency_ms between control (n = 30) and treatment (n = 40) "
        "(9,999 random permutations of 30 and 40 values, seed 4): difference "
    )


def weighted(score: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"score": score, "weight": 2.0, "session_id": range(len(score))})


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: permutation_test(weighted([1, 2]), weighted([2, 3]), "score"), StatError,
         "permutation_test: sampled rows are not exchangeable; use t_test, which uses weights"),
        (lambda: permutation_test(weighted([1, 2]), weighted([2, 3]), "p50_score"), StatError, "use mann_whitney_u on score"),
        (lambda: permutation_test(*[weighted([1, 2]).drop(columns="weight")] * 2, "score", cluster="session_id"), StatError,
         "2 clusters occur in both arms and cannot be permuted; use t_test(cluster=...)"),
        (lambda: permutation_test([1, 2], [3, 4], "total_cost_usd"), StatError, "a total depends on how long an arm ran"),
        (lambda: permutation_test([1, 1], [1, 1], "score"), StatError, "score is constant"),
        (lambda: permutation_test([1, 2], [3, 4], "score", n_resamples=10), ConfigError, "n_resamples=10: expected a whole number >= 99"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(call, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert said in str(raised.value)
