"""Silence: found by the first event after it, heard while it lasts, replayed and not decided again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.anomaly import Auto
from crucible_nb.anomaly.silence import Gaps, Silences
from crucible_nb.events.event_columns import EventColumns
from crucible_nb.store import writer
from crucible_nb.testing import ManualClock
from crucible_nb.testing.detectors import (
    a_score_uses_only_the_past,
    it_goes_on_from_its_state,
    its_state_is_plain_json,
    no_cut_changes_a_bit,
    scores,
)
from tests.conftest import NOON, SECOND
from tests.laws.test_resume import die

CALLS = 400


def gaps(seed: int = 0, n: int = CALLS) -> np.ndarray:
    return np.random.default_rng(seed).exponential(5, n)


def calls(clock: ManualClock, exp: cr.Experiment, seed: int = 0, n: int = CALLS) -> None:
    latency = np.random.default_rng(seed).normal(400, 50, n)
    for gap, value in zip(gaps(seed, n), latency, strict=True):
        clock.tick(gap)
        exp.record("llm.call", latency_ms=float(value))


def minutes(clock: ManualClock, exp: cr.Experiment, n: int) -> None:
    """Let time pass, with a check each minute; a test need not wait for the background thread."""
    for _ in range(n):
        clock.tick(60)
        exp._alerting.check()


# -- found by the first event after it ------------------------------------------------------------------------------------


def frame(seed: int = 0, silence: float = 720.0, n: int = 1000, at: int = 800) -> pd.DataFrame:
    waits = gaps(seed, n)
    waits[at] += silence
    time = pd.to_datetime(NOON + np.cumsum(waits * SECOND).astype(np.int64), utc=True)
    return pd.DataFrame({"latency_ms": np.random.default_rng(seed).normal(400, 50, n), "event": "llm.call"}, index=time)


def test_every_door_finds_a_silence_by_the_first_event_after_it() -> None:
    rows = frame()
    longest = f"{np.sort(gaps(n=1000)[:800])[-1]:.0f} s"
    exp = cr.start("silent", anomaly="auto", clock="events")
    exp.extend(rows)
    exp.stop()
    found = exp.anomalies()
    assert found[["first_seq", "count", "metrics", "severity"]].values.tolist() == [[800, 1, "silence", "high"]]
    assert found.reason.item() == f"no llm.call for 12 min; the longest gap before was {longest}"
    assert exp.alerts()[["metric", "severity"]].values.tolist() == [["silence", "high"]]
    assert exp.alerts().value.item() == pytest.approx(720 + gaps(n=1000)[800])
    assert exp.df.anomaly_metric.dropna().tolist() == ["silence"]
    pd.testing.assert_frame_equal(rows.crucible.anomalies("auto"), found)
    assert np.flatnonzero(cr.anomaly.score(rows) >= 1).tolist() == [800]
    assert np.flatnonzero(cr.anomaly.score(rows.latency_ms) >= 1).tolist() == [800]
    assert not (cr.anomaly.score(rows.latency_ms.to_numpy()) >= 1).any()  # without times there is no silence


def test_the_scores_are_those_of_a_walk_over_the_gaps() -> None:
    """Each gap beside the second longest before it and the limit of its blocks, one by one."""
    from crucible_nb.anomaly.block_maxima import update_limit

    rng = np.random.default_rng(3)
    times = np.cumsum((rng.pareto(1.2, 3000) * 20 * SECOND).astype(np.int64))
    found = Gaps().add(times, np.ones(3000, bool), 150, 0.5)
    expected, state, largest = [], (0.0, 0.0, 0.0, 0.0), 1e-3
    past: list[float] = []
    for i, gap in enumerate((np.diff(times) / 1e9).tolist()):
        second = sorted(past)[-2] if len(past) > 1 else 0.0
        limit = max(5.0, 4 * second, state[3]) / 2
        if i >= 150 and gap >= limit:
            expected.append((i + 1, gap, limit, sorted(past)[::-1][:2]))
        past.append(gap)
        largest = max(largest, gap)
        if len(past) % 160 == 0:
            state, largest = update_limit(largest, *state[:3], 2.0), 1e-3  # type: ignore[assignment]
    assert len(expected) == 5
    assert found == expected


def test_the_laws_of_detectors_hold_with_times_and_names_of_events() -> None:
    rows = frame(n=1500, at=1100)
    rows["event"] = np.where(np.arange(1500) % 5 == 0, "note", "llm.call")
    rows["model"] = np.where(np.arange(1500) % 2, "a", "b")
    rows.loc[rows.event == "note", "latency_ms"] = np.nan
    rows.iloc[900:925, 0] = np.nan  # a burst of missing values
    detector = Auto("latency_ms", by="model")
    no_cut_changes_a_bit(detector, rows)
    it_goes_on_from_its_state(detector, rows)
    its_state_is_plain_json(detector, rows)
    a_score_uses_only_the_past(detector, rows)
    whole = scores(detector.begin(), rows) >= 1
    assert whole[1100:1105].any(), "the silence"
    assert whole[900:925].sum() > 5, "the missing values"


def test_pauses_are_no_silence_and_an_outage_does_not_hide_the_next(clock: ManualClock, tmp_path: Path) -> None:
    exp = cr.start("paused", anomaly="auto", clock=clock)
    calls(clock, exp)
    exp.pause()
    clock.tick(3600)
    exp.resume()
    calls(clock, exp, 1)
    for _ in range(3):
        clock.tick(900)
        calls(clock, exp, 2, 200)
    exp.stop()
    found = exp.anomalies()
    pd.testing.assert_frame_equal(exp.df.crucible.anomalies("auto"), found)
    path = exp.export(tmp_path / "run.parquet")
    pd.testing.assert_frame_equal(cr.load(path).crucible.anomalies("auto"), found)
    assert found.first_seq.tolist() == [800, 1000]  # of the third the second longest gap before is as long
    assert found.reason.str.contains("no llm.call for 15 min").all()
    assert "all gaps before but one were" in found.reason[1]


@pytest.mark.parametrize(
    ("kind", "most"), [("even", 0), ("exponential", 0), ("lognormal", 0), ("bursts of 10", 1), ("bursts of 50", 4)]
)
def test_ordinary_traffic_is_no_silence(kind: str, most: int) -> None:
    """Incidents in 8 series of 3,000 events, from the first event on."""
    alarms = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        waits = {
            "even": 5 + rng.normal(0, 0.1, 3000),
            "exponential": rng.exponential(5, 3000),
            "lognormal": 5 * rng.lognormal(0, 1, 3000),
        }.get(kind, rng.exponential(0.5, 3000))
        if kind.startswith("bursts"):
            ends = rng.random(3000) < 1 / int(kind.rsplit(maxsplit=1)[-1])
            waits[ends] = 60 * rng.lognormal(0, 1, ends.sum())
        times = np.cumsum((waits * SECOND).astype(np.int64))
        alarms += len(Gaps().add(times, np.ones(3000, bool), 150, 1.0))
    assert alarms <= most


def test_events_that_never_carry_a_metric_and_those_of_workers_are_not_judged(tmp_path: Path) -> None:
    rows = frame().assign(event="note", latency_ms=np.nan)
    exp = cr.start("notes", anomaly="auto", clock="events", store=tmp_path)
    exp.extend(rows)
    worker = cr.attach("notes", store=tmp_path, mode="join")
    worker.extend(frame())
    worker.stop()
    exp.stop()
    assert exp.anomalies().empty


def test_late_events_shorten_no_gap() -> None:
    times = np.arange(1000) * SECOND
    times[900] = 0
    events = pd.DataFrame({"x": np.ones(1000)})
    silences = Silences(150, 1.0)
    assert silences.judge(EventColumns.of_frame(events, times=times), np.ones(1000, bool)) == {}
    assert silences.newest("") == 999 * SECOND


# -- heard while it lasts -----------------------------------------------------------------------------------------------


def test_who_listens_hears_it_while_it_lasts_and_once_for_each_severity(tmp_path: Path, clock: ManualClock) -> None:
    heard: list[Any] = []
    exp = cr.start("silent", anomaly="auto", clock=clock, store=tmp_path)
    exp.on_anomaly(heard.append)
    calls(clock, exp)
    minutes(clock, exp, 8)
    exp.record("note")  # of another name
    minutes(clock, exp, 32)
    assert [one.severity for one in heard] == ["medium", "high", "critical"]
    assert heard[0].reason.startswith("no llm.call for 4 min; the longest gap before was ")
    assert "; worse than told at " in heard[1].reason
    assert [one.metric for one in heard] == ["silence"] * 3
    assert (heard[0].value, heard[0].time.value) == (240.0, exp.df.index[CALLS - 1].value + 240 * SECOND)
    assert exp.anomalies().empty  # no event shows it yet
    exp.record("llm.call", latency_ms=400.0)
    assert exp.anomalies().severity.tolist() == ["critical"]
    minutes(clock, exp, 1)
    assert len(heard) == len(exp.alerts()) == 3  # it was told
    exp.stop()
    again = cr.attach("silent", store=tmp_path, mode="read")
    pd.testing.assert_frame_equal(again.alerts(), exp.alerts())
    pd.testing.assert_frame_equal(again.anomalies(), exp.anomalies())


def test_the_background_thread_hears_it(clock: ManualClock) -> None:
    heard = threading.Event()
    exp = cr.start("silent", anomaly="auto", clock=clock)
    calls(clock, exp)
    exp.on_anomaly(lambda _: heard.set())
    clock.tick(900)
    assert heard.wait(60)
    exp.stop()


@pytest.mark.parametrize("sealed", [False, True])
def test_it_is_an_input_that_is_replayed_and_not_decided_again(
    tmp_path: Path, clock: ManualClock, sealed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dying and being resumed in the middle of a silence tells of it once, and changes no state."""
    monkeypatch.setattr(writer, "SEAL_EVENTS", 100 if sealed else 10**9)
    heard: list[Any] = []
    exp = cr.start("silent", anomaly="auto", clock=clock, store=tmp_path)
    exp.on_anomaly(heard.append)
    calls(clock, exp)
    minutes(clock, exp, 6)
    assert len(heard) == 1
    state = exp._stream.pipeline.detect.to_dict()
    die(exp)
    again = cr.attach("silent", store=tmp_path, mode="resume", clock=clock)
    again.on_anomaly(heard.append)
    assert again._stream.pipeline.detect.to_dict() == state
    minutes(clock, again, 6)  # the time before the resume is that of no process
    again.record("llm.call", latency_ms=400.0)
    assert len(heard) == len(again.alerts()) == 1
    assert again.anomalies().severity.tolist() == ["medium"]
    again.stop()
    looked = cr.attach("silent", store=tmp_path, mode="read")
    pd.testing.assert_frame_equal(looked.alerts(), again.alerts())
    lines = [line for path in sorted(tmp_path.rglob("*.jsonl")) for line in path.read_text().splitlines()]
    assert sum('"silence",400' in line for line in lines) <= 1


def test_nobody_listens_nobody_decides_and_an_action_pauses(clock: ManualClock) -> None:
    exp = cr.start("alone", anomaly="auto", clock=clock)
    calls(clock, exp)
    minutes(clock, exp, 30)
    exp.stop()
    assert exp.alerts().empty
    exp = cr.start("acting", anomaly="auto", anomaly_config={"action": "pause"}, clock=clock)
    calls(clock, exp)
    minutes(clock, exp, 30)
    assert (exp.status, len(exp.alerts())) == ("paused", 1)
    exp.resume()
    calls(clock, exp, 1, 10)
    exp.stop()
    assert exp.anomalies().first_seq.tolist() == [CALLS]  # the minutes before the pause are a silence


def test_a_dashboard_hears_it(clock: ManualClock) -> None:
    from crucible_nb.experiment.experiment import snapshot_of
    from crucible_nb.notebook.messages import _is_listed

    exp = cr.start("shown", anomaly="auto", clock=clock)
    calls(clock, exp)
    snapshot_of(exp, {}, 0)
    clock.tick(900)
    shown = snapshot_of(exp, {}, 0).alerts
    assert [one.metric for one in shown if _is_listed(one)] == ["silence"]
    exp.stop()


def test_given_times_are_heard_from_when_they_came_unless_they_are_of_another_time(clock: ManualClock) -> None:
    heard: list[Any] = []
    for name, behind in (("late", 10), ("past", 10**6)):
        exp = cr.start(name, anomaly="auto", clock=clock)
        exp.on_anomaly(heard.append)
        rows = frame(silence=0.0)
        clock.now = rows.index[-1].value + behind * SECOND
        exp.extend(rows)
        exp._alerting.check()
        minutes(clock, exp, 6)
        exp.stop()
        assert [(one.metric, one.value) for one in heard] == [("silence", 300.0)]


def test_what_others_record_is_no_silence(tmp_path: Path, clock: ManualClock) -> None:
    exp = cr.start("many", anomaly="auto", anomaly_config={"action": "alert"}, clock=clock, store=tmp_path)
    calls(clock, exp)
    worker = cr.attach("many", store=tmp_path, mode="join", clock=clock)
    clock.tick(900)
    worker.record("llm.call", latency_ms=400.0)
    worker.flush()
    exp._alerting.check()
    assert exp.alerts().empty
    minutes(clock, exp, 5)
    assert len(exp.alerts()) == 1
    worker.stop()
    exp.stop()
