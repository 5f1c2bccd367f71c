"""Alerts: callbacks, their rate limit, and the history."""

from __future__ import annotations

import sys
import threading
from collections import Counter, deque
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.pipeline.alerts import Alert, Alerts
from crucible_nb.utils.problems import Problems

COLUMNS = ["kind", "metric", "value", "severity", "reason", "action", "told", "group"]


def alert(second: float, reason: str = "slow") -> Alert:
    time = pd.Timestamp(int(second * 1e9), unit="ns", tz="UTC")
    return Alert(time, "rule", "p95_latency_ms", 900.0, "high", reason, "alert")


def listening(*callbacks: Any, **options: Any) -> Alerts:
    alerts = Alerts(Problems("test"), **options)
    alerts.callbacks.extend(callbacks)
    return alerts


def take(alerts: Alerts, one: Alert) -> None:
    """Raise an alert as an experiment does."""
    alerts.remember(alerts.queue(one))


def test_alerts_are_told_in_order_at_delivery_and_once() -> None:
    told: list[Alert] = []
    alerts = listening(told.append)
    given = [alert(second) for second in range(5)]
    for one in given:
        take(alerts, one)
    assert told == []
    alerts.deliver()
    alerts.deliver()
    assert told == given
    assert list(alerts.history) == given


def test_every_callback_is_told() -> None:
    first: list[Alert] = []
    second: list[Alert] = []
    alerts = listening(first.append, second.append)
    take(alerts, alert(1))
    alerts.deliver()
    assert first == second == [alert(1)]


def test_nobody_listens_and_the_alert_is_remembered_as_untold() -> None:
    told: list[Alert] = []
    alerts = listening()
    take(alerts, alert(1))
    alerts.deliver()
    alerts.callbacks.append(told.append)
    alerts.deliver()
    take(alerts, alert(2))
    alerts.deliver()
    assert alerts.frame().reason.tolist() == ["slow", "slow"]
    assert alerts.frame().told.tolist() == [False, True]
    assert told == [alert(2)]


def test_what_nobody_heard_uses_up_no_room() -> None:
    told: list[Alert] = []
    alerts = listening(per_minute=2)
    for second in range(5):
        take(alerts, alert(second))
    alerts.callbacks.append(told.append)
    for second in range(5, 10):
        take(alerts, alert(second))
    alerts.deliver()
    assert told == [alert(5), alert(6)]


def test_60_a_minute_of_their_own_time_are_told_and_the_others_remembered() -> None:
    told: list[Alert] = []
    alerts = listening(told.append)
    for i in range(100):
        take(alerts, alert(i / 100, f"alert {i}"))
    take(alerts, alert(59.9, "within"))
    alerts.deliver()
    assert [one.reason for one in told] == [f"alert {i}" for i in range(60)]
    frame = alerts.frame()
    assert frame.told.tolist() == [True] * 60 + [False] * 41
    assert frame.reason.tolist() == [*(f"alert {i}" for i in range(100)), "within"]


def test_room_comes_back_a_minute_after_each_that_was_told() -> None:
    alerts = listening(print, per_minute=2)
    for second in (0, 10, 59.999, 60, 69.999, 70, 119, 120):
        take(alerts, alert(second))
    assert alerts.frame().told.tolist() == [True, True, False, True, False, True, False, True]


def test_the_rate_limit_does_not_depend_on_when_it_is_delivered() -> None:
    told: list[Alert] = []
    alerts = listening(told.append, per_minute=3)
    for i in range(10):
        take(alerts, alert(i))
        alerts.deliver()
    assert len(told) == 3


def test_an_untold_alert_is_the_same_otherwise() -> None:
    alerts = listening(print, per_minute=0)
    take(alerts, alert(1))
    assert list(alerts.history) == [replace(alert(1), told=False)]


def test_memory_is_bounded() -> None:
    alerts = listening(per_minute=1)
    for i in range(10_100):
        take(alerts, alert(i / 1000, f"{i}"))
    frame = alerts.frame()
    assert len(frame) == 10_000
    assert frame.reason.iloc[[0, -1]].tolist() == ["100", "10099"]


def test_an_exception_in_a_callback_is_counted_and_the_others_are_told() -> None:
    told: list[Alert] = []
    alerts = listening(lambda one: 1 / 0, told.append, lambda one: {}["x"])
    take(alerts, alert(1))
    take(alerts, alert(2))
    with pytest.warns(cr.CrucibleWarning) as caught:
        alerts.deliver()
    assert told == [alert(1), alert(2)]
    assert alerts.problems.counts["errors"] == 4
    said = "experiment 'test': a callback failed: ZeroDivisionError: division by zero"
    assert [str(one.message) for one in caught] == [said]


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_a_callback_that_wants_to_leave_is_counted_too() -> None:
    told: list[Alert] = []
    alerts = listening(lambda _: sys.exit(1), told.append)
    take(alerts, alert(1))
    alerts.deliver()
    assert told == [alert(1)]
    assert alerts.problems.counts["errors"] == 1


def test_an_interrupt_is_the_users_and_what_waits_goes_on_waiting() -> None:
    told: list[Alert] = []

    def interrupted(one: Alert) -> None:
        told.append(one)
        if len(told) == 1:
            raise KeyboardInterrupt

    alerts = listening(interrupted)
    for second in (1, 2):
        take(alerts, alert(second))
    with pytest.raises(KeyboardInterrupt):
        alerts.deliver()
    alerts.deliver()
    assert told == [alert(1), alert(2)]


def test_another_thread_may_be_quicker_between_asking_and_taking() -> None:
    class Snatched(deque[Alert]):
        def __bool__(self) -> bool:
            return True

    alerts = listening(print)
    alerts._waiting = Snatched()
    alerts.deliver()


def test_callbacks_may_come_and_go_during_a_delivery() -> None:
    told: list[str] = []

    def once(one: Alert) -> None:
        told.append(f"once {one.reason}")
        alerts.callbacks.remove(once)
        alerts.callbacks.append(lambda later: told.append(f"new {later.reason}"))

    alerts = listening(once, lambda one: told.append(f"other {one.reason}"))
    for reason in ("a", "b"):
        take(alerts, alert(1, reason))
    alerts.deliver()
    assert told == ["once a", "other a", "other b", "new b"]


def test_a_callback_may_take_and_deliver_alerts_itself() -> None:
    told: list[str] = []

    def echo(one: Alert) -> None:
        told.append(one.reason)
        if one.reason == "a":
            take(alerts, alert(2, "echo"))
            alerts.deliver()

    alerts = listening(echo)
    take(alerts, alert(1, "a"))
    take(alerts, alert(1, "b"))
    alerts.deliver()
    assert told == ["a", "b", "echo"]


def test_several_threads_tell_each_alert_once() -> None:
    told: list[str] = []
    alerts = listening(lambda one: told.append(one.reason), per_minute=10**6)
    for i in range(2000):
        take(alerts, alert(1, f"{i}"))
    threads = [threading.Thread(target=alerts.deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert Counter(told) == Counter(f"{i}" for i in range(2000))


def test_an_alert_is_a_value() -> None:
    with pytest.raises(FrozenInstanceError):
        alert(1).value = 3.0  # type: ignore[misc]


def test_the_frame_has_a_row_an_alert_and_times_of_utc() -> None:
    alerts = listening(print)
    take(alerts, alert(1.5))
    frame = alerts.frame()
    assert list(frame.columns) == COLUMNS
    assert frame.index.name == "time"
    assert frame.index.tolist() == [pd.Timestamp(1_500_000_000, unit="ns", tz="UTC")]
    assert frame.iloc[0].tolist()[:-1] == ["rule", "p95_latency_ms", 900.0, "high", "slow", "alert", True]
    assert frame.group.isna().all()


def test_columns_have_the_same_types_with_and_without_alerts() -> None:
    alerts = listening()
    empty = alerts.frame()
    take(alerts, alert(1))
    some = alerts.frame()
    assert list(empty.columns) == COLUMNS
    assert str(some.index.dtype) == "datetime64[ns, UTC]"
    assert empty.index.dtype == some.index.dtype
    assert empty.dtypes.to_dict() == some.dtypes.to_dict()


def test_values_are_floats_also_where_the_metric_is_a_count() -> None:
    exp = cr.start("counts")
    exp.watch("event_count >= 1")
    exp.record("tick")
    assert str(exp.alerts().dtypes["value"]) == "float64"
    exp.stop()
