"""Frames of windows: views, in order, checked when asked for and not when read."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from crucible_nb.errors import ConfigError, SchemaError
from crucible_nb.windows import sliding_frames

TIMES = pd.date_range("2025-01-01", periods=100, freq="7s", tz="UTC")


def test_slices_of_a_sorted_frame_copy_nothing() -> None:
    frame = pd.DataFrame({"latency_ms": np.arange(100.0)}, index=TIMES)
    values = frame["latency_ms"].to_numpy()
    for start, end, rows in sliding_frames(frame, "1min", "15s"):
        assert rows.empty or np.shares_memory(rows["latency_ms"].to_numpy(), values)
        pd.testing.assert_frame_equal(rows, frame[(start <= TIMES) & (end > TIMES)], check_freq=False)


def test_a_users_write_stays_in_the_users_hands() -> None:
    frame = pd.DataFrame({"latency_ms": np.arange(100.0)}, index=TIMES)
    _, _, rows = next(sliding_frames(frame, "1min", "15s"))
    rows.loc[:, "latency_ms"] = -1.0
    assert frame["latency_ms"].tolist() == list(range(100))


def test_unsorted_rows_come_in_order_of_time() -> None:
    frame = pd.DataFrame({"time": [TIMES[3], TIMES[0], TIMES[3]], "x": [1, 2, 3]})
    [(start, end, rows)] = list(sliding_frames(frame, "1min", "1min"))
    assert (start, end) == (TIMES[0], TIMES[0] + pd.Timedelta("1min"))
    assert rows["x"].tolist() == [2, 1, 3]
    assert frame["x"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("frame", "window", "step", "error", "sentence"),
    [
        (
            pd.DataFrame(index=TIMES),
            "1min",
            None,
            ConfigError,
            "step=None: expected a positive duration such as '5min', '30s', '1h' or a Timedelta",
        ),
        (
            pd.DataFrame(index=TIMES),
            "ME",
            "1D",
            ConfigError,
            "window='ME': expected a positive duration such as '5min', '30s', '1h' or a Timedelta",
        ),
        (
            pd.DataFrame({"x": [1]}),
            "1min",
            "1min",
            SchemaError,
            "frame: expected a DatetimeIndex or a 'time' column, got a RangeIndex",
        ),
    ],
)
def test_what_is_wrong_is_said_at_once(
    frame: pd.DataFrame, window: str, step: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        sliding_frames(frame, window, step)
