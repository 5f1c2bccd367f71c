"""`cr.compare`: the design read from the rows, the chosen test, the verdict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crucible_nb as cr
from crucible_nb.comparison import Comparison, Comparisons


def scores(
    rng: np.random.Generator, n: int = 400, shift: float = 0.0, noise: float = 0.05
) -> tuple[pd.DataFrame, pd.DataFrame]:
    base = rng.normal(0.6, 0.2, n)
    ids = [f"q{i}" for i in range(n)]
    control = pd.DataFrame({"sample_id": ids, "score": base})
    treatment = pd.DataFrame({"sample_id": ids, "score": base + shift + rng.normal(0, noise, n)})
    return control, treatment.sample(frac=1, random_state=1)


def test_pairs_items_that_are_on_both_sides(rng) -> None:
    control, treatment = scores(rng, shift=0.01)
    found = cr.compare(control, treatment, metrics=["score"], direction={"score": "up"})["score"]
    aligned = treatment.set_index("sample_id").score.loc[control.sample_id].to_numpy()
    assert found.pvalue == pytest.approx(stats.ttest_rel(aligned, control.score).pvalue, rel=1e-10)
    assert found.verdict == "better"
    assert found.test == "paired t-test"
    assert found.estimate == pytest.approx((aligned - control.score).mean(), rel=1e-10)
    assert found.confidence_interval == pytest.approx(
        stats.ttest_rel(aligned, control.score).confidence_interval(), rel=1e-9
    )


def test_reports_items_without_a_partner(rng) -> None:
    control, treatment = scores(rng)
    found = cr.compare(control.iloc[:390], treatment, metrics=["score"])["score"]
    assert any("have no partner" in line for line in found.exclusions)
    assert found.n == (390, 390)


def test_few_items_in_common_are_no_pairs(rng) -> None:
    control, treatment = scores(rng)
    treatment["sample_id"] = np.where(np.arange(400) < 350, "other" + treatment.sample_id, treatment.sample_id)
    found = cr.compare(control, treatment, metrics=["score"])
    assert found["score"].test.startswith("Welch")
    assert any("only" in line and "in both arms" in line for line in found.design)


def test_refuses_to_take_shared_items_as_independent(rng) -> None:
    control, treatment = scores(rng)
    with pytest.raises(cr.StatError, match="not independent"):
        cr.compare(control, treatment, metrics=["score"], paired=False)


def test_pairs_that_cannot_be_made(rng) -> None:
    with pytest.raises(cr.StatError, match="items in common"):
        cr.compare(
            pd.DataFrame({"score": [1.0, 2.0]}), pd.DataFrame({"score": [1.0, 3.0]}), metrics=["score"], paired=True
        )


def test_clusters_when_sessions_have_several_rows(rng) -> None:
    def arm(shift: float) -> pd.DataFrame:
        session = np.repeat(np.arange(40), 25)
        level = rng.normal(shift, 1, 40)
        return pd.DataFrame(
            {"session_id": [f"{shift}{s}" for s in session], "score": level[session] + rng.normal(0, 0.3, 1000)}
        )

    one, two = arm(0.0), arm(0.1)
    found = cr.compare(one, two, metrics=["score"])
    naive = stats.ttest_ind(one.score, two.score, equal_var=False)
    assert any("clustered by session_id" in line for line in found.design)
    wide = found["score"].confidence_interval.high - found["score"].confidence_interval.low
    low, high = naive.confidence_interval()
    assert wide > 3 * (high - low)


def test_uses_weights_of_sampled_rows(rng) -> None:
    n = 20_000
    frame = pd.DataFrame({"success": rng.random(n) < 0.95, "latency_ms": rng.lognormal(6, 0.5, n)})
    other = frame.assign(latency_ms=frame.latency_ms.sample(frac=1, random_state=2).to_numpy())
    policy = cr.sampling.Stratified({False: 1.0, True: 0.1}, by="success")
    a, b = cr.sampling.sample(frame, policy, seed=1), cr.sampling.sample(other, policy, seed=2)
    found = cr.compare(a, b, metrics=["success_rate"])["success_rate"]
    assert found.control == pytest.approx(0.95, abs=0.005)
    assert found.treatment == pytest.approx(0.95, abs=0.005)


def test_rare_failures_are_tested_exactly() -> None:
    a = pd.DataFrame({"success": [True] * 40})
    b = pd.DataFrame({"success": [True] * 36 + [False] * 4})
    found = cr.compare(a, b)["success_rate"]
    assert found.pvalue == pytest.approx(stats.fisher_exact([[40, 0], [36, 4]]).pvalue)
    assert "Fisher" in found.test


def test_corrects_over_metrics(rng) -> None:
    n = 200
    a = pd.DataFrame({"x": rng.normal(0, 1, n), "y": rng.normal(0, 1, n), "latency_ms": rng.normal(100, 1, n)})
    b = pd.DataFrame({"x": rng.normal(0.22, 1, n), "y": rng.normal(0, 1, n), "latency_ms": rng.normal(100, 1, n)})
    raw = [stats.ttest_ind(a[c], b[c], equal_var=False).pvalue for c in ("x", "y", "latency_ms")]
    from statsmodels.stats.multitest import multipletests

    for correction, name in (("holm", "holm"), ("bonferroni", "bonferroni"), ("bh", "fdr_bh")):
        found = cr.compare(a, b, metrics=["x", "y", "latency_ms"], correction=correction)
        assert [one.pvalue for one in found.values()] == pytest.approx(multipletests(raw, method=name)[1], rel=1e-9)
        assert [one.raw_pvalue for one in found.values()] == pytest.approx(raw, rel=1e-9)


def test_directions(rng) -> None:
    a = pd.DataFrame({"score": rng.normal(0, 1, 500), "latency_ms": rng.normal(100, 10, 500)})
    b = pd.DataFrame({"score": rng.normal(1, 1, 500), "latency_ms": rng.normal(90, 10, 500)})
    found = cr.compare(a, b, metrics=["score", "mean_latency_ms", "p95_latency_ms"])
    assert [one.verdict for one in found.values()] == ["different", "better", "better"]
    assert cr.compare(a, b, metrics="score", direction={"score": "down"})["score"].verdict == "worse"
    with pytest.raises(cr.ConfigError, match=r"direction\['score'\]='higher': expected one of 'up', 'down'"):
        cr.compare(a, b, metrics="score", direction={"score": "higher"})


def test_no_difference_is_never_concluded_without_a_margin(rng) -> None:
    a, b = rng.normal(100, 10, 5000), rng.normal(100, 10, 5000)
    assert cr.compare(a, b, metrics=["latency_ms"])["latency_ms"].verdict == "inconclusive"
    found = cr.compare(a, b, metrics=["latency_ms"], margin=2.0)["latency_ms"]
    assert found.verdict == "equivalent"
    from statsmodels.stats.weightstats import ttost_ind

    least = 0.05
    p = ttost_ind(b, a, -2.0, 2.0, usevar="unequal")[0]
    assert p < least


def test_equivalence_comes_first_and_says_that_the_sign_is_known(rng) -> None:
    a, b = rng.normal(100, 1, 5000), rng.normal(100.3, 1, 5000)
    found = cr.compare(a, b, metrics=["latency_ms"], margin=1.0)["latency_ms"]
    assert found.verdict == "equivalent"
    assert "sign is known" in found.why


def test_not_worse(rng) -> None:
    a, b = rng.normal(100, 10, 300), rng.normal(98.6, 10, 300)
    found = cr.compare(a, b, metrics=["latency_ms"], margin="2%")["latency_ms"]
    assert found.margin == pytest.approx(0.02 * a.mean())
    assert found.verdict == "not worse"


def test_margins_per_metric(rng) -> None:
    a = pd.DataFrame({"x": rng.normal(0, 1, 4000), "y": rng.normal(0, 1, 4000)})
    b = pd.DataFrame({"x": rng.normal(0, 1, 4000), "y": rng.normal(0, 1, 4000)})
    found = cr.compare(a, b, metrics=["x", "y"], margin={"x": 0.2})
    assert [one.verdict for one in found.values()] == ["equivalent", "inconclusive"]


def test_quantiles_interval_and_pvalue_agree(rng) -> None:
    a, b = rng.lognormal(6, 1, 2000), rng.lognormal(6.25, 1, 2000)
    found = cr.compare(a, b, metrics=["p50_latency_ms"])["p50_latency_ms"]
    assert found.verdict == "worse"
    assert found.estimate == pytest.approx(np.median(b) - np.median(a))
    at = cr.compare(a, b, metrics=["p50_latency_ms"], alpha=found.pvalue)["p50_latency_ms"]
    assert at.confidence_interval.low == pytest.approx(0, abs=1e-3 * found.estimate)


def test_quantiles_of_pairs_use_their_correlation(rng) -> None:
    n = 1000
    base = rng.lognormal(6, 1, n)
    a = pd.DataFrame({"sample_id": range(n), "latency_ms": base})
    b = pd.DataFrame({"sample_id": range(n), "latency_ms": base * rng.lognormal(0.05, 0.1, n)})
    paired = cr.compare(a, b, metrics="p50_latency_ms")["p50_latency_ms"].confidence_interval
    alone = cr.compare(a.drop(columns="sample_id"), b.drop(columns="sample_id"), metrics="p50_latency_ms")[
        "p50_latency_ms"
    ].confidence_interval
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)


def test_cost_per_success(rng) -> None:
    n = 2000
    a = pd.DataFrame({"cost_usd": rng.lognormal(-5, 0.3, n), "success": rng.random(n) < 0.9})
    b = pd.DataFrame({"cost_usd": rng.lognormal(-5, 0.3, n), "success": rng.random(n) < 0.6})
    found = cr.compare(a, b, metrics=["cost_per_success"])["cost_per_success"]
    assert found.control == pytest.approx(a.cost_usd.sum() / a.success.sum())
    assert found.verdict == "worse"


def test_more_than_two_arms_are_corrected_together(rng) -> None:
    base = rng.normal(0, 1, 300)
    arms = {name: rng.normal(shift, 1, 300) for name, shift in (("same", 0.0), ("some", 0.19), ("much", 1.0))}
    found = cr.compare(base, arms, metrics=["score"], direction={"score": "up"})
    assert isinstance(found, Comparisons)
    raw = [stats.ttest_ind(base, arm, equal_var=False).pvalue for arm in arms.values()]
    from statsmodels.stats.multitest import multipletests

    assert [one["score"].pvalue for one in found.values()] == pytest.approx(
        multipletests(raw, method="holm")[1], rel=1e-9
    )
    assert found["much"]["score"].verdict == "better"
    assert list(cr.compare(base, list(arms.values()), metrics=["score"])) == [
        "treatment 1",
        "treatment 2",
        "treatment 3",
    ]
    assert found.to_frame().index.names == ["arm", "metric"]


def test_seeds_are_the_units_when_runs_are_repeated(rng) -> None:
    def arm(shift: float) -> pd.DataFrame:
        return pd.concat(
            [
                pd.DataFrame({"seed": seed, "loss": rng.normal(level, 0.5, 200)})
                for seed, level in enumerate(rng.normal(3 + shift, 0.2, 6))
            ]
        )

    a, b = arm(0.0), arm(0.0)
    found = cr.compare(a, b, metrics=["loss"], group_by="seed")["loss"]
    means = [side.groupby("seed").loss.mean() for side in (a, b)]
    assert found.pvalue == pytest.approx(stats.ttest_ind(*means, equal_var=False).pvalue, rel=1e-9)
    assert found.n == (6, 6)
    assert any("sd between runs" in line for line in found.assumptions)
    with pytest.raises(cr.StatError, match="at least 2 runs"):
        cr.compare(a[a.seed == 0], b, metrics=["loss"], group_by="seed")


def test_the_sd_between_runs_is_that_of_the_values_compared(rng) -> None:
    curves = [3 * np.exp(-np.arange(200) / 50) + level for level in rng.normal(1, 0.02, 5)]
    arm = pd.concat([pd.DataFrame({"seed": seed, "loss": curve}) for seed, curve in enumerate(curves)])
    found = cr.compare(arm, arm.assign(loss=arm.loss + 0.01), metrics=["loss"], group_by="seed")["loss"]
    sd = np.std([curve.mean() for curve in curves], ddof=1)
    assert any(line.startswith(f"control: sd between runs {sd:.4g}, within a run") for line in found.assumptions)


def test_default_metrics(rng) -> None:
    n = 300
    frame = pd.DataFrame(
        {
            "success": rng.random(n) < 0.9,
            "latency_ms": rng.lognormal(6, 1, n),
            "cost_usd": rng.lognormal(-6, 1, n),
            "score": rng.random(n),
        }
    )
    assert list(cr.compare(frame, frame.copy())) == ["success_rate", "p95_latency_ms", "mean_cost_usd"]
    assert next(iter(cr.compare(frame, frame.copy(), direction={"score": "up"}))) == "score"
    with pytest.raises(cr.StatError, match="name the metrics to compare"):
        cr.compare(pd.DataFrame({"x": [1.0]}), pd.DataFrame({"x": [2.0]}))


def test_bare_values_need_a_metric() -> None:
    with pytest.raises(cr.StatError, match="name its values by one metric"):
        cr.compare([1.0, 2.0], [2.0, 3.0])


def test_experiments_are_called_by_their_condition(rng) -> None:
    with cr.start("a", condition="baseline") as one:
        one.extend(pd.DataFrame({"latency_ms": rng.normal(100, 5, 200)}), event="call")
    with cr.start("b", condition="cached") as two:
        two.extend(pd.DataFrame({"latency_ms": rng.normal(80, 5, 200)}), event="call")
    found = cr.compare(one, two)
    assert isinstance(found, Comparison)
    assert found.summary == "cached against baseline: better on p95_latency_ms"


def test_prints(rng) -> None:
    control, treatment = scores(rng, shift=0.02)
    found = cr.compare(control, treatment, metrics=["score"], direction={"score": "up"})
    assert "better on score" in repr(found)
    assert "<table" in found._repr_html_()
    assert found.to_markdown().startswith("| metric | verdict |")
    assert r"\begin{tabular}" in found.to_latex()
    assert found.to_frame().loc["score", "verdict"] == "better"
    assert found.to_dict()["metrics"]["score"]["verdict"] == "better"
    hostile = cr.compare(control, {"<script>|": treatment}, metrics=["score"])
    assert "<script>" not in hostile._repr_html_()


def test_what_it_would_take_is_said_when_nothing_is_settled(rng) -> None:
    n = 200

    def arm() -> pd.DataFrame:
        return pd.DataFrame(
            {
                "success": rng.random(n) < 0.8,
                "cost_usd": rng.lognormal(-5, 0.2, n),
                "latency_ms": rng.normal(500, 20, n),
            },
            index=pd.date_range("2025-01-01", periods=n, freq="1s", tz="UTC"),
        )

    found = cr.compare(arm(), arm(), metrics=["success_rate"], margin=0.02)["success_rate"]
    assert found.verdict == "inconclusive"
    assert "more per arm" in found.next_sample
    assert "$" in found.next_sample
    assert "min" in found.next_sample


@pytest.mark.check
@pytest.mark.untraced
@pytest.mark.parametrize("metric", ["p50_latency_ms", "p95_latency_ms", "mean_latency_ms"])
def test_no_difference_is_seldom_called_one(rng, metric) -> None:
    wrong = sum(
        cr.compare(rng.lognormal(6, 1, 300), rng.lognormal(6, 1, 300), metrics=[metric])[metric].raw_pvalue <= 0.05
        for _ in range(400)
    )
    assert 4 <= wrong <= 33  # 5% of 400, give or take what chance allows (99.9%), and never no power at all


def test_quantiles_of_clustered_rows_are_as_uncertain_as_their_clusters(rng) -> None:
    def arm() -> pd.DataFrame:
        level = rng.normal(6, 0.5, 40)
        session = np.repeat(np.arange(40), 25)
        return pd.DataFrame({"session_id": session, "latency_ms": np.exp(level[session] + rng.normal(0, 0.2, 1000))})

    wrong = wide = 0
    for _ in range(60):
        one, two = arm(), arm()
        two["session_id"] += 1000
        found = cr.compare(one, two, metrics="p50_latency_ms")["p50_latency_ms"]
        plain = cr.compare(one.latency_ms, two.latency_ms, metrics="p50_latency_ms")["p50_latency_ms"]
        wrong += found.raw_pvalue <= 0.05
        wide += plain.raw_pvalue <= 0.05
    assert wrong <= 9  # of 60 at 5%, with 99.9% certainty
    assert wide > 15
