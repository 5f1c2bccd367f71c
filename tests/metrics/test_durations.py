"""The duration of a rate: from the first start (completion minus latency) to the last completion, by every door."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.events.durations import duration_of

T0 = pd.Timestamp("2026-01-01", tz="UTC")


def at_once() -> pd.DataFrame:
    """64 requests that start together and take about 12 s each."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"latency_ms": 12_000 + rng.normal(0, 50, 64), "service": np.arange(64) % 4})
    frame["prompt_tokens"], frame["completion_tokens"], frame["cost_usd"] = 400, 100, 0.01
    frame["event"] = "llm.request"
    frame.index = pd.DatetimeIndex(T0 + pd.to_timedelta(frame.latency_ms, unit="ms"), name="time")
    return frame.sort_index()


def recorded(frame: pd.DataFrame, cuts: int = 1) -> cr.Experiment:
    exp = cr.start("load", clock="events", by=["service"])
    for part in np.array_split(np.arange(len(frame)), cuts):
        exp.extend(frame.iloc[part])
    exp.stop()
    return exp


def test_64_requests_at_once_are_5_per_second() -> None:
    frame = at_once()
    seconds = (frame.index.max() - T0).total_seconds()
    assert seconds == pytest.approx(12.1, abs=0.05)
    for metrics in (frame.crucible.metrics(), recorded(frame).metrics(), recorded(frame, 9).metrics()):
        summary = metrics.summary
        assert summary.seconds == summary.active_seconds == pytest.approx(seconds, abs=1e-6)
        assert summary.events_per_second == pytest.approx(64 / seconds)
        assert round(summary.events_per_second, 1) == 5.3
        assert summary.tokens_per_second == pytest.approx(64 * 500 / seconds)
        assert summary.output_tokens_per_second == pytest.approx(64 * 100 / seconds)
        assert summary.cost_per_hour == pytest.approx(0.64 * 3600 / seconds)


def test_a_rule_divides_by_the_time_that_the_metrics_divide_by() -> None:
    frame = at_once()
    seconds = (frame.index.max() - T0).total_seconds()
    for text, value in [("events_per_second > 5", 64 / seconds), ("cost_per_hour > 180", 0.64 * 3600 / seconds)]:
        for step in (1, 64):
            exp = cr.start("load", clock="events", by=["service"])
            exp.watch(text + " by service"), exp.watch(text)
            for start in range(0, 64, step):
                exp.extend(frame.iloc[start : start + step])
            alerts = exp.alerts()
            assert alerts.group.isna().all()  # each of 4 groups has a fourth of the rate
            told = exp.df[: alerts.index[0]].crucible.metrics().summary
            expected = told.events_per_second if "events" in text else told.cost_per_hour
            assert alerts.value.tolist() == [pytest.approx(expected, rel=1e-12)]
            assert alerts.value.iloc[0] <= value
            exp.stop()
    acting = cr.start("acts", clock="events")
    acting.watch("events_per_second > 6", action="stop")
    assert acting.extend(frame) == 64
    acting.stop()


def test_a_group_has_its_own_duration_by_every_door() -> None:
    frame = at_once()
    frame.loc[frame.service == 3, "latency_ms"] = 1.0  # a group that is fast
    frame["model"] = frame.service.astype(str)
    exp = recorded(frame)
    doors = [
        exp.metrics(by="service"),  # counted live
        exp.metrics(by=["service"]),
        exp.metrics(by="model"),
        exp.df.crucible.metrics(by="service"),
        frame.crucible.metrics(by="service"),
        exp.metrics(by="service", where="latency_ms > 0"),
    ]
    for service, part in frame.groupby("service"):
        expected = part.crucible.metrics().summary
        for metrics in doors:
            key = service if service in metrics.keys() else str(service)  # noqa: SIM118  keys in order
            got = metrics[key].summary
            assert got.seconds == got.active_seconds == pytest.approx(expected.seconds)
            assert got.events_per_second == pytest.approx(expected.events_per_second)
        alone = exp.metrics(where=f"service == {service}").summary
        assert alone.events_per_second == pytest.approx(expected.events_per_second)
        rate = cr.confidence_interval(frame, "events_per_second", by="service")[str(service)].estimate
        assert rate == pytest.approx(expected.events_per_second)
    window = exp.metrics(by="service", last="1s")
    assert {group.summary.active_seconds for _, group in window.items()} == {1.0}


def test_a_group_of_a_live_run_is_divided_by_its_active_time() -> None:
    now = iter(int(second * 1e9) for second in [0, 1, 3, 5, 8, 9, *[20] * 20])
    exp = cr.start("wall", clock=lambda: next(now))
    exp.record("a"), exp.record("a"), exp.pause(), exp.resume(), exp.record("a")
    exp.stop()
    by, where = exp.metrics(by="event")["a"].summary, exp.metrics(where="event == 'a'").summary
    assert (by.seconds, by.active_seconds) == (where.seconds, where.active_seconds) == (8, 5)
    assert exp.df[exp.df.event == "a"].crucible.metrics().summary.seconds == 20  # all rows: the time of the run


def test_rows_that_are_selected_have_their_own_duration() -> None:
    times = pd.date_range(T0, periods=100, freq="s")
    frame = pd.DataFrame({"event": ["warmup"] * 40 + ["call"] * 60, "latency_ms": 500.0}, index=times)
    exp = recorded(frame.assign(service="a"))
    expected = 60 / 59.5  # the first of them starts half a second before second 40
    assert exp.metrics(where="event == 'call'").summary.events_per_second == pytest.approx(expected)
    assert frame.crucible.metrics(where="event == 'call'").summary.events_per_second == pytest.approx(expected)
    assert frame[frame.event == "call"].crucible.metrics().summary.events_per_second == pytest.approx(expected)


def test_a_window_has_its_own_length_and_begins_with_the_first_start() -> None:
    times = pd.date_range(T0, periods=100, freq="s")
    frame = pd.DataFrame({"latency_ms": 2_000.0, "service": "a"}, index=times)
    exp = recorded(frame)
    for door in (exp, frame.crucible):
        assert door.metrics(last="10s").summary.active_seconds == 10
        assert door.metrics(last="10s").summary.events_per_second == pytest.approx(1.1)
        assert door.metrics(last="1h").summary.active_seconds == pytest.approx(101)


def test_pauses_are_not_counted_in_event_time() -> None:
    exp = cr.start("paused", clock="events")
    exp.record("call", latency_ms=4_000.0, time=T0)
    exp.pause()
    exp.resume()
    exp.record("call", time=T0 + pd.Timedelta("6s"))
    exp.stop()
    assert exp.metrics().summary.seconds == pytest.approx(10)
    assert exp.metrics().summary.events_per_second == pytest.approx(0.2)


def test_a_clock_of_the_machine_divides_by_active_time() -> None:
    now = iter(int(second * 1e9) for second in [0, 1, 2, 5, 6, 10, 10, 10, 10])
    exp = cr.start("wall", clock=lambda: next(now))
    exp.record("call", latency_ms=100_000.0)
    exp.record("call")
    exp.stop()
    assert exp.metrics().summary.active_seconds < 100


@pytest.mark.parametrize("latency", [np.nan, -5.0, np.inf, 1e300])
def test_a_latency_that_is_none_starts_an_event_at_its_time(latency: float) -> None:
    frame = pd.DataFrame({"latency_ms": [latency, 1000.0]}, index=[T0, T0 + pd.Timedelta("10s")])
    assert duration_of(frame) == (T0.value, T0.value + 10 * 10**9)
    assert frame.crucible.metrics().summary.seconds == 10
    assert duration_of(frame.reset_index(drop=True)) is None
    assert duration_of(frame.iloc[:0]) is None


def test_states_of_earlier_releases_begin_with_the_first_time() -> None:
    from crucible_nb.metrics.sum_table import SumTable

    state = SumTable(2).to_dict()
    state["span"] = np.array([[5, 7], [9, 8]])
    assert SumTable.from_dict(state).span.tolist() == [[5, 7], [9, 8], [5, 7]]


def test_rows_that_remain_after_others_left_have_their_own_time() -> None:
    exp = cr.start("short", clock="events", max_events=10)
    for second in range(100):
        exp.record("tick", time=second * 10**9)
    assert exp.metrics().summary.seconds == 99
    assert exp.df.crucible.metrics().summary.seconds == 9
    assert exp.df.crucible.metrics().summary.events_per_second == pytest.approx(10 / 9)
    exp.stop()
