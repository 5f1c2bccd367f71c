"""Watching live experiments: incidents, rules and budgets call back and act."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.anomaly import ZScore
from crucible_nb.pipeline.alerts import Alert
from crucible_nb.testing import ManualClock
from crucible_nb.utils.threads import TICKER, Ticker
from tests.conftest import NOON, SECOND

WAIT = 60  # seconds that a background thread gets before a test fails


class Ear:
    """A callback that remembers, and wakes who waits."""

    def __init__(self, then: Callable[[Alert], Any] = lambda _: None) -> None:
        self.heard: list[Alert] = []
        self.then, self.done, self.error = then, threading.Event(), None

    def __call__(self, alert: Alert) -> None:
        self.heard.append(alert)
        try:
            self.then(alert)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.done.set()

    def wait(self) -> list[Alert]:
        assert self.done.wait(WAIT)
        self.done.clear()
        return self.heard


def watched(action: str = "flag", cooldown: int = 300, **options: Any) -> cr.Experiment:
    detector = ZScore("latency_ms", 6, cooldown=cooldown)
    config = {"action": action, "notify": "low"}
    return cr.start("watched", clock="events", anomaly=detector, anomaly_config=config, seed=1, **options)


def calm(exp: cr.Experiment, n: int = 120, start: int = 0) -> None:
    for i in range(start, start + n):
        exp.record("call", latency_ms=100.0 + i % 3, success=True, cost_usd=0.01, time=NOON + i * SECOND)


def spike(exp: cr.Experiment, second: int, latency: float = 900.0) -> bool:
    return exp.record("call", latency_ms=latency, success=False, cost_usd=0.01, time=NOON + second * SECOND)


def at(second: int) -> pd.Timestamp:
    return pd.Timestamp(NOON + second * SECOND, unit="ns", tz="UTC")


# -- callbacks ------------------------------------------------------------------------------------------------------------


def test_a_callback_is_called_without_anybody_looking() -> None:
    exp, ear = watched(), Ear()
    exp.on_anomaly(ear)
    calm(exp)
    spike(exp, 120)
    (alert,) = ear.wait()
    assert (alert.time, alert.kind, alert.metric, alert.severity) == (at(120), "anomaly", "latency_ms", "critical")
    assert (alert.action, alert.told) == ("flag", True)
    assert alert.reason == exp.anomalies().reason.item() == "latency_ms 900 is 791.1 sd above the mean 101"
    assert exp.status == "running"
    assert not exp.should_stop
    exp.stop()


def test_the_value_of_an_alert_is_that_of_its_metric() -> None:
    exp, ear = watched(), Ear()
    exp.on_anomaly(ear)
    calm(exp)
    spike(exp, 120)
    (alert,) = ear.wait()
    exp.stop()
    assert (alert.metric, alert.value, exp.alerts().value.item()) == ("latency_ms", 900.0, 900.0)


def test_an_incident_is_told_once() -> None:
    exp, ear = watched(cooldown=50), Ear()
    exp.on_anomaly(ear)
    calm(exp)
    for second in (120, 121, 125):
        spike(exp, second)
    ear.wait()
    spike(exp, 130)
    calm(exp, 100, 131)
    spike(exp, 231, 5000.0)
    exp.stop()
    assert [alert.time for alert in ear.heard] == [at(120), at(231)]
    assert exp.anomalies()["count"].tolist() == [4, 1]


@pytest.mark.parametrize("action", ["flag", "alert"])
def test_what_is_new_is_told_at_the_latest_at_the_end(action: str) -> None:
    exp, ear = watched(action), Ear()
    exp.on_anomaly(ear)
    calm(exp)
    spike(exp, 120)
    exp.stop()
    ear.wait()
    assert [alert.action for alert in ear.heard] == [action]


METHODS: dict[str, Callable[[cr.Experiment], Any]] = {
    "pause": lambda exp: exp.pause(),
    "pause and resume": lambda exp: (exp.pause(), exp.resume()),
    "stop": lambda exp: exp.stop(),
    "metrics": lambda exp: (exp.metrics(), exp.metrics(last="5min"), exp.metrics(by="event")),
    "frame": lambda exp: (exp.frame(), exp.query_window(last_n=3), exp.windowed_metrics("1min")),
    "summary": lambda exp: (exp.summary(), repr(exp), exp._repr_html_(), cr.experiments()),
    "anomalies": lambda exp: (exp.anomalies(), exp.anomaly_metrics(), exp.alerts()),
    "should_stop": lambda exp: exp.should_stop,
    "record": lambda exp: (exp.record("note", latency_ms=100.0), exp.extend([{"event": "more"}])),
    "watch": lambda exp: (exp.watch("event_count > 0"), exp.budget(usd=50)),
    "on_anomaly": lambda exp: exp.on_anomaly(lambda _: None)(),
    "set_sampling": lambda exp: exp.set_sampling("uniform", {"rate": 0.5}),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_callback_may_call_any_method_from_the_background(method: str) -> None:
    exp = watched()
    ear = Ear(lambda _: METHODS[method](exp))
    exp.on_anomaly(ear)
    calm(exp)
    spike(exp, 120)
    ear.wait()
    assert ear.error is None
    assert exp.status == {"pause": "paused", "stop": "stopped"}.get(method, "running")
    if exp.status != "stopped":
        exp.stop()
    assert exp.summary()["errors"] == 0


def test_a_callback_may_export_and_archive(tmp_path: Path) -> None:
    exp = watched()

    def keep(_: Alert) -> None:
        exp.export(tmp_path / "run.parquet")
        exp.stop()
        exp.archive(tmp_path / "run.zip")

    ear = Ear(keep)
    exp.on_anomaly(ear)
    calm(exp)
    spike(exp, 120)
    ear.wait()
    assert ear.error is None
    assert exp.status == "archived"
    assert len(cr.load(tmp_path / "run.zip")) == 121


@pytest.mark.parametrize(
    "path",
    [lambda exp: None, lambda exp: exp.should_stop, lambda exp: exp.alerts(), lambda exp: exp.pause(), lambda exp: exp.stop()],
    ids=["the background", "should_stop", "alerts", "pause", "stop"],
)  # fmt: skip
def test_no_lock_is_held_while_a_callback_runs(path: Callable[[cr.Experiment], Any]) -> None:
    exp = watched()
    seen: list[int] = []

    def ask_elsewhere(_: Alert) -> None:
        thread = threading.Thread(target=lambda: seen.append(exp.summary()["total_events"]), daemon=True)
        thread.start()
        thread.join(WAIT)

    ear = Ear(ask_elsewhere)
    exp.on_anomaly(ear)
    calm(exp)
    spike(exp, 120)
    path(exp)
    ear.wait()
    assert seen == [121]


@pytest.mark.parametrize(
    "path",
    [lambda exp: exp.should_stop, lambda exp: exp.alerts(), lambda exp: exp.pause(), lambda exp: exp.stop()],
    ids=["should_stop", "alerts", "pause", "stop"],
)
def test_whoever_notices_first_calls_back_in_a_thread_of_its_own(
    path: Callable[[cr.Experiment], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    exp, names = watched(), []
    exp.on_anomaly(lambda _: names.append(threading.current_thread().name))
    calm(exp)
    spike(exp, 120)
    end = time.monotonic() + WAIT
    while not names and time.monotonic() < end:
        time.sleep(0.01)
    assert names == ["crucible-tick"]
    exp.stop()
    exp, names = watched(), []
    monkeypatch.setattr(exp._alerting, "start_ticking", lambda: None)
    exp.on_anomaly(lambda _: names.append(threading.current_thread().name))
    calm(exp)
    spike(exp, 120)
    path(exp)
    assert names == [threading.current_thread().name]


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_an_exception_in_a_callback_is_counted_and_the_others_still_run() -> None:
    exp, first, last = watched(), Ear(lambda _: 1 / 0), Ear()
    exp.on_anomaly(first)
    exp.on_anomaly(last)
    calm(exp)
    spike(exp, 120)
    last.wait()
    assert isinstance(first.error, ZeroDivisionError)
    assert exp.summary()["errors"] == 1
    calm(exp, 400, 121)
    spike(exp, 521, 5000.0)
    last.wait()
    assert len(first.heard) == len(last.heard) == 2
    assert exp.summary()["errors"] == 2
    exp.stop()


def test_a_callback_that_wants_to_leave_does_not_silence_what_comes_later() -> None:
    def leave(_: Alert) -> None:
        raise SystemExit

    exp, first, last = watched(cooldown=5), Ear(leave), Ear()
    exp.on_anomaly(first)
    calm(exp)
    spike(exp, 120)
    first.wait()
    exp.on_anomaly(last)
    calm(exp, 20, 121)
    spike(exp, 141, 9000.0)
    assert last.done.wait(WAIT)
    exp.stop()


def test_undo_undoes_one_and_twice_is_once() -> None:
    exp, gone, ear = watched(cooldown=5), Ear(), Ear()
    undo = exp.on_anomaly(gone)
    exp.on_anomaly(ear)
    undo()
    undo()
    calm(exp)
    spike(exp, 120)
    ear.wait()
    exp.stop()
    assert gone.heard == []
    assert len(ear.heard) == 1


def test_the_same_callback_twice_is_told_twice_until_one_is_undone() -> None:
    exp, heard = watched(cooldown=5), []
    undo = exp.on_anomaly(heard.append)
    exp.on_anomaly(heard.append)
    calm(exp)
    spike(exp, 120)
    exp.alerts()
    undo()
    calm(exp, 20, 121)
    spike(exp, 141, 9000.0)
    exp.stop()
    assert len(heard) == 3


def test_a_callback_has_to_be_one() -> None:
    exp = watched()
    with pytest.raises(cr.ConfigError) as raised:
        exp.on_anomaly("print")
    assert str(raised.value) == "callback='print': expected a callable"
    exp.stop()


def test_60_a_minute_of_event_time_are_told_and_the_others_are_in_alerts() -> None:
    exp, heard = watched(cooldown=0), []
    exp.on_anomaly(heard.append)
    calm(exp)
    latency = 10.0 ** np.arange(4, 14, 0.1)
    times = NOON + 120 * SECOND + np.arange(100) * SECOND // 2
    exp.extend(
        pd.DataFrame({"latency_ms": latency}, index=pd.DatetimeIndex(times, tz="UTC", name="time")), event="call"
    )
    exp.record("call", latency_ms=1e15, time=NOON + 180 * SECOND)
    exp.stop()
    alerts = exp.alerts()
    assert exp.anomaly_metrics()["total_anomalies"] == len(alerts) == 101
    assert alerts.told.tolist() == [True] * 60 + [False] * 40 + [True]
    assert [alert.time for alert in heard] == alerts.index[alerts.told].tolist()


def test_all_incidents_are_in_alerts_also_when_nobody_looked_for_long() -> None:
    exp = watched(cooldown=0)
    latency = np.where(np.arange(10_000) % 7 == 6, 10.0 ** (3 + np.arange(10_000) / 200), np.tile([99.0, 101.0], 5000))
    exp.extend(pd.DataFrame({"latency_ms": latency}), event="call")
    exp.stop()
    assert 1000 < exp.anomaly_metrics()["total_anomalies"] == len(exp.anomalies()) == len(exp.alerts())


def test_each_incident_is_told_once_whoever_looks() -> None:
    exp, heard, over = watched(cooldown=0), [], threading.Event()
    exp.on_anomaly(heard.append)

    def look() -> None:
        while not over.is_set():
            exp.should_stop  # noqa: B018

    threads = [threading.Thread(target=look, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    calm(exp)
    for i in range(50):
        spike(exp, 120 + i, 10.0 ** (4 + i / 10))
    over.set()
    for thread in threads:
        thread.join(WAIT)
    exp.stop()
    assert sorted(alert.time for alert in heard) == [at(120 + i) for i in range(50)]


# -- actions of anomalies ---------------------------------------------------------------------------------------------------


def test_a_pause_stops_collecting_and_resuming_does_not_pause_again_at_once() -> None:
    exp, ear = watched("pause", cooldown=50), Ear()
    exp.on_anomaly(ear)
    calm(exp)
    assert spike(exp, 120)
    ear.wait()
    assert exp.status == "paused"
    assert exp.should_stop
    assert not spike(exp, 121)
    assert exp.extend([{"event": "call"}]) == 0
    assert exp.summary()["total_events"] == 121
    exp.resume()
    assert not exp.should_stop
    assert spike(exp, 122)
    calm(exp, 100, 123)
    assert (exp.should_stop, exp.status, exp.pause_count) == (False, "running", 1)
    spike(exp, 223, 9000.0)
    assert exp.should_stop
    assert (exp.status, exp.pause_count) == ("paused", 2)
    assert exp.alerts().action.tolist() == ["pause", "pause"]
    exp.stop()


def test_a_pause_happens_also_while_nobody_listens() -> None:
    exp = watched("pause")
    calm(exp)
    spike(exp, 120)
    ended = [i for i in range(121, 500) if exp.should_stop]
    assert ended == list(range(121, 500))
    assert exp.paused
    exp.stop()


@pytest.mark.parametrize("action", ["flag", "alert", "sample_more"])
def test_other_actions_stop_nothing(action: str) -> None:
    exp = watched(action, sampling="adaptive")
    calm(exp)
    spike(exp, 120)
    assert not exp.should_stop
    assert exp.status == "running"
    assert exp.alerts()[["kind", "action"]].values.tolist() == [["anomaly", action]]
    exp.stop()


def test_a_loop_ends_when_it_should_stop() -> None:
    exp = watched("pause")
    for i in range(1000):
        if exp.should_stop:
            break
        exp.record("call", latency_ms=900.0 if i >= 150 else 100.0 + i % 3, time=NOON + i * SECOND)
    assert (i, exp.status) == (151, "paused")
    exp.stop()
    assert exp.should_stop


def test_a_pause_by_hand_is_no_reason_to_stop() -> None:
    exp = watched("pause")
    assert not exp.should_stop
    exp.pause()
    assert not exp.should_stop
    exp.stop()
    assert exp.should_stop


# -- rules ----------------------------------------------------------------------------------------------------------------


def test_a_rule_fires_once_until_it_was_not_met_again() -> None:
    exp, heard = cr.start("rule", clock="events"), []
    exp.on_anomaly(heard.append)
    exp.watch("error_rate > 0.5 over 1min")
    fired = []
    for i in range(600):
        exp.record("call", success=not (100 <= i < 200 or 400 <= i < 500), time=NOON + i * SECOND)
        exp.alerts()
        fired.append(len(heard))
    first, second = (fired.index(count) for count in (1, 2))
    assert fired[-1] == 2
    frame = exp.df
    for i in (first, second):  # in event time: at the ends of panes of 2 s
        rates = [1 - frame.success.loc[at(j - 60) : at(j - 1)].mean() for j in (i - 2, i)]
        assert rates[0] <= 0.5 < rates[1]
    assert exp.alerts().index.tolist() == [at(first), at(second)]
    assert heard[0].kind == "rule"
    assert heard[0].reason == f"error_rate > 0.5 over 1min: it is {heard[0].value:.4g}"
    exp.stop()


def test_a_rule_is_noticed_without_anybody_looking() -> None:
    exp, ear = cr.start("rule"), Ear()
    exp.on_anomaly(ear)
    exp.watch("max_latency_ms > 500")
    exp.record("call", latency_ms=501.0)
    (alert,) = ear.wait()
    assert (alert.kind, alert.metric, alert.value, alert.severity) == ("rule", "max_latency_ms", 501.0, "high")
    assert (alert.action, alert.reason) == ("alert", "max_latency_ms > 500: it is 501")
    assert exp.status == "running"
    exp.stop()


@pytest.mark.parametrize(("seconds", "met"), [(59, True), (60, True), (61, False)])
def test_a_window_ends_now_and_not_at_the_last_event(clock: ManualClock, seconds: int, met: bool) -> None:
    exp = cr.start("window", clock=clock)
    for _ in range(3):
        exp.record("call", success=False)
    clock.tick(seconds)
    exp.watch("failure_count >= 3 over 1min")
    assert exp.alerts().value.tolist() == [3] * met
    exp.stop()


@pytest.mark.parametrize("least", [1, 5, 25])
def test_min_events_are_waited_for(least: int) -> None:
    exp = cr.start("least")
    exp.watch("error_rate > 0.1", min_events=least)
    fired = []
    for _ in range(30):
        exp.record("call", success=False)
        fired.append(len(exp.alerts()))
    assert fired.index(1) + 1 == least
    exp.stop()


@pytest.mark.parametrize(("action", "status"), [("alert", "running"), ("pause", "paused"), ("stop", "stopped")])
def test_a_rule_does_what_it_was_told(action: str, status: str) -> None:
    exp = cr.start("act")
    exp.watch("failure_count >= 2", action=action)
    exp.record("call", success=False)
    assert not exp.should_stop
    exp.record("call", success=False)
    assert exp.should_stop == (action != "alert")
    assert exp.status == status
    assert exp.record("call") == (action == "alert")
    assert exp.alerts().action.tolist() == [action]


def test_resuming_from_a_rule_that_is_still_met_does_not_pause_again() -> None:
    exp = cr.start("again", clock="events")
    exp.watch("error_rate > 0.5 over 1min", action="pause")
    for i in range(11):
        exp.record("call", success=False, time=NOON + i * SECOND)
    assert exp.should_stop
    exp.resume()
    for i in range(11, 30):
        assert exp.record("call", success=False, time=NOON + i * SECOND)
        assert not exp.should_stop
    for i in range(30, 120):
        exp.record("call", success=True, time=NOON + i * SECOND)
        assert not exp.should_stop
    for i in range(120, 200):
        exp.record("call", success=False, time=NOON + i * SECOND)
        if exp.should_stop:
            break
    assert (exp.status, exp.pause_count) == ("paused", 2)
    exp.stop()


def test_a_rule_may_stop_what_is_paused() -> None:
    exp = cr.start("both")
    exp.watch("failure_count >= 1", action="pause")
    exp.watch("failure_count >= 1", action="stop")
    exp.record("call", success=False)
    assert exp.should_stop
    assert exp.status == "stopped"
    assert exp.alerts().action.tolist() == ["pause", "stop"]


def test_rules_of_an_ended_experiment_act_no_more() -> None:
    exp = cr.start("ended")
    exp.record("call", success=False)
    exp.stop()
    exp.watch("failure_count >= 1", action="pause")
    assert exp.alerts().kind.tolist() == ["rule"]
    assert exp.status == "stopped"


# -- budgets --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "status"), [("alert", "running"), ("pause", "paused"), ("stop", "stopped")])
def test_a_budget_is_spent_when_the_costs_reach_it(action: str, status: str) -> None:
    exp = cr.start("budget")
    exp.budget(usd=5, action=action)
    spent = []
    for _ in range(10):
        if exp.should_stop:
            break
        exp.record("call", cost_usd=1.25)
        exp.record("free")
        spent.append(exp.metrics().cost.total)
        exp.alerts()
    assert exp.status == status
    assert spent == [1.25 * i for i in range(1, (11 if action == "alert" else 5))]
    (alert,) = exp.alerts().itertuples()
    assert (alert.kind, alert.metric, alert.value, alert.action) == ("budget", "total_cost_usd", 5.0, action)
    assert alert.reason == "budget of 5 USD: it is 5"


def test_a_budget_pauses_unless_told_otherwise_and_only_once() -> None:
    exp = cr.start("once")
    exp.budget(usd=1)
    exp.record("call", cost_usd=2.0)
    assert exp.should_stop
    assert exp.paused
    exp.resume()
    exp.record("call", cost_usd=2.0)
    assert not exp.should_stop
    exp.budget(usd=3)
    assert exp.should_stop
    assert exp.alerts().reason.tolist() == ["budget of 1 USD: it is 2", "budget of 3 USD: it is 4"]
    exp.stop()


@pytest.mark.parametrize(("cost", "calls"), [(0.1, 10), (0.05, 20), (0.01, 100), (0.2, 5), (0.001, 1000)])
def test_a_budget_is_reached_to_the_call(cost: float, calls: int) -> None:
    exp = cr.start("exact")
    exp.budget(usd=1.0)
    for _ in range(calls + 5):
        if exp.should_stop:
            break
        exp.record("call", cost_usd=cost)
    assert exp.summary()["total_events"] == calls
    exp.stop()


def test_events_without_a_price_are_not_counted() -> None:
    exp = cr.start("unpriced")
    exp.budget(usd=0.5)
    for _ in range(20):
        exp.record("llm.request", model="my-own", prompt_tokens=10**9, completion_tokens=10**9)
    assert not exp.should_stop
    assert exp.unpriced() == {"my-own": 20}
    exp.record("call", cost_usd=0.5)
    assert exp.should_stop
    exp.stop()


def test_costs_from_the_price_table_and_of_dropped_events_are_counted() -> None:
    exp = cr.start("priced", sampling="uniform", sampling_config={"rate": 0.01}, seed=1)
    for _ in range(100):
        exp.record("llm.request", model="gpt-4o", prompt_tokens=1000, completion_tokens=1000)
    total = exp.metrics().cost.total
    exp.budget(usd=total * 1.001)
    assert not exp.should_stop
    exp.record("llm.request", model="gpt-4o", prompt_tokens=1000, completion_tokens=1000)
    assert exp.should_stop
    exp.stop()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"usd": 0}, "usd=0: expected a number > 0"),
        ({"usd": "5"}, "usd='5': expected a number > 0"),
        ({"usd": True}, "usd=True: expected a number > 0"),
        ({"usd": float("nan")}, "usd=nan: expected a number > 0"),
        ({"usd": 1, "action": "flag"}, "action='flag': expected one of 'alert', 'pause', 'stop'"),
    ],
)
def test_what_is_no_budget_is_said_at_once(given: dict[str, Any], said: str) -> None:
    exp = cr.start("wrong")
    with pytest.raises(cr.ConfigError) as raised:
        exp.budget(**given)
    assert str(raised.value) == said
    exp.stop()


# -- alerts ---------------------------------------------------------------------------------------------------------------


def test_alerts_are_a_frame_of_all_kinds_in_order() -> None:
    exp = watched("alert")
    exp.on_anomaly(lambda _: None)
    exp.watch("failure_count >= 1")
    exp.budget(usd=1.2, action="alert")
    calm(exp, 119)
    exp.alerts()
    spike(exp, 119)
    exp.alerts()
    spike(exp, 120)
    got = exp.alerts()
    assert list(got.columns) == ["kind", "metric", "value", "severity", "reason", "action", "told", "group"]
    assert got.kind.tolist() == ["anomaly", "rule", "budget"]
    assert got.metric.tolist() == ["latency_ms", "failure_count", "total_cost_usd"]
    assert str(got.index.dtype) == "datetime64[ns, UTC]"
    assert got.told.all()
    exp.stop()
    pd.testing.assert_frame_equal(exp.alerts(), got)


def test_an_alert_is_told_where_somebody_listened_at_the_time() -> None:
    exp, heard = watched(cooldown=5), []
    for second, listens in ((120, False), (141, True), (162, False)):
        calm(exp, 20 if second > 120 else 120, second - (20 if second > 120 else 120))
        undo = exp.on_anomaly(heard.append) if listens else None
        spike(exp, second, 900.0 * second)
        exp.alerts()
        if undo is not None:
            undo()
    exp.stop()
    assert exp.alerts().told.tolist() == [False, True, False]
    assert [alert.time for alert in heard] == [at(141)]


def test_an_alert_frame_is_the_callers_own() -> None:
    exp = cr.start("own")
    exp.watch("event_count >= 1")
    exp.record("tick")
    got = exp.alerts()
    got["reason"] = "mine"
    assert exp.alerts().reason.tolist() == ["event_count >= 1: it is 1"]
    exp.stop()


# -- who is looked after --------------------------------------------------------------------------------------------------


class Ticked:
    """Counts its turns, and wakes who waits for the n-th."""

    def __init__(self, turn: Callable[[int], bool] = lambda _: True, until: int = 2) -> None:
        self.turns, self.turn, self.until, self.reached = 0, turn, until, threading.Event()

    def tick(self) -> bool:
        self.turns += 1
        if self.turns >= self.until:
            self.reached.set()
        return self.turn(self.turns)


def test_a_ticker_ticks_what_lives_and_says_true() -> None:
    ticker, first, second = Ticker(), Ticked(), Ticked(lambda _: False, until=1)
    ticker.add(first.tick)
    ticker.add(first.tick)
    ticker.add(second.tick)
    assert first.reached.wait(WAIT)
    assert second.reached.wait(WAIT)
    turns = first.turns
    first.reached.clear()
    first.until = turns + 3
    assert first.reached.wait(WAIT)
    assert second.turns == 1


def test_what_is_garbage_is_not_ticked() -> None:
    ticker, kept, gone = Ticker(), Ticked(), Ticked()
    for one in (kept, gone):
        ticker.add(one.tick)
    assert gone.reached.wait(WAIT)
    held, one, gone = weakref.ref(gone), None, None
    kept.reached.clear()
    kept.until = kept.turns + 3
    assert kept.reached.wait(WAIT)
    gc.collect()
    assert held() is None


def test_what_is_added_again_in_the_turn_in_which_it_says_false_is_ticked_on() -> None:
    ticker = Ticker()

    def paused_and_resumed(turn: int) -> bool:
        if turn > 1:
            return True
        thread = threading.Thread(target=ticker.add, args=(one.tick,))  # another thread resumes it
        thread.start()
        thread.join(WAIT)
        return False

    one = Ticked(paused_and_resumed)
    ticker.add(one.tick)
    assert one.reached.wait(WAIT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_raises_takes_no_other_with_it(error: type[BaseException]) -> None:
    def fail(_: int) -> bool:
        raise error

    ticker, bad, good = Ticker(), Ticked(fail, until=1), Ticked(until=3)
    ticker.add(bad.tick)
    assert bad.reached.wait(WAIT)
    ticker.add(good.tick)
    assert good.reached.wait(WAIT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_raised_once_is_ticked_on(error: type[BaseException]) -> None:
    def fail_first(turn: int) -> bool:
        if turn == 1:
            raise error
        return True

    ticker, one = Ticker(), Ticked(fail_first, until=3)
    ticker.add(one.tick)
    assert one.reached.wait(WAIT)


def test_an_experiment_that_ended_is_looked_after_no_more_and_can_be_forgotten() -> None:
    exp, ear = watched("alert"), Ear()
    exp.on_anomaly(ear)
    exp.watch("event_count > 1000")
    calm(exp)
    spike(exp, 120)
    ear.wait()
    exp.stop()
    cr.experiments()
    other = Ticked(until=3)
    TICKER.add(other.tick)
    assert other.reached.wait(WAIT)
    held, exp = weakref.ref(exp), None
    gc.collect()
    assert held() is None


def test_resuming_goes_on_looking() -> None:
    exp, ear = watched(cooldown=5), Ear()
    exp.on_anomaly(ear)
    calm(exp)
    exp.pause()
    other = Ticked(until=3)
    TICKER.add(other.tick)
    assert other.reached.wait(WAIT)
    exp.resume()
    spike(exp, 120)
    assert len(ear.wait()) == 1
    exp.stop()
