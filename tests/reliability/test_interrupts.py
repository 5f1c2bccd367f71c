"""Signal handlers that raise at any place leave no lock held and lose nothing."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pandas as pd
import pytest

import crucible_nb as cr
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
