"""Equivalence and non-inferiority: TOST of statsmodels, score tests of rates, real runs, level by simulation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

import crucible_nb as cr
from crucible_nb.stats.estimates.binary import TwoShares, share_of_counts
from crucible_nb.stats.hypotests.equivalence import better, equivalence, non_inferiority
from crucible_nb.stats.hypotests.score import independent_variance, score_limits, z_at
from tests.tiers import examples

LISTS = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=3, max_size=30).filter(
    lambda x: np.std(x) > 0.01
)


@examples(60)
@given(LISTS, LISTS, st.floats(0.01, 50), st.floats(0.01, 50))
def test_independent_means_are_statsmodels(
    control: list[float], treatment: list[float], low: float, high: float
) -> None:
    if {*control, *treatment} <= {0.0, 1.0}:  # shares
        return
    got = equivalence(control, treatment, metric="score", margin=(-low, high))
    p, upper, lower = ttost_ind(np.array(control), np.array(treatment), -high, low, usevar="unequal")
    np.testing.assert_allclose(got.pvalue, p, rtol=1e-11, atol=1e-12)
    # the side that binds; where both do, to the last digits, either is right
    binding = [one for one in (upper, lower) if one[1] >= p - 1e-12]
    assert any(np.allclose([got.statistic, got.df], [one[0], one[2]], rtol=1e-10, atol=1e-12) for one in binding)
    inside = -low < got.confidence_interval.low and got.confidence_interval.high < high
    assert got.significant == inside or abs(got.pvalue - 0.05) < 1e-9


@examples(60)
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=3, max_size=30), st.floats(0.1, 30))
def test_pairs_are_statsmodels(pairs: list[tuple[float, float]], margin: float) -> None:
    control, treatment = np.array(pairs).T
    if np.std(treatment - control) < 0.01:
        return
    got = equivalence(control, treatment, metric="score", margin=margin, paired=True)
    p, *_ = ttost_paired(treatment, control, -margin, margin)
    np.testing.assert_allclose(got.pvalue, p, rtol=1e-9, atol=1e-12)
    assert got.confidence == pytest.approx(0.90)


@examples(60)
@given(*[st.integers(10, 60)] * 4, st.floats(0.02, 0.4))
def test_rates_are_judged_at_the_margin_by_the_most_likely_shares(
    a: int, b: int, c: int, d: int, margin: float
) -> None:
    n, m, sides = a + b, c + d, []
    assume(min(n, m) * min(a + c, b + d) / (n + m) >= 10)  # below, limits are exact
    for at in (-margin, margin):

        def off(p: float, at: float = at) -> float:
            return -a * np.log(p) - b * np.log(1 - p) - c * np.log(p + at) - d * np.log(1 - p - at)

        ends = max(0, -at) + 1e-9, min(1, 1 - at) - 1e-9
        p = optimize.minimize_scalar(off, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
        spread = (p * (1 - p) / n + (p + at) * (1 - p - at) / m) * (n + m) / (n + m - 1)
        sides.append((c / m - a / n - at) / math.sqrt(spread))
    wanted = max(stats.norm.sf(sides[0]), stats.norm.cdf(sides[1]))
    got = equivalence([True] * a + [False] * b, [True] * c + [False] * d, "success_rate", margin=margin)
    assert got.pvalue == pytest.approx(wanted, rel=1e-4, abs=1e-9)
    inside = -margin < got.confidence_interval.low and got.confidence_interval.high < margin
    assert got.significant == inside or abs(got.pvalue - 0.05) < 1e-6


def test_newcombes_example_of_miettinen_and_nurminen() -> None:
    got = equivalence(
        [True] * 48 + [False] * 32, [True] * 56 + [False] * 14, "success_rate", margin=0.4, confidence=0.975
    )
    assert got.confidence_interval == pytest.approx((0.0528, 0.3382), abs=5e-5)
    assert got.confidence == pytest.approx(0.95)


@pytest.mark.parametrize(
    "cells", [(0, 20, 0, 20), (0, 20, 20, 20), (20, 20, 0, 20), (0, 20, 3, 20), (5, 5, 1, 9), (1, 2, 1, 8)]
)
def test_score_interval_of_empty_cells_maximises_the_likelihood(cells: tuple[int, ...]) -> None:
    x, n, y, m = cells
    two = TwoShares(share_of_counts(x, n), share_of_counts(y, m))

    def z(at: float) -> float:
        grid = np.linspace(max(0, -at), min(1, 1 - at), 200_001)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = [k * np.log(p) if k else 0 * p for k, p in
                     ((x, grid), (n - x, 1 - grid), (y, grid + at), (m - y, 1 - grid - at))]  # fmt: skip
        best = grid[np.nanargmax(sum(terms))]
        spread = (best * (1 - best) / n + (best + at) * (1 - best - at) / m) * (n + m) / (n + m - 1)
        return (two.difference - at) / math.sqrt(max(spread, 1e-12))

    for at in (-0.4, -0.15, 0.2, 0.35):
        assert z_at(two.difference, independent_variance(two), at) == pytest.approx(z(at), rel=2e-3)
    low, high = score_limits(two.difference, independent_variance(two), 0.95)
    assert -1 <= low <= two.difference <= high <= 1
    mirrored = TwoShares(two.treatment, two.control)
    back = score_limits(mirrored.difference, independent_variance(mirrored), 0.95)
    np.testing.assert_allclose(back, (-high, -low), atol=1e-6)


def test_nanogpt_runs_are_equivalent_in_loss(shared_data: Path) -> None:
    runs = pd.read_csv(shared_data / "nanogpt_run_finals.csv")
    groups = [part for name, part in runs.groupby("record") if name.startswith(("2024-12-08", "2024-12-10"))]
    assert [len(part) for part in groups] == [75, 40]
    control, treatment = groups
    assert stats.ttest_ind(control.val_loss, treatment.val_loss, equal_var=False).pvalue == pytest.approx(
        0.93, abs=0.005
    )
    got = equivalence(control, treatment, metric="val_loss", margin=0.002)
    assert got.significant
    assert got.pvalue < 1e-4
    assert got.n == (75, 40)
    assert got.method.startswith("Equivalence of the mean val_loss within -0.002 to 0.002 was tested by two one-sided")
    assert not equivalence(control, treatment, metric="val_loss", margin=0.0001).significant
    assert not equivalence(control, treatment, metric="train_time_ms", margin="1%").significant


def test_margins() -> None:
    control, treatment = [99.0, 100.0, 101.0] * 10, [100.0, 101.0, 102.0] * 10
    relative = equivalence(control, treatment, margin="5%")
    assert relative.margin == pytest.approx((-5.0, 5.0))
    assert "(5% of the control, as a test of the ratio)" in relative.method
    assert " ms" in relative.method
    assert relative.significant
    lopsided = equivalence(control, treatment, margin=(-0.5, 2.0))
    assert lopsided.significant
    assert not equivalence(control, treatment, margin=1.0).significant
    for margin, message in ((0, "margin=0"), ("five", "text such as"), ((2, 1), "low < high"), ("0%", "text such as")):
        with pytest.raises(cr.ConfigError, match=message):
            equivalence(control, treatment, margin=margin)
    with pytest.raises(cr.StatError, match="the estimate of the control is 0"):
        equivalence([-1.0, 1.0], [0.0, 1.0], margin="5%")


def test_non_inferiority_looks_the_right_way() -> None:
    rng = np.random.default_rng(0)
    slow, fast = rng.normal(120, 10, 200), rng.normal(100, 10, 200)
    assert non_inferiority(slow, fast, "latency_ms", margin=5).significant
    assert not non_inferiority(fast, slow, "latency_ms", margin=5).significant
    assert non_inferiority(fast, slow, "score", margin=5, direction="up").significant
    with pytest.raises(cr.ConfigError, match="is more score better, or less"):
        non_inferiority(fast, slow, "score", margin=5)
    with pytest.raises(cr.ConfigError, match="one number > 0"):
        non_inferiority(fast, slow, "latency_ms", margin=(1, 2))
    got = non_inferiority(slow, fast, "latency_ms", margin=5)
    p = stats.ttest_ind(fast - 5, slow, equal_var=False, alternative="less")
    assert got.pvalue == pytest.approx(p.pvalue, rel=1e-9, abs=1e-300)
    assert got.margin == (-math.inf, 5.0)
    assert got.confidence_interval.low == -math.inf
    assert got.confidence == 0.95


@pytest.mark.parametrize(
    ("metric", "direction"),
    [("p95_latency_ms", "down"), ("cost_per_success", "down"), ("train/loss", "down"), ("errors", "down"),
     ("success_rate", "up"), ("score", None), ("closs", None)],
)  # fmt: skip
def test_what_is_better(metric: str, direction: str | None) -> None:
    assert better(metric) == direction


def test_non_inferiority_of_pairs_of_rates() -> None:
    control, treatment = [True] * 80 + [False] * 20, [True] * 78 + [False] * 19 + [True] * 3
    got = non_inferiority(control, treatment, "success_rate", margin=0.1, paired=True)
    assert got.effect == "Cohen's g"
    assert got.n == 100
    assert got.significant
    both = equivalence(control, treatment, "success_rate", margin=0.1, paired=True)
    assert both.pvalue >= got.pvalue
    same = equivalence([True] * 60, [True] * 60, "success_rate", margin=0.1, paired=True)
    assert same.significant


def test_constant_values_are_refused() -> None:
    with pytest.raises(cr.StatError, match="constant"):
        equivalence([1.0, 1.0], [2.0, 2.0], metric="score", margin=2)
    with pytest.raises(cr.StatError, match="no variance"):
        equivalence([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], metric="score", margin=2, paired=True)
    with pytest.raises(cr.StatError, match="total"):
        equivalence([1.0, 2.0], [2.0, 3.0], metric="total_latency_ms", margin=2)


@pytest.mark.check
@pytest.mark.parametrize("kind", ["mean", "rate", "paired rate", "clusters", "weights"])
def test_at_the_margin_it_errs_in_one_of_twenty(kind: str) -> None:
    rng = np.random.default_rng(8)
    found = 0
    for _ in range(300):
        if kind == "mean":
            got = equivalence(rng.normal(0, 1, 80), rng.normal(0.5, 2, 60), "score", margin=(-5, 0.5))
        elif kind == "rate":
            got = equivalence(rng.random(150) < 0.8, rng.random(150) < 0.9, "success_rate", margin=(-0.9, 0.1))
        elif kind == "paired rate":
            base = rng.random(200) < 0.7
            better_one = np.where(base, rng.random(200) < 0.95, rng.random(200) < 0.45)  # 0.8 in all
            got = equivalence(base, better_one, "success_rate", margin=(-0.9, 0.1), paired=True)
        elif kind == "clusters":
            frames = [pd.DataFrame({"score": np.repeat(rng.normal(0.5 * i, 1, 40), 8) + rng.normal(0, 1, 320),
                                    "s": np.repeat(np.arange(40), 8) + 100 * i}) for i in range(2)]  # fmt: skip
            got = equivalence(*frames, metric="score", margin=(-5, 0.5), cluster="s")
        else:
            frames = []
            for i in range(2):
                x = rng.normal(0.5 * i, 1, 300)
                kept = rng.random(300) < np.where(x > 1, 1.0, 0.3)
                frames.append(pd.DataFrame({"score": x, "weight": np.where(x > 1, 1.0, 1 / 0.3)})[kept])
            got = equivalence(*frames, metric="score", margin=(-5, 0.5))
        found += got.significant
    assert 0.015 < found / 300 < 0.09


def test_clusters_and_blocks_pass_through() -> None:
    times = pd.date_range("2025-01-01", periods=3000, freq="1s", tz="UTC")
    rng = np.random.default_rng(8)
    frames = [pd.DataFrame({"latency_ms": rng.normal(100, 5, 3000), "success": rng.random(3000) < 0.9}, index=times)
              for _ in range(2)]  # fmt: skip
    assert equivalence(*frames, margin="2%", resample="1min").n == (50, 50)
    rates = equivalence(*frames, metric="success_rate", margin=0.05, resample="1min")
    assert "score test" in rates.method
    with pytest.raises(cr.ConfigError, match="time blocks cannot be paired by item"):
        equivalence(*frames, margin=1, paired=True, resample="1min")
    ratio = [frame.assign(cost_usd=rng.gamma(2, 0.01, 3000)) for frame in frames]
    got = equivalence(*ratio, metric="cost_per_success", margin="20%")
    assert got.significant
    assert math.isnan(got.effect_size)
