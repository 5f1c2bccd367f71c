"""`next_sample`: items, cost and time; simulated power equals the stated one."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.events.metric_names import metric_of
from crucible_nb.stats.hypotests.means import t_test
from crucible_nb.stats.hypotests.proportions import two_proportions
from crucible_nb.stats.planning.economics import next_sample
from crucible_nb.stats.planning.item_costs import item_cost
from crucible_nb.stats.planning.power import required_sample_size


def arm(n: int, share: float, start: str | None = None, **columns: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {"success": np.arange(n) < round(share * n), "cost_usd": 0.0024, "latency_ms": 500.0, **columns}
    )
    return frame if start is None else frame.set_index(pd.date_range(start, periods=n, freq="1s", tz="UTC"))


def test_rates_by_the_book() -> None:
    got = next_sample(arm(400, 0.8), arm(300, 0.8), difference=0.05)
    wanted = required_sample_size(test="proportions", p1=0.8, p2=0.85, method="pooled").n
    assert (got.needed_per_arm, got.more_per_arm, int(got)) == (wanted, wanted - 300, wanted - 300)
    assert got.n == (400, 300)
    assert got.cost_usd == pytest.approx((2 * wanted - 700) * 0.0024)
    assert got.minutes == pytest.approx((2 * wanted - 700) * 0.5 / 60)
    assert f"{wanted - 400:,} more of the control and {wanted - 300:,} of the treatment" in got.text
    assert "5 points in success_rate" in got.text
    assert 0.3 < got.power_now < 0.8


def test_a_rate_near_one_looks_down() -> None:
    got = next_sample(arm(100, 0.99), arm(100, 0.99), difference=0.02)
    assert got.needed_per_arm == required_sample_size(test="proportions", p1=0.99, p2=0.97, method="pooled").n
    assert next_sample(arm(100, 1.0), arm(100, 1.0), difference=0.02).needed_per_arm > 300
    with pytest.raises(cr.ConfigError, match="difference"):
        next_sample(arm(100, 0.5), arm(100, 0.5), difference=0.9)


def test_enough_is_said() -> None:
    got = next_sample(arm(4000, 0.8), arm(4000, 0.8), difference=0.05)
    assert (got.more_per_arm, got.cost_usd, got.minutes) == (0, 0.0, 0.0)
    assert got.text.endswith(": no more are needed.")
    assert got.power_now > 0.99


def test_times_overlap_or_follow() -> None:
    first = arm(400, 0.8, "2025-01-01")
    together = next_sample(first, arm(400, 0.8, "2025-01-01"), difference=0.05)
    after = next_sample(first, arm(400, 0.8, "2025-01-02"), difference=0.05)
    assert together.minutes == pytest.approx(together.more_per_arm / 60)
    assert after.minutes == pytest.approx(2 * after.more_per_arm / 60)


def test_what_is_unknown_is_said() -> None:
    bare = next_sample(np.arange(40) % 3 == 0, np.arange(40) % 2 == 0, difference=0.2)
    assert math.isnan(bare.cost_usd)
    assert bare.text.endswith("more per arm (cost and time unknown).")
    unpriced = arm(400, 0.8, cost_usd=np.nan)
    got = next_sample(unpriced, arm(400, 0.8), difference=0.05)
    assert math.isnan(got.cost_usd)
    assert got.warnings == ("cost unknown: no row has a price; give prices, or cost_usd",)
    partly = arm(400, 0.8, cost_usd=np.where(np.arange(400) < 100, np.nan, 0.004))
    got = next_sample(partly, partly, difference=0.05)
    assert got.cost_usd == pytest.approx(2 * got.more_per_arm * 0.003)
    assert got.warnings == ("the cost of 100 items is unknown: the total cost is too low",)


def test_pairs_need_fewer_where_items_matter() -> None:
    rng = np.random.default_rng(0)
    skill = rng.normal(0, 1, 200)
    frames = [pd.DataFrame({"sample_id": np.arange(200).astype(str), "score": skill + rng.normal(0, 0.3, 200),
                            "cost_usd": 0.01, "latency_ms": 1000.0}) for _ in range(2)]  # fmt: skip
    paired = next_sample(*frames, "score", 0.05, paired=True)
    apart = next_sample(*frames, "score", 0.05)
    assert paired.needed_per_arm < 0.3 * apart.needed_per_arm
    assert paired.sd == pytest.approx(np.std(frames[1].score - frames[0].score, ddof=1))
    assert paired.cost_usd == pytest.approx(paired.more_per_arm * 0.02)
    assert "pairs are needed" in paired.text
    with pytest.raises(cr.StatError, match="differ by the same amount"):
        next_sample(frames[0], frames[0], "score", 0.05, paired=True)


def test_repeats_of_an_item_are_paid_for() -> None:
    frame = pd.DataFrame({"sample_id": np.repeat(list("abcd"), 3), "score": 1.0, "cost_usd": 0.01})
    assert item_cost(frame, metric_of("score"), "sample_id").usd == pytest.approx(0.03)
    assert item_cost(frame, metric_of("score")).usd == pytest.approx(0.01)


def test_all_that_an_arm_spends_is_counted() -> None:
    frame = pd.DataFrame({"success": [True, None, False, None], "cost_usd": [0.01, 0.02, 0.01, np.nan]})
    assert item_cost(frame, metric_of("success_rate")).usd == pytest.approx(0.02)
    assert math.isnan(item_cost(frame, metric_of("score")).usd)


def test_pauses_take_no_time() -> None:
    exp = cr.start("paid")
    for i in range(20):
        exp.record("llm.request", success=i % 2 == 0, cost_usd=0.001)
    plain = item_cost(exp.frame(), metric_of("success_rate"))
    start, end = plain.span

    class Paused:
        paused_spans = pd.IntervalIndex.from_tuples([(start, start + (end - start) / 2)])

        def frame(self) -> pd.DataFrame:
            return exp.frame()

    assert item_cost(Paused(), metric_of("success_rate")).minutes == pytest.approx(plain.minutes / 2, rel=1e-3)
    assert item_cost(exp, metric_of("success_rate")).minutes == pytest.approx(plain.minutes)
    exp.stop()


def test_sampled_rows_count_the_events_they_stand_for() -> None:
    rng = np.random.default_rng(1)
    frames = [pd.DataFrame({"score": rng.normal(0, 1, 500), "weight": 4.0, "cost_usd": 0.01}) for _ in range(2)]
    got = next_sample(*frames, "score", 0.05)
    assert got.n == (2000, 2000)
    plain = next_sample(*(frame.drop(columns="weight") for frame in frames), "score", 0.05)
    assert got.needed_per_arm == pytest.approx(4 * plain.needed_per_arm, rel=0.01)
    assert got.cost_usd / got.more_per_arm == pytest.approx(0.02)


def test_clusters_ask_for_more() -> None:
    rng = np.random.default_rng(2)
    frames = [pd.DataFrame({"score": np.repeat(rng.normal(0, 1, 50), 10) + rng.normal(0, 1, 500),
                            "s": np.repeat(np.arange(50), 10) + 100 * i}) for i in range(2)]  # fmt: skip
    plain, clustered = next_sample(*frames, "score", 0.2), next_sample(*frames, "score", 0.2, cluster="s")
    assert 3 < clustered.needed_per_arm / plain.needed_per_arm < 8


@pytest.mark.parametrize("kind", ["rate", "mean"])
def test_the_power_is_delivered(kind: str) -> None:
    rng = np.random.default_rng(3)
    if kind == "rate":
        n = int(next_sample(rng.random(500) < 0.7, rng.random(500) < 0.7, difference=0.1).needed_per_arm)
        found = [two_proportions(rng.random(n) < 0.7, rng.random(n) < 0.8).pvalue for _ in range(300)]
    else:
        n = next_sample(rng.normal(5, 2, 800), rng.normal(5, 2, 800), "score", 0.6).needed_per_arm
        found = [t_test(rng.normal(5, 2, n), rng.normal(5.6, 2, n), "score").pvalue for _ in range(300)]
    assert 0.7 < np.mean(np.array(found) <= 0.05) < 0.9


def test_long_and_short_times() -> None:
    slow = arm(400, 0.8, latency_ms=3_600_000.0)
    assert "days" in next_sample(slow, slow, difference=0.05).text
    hours = arm(400, 0.8, latency_ms=30_000.0)
    assert " h." in next_sample(hours, hours, difference=0.05).text
    quick = arm(400, 0.8, latency_ms=1.0, cost_usd=1e-7)
    assert "less than a minute" in next_sample(quick, quick, difference=0.05).text
    assert "| text |" in next_sample(quick, quick, difference=0.05).to_markdown()
