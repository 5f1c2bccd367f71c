"""Time blocks: equal to pandas `resample`; notes on correlated neighbours."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import signal

import crucible_nb as cr
from crucible_nb.stats.samples.blocks import (
    autocorrelated_size,
    block_rows,
    block_values,
    correlation_warning,
    lag1,
    neighbours,
    sample_of,
)
from crucible_nb.stats.samples.values import values_of
from tests.stats import oracle


def trace(n: int = 3000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    times = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(np.cumsum(rng.exponential(1.0, n)), unit="s")
    frame = pd.DataFrame({"latency_ms": rng.lognormal(6, 1, n), "cost_usd": rng.random(n)}, index=times)
    return frame.assign(success=rng.random(n) < 0.9)


def series(n: int = 4000, r: float = 0.7, seed: int = 0) -> pd.Series:
    noise = np.random.default_rng(seed).normal(size=n)
    x = signal.lfilter([1.0], [1.0, -r], noise)
    return pd.Series(x, pd.date_range("2025-01-01", periods=n, freq="s"))


def test_blocks_are_those_of_resample() -> None:
    frame = trace()
    by = frame.resample("1min")
    for metric, wanted in {
        "p95_latency_ms": by.latency_ms.quantile(0.95),
        "total_cost_usd": by.cost_usd.sum().iloc[1:-1],  # of the first and the last minute only a part was seen
    }.items():
        values = block_values(frame, metric, "data", "1min")
        np.testing.assert_allclose(values.x, wanted.dropna(), rtol=1e-12)
        assert values.metric.kind == "mean"
        assert values.plain


def bursts() -> pd.DataFrame:
    """An hour of which every tenth minute has 200 slow calls, the others 10 fast ones."""
    rng = np.random.default_rng(3)
    sizes = [200 if minute % 10 == 0 else 10 for minute in range(60)]
    slow = np.repeat([size > 10 for size in sizes], sizes)
    start = np.repeat(pd.date_range("2025-01-01", periods=60, freq="min", tz="UTC"), sizes)
    times = start + pd.to_timedelta(rng.random(len(slow)) * 60, unit="s")
    n = len(slow)
    frame = pd.DataFrame(
        {
            "latency_ms": np.where(slow, 1000, 100) * rng.lognormal(0, 0.3, n),
            "success": rng.random(n) < np.where(slow, 0.8, 0.98),
            "cost_usd": rng.random(n),
        },
        index=times,
    )
    return frame.sort_index()


@pytest.mark.parametrize("metric", ["mean_latency_ms", "success_rate", "p95_latency_ms", "cost_per_success"])
def test_the_estimate_is_that_of_the_events_and_the_error_that_of_blocks(metric: str) -> None:
    frame = bursts()
    blocks = cr.confidence_interval(frame, metric, resample="1min")
    clusters = cr.confidence_interval(frame.assign(minute=frame.index.floor("1min")), metric, cluster="minute")
    events = {
        "mean_latency_ms": frame.latency_ms.mean(), "success_rate": frame.success.mean(),
        "p95_latency_ms": frame.latency_ms.quantile(0.95), "cost_per_success": frame.cost_usd.sum() / frame.success.sum(),
    }  # fmt: skip
    assert blocks.estimate == pytest.approx(events[metric], rel=1e-12)
    assert tuple(blocks.confidence_interval) == pytest.approx(tuple(clusters.confidence_interval), rel=1e-12)
    assert blocks.n == 60


def test_weights_count_within_a_block() -> None:
    frame = trace()
    frame["weight"] = np.random.default_rng(1).integers(1, 5, len(frame)).astype(float)
    every = frame.loc[frame.index.repeat(frame.weight.astype(int))].drop(columns="weight")
    for metric in ("p50_latency_ms", "total_cost_usd"):
        ours, theirs = (block_values(data, metric, "data", "2min").x for data in (frame, every))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_minute_without_events_has_no_median_and_a_total_of_0() -> None:
    frame = trace()
    minute = frame.index.floor("1min")
    away = minute.unique()[5:9]
    frame = frame[~minute.isin(away)]
    medians, totals = (block_values(frame, metric, "data", "1min").x for metric in ("p50_cost_usd", "total_cost_usd"))
    blocks = len(frame.resample("1min").size())
    assert len(medians) == blocks - 4
    assert len(totals) == blocks - 2
    assert (totals[4:8] == 0).all()
    assert (medians > 0).all()


def test_a_minute_whose_values_are_all_missing_has_no_total() -> None:
    frame = trace()
    minute = frame.index.floor("1min")
    frame.loc[minute == minute.unique()[5], "cost_usd"] = np.nan
    blocks = len(frame.resample("1min").size())
    assert len(block_values(frame, "total_cost_usd", "data", "1min").x) == blocks - 3
    assert block_rows(frame, "cost_usd", "data", "1min").n == blocks - 1


@pytest.mark.parametrize("metric", ["mean_latency_ms", "p50_latency_ms", "total_cost_usd", "cost_per_success"])
def test_order_and_missing_times_do_not_matter(metric: str) -> None:
    frame = trace()
    mixed = frame.sample(frac=1, random_state=1)
    nameless = pd.concat([mixed, mixed.iloc[:3].set_axis(pd.DatetimeIndex([pd.NaT] * 3, tz="UTC"))])
    wanted = sample_of(frame, metric, resample="1min")
    for data in (mixed, nameless):
        found = sample_of(data, metric, resample="1min")
        np.testing.assert_allclose(found.x, wanted.x, rtol=1e-12)
        assert found.notes == wanted.notes


def test_series_and_missing_values() -> None:
    frame = trace()
    frame.loc[frame.index[::3], "latency_ms"] = np.nan
    of_series, of_frame = (block_rows(data, "latency_ms", "data", "1min") for data in (frame.latency_ms, frame))
    np.testing.assert_array_equal(of_series.x, of_frame.x)
    np.testing.assert_array_equal(of_series.cluster, of_frame.cluster)
    assert of_frame.n == frame.latency_ms.resample("1min").mean().notna().sum()
    assert of_frame.missing == 1000


def test_nullable_columns() -> None:
    frame = trace().assign(success=lambda d: d.success.astype("boolean"))
    frame.iloc[::4, frame.columns.get_loc("success")] = pd.NA
    assert cr.confidence_interval(frame, resample="1min").estimate == pytest.approx(frame.success.mean())


def test_blocks_of_equal_size_are_compared_by_their_means() -> None:
    x = series()
    found = cr.confidence_interval(x, "score", resample="100s")
    blocks = x.resample("100s").mean()
    assert (found.n, found.method, found.of) == (40, "t", "process")
    assert found.estimate == pytest.approx(blocks.mean(), rel=1e-12)
    assert found.standard_error == pytest.approx(blocks.sem(), rel=1e-12)
    assert found.assumptions[0] == (
        "4,000 events in 40 blocks of 100s; the estimate is that of the events, its error is between blocks"
    )
    assert re.fullmatch(r"neighbouring events correlate \(0.7\d?\): they are worth about \d+ independent ones", found.assumptions[1])  # fmt: skip
    assert "40 blocks of 100s" in found.text


def test_blocks_that_still_correlate_are_warned_of() -> None:
    slow = series(r=0.99)
    found = cr.confidence_interval(slow, "score", resample="20s")
    assert any("neighbouring blocks still correlate" in one for one in found.warnings)
    few = cr.confidence_interval(series(), "score", resample="300s")
    assert any("14 blocks are worth 13.6 of equal size" in one for one in few.warnings)


def test_blocks_of_few_rows_are_warned_of() -> None:
    found = cr.t_test(trace(), trace(seed=1), "p95_latency_ms", resample="30s")
    assert any("p95_latency_ms of fewer than 100 is biased" in one for one in found.warnings)


def test_blocks_without_a_success_count_in_the_ratio() -> None:
    frame = trace()
    minute = frame.index.floor("1min")
    frame.loc[minute.isin(minute.unique()[5:8]), "success"] = False
    found = cr.confidence_interval(frame, "cost_per_success", resample="1min")
    assert found.estimate == pytest.approx(frame.cost_usd.sum() / frame.success.sum(), rel=1e-12)
    assert found.n == len(frame.resample("1min").size())


def test_rows_that_resemble_their_neighbours_are_warned_of() -> None:
    x = series()
    for data in (x, x.to_frame("score"), x.to_frame("score").sample(frac=1, random_state=0)):
        found = cr.confidence_interval(data, "score")
        assert len(found.warnings) == 1
        assert "of them are worth about" in found.warnings[0]
        assert 'use resample="1min"' in found.warnings[0]
    assert cr.confidence_interval(x, "p50_score").warnings[0].startswith("neighbouring events correlate (0.")
    assert cr.confidence_interval(x.to_numpy(), "score").warnings == ()  # nobody said that a list is in order
    shuffled = x.reset_index(drop=True).sample(frac=1, random_state=0)
    assert cr.confidence_interval(shuffled, "score").warnings == ()
    clustered = x.to_frame("score").assign(session_id=np.arange(len(x)) // 100)
    assert cr.confidence_interval(clustered, "score", cluster="session_id").warnings == ()
    assert cr.confidence_interval(x, "score", of="run").warnings == ()


def test_rows_that_do_not_are_said_not_to() -> None:
    found = cr.confidence_interval(trace(), "p50_latency_ms")
    assert re.fullmatch(r"rows are taken as independent; neighbours do not correlate more than by chance \(-?0.0\d?\d?\)", found.assumptions[0])  # fmt: skip


def test_neighbours_of_a_ratio_are_judged_by_their_distance_from_it() -> None:
    rng = np.random.default_rng(0)
    size = np.repeat(rng.lognormal(0, 1, 200), 10)  # sizes come in runs, the ratio does not
    frame = pd.DataFrame({"tokens": size * rng.lognormal(0, 0.2, 2000), "s": size})
    assert neighbours(frame, "tokens_per_s", values_of(frame, "tokens_per_s"), 1.02)[0] is None
    assert neighbours(frame, "tokens", values_of(frame, "tokens"), 1.02)[0] is not None


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"data": trace().reset_index(drop=True), "resample": "1min"}, cr.StatError, "needs a DatetimeIndex"),
        ({"data": [1.0] * 50, "resample": "1min"}, cr.StatError, "needs a DatetimeIndex, got list"),
        ({"data": trace(), "resample": "1h"}, cr.StatError, "expected at least 10 blocks with a value, data has 1"),
        ({"data": trace(), "resample": "soon"}, cr.ConfigError, "resample='soon'"),
        ({"data": trace(), "resample": 50}, cr.ConfigError, "resample=50"),
        ({"data": trace(), "resample": "1min", "of": "run"}, cr.ConfigError, "'process' or None with resample"),
        ({"data": trace(), "resample": "1min", "cluster": "success"}, cr.ConfigError, "expected one of them, got both"),
    ],
)
def test_what_is_refused(arguments: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        cr.confidence_interval(**{"metric": "latency_ms", **arguments})


def test_sample_of_gives_rows_or_blocks() -> None:
    assert sample_of(trace(), "latency_ms").notes == ()
    assert sample_of(trace(), "latency_ms", resample="1min").n < 60
    assert len(sample_of(trace(), "total_cost_usd", resample="1min").x) < 60


def test_correlation_of_neighbours() -> None:
    assert np.isnan(lag1(np.array([1.0, 2.0])))
    assert np.isnan(lag1(np.ones(10)))
    x = np.random.default_rng(0).normal(size=200)
    wanted = float(np.sum((x[:-1] - x.mean()) * (x[1:] - x.mean())) / np.sum((x - x.mean()) ** 2))
    assert lag1(x) == pytest.approx(wanted, rel=1e-12)
    assert correlation_warning(x, lag1(x)) is None
    assert correlation_warning(np.array([1.0, 2.0, 3.0, 4.0]), 0.25) is None  # four values say nothing
    assert autocorrelated_size(100, -0.5) == 100.0


@pytest.mark.parametrize("name", ["lottery", "lew", "mavro", "numacc1", "numacc2", "numacc3"])
def test_certified_autocorrelations(shared_data: Path, name: str) -> None:
    entry = oracle.entry(shared_data, f"nist_strd_univariate_{name}")
    text = gzip.decompress((shared_data / entry["inputs"]["file"]).read_bytes()).decode()
    x = np.array(
        [float(line) for line in text.splitlines() if re.fullmatch(r"\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?\s*", line)]
    )
    found = cr.confidence_interval(x, "y", method="t")
    sd = found.standard_error * np.sqrt(found.n)
    oracle.agrees({"n": found.n, "mean": found.estimate, "sd": sd, "lag1_autocorrelation": lag1(x)}, entry)
