"""Checks of arguments; an error message gives the argument's name, the value received and the accepted values."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import ConfigError, CrucibleError, SchemaError, StatError
from crucible_nb.utils.instants import ACCEPTED, nanoseconds
from crucible_nb.utils.interrupts import unbroken

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
_ABSENT = object()


def short(value: object) -> str:
    """Return the repr of any value, shortened; its class where the repr fails."""
    with unbroken():  # reprlib contains what a repr raises
        return _short_repr(value)


def _short_repr(value: object) -> str:
    try:
        return _short.repr(value)
    except Exception:  # noqa: BLE001  a user's object may raise anything
        return f"<{type(value).__name__} object>"


def wrong(name: str, got: object, accepted: str, error: type[CrucibleError] = ConfigError) -> CrucibleError:
    """Build the error for a bad argument; the caller raises it."""
    return error(f"{name}={short(got)}: expected {accepted}")


def one_of(name: str, value: Any, options: Iterable[Any]) -> Any:
    """Check that `value` is one of `options`; return it."""
    options = list(options)
    if not any(value is option or (type(value) is type(option) and value == option) for option in options):
        raise wrong(name, value, "one of " + ", ".join(repr(option) for option in options))
    return value


def suggestion(value: Any, options: Iterable[Any], cutoff: float = 0.6) -> str:
    """Return the end of a message that names the nearest option; "" if none is as near as `cutoff`, from 0 to 1.

    Examples:
        >>> suggestion("lost", ["loss", "step"])
        "; did you mean 'loss'?"
    """
    near = difflib.get_close_matches(str(value), list(map(str, options)), 1, cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


def text_of(value: str) -> str:
    """Text that UTF-8 can encode: lone surrogates are replaced by their escapes."""
    value = str.__str__(value)
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def text(name: str, value: Any, *, optional: bool = False) -> Any:
    """Check for a non-empty string (or None where `optional`); return it encodable as UTF-8."""
    if value is None and optional:
        return value
    if isinstance(value, str) and value:
        return text_of(value)
    raise wrong(name, value, "a non-empty string" + (" or None" if optional else ""))


def texts(name: str, value: Any) -> tuple[str, ...]:
    """Check for a list of non-empty strings; return a tuple. A single string is refused."""
    if not isinstance(value, str) and isinstance(value, Iterable):
        items = tuple(value)
        if all(isinstance(item, str) and item for item in items):
            return tuple(map(text_of, items))
    raise wrong(name, value, "a list of non-empty strings")


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Check for a mapping with text keys; return a new dict, empty for None."""
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
    gt: float = -math.inf,
    lt: float = math.inf,
    ge: float = -math.inf,
    le: float = math.inf,
) -> float:
    """Check for a number within the bounds: > `gt`, < `lt`, >= `ge`, <= `le`; return a float."""
    if not isinstance(value, (bool, np.bool_)) and isinstance(value, (int, float, np.integer, np.floating)):
        result = float(value)
        if gt < result < lt and ge <= result <= le:
            return result
    bounds = [(gt, ">"), (ge, ">="), (lt, "<"), (le, "<=")]
    limits = " and ".join(f"{sign} {bound:g}" for bound, sign in bounds if math.isfinite(bound))
    raise wrong(name, value, "a number" + (f" {limits}" if limits else ""))


def whole(name: str, value: Any, *, ge: int = 0, optional: bool = False) -> Any:
    """Check for a whole number >= `ge` (or None where `optional`); return an int."""
    if value is None and optional:
        return None
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= ge:
        return int(value)
    raise wrong(name, value, f"a whole number >= {ge}" + (" or None" if optional else ""))


def function(name: str, value: Any, *, optional: bool = False) -> Callable[..., Any] | None:
    """Check for a callable (or None where `optional`); return it."""
    if callable(value) or (value is None and optional):
        return value  # type: ignore[no-any-return]
    raise wrong(name, value, "a callable" + (" or None" if optional else ""))


def iterable(name: str, value: Any) -> Any:
    """Check for an iterable; return it."""
    try:
        iter(value)
    except TypeError:
        raise wrong(name, value, "an iterable") from None
    return value


def duration(name: str, value: Any) -> int:
    """Convert a positive duration to nanoseconds: offset text such as '5min', a Timedelta or a timedelta."""
    try:
        if isinstance(value, (bool, int, float)):
            raise TypeError
        delta = pd.Timedelta(_fixed(_offset(value) if isinstance(value, str) else value))
        nanoseconds = int(delta.as_unit("ns").value)
    except (TypeError, ValueError, OverflowError, pd.errors.OutOfBoundsTimedelta):
        nanoseconds = 0
    if nanoseconds <= 0:
        raise wrong(name, value, "a positive duration such as '5min', '30s', '1h' or a Timedelta")
    return nanoseconds


def _offset(text: str) -> Any:
    """Parse a text such as "5min", or in words as "5 minutes"."""
    try:
        return pd.tseries.frequencies.to_offset(text)
    except ValueError:
        return pd.Timedelta(text)


def _fixed(length: Any) -> Any:
    """Return days as a Timedelta, since before pandas 3.1 it takes no offset of days; other lengths as they are."""
    return pd.Timedelta(days=length.n) if isinstance(length, pd.offsets.Day) else length


def instant(name: str, value: Any) -> int:
    """Convert a time to UTC nanoseconds since 1970: datetime, Timestamp, ISO text or int ns; naive means UTC."""
    try:
        return nanoseconds(value)
    except ValueError as error:
        reason = f"; {error}" if "looks like" in str(error) else ""
        raise wrong(name, value, ACCEPTED + reason) from None


def columns(name: str, wanted: Any, available: Iterable[str]) -> tuple[str, ...]:
    """Check that all `wanted` columns exist; return a tuple of names. A single string is one name."""
    names = (wanted,) if isinstance(wanted, str) else texts(name, wanted)
    have = list(available)
    for column in names:
        if column not in have:
            raise SchemaError(f"{name}={column!r}: no such column; available: {', '.join(map(str, have))}")
    return names


def other(name: str, value: Any, this: Any) -> Any:
    """Check for None or another object of the class of `this`; return it."""
    if value is None or (isinstance(value, type(this)) and value is not this):
        return value
    raise wrong(name, value, f"another {type(this).__name__}")


def weights(value: Any, length: int) -> np.ndarray:
    """Check for `length` finite weights >= 0; return float64[length]."""
    array = np.ascontiguousarray(value, dtype=np.float64)
    if array.shape != (length,):
        raise StatError(f"weights: expected {length} numbers, one for each value, got {array.size}")
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        raise StatError(f"weights: expected finite numbers >= 0, got {array[bad][0]}")
    return array


def keyword(name: str, options: dict[str, Any], key: str, default: Any = _ABSENT) -> Any:
    """Remove `key` from a mapping of options and return its value; an error if it is missing without a default."""
    if key in options:
        return options.pop(key)
    if default is _ABSENT:
        raise wrong(name, options, f"a mapping with the key {key!r}")
    return default


def floats(name: str, value: Any) -> np.ndarray:
    """Convert to a 1-D float64 array, NaN where missing; a float64 array is not copied."""
    try:
        kind = (value if hasattr(value, "dtype") else np.asarray(value)).dtype.kind
        array = np.empty(()) if kind in "mMc" else np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.empty(())
    if array.ndim != 1:
        raise wrong(name, value, "numbers in one dimension", StatError)
    return array


def fractions(name: str, value: Any) -> np.ndarray:
    """Check for one number or an array in [0, 1]; return float64."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.full((), np.nan)
    if not ((array >= 0) & (array <= 1)).all():
        raise wrong(name, value, "a number or numbers in [0, 1]")
    return array
