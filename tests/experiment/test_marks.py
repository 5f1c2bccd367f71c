"""Marks: named moments that windows and conditions understand, in a store as in memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.testing import ManualClock

T0 = pd.Timestamp("2026-01-01", tz="UTC")


def run(store: Path | None = None) -> cr.Experiment:
    """Ten calls, the first four of which warm up; in event time."""
    exp = cr.start("marks", clock="events", store=store)
    for second in range(10):
        if second == 4:
            exp.mark("warm")
        exp.record("call", latency_ms=100.0 * (10 - second), time=T0 + pd.Timedelta(seconds=second))
    exp.mark("late", time=T0 + pd.Timedelta("8s"))
    return exp


def test_windows_and_conditions_understand_a_mark() -> None:
    exp = run()
    exp.stop()
    assert exp.marks == {"warm": T0 + pd.Timedelta("3s") + pd.Timedelta("1ns"), "late": T0 + pd.Timedelta("8s")}
    for door in (exp, exp.df.crucible):
        assert len(door.query_window(start="warm")) == 6
        assert len(door.query_window(end="warm")) == 4
        assert len(door.query_window(start="warm", end="late")) == 4
        assert len(door.query_window(where="time >= warm and time < late")) == 4
        assert len(door.query_window(last_n=8, where="time < warm")) == 2
        assert door.metrics(where="time >= warm").latency.max == 600
        assert len(door.windowed_metrics("2s", where="time >= warm")) == 3
    assert exp.metrics(start="warm").events == 6
    assert exp.metrics(start="warm").summary.active_seconds == pytest.approx(6)
    assert exp.metrics(start="warm", at="late").events == 5
    assert exp.metrics(start="warm", by="event")["call"].events == 6
    assert exp.metrics(start=T0 + pd.Timedelta("9s")).events == 1
    assert cr.confidence_interval(exp, "mean_latency_ms", where="time >= warm").n == 6
    other = run()
    other.stop()
    assert cr.compare(exp, other, metrics=["mean_latency_ms"], where="time >= warm")["mean_latency_ms"].n == (6, 6)
    assert len(exp.plot.latency(where="time >= warm").data[0].y) == 6


def test_a_mark_is_stored_replayed_and_attached(tmp_path: Path) -> None:
    exp = run(tmp_path)
    exp.flush()
    looked = cr.attach("marks", store=tmp_path, mode="read")
    assert looked.marks == exp.marks
    assert looked.metrics(where="time >= warm").events == 6
    exp.stop()
    again = cr.attach("marks", store=tmp_path, mode="read")
    assert again.marks == exp.marks
    assert len(again.query_window(start="warm")) == 6
    path = exp.export(tmp_path / "run.parquet")
    assert len(cr.load(path).crucible.query_window(start="warm")) == 6
    assert cr.unarchive(exp.archive(tmp_path / "run.zip"), tmp_path / "other").marks == exp.marks


def test_a_worker_sees_the_marks_of_the_experiment_and_its_own(tmp_path: Path) -> None:
    exp = run(tmp_path)
    worker = cr.attach("marks", store=tmp_path, mode="join")
    worker.mark("mine", time=T0)
    worker.flush()
    exp.flush()
    assert set(worker.marks) == set(exp.marks) == {"warm", "late", "mine"}
    worker.stop()
    exp.stop()


def test_the_clock_of_a_live_run_and_names_that_move() -> None:
    clock = ManualClock()
    exp = cr.start("live", clock=clock)
    exp.record("a")
    clock.tick(1)
    exp.mark("here")
    first = exp.marks["here"]
    clock.tick(1)
    exp.record("b")
    assert exp.query_window(start="here").event.tolist() == ["b"]
    exp.mark("here")
    assert exp.marks["here"] == first + pd.Timedelta("1s")
    exp.stop()
    before = cr.start("none", clock="events")
    before.mark("begin")
    before.record("a", time=T0)
    assert len(before.query_window(start="begin")) == 1
    before.stop()


def test_what_is_no_mark_is_refused() -> None:
    exp = run()
    for name in ("", "two words", "2nd", 3, None):
        with pytest.raises(cr.ConfigError, match="letters, digits and underscores"):
            exp.mark(name)
    with pytest.raises(cr.ConfigError, match="time"):
        exp.mark("warm", time="soon")
    with pytest.raises(cr.ConfigError, match="start='unknown'"):
        exp.query_window(start="unknown")
    with pytest.raises(cr.SchemaError, match="'cold' is not defined"):
        exp.query_window(where="time > cold")
    with pytest.raises(cr.ConfigError, match="expected one of them, got both"):
        exp.metrics(last="1s", start="warm")
    exp.stop()
    frame = exp.df.assign(warm=1)
    assert len(frame.crucible.query_window(where="latency_ms > 0 and warm == 1")) == 10  # a column comes first
