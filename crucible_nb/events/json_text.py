"""JSON text of values of any type, for `metadata` columns and the metadata of an experiment."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pandas as pd

from crucible_nb.events.scalars import PLAIN, is_a, plain
from crucible_nb.utils.checks import text_of
from crucible_nb.utils.interrupts import let_pass, unbroken

_LONG = 10_000  # bits of whole numbers that Python writes with hexadecimal digits only


def json_dict(values: dict[str, Any]) -> dict[str, Any]:
    """Convert a mapping to JSON types: arrays are lists, paths and dates text, NaN and numbers beyond 64 bits text.

    Examples:
        >>> import numpy as np
        >>> json_dict({"lr": np.float32(0.5), "layers": np.array([64, 8]), "loss": np.nan})
        {'lr': 0.5, 'layers': [64, 8], 'loss': 'nan'}
    """
    text = to_json({text_of(name): value for name, value in values.items()})
    return json.loads(text, parse_int=_whole)  # type: ignore[no-any-return]


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= 20 and -(2**63) <= int(digits) < 2**64 else digits


def to_json(value: dict[str, Any]) -> str:
    """Write a mapping as a JSON object; values that JSON lacks become their repr, NaN and infinity text."""
    return "{" + ",".join(f"{json.dumps(name)}:{json_of(item)}" for name, item in value.items()) + "}"


def json_of(value: Any) -> str:
    """Write one value as JSON; circles and what is nested too deep become their repr."""
    if is_a(value, str):
        value = text_of(value)
    with unbroken():  # orjson passes on what a user's object raises without the place where it was raised
        return _json_of(value)


def _json_of(value: Any) -> str:
    try:
        return orjson.dumps(_without_nan(value), default=_replacement, option=_OPTIONS).decode()
    except Exception as error:  # noqa: BLE001  a user's object may raise anything
        return (_of_large(value) if "64-bit" in str(error) else None) or json.dumps(repr_of(value))


def _of_large(value: Any) -> str | None:
    """Write a value with integers beyond 64 bits, which orjson refuses; None if Python cannot write it either."""
    try:
        text = json.dumps(_without_nan(value), default=_replacement, separators=(",", ":"), ensure_ascii=False)
        text.encode()
    except Exception:  # noqa: BLE001  as above
        return None
    return text


def parse_json(text: str) -> Any:
    """Parse JSON text; integers of any size stay integers, which orjson reads as floats beyond 64 bits.

    Examples:
        >>> parse_json('{"n": [18446744073709551616]}')
        {'n': [18446744073709551616]}
    """
    return json.loads(text) if _DIGITS.search(text) else orjson.loads(text)


_DIGITS = re.compile("[0-9]{20}")


_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME


def is_object(value: Any) -> bool:
    """Return whether a value fits the column `metadata`: a mapping, or the text of a JSON object."""
    if not is_a(value, str):
        return is_a(value, dict)
    try:
        return isinstance(orjson.loads(str.__str__(value)), dict)
    except ValueError:
        return False


def repr_of(value: Any) -> str:
    """Return the repr of an object; its class if the repr fails; hexadecimal digits of a huge integer."""
    if is_a(value, int) and value.bit_length() >= _LONG:
        return hex(value)
    try:
        return text_of(repr(value))
    except Exception as error:  # noqa: BLE001  a user's object may raise anything
        let_pass(error)
        return f"<{type(value).__module__}.{type(value).__qualname__} object>"


def _without_nan(value: Any) -> Any:
    """Replace NaN and infinities by text: orjson writes null, which loses them."""
    if isinstance(value, float) and not np.isfinite(value):
        return str(float(value))
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return value


def _replacement(value: Any) -> Any:
    """Convert a value that orjson does not support."""
    if isinstance(value, np.ndarray):
        return list(value) if value.dtype.kind in "mM" else _without_nan(value.tolist())
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr_of)
    for types, write in _WRITE:
        if isinstance(value, types):
            return write(value)
    number = plain(value)
    return _without_nan(number) if type(number) in PLAIN else repr_of(value)


def _iso(value: np.datetime64) -> str:
    """Write a datetime64 as ISO text."""
    try:
        return pd.Timestamp(value).isoformat()
    except ValueError:
        return str(value)


_WRITE: list[tuple[Any, Callable[[Any], str]]] = [
    ((dt.timedelta, np.timedelta64), lambda value: str(pd.Timedelta(value))),
    (np.datetime64, _iso),
    ((dt.date, dt.time), lambda value: value.isoformat()),
    ((pd.Period, pd.Interval), str),
]
