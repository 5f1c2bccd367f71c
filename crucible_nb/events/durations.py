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


def stored_time(frame: pd.DataFrame) -> Observed | None:
    """The time that `set_observed` has stored, if all rows are still there; otherwise None.

    Examples:
        >>> frame = pd.DataFrame({"latency_ms": [1.0, 2.0]})
        >>> set_observed(frame, Observed(0, 5, 5e-9))
        >>> stored_time(frame), stored_time(frame.iloc[:1])
        (Observed(start=0, stop=5, seconds=5e-09), None)
    """
    known = frame.attrs.get(_KEY)
    if isinstance(known, dict) and known.get("rows") == len(frame):
        return Observed(*(known[name] for name in Observed._fields))
    return None


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
    stored = stored_time(frame)
    if stored is not None:
        return stored
    own = duration_of(frame)
    return None if own is None else Observed(*own, (own[1] - own[0]) / 1e9)


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
