"""Signal handlers that raise at any place leave no lock held and lose nothing."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.utils.interrupts import unbroken
from tests.reliability.interrupted import CALLS, held_locks, locks_of
from tests.reliability.interrupts import RAISED, AtInstruction, run
from tests.tiers import scaled

pytestmark = [
    pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # raised in a destructor
]


class Interrupted(BaseException):
    """Raised by the signal handler."""


def raise_interrupted(number: int, frame: FrameType | None) -> None:
    raise Interrupted


def interrupt(work: Callable[[], None], seconds: float) -> bool:
    """Work until a timer interrupts it; return whether it did."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.05)  # again: Python drops what a destructor raises
        while True:
            work()
    except Interrupted:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("durability", [None, "os", "memory"])
@pytest.mark.parametrize("kind", ["record", "span", "extend", "read"])
def test_a_timer_at_random_places(tmp_path: Path, kind: str, durability: str | None) -> None:
    store = {} if durability is None else {"store": tmp_path, "durability": durability}
    exp = cr.start("interrupted", **store)
    acknowledged = [0]

    def record() -> None:
        acknowledged[0] += exp.record("x", note="text", n=1)

    def span() -> None:
        with exp.span("x"):
            pass

    def extend() -> None:
        acknowledged[0] += exp.extend([{"event": "x", "note": "a"}] * 3)

    def read() -> None:
        record()
        exp.df.to_numpy()
        assert exp.status == "running"

    work = {"record": record, "span": span, "extend": extend, "read": read}[kind]
    draw, before = random.Random(0), signal.signal(signal.SIGALRM, raise_interrupted)
    try:
        for _ in range(scaled(40)):
            assert interrupt(work, 0.0005 + draw.random() / 200)
            held = threading.Thread(target=exp.record, args=("other",), daemon=True)
            held.start()
            held.join(20)
            assert not held.is_alive(), "a lock is held"
            acknowledged[0] += 1
            exp.df.to_csv()  # no buffer is half written
    finally:
        signal.signal(signal.SIGALRM, before)
    events = exp.metrics().events
    assert events >= acknowledged[0]
    assert exp.summary()["errors"] == exp.summary()["lost"] == exp.summary()["refused"] == 0
    assert len(exp.df) == events
    if durability is not None:
        synced = exp.summary()["store"]["synced"]
        exp.record("last")
        deadline = time.monotonic() + 20
        while exp.summary()["store"]["synced"] <= synced and time.monotonic() < deadline:
            time.sleep(0.05)
        assert exp.summary()["store"]["synced"] > synced
        exp.stop()
        again = cr.attach(exp.id, store=tmp_path, mode="read")
        assert (len(again.df), again.summary()["lost"]) == (events + 1, 0)
        pd.testing.assert_frame_equal(again.df, exp.df)
    else:
        exp.stop()


@pytest.fixture
def alarm() -> Iterator[Callable[[Any], Any]]:
    """Set the handler of SIGALRM."""
    before = signal.getsignal(signal.SIGALRM)
    yield partial(signal.signal, signal.SIGALRM)
    signal.signal(signal.SIGALRM, before)


def at_every_instruction(work: Callable[[], None], before: Callable[[], None] = lambda: None, *, step: int = 1) -> None:
    """Send SIGALRM at the first instruction of some work, the next after `step`, and so on to its end."""
    for place in itertools.count(1, step):
        before()
        with AtInstruction(signal.SIGALRM, place) as at:
            work()
        if at.count < place:
            return


def test_a_block_that_delays_signals_is_whole_and_puts_the_handlers_back(alarm: Callable[[Any], Any]) -> None:
    def handler(number: int, frame: FrameType | None) -> None:
        sys.settrace(None)
        raise RAISED[0]

    def work() -> None:
        done = []
        try:
            with unbroken():
                done.append(1)
                done.append(2)
        except RAISED[0]:
            pass
        assert done in ([], [1, 2])
        assert signal.getsignal(signal.SIGALRM) is handler

    alarm(handler)
    at_every_instruction(work)
    with pytest.raises(RAISED[0]):
        signal.raise_signal(signal.SIGALRM)


@pytest.mark.parametrize(("raises", "durability"), [*zip(RAISED, [None, "memory", "os"], strict=True)])
def test_what_a_handler_raises_reaches_the_caller_of_record(
    tmp_path: Path, alarm: Callable[[Any], Any], raises: type[BaseException], durability: str | None
) -> None:
    exp = cr.start("timeouts", **({} if durability is None else {"store": tmp_path, "durability": durability}))
    acknowledged, came, reached = [], 0, 0

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal came
        sys.settrace(None)
        came += 1
        raise raises

    def record() -> None:
        nonlocal reached
        try:
            if exp.record("x", {"a/b": Path("a")}, n=len(acknowledged), latency_ms=float("nan")):
                acknowledged.append(1)
        except raises:
            reached += 1

    alarm(handler)
    at_every_instruction(record, step=2)
    assert reached == came > 100
    events = exp.metrics().events
    assert len(acknowledged) <= events <= len(acknowledged) + came
    if durability is not None:
        exp.flush()
        again = cr.attach(exp.id, store=tmp_path, mode="read")
        assert (len(again.df), again.summary()["lost"]) == (events, 0)
    assert exp.summary()["errors"] == 0
    exp.stop()


def test_a_timeout_reaches_the_caller_of_a_read(tmp_path: Path, alarm: Callable[[Any], Any]) -> None:
    """TimeoutError is an OSError, which readers of files convert, report or take for a missing file."""
    exp = cr.start("read", store=tmp_path)
    assert exp.record("x", n=1)
    came = reached = 0

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal came
        sys.settrace(None)
        came += 1
        raise TimeoutError

    def read() -> None:
        nonlocal reached
        try:
            again = cr.attach("read", store=tmp_path, mode="read")
            assert (again.status, again.summary()["lost"]) == ("running", 0)
        except TimeoutError:
            reached += 1

    alarm(handler)
    at_every_instruction(read, step=397)
    assert reached == came > 20
    exp.stop()


def test_a_handler_may_record(tmp_path: Path, alarm: Callable[[Any], Any]) -> None:
    exp = cr.start("handler", store=tmp_path)
    recorded = []

    def handler(number: int, frame: FrameType | None) -> None:
        sys.settrace(None)
        recorded.append(exp.record("handler", n=len(recorded)))
        exp.metrics()

    def look() -> None:
        while not over.is_set():
            exp.metrics()

    over, looking = threading.Event(), threading.Thread(target=look)
    looking.start()
    alarm(handler)
    at_every_instruction(lambda: recorded.append(exp.record("caller", n=len(recorded))))
    over.set()
    looking.join()
    assert all(recorded)
    live = exp.df
    again = cr.attach(exp.id, store=tmp_path, mode="read")
    assert (len(live), again.summary()["lost"]) == (len(recorded), 0)
    pd.testing.assert_frame_equal(again.df, live)
    exp.stop()


def test_a_handler_may_stop_the_experiment(tmp_path: Path, alarm: Callable[[Any], Any]) -> None:
    exp: Any = None
    acknowledged = 0

    def begin() -> None:
        nonlocal exp, acknowledged
        end()
        exp, acknowledged = cr.start("ended", store=tmp_path), 0

    def end() -> None:
        if exp is not None:
            if exp.status == "running":
                exp.stop()
            again = cr.attach(exp.id, store=tmp_path, mode="read")
            assert acknowledged <= len(again.df) == len(exp.df) <= 1
            assert (again.status, again.summary()["lost"]) == ("stopped", 0)

    def handler(number: int, frame: FrameType | None) -> None:
        sys.settrace(None)
        exp.stop()

    def record() -> None:
        nonlocal acknowledged
        acknowledged += exp.record("x")

    alarm(handler)
    at_every_instruction(record, begin, step=17)
    end()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forks with threads
def test_a_fork_that_is_interrupted_leaves_no_lock_held(tmp_path: Path, alarm: Callable[[Any], Any]) -> None:
    exp = cr.start("forked", store=tmp_path)

    def handler(number: int, frame: FrameType | None) -> None:
        sys.settrace(None)
        raise RAISED[0]

    def fork() -> None:
        try:
            child = os.fork()
            if not child:
                os._exit(0)
            os.waitpid(child, 0)
        except RAISED[0]:
            pass

    alarm(handler)
    at_every_instruction(fork, step=23)
    assert held_locks(locks_of(exp)) == 0
    assert exp.record("x")
    exp.stop()


FAST = ["record", "extend", "look"]


@pytest.mark.parametrize("kinds", [FAST, *(pytest.param([kind], marks=pytest.mark.check) for kind in CALLS)])
def test_the_harness_finds_nothing(kinds: list[str]) -> None:
    interrupts = scaled(40)
    for found in run(kinds, interrupts).values():
        assert found.by_instruction + found.by_timer == interrupts
        assert found.clean, found


def test_a_handler_may_read_and_record_in_the_middle_of_a_read(alarm: Callable[[Any], Any]) -> None:
    exp, inside = cr.start("nested", by=["service"]), list[int]()

    def look(number: int, frame: FrameType | None) -> None:
        sys.settrace(None)
        exp.extend([{"latency_ms": 1.0, "service": "b", "loss": 2.0}] * 3, event="call")
        inside.append(exp.metrics(by="service").latency.count)

    def read() -> None:
        exp.record("call", latency_ms=5.0, service="a", loss=1.0)
        for found in (exp.metrics(), exp.metrics(last="1h"), exp.metrics(by="service")):
            latency, loss = found.latency, found.columns["loss"]
            assert latency.count == loss.count == found.events
            assert latency.mean + 4 * loss.mean == pytest.approx(9)  # both of the same events

    alarm(look)
    with AtInstruction(None, sys.maxsize) as whole:
        read()
    for place in range(1, whole.count, whole.count // scaled(80)):
        with AtInstruction(signal.SIGALRM, place):
            read()
    assert len(inside) >= scaled(80)
    exp.stop()


@pytest.mark.parametrize("name", ["stage", "column_stage"])
def test_a_state_that_a_handler_reads_just_before_it_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exp = cr.start("just before")

    class Reading(unbroken):
        def __enter__(self) -> None:
            monkeypatch.undo()  # as a handler that is called here
            assert exp.metrics().columns["loss"].count == 1
            super().__enter__()

    exp.record("step", loss=1.0, latency_ms=2.0)
    exp._intake.process()
    monkeypatch.setattr(f"crucible_nb.metrics.{name}.unbroken", Reading)
    assert exp.metrics().columns["loss"].count == exp.metrics().latency.count == 1
    exp.stop()
