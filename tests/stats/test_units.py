"""`unit=`: the metric of each session or user first, against pandas' groupby, then the interval over them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

import crucible_nb as cr


def calls(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = 600
    sessions = rng.integers(0, 80, n)
    success = pd.array(rng.random(n) < 0.93, "boolean")
    success[rng.random(n) < 0.05] = None
    frame = pd.DataFrame(
        {
            "session_id": pd.Series(sessions).map("s{}".format),
            "user_id": pd.Series(sessions % 30).map("u{}".format),
            "latency_ms": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(6, 1, n)),
            "cost_usd": rng.exponential(0.01, n),
            "total_tokens": rng.integers(1, 9, n),
            "success": success,
        },
    )
    frame.index = pd.date_range("2026-01-01", periods=n, freq="s", tz="UTC", name="time")
    return frame


def seconds(part: pd.DataFrame) -> float:
    """Time from the first start of a unit to its last completion."""
    begins = part.index - pd.to_timedelta(part.latency_ms.fillna(0), unit="ms")
    return float((part.index.max() - begins.min()).total_seconds()) or np.nan


MEANS: dict[str, Any] = {
    "total_cost_usd": lambda part: part.cost_usd.sum(),
    "event_count": len,
    "mean_latency_ms": lambda part: part.latency_ms.mean(),
    "latency_ms": lambda part: part.latency_ms.mean(),
    "max_latency_ms": lambda part: part.latency_ms.max(),
    "min_latency_ms": lambda part: part.latency_ms.min(),
    "last_cost_usd": lambda part: part.cost_usd.iloc[-1],
    "first_cost_usd": lambda part: part.cost_usd.iloc[0],
    "cost_usd_per_total_tokens": lambda part: part.cost_usd.sum() / part.total_tokens.sum(),
    "p90_latency_ms": lambda part: part.latency_ms.quantile(0.9),
    "events_per_second": lambda part: len(part) / seconds(part),
    "usd_per_hour": lambda part: part.cost_usd.sum() / seconds(part) * 3600,
    "failure_count": lambda part: (part.success == False).sum() if part.success.notna().any() else np.nan,  # noqa: E712
}


@pytest.mark.parametrize("metric", MEANS)
@pytest.mark.parametrize("unit", ["session_id", "user_id"])
def test_means_over_units_are_students_t_on_groupby(metric: str, unit: str) -> None:
    frame = calls()
    x = pd.Series([float(MEANS[metric](part)) for _, part in frame.groupby(unit)]).dropna()
    for data in (frame, frame.sample(frac=1, random_state=1)):
        got = cr.confidence_interval(data, metric, method="t", unit=unit)
        assert got.estimate == pytest.approx(x.mean())
        assert tuple(got.confidence_interval) == pytest.approx(
            stats.t.interval(0.95, len(x) - 1, x.mean(), stats.sem(x))
        )
        assert (got.n, got.metric) == (len(x), f"{metric} per {unit}")
        assert f"{len(x)} values of {unit}" in got.text


def all_good(part: pd.DataFrame) -> float:
    known = part.success.dropna()
    return 0.0 if not known.all() else 1.0 if len(known) == len(part) else np.nan


def test_all_good_is_a_share_of_units() -> None:
    frame = calls()
    good = pd.Series([all_good(part) for _, part in frame.groupby("session_id")])
    got = cr.confidence_interval(frame, "success_rate", unit="session_id")
    assert (got.method, got.n, got.missing) == ("wilson", int(good.notna().sum()), int(good.isna().sum()))
    expected = proportion_confint(int(good.sum()), got.n, method="wilson")
    assert tuple(got.confidence_interval) == pytest.approx(expected)
    bad = cr.confidence_interval(frame, "error_rate", unit="session_id")
    assert bad.estimate == pytest.approx(1 - got.estimate)
    fast = cr.confidence_interval(frame, "share(latency_ms < 2000)", unit="session_id")
    known = frame.latency_ms.dropna().lt(2000).groupby(frame.session_id).all()
    slow_or_known = [
        bool(known.get(name, True))
        for name, part in frame.groupby("session_id")
        if part.latency_ms.notna().all() or not known.get(name, True)
    ]
    assert fast.estimate == pytest.approx(np.mean(slow_or_known))


def test_calls_that_are_all_one_are_a_mean() -> None:
    frame = pd.DataFrame({"session_id": [1, 2, 3], "latency_ms": [1.0, 2.0, 3.0]})
    got = cr.confidence_interval(frame, "event_count", unit="session_id")
    assert (got.estimate, got.method) == (1.0, "log")


def test_units_may_lie_in_clusters_groups_and_conditions() -> None:
    frame = calls()
    clustered = cr.confidence_interval(frame, "total_cost_usd", unit="session_id", cluster="user_id")
    by_hand = frame.groupby("session_id").agg(cost_usd=("cost_usd", "sum"), user_id=("user_id", "first"))
    expected = cr.confidence_interval(by_hand, "cost_usd", cluster="user_id")
    assert tuple(clustered.confidence_interval) == pytest.approx(tuple(expected.confidence_interval))
    frame["device"] = np.where(frame.user_id.str[-1] == "1", "phone", "desk")
    groups = cr.confidence_interval(frame, "total_cost_usd", unit="session_id", by="device")
    part = cr.confidence_interval(frame[frame.device == "phone"], "total_cost_usd", unit="session_id")
    assert groups["phone"].estimate == part.estimate
    where = cr.confidence_interval(frame, "total_cost_usd", unit="session_id", where="device == 'phone'")
    assert where.estimate == part.estimate
    missing = frame.assign(session_id=frame.session_id.mask(np.arange(len(frame)) < 10))
    note = cr.confidence_interval(missing, "event_count", unit="session_id").assumptions
    assert "10 rows without session_id are left out" in note


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: cr.confidence_interval(calls().reset_index(drop=True), "usd_per_hour", unit="session_id"), "with times"),
        (lambda: cr.confidence_interval(calls(), "cost_usd", unit="nobody"), "no such column"),
        (lambda: cr.confidence_interval([1.0, 2.0], "cost_usd", unit="x"), "expected a DataFrame"),
        (lambda: cr.confidence_interval(calls().assign(weight=2.0), "cost_usd", unit="session_id"), "not complete"),
        (lambda: cr.confidence_interval(calls(), "cost_usd", unit="session_id", resample="1min"), "got both"),
    ],
)  # fmt: skip
def test_what_has_no_units_is_refused(call: Any, match: str) -> None:
    with pytest.raises(cr.CrucibleError, match=match):
        call()


def test_rates_of_groups_are_those_of_metrics() -> None:
    frame = calls()
    frame["service"] = np.where(np.arange(len(frame)) < 100, "early", "late")
    rates = cr.confidence_interval(frame, "events_per_second", by="service")
    metrics = frame.crucible.metrics(by="service")
    for service in ("early", "late"):
        assert rates[service].estimate == pytest.approx(metrics[service].summary.events_per_second)
