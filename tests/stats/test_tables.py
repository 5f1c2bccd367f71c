"""Chi-square, Fisher, McNemar: scipy, statsmodels, published results; weights and clusters by simulation."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar

import crucible_nb as cr
from crucible_nb.stats.adjust import adjust
from crucible_nb.stats.hypotests.association import chi_square_limits
from crucible_nb.stats.hypotests.fisher import fisher
from crucible_nb.stats.hypotests.mcnemar import mcnemar
from crucible_nb.stats.hypotests.score import paired_variance, score_limits
from crucible_nb.stats.hypotests.tables import chi_square
from tests.tiers import examples

CLOSE = {"rtol": 1e-12, "atol": 1e-14}


def oracle(shared_data: Path, name: str) -> dict:
    entries = json.loads((shared_data / "oracles.json").read_text())["entries"]
    return next(one for one in entries if one["id"] == name)


@examples(60)
@given(st.lists(st.lists(st.integers(1, 60), min_size=3, max_size=3), min_size=2, max_size=4), st.booleans())
def test_chi_square_of_a_table_is_scipys(table: list[list[int]], correction: bool) -> None:
    got = chi_square(table, correction=correction)
    wanted = stats.chi2_contingency(table, correction=correction)
    np.testing.assert_allclose(
        [got.statistic, got.pvalue, got.df], [wanted.statistic, wanted.pvalue, wanted.dof], **CLOSE
    )
    assert got.effect_size == pytest.approx(stats.contingency.association(np.array(table), "cramer"), rel=1e-12)


@examples(60)
@given(*[st.integers(1, 200)] * 4)
def test_chi_square_of_two_arms_is_scipys_with_continuity_correction(a: int, b: int, c: int, d: int) -> None:
    got = chi_square([True] * a + [False] * b, [True] * c + [False] * d)
    wanted = stats.chi2_contingency([[b, a], [d, c]])
    np.testing.assert_allclose([got.statistic, got.pvalue], [wanted.statistic, wanted.pvalue], **CLOSE)
    assert got.estimate == pytest.approx(c / (c + d) - a / (a + b), abs=1e-12)
    assert got.n == (a + b, c + d)


def test_equal_proportions_of_smokers(shared_data: Path) -> None:
    one = oracle(shared_data, "equal_proportions_fleiss_smokers")
    hits, n = one["inputs"]["successes"], one["inputs"]["n"]
    got = chi_square(*([True] * h + [False] * (m - h) for h, m in zip(hits, n, strict=True)))
    assert got.statistic == pytest.approx(one["expected"]["chi2"], abs=5e-5)
    assert (got.df, got.pvalue) == (3, pytest.approx(one["expected"]["p_value"], abs=5e-7))
    assert (got.n, got.warnings) == ((86, 93, 136, 82), ())


def test_categories_of_any_label_and_frames_of_counts() -> None:
    arms = [pd.DataFrame({"error": ["a"] * i + ["b"] * j + [None] * 3}) for i, j in ((30, 20), (22, 28))]
    got = chi_square(*arms, metric="error")
    wanted = stats.chi2_contingency([[30, 20], [22, 28]])
    assert got.pvalue == pytest.approx(wanted.pvalue, rel=1e-12)
    assert got.exclusions == ("3 rows of control without a value", "3 rows of treatment without a value")
    assert math.isnan(got.estimate)
    assert chi_square(pd.DataFrame({"x": [30, 22], "y": [20, 28]})).pvalue == pytest.approx(wanted.pvalue, rel=1e-12)
    assert chi_square(["x", 1, "x", 2], [1, 2, 2, "x"], metric="mixed").df == 2


def test_goodness_of_fit_is_scipys() -> None:
    got = chi_square([18, 30, 52], expected=[0.2, 0.3, 0.5])
    wanted = stats.chisquare([18, 30, 52], [20, 30, 50])
    np.testing.assert_allclose([got.statistic, got.pvalue], wanted, **CLOSE)
    assert got.effect == "Cohen's w"
    frame = pd.DataFrame({"model": ["a"] * 40 + ["b"] * 60})
    assert chi_square(frame, metric="model", expected={"a": 0.5, "b": 0.5}).statistic == pytest.approx(4.0)
    with pytest.raises(ValueError, match="'b' has none"):
        chi_square(frame, metric="model", expected={"a": 1.0})
    with pytest.raises(ValueError, match="shares > 0 that add up to 1"):
        chi_square([1, 2], expected=[0.5, 0.6])


def test_small_expected_counts_are_said() -> None:
    got = chi_square([[3, 1], [1, 3]])
    assert got.assumptions == ("smallest expected count 2",)
    assert got.warnings == ("4 of 4 expected counts are below 5: the p-value is inaccurate; use fisher",)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((), "got nothing"),
        (([True] * 5, [True] * 4), "every value is True in every arm"),
        (([True], [None]), "expected at least 1 row with a value in treatment, got 0"),
        (([[1, 2], [0, 0]],), "none of them all 0"),
        (([[1, 2.5], [3, 4]],), "whole numbers"),
        (([5],), "two or more categories"),
        ((list(np.arange(30) + 0.5), [1.0]), "measurements, not categories"),
    ],
)
def test_what_chi_square_refuses(groups: tuple, message: str) -> None:
    with pytest.raises(cr.StatError, match=message):
        chi_square(*groups)


def test_noncentral_limits_hit_their_tails() -> None:
    low, high = chi_square_limits(12.0, 3, 0.95)
    assert stats.ncx2.sf(12.0, 3, low) == pytest.approx(0.025, rel=1e-8)
    assert stats.ncx2.cdf(12.0, 3, high) == pytest.approx(0.025, rel=1e-8)
    assert chi_square_limits(0.0, 3, 0.95) == (0.0, 0.0)


def test_weights_of_one_change_next_to_nothing() -> None:
    rng = np.random.default_rng(1)
    plain = [pd.DataFrame({"kind": rng.choice(list("abc"), 3000, p=p)}) for p in ([0.5, 0.3, 0.2], [0.46, 0.31, 0.23])]
    nearly = [frame.assign(weight=np.r_[1 + 1e-9, np.ones(2999)]) for frame in plain]
    first, second = chi_square(*plain, metric="kind"), chi_square(*nearly, metric="kind")
    assert second.test == "chi-square (Rao-Scott)"
    assert second.pvalue == pytest.approx(first.pvalue, rel=0.02)
    assert second.effect_size == pytest.approx(first.effect_size, rel=0.01)
    assert second.df[0] == pytest.approx(2, abs=0.01)


@pytest.mark.check
@pytest.mark.parametrize("clustered", [True, False])
def test_rao_scott_holds_its_level_where_the_naive_test_does_not(clustered: bool) -> None:
    rng = np.random.default_rng(2)
    naive = corrected = 0
    for _ in range(300):
        frames = []
        for _arm in range(2):
            if clustered:
                share = rng.beta(2, 4, 40)
                frame = pd.DataFrame(
                    {"success": rng.random(400) < np.repeat(share, 10), "s": np.repeat(np.arange(40), 10)}
                )
            else:
                truth, weight = rng.random(400) < 0.3, rng.choice([1.0, 10.0], 400)
                frame = pd.DataFrame({"success": truth, "weight": weight})
            frames.append(frame)
        corrected += chi_square(*frames, cluster="s" if clustered else None).pvalue <= 0.05
        naive += chi_square(*(frame[["success"]] for frame in frames), correction=False).pvalue <= 0.05
    assert corrected / 300 < 0.09
    assert corrected > 3
    assert not clustered or naive / 300 > 0.15


def test_clusters_in_both_arms_vary_together() -> None:
    rng = np.random.default_rng(3)
    share = rng.beta(1, 2, 50)
    frames = [pd.DataFrame({"success": rng.random(1000) < np.repeat(share, 20), "s": np.repeat(np.arange(50), 20)})
              for _ in range(2)]  # fmt: skip
    apart = [frames[0], frames[1].assign(s=frames[1].s + 100)]
    assert chi_square(*frames, cluster="s").pvalue < chi_square(*apart, cluster="s").pvalue
    with pytest.raises(cr.StatError, match="every group needs to be a DataFrame"):
        chi_square([True, False], [True, False], cluster="s")


def test_the_lady_tasting_tea(shared_data: Path) -> None:
    one = oracle(shared_data, "fisher_tea")
    assert fisher(one["inputs"]["table"], alternative="greater").pvalue == pytest.approx(0.2429, abs=5e-5)


@examples(40)
@given(*[st.integers(0, 30)] * 4, st.sampled_from(["two-sided", "less", "greater"]))
def test_fisher_is_scipys(a: int, b: int, c: int, d: int, alternative: str) -> None:
    if min(a + b, c + d) < 2:
        return
    got = fisher([True] * c + [False] * d, [True] * a + [False] * b, alternative=alternative)
    wanted = stats.fisher_exact([[a, b], [c, d]], alternative)
    assert got.pvalue == pytest.approx(wanted.pvalue, rel=1e-12)
    np.testing.assert_allclose(got.statistic, stats.fisher_exact([[c, d], [a, b]]).statistic, **CLOSE)
    if a + c and b + d:
        ratio = stats.contingency.odds_ratio([[a, b], [c, d]])
        np.testing.assert_allclose(got.estimate, ratio.statistic, **CLOSE)
        limits = ratio.confidence_interval(0.95, alternative)
        np.testing.assert_allclose(got.confidence_interval, limits, **CLOSE)
    else:
        assert math.isnan(got.estimate)
        assert got.pvalue == 1


def test_fisher_of_larger_tables_and_of_many_counts() -> None:
    table = [[8, 2, 1], [1, 6, 9]]
    found, again = fisher(table), fisher(table)
    assert found.pvalue == again.pvalue
    assert found.pvalue == pytest.approx(0.0018, abs=0.0015)
    many = fisher([[20_000, 80_000], [20_500, 79_500]])
    assert many.estimate == pytest.approx(20_000 * 79_500 / (20_500 * 80_000))
    assert "sample odds ratio" in many.method
    with pytest.raises(ValueError, match="larger than 2 x 2"):
        fisher(table, alternative="less")
    with pytest.raises(cr.StatError, match="two or more rows"):
        fisher([1, 2, 3])
    weighted = pd.DataFrame({"success": [True, False, True], "weight": [1.0, 2.0, 3.0]})
    with pytest.raises(cr.StatError, match="Use two_proportions"):
        fisher(weighted, weighted)


def test_mcnemar_of_approval(shared_data: Path) -> None:
    one = oracle(shared_data, "mcnemar_approval_cc")
    got = mcnemar(one["inputs"]["table"])
    assert got.statistic == pytest.approx(one["expected"]["chi2"], abs=5e-5)
    assert (got.df, got.pvalue) == (1, pytest.approx(one["expected"]["p_value"], abs=5e-9))
    assert got.estimate == pytest.approx(-0.04)


@examples(60)
@given(*[st.integers(0, 40)] * 4, st.sampled_from([None, True, False]), st.booleans())
def test_mcnemar_is_statsmodels(a: int, lost: int, won: int, d: int, exact: bool | None, correction: bool) -> None:
    if a + lost + won + d < 2 or not lost + won:
        return
    control = [True] * (a + lost) + [False] * (won + d)
    treatment = [True] * a + [False] * lost + [True] * won + [False] * d
    got = mcnemar(control, treatment, exact=exact, correction=correction)
    chosen = lost + won < 25 if exact is None else exact
    wanted = sm_mcnemar([[a, lost], [won, d]], exact=chosen, correction=correction)
    np.testing.assert_allclose([got.statistic, got.pvalue], [wanted.statistic, wanted.pvalue], **CLOSE)
    assert got.estimate == pytest.approx((won - lost) / got.n)
    assert got.confidence_interval.low <= got.estimate <= got.confidence_interval.high
    table = mcnemar([[a, lost], [won, d]], exact=exact, correction=correction)
    assert (table.pvalue, table.confidence_interval) == (got.pvalue, got.confidence_interval)


def test_one_sided_mcnemar() -> None:
    less, greater = (mcnemar([[50, 4], [15, 31]], alternative=side).pvalue for side in ("less", "greater"))
    assert greater == pytest.approx(stats.binomtest(15, 19, 0.5, "greater").pvalue, rel=1e-12)
    assert less == pytest.approx(stats.binomtest(15, 19, 0.5, "less").pvalue, rel=1e-12)
    rough = mcnemar([[50, 40], [60, 31]], alternative="greater", correction=False)
    assert rough.pvalue == pytest.approx(stats.norm.sf(20 / math.sqrt(100)), rel=1e-12)
    assert rough.confidence_interval.high == 1.0


def test_no_pair_that_differs() -> None:
    got = mcnemar([True] * 12 + [False] * 8, [True] * 12 + [False] * 8)
    assert (got.pvalue, got.estimate) == (1.0, 0.0)
    assert got.confidence_interval.high == pytest.approx(stats.norm.ppf(0.975) ** 2 / (20 + stats.norm.ppf(0.975) ** 2))
    assert "no pair is discordant" in got.warnings[0]


@pytest.mark.parametrize(("lost", "won", "n"), [(2, 12, 50), (150, 86, 1600), (1, 5, 30), (3, 3, 20)])
def test_tango_inverts_the_score_test_of_the_likelihood(lost: int, won: int, n: int) -> None:
    def z(at: float) -> float:
        def off(q: float) -> float:
            return -lost * math.log(q) - won * math.log(q + at) - (n - lost - won) * math.log(1 - 2 * q - at)

        low, high = max(0, -at) + 1e-12, (1 - at) / 2 - 1e-12
        q = optimize.minimize_scalar(off, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
        return (won - lost - n * at) / math.sqrt(n * (2 * q + at - at * at))

    low, high = score_limits((won - lost) / n, paired_variance(lost, won, n), 0.95)
    assert z(low) == pytest.approx(stats.norm.ppf(0.975), abs=1e-5)
    assert z(high) == pytest.approx(-stats.norm.ppf(0.975), abs=1e-5)


@pytest.mark.parametrize(("lost", "won", "n"), [(0, 0, 20), (0, 20, 20), (20, 0, 20), (0, 1, 1), (0, 3, 20)])
def test_tango_at_the_ends(lost: int, won: int, n: int) -> None:
    low, high = score_limits((won - lost) / n, paired_variance(lost, won, n), 0.95)
    assert -1 <= low <= (won - lost) / n <= high <= 1
    assert low < high
    mirrored = score_limits((lost - won) / n, paired_variance(won, lost, n), 0.95)
    np.testing.assert_allclose(mirrored, (-high, -low), atol=1e-9)


def test_pairs_of_frames_are_aligned_and_counted() -> None:
    control = pd.DataFrame({"sample_id": list("abcdef"), "success": [True, True, False, True, False, True]})
    treatment = pd.DataFrame({"sample_id": list("fedcbx"), "success": [True, True, False, True, None, True]})
    got = mcnemar(control, treatment)
    assert got.n == 4
    assert any("no partner" in said for said in got.exclusions)
    repeats = pd.DataFrame({"sample_id": list("aabb"), "success": [True, False, True, True]})
    with pytest.raises(cr.StatError, match="use t_test for means"):
        mcnemar(repeats, repeats)


def test_mcnemar_with_clusters_and_weights() -> None:
    rng = np.random.default_rng(4)
    n = 400
    base = rng.random(n) < 0.6
    control = pd.DataFrame({"sample_id": np.arange(n).astype(str), "success": base, "s": np.arange(n) // 8})
    treatment = control.assign(success=np.where(rng.random(n) < 0.3, ~base, base))
    alone = control.assign(s=np.arange(n))
    plain = mcnemar(control, treatment, exact=False, correction=False)
    single = mcnemar(alone, treatment, cluster="s")
    assert single.statistic == pytest.approx(plain.statistic, rel=1e-9)  # clusters of one item
    assert single.estimate == pytest.approx(plain.estimate)
    clustered = mcnemar(control, treatment, cluster="s")
    assert clustered.pvalue == pytest.approx(plain.pvalue, abs=0.3)
    weighted = [frame.assign(weight=np.where(np.arange(n) % 2 == 0, 2.0, 1.0)) for frame in (control, treatment)]
    found = mcnemar(*weighted)
    apart = (treatment.success.astype(float) - control.success).to_numpy()
    weight = np.where(np.arange(n) % 2 == 0, 2.0, 1.0)  # the same coins on both sides
    assert found.estimate == pytest.approx(weight @ apart / weight.sum())
    with pytest.raises(cr.StatError, match="exact=True is for rows that are neither sampled nor clustered"):
        mcnemar(*weighted, exact=True)


@pytest.mark.check
def test_clustered_mcnemar_holds_its_level() -> None:
    rng = np.random.default_rng(5)
    found = naive = 0
    for _ in range(300):
        lean = np.repeat(rng.choice([-0.35, 0.35], 40), 10)  # sessions lean to one side or the other
        control = rng.random(400) < 0.5
        treatment = np.where(rng.random(400) < 0.5, rng.random(400) < 0.5 + lean, control)
        ids = np.arange(400).astype(str)
        frames = [
            pd.DataFrame({"sample_id": ids, "success": one, "s": np.arange(400) // 10}) for one in (control, treatment)
        ]
        found += mcnemar(*frames, cluster="s").pvalue <= 0.05
        naive += mcnemar(*frames).pvalue <= 0.05
    assert found / 300 < 0.09
    assert naive / 300 > 0.10


def test_gpt4_against_mixtral(shared_data: Path) -> None:
    rows = pd.read_csv(shared_data / "routellm_gpt4_vs_mixtral.csv.gz")
    expected = oracle(shared_data, "routellm_accuracies")["expected"]
    for name, part in rows.groupby("benchmark"):
        got = mcnemar(part.mixtral_8x7b_correct, part.gpt4_1106_correct)
        assert got.n == expected[f"{name}_n"]
        lost, won = expected[f"{name}_mixtral_only"], expected[f"{name}_gpt4_only"]
        assert f"{won:,} are true only in the treatment, {lost:,} only in the control" in got.assumptions[0]
        gap = expected[f"{name}_gpt4"] - expected[f"{name}_mixtral"]
        assert got.estimate == pytest.approx(gap, abs=1e-6)
        assert got.pvalue < 1e-30


def test_57_subjects_corrected(shared_data: Path) -> None:
    rows = pd.read_csv(shared_data / "routellm_gpt4_vs_mixtral.csv.gz").query("benchmark == 'mmlu'")
    raw = pd.Series({
        subject: mcnemar(part.mixtral_8x7b_correct, part.gpt4_1106_correct, exact=True).pvalue
        for subject, part in rows.groupby("subject")
    })  # fmt: skip
    found = {method: int((adjust(raw, method) < 0.05).sum()) for method in ("bonferroni", "holm", "bh")}
    assert len(raw) == 57
    assert (int((raw < 0.05).sum()), found) == (41, {"bonferroni": 29, "holm": 33, "bh": 40})
