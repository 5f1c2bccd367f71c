"""Convert values of any library to plain Python values when they are recorded, so that later changes have no effect."""

from __future__ import annotations

import datetime as dt
import math
import numbers
import operator
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from types import NoneType
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.events.schema import COLUMNS
from crucible_nb.utils.interrupts import let_pass

PLAIN = frozenset({float, int, str, bool, NoneType})
"""Types of plain values; None is missing."""

EXACT = 2**53
"""Whole numbers up to here are exact as float64."""

_DIGITS = 400  # of a decimal number; float64 ends at 309

ATTOSECONDS = {"as": 1, "fs": 10**3, "ps": 10**6, "ns": 10**9, "us": 10**12, "ms": 10**15, "s": 10**18}
ATTOSECONDS |= {"m": 60 * 10**18, "h": 3600 * 10**18, "D": 86_400 * 10**18, "W": 604_800 * 10**18}
"""Length of each unit of numpy's durations; years and months have none."""


def plain(value: Any, name: str = "") -> Any:
    """Return the plain number or text of a value, None for a missing one; any other value as it is.

    Numbers of numpy, Arrow, decimal and fractions are Python numbers: whole ones exactly, others as the nearest
    float. One-element arrays and tensors give their element, enums their value, paths and UUIDs text, exceptions in
    the column `error` their class, durations milliseconds in columns whose name ends in `_ms` and seconds in others.

    Args:
        value: Anything; what it raises counts as "no plain value".
        name: Column that it is for.

    Examples:
        >>> plain(np.float32(0.5)), plain(Decimal("3")), plain(np.array([7])), plain(dt.timedelta(minutes=1), "wait_ms")
        (0.5, 3, 7, 60000.0)
        >>> plain(1 + 2j)
        (1+2j)
    """
    if type(value) in PLAIN:
        return value
    try:
        return _plain(value, name)
    except Exception as error:  # noqa: BLE001  a user's object may raise anything
        let_pass(error)
        return value


def is_a(value: Any, types: Any) -> bool:
    """Return isinstance(value, types), False for an object that raises."""
    try:
        return isinstance(value, types)
    except Exception as error:  # noqa: BLE001  a user's object may raise anything
        let_pass(error)
        return False


def _plain(value: Any, name: str) -> Any:  # noqa: C901, PLR0911  one line per type
    if value is pd.NA or value is pd.NaT or value is np.ma.masked:
        return None
    if isinstance(value, np.generic):
        return _numpy(value, name)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Enum):
        return plain(value.value, name)
    if isinstance(value, (UUID, PurePath)):
        return str(value)
    if isinstance(value, dt.timedelta):
        return duration(_timedelta64(value), name)
    if isinstance(value, (numbers.Number, Decimal)):
        return _number(value)
    if isinstance(value, pa.Scalar):
        return plain(value.as_py(), name)
    if name == "error" and isinstance(value, BaseException):
        return type(value).__name__
    if hasattr(value, "ndim"):
        return _element(value, name)
    if hasattr(type(value), "__index__"):
        return operator.index(value)
    return float(value) if hasattr(type(value), "__float__") else value


def _numpy(value: Any, name: str) -> Any:
    kind = value.dtype.kind
    if kind == "m":
        return duration(value, name)
    if kind == "M":
        return None if np.isnat(value) else value
    if kind == "f":
        return _float(value)
    return value.item() if kind in "biuU" else value


def _element(value: Any, name: str) -> Any:
    """Convert an array or tensor of one element; numpy scalars keep the unit of a duration."""
    if value.ndim != 0 and math.prod(value.shape) != 1:
        return value
    item = value.reshape(-1)[0] if isinstance(value, np.ndarray) else value.item()
    number = item if item is value else plain(item, name)
    return number if type(number) in PLAIN else value


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Rational):
        whole = value.denominator == 1
        return int(value.numerator) if whole else _finite(float(Fraction(value)))
    return _float(value) if isinstance(value, numbers.Real) else value


def _decimal(value: Decimal) -> Any:
    """Convert to int without decimal places, or if float64 would round a whole number; else to the nearest float."""
    if not value.is_finite():
        return float(value)
    exponent = value.as_tuple().exponent
    if abs(value.adjusted()) > _DIGITS:
        raise OverflowError("beyond the range of float64")
    if exponent >= 0 or (abs(value) >= EXACT and value == value.to_integral_value()):  # type: ignore[operator]
        return int(value)
    return float(value)


def _float(value: Any) -> Any:
    """Convert to the nearest float, or to int if float64 would round a whole number."""
    number = float(value)
    if value == value and abs(number) >= EXACT and number != value:
        if math.isfinite(number):
            return int(value)
        raise OverflowError("beyond the range of float64")
    return number


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise OverflowError("beyond the range of float64")
    return number


def takes_durations(name: str) -> bool:
    """Return whether a column takes durations: not one of counts, money, weights or text."""
    column = COLUMNS.get(name)
    return column is None or (column.kind == "float" and column.unit in ("ms", "") and name != "weight")


def unit_of(name: str) -> int:
    """Return the unit of durations in a column, in attoseconds: ms if its name ends in `_ms`, else seconds."""
    return ATTOSECONDS["ms" if name.endswith("_ms") else "s"]


def duration(value: np.timedelta64, name: str) -> Any:
    """Convert a duration to the unit of the column, correctly rounded; unchanged if the column takes none."""
    if np.isnat(value):
        return None
    unit, count = np.datetime_data(value.dtype)
    if unit not in ATTOSECONDS or not takes_durations(name):
        return value
    return int(value.view(np.int64)) * count * ATTOSECONDS[unit] / unit_of(name)


def _timedelta64(value: dt.timedelta) -> np.timedelta64:
    """Convert a Timedelta in its own unit, a timedelta in microseconds."""
    return value.to_timedelta64() if isinstance(value, pd.Timedelta) else np.timedelta64(value, "us")


EXTRA = None
"""Key of the JSON text of unsupported values in a staged mapping."""

NO_SCALARS = "values that are no scalars went to `metadata` as JSON"


class Rest(str):
    """JSON text for the column `metadata`, with the number of values in it that should have had a column."""

    __slots__ = ("unsupported",)
    unsupported: int

    def __new__(cls, text: str, unsupported: int = 0) -> Rest:
        """Keep both."""
        rest = super().__new__(cls, text)
        rest.unsupported = unsupported
        return rest
