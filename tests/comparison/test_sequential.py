"""Sequential comparisons, which are valid at any look."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr


def arm(rng, n: int, rate: float, level: float = 6.0) -> pd.DataFrame:
    return pd.DataFrame({"success": rng.random(n) >= rate, "latency_ms": rng.lognormal(level, 1, n)})


def test_a_real_difference_is_decided(rng) -> None:
    found = cr.compare(arm(rng, 1500, 0.02), arm(rng, 1500, 0.10), sequential=True)
    assert list(found) == ["success_rate", "p50_latency_ms", "p95_latency_ms"]
    assert found["success_rate"].verdict == "worse"
    assert found["p50_latency_ms"].verdict == "inconclusive"
    assert "any look" in found["success_rate"].why
    assert found["success_rate"].confidence_interval.high < 0


def test_means_without_a_bound_are_refused(rng) -> None:
    with pytest.raises(cr.StatError, match="p50"):
        cr.compare(arm(rng, 100, 0.1), arm(rng, 100, 0.1), metrics=["mean_latency_ms"], sequential=True)


def test_means_with_a_bound(rng) -> None:
    a, b = pd.DataFrame({"score": rng.uniform(0, 0.8, 800)}), pd.DataFrame({"score": rng.uniform(0.2, 1, 800)})
    found = cr.compare(a, b, metrics=["score"], sequential=True, bound={"score": (0, 1)}, direction={"score": "up"})
    assert found["score"].verdict == "better"
    with pytest.raises(cr.StatError, match=r"bound"):
        cr.compare(a, b, metrics=["score"], sequential=True, bound=(0, 0.5))


def test_asymptotic_evidence_is_at_most_leaning(rng) -> None:
    a, b = pd.DataFrame({"x": rng.normal(0, 1, 2000)}), pd.DataFrame({"x": rng.normal(1, 1, 2000)})
    found = cr.compare(a, b, metrics=["x"], sequential=True, asymptotic=True, direction={"x": "up"})["x"]
    assert found.verdict == "leaning"


def test_items_on_both_sides_are_compared_in_pairs(rng) -> None:
    n = 1500
    hard = rng.random(n)
    a = pd.DataFrame({"sample_id": range(n), "success": hard < 0.80})
    b = pd.DataFrame({"sample_id": range(n), "success": hard < 0.86}).sample(frac=1, random_state=3)
    paired = cr.compare(a, b, metrics=["success_rate"], sequential=True)["success_rate"]
    alone = cr.compare(a, b, metrics=["success_rate"], sequential=True, pair_by=None)["success_rate"]
    assert paired.verdict == "better"
    assert paired.pvalue < alone.pvalue


def test_rows_that_are_not_everything_are_refused(rng) -> None:
    full = arm(rng, 2000, 0.1)
    some = cr.sampling.sample(full, cr.sampling.Reservoir(500), seed=1)
    with pytest.raises(cr.StatError):
        cr.compare(full, some, sequential=True)
    exp = cr.start("windowed", clock="events")
    exp.extend(full.set_index(pd.date_range("2025-01-01", periods=2000, freq="1s", tz="UTC")), event="call")
    with pytest.raises(cr.StatError, match="window"):
        cr.compare(full, exp.query_window(last="5min"), sequential=True)
    exp.stop()


def test_sampled_experiments_decide_on_every_event(rng) -> None:
    arms = []
    for name, rate in (("a", 0.02), ("b", 0.10)):
        exp = cr.start(name, condition=name, sampling="uniform", sampling_config={"rate": 0.05}, seed=1)
        exp.extend(arm(rng, 3000, rate), event="call")
        exp.stop()
        arms.append(exp)
    found = cr.compare(*arms, metrics=["success_rate"], sequential=True)["success_rate"]
    assert found.n == (3000, 3000)
    assert found.verdict == "worse"


def test_a_margin_can_be_settled_at_any_look(rng) -> None:
    a, b = arm(rng, 20_000, 0.05), arm(rng, 20_000, 0.05)
    found = cr.compare(a, b, metrics=["success_rate"], sequential=True, margin=0.03)["success_rate"]
    assert found.verdict == "equivalent"


def test_looking_changes_nothing(rng) -> None:
    a, b = arm(rng, 500, 0.1), arm(rng, 500, 0.1)
    first = cr.compare(a, b, sequential=True)
    for n in range(50, 500, 50):
        cr.compare(a.iloc[:n], b.iloc[:n], sequential=True)
    assert cr.compare(a, b, sequential=True).to_dict() == first.to_dict()


def test_pvalues_are_corrected_over_metrics(rng) -> None:
    found = cr.compare(arm(rng, 1500, 0.02), arm(rng, 1500, 0.10), sequential=True)
    one = found["success_rate"]
    assert one.pvalue == pytest.approx(min(1.0, 3 * one.raw_pvalue))
    assert np.isfinite(one.estimate)


# -- repeated items ------------------------------------------------------------------------------------------------------


def epochs(seed: int, p: float, repeats: int = 4, items: int = 50, **columns: Any) -> pd.DataFrame:
    """Every item once, then every item again, and so on."""
    rng = np.random.default_rng(seed)
    item = np.arange(items * repeats) % items
    return pd.DataFrame({"success": rng.random(len(item)) < p, "sample_id": item, **columns})


@pytest.mark.parametrize("options", [{}, {"bound": (0, 1)}, {"metrics": ["success_rate"]}, {"pair_by": None}])
def test_rates_of_repeated_items_have_a_sequence(options: dict[str, Any]) -> None:
    a, b = epochs(0, 0.9), epochs(1, 0.4)
    row = cr.compare(a, b, sequential=True, **options)["success_rate"]
    once = cr.compare(a[:50], b[:50], sequential=True, **options)["success_rate"]
    assert (row.n, row.verdict) == ((50, 50), "worse")
    assert (row.estimate, row.confidence_interval, row.pvalue) == (once.estimate, once.confidence_interval, once.pvalue)
    assert row.estimate == pytest.approx(b.success[:50].mean() - a.success[:50].mean())
    assert any("150 rows of the control are repeats of items (sample_id)" in text for text in row.exclusions)


def test_later_repeats_do_not_change_an_earlier_pair() -> None:
    a, b = epochs(0, 0.9), epochs(1, 0.4)
    b["sample_id"] = b.sample_id.astype(str)
    before = cr.compare(a[:80], b[:70], sequential=True)["success_rate"]
    for n in (100, 150, 200):
        later = cr.compare(a[:n], b[: n - 1], sequential=True)["success_rate"]
        assert (later.n, later.pvalue) == (before.n, before.pvalue)


def test_the_first_known_value_of_an_item_counts() -> None:
    a, b = epochs(0, 0.9, repeats=2), epochs(1, 0.4, repeats=2)
    a["success"] = a.success.astype("boolean").mask(a.index < 10)
    expected = b.success[:50].mean() - np.r_[a.success[50:60], a.success[10:50]].astype(float).mean()
    assert cr.compare(a, b, sequential=True)["success_rate"].estimate == pytest.approx(expected)


def test_scores_and_quantiles_of_repeated_items_count_them_once_too() -> None:
    a, b = (
        epochs(seed, 0.5, score=np.random.default_rng(seed).random(200), latency_ms=np.arange(200.0)) for seed in (0, 1)
    )
    rows = cr.compare(a, b, metrics=["score", "p50_latency_ms"], sequential=True, bound={"score": (0, 1)})
    assert rows["score"].estimate == pytest.approx((b.score[:50] - a.score[:50]).mean())
    assert (rows["p50_latency_ms"].n, rows["p50_latency_ms"].control) == ((50, 50), 24.5)


def test_one_bad_metric_costs_itself_only() -> None:
    a, b = (
        epochs(seed, p, score=np.arange(200) / 200 * p, cost_usd=[np.inf] * 200) for seed, p in ((0, 0.9), (1, 0.4))
    )
    rows = cr.compare(a, b, metrics=["success_rate", "score", "mean_cost_usd"], sequential=True)
    assert (rows["success_rate"].verdict, rows["score"].verdict) == ("worse", "inconclusive")
    assert "Bahadur and Savage" in rows["score"].why
    outside = cr.compare(a, b, metrics=["success_rate", "score"], sequential=True, bound={"score": (0.2, 1)})
    assert "outside" in outside["score"].why
    with pytest.raises(cr.StatError, match="Bahadur and Savage"):
        cr.compare(a, b, metrics=["score"], sequential=True)


@pytest.mark.check
def test_repeated_items_keep_the_level() -> None:
    wrong = 0
    for run in range(40):
        rng = np.random.default_rng([3, run])
        arms = [np.repeat(rng.random(60) < 0.5, 5) for _ in range(2)]  # all repeats of an item agree
        sides = [
            pd.DataFrame({"success": arm, "sample_id": np.repeat(np.arange(60) + 100 * i, 5)})
            for i, arm in enumerate(arms)
        ]
        wrong += any(
            cr.compare(sides[0][:n], sides[1][:n], ["success_rate"], sequential=True)["success_rate"].verdict
            != "inconclusive"
            for n in (150, 300)
        )
    assert wrong <= 4  # 7 of 40 with all rows as independent
