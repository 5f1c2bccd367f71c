"""Every number of `metrics` against a recomputation from the rows with pandas and numpy."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.metrics import metrics, stage
from crucible_nb.testing import ManualClock
from tests.conftest import NOON, SECOND
from tests.tiers import scaled


def trace(rows: int, seed: int = 0, gap: float = 1.0) -> pd.DataFrame:
    """Events with gaps in every column, a few negative, zero and huge values."""
    rng = np.random.default_rng(seed)

    def holes(values: np.ndarray) -> np.ndarray:
        return np.where(rng.random(rows) < 0.2, np.nan, values)

    latency = holes(rng.lognormal(5, 1, rows))
    latency[:3] = [0.0, -5.0, 1e9]
    return pd.DataFrame(
        {
            "event": rng.choice(["a", "b", "c"], rows),
            "model": np.where(rng.random(rows) < 0.1, None, rng.choice(["m", "n"], rows)),
            "latency_ms": latency,
            "cost_usd": holes(rng.lognormal(-7, 1, rows)),
            "success": pd.array(np.where(rng.random(rows) < 0.3, None, rng.random(rows) < 0.9), "boolean"),
            "prompt_tokens": pd.array(holes(rng.integers(0, 1000, rows).astype(float)), "Int64"),
            "completion_tokens": pd.array(holes(rng.integers(0, 1000, rows).astype(float)), "Int64"),
            "route": rng.choice(["eu", "us"], rows),
            "retries": rng.integers(0, 3, rows),
        },
        index=pd.DatetimeIndex(
            NOON + np.cumsum(rng.exponential(gap * SECOND, rows)).astype(np.int64), tz="UTC", name="time"
        ),
    )


def check(found: cr.Metrics, rows: pd.DataFrame, exact: bool | None = None) -> None:
    """Compare all numbers with pandas."""
    assert found.events == len(rows)
    latency, told = rows.latency_ms, found.latency
    assert told.count == latency.count()
    for name in ("mean", "std", "min", "max"):
        assert getattr(told, name) == pytest.approx(getattr(latency, name)(), rel=1e-11, nan_ok=True)
    assert told.variance == pytest.approx(latency.var(), rel=1e-11, nan_ok=True)
    assert exact is None or told.exact is exact
    quantiles = latency.quantile([0.5, 0.9, 0.95, 0.99]).to_numpy()
    np.testing.assert_allclose([told.p50, told.p90, told.p95, told.p99], quantiles, rtol=told.error_bound + 1e-14)
    assert found.cost.total == pytest.approx(rows.cost_usd.sum(min_count=1), rel=1e-11, nan_ok=True)
    assert found.cost.mean == pytest.approx(rows.cost_usd.mean(), rel=1e-11, nan_ok=True)
    assert found.cost.per_1k_requests == pytest.approx(rows.cost_usd.mean() * 1e3, rel=1e-11, nan_ok=True)
    assert found.cost.per_1m_requests == pytest.approx(rows.cost_usd.mean() * 1e6, rel=1e-11, nan_ok=True)
    known = rows.success.dropna()
    told = found.reliability
    assert (told.total_requests, told.successful, told.failed) == (len(known), known.sum(), (~known).sum())
    if len(known):
        assert told.success_rate == pytest.approx(known.mean())
        assert told.sla_99 is bool(known.mean() >= 0.99)
    else:
        assert math.isnan(told.success_rate)
        assert told.sla_99 is None
    total = rows.prompt_tokens + rows.completion_tokens
    for name, column in (("prompt", rows.prompt_tokens), ("completion", rows.completion_tokens)):
        if column.count():
            assert getattr(found.tokens, f"total_{name}") == column.sum()
            assert getattr(found.tokens, f"mean_{name}") == pytest.approx(column.mean())
    if total.count():
        assert found.tokens.total == total.sum()


@pytest.fixture(params=[0, 1, 7, 2000, 5000])
def rows(request: pytest.FixtureRequest) -> pd.DataFrame:
    return trace(max(request.param, 3)).iloc[: request.param]


@pytest.fixture(params=["whole", "small blocks"])
def exp(request: pytest.FixtureRequest, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> cr.Experiment:
    if request.param == "small blocks":
        monkeypatch.setattr(stage, "BLOCK", 512)
    exp = cr.start("metrics", clock="events", by=("route", "retries"))
    exp.extend(rows)
    return exp


def test_the_total(exp: cr.Experiment, rows: pd.DataFrame) -> None:
    check(exp.metrics(), rows, exact=bool(rows.latency_ms.count() <= 2048))
    if len(rows):
        begins = rows.index - pd.to_timedelta(rows.latency_ms.fillna(0), unit="ms")
        seconds = (rows.index[-1] - begins.min()).total_seconds()
        assert exp.metrics().summary.seconds == pytest.approx(seconds)
        if seconds:
            assert exp.metrics().summary.events_per_second == pytest.approx(len(rows) / seconds)


def test_a_frame_of_the_same_rows(exp: cr.Experiment, rows: pd.DataFrame) -> None:
    exact = bool(rows.latency_ms.count() <= 2048)
    check(rows.crucible.metrics(), rows, exact)
    check(exp.frame().crucible.metrics(), rows, exact)
    check(rows.reset_index(drop=True).crucible.metrics(), rows, exact)


@pytest.mark.parametrize("by", ["event", "model", "route", "retries"])
def test_live_groups(exp: cr.Experiment, rows: pd.DataFrame, by: str) -> None:
    found = exp.metrics(by=by)
    check(found, rows)
    expected = {None if pd.isna(key) else key: group for key, group in rows.groupby(by, dropna=False, sort=False)}
    assert set(found.keys()) == set(expected)
    for key, group in expected.items():
        check(found[key], group)
    assert found.to_frame().shape[0] == len(expected)
    assert found.to_frame()["summary_events"].sum() == len(rows)


@pytest.mark.untraced
@pytest.mark.parametrize("rows", [7, 2500], indirect=True)
@pytest.mark.parametrize("by", [["event", "route"], "completion_tokens", ["model", "retries", "event"]])
def test_groups_from_rows(exp: cr.Experiment, rows: pd.DataFrame, by: str | list[str]) -> None:
    if not len(rows):
        return  # a column begins with its first value
    groups = list(rows.groupby(by, dropna=False, sort=False))
    for found in (exp.metrics(by=by), rows.crucible.metrics(by=by)):
        check(found, rows)
        for key, group in groups[:: -(-len(groups) // max(20, scaled(300)))]:
            name = tuple(None if pd.isna(one) else one for one in key) if isinstance(key, tuple) else key
            check(found[None if not isinstance(name, tuple) and pd.isna(name) else name], group)


@pytest.mark.parametrize("last", ["1min", "5min", "1h", "17min", "3h"])
def test_windows_are_exact_to_the_event(exp: cr.Experiment, rows: pd.DataFrame, last: str) -> None:
    found = exp.metrics(last=last)
    if not len(rows):
        assert found.events == 0
        return
    start = rows.index[-1] - pd.Timedelta(last)
    check(found, rows[rows.index >= start])
    assert found.span == (start, rows.index[-1])
    assert not found.estimated


@pytest.mark.parametrize("seconds", [0, 10, 100, 1000])
def test_windows_that_end_elsewhere(exp: cr.Experiment, rows: pd.DataFrame, seconds: int) -> None:
    if not len(rows):
        return
    at = rows.index[-1] - pd.Timedelta(seconds=seconds)
    check(exp.metrics(at=at), rows[rows.index <= at])
    inside = rows[(rows.index <= at) & (rows.index >= at - pd.Timedelta("5min"))]
    check(exp.metrics(last="5min", at=at), inside)
    check(exp.metrics(last="5min", at=at + pd.Timedelta("1h")), rows[rows.index >= at + pd.Timedelta("55min")])
    by = exp.metrics(last="5min", by="event", at=at)
    for key, group in inside.groupby("event", sort=False):
        check(by[key], group)


def test_live_windows_without_rows_say_where_they_begin() -> None:
    rows = trace(6000, gap=0.1)
    exp = cr.start("short", clock="events", max_events=10)
    exp.extend(rows)
    for last in ("1min", "5min", "1h"):
        found = exp.metrics(last=last)
        start = found.span.start
        assert pd.Timedelta(0) <= start - (rows.index[-1] - pd.Timedelta(last)) <= pd.Timedelta(last) / 30
        check(found, rows[rows.index >= start])
    assert exp.metrics(last="2min").estimated  # no live window: what rows there are


def test_late_events_reach_the_windows_they_belong_to() -> None:
    rows = trace(3000, gap=0.2)
    shuffled = rows.sample(frac=1, random_state=1)
    exp = cr.start("late", clock="events", max_events=5)
    for start in range(0, 3000, 100):
        exp.extend(shuffled.iloc[start : start + 100])
        exp.metrics(last="1min")
    found = exp.metrics(last="5min")
    check(found, rows[rows.index >= found.span.start])


def test_groups_beyond_the_limit_share_one_more() -> None:
    exp = cr.start("groups", by=("key",))
    for i in range(1500):
        exp.record("tick", key=f"k{i}", latency_ms=float(i))
    exp.record("tick", key="k0", latency_ms=0.0)
    found = exp.metrics(by="key")
    assert len(found) == 1001
    assert found["k0"].events == 2
    assert found["(other groups)"].events == 500
    assert sum(group.events for _, group in found.items()) == 1501


def test_parts_merge_into_the_whole() -> None:
    rows = trace(4000)
    parts = [rows.iloc[a:b].crucible.metrics() for a, b in ((0, 1), (1, 1500), (1500, 1500), (1500, 4000))]
    left = parts[0].merge(parts[1]).merge(parts[2]).merge(parts[3])
    right = parts[0].merge(parts[1].merge(parts[2].merge(parts[3])))
    for merged in (left, right, cr.Metrics().merge(left), left.merge(cr.Metrics())):
        check(merged, rows)
    assert json.dumps(cr.Metrics().merge(left).to_dict()) == json.dumps(left.to_dict())
    check(parts[1], rows.iloc[1:1500])


def test_nothing_is_nan_and_none() -> None:
    found = cr.Metrics()
    assert (found.events, found.latency.count, found.reliability.sla_99, found.tokens.total) == (
        0,
        0,
        None,
        pytest.approx(math.nan, nan_ok=True),
    )
    assert math.isnan(found.latency.mean)
    assert math.isnan(found.cost.total)
    assert found.span.start is pd.NaT
    assert found.to_dict()["span"] == [None, None]
    assert bool(found)
    assert list(found) == []
    assert "events" in repr(found)


def test_weights_count_as_so_many_rows() -> None:
    rows = trace(400)
    rows["weight"] = np.random.default_rng(1).integers(1, 5, 400).astype(float)
    repeated = rows.loc[rows.index.repeat(rows.weight.astype(int))]
    found, plain = rows.crucible.metrics(), repeated.drop(columns="weight").crucible.metrics()
    assert found.estimated
    assert found.events == 400
    for name in ("count", "mean", "std", "p50", "p95", "p99", "min", "max"):
        assert getattr(found.latency, name) == pytest.approx(getattr(plain.latency, name), rel=1e-11)
    assert found.cost.total == pytest.approx(plain.cost.total)
    assert found.reliability == pytest.approx(plain.reliability) or found.reliability.success_rate == pytest.approx(
        plain.reliability.success_rate
    )
    assert found.tokens.total == plain.tokens.total


def test_values_that_are_not_finite_follow_ieee() -> None:
    exp = cr.start("inf")
    for value in (1.0, math.inf, 2.0):
        exp.record("tick", latency_ms=value)
    told = exp.metrics().latency
    assert (told.count, told.mean, told.max, told.p50) == (3, math.inf, math.inf, 2.0)
    assert math.isnan(told.std)
    exp.record("tick", latency_ms=-math.inf)
    assert math.isnan(exp.metrics().latency.mean)


def test_an_offset_costs_no_digits() -> None:
    values = 1e9 + np.random.default_rng(0).normal(0, 1, 50_000)
    exp = cr.start("offset")
    exp.extend(pd.DataFrame({"latency_ms": values}))
    assert exp.metrics().latency.std == pytest.approx(values.std(ddof=1), rel=1e-9)


def test_errors_name_what_is_wrong(clock: ManualClock) -> None:
    exp = cr.start("errors", clock=clock)
    exp.record("tick", model="m")
    with pytest.raises(cr.SchemaError, match="^by='nothing': no such column; available: event, model"):
        exp.metrics(by="nothing")
    with pytest.raises(cr.ConfigError, match="^last='x': expected a positive duration"):
        exp.metrics(last="x")
    with pytest.raises(cr.ConfigError, match="^at='x': expected a datetime"):
        exp.metrics(at="x")
    with pytest.raises(cr.ConfigError, match="^group 'z': not among 'm'$"):
        exp.metrics(by="model")["z"]
    with pytest.raises(cr.ConfigError, match=r"^metrics\(\)\['z'\]: there are no groups without by="):
        exp.metrics()["z"]
    with pytest.raises(cr.ConfigError, match="expected numbers between 0 and 1"):
        exp.metrics().latency.quantile(1.5)
    with pytest.raises(cr.SchemaError, match="^latency_ms: expected numbers, got "):
        pd.DataFrame({"latency_ms": ["a"]}).crucible.metrics()


def test_a_look_is_remembered_until_something_happens() -> None:
    exp = cr.start("look", clock="events")
    exp.extend(trace(100))
    assert exp.metrics(last="5min") is exp.metrics(last="5min")
    first = exp.metrics(last="5min")
    exp.record("tick", time=exp.df.index[-1])
    assert exp.metrics(last="5min") is not first
    assert exp.metrics(last="5min").events == first.events + 1
    assert len({id(exp.metrics(last=f"{n}s")) for n in range(1, 60)}) > 1


def test_text_is_short_and_says_what_it_is() -> None:
    exp = cr.start("text", clock="events")
    exp.extend(trace(5000))
    assert "(within 0.20%)" in repr(exp.metrics())
    assert "mean ms" in repr(exp.metrics(by="model"))
    assert "<td>m</td>" in exp.metrics(by="model")._repr_html_()
    assert "m · a" in repr(exp.metrics(by=["model", "event"]))
    assert metrics._short(1234.5) == "1,234"
    assert metrics._short(math.nan) == "–"
    assert exp.metrics(by=["model", "event"]).to_frame().index.names == ["model", "event"]
    assert set(exp.metrics(by="model").to_dict()["groups"]) == {"m", "n", "None"}


def test_metrics_that_were_taken_do_not_change_with_later_events() -> None:
    exp = cr.start("taken", by=["service"])
    exp.extend([{"latency_ms": float(i), "service": "a", "loss": 1.0} for i in range(100)], event="call")
    taken = [exp.metrics(), exp.metrics(by="service")["a"], exp.metrics(last="1h"), exp.metrics(where="loss > 0")]
    exp.extend([{"latency_ms": 1000.0 + i, "service": "a", "loss": 9.0} for i in range(100)], event="call")
    assert exp.metrics().latency.max == 1099
    for found in taken:
        assert (found.events, found.latency.count, found.latency.max) == (100, 100, 99)
        assert found.latency.p95 == pytest.approx(94.05)
        assert found.columns["loss"].max == 1
    exp.stop()
