"""`query_window` in its four forms, on experiments and on frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.testing import ManualClock
from tests.conftest import NOON, SECOND

TIMES = pd.DatetimeIndex(NOON + np.arange(100) * SECOND, tz="UTC", name="time")


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"latency_ms": np.arange(100.0), "model": ["a", "b"] * 50}, index=TIMES)


@pytest.fixture
def exp(frame: pd.DataFrame) -> cr.Experiment:
    exp = cr.start("query", clock="events")
    exp.extend(frame)
    return exp


def at(second: float) -> pd.Timestamp:
    return TIMES[0] + pd.Timedelta(seconds=second)


@pytest.fixture(params=["experiment", "frame", "unsorted", "column"])
def query(request: pytest.FixtureRequest, exp: cr.Experiment, frame: pd.DataFrame):
    if request.param == "experiment":
        return exp.query_window
    if request.param == "unsorted":
        frame = frame.sample(frac=1, random_state=0)
    if request.param == "column":
        frame = frame.reset_index()
    return frame.crucible.query_window


def test_a_range_includes_its_start_and_not_its_end(query) -> None:
    assert query(start=at(10), end=at(20)).latency_ms.tolist() == list(range(10, 20))
    assert query(start=at(95)).latency_ms.tolist() == list(range(95, 100))
    assert query(end=at(3)).latency_ms.tolist() == [0, 1, 2]
    assert len(query(start=at(20), end=at(10))) == 0
    assert query(start=str(at(98).tz_localize(None))).latency_ms.tolist() == [98, 99]
    assert query(start=at(98).value).latency_ms.tolist() == [98, 99]


def test_the_last_rows(query) -> None:
    assert query(last_n=3).latency_ms.tolist() == [97, 98, 99]
    assert len(query(last_n=1000)) == 100
    assert len(query(last_n=0)) == 0


def test_the_last_stretch_includes_both_edges(query) -> None:
    assert query(last="10s").latency_ms.tolist() == list(range(89, 100))
    assert query(last=pd.Timedelta("1s")).latency_ms.tolist() == [98, 99]


def test_last_ends_now_not_at_the_newest_row(clock: ManualClock) -> None:
    exp = cr.start("now", clock=clock)
    exp.record("tick", latency_ms=1.0)
    clock.tick(10)
    exp.record("tick", latency_ms=2.0)
    clock.tick(10)
    assert exp.query_window(last="10s").latency_ms.tolist() == [2.0]
    assert len(exp.query_window(last="9s")) == 0
    assert exp.metrics(last="9s").events == 0
    exp.stop()
    clock.tick(1000)
    assert exp.query_window(last="20s").latency_ms.tolist() == [1.0, 2.0]


def test_where_filters_rows(query) -> None:
    assert query(last_n=10, where="latency_ms > 95 and model == 'a'").latency_ms.tolist() == [96, 98]
    assert query(last_n=4, where=lambda rows: rows.latency_ms % 2 == 0).latency_ms.tolist() == [96, 98]
    assert query(last_n=4, where=lambda rows: (rows.latency_ms % 2 == 0).to_numpy()).latency_ms.tolist() == [96, 98]


def test_unknown_is_not_kept() -> None:
    exp = cr.start("unknown")
    for success in (True, None, False):
        exp.record("tick", success=success)
    assert len(exp.query_window(last_n=3, where="success")) == 1
    assert len(exp.query_window(last_n=3, where=lambda rows: ~rows.success)) == 1


def test_sliding_windows_are_on_the_grid(query) -> None:
    windows = list(query(sliding="10s", step="5s"))
    assert [start for start, _, _ in windows] == [at(5 * k) for k in range(20)]
    assert all(end - start == pd.Timedelta("10s") for start, end, _ in windows)
    assert [rows.latency_ms.tolist() for _, _, rows in windows[:2]] == [list(range(10)), list(range(5, 15))]
    assert windows[-1][2].latency_ms.tolist() == list(range(95, 100))
    tumbling = list(query(sliding="10s", where="latency_ms < 5"))
    assert [len(rows) for _, _, rows in tumbling] == [5] + [0] * 9


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "query_window: expected exactly one of last=, last_n=, start=/end=, sliding=, or where= alone, got none"),
        (
            {"last": "1s", "last_n": 1},
            "query_window: expected exactly one of last=, last_n=, start=/end=, sliding=, or where= alone, got last and last_n",
        ),
        ({"last_n": 1, "step": "1s"}, "step='1s': accepted only together with sliding="),
        ({"last": "soon"}, "last='soon': expected a positive duration such as '5min', '30s', '1h' or a Timedelta"),
        ({"last": 5}, "last=5: expected a positive duration such as '5min', '30s', '1h' or a Timedelta"),
        ({"last_n": -1}, "last_n=-1: expected a whole number >= 0"),
        (
            {"start": "soon"},
            "start='soon': expected a datetime, a Timestamp, ISO text or int nanoseconds (naive means UTC)",
        ),
        (
            {"last_n": 1, "where": "latency_ms * 2"},
            "where='latency_ms * 2': expected a condition that is true or false for every row",
        ),
    ],
)
def test_bad_arguments(query, arguments: dict, sentence: str) -> None:
    with pytest.raises(cr.ConfigError) as error:
        query(**arguments)
    assert str(error.value) == sentence


def test_where_names_the_columns_there_are(frame: pd.DataFrame) -> None:
    with pytest.raises(cr.SchemaError) as error:
        frame.crucible.query_window(last_n=1, where="latency > 5")
    assert str(error.value) == "where='latency > 5': name 'latency' is not defined; columns: latency_ms, model"


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (pd.DataFrame({"x": [1]}), "frame: expected a DatetimeIndex or a 'time' column, got a RangeIndex"),
        (pd.DataFrame({"x": [1], "time": [pd.NaT]}), "frame: expected a time in every row, got 1 without"),
    ],
)
def test_a_frame_without_time(frame: pd.DataFrame, sentence: str) -> None:
    with pytest.raises(cr.SchemaError) as error:
        frame.crucible.query_window(last_n=1)
    assert str(error.value) == sentence


def test_the_frame_is_not_touched(frame: pd.DataFrame) -> None:
    shuffled = frame.sample(frac=1, random_state=1)
    before = shuffled.copy(deep=True)
    window = shuffled.crucible.query_window(last_n=50)
    window.iloc[0, 0] = -1
    pd.testing.assert_frame_equal(shuffled, before)
