"""Relative changes: by hand, against the delta method, and their coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crucible_nb as cr
from crucible_nb.stats.estimates.binary import TwoShares, newcombe_contrast, share_of_counts
from crucible_nb.stats.estimates.contrast import fieller_change


def test_the_log_ratio_of_means_by_hand() -> None:
    rng = np.random.default_rng(0)
    control, treatment = rng.gamma(4, 1, 40), rng.gamma(4, 1.3, 60)
    got = cr.t_test(control, treatment, metric="loss")
    parts = [x.var(ddof=1) / len(x) / x.mean() ** 2 for x in (control, treatment)]  # delta method
    df = sum(parts) ** 2 / (parts[0] ** 2 / 39 + parts[1] ** 2 / 59)
    half = stats.t.ppf(0.975, df) * math.sqrt(sum(parts))
    ratio = treatment.mean() / control.mean()
    assert got.relative_change == pytest.approx(ratio - 1)
    assert got.relative_interval == pytest.approx((ratio * math.exp(-half) - 1, ratio * math.exp(half) - 1))
    row = cr.compare(control, treatment, metrics=["loss"])["loss"]
    assert (row.relative_change, row.relative_interval) == (got.relative_change, got.relative_interval)
    shown = f"{100 * got.relative_change:+.3g}%"
    table = cr.compare(control, treatment, metrics=["loss"])
    assert all(shown in text for text in (repr(table), table.to_markdown(), table._repr_html_()))
    assert table.to_frame()["relative_interval_low"].item() == got.relative_interval.low


def test_pairs_by_hand() -> None:
    rng = np.random.default_rng(1)
    item = rng.gamma(4, 1, 50)
    control, treatment = item + rng.gamma(2, 0.2, 50), 1.2 * item + rng.gamma(2, 0.2, 50)
    got = cr.t_test(control, treatment, metric="loss", paired=True)
    away = treatment / treatment.mean() - control / control.mean()
    half = stats.t.ppf(0.975, 49) * away.std(ddof=1) / math.sqrt(50)
    ratio = treatment.mean() / control.mean()
    assert got.relative_interval == pytest.approx((ratio * math.exp(-half) - 1, ratio * math.exp(half) - 1))


def test_rates_by_hand() -> None:
    got = cr.two_proportions([True] * 30 + [False] * 70, [True] * 45 + [False] * 55)
    logs = [np.log(stats.binomtest(hits, 100).proportion_ci(method="wilson")) for hits in (30, 45)]
    points = np.log([0.3, 0.45])
    low = points[1] - points[0] - math.hypot(points[1] - logs[1][0], logs[0][1] - points[0])
    high = points[1] - points[0] + math.hypot(logs[1][1] - points[1], points[0] - logs[0][0])
    assert got.relative_change == pytest.approx(0.5)
    assert got.relative_interval == pytest.approx((math.expm1(low), math.expm1(high)))


def test_every_test_of_a_difference_has_its_relative_change() -> None:
    rng = np.random.default_rng(9)
    control, treatment = rng.gamma(4, 1, 60), rng.gamma(4, 1.3, 60)
    welch = cr.t_test(control, treatment, metric="loss")
    assert cr.permutation_test(control, treatment, metric="loss").relative_interval == welch.relative_interval
    median = cr.permutation_test(control, treatment, metric="p50_loss")
    ratio = np.median(treatment) / np.median(control)
    assert median.relative_change == pytest.approx(ratio - 1)
    assert median.relative_interval.low < ratio - 1 < median.relative_interval.high
    shares = [True] * 30 + [False] * 70, [True] * 45 + [False] * 55
    assert (
        cr.chi_square(*shares, metric="success_rate").relative_interval == cr.two_proportions(*shares).relative_interval
    )
    one_sided = cr.t_test(control, treatment, metric="loss", alternative="greater")
    assert one_sided.relative_interval.high == math.inf
    assert one_sided.relative_interval.low > welch.relative_interval.low
    margin = cr.equivalence(control, treatment, metric="loss", margin=5)
    assert margin.relative_change == pytest.approx(welch.relative_change)


def test_where_the_logarithm_is_impossible_fieller_says_open() -> None:
    rng = np.random.default_rng(2)
    unknown = cr.t_test(rng.normal(0.1, 1, 30), rng.normal(0.5, 1, 30), metric="score")
    assert unknown.relative_interval == (-math.inf, math.inf)
    assert "open" in repr(cr.compare(rng.normal(0.1, 1, 30), rng.normal(0.5, 1, 30), metrics=["score"]))
    known = cr.t_test(rng.normal(9, 1, 30) - 6, rng.normal(8, 1, 30) - 4, metric="score")
    assert -1 < known.relative_interval.low < known.relative_change < known.relative_interval.high < 5
    none = newcombe_contrast(TwoShares(share_of_counts(0, 50), share_of_counts(10, 50))).relative(0.95)
    assert math.isnan(none.value)
    assert none.interval.low > 0
    assert none.interval.high == math.inf


def test_fieller_agrees_with_the_difference() -> None:
    for seed in range(40):
        rng = np.random.default_rng([3, seed])
        contrast = newcombe_contrast(
            TwoShares(share_of_counts(30, 100), share_of_counts(int(rng.integers(25, 60)), 100))
        )
        change, difference = fieller_change(contrast, 0.95).interval, contrast.difference(0.95)
        assert (change.low > 0) == (difference.low > 0)
        assert (change.high < 0) == (difference.high < 0)


RATIO = 1.5


def _arms(rng: np.random.Generator, kind: str) -> tuple[list[pd.DataFrame], str, dict]:
    n = 200
    if kind == "paired":
        item = rng.gamma(4, 1, n)
        return (
            [
                pd.DataFrame({"sample_id": range(n), "score": f * item * rng.lognormal(-0.02, 0.2, n)})
                for f in (1, RATIO)
            ],
            "score",
            {},
        )
    if kind == "clustered":
        frames = []
        for arm, factor in enumerate((1, RATIO)):
            ids = np.repeat(np.arange(60), 5)
            score = factor * rng.gamma(4, 1, 60)[ids] * rng.gamma(4, 0.25, 300)
            frames.append(pd.DataFrame({"session_id": ids + 1000 * arm, "score": score}))
        return frames, "score", {}
    frames = [
        pd.DataFrame({
            "latency_ms": 400 * f * rng.lognormal(0, 0.7, n), "success": rng.random(n) < 0.4 * f,
            "cost_usd": f * rng.gamma(2, 1, n),
        })
        for f in (1, RATIO)
    ]  # fmt: skip
    return frames, kind, {}


@pytest.mark.check
@pytest.mark.parametrize(
    "kind", ["mean_latency_ms", "p50_latency_ms", "success_rate", "total_latency_ms", "paired", "clustered"]
)
def test_coverage(kind: str) -> None:
    hits, runs = 0, 200
    for seed in range(runs):
        arms, metric, options = _arms(np.random.default_rng([11, seed]), kind)
        low, high = cr.compare(*arms, metrics=[metric], **options)[metric].relative_interval
        hits += low <= RATIO - 1 <= high
    assert 0.90 <= hits / runs <= 0.99  # 93 to 97 % and two standard errors


def test_paired_rates_and_ratios_have_a_relative_change() -> None:
    rng = np.random.default_rng(4)
    n, hard = 300, rng.normal(0, 1, 300)
    frames = [
        pd.DataFrame(
            {"sample_id": range(n), "success": hard + rng.normal(0, 0.5, n) > shift, "cost_usd": rng.gamma(2, f, n)}
        )
        for shift, f in ((0.0, 1.0), (-0.4, 1.5))
    ]
    got = cr.compare(*frames, metrics=["success_rate", "cost_per_success", "p95_cost_usd", "total_cost_usd"])
    for row in got.values():
        assert row.relative_change == pytest.approx(row.treatment / row.control - 1)
        assert row.relative_interval.low < row.relative_change < row.relative_interval.high < math.inf
    test = cr.mcnemar(*frames)
    assert test.relative_interval == got["success_rate"].relative_interval
