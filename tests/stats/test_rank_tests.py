"""Rank tests: bit-equal to scipy on unweighted rows, published values, error rates with weights and clusters."""

from __future__ import annotations

import warnings
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from crucible_nb.errors import ConfigError, StatError
from crucible_nb.sampling import Stratified, sample
from crucible_nb.stats.effects.sizes import cliffs_delta
from crucible_nb.stats.hypotests.ranks import kruskal_wallis, mann_whitney_u, wilcoxon
from tests.stats.oracle import agrees, entry
from tests.tiers import examples

SCIPY_ALTERNATIVE = {"two-sided": "two-sided", "less": "greater", "greater": "less"}
ALTERNATIVES = sorted(SCIPY_ALTERNATIVE)
values = st.lists(st.integers(-20, 20).map(lambda x: x / 4), min_size=2, max_size=20)


@given(values, values, st.sampled_from(ALTERNATIVES), st.sampled_from([None, "asymptotic"]), st.booleans())
@examples(60)
def test_mann_whitney_is_scipys(control, treatment, alternative: str, method: str | None, continuity: bool) -> None:
    assume(len({*control, *treatment}) > 1)
    got = mann_whitney_u(control, treatment, "score", alternative, method=method, continuity=continuity)
    theirs = stats.mannwhitneyu(control, treatment, continuity, SCIPY_ALTERNATIVE[alternative], method=method or "auto")
    np.testing.assert_allclose([got.statistic, got.pvalue], [theirs.statistic, theirs.pvalue], 1e-12)
    assert got.estimate == pytest.approx(1 - theirs.statistic / len(control) / len(treatment), abs=1e-12)
    assert got.effect_size == pytest.approx(2 * got.estimate - 1, abs=1e-12)
    low, high = got.confidence_interval
    assert 0 <= low <= got.estimate + 1e-12
    assert got.estimate - 1e-12 <= high <= 1


@pytest.mark.untraced
@given(st.lists(st.tuples(*[st.floats(-50, 50).map(lambda x: round(x, 2))] * 2), min_size=6, max_size=40),
       st.sampled_from(ALTERNATIVES), st.sampled_from([None, "asymptotic"]))  # fmt: skip
@examples(20)
def test_wilcoxon_is_scipys(pairs, alternative: str, method: str | None) -> None:
    control, treatment = map(np.array, zip(*pairs, strict=True))
    assume((control != treatment).any())
    got = wilcoxon(control, treatment, "score", alternative, method=method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = stats.wilcoxon(control, treatment, alternative=SCIPY_ALTERNATIVE[alternative], method=method or "auto")
    np.testing.assert_allclose([got.statistic, got.pvalue], [theirs.statistic, theirs.pvalue], 1e-12)


@given(st.lists(values, min_size=2, max_size=5))
@examples(40)
def test_kruskal_wallis_is_scipys(groups: list[list[float]]) -> None:
    assume(len({x for group in groups for x in group}) > 1)
    got = kruskal_wallis(*groups, metric="score")
    theirs = stats.kruskal(*groups)
    assert got.statistic == pytest.approx(theirs.statistic, rel=1e-12)
    if not any("exact" in text for text in got.assumptions):  # scipy's is never
        assert got.pvalue == pytest.approx(theirs.pvalue, rel=1e-12)
    ranks = np.split(stats.rankdata(np.concatenate(groups)), np.cumsum([*map(len, groups)])[:-1])
    grand = np.concatenate(ranks).mean()
    between = sum(len(rank) * (rank.mean() - grand) ** 2 for rank in ranks)
    assert got.effect_size == pytest.approx(between / ((np.concatenate(ranks) - grand) ** 2).sum(), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "options"),
    [("mann_whitney_exact_permeability", {}), ("mann_whitney_exact_permeability", {"method": "exact"}),
     ("mann_whitney_normal_permeability", {"method": "asymptotic", "continuity": False}), ("mann_whitney_ties_ozone", {})],
)  # fmt: skip
def test_published_mann_whitney(shared_data: Path, name: str, options: dict) -> None:
    wanted = entry(shared_data, name)
    given_ = wanted["inputs"]
    got = mann_whitney_u(
        given_["a"], given_["b"], "x", SCIPY_ALTERNATIVE[given_.get("alternative", "two-sided")], **options
    )
    agrees({"U": got.statistic, "p_value": got.pvalue}, wanted)


def test_published_kruskal_wallis(shared_data: Path) -> None:
    wanted = entry(shared_data, "kruskal_asbestosis")
    got = kruskal_wallis(*wanted["inputs"]["groups"], metric="x")
    agrees({"chi2": got.statistic, "df": got.df, "p_value": got.pvalue}, wanted)


def test_the_depression_scores_of_hollander_and_wolfe() -> None:
    first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    got = wilcoxon(second, first, "score", alternative="greater")  # R: wilcox.test(x, y, paired = TRUE, ...): V = 40
    assert got.pvalue == pytest.approx(0.01953, abs=5e-6)
    assert 45 - stats.wilcoxon(second, first, alternative="less").statistic == 40
    assert got.estimate == pytest.approx(0.46, abs=0.005)
    assert got.confidence_interval.low > 0


def test_what_was_done_is_said() -> None:
    tied = mann_whitney_u([1, 2, 2], [2, 3, 4], "score", method="exact")
    assert tied.warnings == ("3 values are tied, and the exact p-value knows no ties: use method='asymptotic'",) or any(
        "tied" in said for said in tied.warnings
    )
    small = mann_whitney_u([1.0, 2.0], [3.0, 4.0], "score")
    assert "p-value: exact" in small.assumptions
    large = mann_whitney_u(np.arange(30.0), np.arange(30.0), "score")
    assert "p-value: normal approximation with continuity correction, corrected for ties" in large.assumptions
    pairs = wilcoxon([1.0, 2.0, 3.0, 4.0, None], [1.0, 3.0, 5.0, 7.0, 9.0], "score", method="exact")
    assert "1 pairs without a difference are left out of the test and its interval" in pairs.exclusions
    assert "1 pairs with a missing value" in pairs.exclusions
    assert any("use method='asymptotic'" in said for said in pairs.warnings)
    assert pairs.n == 3


def test_one_sided(rng: np.random.Generator) -> None:
    got = mann_whitney_u(rng.normal(0, 1, 50), rng.normal(1, 1, 50), "score", alternative="greater")
    assert got.pvalue < 0.01
    assert got.confidence_interval.high == 1 == got.effect_interval.high
    pairs = wilcoxon(np.zeros(30), rng.normal(1, 1, 30), "score", alternative="less")
    assert pairs.pvalue > 0.99
    assert pairs.confidence_interval.low == -np.inf


def test_one_row_clusters_are_nearly_the_plain_test(rng: np.random.Generator) -> None:
    frames = [
        pd.DataFrame({"x": rng.exponential(m, 200), "session_id": [f"{m}-{i}" for i in range(200)]}) for m in (1, 1.3)
    ]
    plain, alone = mann_whitney_u(*frames, "x"), mann_whitney_u(*frames, "x", cluster="session_id")
    assert alone.test == "Lumley-Scott rank test"
    assert alone.estimate == pytest.approx(plain.estimate)
    assert alone.pvalue == pytest.approx(plain.pvalue, rel=0.05)
    assert np.sign(alone.statistic) == -np.sign(alone.effect_size)
    assert float(cliffs_delta(*frames, "x", cluster="session_id")) == pytest.approx(alone.effect_size)
    many, some = kruskal_wallis(*frames, metric="x"), kruskal_wallis(*frames, metric="x", cluster="session_id")
    assert some.pvalue == pytest.approx(many.pvalue, rel=0.05)
    assert some.effect_size == pytest.approx(many.effect_size, rel=0.01)
    np.testing.assert_allclose(some.effect_interval, many.effect_interval, atol=0.005)


def test_weights_stand_for_rows(rng: np.random.Generator) -> None:
    weight = rng.integers(1, 4, 60)
    frames = [pd.DataFrame({"x": rng.integers(0, 9, 60) + shift, "weight": weight}) for shift in (0, 1)]
    repeated = [np.repeat(frame.x, weight) for frame in frames]
    got = mann_whitney_u(*frames, "x")
    assert got.estimate == pytest.approx(mann_whitney_u(*repeated, "x").estimate)
    assert got.n == (60, 60)


@pytest.mark.check
@pytest.mark.parametrize("way", ["weights", "clusters", "groups"])
def test_error_rates_of_sampled_and_clustered_rows(way: str) -> None:
    rng, rejected = np.random.default_rng(13), 0
    for seed in range(300):
        if way == "weights":
            calls = [pd.DataFrame({"x": rng.lognormal(0, 1, 1200)}) for _ in range(2)]
            kept = [
                sample(one.assign(slow=one.x > 2), Stratified({True: rate, False: 0.2}, by="slow"), seed=2 * seed + i)
                for i, (one, rate) in enumerate(zip(calls, (1.0, 0.3), strict=True))
            ]
            rejected += mann_whitney_u(*kept, "x").pvalue < 0.05
            continue
        arms = [
            pd.DataFrame({
                "x": np.exp(rng.normal(0, 1, 30).repeat(6) + rng.normal(0, 1, 180)),
                "session_id": np.arange(180) // 6 + 100 * arm,
            })
            for arm in range(3)
        ]  # fmt: skip
        if way == "clusters":
            rejected += mann_whitney_u(*arms[:2], "x", cluster="session_id").pvalue < 0.05
        else:
            rejected += kruskal_wallis(*arms, metric="x", cluster="session_id").pvalue < 0.05
    assert 4 <= rejected <= 29, rejected


def test_groups_with_sessions_in_common(rng: np.random.Generator) -> None:
    session = rng.normal(0, 3, 40)
    groups = [
        pd.DataFrame({"x": session + rng.normal(shift, 0.2, 40), "session_id": range(40)}) for shift in (0, 0.2, 0.4)
    ]
    assert kruskal_wallis(*groups, metric="x").pvalue > 0.3
    assert kruskal_wallis(*groups, metric="x", cluster="session_id").pvalue < 1e-4


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: mann_whitney_u([5, 5], [5, 5], "score"), "score is constant (5 in control, 5 in treatment)"),
        (lambda: mann_whitney_u([5], [5, 6], "score"), "control: expected at least 2 values of score, got 1"),
        (lambda: mann_whitney_u([5, 6], [5, 6], "total_cost_usd"), "mann_whitney_u: rows have no value of total_cost_usd, so there are no ranks; use cost_usd"),
        (lambda: mann_whitney_u(*[pd.DataFrame({"x": [1, 2], "weight": [2, 1]})] * 2, "x", method="exact"),
         "method='exact' is for rows that are neither sampled nor clustered"),
        (lambda: mann_whitney_u(*[pd.DataFrame({"x": [i, i], "weight": [2, 1]}) for i in (1, 2)], "x"),
         "the standard error of the ranks is 0"),
        (lambda: wilcoxon([1, 2], [1, 2], "score"), "wilcoxon: score is equal in both arms for all 2 pairs"),
        (lambda: wilcoxon([1, 2], [1, 2, 3], "score"), "paired: expected values of the same items in the same order"),
        (lambda: wilcoxon(*[pd.DataFrame({"x": [1, 2], "weight": [2, 1], "sample_id": [1, 2]})] * 2, "x"),
         "wilcoxon: signed ranks have no form for weighted or clustered rows. Use t_test(paired=True)"),
        (lambda: kruskal_wallis([1, 2], metric="score"), "kruskal_wallis: expected two groups or more, got 1"),
        (lambda: kruskal_wallis([1, 1], [1, 1], metric="score"), "score is constant (1 in group 1, 1 in group 2)"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(call, said: str) -> None:
    with pytest.raises(StatError) as raised:
        call()
    assert said in str(raised.value)


def test_a_method_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="method='auto': expected one of None, 'exact', 'asymptotic'"):
        mann_whitney_u([1, 2], [3, 4], "score", method="auto")


def test_wilcoxons_p_and_interval_are_of_the_same_pairs() -> None:
    rng = np.random.default_rng(3)
    control = rng.integers(1, 11, 160)
    treatment = control.copy()
    moved = rng.choice(160, 65, replace=False)
    treatment[moved] = np.clip(control[moved] + rng.integers(-2, 6, 65), 1, 10)
    got = wilcoxon(control, treatment, metric="grade")
    differ = treatment != control
    alone = wilcoxon(control[differ], treatment[differ], metric="grade")
    assert got.n == alone.n == int(differ.sum())
    assert (got.pvalue, got.estimate, got.confidence_interval) == (
        alone.pvalue,
        alone.estimate,
        alone.confidence_interval,
    )
    assert got.pvalue < 0.05
    assert got.confidence_interval.low > 0
    assert f"{160 - got.n} pairs without a difference are left out of the test and its interval" in got.exclusions


@pytest.mark.parametrize(
    "groups", [([1, 2, 3, 9], [4, 5, 6, 7]), ([1, 1, 2, 5], [2, 3, 3, 8], [4, 4, 6]), ([1, 2], [3, 4], [5, 6])]
)
def test_small_kruskal_wallis_is_exact(groups: tuple[list[float], ...]) -> None:
    ranks = stats.rankdata(np.concatenate(groups))
    ends = np.cumsum([len(group) for group in groups])

    def between(order: tuple[int, ...]) -> float:
        return sum(ranks[list(part)].sum() ** 2 / len(part) for part in np.split(np.array(order), ends[:-1]))

    n, rng = len(ranks), np.random.default_rng(0)
    orders = permutations(range(n)) if n <= 6 else (tuple(rng.permutation(n)) for _ in range(20_000))
    found = [between(order) >= between(tuple(range(n))) - 1e-9 for order in orders]
    got = kruskal_wallis(*groups, metric="score")
    assert got.pvalue == pytest.approx(np.mean(found), abs=1e-12 if n <= 6 else 0.015)
    if len(groups) == 2:
        assert got.pvalue == pytest.approx(stats.mannwhitneyu(*groups, method="exact").pvalue)


def test_few_values_in_a_group_are_said_where_the_p_value_is_not_exact() -> None:
    got = kruskal_wallis([1.0, 2.0, 3.0], np.arange(20.0), np.arange(30.0), metric="score")
    assert any("fewer than 5 values" in warning for warning in got.warnings)
