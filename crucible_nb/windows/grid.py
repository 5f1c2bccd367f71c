"""Grid of time windows, with the rules of `DataFrame.resample`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import BaseOffset, Day, Tick

from crucible_nb.errors import ConfigError
from crucible_nb.utils import checks

LIMIT = 10_000_000
"""Maximum number of windows of a table (about 1 GB of result)."""

_LAST = np.iinfo(np.int64).max
_ORIGINS = ("start_day", "start", "epoch", "end", "end_day")


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


def grid(times: pd.DatetimeIndex, window: Any, step: Any = None, *, origin: Any, closed: str) -> Grid:
    """Lay the windows over `times` (any order): tumbling when `step` is None, else one at every step.

    Raises:
        ConfigError: An argument is wrong, a sliding window has no fixed length, or there would be over `LIMIT` windows.
    """
    checks.one_of("closed", closed, ("left", "right"))
    rule = {"origin": _origin(origin, times), "closed": closed}
    name, value, every = ("window", window, _offset(window)) if step is None else ("step", step, _fixed("step", step))
    length = None if step is None else checks.duration("window", window)
    if not len(times):
        return _grid(times, times, closed)
    try:
        if not isinstance(every, (Tick, Day)):
            return _calendar(_zoneless(times.sort_values()), every, rule)
        edges = pd.DatetimeIndex([times.min(), times.max()])
        limit(name, value, int(edges.asi8[1] - edges.asi8[0]) // checks.duration(name, every) + 1)
        return _even(_zoneless(edges), every, length, rule)
    except ConfigError:
        raise
    except (OverflowError, pd.errors.OutOfBoundsDatetime) as error:
        raise checks.wrong(name, value, "windows that end before 2262-04-11 23:47:17, where nanoseconds end") from error
    except ValueError as error:
        raise checks.wrong(name, value, f"windows that pandas can lay: {error}") from error


def limit(name: str, value: Any, count: int) -> None:
    """Refuse more than `LIMIT` windows, naming the argument to change."""
    if count > LIMIT:
        raise checks.wrong(name, value, f"at most {LIMIT:,} windows, not {count:,}")


def _even(edges: pd.DatetimeIndex, every: BaseOffset, length: int | None, rule: dict[str, Any]) -> Grid:
    starts = _sizes(edges, every, rule, "left").index
    side: Any = "left" if rule["closed"] == "right" else "right"
    starts = starts[int(np.searchsorted(starts.asi8, edges.asi8[0], side=side)) - 1 :]  # pandas may begin a day early
    if length is not None and starts.asi8[-1] > _LAST - length - 1:
        raise checks.wrong("window", str(pd.Timedelta(length)), "windows that end before the year 2262")
    return _grid(starts, starts + (every if length is None else pd.Timedelta(length)), rule["closed"])


def _grid(starts: pd.DatetimeIndex, ends: pd.DatetimeIndex, closed: str) -> Grid:
    starts, ends = _utc(starts), _utc(ends)
    later = int(closed == "right")  # (s, e] is [s + 1 ns, e + 1 ns)
    return Grid(starts, ends, starts.asi8 + later, ends.asi8 + later)


def _utc(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return times.tz_localize("UTC") if times.tz is None else times.tz_convert("UTC")


def _zoneless(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return times.tz_localize(None) if str(times.tz) == "UTC" else times  # only there pandas lets `origin` move days


def _sizes(times: pd.DatetimeIndex, every: BaseOffset, rule: dict[str, Any], label: Any) -> Any:
    return pd.Series(0, index=times).resample(every, label=label, **rule).size()


def _calendar(times: pd.DatetimeIndex, every: BaseOffset, rule: dict[str, Any]) -> Grid:
    # The labels of month or week ends are not the exact edges, so the rows themselves say where the bins part.
    sizes = _sizes(times, every, rule, "left")
    ends = _sizes(times, every, rule, "right").index
    rows = np.concatenate([[0], np.cumsum(sizes.to_numpy())])
    moments = np.append(times.asi8, times.asi8[-1] + 1)[rows]
    return Grid(_utc(sizes.index), _utc(ends), moments[:-1], moments[1:])


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


def _origin(origin: Any, times: pd.DatetimeIndex) -> Any:
    if isinstance(origin, str) and origin in _ORIGINS:
        return origin
    try:
        moment = pd.DatetimeIndex([checks.instant("origin", origin)], tz="UTC")
    except ConfigError:
        options = ", ".join(repr(option) for option in _ORIGINS)
        raise checks.wrong("origin", origin, f"one of {options} or a Timestamp") from None
    return _zoneless(moment.tz_convert(times.tz))[0]
