"""Rules are a function of the events and their clock: however events are batched, looked at, stored or read again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from tests.conftest import NOON, SECOND
from tests.laws.test_resume import die
from tests.tiers import seeds

pytestmark = pytest.mark.untraced

RULES = [
    "error_rate > 0.3 over 1min",
    "success_rate < 0.6 over 2min",
    "p95_latency_ms > 400 over 1min",
    "p50_latency_ms <= 90 over 30s",
    "max_latency_ms > 900 over 5min",
    "mean_latency_ms > 150 over 1min",
    "total_cost_usd >= 1.5 over 1min",
    "cost_per_hour > 80 over 2min",
    "event_count < 1 over 1min",
    "events_per_second > 1.2 over 30s",
    "failure_count >= 20",
    "total_cost_usd > 7",
    "mean_latency_ms > 140",
    "p90_latency_ms >= 300",
    "cost_per_hour > 45",
    "events_per_second < 0.64",
]


def events(seed: int, n: int = 600) -> pd.DataFrame:
    """Ten to twenty minutes with an outage, a silence, late events, missing values and ties."""
    rng = np.random.default_rng(seed)
    second = np.cumsum(rng.integers(0, 4, n))
    second[n // 2 :] += 200
    late = rng.random(n) < 0.03
    second = np.where(late, np.maximum(0, second - rng.integers(0, 90, n)), second)
    outage = slice(n // 3, n // 3 + 60)
    latency, success = np.round(rng.lognormal(4.6, 0.5, n)), rng.random(n) < 0.9
    latency[outage] *= 6
    success[outage] = rng.random(60) < 0.3
    frame = pd.DataFrame(
        {
            "latency_ms": np.where(rng.random(n) < 0.1, np.nan, latency),
            "success": pd.array(success, dtype="boolean"),
            "cost_usd": np.round(rng.random(n) * 0.04, 3),
        },
        index=pd.DatetimeIndex(NOON + second * SECOND, tz="UTC"),
    )
    frame.loc[rng.random(n) < 0.1, "success"] = pd.NA
    return frame


def told(exp: cr.Experiment) -> list[tuple[pd.Timestamp, str]]:
    alerts = exp.alerts()
    return sorted((time, reason.split(":")[0]) for time, reason in zip(alerts.index, alerts.reason, strict=True))


def run(frame: pd.DataFrame, cuts: Sequence[int], look: Callable[[cr.Experiment], object] = lambda _: None) -> Any:
    exp = cr.start("rules", clock="events")
    for rule in RULES:
        exp.watch(rule)
    for start, stop in pairwise(cuts):
        exp.extend(frame.iloc[start:stop])
        look(exp)
    found = told(exp)
    values = exp.alerts().value.tolist()
    exp.stop()
    return found, values


@pytest.mark.seeded
def test_alerts_are_the_same_however_events_are_batched_and_looked_at() -> None:
    for seed in seeds(6):
        frame, rng = events(seed), np.random.default_rng(seed)
        whole, _ = run(frame, [0, len(frame)])
        assert len(whole) > 8
        cuts = [0, *np.sort(rng.choice(np.arange(1, len(frame)), 40, replace=False)).tolist(), len(frame)]
        assert run(frame, cuts)[0] == whole
        assert run(frame, cuts, lambda exp: (exp.should_stop, exp.metrics(last="1min"), exp.alerts()))[0] == whole


def value_of(metric: str, rows: pd.DataFrame, seconds: float) -> tuple[float, int]:
    """Return a metric of some rows, and the number of values it is made of."""
    success, latency = rows.success.dropna().astype(float), rows.latency_ms.dropna()
    if metric in ("error_rate", "success_rate"):
        rate = success.mean() if len(success) else math.nan
        return (1 - rate if metric == "error_rate" else rate), len(success)
    if metric == "failure_count":
        return float((success == 0).sum()), len(success)
    if metric in ("event_count", "events_per_second"):
        return len(rows) / (seconds if metric == "events_per_second" else 1), len(rows)
    if metric in ("total_cost_usd", "cost_per_hour"):
        total = math.fsum(rows.cost_usd) if len(rows) else math.nan
        return total / (seconds / 3600 if metric == "cost_per_hour" else 1), len(rows)
    if not len(latency):
        return math.nan, 0
    if metric.startswith("p"):
        return float(np.quantile(latency, int(metric[1:3]) / 100, method="inverted_cdf")), len(latency)
    return (math.fsum(latency) / len(latency) if metric.startswith("mean") else latency.max()), len(latency)


def first_starts(frame: pd.DataFrame) -> np.ndarray:
    """Return the first start (time - latency) of the events up to each, UTC nanoseconds."""
    starts = frame.index - pd.to_timedelta(frame.latency_ms.fillna(0), unit="ms")
    return np.minimum.accumulate(starts.astype("datetime64[ns, UTC]").array.asi8)


def by_hand(frame: pd.DataFrame, text: str) -> list[tuple[pd.Timestamp, str]]:
    """Check a rule at the end of every pane, or after every event, from all rows each time."""
    from crucible_nb.pipeline.rules import Rule

    rule, times, found, met = Rule.parse(text), frame.index.asi8, [], False  # type: ignore[attr-defined]
    began = first_starts(frame)
    width = None if rule.window is None else -(-rule.window // 30)
    newest = None if width is None else times[0] // width
    for i in range(len(frame)):
        edges = [None] if width is None else range(newest + 1, times[i] // width + 1)
        for edge in edges:
            if edge is None:
                rows, start, now = frame.iloc[: i + 1], began[i], times[i]
            else:
                now, start = edge * width, max((edge - 30) * width, began[i - 1])
                inside = (times[:i] >= (edge - 30) * width) & (times[:i] < now)
                rows = frame.iloc[:i][inside]
            newest_time = max(times[: i + 1]) if edge is None else now
            value, known = value_of(rule.metric, rows, (newest_time - start) / SECOND)
            holds = known >= rule.min_events and rule.holds(value)
            if not rule.min_events:
                holds &= now - start == 30 * width
            if holds and not met:
                found.append((pd.Timestamp(now, tz="UTC"), text))
            met = holds
        newest = None if width is None else max(newest, times[i] // width)
    return found


@pytest.mark.seeded
def test_alerts_are_those_of_checking_every_pane_by_hand() -> None:
    for seed in seeds(6, first=20):
        frame = events(seed, 300)
        found, _ = run(frame, [0, 50, 175, len(frame)])
        assert found == sorted(alert for rule in RULES for alert in by_hand(frame, rule))


@pytest.mark.parametrize("step", [1, 7, 500])
@pytest.mark.parametrize("action", ["stop", "pause"])
def test_no_event_after_the_one_that_meets_an_acting_rule_is_taken(step: int, action: str) -> None:
    frame = events(3)
    with cr.start("acts", clock="events") as exp:
        exp.watch("error_rate > 0.3 over 1min", action=action)
        for start in range(0, len(frame), step):
            exp.extend(frame.iloc[start : start + step])
        taken, status = exp.summary()["total_events"], exp.status
    (alert,) = exp.alerts().itertuples()
    assert status == {"stop": "stopped", "pause": "paused"}[action]
    assert alert.Index == by_hand(frame, "error_rate > 0.3 over 1min")[0][0]
    first = np.argmax(frame.index >= alert.Index)
    assert taken == first + 1


def test_record_answers_false_once_a_budget_is_spent() -> None:
    exp = cr.start("budget")
    exp.budget(usd=1, action="stop")
    answers = [exp.record("call", cost_usd=0.01) for _ in range(150)]
    assert answers == [True] * 100 + [False] * 50
    assert (exp.status, exp.metrics().cost.total) == ("stopped", 1.0)


def test_a_list_of_events_ends_where_the_budget_does() -> None:
    exp = cr.start("budget", clock="events")
    exp.budget(usd=1, action="stop")
    assert exp.extend([{"cost_usd": 0.3, "time": i} for i in range(10)], event="call") == 4
    assert exp.status == "stopped"


@pytest.mark.seeded
def test_a_store_read_again_tells_the_same_alerts_and_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    for seed in seeds(4, first=40):
        frame = events(seed)
        whole, _ = run(frame, [0, len(frame)])
        exp = cr.start("stored", store=tmp_path / str(seed), clock="events")
        for rule in RULES:
            exp.watch(rule)
        exp.extend(frame.iloc[:300])
        before = told(exp)
        exp.extend(frame.iloc[300:350])  # nobody looked at these
        die(exp)
        seen = told(cr.attach("stored", store=tmp_path / str(seed), mode="read"))
        assert set(before) <= set(seen) <= set(whole)
        again = cr.attach("stored", store=tmp_path / str(seed), mode="resume")
        again.extend(frame.iloc[350:])
        assert told(again) == whole
        again.stop()
