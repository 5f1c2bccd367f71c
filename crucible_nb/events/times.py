"""Reader of times: from Python values, from columns of any library, and from frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crucible_nb.errors import SchemaError
from crucible_nb.events.columns import fits_int64
from crucible_nb.events.dtypes import arrow_array, decoded, family_of
from crucible_nb.events.scalars import ATTOSECONDS, plain
from crucible_nb.utils.checks import short
from crucible_nb.utils.instants import FIRST, LAST, NEVER, UNITS, mistaken_unit, nanoseconds

UTC = pd.DatetimeTZDtype("ns", "UTC")


class Times(NamedTuple):
    """The times of some rows.

    Attributes:
        ns: UTC nanoseconds since 1970, int64; 0 where the time is not known.
        known: Which rows have a time that can be read.
        unread: Values that are no times, by row; they are neither known nor missing.
    """

    ns: np.ndarray
    known: np.ndarray
    unread: dict[int, Any]


# -- values and columns ------------------------------------------------------------------------------------------------


def read_values(values: Sequence[Any]) -> Times:
    """Read Python values: datetimes, dates, ISO text, whole nanoseconds; None, NaN and NaT are missing."""
    whole = _all_whole(values)
    if whole is not None:
        return whole
    ns, known = np.zeros(len(values), np.int64), np.zeros(len(values), np.bool_)
    unread: dict[int, Any] = {}
    texts = [row for row, value in enumerate(values) if type(value) is str and value.isascii()]
    if len(texts) > _MANY:
        read = _texts(pd.Series([values[row] for row in texts], dtype="str"))
        ns[texts], known[texts] = read.ns, read.known
        unread = {texts[place]: value for place, value in read.unread.items()}
    done = set(texts if len(texts) > _MANY else ())
    for row, value in enumerate(values):
        if row in done or _is_missing(value):
            continue
        number = plain(value)
        try:
            ns[row] = nanoseconds(number if type(number) is int else value)
            known[row] = True
        except ValueError:
            unread[row] = value
    return Times(ns, known, unread)


_MANY = 16


def _all_whole(values: Sequence[Any]) -> Times | None:
    """Read ints and None, without a loop; None for other values."""
    if not set(map(type, values)) <= {int, type(None)}:
        return None
    try:
        ns = np.array([0 if value is None else value for value in values], np.int64)
    except OverflowError:
        return None
    known, bad = np.array([value is not None for value in values], np.bool_), _are_mistaken(ns)
    unread = {row: values[row] for row in np.flatnonzero(known & bad).tolist()}
    return Times(np.where(bad, 0, ns), known & ~bad, unread)


def _is_missing(value: Any) -> bool:
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, str) and not value.strip()):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, float) and value != value


def read_times(column: Any) -> Times:
    """Read a Series or Index of any dtype."""
    if isinstance(column, pd.DatetimeIndex):
        return _scaled(column, column)
    column = column if isinstance(column, pd.Series) else column.to_series(index=range(len(column)))
    return _READ.get(family_of(column.dtype), _objects)(column)


def _objects(column: pd.Series) -> Times:
    if isinstance(column.dtype, pd.ArrowDtype):
        return read_values(arrow_array(column).to_pylist())
    return read_values([None if gone else value for value, gone in zip(column, column.isna(), strict=True)])


def _labels(column: pd.Series) -> Times:
    if isinstance(column.dtype, pd.ArrowDtype):
        return read_times(decoded(column))
    labels, codes = read_times(pd.Series(column.cat.categories)), column.cat.codes.to_numpy()
    known = np.append(labels.known, False)[codes]  # -1, missing, is the last
    unread = {row: labels.unread[code] for row, code in enumerate(codes.tolist()) if code in labels.unread}
    return Times(np.append(labels.ns, 0)[codes], known, unread)


def _datetimes(column: pd.Series) -> Times:
    dtype: Any = column.dtype
    if isinstance(dtype, pd.ArrowDtype) and pa.types.is_date(dtype.pyarrow_dtype):
        dates = arrow_array(column).cast(pa.timestamp("ms")).to_numpy(zero_copy_only=False)
        return _scaled(pd.DatetimeIndex(dates), column)
    return _scaled(pd.DatetimeIndex(column), column)


def _scaled(index: pd.DatetimeIndex, column: pd.Series | pd.DatetimeIndex) -> Times:
    """Convert datetimes of any unit; those outside the range of nanoseconds are unread."""
    counts, known = index.asi8, index.asi8 != NEVER
    per_unit = ATTOSECONDS[index.unit] // ATTOSECONDS["ns"]
    most = (2**63 - 1) // per_unit
    if len(counts) and -most <= counts.min() and counts.max() <= most:  # NEVER is below
        return Times(counts * per_unit, known, {})
    fits = known & (np.abs(counts) <= most)
    return Times(np.where(fits, counts, 0) * per_unit, fits, _values(column, known & ~fits))


def _counted(column: pd.Series) -> Times:
    """Read integers as nanoseconds; those that look like another unit are unread."""
    if not fits_int64(column):
        return _objects(column)
    gone = column.isna().to_numpy()
    ns = column.to_numpy(np.int64, na_value=0)
    bad = _are_mistaken(ns) & ~gone
    known = ~gone & ~bad
    return Times(np.where(known, ns, 0), known, _values(column, bad))


def _are_mistaken(ns: np.ndarray) -> np.ndarray:
    """Return which integers are no nanoseconds: NaT, or times of this century in another unit."""
    bad: np.ndarray = ns == NEVER
    for _, scale, step in UNITS:
        bad |= (ns >= FIRST * scale) & (ns < LAST * scale) & (ns % step != 0)
    return bad


_ISO = r"^\d{4}"


def _texts(column: pd.Series) -> Times:
    """Parse ISO text without a loop; texts that fail are tried one by one."""
    times = _plain_texts(column)
    if times is not None:
        return times
    gone = (column.isna() | (column.str.strip() == "")).to_numpy(np.bool_)
    begins = pc.match_substring_regex(arrow_array(column), _ISO).fill_null(False)
    iso = np.asarray(begins)
    index = pd.DatetimeIndex(pd.to_datetime(column.where(iso), utc=True, format="ISO8601", errors="coerce"))
    times = _scaled(index, column)
    rest = np.flatnonzero(~gone & ~times.known)
    if len(rest):
        one_by_one = read_values_alone(column.iloc[rest].tolist())
        times.ns[rest], times.known[rest] = one_by_one.ns, one_by_one.known
        return times._replace(unread={int(rest[place]): text for place, text in one_by_one.unread.items()})
    return times._replace(unread={})


def _plain_texts(column: pd.Series) -> Times | None:
    """Parse text by Arrow, which is fast and strict; None if it refuses one."""
    texts = arrow_array(column)
    for zone in ("UTC", None):  # Arrow takes texts that all have an offset, or none
        try:
            times = texts.cast(pa.timestamp("ns", zone)).cast(pa.int64())
        except pa.ArrowException:
            continue
        known = np.asarray(times.is_valid())
        ns = np.array(times.fill_null(0).to_numpy(zero_copy_only=False))
        return Times(ns, known, {}) if len(ns) and (np.abs(ns) < _FAR).all() else None
    return None


_FAR = 2**63 - 2 * 86_400 * 10**9  # from here on an offset may wrap around


def read_values_alone(texts: list[str]) -> Times:
    """Parse texts one by one, equal ones once."""
    read: dict[str, int | None] = {}
    for text in dict.fromkeys(texts):
        try:
            read[text] = nanoseconds(text)
        except ValueError:
            read[text] = None
    found = [read[text] for text in texts]
    ns = np.array([time or 0 for time in found], np.int64)
    unread = {row: text for row, text in enumerate(texts) if read[text] is None}
    return Times(ns, np.array([time is not None for time in found], np.bool_), unread)


def _values(column: pd.Series | pd.DatetimeIndex, rows: np.ndarray) -> dict[int, Any]:
    places = np.flatnonzero(rows)
    return dict(zip(places.tolist(), column.take(places).tolist(), strict=True))


def plain_time(value: Any) -> int | str | None:
    """Convert a time to int nanoseconds, or to ISO text if `nanoseconds` would refuse the int; None for no time."""
    try:
        ns = nanoseconds(value)
    except ValueError:
        return None
    return ns if mistaken_unit(ns) is None else pd.Timestamp(ns, tz="UTC").isoformat()


_READ: dict[str, Callable[[pd.Series], Times]] = {
    "time": _datetimes,
    "period": lambda column: _scaled(pd.DatetimeIndex(column.dt.to_timestamp()), column),
    "integer": _counted,
    "text": _texts,
    "category": _labels,
}


# -- frames ------------------------------------------------------------------------------------------------------------


class TimeSource(NamedTuple):
    """The times of a frame, as they are stored.

    Attributes:
        values: A Series or Index.
        level: Level of the index, None for the column `time`.
    """

    values: Any
    level: int | None


def time_source(frame: pd.DataFrame) -> TimeSource | None:
    """Find the times of a frame: its index, an index level, or the column `time`.

    An index holds times when its dtype is one of times; of a MultiIndex the level `time`, or the only one of such a
    dtype. A level `time` of another dtype counts when there is no column `time`.
    """
    index = frame.index
    levels = [index.get_level_values(i) for i in range(index.nlevels)]
    timed = [i for i, level in enumerate(levels) if family_of(level.dtype) in ("time", "period")]
    named = [i for i, level in enumerate(levels) if level.name == "time"]
    column = "time" in frame.columns
    best = next((i for i in timed if i in named), timed[0] if len(timed) == 1 else None)
    if best is None and named and not column:
        best = named[0]
    if best is not None:
        return TimeSource(levels[best], best)
    return TimeSource(frame["time"], None) if column else None


def times_of(frame: pd.DataFrame) -> Times | None:
    """Read the times of the rows of a frame; None when it has none."""
    source = time_source(frame)
    return None if source is None else read_times(source.values)


ACCEPTED = "datetimes, ISO text or int nanoseconds"


def all_times(frame: pd.DataFrame) -> np.ndarray:
    """Read the times of a frame that needs one in every row, as int64 UTC nanoseconds.

    Raises:
        SchemaError: It has no times, a value that is none, or rows without.
    """
    source = time_source(frame)
    if source is None:
        kind = type(frame.index).__name__
        raise SchemaError(f"frame: expected a DatetimeIndex or a 'time' column, got a {kind}")
    times = read_times(source.values)
    if times.unread:
        raise SchemaError(_refusal(source.values, times))
    if not times.known.all():
        raise SchemaError(f"frame: expected a time in every row, got {int((~times.known).sum())} without")
    return times.ns


def _refusal(values: Any, times: Times) -> str:
    row, value = next(iter(sorted(times.unread.items())))
    dtype = values.dtype
    if family_of(dtype) in ("boolean", "float", "decimal", "duration"):
        return f"time: expected {ACCEPTED}, got dtype {dtype}"
    try:
        nanoseconds(value)
    except ValueError as error:
        return f"time: expected {ACCEPTED}, got {short(value)} in row {row}: {error}"
    return f"time: expected {ACCEPTED}, got {short(value)} in row {row}"


def zoned_index(frame: pd.DataFrame) -> pd.DatetimeIndex:
    """Read the times of a frame that needs one in every row, in nanoseconds and in their own time zone.

    Raises:
        SchemaError: As `all_times`.
    """
    index = frame.index
    if isinstance(index, pd.DatetimeIndex) and index.tz is not None and not index.hasnans:
        with suppress(pd.errors.OutOfBoundsDatetime):  # refused by `all_times`, with its row
            return index.as_unit("ns")
    times = pd.DatetimeIndex(all_times(frame), dtype=UTC, copy=False)
    source = time_source(frame)
    zone = None if source is None else getattr(source.values.dtype, "tz", None)
    if source is not None and isinstance(source.values.dtype, pd.ArrowDtype):
        zone = getattr(source.values.dtype.pyarrow_dtype, "tz", None)
    return times if zone is None else times.tz_convert(zone)
