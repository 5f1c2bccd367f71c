"""Clocks: times never decrease, a bad reading costs itself alone, and a clock that is put right is believed again."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crucible_nb as cr
from crucible_nb.events.rows import WIDTH
from crucible_nb.pipeline.clock import JUMP, SteadyClock
from crucible_nb.store.verify import verify

START, SECOND, DAY = 1_790_000_000_000_000_000, 10**9, 86_400 * 10**9
BAD = [None, float("nan"), 2**63, -(2**63) - 1, "x", pd.Timestamp(0), 1.5, True, np.float64(1.0)]


class Broken:
    """A clock that ticks a second per reading, and gives `bad` while it is set."""

    def __init__(self) -> None:
        self.now, self.bad = START, ()

    def __call__(self) -> Any:
        self.now += SECOND
        return self.bad[0] if self.bad else self.now


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
@pytest.mark.parametrize("bad", BAD, ids=repr)
@pytest.mark.parametrize("stored", [False, True])
def test_a_bad_reading_costs_itself_alone(tmp_path: Path, bad: Any, stored: bool) -> None:
    clock = Broken()
    exp = cr.start("clock", store=tmp_path if stored else None, clock=clock)
    taken = [exp.record("x", n=i) for i in range(5)]
    clock.bad = (bad,)
    taken.append(exp.record("x", n=5))
    taken.append(bool(exp.extend([{"event": "x", "n": 6}])))
    clock.bad = ()
    taken += [exp.record("x", n=i) for i in range(7, 10)]
    assert taken == [True] * 5 + [False] * 2 + [True] * 3
    assert exp.df["n"].tolist() == [0, 1, 2, 3, 4, 7, 8, 9]
    assert (exp.metrics().events, exp.summary()["errors"]) == (8, 2)
    if stored:
        exp.flush()
        again = cr.attach("clock", store=tmp_path, mode="read")
        assert (len(again.df), again.summary()["lost"], verify(tmp_path).sound) == (8, 0, True)
    exp.stop()


@pytest.mark.parametrize("clock", [dt.datetime.now, pd.Timestamp.now, time.time, lambda: None])
def test_a_clock_of_another_kind_is_refused_at_the_start(tmp_path: Path, clock: Any) -> None:
    for store in (None, tmp_path):
        with pytest.raises(cr.ConfigError, match=r"clock\(\)=.*: expected UTC nanoseconds as an int of 64 bits"):
            cr.start("clock", clock=clock, store=store)
    with pytest.raises(cr.ConfigError, match="clock: it raised ZeroDivisionError: "):
        cr.start("clock", clock=lambda: 1 // 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::crucible_nb.errors.CrucibleWarning")
def test_a_staged_row_without_a_time_takes_no_other_with_it() -> None:
    exp = cr.start("staged")
    exp.record("x", n=0)
    exp._intake._staged += [None, "x", *[None] * (WIDTH - 3), {"n": 1}]
    exp.record("x", n=2)
    assert exp.df["n"].tolist() == [0, 1, 2]
    assert exp.summary()["errors"] == 1
    exp.stop()


def test_a_clock_that_is_put_right_is_believed_again() -> None:
    now = [START]

    def clock() -> int:
        now[0] += SECOND
        return now[0]

    exp = cr.start("clock", clock=clock)
    steps = [0, -DAY, DAY, *[-3600 * SECOND, 3600 * SECOND] * 3]
    for step in steps:
        now[0] += step
        exp.record("x")
    recorded = now[0]
    assert exp.df.index.is_monotonic_increasing
    assert exp.df.index[-1].value == recorded
    assert exp.summary()["wall_clock_duration"] == pytest.approx((now[0] - START) / 1e9, abs=5)
    exp.stop()


@given(st.lists(st.integers(-5 * JUMP, 5 * JUMP), min_size=1, max_size=30), st.lists(st.integers(1, 29)))
def test_cuts_change_nothing_and_the_latest_reading_is_true(steps: list[int], cuts: list[int]) -> None:
    raw = START + np.cumsum(np.array(steps, np.int64))
    whole, parts = SteadyClock(), SteadyClock()
    times = whole.steady_times(raw.copy())
    pieces = [parts.steady_times(piece) for piece in np.split(raw, sorted({cut for cut in cuts if cut < len(raw)}))]
    assert times.tolist() == np.concatenate(pieces).tolist()
    assert whole.to_dict() == parts.to_dict()
    assert (times[1:] >= times[:-1]).all()
    new = raw[1:] >= times[:-1]
    assert (times[1:][new] == raw[1:][new]).all()
