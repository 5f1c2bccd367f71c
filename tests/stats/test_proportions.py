"""Tests of one and two proportions: statsmodels, published results; weights and clusters by simulation."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

import crucible_nb as cr
from crucible_nb.sampling import Stratified, sample
from crucible_nb.stats.hypotests.proportions import one_proportion, two_proportions
from tests.tiers import examples

THEIRS = {"two-sided": "two-sided", "greater": "smaller", "less": "larger"}


def arm(hits: int, n: int) -> list[bool]:
    return [True] * hits + [False] * (n - hits)


@examples(80)
@given(*[st.integers(0, 150)] * 4, st.sampled_from(list(THEIRS)))
def test_two_proportions_are_statsmodels(a: int, b: int, c: int, d: int, alternative: str) -> None:
    if min(a + b, c + d) < 2 or not (a + c and b + d):
        return
    got = two_proportions(arm(a, a + b), arm(c, c + d), alternative=alternative)
    z, p = proportions_ztest([a, c], [a + b, c + d], alternative=THEIRS[alternative])
    np.testing.assert_allclose([got.statistic, got.pvalue], [z, p], rtol=1e-12, atol=1e-12)
    low, high = confint_proportions_2indep(c, c + d, a, a + b, alpha=0.05 if alternative == "two-sided" else 0.1)
    wanted = {"two-sided": (low, high), "greater": (low, 1.0), "less": (-1.0, high)}[alternative]
    np.testing.assert_allclose(got.confidence_interval, wanted, rtol=1e-10, atol=1e-12)


def test_newcombes_own_example() -> None:
    got = two_proportions(arm(48, 80), arm(56, 70))
    assert got.confidence_interval == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert "95% CI" in got.method
    assert got.significant


@pytest.mark.parametrize(("hits", "what"), [(0, "success"), (1, "failure")])
def test_arms_that_are_all_alike(hits: int, what: str) -> None:
    got = two_proportions(arm(20 * hits, 20), arm(30 * hits, 30))
    assert (got.pvalue, got.statistic, got.estimate) == (1.0, 0.0, 0.0)
    assert got.confidence_interval.low < 0 < got.confidence_interval.high
    assert got.warnings == (f"no {what} in either arm: only the interval shows how far the shares may differ",)


def test_all_against_none_and_small_counts() -> None:
    got = two_proportions(arm(0, 10), arm(10, 10))
    assert got.pvalue == pytest.approx(proportions_ztest([0, 10], [10, 10])[1], rel=1e-12)
    assert got.confidence_interval.high == 1.0
    assert any("use fisher" in said for said in two_proportions(arm(1, 10), arm(3, 10)).warnings)


@pytest.mark.parametrize(
    ("control", "treatment", "message"),
    [
        ([], [True, False], "control: expected at least 2 values"),
        ([0.5, 1.0], [True, False], "expected true, false, 0 or 1"),
        ([True, None], [True, False], "at least 2 values"),
    ],
)
def test_what_is_refused(control: list, treatment: list, message: str) -> None:
    with pytest.raises(cr.StatError, match=message):
        two_proportions(control, treatment)


def test_other_numbers_send_to_a_t_test() -> None:
    frame = pd.DataFrame({"score": [0.5, 0.7, 0.1]})
    with pytest.raises(cr.StatError, match="use t_test for means"):
        two_proportions(frame, frame, metric="score")
    with pytest.raises(cr.ConfigError, match="alternative"):
        two_proportions([True, False], [True, False], alternative="more")


def test_missing_values_are_counted() -> None:
    frame = pd.DataFrame({"success": pd.array([True, False, None, True], dtype="boolean")})
    got = two_proportions(frame, frame)
    assert got.n == (3, 3)
    assert got.exclusions == ("1 rows of control without success", "1 rows of treatment without success")


def test_one_cluster_a_row_is_next_to_plain() -> None:
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame({"success": rng.random(2000) < p, "s": np.arange(2000) + 2000 * i})
              for i, p in enumerate((0.3, 0.34))]  # fmt: skip
    plain, alone = two_proportions(*frames), two_proportions(*frames, cluster="s")
    assert alone.pvalue == pytest.approx(plain.pvalue, rel=0.02)
    np.testing.assert_allclose(alone.confidence_interval, plain.confidence_interval, atol=2e-4)
    assert alone.df is not None
    assert alone.df > 3900


@pytest.mark.check
def test_clusters_hold_the_level() -> None:
    rng = np.random.default_rng(1)
    naive = found = covered = 0
    for _ in range(400):
        frames = [pd.DataFrame({"success": rng.random(400) < np.repeat(rng.beta(2, 4, 40), 10),
                                "s": np.repeat(np.arange(40), 10) + 100 * i}) for i in range(2)]  # fmt: skip
        got = two_proportions(*frames, cluster="s")
        found += got.pvalue <= 0.05
        covered += got.confidence_interval.low <= 0 <= got.confidence_interval.high
        naive += two_proportions(*frames).pvalue <= 0.05
    assert 0.02 < found / 400 < 0.085
    assert covered / 400 > 0.915
    assert naive / 400 > 0.15


@pytest.mark.check
def test_stratified_samples_hold_the_level() -> None:
    rng = np.random.default_rng(2)
    found = covered = 0
    for i in range(300):
        frames = []
        for j in range(2):
            full = pd.DataFrame({"success": rng.random(4000) < 0.95, "latency_ms": 1.0})
            frames.append(sample(full, Stratified({False: 1.0, True: 0.05}, by="success"), seed=2 * i + j))
        got = two_proportions(*frames)
        found += got.pvalue <= 0.05
        covered += got.confidence_interval.low <= 0 <= got.confidence_interval.high
    assert 0.015 < found / 300 < 0.09
    assert covered / 300 > 0.92
    assert got.df is not None
    assert abs(got.estimate) < 0.05


def test_shared_clusters_narrow_the_interval() -> None:
    rng = np.random.default_rng(3)
    share = rng.beta(1, 1, 60)
    frames = [pd.DataFrame({"success": rng.random(1200) < np.repeat(share, 20), "s": np.repeat(np.arange(60), 20)})
              for _ in range(2)]  # fmt: skip
    together = two_proportions(*frames, cluster="s")
    apart = two_proportions(frames[0], frames[1].assign(s=frames[1].s + 100), cluster="s")
    width = [got.confidence_interval.high - got.confidence_interval.low for got in (together, apart)]
    assert width[0] < 0.6 * width[1]
    assert together.pvalue < apart.pvalue
    few = two_proportions(frames[0][:200], frames[1][:200], cluster="s")
    assert any("10 clusters" in said for said in few.warnings)


def test_mendels_peas(shared_data: Path) -> None:
    entries = json.loads((shared_data / "oracles.json").read_text())["entries"]
    one = next(entry for entry in entries if entry["id"] == "exact_binomial_mendel")
    got = one_proportion(arm(682, 925), 0.75)
    assert got.pvalue == pytest.approx(one["expected"]["p_value"], abs=5e-5)
    assert got.confidence_interval == pytest.approx(one["expected"]["ci95"], abs=5e-8)
    assert got.estimate == pytest.approx(one["expected"]["estimate"], abs=5e-8)


@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
def test_one_proportion_is_scipys(alternative: str) -> None:
    got = one_proportion(arm(14, 40), 0.5, alternative=alternative)
    wanted = stats.binomtest(14, 40, 0.5, alternative)
    assert got.pvalue == pytest.approx(wanted.pvalue, rel=1e-12)
    np.testing.assert_allclose(got.confidence_interval, wanted.proportion_ci(0.95), rtol=1e-10)


def test_one_proportion_of_clusters() -> None:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {"success": rng.random(900) < np.repeat(rng.beta(2, 2, 45), 20), "s": np.repeat(np.arange(45), 20)}
    )
    got, naive = one_proportion(frame, 0.5, cluster="s"), one_proportion(frame, 0.5)
    assert got.df == 44
    assert got.pvalue > naive.pvalue
    assert math.isclose(got.estimate, naive.estimate)
    with pytest.raises(cr.ConfigError, match="share"):
        one_proportion([True, False], 1.0)
