"""Grid of time windows, with the rules of `DataFrame.resample`."""

from __future__ import annotations

import datetime as dt
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import BaseOffset, Day, Tick

from crucible_nb.errors import ConfigError
from crucible_nb.utils import checks
from crucible_nb.windows.wall_time import DAY, days_down, to_moments, to_wall

LIMIT = 10_000_000
"""Maximum number of windows of a table (about 1 GB of result)."""

_FIRST, _LAST = -(2**63) + 1, 2**63 - 1
_ORIGINS = ("start_day", "start", "epoch", "end", "end_day")
_PERIOD_ENDS = frozenset(("ME", "QE", "YE", "BME", "BQE", "BYE", "W"))


class Grid(NamedTuple):
    """Windows in order of time: window i holds the moments t with `lower[i] <= t < upper[i]`.

    Attributes:
        starts: Left edges as shown, datetime64[ns, UTC].
        ends: Right edges as shown, datetime64[ns, UTC].
        lower: First moment inside each window, UTC nanoseconds, int64.
        upper: First moment after each window, UTC nanoseconds, int64.
    """

    starts: pd.DatetimeIndex
    ends: pd.DatetimeIndex
    lower: np.ndarray
    upper: np.ndarray


class _Rows(NamedTuple):
    """The first and the last moment of the rows in UTC nanoseconds, and their time zone; None for UTC."""

    first: int
    last: int
    zone: dt.tzinfo | None


class _Rule(NamedTuple):
    """Origin (a name, or UTC nanoseconds) and closed side of windows."""

    origin: str | int
    right: bool


def grid(
    times: pd.DatetimeIndex, window: Any, step: Any = None, *, origin: Any = "start_day", closed: str | None = None
) -> Grid:
    """Lay the windows over `times` (any order): tumbling when `step` is None, else one at every step.

    Days, weeks and months are laid in the wall time of the zone of `times`; other windows have a fixed length.

    Raises:
        ConfigError: An argument is wrong, a sliding window has no fixed length, or there would be over `LIMIT` windows.
    """
    if closed is not None:
        checks.one_of("closed", closed, ("left", "right"))
    origin = _origin(origin)
    if step is None or _same(window, step):
        name, value, every, span = "window", window, _offset(window), None
    else:
        name, value, every, span = "step", step, _fixed("step", step), _fixed("window", window)
    side = _default_side(every, origin) if closed is None else closed
    times = times.as_unit("ns")
    if not len(times):
        return _grid(times.asi8, times.asi8, closed_right=False)
    zone = None if times.tz is None or str(times.tz) == "UTC" else times.tz
    rows, rule = _Rows(int(times.asi8.min()), int(times.asi8.max()), zone), _Rule(origin, side == "right")
    if isinstance(every, (Tick, Day)):
        limit(name, value, (rows.last - rows.first) // checks.duration(name, every) + 1)
    try:
        return _lay(rows, every, span, rule)
    except (OverflowError, pd.errors.OutOfBoundsDatetime) as error:
        late = rows.last > 0
        ends = "end before 2262-04-11 23:47:17" if late else "begin after 1677-09-21 00:12:43"
        raise checks.wrong(
            name, value, f"windows that {ends}, where nanoseconds {'end' if late else 'begin'}"
        ) from error
    except ConfigError:
        raise
    except ValueError as error:
        raise checks.wrong(name, value, f"windows that pandas can lay: {error}") from error


def _lay(rows: _Rows, every: BaseOffset, span: BaseOffset | None, rule: _Rule) -> Grid:
    if not isinstance(every, (Tick, Day)):
        return _calendar(rows, every, rule)
    starts = _starts(rows, every, rule)
    if span is None:
        return _tumbling(rows, to_moments(starts, rows.zone) if _in_days(every, rows) else starts, rule)
    return _sliding(rows, starts, every, span, rule)


def limit(name: str, value: Any, count: int) -> None:
    """Refuse more than `LIMIT` windows, naming the argument to change."""
    if count > LIMIT:
        raise checks.wrong(name, value, f"at most {LIMIT:,} windows, not {count:,}")


def _in_days(every: BaseOffset, rows: _Rows) -> bool:
    """Return whether steps are days of wall time; in UTC days are 24 hours, and `origin` moves them."""
    return isinstance(every, Day) and rows.zone is not None


def _starts(rows: _Rows, every: BaseOffset, rule: _Rule) -> np.ndarray:
    """Return the window starts and the end of the last window: UTC nanoseconds, or wall time for days in a zone."""
    length, later = checks.duration("window", every), int(rule.right)
    if _in_days(every, rows):
        if rule.origin != "start_day":
            warnings.warn("origin moves windows of fixed length only, not days of a time zone", RuntimeWarning, 4)
        first, last = to_wall(np.array([rows.first, rows.last]), rows.zone).tolist()
        anchor = days_down(first)
        first, last = anchor, max(first, last) + DAY  # near a change of clocks more than the rows need
    else:
        first, last, anchor = rows.first, rows.last, _anchor(rows, rule.origin)
    low, high = ((first - anchor - later) // length, (last - anchor - later) // length + 1)
    if anchor + low * length < _FIRST or anchor + high * length > _LAST:
        raise OverflowError
    return np.arange(low, high + 1, dtype=np.int64) * length + anchor


def _anchor(rows: _Rows, origin: str | int) -> int:
    """Return one edge of the grid of windows of fixed length, in UTC nanoseconds."""
    if isinstance(origin, int):
        return origin
    if origin in ("start", "end"):
        return rows.first if origin == "start" else rows.last
    if origin == "epoch":
        wall = 0
    else:
        first, last = to_wall(np.array([rows.first, rows.last]), rows.zone).tolist()
        wall = days_down(first) if origin == "start_day" else -days_down(-last)
    return int(to_moments(np.array([wall]), rows.zone)[0])


def _tumbling(rows: _Rows, edges: np.ndarray, rule: _Rule) -> Grid:
    """Return the windows between neighbouring edges, from that of the first row to that of the last."""
    edges = edges[_new(edges)]
    low, high = np.searchsorted(edges, np.array([rows.first, rows.last]) - int(rule.right), side="right").tolist()
    return _grid(edges[low - 1 : high], edges[low : high + 1], rule.right)


def _new(moments: np.ndarray) -> np.ndarray:
    """Return which of ascending moments differ from the one before: a zone may leave out a whole day."""
    return np.append(True, moments[1:] > moments[:-1])


def _sliding(rows: _Rows, starts: np.ndarray, every: BaseOffset, span: BaseOffset, rule: _Rule) -> Grid:
    """Return a window of length `span` at every start."""
    length = checks.duration("window", span)
    if max(int(starts[-1]), rows.last) > _LAST - length - DAY:
        raise checks.wrong("window", str(pd.Timedelta(length)), "windows that end before the year 2262")
    wall = starts if _in_days(every, rows) else to_wall(starts, rows.zone)
    moments = to_moments(starts, rows.zone) if _in_days(every, rows) else starts
    ends = to_moments(wall + length, rows.zone) if _in_days(span, rows) else moments + length
    moments, ends = moments[_new(moments)], ends[_new(moments)]
    low, high = np.searchsorted(moments, np.array([rows.first, rows.last]) - int(rule.right), side="right").tolist()
    return _grid(moments[low - 1 : high], ends[low - 1 : high], rule.right)


def _calendar(rows: _Rows, every: BaseOffset, rule: _Rule) -> Grid:
    """Lay weeks, months and other calendar windows on the dates of wall time."""
    wall = to_wall(np.array([rows.first, rows.last]), rows.zone)
    wall.sort()
    if wall[0] < _FIRST + DAY or wall[1] > _LAST - DAY:
        raise OverflowError
    dates = pd.DatetimeIndex(wall + np.array([0, DAY]))  # the day after the last row: see `_starts`
    closed: Any = "right" if rule.right else "left"
    bins = pd.Series(0, index=dates).resample(every, closed=closed, label="left").size().index
    beyond = pd.Series(0, index=dates).resample(every, closed=closed, label="right").size().index[-1:]
    edges = pd.DatetimeIndex(bins.append(beyond)).as_unit("ns")
    if rule.right and _ends_periods(every):  # closed by days: (31 Jan, 28 Feb] is from 1 Feb to 1 March
        return _tumbling(rows, to_moments((edges + pd.Timedelta(DAY)).asi8, rows.zone), rule._replace(right=False))
    return _tumbling(rows, to_moments(edges.asi8, rows.zone), rule)


def _grid(starts: np.ndarray, ends: np.ndarray, closed_right: bool) -> Grid:
    later = int(closed_right)  # (s, e] is [s + 1 ns, e + 1 ns)
    return Grid(_shown(starts), _shown(ends), starts + later, ends + later)


def _shown(moments: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(moments.view("M8[ns]"), tz="UTC")


# -- arguments ---------------------------------------------------------------------------------------------------------


def _ends_periods(every: BaseOffset) -> bool:
    """Return whether an offset is a period end, whose windows pandas closes on the right, by days."""
    return every.rule_code.split("-")[0] in _PERIOD_ENDS


def _default_side(every: BaseOffset, origin: str | int) -> str:
    return "right" if _ends_periods(every) or origin in ("end", "end_day") else "left"


def _same(window: Any, step: Any) -> bool:
    """Return whether a step is as long as its window, so that windows tumble."""
    try:
        offset = to_offset(window)
        return offset is not None and bool(offset == to_offset(step)) and offset.n > 0
    except (TypeError, ValueError):
        return False


def _offset(window: Any) -> BaseOffset:
    offset: BaseOffset | None
    try:
        offset = to_offset(window)
    except (TypeError, ValueError):
        offset = None
    if offset is None or offset.n <= 0:
        raise checks.wrong("window", window, "a positive duration or offset such as '5min', '1h', 'D', 'W' or 'ME'")
    return offset


def _fixed(name: str, value: Any) -> BaseOffset:
    nanoseconds = checks.duration(name, value)
    offset = to_offset(value)
    return offset if isinstance(offset, Day) else to_offset(pd.Timedelta(nanoseconds))


def _origin(origin: Any) -> str | int:
    if isinstance(origin, str) and origin in _ORIGINS:
        return origin
    try:
        return checks.instant("origin", origin)
    except ConfigError:
        options = ", ".join(repr(option) for option in _ORIGINS)
        raise checks.wrong("origin", origin, f"one of {options} or a Timestamp") from None
