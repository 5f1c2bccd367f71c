"""Standard errors of results, against scipy, statsmodels and formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

import crucible_nb as cr

RNG = np.random.default_rng(11)
A, B = RNG.normal(5, 2, 40), RNG.normal(6, 3, 55)
YES, NO = RNG.random(80) < 0.6, RNG.random(90) < 0.4


def welch(a: np.ndarray, b: np.ndarray) -> float:
    return math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))


def test_a_difference_of_means_has_the_error_of_statsmodels() -> None:
    means = CompareMeans(DescrStatsW(B), DescrStatsW(A))
    assert cr.t_test(A, B).standard_error == pytest.approx(means.std_meandiff_separatevar, rel=1e-12)
    pooled = cr.t_test(A, B, equal_variance=True)
    assert pooled.standard_error == pytest.approx(means.std_meandiff_pooledvar, rel=1e-12)
    assert pooled.standard_error == pytest.approx(abs(pooled.estimate / pooled.statistic), rel=1e-12)
    assert cr.one_sample(A, 4.0).standard_error == pytest.approx(stats.sem(A), rel=1e-12)
    assert cr.t_test(A, A[::-1] + B[:40], paired=True).standard_error == pytest.approx(
        stats.sem(A[::-1] + B[:40] - A), rel=1e-12
    )


def test_a_difference_of_shares_has_the_error_of_two_variances() -> None:
    error = welch(YES.astype(float), NO.astype(float))
    assert cr.two_proportions(YES, NO).standard_error == pytest.approx(error, rel=1e-12)
    assert cr.non_inferiority(YES, NO, "success_rate", margin=0.1).standard_error == pytest.approx(error, rel=1e-12)
    assert cr.one_proportion(YES, 0.5).standard_error == pytest.approx(stats.sem(YES), rel=1e-12)
    paired = cr.mcnemar(YES[:80], NO[:80])
    assert paired.standard_error == pytest.approx(stats.sem(NO[:80].astype(float) - YES[:80]), rel=1e-12)
    only_first, only_second = int((YES & ~NO[:80]).sum()), int((~YES & NO[:80]).sum())
    table = [[int((YES & NO[:80]).sum()), only_first], [only_second, int((~YES & ~NO[:80]).sum())]]
    assert cr.mcnemar(table).standard_error == pytest.approx(paired.standard_error, rel=1e-12)


def test_the_error_of_a_rank_test_is_that_of_placements() -> None:
    result = cr.mann_whitney_u(A, B)
    over = np.array([(b > A).mean() + (b == A).mean() / 2 for b in B])
    under = np.array([(a > B).mean() + (a == B).mean() / 2 for a in A])
    assert result.standard_error == pytest.approx(welch(over, under), rel=1e-9)


def test_effect_sizes_have_the_errors_of_their_formulas() -> None:
    for of, size in ((cr.cohens_d, len(A) + len(B) - 2), (cr.glass_delta, len(A) - 1)):
        ratio = B.var(ddof=1) / A.var(ddof=1) if of is cr.glass_delta else 1
        error = math.sqrt(1 / len(A) + ratio / len(B) + float(of(A, B)) ** 2 / (2 * size))
        assert of(A, B).standard_error == pytest.approx(error, rel=1e-12)
    d, g = cr.cohens_d(A, B), cr.hedges_g(A, B)
    assert g.standard_error / d.standard_error == pytest.approx(float(g) / float(d), rel=1e-12)
    alone = [pd.DataFrame({"x": x, "cluster": np.arange(len(x))}) for x in (A, B)]
    linear = cr.cohens_d(*alone, metric="x", cluster="cluster").standard_error
    assert linear == pytest.approx(d.standard_error, rel=0.2)  # without the assumption of normal values
    for of in (cr.cliffs_delta, cr.rank_biserial):
        assert of(A, B).standard_error == pytest.approx(2 * cr.mann_whitney_u(A, B).standard_error, rel=1e-12)
    assert cr.rank_biserial(A, B[:40], paired=True).standard_error > 0
    assert cr.cohens_h(YES, NO).standard_error == pytest.approx(math.sqrt(1 / 80 + 1 / 90), rel=1e-12)
    assert cr.cohens_g([[794, 150], [86, 570]]).standard_error == pytest.approx(math.sqrt(150 * 86 / 236**3), rel=1e-12)
    assert cr.cohens_h(YES, NO).to_frame().standard_error[0] > 0


def test_where_no_error_exists_it_is_nan() -> None:
    long = RNG.lognormal(size=300)
    for result in (
        cr.wilcoxon(A, B[:40]), cr.anova(A, B), cr.kruskal_wallis(A, B), cr.fisher(YES, NO), cr.chi_square([40, 60]),
        cr.permutation_test(A, B, metric="p50_latency_ms"), cr.confidence_interval(long, metric="p95_latency_ms"),
        cr.equivalence(long, long[::-1], "p50_latency_ms", margin="5%"), cr.eta_squared(A, B), cr.odds_ratio(YES, NO),
        cr.cliffs_delta(A, A + 100),
    ):  # fmt: skip
        assert math.isnan(result.standard_error), result
    assert cr.permutation_test(A[:8], B[:8]).standard_error == pytest.approx(welch(A[:8], B[:8]), rel=1e-12)


def test_a_comparison_has_the_error_of_its_test() -> None:
    arms = [pd.DataFrame({"score": A, "good": A > 5, "latency_ms": A}), pd.DataFrame({"score": B, "good": B > 5})]
    arms[1]["latency_ms"] = B
    result = cr.compare(*arms, metrics=["score", "good", "p50_latency_ms", "total_latency_ms"], correction=None)
    assert result["score"].standard_error == pytest.approx(welch(A, B), rel=1e-12)
    assert result["good"].standard_error == pytest.approx(welch(A > 5, B > 5), rel=1e-12)
    assert math.isnan(result["p50_latency_ms"].standard_error)
    totals = [cr.confidence_interval(arm, metric="total_latency_ms", of="process").standard_error for arm in arms]
    assert result["total_latency_ms"].standard_error == pytest.approx(math.hypot(*totals), rel=1e-12)
    assert result.to_frame().standard_error["score"] == result["score"].standard_error
    runs = [arm.assign(seed=np.arange(len(arm)) % 6) for arm in arms]
    means = [run.groupby("seed").score.mean().to_numpy() for run in runs]
    by_run = cr.compare(*runs, metrics=["score"], group_by="seed")["score"]
    assert by_run.standard_error == pytest.approx(welch(*means), rel=1e-12)


def test_an_interval_of_unknown_limits_stays_unknown_one_sided() -> None:
    result = cr.non_inferiority(A, B, "p50_latency_ms", margin=5.0)
    assert all(map(math.isnan, result.effect_interval))


@pytest.mark.parametrize("name", ["arm", "is it B"])
def test_texts_name_the_values_that_were_given(name: str) -> None:
    series = pd.Series(YES, name=name)
    one = cr.one_proportion(series, 0.5)
    assert one.metric == name
    assert f"The share of {name} (" in one.method
    assert f"Shares of {name} (" in cr.two_proportions(series, series[::-1]).method
    assert "The share of true values (" in cr.one_proportion(YES, 0.5).method
    assert "The share of good (" in cr.one_proportion(series, 0.5, metric="good").method
    assert "The share of success (" in cr.one_proportion(pd.DataFrame({"success": YES}), 0.5).method
    assert cr.chi_square([40, 60]).metric == "counts"
    assert "2 categories of visits were" in cr.chi_square(pd.Series([40, 60], name="visits")).method
    assert cr.chi_square(series, expected={True: 0.5, False: 0.5}).metric == name
