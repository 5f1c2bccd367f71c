"""Adaptive sampling: a higher rate around anomalies, then the base rate again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.sampling import Adaptive, sample
from crucible_nb.sampling.adaptive import ControlChart


def quiet(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(6, 0.3, n)


def rates(sampler: Adaptive, **columns: Any) -> np.ndarray:
    return sampler.begin(0).rates(EventColumns.of_frame(pd.DataFrame(columns)))


def test_the_first_events_are_all_kept() -> None:
    got = rates(Adaptive(0.1, min_samples=300), latency_ms=quiet(1000))
    assert (got[:300] == 1).all()
    assert (got[300:] == 0.1).all()


def test_the_rate_rises_with_the_event_that_trips_stays_and_falls_back() -> None:
    latency = quiet(3000)
    latency[2000] = 1e6
    got = rates(Adaptive(0.05, anomaly_rate=0.8, cooldown=30), latency_ms=latency)
    assert (got[1000:2000] == 0.05).all()
    assert (got[2000:2031] == 0.8).all()
    assert (got[2060:] == 0.05).all()  # the recent mean takes some events to come down


def test_a_burst_that_no_single_value_gives_away_trips_too() -> None:
    latency = np.random.default_rng(0).lognormal(6, 1, 6000)
    latency[4000:4200] *= 4
    got = rates(Adaptive(0.05), latency_ms=latency)
    assert (got[4010:4050] == 1).all()
    assert (got[4010:4200] == 1).mean() > 0.7
    assert (got[1000:4000] == 0.05).mean() > 0.97
    assert (got[4400:] == 0.05).mean() > 0.9


def test_a_level_shift_becomes_normal() -> None:
    latency = np.concatenate([quiet(3000), quiet(3000, 1) * 10])
    got = rates(Adaptive(0.05), latency_ms=latency)
    assert (got[3000:3050] == 1).all()
    assert (got[-2000:] == 0.05).all()


def test_the_verdict_of_detectors_is_read_where_there_is_one() -> None:
    flags = np.zeros(2000, bool)
    flags[1500] = True
    latency = quiet(2000)
    latency[1200] = 1e9  # the detectors did not mind
    got = rates(Adaptive(0.05, min_samples=0, cooldown=10), latency_ms=latency, anomaly=flags)
    assert np.flatnonzero(got == 1).tolist() == list(range(1500, 1511))


def test_a_column_of_no_detector_is_no_verdict() -> None:
    latency = quiet(2000)
    latency[1500] = 1e9
    frame = {"anomaly": np.zeros(2000, bool), "anomaly_score": np.full(2000, np.nan), "latency_ms": latency}
    assert (rates(Adaptive(0.05), **frame)[1500:1551] == 1).all()


def test_errors_are_kept_in_quiet_times_where_that_is_asked_for() -> None:
    success = pd.array([True, False, None] * 500, dtype="boolean")
    got = rates(Adaptive(0.2, min_samples=0, stratified_rates={"error": 1.0, "success": 0.1}), success=success)
    assert got[:3].tolist() == [0.1, 1.0, 0.2]


def test_constant_and_missing_metrics_trip_nothing() -> None:
    got = rates(Adaptive(0.1, min_samples=0), latency_ms=np.full(500, 7.0), cost_usd=np.full(500, np.nan))
    assert (got == 0.1).all()
    assert (rates(Adaptive(0.1, min_samples=0), latency_ms=np.zeros(500)) == 0.1).all()


def test_the_control_scores_against_the_past_only() -> None:
    """An exact recomputation, one value at a time."""
    x = quiet(400, 3)
    x[300:] *= 1.5
    tripped, mean, variance, recent = [], np.log(x[0]), 0.0, np.log(x[0])
    for i, value in enumerate(np.log(x)):
        recent = 0.9 * recent + 0.1 * value
        sd = max(np.sqrt(variance), 0.01)
        far = max((value - mean) / 1.25, (recent - mean) / np.sqrt(0.1 / 1.9))
        tripped.append(bool(far > 3 * sd and i >= 32))
        variance = 0.995 * (variance + 0.005 * (value - mean) ** 2)
        mean = 0.995 * mean + 0.005 * value
    assert ControlChart(3.0).detect(x).tolist() == tripped
    assert 3 < sum(tripped) < 200


def test_numbers_stay_unbiased_through_incidents() -> None:
    rng = np.random.default_rng(1)
    latency = rng.lognormal(6, 0.5, 4000)
    latency[2500:2600] *= 20
    frame = pd.DataFrame({"latency_ms": latency})
    sampler = Adaptive(0.05, min_samples=200)
    totals = [(rows.weight * rows.latency_ms).sum() for rows in (sample(frame, sampler, seed) for seed in range(300))]
    assert abs(np.mean(totals) - latency.sum()) < 4 * np.std(totals) / np.sqrt(300)
    rows = sample(frame, sampler)
    assert set(range(2505, 2600)) <= set(rows.index)  # the whole incident is there


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"base_rate": 0}, "base_rate=0"),
        ({"anomaly_rate": 2}, "anomaly_rate=2"),
        ({"min_samples": -1}, "min_samples=-1"),
        ({"metrics": "latency_ms"}, "metrics="),
        ({"stratified_rates": {"errors": 1.0}}, "stratified_rates="),
        ({"stratified_rates": {"error": 3}}, r"stratified_rates\['error'\]=3"),
    ],
)
def test_bad_arguments_are_named(config: dict[str, Any], said: str) -> None:
    with pytest.raises(cr.ConfigError, match=said):
        Adaptive(**config)
