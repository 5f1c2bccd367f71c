"""Effect sizes: published values, exact distributions, and coverage where there is no formula to compare with."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from statsmodels.stats.effect_size import _noncentrality_f, _noncentrality_t

import crucible_nb as cr
from crucible_nb.errors import ConfigError, StatError
from crucible_nb.sampling import Stratified, sample
from crucible_nb.stats.effects.dominance import dominance
from crucible_nb.stats.effects.noncentral import f_limits, hedges_factor, t_limits
from crucible_nb.stats.effects.signed_ranks import matched_rank_biserial, pseudomedian
from crucible_nb.stats.effects.sizes import (
    cliffs_delta,
    cohens_d,
    eta_squared,
    glass_delta,
    hedges_g,
    omega_squared,
    rank_biserial,
)
from crucible_nb.stats.effects.standardized import cohens_d_of
from crucible_nb.stats.samples.values import values_of
from tests.stats.oracle import agrees, entry, nist_groups
from tests.tiers import examples


@pytest.mark.parametrize(
    ("name", "effect", "key"),
    [("cohens_d_mtcars", cohens_d, "cohens_d"), ("hedges_g_mtcars", hedges_g, "hedges_g"),
     ("glass_delta_mtcars", glass_delta, "glass_delta"),
     ("rank_biserial_independent", rank_biserial, "rank_biserial"),
     ("rank_biserial_independent", cliffs_delta, "rank_biserial")],
)  # fmt: skip
def test_published_effect_sizes(shared_data: Path, name: str, effect, key: str) -> None:
    wanted = entry(shared_data, name)
    got = effect(wanted["inputs"]["b"], wanted["inputs"]["a"], "weight_t")
    agrees({key: float(got)} | ({"ci95": got.confidence_interval} if "ci95" in wanted["expected"] else {}), wanted)
    low, high = got.confidence_interval
    assert low < got.effect_size == got.estimate < high
    turned = effect(wanted["inputs"]["a"], wanted["inputs"]["b"], "weight_t")
    if effect is not glass_delta:
        assert float(turned) == pytest.approx(-float(got))
        np.testing.assert_allclose(turned.confidence_interval, [-high, -low])


def test_hedges_factor_is_exact_not_the_common_approximation() -> None:
    for df in (2, 5, 30, 500):
        assert hedges_factor(df) == pytest.approx(special.gamma(df / 2) / special.gamma((df - 1) / 2) / math.sqrt(df / 2)
                                                  if df < 300 else 1 - 3 / (4 * df - 1), rel=1e-6 if df > 300 else 1e-12)  # fmt: skip
    assert hedges_factor(5) != pytest.approx(1 - 3 / 19, rel=1e-4)
    assert math.isnan(hedges_factor(1))


@pytest.mark.parametrize("t", [-30.0, -2.0, 0.0, 0.3, 4.5, 78.0])
@pytest.mark.parametrize("df", [1, 4, 30, 400, 1e5])
def test_limits_of_the_noncentral_t_are_statsmodels(t: float, df: float) -> None:
    low, high = t_limits(t, df, 0.9)
    if abs(t) < 10 and 1 < df < 1e4:
        np.testing.assert_allclose([low, high], _noncentrality_t(t, df, alpha=0.1).confint, 1e-5, 1e-6)
    assert low < high
    for limit, chance in ((low, 0.95), (high, 0.05)):
        assert special.nctdtr(df, limit, t) == pytest.approx(chance, abs=1e-7)


@pytest.mark.parametrize(
    ("f", "df"), [(0.2, (2, 30)), (1.2, (3, 40)), (5.0, (1, 200)), (21.0, (8, 180)), (900.0, (2, 5000))]
)
def test_limits_of_the_noncentral_f(f: float, df: tuple[int, int]) -> None:
    low, high = f_limits(f, *df, 0.9)
    theirs = _noncentrality_f(f, *df, alpha=0.1).confint  # good to three digits where f is large
    np.testing.assert_allclose([low, high], np.maximum(theirs, 0), 1e-3, 1e-3)
    counts = np.arange(6000)
    for limit, chance in ((low, 0.95), (high, 0.05)):
        if limit > 0:  # F is a mixture of betas by Poisson counts
            mixed = stats.poisson.pmf(counts, limit / 2) @ special.betainc(
                df[0] / 2 + counts, df[1] / 2, df[0] * f / (df[0] * f + df[1])
            )
            assert mixed == pytest.approx(chance, abs=1e-9)


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=25), st.lists(st.integers(-5, 5), min_size=2, max_size=25))
@examples(60)
def test_cliffs_delta_counts_pairs(control: list[int], treatment: list[int]) -> None:
    got = cliffs_delta(control, treatment, "score", confidence=0.9)
    signs = np.sign(np.subtract.outer(treatment, control))
    assert float(got) == pytest.approx(signs.mean(), abs=1e-12)
    low, high = got.confidence_interval
    assert -1 <= low <= float(got) + 1e-12
    assert float(got) - 1e-12 <= high <= 1


def test_the_error_of_cliffs_delta_is_delongs(rng: np.random.Generator) -> None:
    control, treatment = rng.normal(0, 1, 30), rng.normal(0.5, 2, 45)
    arms = [values_of(x, "score") for x in (control, treatment)]
    over = np.sign(np.subtract.outer(treatment, control)) / 2 + 0.5
    variance = over.mean(1).var(ddof=1) / 45 + over.mean(0).var(ddof=1) / 30
    assert dominance(*arms, 0.95).error.error == pytest.approx(2 * math.sqrt(variance), rel=1e-10)


def test_full_dominance_still_has_an_interval() -> None:
    got = cliffs_delta(range(10), range(20, 32), "score")
    assert float(got) == 1
    assert 0.5 < got.confidence_interval.low < 0.95
    assert got.confidence_interval.high == 1
    down = cliffs_delta(range(20, 32), range(10), "score")
    np.testing.assert_allclose(down.confidence_interval, (-1, -got.confidence_interval.low))
    pairs = rank_biserial(np.arange(12.0), np.arange(12.0) + np.arange(1, 13), "score", paired=True)
    assert float(pairs) == 1
    assert 0 < pairs.confidence_interval.low < 1


def test_paired_d_and_its_two_standard_deviations(rng: np.random.Generator) -> None:
    control = rng.normal(0, 1, 40)
    treatment = control + rng.normal(0.3, 0.5, 40)
    d = treatment - control
    z = cohens_d(control, treatment, "score", paired=True)
    assert z.name == "Cohen's d_z"
    assert float(z) == pytest.approx(d.mean() / d.std(ddof=1))
    assert float(hedges_g(control, treatment, "score", paired=True)) == pytest.approx(float(z) * hedges_factor(39))
    av = cohens_d(control, treatment, "score", paired=True, standardizer="average")
    assert float(av) == pytest.approx(d.mean() / math.sqrt((control.var(ddof=1) + treatment.var(ddof=1)) / 2))
    assert av.confidence_interval.low < float(av) < av.confidence_interval.high
    with pytest.raises(ConfigError, match="standardizer='pooled': expected one of 'difference', 'average'"):
        cohens_d(control, treatment, "score", paired=True, standardizer="pooled")  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["average", "weighted", "clustered", "delta", "signed", "glass"])
def test_intervals_without_a_formula_cover(way: str) -> None:
    """150 runs at 95%: 142 expected; 132 is less than 4 standard deviations below."""
    rng, hits, runs = np.random.default_rng(5), 0, 150
    for seed in range(runs):
        control, treatment = rng.normal(0, 1, 120), rng.normal(0.5, 1, 120)
        if way == "average":
            both = rng.normal(0, math.sqrt(0.5), 120)
            control, treatment = (both + rng.normal(m, math.sqrt(0.5), 120) for m in (0, 0.5))
            got, truth = cohens_d(control, treatment, "score", paired=True, standardizer="average"), 0.5
        elif way == "weighted":
            frames = [
                pd.DataFrame({"score": x, "high": x > 0.5}) for x in (rng.normal(0, 1, 900), rng.normal(0.5, 1, 900))
            ]
            kept = [sample(frame, Stratified({True: 0.5, False: 0.1}, by="high"), seed=2 * seed + i)
                    for i, frame in enumerate(frames)]  # fmt: skip
            got, truth = cohens_d(*kept, "score"), 0.5
        elif way == "clustered":
            frames = [pd.DataFrame({"score": rng.normal(0, math.sqrt(0.5), 40).repeat(5) + rng.normal(m, math.sqrt(0.5), 200),
                                    "session_id": np.arange(200) // 5 + 1000 * m}) for m in (0, 0.5)]  # fmt: skip
            got, truth = cohens_d(*frames, "score", cluster="session_id"), 0.5
        elif way == "delta":
            got, truth = cliffs_delta(control, treatment, "score"), 2 * special.ndtr(0.5 / math.sqrt(2)) - 1
        elif way == "glass":
            got, truth = glass_delta(control, 2 * treatment, "score"), 1.0
        else:
            got = rank_biserial(np.zeros(60), rng.normal(0.5, 1, 60), "score", paired=True)
            truth = 2 * special.ndtr(0.5 * math.sqrt(2)) - 1
        hits += got.confidence_interval.low <= truth <= got.confidence_interval.high
    assert hits >= 132, hits


def test_weights_of_one_are_plain_up_to_the_interval(rng: np.random.Generator) -> None:
    plain = [values_of(rng.normal(m, 1 + m, 300), "score") for m in (0, 0.2)]
    sampled = [one._replace(sampled=True) for one in plain]
    exact, linear = cohens_d_of(*plain, 0.95), cohens_d_of(*sampled, 0.95)
    assert linear.value == pytest.approx(exact.value, rel=1e-12)
    np.testing.assert_allclose(linear.interval, exact.interval, atol=0.01)


@pytest.mark.parametrize("name", ["sirstv", "atmwtag", "smls01", "smls04", "smls07"])
def test_eta_squared_of_certified_sets(shared_data: Path, name: str) -> None:
    wanted = entry(shared_data, f"nist_strd_anova_{name}")
    agrees({"r_squared": float(eta_squared(*nist_groups(shared_data, name), metric="y"))}, wanted)


def test_eta_and_omega_squared_by_hand(rng: np.random.Generator) -> None:
    groups = [rng.normal(m, 1, n) for m, n in ((0, 20), (0.5, 30), (1, 25))]
    f, k, n = stats.f_oneway(*groups).statistic, 3, 75
    eta, omega = eta_squared(*groups, metric="y", confidence=0.9), omega_squared(*groups, metric="y", confidence=0.9)
    assert float(eta) == pytest.approx(f * 2 / (f * 2 + n - k))
    assert float(omega) == pytest.approx(2 * (f - 1) / (2 * (f - 1) + n))
    assert eta.confidence_interval == omega.confidence_interval
    low, high = np.maximum(_noncentrality_f(f, 2, 72, alpha=0.1).confint, 0)
    np.testing.assert_allclose(eta.confidence_interval, [low / (low + n), high / (high + n)], rtol=1e-3)
    weighted = [pd.DataFrame({"y": x, "weight": 3.0}) for x in groups]
    got = eta_squared(*weighted, metric="y", confidence=0.9)
    assert float(got) == pytest.approx(float(eta))
    np.testing.assert_allclose(got.confidence_interval, eta.confidence_interval, atol=0.03)


def test_the_pseudomedian_is_that_of_all_walsh_averages(rng: np.random.Generator) -> None:
    for d in (rng.normal(size=1201), np.round(rng.standard_t(2, 1100), 1), np.repeat([1.0, 2.0, 3.0], 400)):
        built = np.sort(np.add.outer(d, d)[np.triu_indices(len(d))]) / 2
        value, (low, high) = pseudomedian(d, 0.95)
        assert value == pytest.approx(np.median(built), abs=1e-9)
        inside = np.mean((built > low + 1e-9) & (built < high - 1e-9))
        assert inside <= 1 - 2 * (0.5 - 1.96 / math.sqrt(3 * len(d)) / 1) + 0.01 or low == high
        assert low <= value <= high
    few = pseudomedian(np.array([1.0, 2.0, 3.0]), 0.95)
    assert few.interval == (-math.inf, math.inf)


def test_the_interval_of_the_pseudomedian_is_the_test_inverted(rng: np.random.Generator) -> None:
    for n in (8, 20, 50):
        d = rng.normal(0.3, 1, n)
        low, high = pseudomedian(d, 0.95).interval
        inside, outside = low + 1e-9, low - 1e-9
        assert stats.wilcoxon(d - inside, method="exact").pvalue > 0.05
        assert stats.wilcoxon(d - outside, method="exact").pvalue <= 0.05
        assert stats.wilcoxon(d - (high - 1e-9), method="exact").pvalue > 0.05


def test_signed_ranks_by_hand() -> None:
    found = matched_rank_biserial(np.array([1.0, -2.0, 3.0, 0.0, 4.0]), 0.95)
    assert found.value == pytest.approx((1 + 3 + 4 - 2) / 10)
    with pytest.raises(StatError, match="all pairs are equal"):
        matched_rank_biserial(np.zeros(3), 0.95)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: cohens_d([2, 2], [2, 2], "score"), "score is constant (2), so its standard deviation is 0"),
        (lambda: glass_delta([2, 2], [2, 3], "score"), "score is constant (2), so its standard deviation is 0"),
        (lambda: cohens_d([1], [2, 2], "score"), "control: expected at least 2 values of score, got 1"),
        (lambda: cohens_d([1, 2], [2, 4], "p95_latency_ms"), "p95_latency_ms is a quantile"),
        (lambda: eta_squared([1, 2], metric="score"), "eta_squared: expected two groups or more, got 1; to split a frame, pass"),
        (lambda: omega_squared([1, 1], [2, 2], metric="score"), "score is constant (1 in group 1, 2 in group 2), so there is no variance to test against"),
        (lambda: rank_biserial(*[pd.DataFrame({"score": [1, 2], "weight": [2, 1], "sample_id": [1, 2]})] * 2, "score", paired=True),
         "signed ranks have no form for weighted or clustered rows. Use cohens_d(paired=True)"),
        (lambda: cohens_d(*[pd.DataFrame({"cost_usd": [1.0, 2.0], "success": [True, True]})] * 2, "cost_per_success"),
         "cost_per_success is a ratio of totals and has no standard deviation, so no standardised effect size; use mean_cost_usd"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(call, said: str) -> None:
    with pytest.raises(StatError) as raised:
        call()
    assert said in str(raised.value)


def test_effects_print_and_convert(rng: np.random.Generator) -> None:
    got = cohens_d(rng.normal(size=30), rng.normal(size=30), "latency_ms")
    assert got.method.startswith("Cohen's d of latency_ms = ")
    assert "95% CI [" in got.method
    assert got.method.endswith("by noncentral t, n = 30 and 30.")
    assert got.to_dict()["n"] == [30, 30]
    assert "Cohen's d" in repr(got)


@pytest.mark.parametrize(("t", "df"), [(50.0, 10.0), (1000.0, 10.0), (2e3, 4.0), (1e6, 4.0), (1e15, 2.0), (3e3, 1e6)])
def test_limits_of_a_large_t_by_quadrature(t: float, df: float) -> None:
    for sign in (1, -1):
        limits = t_limits(sign * t, df, 0.95)
        low, high = (limits.low, limits.high) if sign > 0 else (-limits.high, -limits.low)
        # P(T < t | nc) = E Phi(t S - nc), S = chi / sqrt(df), by the midpoints of 20,000 equal parts of the chi-square
        share = np.sqrt(stats.chi2.ppf((np.arange(20_000) + 0.5) / 20_000, df) / df)
        for nc, chance in ((low, 0.975), (high, 0.025)):
            assert stats.norm.cdf(t * share - nc).mean() == pytest.approx(chance, abs=3e-4)


def test_an_effect_interval_never_takes_a_test_down(rng: np.random.Generator) -> None:
    with pytest.raises(cr.StatError, match=r"every pair differs by exactly 0\.3"):  # equal up to rounding
        cr.t_test([0.1, 0.2, 0.3], [0.4, 0.5, 0.6], metric="score", paired=True)
    x = rng.normal(0, 1, 50)
    almost = cr.t_test(x, x + 1 + 1e-6 * rng.normal(0, 1, 50), metric="score", paired=True)
    width = np.subtract(*almost.effect_interval[::-1]) / almost.effect_size
    assert width == pytest.approx(0.4, abs=0.03)  # the chi-square limits of the standard deviation
    low, high = cohens_d([-1, 0, 1], [999_999, 1e6, 1_000_001], metric="score").confidence_interval
    assert (low, high) == pytest.approx((348_000.9, 1_669_078.1), rel=1e-6)
    far = f_limits(1e9, 2.0, 30.0, 0.95)
    shares = stats.chi2.ppf([0.025, 0.975], 30) / 30
    assert far == pytest.approx(2e9 * shares, rel=1e-4)


def test_intervals_of_explained_variance_contain_their_estimate() -> None:
    groups = [1, 2, 3, 4.0], [1.1, 2.1, 2.9, 4.0], [1, 2, 3, 3.9]
    omega, eta = omega_squared(*groups, metric="y"), eta_squared(*groups, metric="y")
    assert omega.confidence_interval.low == float(omega) < 0 == omega.confidence_interval.high
    assert 0 == eta.confidence_interval.low < float(eta) == eta.confidence_interval.high
