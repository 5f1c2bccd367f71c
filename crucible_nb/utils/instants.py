"""One value as a time: UTC nanoseconds since 1970, or a ValueError that says why not."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
import pandas as pd

ACCEPTED = "a datetime, a Timestamp, ISO text or int nanoseconds (naive means UTC)"

NEVER = -(2**63)
"""The int64 that numpy and pandas keep for NaT; no time."""

_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?")
_BEGINS = re.compile(r"\d{4}")  # pandas reads "now" and "today" as ISO text
UNITS = (("seconds", 1, 10**6), ("milliseconds", 10**3, 10**9), ("microseconds", 10**6, 10**9))
"""Units that whole numbers may be mistaken for nanoseconds in: name, per second, finest step of a real time there."""
FIRST, LAST = 10**9, 41 * 10**8
"""2001-09-09 and 2099-12-03 in seconds since 1970."""


def nanoseconds(value: Any) -> int:
    """Convert a datetime, date, Timestamp, datetime64, Period (its start), ISO text or int ns; naive means UTC.

    A whole number that is a time of this century in seconds, milliseconds or microseconds is refused: as nanoseconds
    it would be in January or February 1970. Floats are refused, for they do not hold nanoseconds.

    Raises:
        ValueError: It is none of these, or outside the years 1678 to 2261.

    Examples:
        >>> nanoseconds("1970-01-01T00:00:01+00:00"), nanoseconds(5)
        (1000000000, 5)
        >>> nanoseconds(1735689600)
        Traceback (most recent call last):
        ...
        ValueError: it looks like seconds since 1970, and whole numbers are nanoseconds
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64)):
        return _counted(int(value))
    if isinstance(value, str):
        return _written(str.__str__(value))
    if isinstance(value, pd.Period):
        value = value.start_time
    if value is pd.NaT or not isinstance(value, (dt.date, np.datetime64)):
        raise ValueError("it is no time")
    return _in_range(pd.Timestamp(value))


def _in_range(time: Any) -> int:
    """The value of a Timestamp counts from 1970 in UTC, with or without a zone."""
    if time is pd.NaT:
        raise ValueError("it is no time")
    try:
        return int(time.as_unit("ns").value)
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        raise ValueError("it is outside the years 1678 to 2261") from None


def _counted(value: int) -> int:
    unit = mistaken_unit(value)
    if unit is not None:
        raise ValueError(f"it looks like {unit} since 1970, and whole numbers are nanoseconds")
    if not NEVER < value < -NEVER:
        raise ValueError("it is outside the years 1678 to 2261")
    return value


def mistaken_unit(value: int) -> str | None:
    """Return the unit in which a whole number is a time from 2001 to 2099, if it is not one in nanoseconds."""
    for name, scale, step in UNITS:
        if FIRST * scale <= value < LAST * scale and value % step:
            return name
    return None


def _written(text: str) -> int:
    if _ISO.fullmatch(text):
        try:
            return _in_range(pd.Timestamp(text))
        except ValueError:
            raise ValueError("it is no ISO text of a time from 1678 to 2261") from None
    time = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce") if _BEGINS.match(text) else pd.NaT
    if time is pd.NaT:
        raise ValueError("it is no ISO text")
    return _in_range(time)
