"""Rates per time: the same number by every door, errors between blocks of time, against scipy on the counts of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.tsa.stattools import acovf

import crucible_nb as cr
from tools import simulate_rates

T0 = pd.Timestamp("2026-01-01", tz="UTC")


def arm(n: int, seed: int, seconds: float = 3600.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    times = T0 + pd.to_timedelta(np.sort(rng.random(n)) * seconds, unit="s")
    return pd.DataFrame(
        {
            "latency_ms": rng.exponential(500.0, n),
            "cost_usd": rng.lognormal(-5, 1, n),
            "prompt_tokens": rng.integers(50, 500, n),
            "completion_tokens": rng.integers(10, 200, n),
            "success": rng.random(n) < 0.9,
            "sample_id": np.arange(n),
        },
        index=pd.DatetimeIndex(times, name="time"),
    )


def blocks_by_hand(frame: pd.DataFrame, amount: Any, count: int) -> np.ndarray:
    """Amount per second of each of `count` equal blocks."""
    start = (frame.index - pd.to_timedelta(frame.latency_ms.to_numpy(), unit="ms")).min()
    edges = np.linspace(start.value, frame.index.max().value, count + 1)
    totals, _ = np.histogram(frame.index.as_unit("ns").asi8, edges, weights=np.broadcast_to(amount, len(frame)))
    return totals / ((edges[-1] - edges[0]) / 1e9 / count)


def scaled_by_hand(frame: pd.DataFrame, amount: Any) -> np.ndarray:
    """The rates of 20 blocks, with the spread that the autocovariances of 100 pieces add up to."""
    x, pieces = blocks_by_hand(frame, amount, 20), blocks_by_hand(frame, amount, 100) / 5
    covariances = acovf(pieces, adjusted=False, nlag=3, fft=False)
    variance = 100 * covariances @ np.array([1, 2, 2, 1]) / (1 - 6 / 100)
    factor = np.sqrt(variance / (20 * x.var(ddof=1)))
    scaled: np.ndarray = x.mean() + factor * (x - x.mean())
    assert scaled.min() > 0
    return scaled


@pytest.mark.parametrize(
    ("metric", "amount", "unit"),
    [
        ("events_per_second", lambda frame: 1.0, 1),
        ("events_per_minute", lambda frame: 1.0, 60),
        ("output_tokens_per_second", lambda frame: frame.completion_tokens, 1),
        ("input_tokens_per_second", lambda frame: frame.prompt_tokens, 1),
        ("usd_per_hour", lambda frame: frame.cost_usd, 3600),
        ("cost_per_hour", lambda frame: frame.cost_usd, 3600),
        ("completion_tokens_per_day", lambda frame: frame.completion_tokens, 86400),
    ],
)
def test_the_interval_is_that_of_the_blocks_by_students_t(metric: str, amount: Any, unit: float) -> None:
    frame = arm(700, 1)
    x = scaled_by_hand(frame, amount(frame)) * unit
    got = cr.confidence_interval(frame, metric, method="t")
    assert got.estimate == pytest.approx(x.mean(), rel=1e-9)
    assert tuple(got.confidence_interval) == pytest.approx(stats.t.interval(0.95, 19, x.mean(), stats.sem(x)), rel=1e-6)
    assert (got.n, got.standard_error) == (20, pytest.approx(stats.sem(x), rel=1e-6))
    low, high = cr.confidence_interval(frame, metric).confidence_interval
    half = stats.t.ppf(0.975, 19) * stats.sem(x) / x.mean()
    assert (low, high) == pytest.approx((x.mean() * np.exp(-half), x.mean() * np.exp(half)), rel=1e-6)


def test_blocks_of_a_given_width_are_taken_as_they_are() -> None:
    frame = arm(700, 1)
    got = cr.confidence_interval(frame, "events_per_second", method="t", resample="3min")
    x = blocks_by_hand(frame, 1.0, got.n)
    assert got.standard_error == pytest.approx(stats.sem(x), rel=1e-6)
    assert any("events in different blocks are taken as independent" in one for one in got.assumptions)


def test_two_rates_are_compared_by_welch_on_blocks() -> None:
    frames = arm(700, 1), arm(1000, 2)
    first, second = (scaled_by_hand(frame, 1.0) for frame in frames)
    row = cr.compare(*frames, metrics=["events_per_second"])["events_per_second"]
    welch = stats.ttest_ind(second, first, equal_var=False)
    assert row.pvalue == pytest.approx(welch.pvalue, rel=1e-6)
    assert tuple(row.confidence_interval) == pytest.approx(tuple(welch.confidence_interval()), rel=1e-6)
    assert (row.control, row.treatment) == pytest.approx((first.mean(), second.mean()))
    assert row.relative_change == pytest.approx(second.mean() / first.mean() - 1)
    low, high = row.relative_interval
    assert low < 1000 / 700 - 1 < high
    assert (row.verdict, row.next_sample) == ("different", None)
    assert cr.t_test(*frames, metric="events_per_second").pvalue == pytest.approx(welch.pvalue, rel=1e-6)
    usd = cr.compare(*frames, metrics=["usd_per_hour"], margin={"usd_per_hour": "5%"})["usd_per_hour"]
    assert usd.verdict == "worse"


def test_every_door_gives_the_same_rate() -> None:
    frame = arm(500, 3)
    exp = cr.start("rates", clock="events")
    exp.extend(frame)
    exp.stop()
    expected = exp.metrics().summary
    for data in (frame, frame.sample(frac=1, random_state=1), exp, exp.df, frame.reset_index()):
        summary = (data if isinstance(data, cr.Experiment) else data.crucible).metrics().summary
        for metric, number in {
            "events_per_second": summary.events_per_second,
            "output_tokens_per_second": summary.output_tokens_per_second,
            "total_tokens_per_second": summary.tokens_per_second,
            "usd_per_hour": summary.cost_per_hour,
        }.items():
            if metric != "total_tokens_per_second" or isinstance(data, cr.Experiment):
                assert cr.confidence_interval(data, metric).estimate == pytest.approx(number, rel=1e-9), metric
        assert summary.events_per_second == pytest.approx(expected.events_per_second, rel=1e-9)
    chosen = "latency_ms > 300"
    rate = exp.metrics(where=chosen).summary.events_per_second
    assert cr.confidence_interval(exp, "events_per_second", where=chosen).estimate == pytest.approx(rate)
    assert frame[frame.latency_ms > 300].crucible.metrics().summary.events_per_second == pytest.approx(rate)


def test_a_live_run_divides_by_its_active_time_by_every_door() -> None:
    seconds = iter([0, *range(20), 20, 50, *range(50, 60), *[70] * 50])
    exp = cr.start("wall", clock=lambda: int(next(seconds) * 1e9))
    for _ in range(20):
        exp.record("call", latency_ms=100.0)
    exp.pause()
    exp.resume()
    for _ in range(10):
        exp.record("call", latency_ms=100.0)
    exp.stop()
    assert exp.metrics().summary.active_seconds == 40
    assert exp.metrics().summary.events_per_second == 0.75
    assert exp.df.crucible.metrics().summary.events_per_second == 0.75
    assert cr.confidence_interval(exp, "events_per_second").estimate == pytest.approx(0.75)
    assert exp.df.iloc[:20].crucible.metrics().summary.seconds == pytest.approx(19.1)


def test_sampled_events_count_all_events() -> None:
    with cr.start("kept", clock="events", sampling="uniform", sampling_config={"rate": 0.3}, seed=1) as exp:
        exp.extend(arm(1000, 4))
    rate = exp.metrics().summary.events_per_second
    got = cr.confidence_interval(exp, "events_per_second")
    assert got.estimate == pytest.approx(rate, rel=1e-9)
    assert got.confidence_interval.low < rate < got.confidence_interval.high
    usd = cr.confidence_interval(exp, "usd_per_hour")
    assert usd.confidence_interval.low < exp.metrics().summary.cost_per_hour < usd.confidence_interval.high


def test_blocks_may_have_a_width_and_drift_is_told() -> None:
    frame = arm(2000, 5)
    assert cr.confidence_interval(frame, "events_per_second", resample="1min").n == 60
    times = T0 + pd.to_timedelta(3600 * np.sqrt(np.linspace(0, 1, 1000)), unit="s")
    drifting = cr.confidence_interval(pd.DataFrame(index=times), "events_per_second")
    assert any("so the rate drifts" in warning for warning in drifting.warnings)
    assert "20 blocks of time" in drifting.text


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: cr.confidence_interval(arm(100, 1).reset_index(drop=True), "events_per_second"), "needs rows with times"),
        (lambda: cr.confidence_interval(arm(9, 1), "events_per_second"), "at least 10 events with a value, data has 9"),
        (lambda: cr.confidence_interval([1.0] * 20, "events_per_second"), "needs rows with times"),
        (lambda: cr.confidence_interval(arm(100, 1), "events_per_second", resample="1h"), "at least 10 blocks"),
        (lambda: cr.compare(np.ones(20), np.ones(20), metrics=["events_per_second"]), "needs to be a DataFrame"),
        (lambda: cr.t_test(arm(20, 1), arm(20, 2), metric="events_per_second", paired=True), "no value per row"),
        (lambda: cr.confidence_sequence(arm(20, 1), metric="usd_per_hour"), "no confidence sequence"),
    ],
)  # fmt: skip
def test_what_has_no_rate_is_refused(call: Any, match: str) -> None:
    with pytest.raises(cr.StatError, match=match):
        call()


@pytest.mark.check
@pytest.mark.parametrize("name", simulate_rates.ARRIVALS)
def test_intervals_cover(name: str) -> None:
    one, two = simulate_rates.coverage(name, 400, 800)
    assert 0.92 <= one <= 0.98
    assert 0.92 <= two <= 0.98


def test_spending_is_better_down_and_other_amounts_have_no_direction() -> None:
    frames = [arm(300, seed).assign(revenue_usd=lambda frame: frame.cost_usd) for seed in (1, 2)]
    result = cr.compare(*frames, metrics=["usd_per_hour", "revenue_usd", "events_per_second", "error_rate"])
    assert [row.direction for row in result.values()] == ["down", None, None, "down"]
