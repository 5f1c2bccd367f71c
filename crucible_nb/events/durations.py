"""Start of events, and the time in which the rows of a frame happened."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.events.columns import numbers_of
from crucible_nb.events.times import times_of

_KEY = "crucible_observed"
_LONGEST_MS = 1e12


def begins_of(time: np.ndarray, latency_ms: np.ndarray | None) -> np.ndarray:
    """Start of each event, its time (of completion) - its latency; its time where no latency is known.

    Args:
        time: UTC nanoseconds, int64[n].
        latency_ms: float64[n], NaN where unknown; None if none is known.

    Returns:
        UTC nanoseconds, int64[n].

    Examples:
        >>> begins_of(np.array([10**9, 10**9]), np.array([400.0, np.nan])).tolist()
        [600000000, 1000000000]
    """
    if latency_ms is None:
        return time
    known = (latency_ms > 0) & (latency_ms < _LONGEST_MS)
    return np.asarray(time - np.rint(np.where(known, latency_ms, 0.0) * 1e6).astype(np.int64))


class Observed(NamedTuple):
    """The time in which rows happened.

    Attributes:
        start, stop: Edges in UTC nanoseconds.
        seconds: Time between them without pauses, in seconds.
    """

    start: int
    stop: int
    seconds: float


def set_observed(frame: pd.DataFrame, observed: Observed) -> None:
    """Store in the `attrs` of a frame in which time its rows happened; slices and selections of it lose that."""
    frame.attrs[_KEY] = {**observed._asdict(), "rows": len(frame)}


def observed_of(frame: pd.DataFrame) -> Observed | None:
    """The time in which the rows of a frame happened: that of the experiment if it is all of its rows.

    Otherwise it lasts from the first start (time - latency) to the last time of the rows.

    Returns:
        None without times.

    Examples:
        >>> times = pd.to_datetime(["1970-01-01 00:00:12", "1970-01-01 00:00:13"], utc=True)
        >>> observed_of(pd.DataFrame({"latency_ms": [12_000, 500]}, index=times))
        Observed(start=0, stop=13000000000, seconds=13.0)
    """
    known = frame.attrs.get(_KEY)
    if isinstance(known, dict) and known.get("rows") == len(frame):
        return Observed(*(known[name] for name in Observed._fields))
    own = duration_of(frame)
    return None if own is None else Observed(*own, (own[1] - own[0]) / 1e9)


def with_time_of(part: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    """A part of the rows of a frame, such as a group, that happened in the time of the whole.

    Examples:
        >>> times = pd.to_datetime([0, 10**9, 5 * 10**9], utc=True)
        >>> whole = pd.DataFrame({"service": ["a", "b", "a"]}, index=times)
        >>> observed_of(with_time_of(whole[whole.service == "b"], whole)).seconds
        5.0
    """
    observed = observed_of(whole)
    if observed is None:
        return part
    part = part.copy(deep=False)
    set_observed(part, observed)
    return part


def duration_of(frame: pd.DataFrame) -> tuple[int, int] | None:
    """First start and last time of the rows in UTC nanoseconds; None without times.

    Examples:
        >>> times = pd.to_datetime(["1970-01-01 00:00:12", "1970-01-01 00:00:13"], utc=True)
        >>> duration_of(pd.DataFrame({"latency_ms": [12_000, 500]}, index=times))
        (0, 13000000000)
    """
    times = times_of(frame)
    if times is None or not len(frame) or not times.known.any():
        return None
    latency = numbers_of(frame["latency_ms"], "latency_ms") if "latency_ms" in frame.columns else None
    time = times.ns[times.known]
    begins = begins_of(time, None if latency is None else latency[times.known])
    return int(begins.min()), int(time.max())
