"""Wall time: the readings of the clocks of a time zone, and the moments they mean."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

DAY = 86_400 * 10**9


def to_wall(moments: np.ndarray, zone: dt.tzinfo | None) -> np.ndarray:
    """Convert UTC nanoseconds to the clock readings of a zone, in nanoseconds since 1970-01-01 00:00 there.

    Examples:
        >>> from zoneinfo import ZoneInfo
        >>> int(to_wall(np.array([0]), ZoneInfo("Europe/Berlin"))[0]) // 10**9
        3600
    """
    if zone is None:
        return moments
    return pd.DatetimeIndex(moments, tz="UTC").tz_convert(zone).tz_localize(None).asi8


def to_moments(wall: np.ndarray, zone: dt.tzinfo | None) -> np.ndarray:
    """Convert ascending clock readings to UTC nanoseconds.

    A reading that clocks skip means the moment of the change, one that they show twice means its first moment; so a
    day begins when its date does. The result is ascending as well.

    Raises:
        OutOfBoundsDatetime: A moment is outside of what int64 nanoseconds can hold.

    Examples:
        >>> from zoneinfo import ZoneInfo
        >>> day = pd.DatetimeIndex(["2025-11-02"]).as_unit("ns").asi8  # Havana shows 00:00 to 01:00 twice
        >>> pd.Timestamp(to_moments(day, ZoneInfo("America/Havana"))[0], tz="UTC")
        Timestamp('2025-11-02 04:00:00+0000', tz='UTC')
    """
    if zone is None:
        return wall
    first = np.ones(len(wall), np.bool_)
    moments = pd.DatetimeIndex(wall).tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    return np.maximum.accumulate(moments.asi8)


def days_down(wall: int) -> int:
    """Round a clock reading down to midnight."""
    return wall // DAY * DAY
