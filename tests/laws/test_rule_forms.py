"""Every form of a rule against a recomputation by hand, however events are batched, looked at, stored or read again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.pipeline.rules import Rule
from crucible_nb.testing import ManualClock
from tests.conftest import NOON, SECOND
from tests.laws.test_resume import die
from tests.laws.test_rules import events, first_starts
from tests.tiers import seeds, thinned

pytestmark = pytest.mark.untraced

FORMS = [
    "p95_ttft_ms > 500 over 1min",
    "share(latency_ms < 200 and success) < 0.6 over 2min",
    "share(service == 'chat') > 70%",
    "mean_latency_ms > 150 over 1min by service",
    "event_count < 2 over 30s by service",
    "total_retries > 30 by service",
    "error_rate > 0.3 over 2min and 30s",
    "p90_latency_ms > 300 over 2min and 1min by service",
    "burn_rate > 3 over 2min and 30s",
    "loss > 1.2 over 20 events",
    "max_loss > 3 over 15 events by service",
    "median_loss > 1.1 over 9 events",
    "last_loss > 2",
    "first_loss < 0.9",
    "min_loss not better for 12 events",
    "max_loss not better by 0.1 for 9 events by service",
    "loss is not finite",
    "cost_usd_per_latency_ms > 0.0003 over 1min",
    "cost_per_success > 0.025",
    "retries_per_minute > 40 over 1min",
    "usd_per_hour > 60 over 2min",
    "usd_per_hour > 25 by service",
]
GOAL = ("latency_ms < 200 and success", 0.8)


def calls(seed: int, n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = events(seed, n)
    frame["ttft_ms"] = np.round(frame.latency_ms * rng.random(n) * 3, 3)
    frame["loss"] = np.where(rng.random(n) < 0.4, np.nan, np.round(rng.lognormal(0, 0.6, n), 2))
    frame.loc[frame.index[n // 2], "loss"] = math.inf
    frame["retries"] = rng.integers(0, 3, n)
    frame["service"] = rng.choice(["chat", "search", None], n, p=[0.6, 0.3, 0.1])
    return frame


def told(exp: cr.Experiment) -> list[tuple[pd.Timestamp, str, str]]:
    alerts = exp.alerts()
    groups = alerts.group.where(alerts.group.notna(), "").tolist()
    return sorted(
        (time, reason.split(": it is")[0], group)
        for time, reason, group in zip(alerts.index, alerts.reason, groups, strict=True)
    )


def begin(**options: Any) -> cr.Experiment:
    exp = cr.start("forms", clock="events", **options)
    exp.slo(GOAL[0], target=GOAL[1])
    for rule in FORMS:
        exp.watch(rule)
    return exp


def run(frame: pd.DataFrame, cuts: Sequence[int], *, look: bool = False) -> Any:
    exp = begin()
    for start, stop in pairwise(cuts):
        exp.extend(frame.iloc[start:stop])
        if look:
            assert not exp.should_stop
            exp.metrics().to_dict()
    found = told(exp)
    exp.stop()
    return found


def test_values_of_metrics_are_those_of_pandas() -> None:
    rows = calls(1).iloc[:200]
    good = (rows.latency_ms < 200) & rows.success.fillna(True)
    known = ((rows.latency_ms >= 200) | rows.success.eq(False).fillna(False)) | (
        rows.latency_ms.notna() & rows.success.notna()
    )
    share = good[known & rows.latency_ms.notna()].sum() / known.sum()
    assert value_of("share(latency_ms < 200 and success)", rows, 1)[0] == pytest.approx(share)


def value_of(metric: str, rows: pd.DataFrame, seconds: float) -> tuple[float, int]:  # noqa: C901
    """Return a metric of some rows, and the number of values it is made of."""

    def kleene() -> pd.Series:
        fast = (rows.latency_ms < 200).astype("boolean").where(rows.latency_ms.notna())
        return fast & rows.success

    def quantile(column: str, q: float) -> tuple[float, int]:
        known = rows[column].dropna()
        return (float(np.quantile(known, q, method="inverted_cdf")) if len(known) else math.nan), len(known)

    if metric == "share(latency_ms < 200 and success)" or metric == "burn_rate":
        good = kleene().dropna().astype(float)
        share = good.mean() if len(good) else math.nan
        return (round(1 - share, 12) / 0.2 if metric == "burn_rate" else share), len(good)
    if metric == "share(service == 'chat')":
        named = rows.service.dropna()
        return (named.eq("chat").mean() if len(named) else math.nan), len(named)
    if metric in ("cost_usd_per_latency_ms", "cost_per_success"):
        per = "latency_ms" if metric.endswith("ms") else "success"
        both = rows.dropna(subset=["cost_usd", per])
        below = math.fsum(both[per].astype(float))
        return (math.fsum(both.cost_usd) / below if below else math.nan), len(both)
    if metric in ("retries_per_minute", "usd_per_hour"):
        column, unit = ("retries", 60) if metric[0] == "r" else ("cost_usd", 3600)
        return (math.fsum(rows[column]) / (seconds / unit) if len(rows) else math.nan), len(rows)
    if metric == "error_rate":
        known = rows.success.dropna().astype(float)
        return (1 - known.mean() if len(known) else math.nan), len(known)
    if metric == "event_count":
        return float(len(rows)), len(rows)
    if metric == "loss":
        known = rows.loss.dropna()
        return (known.mean() if len(known) else math.nan), len(known)
    word, _, column = metric.partition("_")
    if word == "median" or word[0] == "p":
        return quantile(column, 0.5 if word == "median" else int(word[1:]) / 100)
    known = rows[column].dropna()
    if word in ("first", "last"):
        ordered = known.sort_index(kind="stable")
        return (float(ordered.iloc[0 if word == "first" else -1]) if len(ordered) else math.nan), len(known)
    total = {"mean": np.mean, "total": math.fsum, "max": np.max, "min": np.min}[word]
    return (float(total(known)) if len(known) else math.nan), len(known)


def holds_at(rule: Rule, rows: pd.DataFrame, seconds: float) -> bool:
    if rule.sign == "is not finite":
        known = rows.loss.dropna()
        return bool(len(known)) and not math.isfinite(known.iloc[-1])
    if rule.sign == "not better":
        sign, best, since = (1 if rule.metric.startswith("max") else -1), None, 0
        for value in rows[rule.metric[4:]].dropna():
            better = best is None or sign * (value - best) > rule.margin
            best, since = (value, 0) if better else (best, since + 1)
        return since >= rule.limit
    if rule.events is not None:
        rows = rows[rows.loss.notna()].iloc[-rule.events :]
    value, known = value_of(rule.metric, rows, seconds)
    return known >= rule.min_events and rule.holds(value)


def by_hand(frame: pd.DataFrame, text: str) -> list[tuple[pd.Timestamp, str, str]]:
    """Check a rule at the end of every pane, or after every event, from all rows each time."""
    rule, times, found = Rule.parse(text, goals=[GOAL]), frame.index.asi8, []  # type: ignore[attr-defined]
    names = [""] if rule.by is None else list(dict.fromkeys(frame[rule.by].dropna()))
    for name in names:
        member = np.ones(len(frame), bool) if not name else frame[rule.by].eq(name).to_numpy()
        widths = [-(-window // 30) for window in rule.windows]
        clock, since = np.maximum.accumulate(times), int(np.argmax(member))
        began = first_starts(frame)
        newest, held, met = [clock[since] // width for width in widths], [False] * max(1, len(widths)), False
        for i in range(since, len(frame)):
            moments: dict[int, list[tuple[int, bool]]] = {}
            for k, width in enumerate(widths):
                for edge in range(newest[k] + 1, clock[i] // width + 1):
                    now, start = edge * width, max((edge - 30) * width, began[i - 1])
                    inside = member[:i] & (times[:i] >= (edge - 30) * width) & (times[:i] < now)
                    holds = holds_at(rule, frame.iloc[:i][inside], (now - start) / SECOND)
                    if not rule.min_events:
                        holds &= now - start == 30 * width and (edge - 30) * width >= clock[since]
                    moments.setdefault(now, []).append((k, holds))
                newest[k] = max(newest[k], clock[i] // width)
            if not widths and member[i] and (rule.is_plain or rule.sign in (">", "<") or pd.notna(frame.loss.iloc[i])):
                rows = frame.iloc[: i + 1][member[: i + 1]]
                seconds = (rows.index.max().value - first_starts(rows)[-1]) / SECOND
                moments[times[i]] = [(0, holds_at(rule, rows, seconds))]
            for now, checks in sorted(moments.items()):
                for k, holds in checks:
                    held[k] = holds
                if all(held) and not met:
                    found.append((pd.Timestamp(now, tz="UTC"), text, name))
                met = all(held)
    return found


@pytest.mark.seeded
def test_alerts_are_those_of_checking_every_pane_and_event_by_hand() -> None:
    for seed in seeds(1, first=60):
        frame = calls(seed, 150)
        found = run(frame, [0, 40, 105, len(frame)])
        for text in thinned(FORMS, 3):
            assert [one for one in found if one[1] == text] == sorted(by_hand(frame, text)), text


@pytest.mark.seeded
def test_alerts_are_the_same_however_events_are_batched_and_looked_at() -> None:
    for seed in seeds(2):
        frame, rng = calls(seed), np.random.default_rng(seed)
        whole = run(frame, [0, len(frame)])
        assert len({text for _, text, _ in whole}) > len(FORMS) - 6
        cuts = [0, *np.sort(rng.choice(np.arange(1, len(frame)), 25, replace=False)).tolist(), len(frame)]
        assert run(frame, cuts, look=True) == whole


@pytest.mark.seeded
def test_a_store_read_again_tells_the_same_alerts_and_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    frame = calls(41)
    whole = run(frame, [0, len(frame)])
    exp = begin(store=tmp_path)
    exp.extend(frame.iloc[:200])
    before = told(exp)
    exp.extend(frame.iloc[200:240])  # nobody looked at these
    die(exp)
    seen = told(cr.attach("forms", store=tmp_path, mode="read"))
    assert set(before) <= set(seen) <= set(whole)
    again = cr.attach("forms", store=tmp_path, mode="resume")
    again.extend(frame.iloc[240:])
    assert told(again) == whole
    again.stop()


@pytest.mark.parametrize("text", [form for form in FORMS if "burn" not in form])
def test_the_state_of_a_rule_survives_being_saved(text: str) -> None:
    frame = calls(41, 200)
    whole, parts = cr.start("whole", clock="events"), cr.start("parts", clock="events")
    for exp in (whole, parts):
        exp.watch(text)
    whole.extend(frame)
    parts.extend(frame.iloc[:90])
    watched = parts._stream.monitor.rules[0]
    state = watched.state.to_dict()
    watched.state = type(watched.state)(watched.rule)
    watched.state.load(state)
    parts.extend(frame.iloc[90:])
    assert told(parts) == told(whole)
    for exp in (whole, parts):
        exp.stop()


# -- one form at a time ----------------------------------------------------------------------------------------------------


def test_a_group_is_named_in_the_alert_and_to_callbacks() -> None:
    exp, heard = cr.start("groups", clock="events"), []
    exp.on_anomaly(heard.append)
    exp.watch("p95_ttft_ms > 500 over 5min by service")
    for i in range(100):
        for service, ttft in (("chat", 100.0), ("search", 900.0 if i > 50 else 100.0)):
            exp.record("call", ttft_ms=ttft, service=service, time=i * 10 * SECOND)
    alerts = exp.alerts()
    assert alerts.group.tolist() == ["search"]
    assert alerts.reason.item() == "p95_ttft_ms > 500 over 5min by service: it is 900 for search"
    assert [alert.group for alert in heard] == ["search"]
    exp.stop()


def test_groups_above_the_limit_share_one() -> None:
    exp = cr.start("many", clock="events")
    exp.watch("total_cost_usd >= 3 by user_id")
    exp.extend(pd.DataFrame({"user_id": [f"u{i}" for i in range(120)], "cost_usd": 1.0}))
    exp.extend(pd.DataFrame({"user_id": ["u7", "u7", "u110"], "cost_usd": 1.0}))
    assert sorted(exp.alerts().group) == ["(other groups)", "u7"]
    exp.stop()


def test_early_stopping_waits_for_its_patience() -> None:
    exp = cr.start("training")
    exp.watch("min_val_loss not better for 3 events", action="stop")
    losses = [0.9, 0.7, 0.8, 0.6, 0.61, 0.6, 0.65, 0.5]
    answers = []
    for epoch, loss in enumerate(losses):
        exp.record("train.step", loss=1.0)
        answers.append(exp.record("train.epoch", epoch=epoch, val_loss=loss))
    assert answers == [True] * 7 + [False]
    assert exp.alerts().reason.tolist() == ["min_val_loss not better for 3 events: it is 0.6"]
    assert exp.last("epoch") == 6
    exp.stop()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("durable", [False, True])
def test_a_value_that_is_not_finite_is_told_apart_from_none(bad: float, durable: bool, tmp_path: Path) -> None:
    exp = cr.start("diverges", store=tmp_path if durable else None)
    exp.watch("loss is not finite", action="stop")
    answers = [exp.record("train.step", loss=1.0), exp.record("train.epoch", val_loss=0.5)]
    answers += [
        exp.record("train.step", loss=None),
        exp.record("train.step", loss=bad),
        exp.record("train.step", loss=1.0),
    ]
    assert answers == [True, True, True, True, False]
    assert len(exp.alerts()) == 1
    exp.stop()
    if durable:
        assert len(cr.attach("diverges", store=tmp_path).alerts()) == 1


def test_so_it_is_in_a_list_of_events() -> None:
    exp = cr.start("diverges", clock="events")
    exp.watch("loss is not finite", action="stop")
    rows = [{"loss": 1.0}, {"val": 2.0}, {"loss": math.nan}, {"loss": 1.0}]
    assert exp.extend([{**row, "time": i} for i, row in enumerate(rows)], event="step") == 3
    exp.stop()


def test_a_condition_that_cannot_be_evaluated_costs_no_event() -> None:
    exp = cr.start("odd")
    exp.watch("share(note < 3) > 0.5")
    exp.record("x", note="text")
    with pytest.warns(cr.CrucibleWarning, match="a rule could not be evaluated"):
        exp.metrics()
    assert exp.metrics().events == 1
    exp.stop()


def test_rules_on_columns_of_ones_own_count_what_sampling_dropped() -> None:
    with cr.start("sampled", clock="events", sampling="uniform", sampling_config={"rate": 0.01}, seed=1) as exp:
        exp.extend(pd.DataFrame({"retries": np.ones(1000)}))
        exp.watch("total_retries >= 1001")
        exp.extend([{"retries": 1}], event="x")
        assert exp.alerts().value.tolist() == [1001.0]


@pytest.mark.parametrize(
    ("rule", "fires"),
    [
        ("last_loss > 2", True),
        ("last_loss > 4", False),
        ("loss > 1.5 over 3 events", True),
        ("max_loss not better for 2 events", True),
        ("max_loss not better for 3 events", False),
        ("mean_loss > 1 by service", True),
        ("share(loss < 2.5) < 0.9 over 1h", True),
    ],
)
def test_a_rule_that_holds_when_it_is_watched_fires_at_once_and_not_again(rule: str, fires: bool) -> None:
    exp = cr.start("late", clock="events")
    for i, loss in enumerate((1.0, 1.2, 3.0, 2.0, 2.4)):
        exp.record("step", loss=loss, service="a", time=NOON + i * SECOND)
    exp.watch(rule, min_events=None if "events" in rule else 1)
    assert len(exp.alerts()) == fires
    exp.record("step", loss=2.4, service="a", time=NOON + 9 * SECOND)
    assert len(exp.alerts()) == fires or rule == "max_loss not better for 3 events"
    exp.stop()


# -- live ------------------------------------------------------------------------------------------------------------------


def test_in_a_live_run_a_look_sees_the_newest_events(clock: ManualClock) -> None:
    exp = cr.start("live", clock=clock)
    exp.watch("p95_ttft_ms > 500 over 5min by service")
    exp.slo("success", target=0.9)
    exp.watch("burn_rate > 2 over 5min and 1min")
    for i in range(40):
        exp.record("call", ttft_ms=900.0, service="ab"[i % 2], success=i % 2 == 0)
        clock.tick(0.1)
    assert exp.alerts()[["metric", "group"]].fillna("").values.tolist() == [
        ["p95_ttft_ms", "a"],
        ["p95_ttft_ms", "b"],
        ["burn_rate", ""],
    ]
    for _ in range(400):
        exp.record("call", ttft_ms=100.0, service="a", success=True)
        clock.tick(1)
        exp.alerts()
    assert len(exp.alerts()) == 3  # it held once for each
    exp.stop()


def test_silence_of_one_group_is_noticed_by_the_clock(clock: ManualClock) -> None:
    exp = cr.start("silent", clock=clock)
    exp.watch("event_count < 1 over 1min by service")
    for second in range(300):
        exp.record("tick", service="a")
        if second < 100:
            exp.record("tick", service="b")
        exp.alerts()
        clock.tick(1)
    (alert,) = exp.alerts().itertuples()
    assert alert.group == "b"
    assert 99 + 60 <= (alert.Index - exp.started_at).total_seconds() <= 99 + 63
    exp.stop()
