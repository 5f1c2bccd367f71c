"""Analysis of variance: certified data sets of NIST, scipy, and error rates with weights and clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from crucible_nb.errors import StatError
from crucible_nb.sampling import Stratified, sample
from crucible_nb.stats.hypotests.groups import anova
from crucible_nb.stats.hypotests.means import t_test
from tests.stats.oracle import agrees, entry, nist_groups
from tests.tiers import examples

groups_of = st.lists(
    st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=3, max_size=15), min_size=2, max_size=5
)


@pytest.mark.parametrize("name", ["sirstv", "atmwtag", "smls01", "smls04", "smls07"])
def test_certified_sets(shared_data: Path, name: str) -> None:
    wanted = entry(shared_data, f"nist_strd_anova_{name}")
    got = anova(*nist_groups(shared_data, name), metric="y", equal_variance=True)
    between, within = got.df
    agrees({"F": got.statistic, "df_between": between, "df_within": within, "r_squared": got.effect_size}, wanted)


@given(st.integers(0, 10**6), st.integers(2, 6))
@examples(60)
def test_random_groups_are_scipys_and_statsmodels_to_twelve_digits(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [rng.normal(rng.normal(0, 9), rng.uniform(0.1, 50), rng.integers(3, 15)) for _ in range(k)]
    got, theirs = anova(*groups, metric="y", equal_variance=True), stats.f_oneway(*groups)
    np.testing.assert_allclose([got.statistic, got.pvalue], [theirs.statistic, theirs.pvalue], 1e-12, 1e-12)
    got, theirs = anova(*groups, metric="y"), anova_oneway(groups, use_var="unequal")
    np.testing.assert_allclose(
        [got.statistic, got.pvalue, *got.df], [theirs.statistic, theirs.pvalue, *theirs.df], 1e-11, 1e-12
    )


@given(groups_of)
@examples(40)
def test_any_groups_have_an_answer(groups: list[list[float]]) -> None:
    assume(all(np.ptp(group) > 0.01 for group in groups))
    for equal in (False, True):
        got = anova(*groups, metric="y", equal_variance=equal)
        assert 0 <= got.pvalue <= 1
        low, high = got.effect_interval
        assert 0 <= low <= high <= 1


def test_two_groups_are_a_t_test(rng: np.random.Generator) -> None:
    first, second = rng.normal(0, 1, 30), rng.normal(1, 3, 50)
    for equal in (False, True):
        f, t = anova(first, second, metric="y", equal_variance=equal), t_test(first, second, "y", equal_variance=equal)
        assert f.statistic == pytest.approx(t.statistic**2, rel=1e-9)
        assert f.pvalue == pytest.approx(t.pvalue, rel=1e-9)
    frames = [pd.DataFrame({"y": x, "weight": rng.uniform(1, 5, len(x))}) for x in (first, second)]
    assert anova(*frames, metric="y").pvalue == pytest.approx(t_test(*frames, "y").pvalue, rel=1e-9)


def test_two_groups_with_sessions_in_common_are_a_t_test(rng: np.random.Generator) -> None:
    session = rng.normal(0, 3, 40)
    frames = [pd.DataFrame({"y": session + rng.normal(m, 1, 40), "session_id": range(40)}) for m in (0, 0.3)]
    f, t = anova(*frames, metric="y", cluster="session_id"), t_test(*frames, "y", cluster="session_id")
    assert f.statistic == pytest.approx(t.statistic**2, rel=1e-9)
    assert f.pvalue == pytest.approx(t.pvalue, rel=1e-9)


@pytest.mark.check
@pytest.mark.parametrize("way", ["weights", "clusters", "shared clusters"])
def test_error_rates(way: str) -> None:
    rng, rejected = np.random.default_rng(17), 0
    for seed in range(300):
        if way == "weights":
            calls = [pd.DataFrame({"y": rng.normal(0, 1, 800)}) for _ in range(3)]
            arms = [
                sample(one.assign(high=one.y > 1), Stratified({True: rate, False: 0.2}, by="high"), seed=3 * seed + i)
                for i, (one, rate) in enumerate(zip(calls, (1.0, 0.5, 0.2), strict=True))
            ]
            rejected += anova(*arms, metric="y").pvalue < 0.05
            continue
        shared = way == "shared clusters"
        base = rng.normal(0, 1, 40)
        arms = [
            pd.DataFrame({
                "y": (base if shared else rng.normal(0, 1, 40)).repeat(4) + rng.normal(0, 1, 160),
                "session_id": np.arange(160) // 4 + (0 if shared else 100 * arm),
            })
            for arm in range(3)
        ]  # fmt: skip
        rejected += anova(*arms, metric="y", cluster="session_id").pvalue < 0.05
    assert 4 <= rejected <= 29, rejected


def test_what_is_said(rng: np.random.Generator) -> None:
    got = anova(
        rng.normal(0, 1, 40), rng.normal(0, 1, 50), rng.normal(0, 6, 60), metric="latency_ms", equal_variance=True
    )
    assert any("leave out equal_variance for Welch's test" in said for said in got.warnings)
    assert got.n == (40, 50, 60)
    assert got.method.startswith(
        "One-way ANOVA of the mean latency_ms between group 1 (n = 40), group 2 (n = 50) and group 3 (n = 60): "
    )
    assert "F(2, 147) = " in got.method
    assert "confidence interval" not in repr(got)  # there is no such number for several groups
    ratio = [pd.DataFrame({"cost_usd": rng.gamma(2, 1, 50), "success": rng.random(50) < 0.8}) for _ in range(3)]
    assert anova(*ratio, metric="cost_per_success").effect == ""


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: anova([1, 2], metric="y"), "anova: expected two groups or more, got 1; to split a frame, pass"),
        (lambda: anova([1, 1], [1, 1], metric="y"), "y is constant (1 in group 1, 1 in group 2)"),
        (lambda: anova([1, 1], [2, 3], metric="y"), "y: a constant group has no standard error; leave it out"),
        (lambda: anova([1, 1], [2, 2], metric="y", equal_variance=True), "y is constant (1 in group 1, 2 in group 2)"),
        (lambda: anova([1, 2], [2, 3], metric="p50_latency_ms"), "anova: p50_latency_ms is a quantile"),
        (lambda: anova(pd.DataFrame({"y": [1, 2], "weight": [1, 2]}), [2, 3], metric="y", equal_variance=True),
         "equal_variance=True is for rows that are neither sampled nor clustered"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(call, said: str) -> None:
    with pytest.raises(StatError) as raised:
        call()
    assert said in str(raised.value)
