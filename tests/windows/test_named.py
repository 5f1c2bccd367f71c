"""Metrics by name in windows, against pandas' resample and groupby."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr

N = 3000


def rows(*, shuffled: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    times = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.sort(rng.integers(0, 3600 * 10**9, N)), unit="ns")
    success = pd.array(rng.random(N) < 0.8, "boolean")
    success[rng.random(N) < 0.1] = None
    frame = pd.DataFrame(
        {
            "latency_ms": np.where(rng.random(N) < 0.1, np.nan, rng.lognormal(6, 1, N)),
            "loss": rng.normal(0, 1, N),
            "tokens": rng.integers(1, 9, N).astype(float),
            "cost_usd": rng.exponential(0.01, N),
            "success": success,
            "service": rng.choice(["a", "b"], N),
        },
        index=pd.DatetimeIndex(times, name="time"),
    )
    frame.iloc[500:900, 1] = np.nan  # some windows without a loss
    return frame.sample(frac=1, random_state=0) if shuffled else frame


def good(part: pd.DataFrame) -> float:
    known = ((part.latency_ms < 500).astype("boolean").mask(part.latency_ms.isna()) & part.success).dropna()
    return float(known.mean()) if len(known) else np.nan


def known(column: str, at: int) -> Callable[[pd.DataFrame], float]:
    return lambda part: float(part[column].dropna().iloc[at]) if part[column].notna().any() else np.nan


def ratio(part: pd.DataFrame) -> float:
    both = part[["cost_usd", "tokens"]].dropna()
    return float(both.cost_usd.sum() / both.tokens.sum()) if len(both) else np.nan


METRICS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "max_loss": lambda part: part.loss.max(),
    "min_loss": lambda part: part.loss.min(),
    "first_loss": known("loss", 0),
    "last_loss": known("loss", -1),
    "p90_loss": lambda part: part.loss.quantile(0.9),
    "median_latency_ms": lambda part: part.latency_ms.median(),
    "p99.9_latency_ms": lambda part: part.latency_ms.quantile(0.999),
    "mean_cost_usd": lambda part: part.cost_usd.mean(),
    "total_tokens_seen": lambda part: np.nan,
    "share(latency_ms < 500 and success)": good,
    "error_rate": lambda part: float((~part.success.dropna()).mean()) if part.success.notna().any() else np.nan,
    "cost_usd_per_tokens": ratio,
    "failure_count": lambda part: float((part.success == False).sum()),  # noqa: E712
}
del METRICS["total_tokens_seen"]


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_windows_equal_resample(metric: str, shuffled: bool) -> None:
    frame = rows()
    table = rows(shuffled=shuffled).crucible.windowed_metrics("1min", columns=[metric])
    expected = frame.resample("1min").apply(METRICS[metric])
    np.testing.assert_allclose(table[metric].to_numpy(float), expected.to_numpy(float), rtol=1e-9)
    sliding = frame.crucible.windowed_metrics("5min", "1min", columns=[metric])
    by_hand = [
        METRICS[metric](frame[(frame.index >= start) & (frame.index < end)])
        for start, end in zip(sliding.index, sliding.window_end, strict=True)
    ]
    np.testing.assert_allclose(sliding[metric].to_numpy(float), np.array(by_hand, float), rtol=1e-9)


@pytest.mark.parametrize("metric", ["max_loss", "last_loss", "share(latency_ms < 500 and success)", "p90_loss"])
def test_groups_equal_groupby(metric: str) -> None:
    frame = rows()
    table = frame.crucible.windowed_metrics("10min", by="service", columns=metric)
    for service, part in frame.groupby("service"):
        expected = part.resample("10min").apply(METRICS[metric])
        got = table.xs(service, level="service")[metric]
        np.testing.assert_allclose(got.to_numpy(float), expected.to_numpy(float), rtol=1e-9)


def test_rates_are_divided_by_the_time_that_was_observed() -> None:
    times = pd.date_range("2026-01-01 00:00:30", periods=91, freq="s", tz="UTC")
    frame = pd.DataFrame(
        {"latency_ms": 5_000.0, "cost_usd": 0.01, "service": ["a", "b", "b"] * 30 + ["a"]}, index=times
    )
    table = frame.crucible.windowed_metrics("1min", columns=["events_per_second", "usd_per_hour"])
    assert table.events_per_second.tolist() == pytest.approx([30 / 35, 1.0, np.nan], nan_ok=True)
    assert table.usd_per_hour.tolist() == pytest.approx([30 / 35 * 36, 36.0, np.nan], nan_ok=True)
    groups = frame.crucible.windowed_metrics("1min", by="service", columns="events_per_second")
    assert groups.events_per_second.groupby("window_start").sum().tolist()[:2] == pytest.approx([30 / 35, 1.0])


def test_weights_count() -> None:
    frame = rows().assign(weight=3.0)
    plain = rows().crucible.windowed_metrics("10min", columns=["events_per_second", "share(loss > 0)", "error_rate"])
    heavy = frame.crucible.windowed_metrics("10min", columns=["events_per_second", "share(loss > 0)", "error_rate"])
    np.testing.assert_allclose(heavy.events_per_second, 3 * plain.events_per_second)
    np.testing.assert_allclose(heavy["share(loss > 0)"], plain["share(loss > 0)"])


def test_columns_still_mean_themselves_and_others_are_refused() -> None:
    frame = rows().rename(columns={"loss": "max_loss"})
    table = frame.crucible.windowed_metrics("10min", columns=["max_loss"])
    assert "p99_max_loss" in table.columns
    for name, match in {
        "nothing": "no such column",
        "max_nothing": "no such column",
        "share(nothing > 1)": "no such column",
        "Max_max_loss": "expected success_rate",
    }.items():
        with pytest.raises(cr.SchemaError, match=match):
            frame.crucible.windowed_metrics("10min", columns=[name])
    empty = frame.iloc[:0].crucible.windowed_metrics("10min", columns=["max_max_loss", "events_per_second"])
    assert empty.columns[-2:].tolist() == ["max_max_loss", "events_per_second"]
