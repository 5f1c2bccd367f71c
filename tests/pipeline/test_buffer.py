"""Frames are views: reading copies nothing, and writes of a user do not reach the buffer."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crucible_nb as cr
from crucible_nb.pipeline.columns import GrowingArray
from tests.conftest import SECOND

COLUMNS = ["latency_ms", "prompt_tokens", "success", "model", "note", "weight", "cost_usd", "seq"]


@pytest.fixture
def exp() -> cr.Experiment:
    exp = cr.start("views", clock="events")
    for i in range(300):
        extra = {"prompt_tokens": i, "success": True} if i % 3 else {}
        exp.record("tick", latency_ms=float(i), model=f"m{i % 4}", note=f"text {i}", time=i * SECOND, **extra)
    exp.metrics()
    return exp


def memory(array: Any) -> np.ndarray:
    """The array behind a column."""
    for name in ("_data", "_codes", "_ndarray"):
        if isinstance(getattr(array, name, None), np.ndarray):
            return getattr(array, name)
    return np.asarray(array)


@pytest.mark.parametrize("column", ["latency_ms", "prompt_tokens", "success", "model", "seq"])
def test_windows_share_the_memory_of_the_buffer(exp: cr.Experiment, column: str) -> None:
    inside = memory(exp._stream.pipeline.buffer.frame()[column].array)
    for window in (
        exp.frame(),
        exp.df,
        exp.query_window(last_n=10),
        exp.query_window(start=100 * SECOND, end=200 * SECOND),
    ):
        assert np.shares_memory(memory(window[column].array), inside)
    assert np.shares_memory(exp.query_window(last="1min").index.asi8, exp._stream.pipeline.buffer.times())


def test_text_shares_its_bytes(exp: cr.Experiment) -> None:
    def address(frame: pd.DataFrame) -> int:
        return frame["note"].array.__arrow_array__().chunk(0).buffers()[2].address

    assert address(exp.query_window(last_n=5)) == address(exp.frame())


WRITES = {
    "loc": lambda frame, column, value: (
        frame.__setitem__(column, value) or frame.loc.__setitem__((frame.index[0], column), value)
    ),
    "iloc": lambda frame, column, value: frame.iloc.__setitem__((0, frame.columns.get_loc(column)), value),
    "column": lambda frame, column, value: frame[column].__setitem__(frame.index[0], value),
    "array": lambda frame, column, value: frame[column].array.__setitem__(0, value),
    "to_numpy": lambda frame, column, value: frame[column].to_numpy().__setitem__(0, value),
    "values": lambda frame, column, value: frame[column].values.__setitem__(0, value),
    "memory": lambda frame, column, value: memory(frame[column].array).__setitem__(0, 1),
    "fillna": lambda frame, column, value: frame.fillna({column: value}, inplace=True),
    "index": lambda frame, column, value: frame.index.asi8.__setitem__(0, 5),
}


@pytest.mark.filterwarnings("ignore::pandas.errors.ChainedAssignmentError")
@pytest.mark.parametrize("way", WRITES)
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("look", ["frame", "last_n", "where"])
def test_what_a_user_writes_never_reaches_the_buffer(exp: cr.Experiment, way: str, column: str, look: str) -> None:
    before = exp.frame().copy(deep=True)
    window = {
        "frame": exp.frame,
        "last_n": lambda: exp.query_window(last_n=300),
        "where": lambda: exp.query_window(last_n=300, where="latency_ms >= 0"),
    }[look]()
    value = {"model": "m1", "note": "written", "success": False}.get(column, 77)
    with contextlib.suppress(ValueError, TypeError):  # refused is as good
        WRITES[way](window, column, value)
    pd.testing.assert_frame_equal(exp.frame(), before)
    exp.record("tick", latency_ms=1.0, model="m9", note="more", time=400 * SECOND)
    pd.testing.assert_frame_equal(exp.frame().iloc[:-1], before, check_categorical=False)


def test_a_frame_stays_what_it_was_while_the_buffer_grows(exp: cr.Experiment) -> None:
    held = exp.frame()
    copy = held.copy(deep=True)
    for i in range(5000):
        exp.record("tick", latency_ms=-1.0, model=f"new {i % 200}", note="x" * (i % 9), time=(300 + i) * SECOND)
        if i % 1000 == 0:
            exp.record("late", time=0, note="late")
            exp.frame()
    pd.testing.assert_frame_equal(held, copy)
    assert len(exp.frame()) == 5305
    assert exp.frame().model.cat.categories.tolist()[:4] == ["m0", "m1", "m2", "m3"]
    assert exp.frame().note.iloc[7] == "text 2"


def test_categories_widen_as_they_grow() -> None:
    exp = cr.start("wide")
    for i in range(40_000):
        exp.record("tick", model=f"m{i}")
        if i in (100, 126, 127, 128, 40_000 - 1):
            assert exp.df.model.tolist() == [f"m{j}" for j in range(i + 1)]
    assert memory(exp.df.model.array).dtype == np.int32


def test_a_column_nobody_uses_costs_nothing(exp: cr.Experiment) -> None:
    buffer = exp._stream.pipeline.buffer
    used = {name for name, column in buffer._columns.items() if column.nbytes > 64}
    assert used == {"event", "latency_ms", "model", "note", "prompt_tokens", "success", "seq"}
    assert buffer.nbytes < 300 * (8 * 5 + 2 + 2 + 1 + 20)


def test_the_frame_is_made_once_until_something_happens(exp: cr.Experiment) -> None:
    inside = exp._stream.pipeline.buffer.frame()
    assert exp._stream.pipeline.buffer.frame() is inside
    exp.record("tick")
    assert len(exp.frame()) == len(inside) + 1
    assert exp._stream.pipeline.buffer.frame() is not inside


def test_columns_can_be_chosen(exp: cr.Experiment) -> None:
    assert exp.frame("latency_ms").columns.tolist() == ["latency_ms"]
    assert exp.frame(["note", "model"]).columns.tolist() == ["note", "model"]
    with pytest.raises(cr.SchemaError) as error:
        exp.frame(["latency"])
    assert str(error.value).startswith("columns='latency': no such column; available: event, model, ")


def test_max_events_with_late_rows_keeps_the_newest_by_time() -> None:
    exp = cr.start("late", clock="events", max_events=3)
    for second in (5, 9, 1, 7, 3, 8):
        exp.record("tick", latency_ms=float(second), time=second * SECOND)
        exp.frame()
    assert exp.frame().latency_ms.tolist() == [7, 8, 9]
    assert exp.summary()["evicted_events"] == 3


def test_a_slice_is_the_rows_of_a_time_range(exp: cr.Experiment) -> None:
    buffer, frame = exp._stream.pipeline.buffer, exp.frame()
    rows = buffer.slice(100 * SECOND, 200 * SECOND)
    assert rows.times.tolist() == [i * SECOND for i in range(100, 200)]
    assert rows.oldest == 0
    assert rows.numbers("latency_ms").tolist() == frame.latency_ms[100:200].tolist()
    assert "prompt_tokens" in rows.numeric_columns()
    assert "cost_usd" not in rows.numeric_columns()
    assert not len(buffer.slice(200 * SECOND, 100 * SECOND).times)


def test_a_slice_does_not_change_when_rows_come_late(exp: cr.Experiment) -> None:
    rows = exp._stream.pipeline.buffer.slice(100 * SECOND, 110 * SECOND)
    exp.record("tick", latency_ms=-1.0, time=105 * SECOND + 1)
    assert len(exp.frame()) == 301
    assert rows.numbers("latency_ms").tolist() == list(range(100, 110))
    assert len(exp._stream.pipeline.buffer.slice(100 * SECOND, 110 * SECOND).times) == 11


def test_a_slice_after_a_sequence_number_is_limited_unless_rows_came_late(exp: cr.Experiment) -> None:
    buffer = exp._stream.pipeline.buffer
    assert buffer.slice_after(199, 100, 30).numbers("seq").tolist() == list(range(200, 230))
    assert not len(buffer.slice_after(299, 0, 30).times)
    exp.record("tick", time=150 * SECOND + 1)
    exp.metrics()
    late = buffer.slice_after(297, 3, 1)
    assert late.numbers("seq").tolist() == [300, 298, 299]
    assert late.times.tolist() == [150 * SECOND + 1, 298 * SECOND, 299 * SECOND]


def test_a_growing_array_never_changes_its_earlier_views() -> None:
    column = GrowingArray(np.int64)
    views = []
    for i in range(3000):
        column.append(np.array([i]))
        views.append(column.view(0, i + 1))
    assert all(view[-1] == i for i, view in enumerate(views))
    assert not views[0].flags.writeable
    column.pad(3005, 7)
    assert column.view(2999, 3005).tolist() == [2999, 7, 7, 7, 7, 7]
