"""Rules on live metrics: parsed from a sentence, compared with pandas."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.pipeline.rules import METRICS, Rule
from crucible_nb.testing import ManualClock
from tests.conftest import NOON, SECOND

MINUTE = 60 * SECOND
SENTENCE = (
    "a sentence such as 'error_rate > 0.1 over 5min': a metric, one of > >= < <=, a number, then 'over' a window (5min, "
    "'1h and 5min' or '20 events') and 'by' a column; or 'min_val_loss not better for 3 events', 'loss is not finite'"
)
FORMS = (
    "a metric such as error_rate, p95_latency_ms, mean_, total_, min_, max_, first_ or last_ and a column, a column "
    "for its mean, share(<condition>), <a>_per_<b>, events_per_second or burn_rate"
)
TOTALS = ["max_latency_ms", "total_cost_usd", "total_tokens", "event_count", "failure_count"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error_rate > 0.1 over 5min", ("error_rate", ">", 0.1, 5 * MINUTE)),
        ("error_rate>0.1", ("error_rate", ">", 0.1, None)),
        ("  p95_latency_ms   >=  2e3  over  1h ", ("p95_latency_ms", ">=", 2000.0, 60 * MINUTE)),
        ("success_rate < .95 over 30s", ("success_rate", "<", 0.95, 30 * SECOND)),
        ("success_rate < 95% over 30s", ("success_rate", "<", 0.95, 30 * SECOND)),
        ("success_rate<99.9 %", ("success_rate", "<", 0.999, None)),
        ("error_rate > 1e1%", ("error_rate", ">", 0.1, None)),
        ("error_rate >= 100%", ("error_rate", ">=", 1.0, None)),
        ("event_count <= 1_000", ("event_count", "<=", 1000.0, None)),
        ("total_cost_usd > +1.5e-3 over 1D", ("total_cost_usd", ">", 0.0015, 24 * 60 * MINUTE)),
        ("mean_cost_usd > -1 over 1h30min", ("mean_cost_usd", ">", -1.0, 90 * MINUTE)),
    ],
)
def test_a_sentence_is_metric_sign_number_and_window(text: str, expected: tuple[Any, ...]) -> None:
    rule = Rule.parse(text)
    assert (rule.metric, rule.sign, rule.limit, rule.window) == expected
    assert rule.text == text.strip()


@pytest.mark.parametrize("metric", METRICS)
def test_totals_need_one_event_and_the_others_ten(metric: str) -> None:
    assert Rule.parse(f"{metric} > 1").min_events == (1 if metric in TOTALS else 10)
    assert (
        Rule.parse(f"{metric} > 1 over 5min").min_events
        == Rule.parse(f"{metric} < 1").min_events
        == Rule.parse(f"{metric} > 1").min_events
    )
    assert Rule.parse(f"{metric} > 1", min_events=3).min_events == 3


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("sign", ["<", "<="])
def test_too_few_events_in_a_window_need_none(metric: str, sign: str) -> None:
    silent = metric in ("event_count", "events_per_second")
    assert Rule.parse(f"{metric} {sign} 1 over 5min").min_events == (0 if silent else 1 if metric in TOTALS else 10)
    assert Rule.parse(f"{metric} {sign} 1 over 5min", min_events=2).min_events == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("error rate > 0.1", f"rule='error rate > 0.1': expected {SENTENCE}"),
        ("error_rate = 0.1", f"rule='error_rate = 0.1': expected {SENTENCE}"),
        ("error_rate > 10", "rule='error_rate > 10': expected a share from 0 to 1 or from 0% to 100%, as error_rate is one"),
        ("success_rate < 95", "rule='success_rate < 95': expected a share from 0 to 1 or from 0% to 100%, as success_rate is one"),
        ("error_rate > 100.1%", "rule='error_rate > 100.1%': expected a share from 0 to 1 or from 0% to 100%, as error_rate is one"),
        ("error_rate > -1%", "rule='error_rate > -1%': expected a share from 0 to 1 or from 0% to 100%, as error_rate is one"),
        ("error_rate > 1e3", "rule='error_rate > 1e3': expected a share from 0 to 1 or from 0% to 100%, as error_rate is one"),
        ("p95_latency_ms > 10%", "rule='p95_latency_ms > 10%': expected a number without %, as p95_latency_ms is no share"),
        ("event_count > 10 % over 5min", "rule='event_count > 10 % over 5min': expected a number without %, as event_count is no share"),
        ("error_rate > nan", f"rule='error_rate > nan': expected {SENTENCE}"),
        ("error_rate > 0.1 over", f"rule='error_rate > 0.1 over': expected {SENTENCE}"),
        ("error_rate > 0.1 for 5min", f"rule='error_rate > 0.1 for 5min': expected {SENTENCE}"),
        ("0.1 < error_rate", f"rule='0.1 < error_rate': expected {SENTENCE}"),
        ("", "rule='': expected a non-empty string"),
        (3, "rule=3: expected a non-empty string"),
        ("error_rates > 0.1", f"rule metric='error_rates': expected {FORMS}; a column of this name is meant by mean_error_rates; did you mean 'error_rate'?"),
        ("p95_latencyms > 1 by", f"rule='p95_latencyms > 1 by': expected {SENTENCE}"),
        ("std_loss > 1", "rule='std_loss > 1': metric='std_loss': expected"),
        ("share(latency_ms <) > 0.1", "rule='share(latency_ms <) > 0.1': metric='latency_ms <': expected a condition of"),
        ("share(success) < 95", "rule='share(success) < 95': expected a share from 0 to 1 or from 0% to 100%, as share(success) is one"),
        ("loss not better for 3 events", "rule='loss not better for 3 events': expected min_ or max_ and a column before 'not better', such as 'min_loss not better for 3 events'"),
        ("min_loss not better for 0 events", "rule='min_loss not better for 0 events': expected 1 event or more, and a difference of 0 or more"),
        ("last_loss > 3 over 5min", "rule='last_loss > 3 over 5min': expected no window, as last_loss is a single value"),
        ("events_per_second > 3 over 20 events", "rule='events_per_second > 3 over 20 events': expected a window of time, as events_per_second is a rate per time"),
        ("loss > 3 over 0 events", "rule='loss > 3 over 0 events': expected a window of 1 to 100,000 events"),
        ("loss > 3 over 1h and 5min and 1min", "rule='loss > 3 over 1h and 5min and 1min': expected one window or two"),
        ("burn_rate > 14.4 over 1h", "rule='burn_rate > 14.4 over 1h': expected an objective first: exp.slo('latency_ms < 2000 and success', target=0.95)"),
        ("error_rate > 0.1.2", "rule='error_rate > 0.1.2': '0.1.2' is not a number"),
        ("error_rate > _", "rule='error_rate > _': '_' is not a number"),
        ("error_rate > 0.1 over five minutes", "rule window='five minutes': expected a positive duration such as '5min', '30s', '1h' or a Timedelta"),
        ("error_rate > 0.1 over 0s", "rule window='0s': expected a positive duration such as '5min', '30s', '1h' or a Timedelta"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_said_at_once(text: Any, said: str) -> None:
    exp = cr.start("rules")
    with pytest.raises(cr.ConfigError) as raised:
        exp.watch(text)
    assert str(raised.value).startswith(said)
    assert len(str(raised.value)) == len(said) or said.endswith(("expected", "of"))
    exp.record("tick")
    assert exp.alerts().empty
    exp.stop()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"action": "explode"}, "action='explode': expected one of 'alert', 'pause', 'stop'"),
        ({"min_events": 0}, "min_events=0: expected a whole number >= 1 or None"),
        ({"min_events": 2.5}, "min_events=2.5: expected a whole number >= 1 or None"),
    ],
)
def test_so_is_a_wrong_option(options: dict[str, Any], said: str) -> None:
    exp = cr.start("rules")
    with pytest.raises(cr.ConfigError) as raised:
        exp.watch("event_count > 0", **options)
    assert str(raised.value) == said
    exp.stop()


@pytest.mark.parametrize(
    ("sign", "below", "equal", "above"),
    [(">", False, False, True), (">=", False, True, True), ("<", True, False, False), ("<=", True, True, False)],
)
def test_a_sign_means_what_it_says_and_the_unknown_meets_none(sign: str, below: bool, equal: bool, above: bool) -> None:
    rule = Rule.parse(f"event_count {sign} 5")
    assert [rule.holds(value) for value in (4.0, 5.0, 6.0, math.nan)] == [below, equal, above, False]


# -- live ---------------------------------------------------------------------------------------------------------------


def trace(n: int = 1200) -> pd.DataFrame:
    """Twenty minutes, one event per second."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "latency_ms": rng.lognormal(6, 1, n),
            "cost_usd": rng.lognormal(-6, 1, n),
            "prompt_tokens": rng.integers(0, 1000, n),
            "completion_tokens": rng.integers(0, 100, n),
            "success": pd.array(rng.random(n) < 0.9, dtype="boolean"),
        },
        index=pd.DatetimeIndex(NOON + np.arange(n) * SECOND, tz="UTC", name="time"),
    )
    frame.loc[frame.index[::7], "latency_ms"] = np.nan
    frame.loc[frame.index[::11], "success"] = pd.NA
    frame.loc[frame.index[::13], "cost_usd"] = np.nan
    return frame


EXPECTED: dict[str, Callable[[pd.DataFrame, float], float]] = {
    "error_rate": lambda rows, _: (~rows.success.dropna()).mean(),
    "success_rate": lambda rows, _: rows.success.dropna().mean(),
    "mean_latency_ms": lambda rows, _: rows.latency_ms.mean(),
    "max_latency_ms": lambda rows, _: rows.latency_ms.max(),
    "p50_latency_ms": lambda rows, _: rows.latency_ms.quantile(0.5),
    "p90_latency_ms": lambda rows, _: rows.latency_ms.quantile(0.9),
    "p95_latency_ms": lambda rows, _: rows.latency_ms.quantile(0.95),
    "p99_latency_ms": lambda rows, _: rows.latency_ms.quantile(0.99),
    "total_cost_usd": lambda rows, _: rows.cost_usd.sum(),
    "mean_cost_usd": lambda rows, _: rows.cost_usd.mean(),
    "cost_per_hour": lambda rows, seconds: rows.cost_usd.sum() / seconds * 3600,
    "total_tokens": lambda rows, _: (rows.prompt_tokens + rows.completion_tokens).sum(),
    "event_count": lambda rows, _: len(rows),
    "failure_count": lambda rows, _: (~rows.success.dropna()).sum(),
    "events_per_second": lambda rows, seconds: len(rows) / seconds,
}


def test_every_metric_is_checked_here() -> None:
    assert list(EXPECTED) == list(METRICS)


@pytest.mark.parametrize("window", [None, "5min", "7min", "30s"])
@pytest.mark.parametrize("metric", METRICS)
def test_the_value_of_a_rule_is_that_of_pandas_over_its_window(metric: str, window: str | None) -> None:
    frame = trace()
    with cr.start("value", clock="events") as exp:
        exp.extend(frame, event="call")
        exp.watch(f"{metric} >= 0" + (f" over {window}" if window else ""))
        got = exp.alerts()
    start = frame.index[-1] - pd.Timedelta(window or "1D")
    rows, seconds = frame.loc[start:], 1199.0 if window is None else pd.Timedelta(window).total_seconds()
    assert got.value.item() == pytest.approx(float(EXPECTED[metric](rows, seconds)), rel=1e-9)
    assert got.metric.item() == metric
    assert got.index.item() == frame.index[-1]


@pytest.mark.parametrize(("metric", "min_events"), [(name, 1 if name in TOTALS else 10) for name in METRICS])
def test_a_rule_waits_for_its_events(metric: str, min_events: int) -> None:
    exp = cr.start("few", clock="events")
    exp.watch(f"{metric} >= 0")
    met = []
    for i in range(12):
        exp.record("call", latency_ms=5.0, cost_usd=0.1, total_tokens=3, success=False, time=i * SECOND)
        met.append(len(exp.alerts()))
    assert met.index(1) + 1 == min_events
    exp.stop()


@pytest.mark.parametrize("failures", range(11))
@pytest.mark.parametrize("sign", [">", ">=", "<", "<="])
def test_a_rate_on_the_limit_is_on_the_limit(failures: int, sign: str) -> None:
    exp = cr.start("limit")
    exp.watch(f"error_rate {sign} {failures / 10}")
    for i in range(10):
        exp.record("call", success=i >= failures)
    assert len(exp.alerts()) == ("=" in sign)
    exp.stop()


def test_a_metric_that_is_unknown_meets_no_rule() -> None:
    exp = cr.start("unknown")
    for metric in METRICS:
        if metric not in ("event_count", "events_per_second", "failure_count"):
            exp.watch(f"{metric} <= {1 if metric.endswith('_rate') else 1e12}")
            exp.watch(f"{metric} >= 0")
    for _ in range(50):
        exp.record("tick")
    assert exp.alerts().empty
    exp.stop()


KNOWN = {
    "success": ["error_rate", "success_rate", "failure_count"],
    "latency_ms": ["mean_latency_ms", "max_latency_ms", "p50_latency_ms", "p90_latency_ms", "p95_latency_ms", "p99_latency_ms"],
    "cost_usd": ["total_cost_usd", "mean_cost_usd", "cost_per_hour"],
    "total_tokens": ["total_tokens"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("column", "metric"), [(column, metric) for column, names in KNOWN.items() for metric in names]
)
def test_a_rule_waits_for_values_of_its_own_metric(column: str, metric: str) -> None:
    exp = cr.start("others", clock="events")
    exp.watch(f"{metric} >= 0 over 5min")
    needed, met = 1 if metric in TOTALS else 10, []
    for i in range(40):
        exp.record("train.step", loss=1.0, time=NOON + 2 * i * SECOND)
    for i in range(12):
        exp.record("call", time=NOON + (80 + 10 * i) * SECOND, **{column: False if column == "success" else 3})
        met.append(len(exp.alerts()))
    assert met.index(1) == needed  # noticed by the event behind the pane of 10 s
    exp.stop()


def test_one_known_outcome_is_no_error_rate() -> None:
    with cr.start("one failure", clock="events") as exp:
        exp.watch("error_rate > 10% over 5min")
        exp.record("x", success=False, time=NOON)
        for i in range(20):
            exp.record("x", latency_ms=1.0, time=NOON + i * SECOND)
        assert exp.alerts().empty
        for i in range(9):
            exp.record("x", success=False, time=NOON + (20 + i) * SECOND)
    assert exp.alerts().reason.item() == "error_rate > 10% over 5min: it is 100%"


# -- costs that are unknown ----------------------------------------------------------------------------------------------


def unpriced_call(exp: cr.Experiment, model: str) -> None:
    exp.record("llm.request", model=model, prompt_tokens=10**9, completion_tokens=10**9)


def test_a_budget_tells_once_of_each_model_without_a_price(tmp_path: Any) -> None:
    heard: list[str] = []
    exp = cr.start("budget", store=tmp_path)
    exp.on_anomaly(lambda alert: heard.append(alert.reason))
    exp.budget(usd=1)
    for model in ("my-own", "my-own", "gpt-4o-of-mine", "my-own"):
        unpriced_call(exp, model)
        exp.alerts()
    said = [f"events of {model} cannot be priced, so 'budget of 1 USD' does not count them; see exp.unpriced()"
            for model in ("my-own", "gpt-4o-of-mine")]  # fmt: skip
    assert heard == said
    assert exp.alerts()[["kind", "metric", "value", "action"]].iloc[0].tolist() == [
        "budget",
        "total_cost_usd",
        1.0,
        "alert",
    ]
    assert exp.status == "running"
    exp.record("llm.request", cost_usd=2.0)
    assert exp.should_stop
    told = "budget of 1 USD: it is 2, without 4 events that cannot be priced (my-own, gpt-4o-of-mine)"
    assert exp.alerts().reason.tolist() == [*said, told]
    assert cr.attach(exp.handle, mode="read").alerts().reason.tolist() == [*said, told]
    exp.stop()


def test_models_that_came_before_the_budget_are_told_of() -> None:
    exp = cr.start("late budget")
    unpriced_call(exp, "my-own")
    assert exp.alerts().empty
    exp.budget(usd=1)
    exp.watch("mean_cost_usd > 5")
    exp.watch("event_count > 100")
    assert [reason.split("'")[1] for reason in exp.alerts().reason] == ["budget of 1 USD", "mean_cost_usd > 5"]
    exp.stop()


# -- silence ------------------------------------------------------------------------------------------------------------


def silences(exp: cr.Experiment) -> list[float]:
    """Seconds after noon at which a rule fired."""
    return [(time.value - NOON) / SECOND for time in exp.alerts().index]


@pytest.mark.untraced
@pytest.mark.parametrize(
    "rule", ["event_count < 1 over 5min", "event_count <= 0 over 5min", "events_per_second < 0.001 over 5min"]
)
@pytest.mark.parametrize("last", [None, 0, 100])
def test_silence_is_noticed_by_the_clock_after_the_whole_window(
    clock: ManualClock, rule: str, last: int | None
) -> None:
    exp = cr.start("silent", clock=clock)
    exp.watch(rule)
    for second in range(500):
        if last is not None and second <= last:
            exp.record("tick")
        _ = exp.should_stop
        clock.tick(1)
    assert silences(exp) == [300 if last is None else last + 301]
    assert exp.alerts().reason.item() == f"{rule}: it is 0"
    exp.stop()


def test_silence_is_noticed_again_when_it_comes_again(clock: ManualClock) -> None:
    exp = cr.start("silent", clock=clock)
    exp.watch("event_count < 1 over 1min")
    for second in range(1000):
        if second % 200 < 50:
            exp.record("tick")
        _ = exp.should_stop
        clock.tick(1)
    exp.stop()
    assert silences(exp) == [49 + 61 + 200 * i for i in range(5)]


def test_a_window_that_was_partly_paused_is_not_silent(clock: ManualClock) -> None:
    exp = cr.start("silent", clock=clock)
    exp.watch("event_count < 1 over 1min")
    for second in range(600):
        if second == 100:
            exp.pause()
        if second == 400:
            exp.resume()
        if second < 100:
            exp.record("tick")
        _ = exp.should_stop
        clock.tick(1)
    assert silences(exp) == [460]
    exp.stop()


def test_few_events_say_nothing_of_a_window_that_has_not_passed(clock: ManualClock) -> None:
    exp = cr.start("slow", clock=clock)
    exp.watch("event_count < 30 over 5min", action="stop")
    exp.watch("events_per_second <= 0.1 over 1min")
    for second in range(400):
        if second % 5 == 0:
            exp.record("tick")
        assert not exp.should_stop
        clock.tick(1)
    assert exp.alerts().empty
    for _ in range(400):
        if exp.should_stop:
            break
        clock.tick(1)
    assert exp.status == "stopped"
    rows, fired = exp.df.index.asi8, exp.alerts().index[-1].value
    for moment, few in ((fired, True), (fired - SECOND, False)):
        assert (np.count_nonzero(rows >= moment - 300 * SECOND) < 30) == few


@pytest.mark.parametrize(
    "options",
    [
        {"max_events": 100},
        pytest.param({"windows": ()}, marks=pytest.mark.check),
        pytest.param({"sampling": "uniform", "sampling_config": {"rate": 0.1}}, marks=pytest.mark.check),
    ],
    ids=str,
)
def test_so_it_is_where_rows_are_not_kept(clock: ManualClock, options: dict[str, Any]) -> None:
    exp = cr.start("many", clock=clock, seed=1, **options)
    exp.watch("event_count < 1 over 5min")
    exp.watch("event_count < 5000 over 5min", action="pause")
    for _ in range(300):
        exp.extend(pd.DataFrame({"latency_ms": np.ones(40)}))
        assert not exp.should_stop
        clock.tick(2)
    for _ in range(60):
        if exp.should_stop:
            break
        clock.tick(1)
    assert exp.paused
    (alert,) = exp.alerts().itertuples()
    assert 4760 <= alert.value < 5000  # without rows a window begins at its next pane of 10 s
    exp.stop()


def test_silence_is_noticed_while_nobody_looks() -> None:
    exp, heard = cr.start("alone"), threading.Event()
    exp.on_anomaly(lambda _: heard.set())
    exp.watch("event_count < 1 over 100ms")
    assert heard.wait(60)
    exp.stop()


def test_in_event_time_silence_is_told_by_the_first_event_after_it() -> None:
    exp = cr.start("events", clock="events")
    exp.watch("event_count < 1 over 5min")
    exp.watch("event_count < 3 over 5min", action="pause")
    for second in (*range(0, 600, 60), 3600):
        assert not exp.should_stop
        exp.record("tick", time=NOON + second * SECOND)
    assert exp.should_stop
    assert silences(exp) == [730, 850]  # the last of ten events is at 540 s; panes of 10 s
    exp.stop()
