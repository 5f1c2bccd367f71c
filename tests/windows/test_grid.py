"""The grid is pandas' own: every edge is compared with `resample`, every sentence is written out."""

from __future__ import annotations

import functools
import re
import zoneinfo

import numpy as np
import pandas as pd
import pytest

from crucible_nb.errors import ConfigError
from crucible_nb.windows.grid import Grid, grid
from tests.tiers import thinned

T0 = pd.Timestamp("2025-03-28 22:17:03.000000007", tz="UTC")


def moments(hours: float = 100, tz: str = "UTC", n: int = 50) -> pd.DatetimeIndex:
    rng = np.random.default_rng(3)
    return pd.DatetimeIndex(T0.value + np.sort(rng.integers(0, int(hours * 3.6e12), n)), tz="UTC").tz_convert(tz)


def lay(
    times: pd.DatetimeIndex,
    window: object,
    step: object = None,
    origin: object = "start_day",
    closed: str | None = "left",
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
    right = pd.Series(1, times).resample(window, closed=closed, label="right").size()
    by_days = closed == "right" and window in (
        "W",
        "W-WED",
        "ME",
        "QE",
        "YE",
        "2W",
        "BME",
    )  # labelled by their last day
    shift = 86_400 * 10**9 if by_days else 0
    np.testing.assert_array_equal(windows.starts.asi8, theirs.index.asi8 + shift)
    np.testing.assert_array_equal(windows.ends.asi8, right.index.asi8 + shift)
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


YEAR = pd.date_range("2024-12-30 00:17", "2026-01-02", freq="131min", tz="UTC").as_unit("ns")


@functools.cache
def zones() -> list[str]:
    """One zone of the tz database for each course that clocks take in that year."""
    names = sorted(zoneinfo.available_timezones() - {"UTC", "Factory", "localtime"})
    return list({YEAR.tz_convert(zone).tz_localize(None).asi8.tobytes(): zone for zone in names}.values())


PERIODS = {"MS": "M", "ME": "M", "QE": "Q", "YE": "Y", "W": "W", "W-MON": "W-MON", "D": "D"}


def counts(times: pd.DatetimeIndex, windows: Grid) -> list[int]:
    return (np.searchsorted(times.asi8, windows.upper) - np.searchsorted(times.asi8, windows.lower)).tolist()


@pytest.mark.seeded
@pytest.mark.parametrize("window", PERIODS)
def test_calendar_windows_hold_the_dates_of_every_zone(window: str) -> None:
    assert len(zones()) > 50
    for zone in thinned(zones(), 5):
        times = YEAR.tz_convert(zone)
        wall = pd.Series(1, times.tz_localize(None).to_period(PERIODS[window])).groupby(level=0).sum()
        windows = lay(times, window, closed=None)
        assert counts(times, windows) == wall.tolist(), zone
        firsts = windows.starts.tz_convert(zone).tz_localize(None)
        assert (firsts.normalize() == wall.index.to_timestamp()).all(), zone
        same = lay(times, window, window, closed=None)
        assert all((one == two).all() for one, two in zip(windows, same, strict=True)), zone


CHANGES_AT_MIDNIGHT = {
    "Africa/Cairo": "2024-04-26", "America/Sao_Paulo": "2016-10-16", "America/Havana": "2025-11-02",
    "America/Santiago": "2025-09-07", "Asia/Beirut": "2025-03-30", "America/Asuncion": "2024-10-06",
    "Atlantic/Azores": "2025-10-26", "Pacific/Apia": "2011-12-30", "America/St_Johns": "2005-10-30",
}  # fmt: skip


@pytest.mark.parametrize("window", ["1min", "1h", "1D", "7D", "W", "ME", "1D by 6h", "6h by 1D", "7D by 1D"])
@pytest.mark.parametrize("zone", CHANGES_AT_MIDNIGHT)
@pytest.mark.parametrize("days", [-7, -1, 0, 1])
def test_windows_begin_and_end_on_days_whose_midnight_is_skipped_or_shown_twice(
    zone: str, window: str, days: int
) -> None:
    start = pd.Timestamp(CHANGES_AT_MIDNIGHT[zone]) + pd.Timedelta(days=days)
    times = pd.date_range(start, periods=40, freq="37min", tz="UTC").as_unit("ns").tz_convert(zone)
    length, _, step = window.partition(" by ")
    windows = lay(times, length, step or None, closed=None)
    assert (windows.upper > windows.lower).all()
    if step:
        assert (np.diff(windows.lower) > 0).all()
    else:
        assert (windows.lower[1:] == windows.upper[:-1]).all()
        assert sum(counts(times, windows)) == len(times)


@pytest.mark.parametrize(("first", "hours"), [("2025-10-25", [24, 25, 24]), ("2025-03-29", [24, 23, 24])])
def test_windows_as_long_as_their_step_tumble(first: str, hours: list[int]) -> None:
    times = pd.date_range(first, periods=sum(hours), freq="1h", tz="Europe/Berlin").as_unit("ns")
    for step in (None, "1D", "D"):
        assert counts(times, lay(times, "1D", step)) == hours
    assert counts(times, lay(times, "2D", "1D")) == [hours[0] + hours[1], hours[1] + hours[2], hours[2]]
    assert counts(times, lay(times, "1D", "12h", closed=None))[0] == hours[0]


@pytest.mark.parametrize("window", ["ME", "QE", "W", "168h", "5h"])
@pytest.mark.parametrize("origin", ["start_day", "end", "end_day"])
def test_closed_none_is_the_default_of_pandas(window: str, origin: str) -> None:
    times = pd.date_range("2025-01-01", "2025-03-31 23:00", freq="1h", tz="UTC").as_unit("ns")
    if window in ("ME", "QE", "W") and origin != "start_day":
        return
    theirs = pd.Series(1, times).resample(window, origin=origin).count()
    assert counts(times, lay(times, window, origin=origin, closed=None)) == theirs[theirs.cumsum() > 0].tolist()


def test_a_month_is_shown_from_its_first_instant() -> None:
    times = pd.date_range("2025-01-01", "2025-03-31 23:00", freq="1h", tz="Europe/Berlin").as_unit("ns")
    windows = lay(times, "ME", closed=None)
    months = pd.DatetimeIndex(["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01"], tz="Europe/Berlin")
    assert (windows.starts == months[:-1]).all()
    assert (windows.ends == months[1:]).all()


def test_an_origin_for_days_of_a_zone_has_no_effect_and_says_so() -> None:
    times = moments(tz="Europe/Berlin")
    with pytest.warns(RuntimeWarning, match="origin moves windows of fixed length only"):
        windows = lay(times, "1D", origin="start", closed="left")
    assert (windows.starts == lay(times, "1D").starts).all()


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


@pytest.mark.parametrize("window", ["1min", "1D", "ME", "W"])
def test_windows_beyond_nanoseconds_are_refused_at_both_ends(window: str) -> None:
    for moment, sentence in ((2**63 - 2, "end before 2262-04-11 23:47:17"), (-(2**63) + 2, "begin after 1677-09-21")):
        times = pd.DatetimeIndex(np.array([moment]).view("M8[ns]"), tz="UTC")
        with pytest.raises(ConfigError, match=f"^window='{window}': expected windows that {sentence}"):
            lay(times, window, closed=None)
