"""The grid is pandas' own: every edge is compared with `resample`, every sentence is written out."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from crucible_nb.errors import ConfigError
from crucible_nb.windows.grid import grid

T0 = pd.Timestamp("2025-03-28 22:17:03.000000007", tz="UTC")


def moments(hours: float = 100, tz: str = "UTC", n: int = 50) -> pd.DatetimeIndex:
    rng = np.random.default_rng(3)
    return pd.DatetimeIndex(T0.value + np.sort(rng.integers(0, int(hours * 3.6e12), n)), tz="UTC").tz_convert(tz)


def lay(
    times: pd.DatetimeIndex, window: object, step: object = None, origin: object = "start_day", closed: str = "left"
):
    return grid(times, window, step, origin=origin, closed=closed)


ORIGINS = ("start_day", "start", "epoch", "end", "end_day", "2025-01-01 00:00:07")
WINDOWS = ("7min", "1h", "5h", "1D", "3D", pd.Timedelta("90s"), pd.offsets.Hour(2))
CASES = [
    (window, origin, tz)
    for window in WINDOWS
    for origin in ORIGINS
    for tz in ("UTC", "America/New_York", "Europe/Berlin")
    # pandas lets an origin move days only where there is no zone
    if tz == "UTC" or origin == "start_day" or window not in ("1D", "3D")
]


@pytest.mark.parametrize("closed", ["left", "right"])
@pytest.mark.parametrize(("window", "origin", "tz"), CASES)
def test_tumbling_windows_are_the_bins_of_resample(window: object, origin: str, tz: str, closed: str) -> None:
    times = moments(tz=tz)
    windows = lay(times, window, origin=origin, closed=closed)
    plain = times.tz_localize(None) if tz == "UTC" else times
    anchor = pd.Timestamp(origin, tz="UTC" if plain.tz else None) if origin[0].isdigit() else origin
    theirs = pd.Series(1, plain).resample(window, origin=anchor, closed=closed, label="left").size()
    right = pd.Series(1, plain).resample(window, origin=anchor, closed=closed, label="right").size()
    early = int(theirs.iloc[0] == 0)  # with a zone, pandas begins days closed on the right one day too early
    theirs, right = theirs[early:], right[early:]
    np.testing.assert_array_equal(windows.starts.asi8, theirs.index.asi8)
    np.testing.assert_array_equal(windows.ends.asi8, right.index.asi8)
    counts = np.searchsorted(times.asi8, windows.upper) - np.searchsorted(times.asi8, windows.lower)
    np.testing.assert_array_equal(counts, theirs)


@pytest.mark.parametrize("closed", ["left", "right"])
@pytest.mark.parametrize("window", ["W", "W-WED", "ME", "MS", "B", "QE", "QS", "YE", "2W", "BME"])
def test_calendar_windows_are_the_bins_of_resample(window: str, closed: str) -> None:
    times = moments(hours=24 * 200, n=300)
    windows = lay(times[np.random.default_rng(0).permutation(300)], window, closed=closed)
    theirs = pd.Series(1, times).resample(window, closed=closed, label="left").size()
    np.testing.assert_array_equal(windows.starts.asi8, theirs.index.asi8)
    np.testing.assert_array_equal(
        windows.ends.asi8, pd.Series(1, times).resample(window, closed=closed, label="right").size().index.asi8
    )
    counts = np.searchsorted(times.asi8, windows.upper) - np.searchsorted(times.asi8, windows.lower)
    np.testing.assert_array_equal(counts, theirs)


@pytest.mark.parametrize("closed", ["left", "right"])
@pytest.mark.parametrize(
    ("window", "step"), [("5min", "1min"), ("1min", "7min"), ("7min", "3min"), ("1D", "6h"), ("36h", "1D")]
)
def test_sliding_windows_start_at_every_bin_of_their_step(window: str, step: str, closed: str) -> None:
    times = moments()
    windows = lay(times, window, step, closed=closed)
    np.testing.assert_array_equal(windows.starts.asi8, lay(times, step, closed=closed).starts.asi8)
    assert ((windows.ends - windows.starts) == pd.Timedelta(window)).all()
    first, last = times.asi8[[0, -1]]
    if closed == "left":
        assert windows.starts.asi8[0] <= first < windows.starts.asi8[0] + pd.Timedelta(step).value
        assert windows.starts.asi8[-1] <= last < windows.starts.asi8[-1] + pd.Timedelta(step).value
    else:
        assert windows.starts.asi8[0] < first <= windows.starts.asi8[0] + pd.Timedelta(step).value
        assert windows.starts.asi8[-1] < last <= windows.starts.asi8[-1] + pd.Timedelta(step).value


def test_days_are_those_of_the_frames_own_zone_even_when_clocks_change() -> None:
    times = pd.DatetimeIndex(["2025-03-29 12:00", "2025-03-30 12:00", "2025-03-31 12:00"], tz="Europe/Berlin")
    windows = lay(times, "1D")
    assert windows.starts.tz_convert("Europe/Berlin").hour.tolist() == [0, 0, 0]
    assert ((windows.ends - windows.starts) / pd.Timedelta("1h")).tolist() == [24, 23, 24]


def test_no_rows_make_no_windows() -> None:
    windows = lay(pd.DatetimeIndex([], tz="UTC"), "1min")
    assert [len(part) for part in windows] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"window": "5 parsecs"},
            "window='5 parsecs': expected a positive duration or offset such as '5min', '1h', 'D', 'W' or 'ME'",
        ),
        ({"window": 5}, "window=5: expected a positive duration or offset such as '5min', '1h', 'D', 'W' or 'ME'"),
        (
            {"window": "-5min"},
            "window='-5min': expected a positive duration or offset such as '5min', '1h', 'D', 'W' or 'ME'",
        ),
        (
            {"window": None},
            "window=None: expected a positive duration or offset such as '5min', '1h', 'D', 'W' or 'ME'",
        ),
        (
            {"window": "ME", "step": "1D"},
            "window='ME': expected a positive duration such as '5min', '30s', '1h' or a Timedelta",
        ),
        (
            {"window": "1D", "step": "W"},
            "step='W': expected a positive duration such as '5min', '30s', '1h' or a Timedelta",
        ),
        (
            {"window": "1D", "step": "0s"},
            "step='0s': expected a positive duration such as '5min', '30s', '1h' or a Timedelta",
        ),
        ({"window": "1D", "closed": "both"}, "closed='both': expected one of 'left', 'right'"),
        (
            {"window": "1D", "origin": "middle"},
            "origin='middle': expected one of 'start_day', 'start', 'epoch', 'end', 'end_day' or a Timestamp",
        ),
        ({"window": "1ns"}, "window='1ns': expected at most 10,000,000 windows, not 1,000,000,001"),
        ({"window": "1h", "step": "10ns"}, "step='10ns': expected at most 10,000,000 windows, not 100,000,001"),
        (
            {"window": "100000D", "step": "1s"},
            "window='100000 days 00:00:00': expected windows that end before the year 2262",
        ),
    ],
)
def test_what_is_wrong_is_said(arguments: dict[str, object], sentence: str) -> None:
    times = pd.DatetimeIndex([T0, T0 + pd.Timedelta("1s")])
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        lay(times, **arguments)


def test_a_grid_beyond_the_years_of_pandas_is_refused() -> None:
    times = pd.DatetimeIndex([pd.Timestamp.max - pd.Timedelta("1min")], tz="UTC")
    with pytest.raises(ConfigError, match=r"^window='1000D': expected windows that end before 2262-04-11 23:47:17"):
        lay(times, "1000D")
