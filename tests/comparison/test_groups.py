"""`by=` and `pairs=` of `cr.compare`: each group as if it were alone, interaction, all pairs of arms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.oneway import anova_generic

import crucible_nb as cr
from crucible_nb.stats.cluster_robust import Error
from crucible_nb.stats.estimates.sorted_arm import linearize_quantile
from crucible_nb.stats.hypotests.interaction import welch_f
from crucible_nb.stats.samples.values import values_of

METRICS = ["score", "success_rate", "p50_latency_ms", "cost_per_success"]


def arm(seed: int, n: int = 300, gain: float = 0.0, **columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "device": rng.choice(["phone", "desk", "tv"], n, p=[0.5, 0.4, 0.1]), "score": rng.normal(gain, 1, n),
        "success": rng.random(n) < 0.6, "latency_ms": rng.lognormal(6, 0.5, n), "cost_usd": rng.random(n),
        "level": rng.choice([1, 4, 16], n), **columns,
    })  # fmt: skip


def paired_arms() -> tuple[pd.DataFrame, pd.DataFrame]:
    first, second = arm(1, sample_id=np.arange(300)), arm(2, gain=0.2, sample_id=np.arange(300))
    return first, second.assign(device=first.device)


@pytest.mark.parametrize("arms", [(arm(1), arm(2, 400, 0.3)), paired_arms()], ids=["independent", "paired"])
@pytest.mark.parametrize("by", ["device", "level"])
def test_each_group_is_compared_as_if_it_were_alone(arms: tuple[pd.DataFrame, pd.DataFrame], by: str) -> None:
    if by == "level" and "sample_id" in arms[0]:
        arms = arms[0], arms[1].assign(level=arms[0].level)
    result = cr.compare(*arms, metrics=METRICS, by=by)
    assert list(result) == [str(value) for value in sorted(arms[0][by].unique())]
    for (value, first), (_, second) in zip(arms[0].groupby(by), arms[1].groupby(by), strict=True):
        alone = cr.compare(first, second, metrics=METRICS)
        for metric in METRICS:
            one, other = result[str(value)][metric].to_dict(), alone[metric].to_dict()
            both_open = {one["verdict"], other["verdict"]} == {"inconclusive"}
            for name in ("pvalue", "correction", "verdict", "why", "method", *([] if both_open else ["next_sample"])):
                one.pop(name), other.pop(name)  # of the correction
            assert repr(one) == repr(other)


def test_pvalues_are_corrected_over_groups_and_metrics() -> None:
    result = cr.compare(arm(1), arm(2, gain=0.4), metrics=METRICS, by="device")
    raw = {(group, metric): result[group][metric].raw_pvalue for group in result for metric in METRICS}
    expected = cr.adjust(raw, "holm")
    assert {key: result[key[0]][key[1]].pvalue for key in raw} == pytest.approx(expected, abs=0)
    assert result["desk"]["score"].correction == "holm, 12 tests"


def test_the_interaction_of_two_groups_is_welch_of_the_paired_differences() -> None:
    first, second = paired_arms()
    rows = first.device != "tv"
    result = cr.compare(first[rows], second[rows], metrics=["score"], by="device").interaction["score"]
    difference = second.score - first.score
    expected = stats.ttest_ind(difference[first.device == "phone"], difference[first.device == "desk"], equal_var=False)
    assert result.pvalue == pytest.approx(expected.pvalue, rel=1e-9)
    assert result.statistic == pytest.approx(expected.statistic**2, rel=1e-9)
    assert result.df == pytest.approx((1, expected.df), rel=1e-9)


def test_the_interaction_of_three_groups_is_welch_s_anova_of_the_paired_differences() -> None:
    first, second = paired_arms()
    result = cr.compare(first, second, metrics=["score"], by="device").interaction["score"]
    parts = [part for _, part in (second.score - first.score).groupby(first.device)]
    expected = anova_generic(
        np.array([part.mean() for part in parts]), np.array([part.var() for part in parts]),
        np.array([len(part) for part in parts]), use_var="unequal", welch_correction=True,
    )  # fmt: skip
    assert (result.statistic, result.pvalue) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
    assert result.groups == ("desk", "phone", "tv")
    weights = np.array([len(part) / part.var() for part in parts])
    assert result.estimate == pytest.approx(np.average([part.mean() for part in parts], weights=weights), rel=1e-9)


def test_with_exact_errors_it_is_cochran_s_q() -> None:
    x, se = np.array([0.1, 0.5, 0.2, 0.9]), np.array([0.1, 0.2, 0.15, 0.3])
    w = 1 / se**2
    q = float(np.sum(w * (x - np.average(x, weights=w)) ** 2))
    found = welch_f(x.tolist(), [Error(float(s), math.inf) for s in se])
    assert found.pvalue == pytest.approx(stats.chi2.sf(q, 3), rel=1e-12)
    assert found.statistic == pytest.approx(q / 3, rel=1e-12)
    shares = cr.compare(arm(1), arm(2), metrics=["success_rate"], by="level").interaction["success_rate"]
    assert math.isinf(shares.df[1])
    assert "chi2(2)" in shares.method


@pytest.mark.check
def test_the_interaction_holds_its_level_and_has_power() -> None:
    rejected, found = dict.fromkeys(METRICS, 0), 0
    for seed in range(200):
        first, second = (part[part.device != "tv"] for part in (arm(seed, 100), arm(seed + 1000, 100)))
        for metric, test in cr.compare(first, second, metrics=METRICS, by="device").interaction.items():
            rejected[metric] += test.pvalue < 0.05
        if seed < 20:
            moved = second.assign(score=second.score + 2.0 * (second.device == "phone"))
            found += cr.compare(first, moved, metrics=["score"], by="device").interaction["score"].pvalue < 0.05
    assert all(3 <= count <= 19 for count in rejected.values()), rejected  # 200 x 0.05, three standard errors
    assert found >= 18


def test_small_groups_are_said_and_not_tested() -> None:
    first, second = arm(1), arm(2)
    few = pd.concat([second, second.head(3).assign(device="watch")])
    result = cr.compare(pd.concat([first, first.head(9).assign(device="watch")]), few, metrics=["score"], by="device")
    small = result["watch"]["score"]
    assert (small.verdict, small.test, math.isnan(small.pvalue)) == ("inconclusive", "", True)
    assert small.why == "the group has 9 and 3 values, and fewer than 5 are not tested"
    assert result["desk"]["score"].correction == "holm, 3 tests"
    assert "not tested" in repr(result)
    only = cr.compare(first, second[second.device != "tv"], metrics=["score"], by="device")
    assert only["tv"]["score"].why == "treatment has no rows"
    assert only.interaction["score"].groups == ("desk", "phone")


def test_items_in_several_groups_are_tested_by_the_differences_of_each_item() -> None:
    first, second = paired_arms()
    rng = np.random.default_rng(9)
    twice = [
        pd.concat([part.assign(model="a"), part.assign(model="b", score=part.score + rng.normal(0, 1, 300))])
        for part in (first, second)
    ]
    test = cr.compare(*twice, metrics=["score"], by="model").interaction["score"]
    a, b = ([part[part.model == model].score.to_numpy() for part in twice] for model in "ab")
    expected = stats.ttest_rel(a[1] - a[0], b[1] - b[0])
    assert test.pvalue == pytest.approx(expected.pvalue, rel=1e-9)
    assert test.df == (1, 299)
    assert "100% of the 300 values of sample_id lie in several groups, whose covariance is used" in test.method


def test_shared_items_without_a_known_covariance_are_not_tested_and_it_is_said() -> None:
    first, second = paired_arms()
    twice = [pd.concat([part.assign(model="a"), part.assign(model="b")]) for part in (first, second)]
    few = [part[part.device == "tv"] for part in twice]
    for metric, arms in (("p90_latency_ms", few), ("score", [twice[0], twice[1].iloc[:-9]])):
        test = cr.compare(*arms, metrics=[metric], by="model").interaction[metric]
        assert math.isnan(test.pvalue)
        assert "values of sample_id lie in several groups, so the differences are not independent" in test.method


def test_rows_without_a_group_and_bad_columns() -> None:
    first, second = arm(1), arm(2)
    holes = first.assign(device=first.device.where(first.device != "tv"))
    result = cr.compare(holes, second, metrics=["score"], by="device")
    assert f"{int((first.device == 'tv').sum())} rows without device are in no group" in result.warnings[0]
    with pytest.raises(cr.SchemaError, match="by='no'"):
        cr.compare(first, second, metrics=["score"], by="no")
    with pytest.raises(cr.StatError, match="more than 200 groups"):
        cr.compare(first.assign(x=first.score), second.assign(x=second.score), metrics=["score"], by="x")
    with pytest.raises(cr.ConfigError, match="sequences take all rows"):
        cr.compare(first, second, metrics=["success_rate"], by="device", sequential=True)


def test_all_pairs_are_compared_and_corrected_together() -> None:
    arms = {"a": arm(1), "b": arm(2, gain=0.3), "c": arm(3, gain=0.6)}
    result = cr.compare(arms, metrics=["score", "success_rate"], pairs="all")
    assert list(result) == ["b against a", "c against a", "c against b"]
    raw = []
    for name, comparison in result.items():
        second, first = name.split(" against ")
        assert (comparison.control, comparison.treatment) == (first, second)
        alone = cr.compare(arms[first], arms[second], metrics=["score", "success_rate"], correction=None)
        for metric in comparison:
            assert comparison[metric].raw_pvalue == alone[metric].pvalue
            raw.append(alone[metric].pvalue)
    corrected = [metric.pvalue for comparison in result.values() for metric in comparison.values()]
    assert corrected == pytest.approx(cr.adjust(raw, "holm"), abs=0)
    against_first = cr.compare(arms, metrics=["score"])
    assert list(against_first) == ["b", "c"]
    assert against_first["c"].control == "a"
    same = cr.compare(arms["a"], {"b": arms["b"], "c": arms["c"]}, metrics=["score"])
    assert same["c"]["score"].pvalue == against_first["c"]["score"].pvalue
    assert list(cr.compare(list(arms.values()), metrics=["score"], pairs="all")) == [
        "treatment 1 against control", "treatment 2 against control", "treatment 2 against treatment 1",
    ]  # fmt: skip


def test_arms_and_groups_together() -> None:
    result = cr.compare({"a": arm(1), "b": arm(2), "c": arm(3)}, metrics=["score"], by="device", pairs="all")
    assert result["c against b"]["desk"]["score"].correction == "holm, 9 tests"
    frame = result.to_frame()
    assert len(frame) == 9
    assert frame.index.names == ["arm", "device", "metric"]
    for text in (repr(result), result.to_markdown(), result.to_latex(), result._repr_html_()):
        assert "c against b by device" in text or "holm, 9 tests" in text


def test_wrong_arms() -> None:
    for bad in ([1.0, 2.0], {"a": arm(1)}, arm(1)):
        with pytest.raises(cr.ConfigError, match="treatment=None"):
            cr.compare(bad, metrics=["score"])
    with pytest.raises(cr.ConfigError, match="pairs='some'"):
        cr.compare(arm(1), arm(2), pairs="some")


def test_latex_names_arms_errors_sizes_and_the_correction() -> None:
    arms = {"gpt_4": arm(1), "mini_50%": arm(2, gain=0.4)}
    latex = cr.compare(arms, metrics=["score", "p50_latency_ms"]).to_latex()
    head = r"metric & n & gpt\_4 & mini\_50\% & difference (SE) & 95\% interval & change & p (holm, 2 tests) & verdict"
    assert head in latex
    result = cr.compare(arms, metrics=["score", "p50_latency_ms"])["mini_50%"]["score"]
    assert f"({result.standard_error:.4g})" in latex
    assert r"p50\_latency\_ms & 300 &" in latex
    assert all(rule in latex for rule in (r"\toprule", r"\midrule", r"\bottomrule"))


def users(seed: int, n: int = 120, effect: float = 0.0) -> list[pd.DataFrame]:
    """Two arms of users, who use two or three devices each."""
    rng = np.random.default_rng(seed)
    arms = []
    for which in range(2):
        user = np.repeat(np.arange(n), 6)
        device = rng.choice(["phone", "desk", "tv"], len(user), p=[0.5, 0.3, 0.2])
        score = rng.normal(0, 1, n)[user] + rng.normal(0, 1, len(user)) + which * effect * (device == "phone")
        arms.append(pd.DataFrame({"session_id": user + 1000 * which, "device": device, "score": score,
                                  "success": score > 0, "cost_usd": np.exp(score / 4)}))  # fmt: skip
    return arms


@pytest.mark.parametrize("metric", ["score", "success_rate"])
def test_users_in_several_groups_are_tested_as_by_statsmodels(metric: str) -> None:
    import statsmodels.formula.api as smf

    arms = [arm[arm.device != "tv"] for arm in users(3)]
    test = cr.compare(*arms, metrics=[metric], by="device").interaction[metric]
    rows = pd.concat([arm.assign(arm=at) for at, arm in enumerate(arms)])
    rows["y"] = rows.score if metric == "score" else rows.success.astype(float)
    fit = smf.ols("y ~ arm * C(device)", rows).fit(cov_type="cluster", cov_kwds={"groups": rows.session_id}, use_t=True)
    clusters, n, k = rows.session_id.nunique(), len(rows), 4
    f = fit.tvalues.iloc[-1] ** 2 * (n - 1) / (n - k)  # its factor of few rows is not ours
    assert test.statistic == pytest.approx(f, rel=1e-9)
    assert test.df == (1, clusters - 1)
    assert "lie in several groups, whose covariance is used" in test.method
    ratio = cr.compare(*arms, metrics=["cost_per_success"], by="device").interaction["cost_per_success"]
    assert 0 <= ratio.pvalue <= 1


@pytest.mark.parametrize("shared", [False, True], ids=["users of one arm", "users in both arms"])
def test_quantiles_of_users_in_several_groups_are_tested_by_what_each_user_contributes(shared: bool) -> None:
    arms = [arm[arm.device != "tv"].assign(session_id=lambda rows: rows.session_id % 1000) for arm in users(3)]
    if not shared:
        arms[1]["session_id"] += 1000
    test = cr.compare(*arms, metrics=["p50_cost_usd"], by="device").interaction["p50_cost_usd"]
    differences, contributions = [], []
    for device in ("desk", "phone"):
        medians, each = [], []
        for arm in arms:
            x = arm[arm.device == device].set_index("session_id").cost_usd
            n, middle = len(x), float(np.median(x))
            ranks = np.array([brentq(lambda k, p=p, n=n: stats.beta.cdf(0.5, k, n - k + 1) - p, 1e-9, n)
                              for p in (0.975, 0.025)])  # fmt: skip
            ends = np.interp(ranks - 1, np.arange(n), np.sort(x))  # a share s lies at the value of rank s n
            below = (x <= middle).astype(float)
            moved = (below.mean() - below) * (ends[1] - ends[0]) / ((ranks[1] - ranks[0]) / n) / n
            medians.append(middle)
            each.append(moved.groupby(level=0).sum())
        differences.append(medians[1] - medians[0])
        contributions.append(each[1].sub(each[0], fill_value=0.0))
    apart = contributions[1].sub(contributions[0], fill_value=0.0)
    clusters = len(apart)
    f = (differences[1] - differences[0]) ** 2 / ((apart**2).sum() * clusters / (clusters - 1))
    assert test.statistic == pytest.approx(f, rel=1e-6)
    assert test.df == (1, clusters - 1)
    assert test.pvalue == pytest.approx(stats.f.sf(f, 1, clusters - 1), rel=1e-6)


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_the_error_of_a_linearised_quantile_is_the_known_one(q: float) -> None:
    x = np.random.default_rng(0).normal(0, 1, 20_000)
    estimate, deviation = linearize_quantile(values_of(x, f"p{100 * q:.0f}_latency_ms"))
    assert estimate == np.quantile(x, q)
    assert deviation.sum() == pytest.approx(0, abs=1e-6)
    expected = math.sqrt(q * (1 - q)) / stats.norm.pdf(stats.norm.ppf(q))
    assert deviation.std() == pytest.approx(expected, rel=0.15)


@pytest.mark.check
def test_the_interaction_of_shared_users_holds_its_level() -> None:
    def pvalue(seed: int, effect: float) -> float:
        return cr.compare(*users(seed, effect=effect), metrics=["score"], by="device").interaction["score"].pvalue

    rejected = sum(pvalue(seed, 0.0) < 0.05 for seed in range(200))
    assert 3 <= rejected <= 19
    assert sum(pvalue(seed, 1.0) < 0.05 for seed in range(20)) >= 18
