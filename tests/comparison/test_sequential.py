"""Sequential comparisons, which are valid at any look."""

from __future__ import annotations

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
