"""Lifecycle, time and routing, as users meet them."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import weakref

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.pipeline.lifecycle import Lifecycle
from crucible_nb.testing import ManualClock
from tests.conftest import NOON, SECOND


def test_pauses_are_left_out_of_active_time(clock: ManualClock) -> None:
    exp = cr.start("pauses", clock=clock)
    for pause, record in ((0, 5), (3, 5), (7, 0)):
        clock.tick(1)
        if pause:
            exp.pause()
            assert exp.paused
            assert exp.paused_at == pd.Timestamp(clock.now, tz="UTC")
            assert exp.record("ignored") is False
            assert exp.extend([{"event": "ignored"}]) == 0
            clock.tick(pause)
            exp.resume()
        assert exp.paused_at is None
        for _ in range(record):
            assert exp.record("tick", cost_usd=1.0, cost="x") is True
    clock.tick(1)
    exp.stop()
    facts = exp.summary()
    assert (facts["wall_clock_duration"], facts["active_duration"], facts["paused_duration"]) == (14, 4, 10)
    assert (facts["pause_count"], facts["resume_count"], exp.pause_count, exp.resume_count) == (2, 2, 2, 2)
    spans = exp.paused_spans
    assert isinstance(spans, pd.IntervalIndex)
    assert (spans.length / pd.Timedelta("1s")).tolist() == [3, 7]
    assert spans.closed == "left"
    assert str(spans.left.tz) == "UTC"
    assert exp.metrics().summary.events_per_second == 10 / 4
    assert exp.metrics().summary.cost_per_hour == 10 / 4 * 3600
    assert exp.metrics(last="10s").summary.active_seconds == 2  # of the last ten seconds eight were paused
    clock.tick(100)
    assert exp.summary()["wall_clock_duration"] == 14


def test_an_open_pause_counts_until_now(clock: ManualClock) -> None:
    exp = cr.start("open", clock=clock)
    clock.tick(2)
    exp.pause()
    clock.tick(3)
    assert exp.summary()["paused_duration"] == 3
    assert exp.summary()["active_duration"] == 2
    assert (exp.paused_spans.length / pd.Timedelta("1s")).tolist() == [3]
    clock.tick(1)
    exp.stop()
    assert (exp.summary()["paused_duration"], exp.summary()["wall_clock_duration"]) == (4, 6)


@pytest.mark.parametrize(
    ("path", "verb", "allowed"),
    [
        (["stop"], "pause", "archive"),
        (["pause", "stop"], "resume", "archive"),
    ],
)
def test_a_wrong_transition_says_what_is_allowed(path: list[str], verb: str, allowed: str) -> None:
    exp = cr.start("life")
    for step in path:
        getattr(exp, step)()
    with pytest.raises(cr.LifecycleError) as error:
        getattr(exp, verb)()
    assert str(error.value) == f"cannot {verb} 'life': its status is '{exp.status}' (allowed: {allowed})"
    assert exp.record("x") is (exp.status == "running")


@pytest.mark.parametrize(
    ("path", "verb", "status"),
    [
        ([], "resume", "running"),
        (["pause"], "pause", "paused"),
        (["stop"], "stop", "stopped"),
        (["pause", "stop"], "stop", "stopped"),
    ],
)
def test_a_transition_to_where_it_is_changes_nothing(
    path: list[str], verb: str, status: str, clock: ManualClock
) -> None:
    exp = cr.start("life", clock=clock)
    for step in path:
        getattr(exp, step)()
    before = exp.summary()
    getattr(exp, verb)()
    assert exp.status == status
    assert exp.summary() == before


def test_stop_after_the_end_is_quiet_however_it_ended(tmp_path) -> None:
    exp = cr.start("rule", store=tmp_path)
    exp.watch("event_count >= 2", action="stop")
    assert [exp.record("tick") for _ in range(3)] == [True, True, False]
    ended = exp.stopped_at
    exp.stop()
    exp.archive(tmp_path / "run.zip")
    exp.stop()
    assert (exp.status, exp.stopped_at, exp.metrics().events) == ("archived", ended, 2)
    with pytest.raises(ZeroDivisionError), cr.start("broken") as broken:
        1 / 0  # noqa: B018
    broken.stop()
    assert broken.status == "failed"


def test_an_exception_in_the_block_is_not_replaced_when_a_rule_ends_it_first() -> None:
    with pytest.raises(ZeroDivisionError), cr.start("both", clock="events") as exp:
        exp.record("tick", time=0)
        exp.watch("event_count >= 2", action="stop")
        exp.record("tick", time=1)
        1 / 0  # noqa: B018
    assert exp.status == "stopped"


def test_archive_ends_the_story(tmp_path) -> None:
    exp = cr.start("end")
    with pytest.raises(
        cr.LifecycleError, match=r"^cannot archive 'end': its status is 'running' \(allowed: pause, stop\)$"
    ):
        exp.archive(tmp_path / "run.zip")
    exp.record("tick", latency_ms=1.5, sample_id="a")
    exp.stop()
    rows = exp.frame()
    pd.testing.assert_frame_equal(cr.load(exp.archive(tmp_path / "run.zip")), rows)
    assert exp.status == "archived"
    pd.testing.assert_frame_equal(cr.load(exp.archive(tmp_path / "again.zip")), rows)
    with pytest.raises(cr.LifecycleError), exp:
        pass
    assert exp.metrics().events == 1


def test_an_exception_marks_it_failed_and_goes_on() -> None:
    with pytest.raises(ZeroDivisionError), cr.start("broken") as exp:
        exp.record("before")
        1 / 0  # noqa: B018
    assert exp.status == "failed"
    assert exp.summary()["total_events"] == 1
    assert exp.stopped_at is not None


def test_stop_inside_a_with_is_the_end() -> None:
    with cr.start("early") as exp:
        exp.stop()
    assert exp.status == "stopped"


def test_nested_experiments_do_not_mix() -> None:
    with cr.start("outer") as outer:
        cr.record("a")
        with cr.start("inner") as inner:
            cr.record("b")
            with outer:
                cr.record("c")
                assert cr.current() is outer
        assert inner.status == "stopped"
        assert outer.status == "stopped"  # the innermost with of it has ended
    assert outer.df.event.tolist() == ["a", "c"]
    assert inner.df.event.tolist() == ["b"]
    assert cr.current() is None


def test_threads_see_the_default_but_not_the_with_of_another() -> None:
    default = cr.start("default", default=True)
    seen = []
    with cr.start("mine"):
        thread = threading.Thread(target=lambda: seen.append(cr.current()))
        thread.start()
        thread.join()
    assert seen == [default]


def test_tasks_have_experiments_of_their_own() -> None:
    async def work(name: str) -> cr.Experiment:
        with cr.start(name) as exp:
            for _ in range(20):
                cr.record(name)
                await asyncio.sleep(0)
        return exp

    async def main() -> list[cr.Experiment]:
        return await asyncio.gather(*(work(f"task {i}") for i in range(10)))

    for i, exp in enumerate(asyncio.run(main())):
        assert exp.df.event.tolist() == [f"task {i}"] * 20


def test_many_threads_lose_nothing_and_looks_disturb_nothing() -> None:
    exp, each, threads = cr.start("threads"), 5000, 6
    before = threading.active_count()

    def work(who: int) -> None:
        for i in range(each):
            exp.record("tick", latency_ms=float(i), who=who, step=i)

    running = [threading.Thread(target=work, args=(who,)) for who in range(threads)]
    for thread in running:
        thread.start()
    while any(thread.is_alive() for thread in running):
        looked = exp.frame()
        assert looked.seq.is_unique
        assert exp.metrics().events >= len(looked)
    rows = exp.frame()
    assert sorted(rows.seq) == list(range(each * threads))
    assert rows.index.is_monotonic_increasing
    for _, mine in rows.groupby("who"):
        assert mine.sort_values("seq").step.tolist() == list(range(each))
    assert exp.metrics().latency.mean == pytest.approx((each - 1) / 2)
    assert threading.active_count() <= before + 1  # one thread folds for all


def test_a_clock_that_is_set_back_does_not_stop_time(clock: ManualClock) -> None:
    exp = cr.start("back", clock=clock)
    for step in (1, 1, -3600, 1, 1, -0.5, 1):
        clock.tick(step)
        exp.record("tick")
    clock.tick(1)
    exp.stop()
    seconds = (exp.df.index.asi8 - NOON) / SECOND
    assert seconds.tolist() == [1, 2, 2, 3, 4, 4, 4.5]
    assert exp.summary()["wall_clock_duration"] == 5.5


def test_a_clock_that_raises_is_counted_not_felt(clock: ManualClock) -> None:
    def broken() -> int:
        if clock.now == NOON:
            return NOON
        raise OSError("no clock")

    exp = cr.start("raises", clock=broken)
    assert exp.record("fine")
    clock.tick(1)
    with pytest.warns(cr.CrucibleWarning, match=r"^experiment 'raises': an event was not recorded: OSError: no clock$"):
        assert exp.record("lost") is False
    assert exp.record("lost too") is False
    clock.now = NOON
    assert exp.summary()["errors"] == 2
    assert exp.summary()["total_events"] == 1


def test_trouble_never_raises_even_where_warnings_are_errors() -> None:
    exp = cr.start("strict", clock=iter([0]).__next__)
    assert exp.record("lost") is False


def test_event_time_is_the_clock_of_a_replay() -> None:
    exp = cr.start("replay", clock="events")
    assert exp.started_at is None
    assert exp.summary()["wall_clock_duration"] == 0
    exp.record("a", time="2025-01-01 00:00")
    exp.record("b")  # no time of its own: when the newest one before it happened
    exp.record("c", time="2025-01-01 00:10")
    exp.record("d", time="2025-01-01 00:05")
    assert exp.started_at == pd.Timestamp("2025-01-01", tz="UTC")
    assert exp.df.event.tolist() == ["a", "b", "d", "c"]
    assert exp.metrics(last="5min").events == 2
    exp.pause()
    assert exp.paused_at == pd.Timestamp("2025-01-01 00:10", tz="UTC")
    exp.stop()
    assert exp.summary()["wall_clock_duration"] == 600


def test_max_events_keeps_the_newest_and_counts_the_rest() -> None:
    exp = cr.start("short", clock="events", max_events=100)
    for i in range(10_000):
        exp.record("tick", latency_ms=float(i), time=i * SECOND)
    rows = exp.frame()
    assert rows.latency_ms.tolist() == list(np.arange(9900.0, 10_000))
    assert rows.attrs == {"evicted_events": 9900}
    facts = exp.summary()
    assert (facts["total_events"], facts["kept_events"], facts["evicted_events"]) == (10_000, 100, 9900)
    metrics = exp.metrics()
    assert (metrics.events, metrics.latency.mean, metrics.latency.min, metrics.latency.max) == (10_000, 4999.5, 0, 9999)
    assert exp._stream.pipeline.buffer.nbytes < 100_000
    window = exp.metrics(last="5min")
    start = (window.span.start.value - 0) // SECOND
    assert 9699 <= start <= 9710  # begins at a pane
    assert window.events == 9999 - start + 1
    assert window.latency.mean == pytest.approx((start + 9999) / 2)
    assert exp.metrics(last="17min").estimated


def test_late_events_land_where_they_belong() -> None:
    exp = cr.start("late", clock="events")
    for second in (10, 30, 20):
        exp.record("tick", time=second * SECOND, latency_ms=float(second))
    held = exp.frame()
    assert held.latency_ms.tolist() == [10, 20, 30]
    exp.record("tick", time=15 * SECOND, latency_ms=15.0)
    exp.record("tick", time=20 * SECOND, latency_ms=20.5)
    assert exp.frame().latency_ms.tolist() == [10, 15, 20, 20.5, 30]  # equal times in order of recording
    assert held.latency_ms.tolist() == [10, 20, 30]
    assert exp.query_window(start=15 * SECOND, end=20 * SECOND).latency_ms.tolist() == [15]


def test_progress_towards_the_sample_size() -> None:
    exp = cr.start("progress", sample_size=8, condition="a", hypothesis="h", tags=["t"], metadata={"k": 1})
    exp.record("tick")
    facts = exp.summary()
    assert (facts["progress"], facts["condition"], facts["hypothesis"], facts["tags"]) == (0.125, "a", "h", ["t"])
    assert "1 (12% of 8)" in exp._repr_html_()
    assert repr(exp) == "<Experiment 'progress' running, 1 events>"


def test_an_ended_experiment_can_be_forgotten() -> None:
    exp = cr.start("gone")
    exp.record("tick")
    exp.stop()
    assert "gone" in cr.experiments()["name"].tolist()
    held, exp = weakref.ref(exp), None
    gc.collect()
    assert held() is None
    assert "gone" not in cr.experiments()["name"].tolist()


def test_export_carries_the_facts(tmp_path) -> None:
    exp = cr.start("facts", condition="b", metadata={"sha": "abc"}, tags=["x"])
    exp.record("tick", latency_ms=1.0)
    exp.pause()
    exp.stop()
    for name in ("r.parquet", "r.csv", "r.jsonl"):
        path = exp.export(tmp_path / name)
        facts = cr.files.read_facts(path)
        assert (facts["name"], facts["condition"], facts["metadata"], facts["tags"]) == (
            "facts",
            "b",
            {"sha": "abc"},
            ["x"],
        )
        assert [change[0] for change in facts["changes"]] == ["pause", "stop"]
        pd.testing.assert_frame_equal(cr.load(path), exp.frame())
    assert exp.export(tmp_path / "any", format="csv").is_file()


def test_an_interrupt_waits_until_what_was_recorded_is_taken_in() -> None:
    class Interrupted(cr.anomaly.ZScore):
        """A detector in whose middle somebody presses stop."""

        def algorithm(self, x, state):
            signal.raise_signal(signal.SIGINT)
            return super().algorithm(x, state)

    exp = cr.start("stopped", anomaly=Interrupted("latency_ms"))
    for ms in range(100):
        exp.record("call", latency_ms=float(ms))
    with pytest.raises(KeyboardInterrupt):
        exp.metrics()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        exp.extend(pd.DataFrame({"latency_ms": [1.0, 2.0]}), event="call")
    assert exp.metrics().latency.count == len(exp.df) == 102
    assert exp.summary()["errors"] == 0
    exp.stop()


def test_in_event_time_an_experiment_ends_with_its_last_event() -> None:
    with cr.start("replayed", clock="events") as exp:
        for second in range(60):
            exp.record("call", time=second * 10**9)
    assert exp.summary()["active_duration"] == 59
    assert exp.summary()["stopped_at"] == pd.Timestamp("1970-01-01 00:00:59", tz="UTC")


def test_a_handler_may_pause_in_the_middle_of_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    exp = cr.start("twice")
    is_done = Lifecycle.is_done

    def interrupted(life: Lifecycle, verb: str) -> bool:
        done = is_done(life, verb)
        signal.raise_signal(signal.SIGUSR1)
        return done

    before = signal.signal(signal.SIGUSR1, lambda *_: (monkeypatch.undo(), exp.pause()))
    try:
        monkeypatch.setattr(Lifecycle, "is_done", interrupted)
        exp.pause()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (exp.status, exp.pause_count) == ("paused", 1)
    exp.stop()
