"""Every argument error is worded here: the argument's name, what came, what is accepted."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import ConfigError, CrucibleError, SchemaError, StatError

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
_ABSENT = object()


def wrong(name: str, got: object, accepted: str, error: type[CrucibleError] = ConfigError) -> CrucibleError:
    """The one sentence for a bad argument; the caller raises it."""
    return error(f"{name}={_short.repr(got)}: expected {accepted}")


def one_of(name: str, value: Any, options: Iterable[Any]) -> Any:
    """`value`, when it is one of `options`."""
    options = list(options)
    if not any(value is option or (type(value) is type(option) and value == option) for option in options):
        raise wrong(name, value, "one of " + ", ".join(repr(option) for option in options))
    return value


def text_of(value: str) -> str:
    """Text as it can be written: lone surrogates have no UTF-8; escaped they can be kept and read."""
    value = str.__str__(value)
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def text(name: str, value: Any, *, optional: bool = False) -> Any:
    """`value` as it can be written, when it is a non-empty string (or None where `optional`)."""
    if value is None and optional:
        return value
    if isinstance(value, str) and value:
        return text_of(value)
    raise wrong(name, value, "a non-empty string" + (" or None" if optional else ""))


def texts(name: str, value: Any) -> tuple[str, ...]:
    """`value` as a tuple of strings; one string alone is not a list of letters."""
    if not isinstance(value, str) and isinstance(value, Iterable):
        items = tuple(value)
        if all(isinstance(item, str) and item for item in items):
            return tuple(map(text_of, items))
    raise wrong(name, value, "a list of non-empty strings")


def mapping(name: str, value: Any) -> dict[str, Any]:
    """`value` as a fresh dict with text keys; None is the empty one."""
    if value is None:
        return {}
    try:
        result = dict(value)
    except (TypeError, ValueError):
        raise wrong(name, value, "a mapping with text keys") from None
    if not all(isinstance(key, str) for key in result):
        raise wrong(name, value, "a mapping with text keys")
    return result


def number(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    below: float = math.inf,
    least: float = -math.inf,
    most: float = math.inf,
) -> float:
    """`value` as a float inside the open bounds `above`, `below` and the closed bounds `least`, `most`."""
    if not isinstance(value, (bool, np.bool_)) and isinstance(value, (int, float, np.integer, np.floating)):
        result = float(value)
        if above < result < below and least <= result <= most:
            return result
    bounds = [(above, ">"), (least, ">="), (below, "<"), (most, "<=")]
    said = " and ".join(f"{sign} {bound:g}" for bound, sign in bounds if math.isfinite(bound))
    raise wrong(name, value, "a number" + (f" {said}" if said else ""))


def whole(name: str, value: Any, *, least: int = 0, optional: bool = False) -> Any:
    """`value` as an int of at least `least` (or None where `optional`)."""
    if value is None and optional:
        return None
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least:
        return int(value)
    raise wrong(name, value, f"a whole number >= {least}" + (" or None" if optional else ""))


def function(name: str, value: Any, *, optional: bool = False) -> Callable[..., Any] | None:
    """`value`, when it can be called (or None where `optional`)."""
    if callable(value) or (value is None and optional):
        return value  # type: ignore[no-any-return]
    raise wrong(name, value, "a callable" + (" or None" if optional else ""))


def iterable(name: str, value: Any) -> Any:
    """`value`, when one can go through it."""
    try:
        iter(value)
    except TypeError:
        raise wrong(name, value, "an iterable") from None
    return value


def duration(name: str, value: Any) -> int:
    """A span of time in nanoseconds, > 0: offset text such as '5min', a Timedelta, a timedelta."""
    try:
        if isinstance(value, (bool, int, float)):
            raise TypeError
        offset: Any = pd.tseries.frequencies.to_offset(value) if isinstance(value, str) else value
        delta = pd.Timedelta(offset)
        nanoseconds = int(delta.as_unit("ns").value)
    except (TypeError, ValueError, OverflowError, pd.errors.OutOfBoundsTimedelta):
        nanoseconds = 0
    if nanoseconds <= 0:
        raise wrong(name, value, "a positive duration such as '5min', '30s', '1h' or a Timedelta")
    return nanoseconds


def instant(name: str, value: Any) -> int:
    """A moment in UTC nanoseconds since 1970: datetime, Timestamp, ISO text or int ns; naive means UTC."""
    if type(value) is int:
        return value
    try:
        if isinstance(value, (bool, np.bool_, float)):
            raise TypeError
        if isinstance(value, np.integer):
            return int(value)
        if pd.isna(value):
            raise TypeError
        # the value of a Timestamp counts from 1970 in UTC, with or without a zone
        return int(pd.Timestamp(value).as_unit("ns").value)
    except (TypeError, ValueError, OverflowError, AttributeError):
        raise wrong(name, value, "a datetime, a Timestamp, ISO text or int nanoseconds (naive means UTC)") from None


def columns(name: str, wanted: Any, available: Iterable[str]) -> tuple[str, ...]:
    """`wanted` as a tuple of column names that exist; one name alone is a tuple of one."""
    names = (wanted,) if isinstance(wanted, str) else texts(name, wanted)
    have = list(available)
    for column in names:
        if column not in have:
            raise SchemaError(f"{name}={column!r}: no such column; available: {', '.join(map(str, have))}")
    return names


def other(name: str, value: Any, this: Any) -> Any:
    """`value`, when it is None or of the class of `this` and not `this` itself."""
    if value is None or (isinstance(value, type(this)) and value is not this):
        return value
    raise wrong(name, value, f"another {type(this).__name__}")


def weights(value: Any, length: int) -> np.ndarray:
    """`value` as float64 weights of the given length, finite and >= 0."""
    array = np.ascontiguousarray(value, dtype=np.float64)
    if array.shape != (length,):
        raise StatError(f"weights: expected {length} numbers, one for each value, got {array.size}")
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        raise StatError(f"weights: expected finite numbers >= 0, got {array[bad][0]}")
    return array


def keyword(name: str, options: dict[str, Any], key: str, default: Any = _ABSENT) -> Any:
    """Take `key` out of an options mapping; a missing one without default is an error."""
    if key in options:
        return options.pop(key)
    if default is _ABSENT:
        raise wrong(name, options, f"a mapping with the key {key!r}")
    return default


def floats(name: str, value: Any) -> np.ndarray:
    """`value` as a 1-D float64 array, NaN where it is missing; not copied when it is one already."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.empty(())
    if array.ndim != 1:
        raise wrong(name, value, "numbers in one dimension", StatError)
    return array


def fractions(name: str, value: Any) -> np.ndarray:
    """`value`, one number or an array, as float64 inside [0, 1]."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.full((), np.nan)
    if not ((array >= 0) & (array <= 1)).all():
        raise wrong(name, value, "a number or numbers in [0, 1]")
    return array
