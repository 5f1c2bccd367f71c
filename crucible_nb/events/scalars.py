"""Keyword values made plain at the moment of recording, so that a later change of theirs changes nothing."""

from __future__ import annotations

import datetime as dt
import json
from enum import Enum
from pathlib import PurePath
from types import NoneType
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pandas as pd

from crucible_nb.utils.checks import text_of

PLAIN = frozenset({float, int, str, bool, NoneType})
"""Types that are kept as they are; None stands for missing."""

_LONG = 10_000  # bits of whole numbers that Python writes with hexadecimal digits only

EXTRA = None
"""Key under which a settled mapping holds the JSON text of what is not plain."""


class Rest(str):
    """JSON text of what is not plain, and how many values in it had no better place."""

    __slots__ = ("strangers",)
    strangers: int

    def __new__(cls, text: str, strangers: int = 0) -> Rest:
        """Both."""
        rest = super().__new__(cls, text)
        rest.strangers = strangers
        return rest


def settle(fields: dict[str, Any]) -> tuple[dict[str | None, Any], list[str]]:
    """A mapping with plain values only, and the names of those that went to JSON.

    numpy scalars and 0-d arrays or tensors give their number, an exception under `error` its class; a
    mapping under `metadata` is what the caller wants there. Everything else becomes JSON.
    """
    plain: dict[str | None, Any] = {}
    rest: dict[str, Any] = {}
    strangers = []
    for name, value in fields.items():
        if type(value) in PLAIN:
            plain[name] = value
        elif value is pd.NA or value is pd.NaT:
            plain[name] = None
        elif name == "metadata" and isinstance(value, dict):
            rest.update({str(key): item for key, item in value.items()})
        elif name == "time" and not isinstance(value, (list, tuple, dict)):
            plain[name] = value
        elif name == "error" and isinstance(value, BaseException):
            plain[name] = type(value).__name__
        else:
            number = scalar(value)
            if type(number) in PLAIN:
                plain[name] = number
            else:
                rest[name] = value
                strangers.append(name)
    if rest:
        plain[EXTRA] = Rest(to_json(rest), len(strangers))
    return plain, strangers


def scalar(value: Any) -> Any:
    """The Python number or text of a numpy scalar, a 0-d array, a one-element tensor, an enum, a path; or the value."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return scalar(value.value)
    if isinstance(value, np.generic) or (getattr(value, "ndim", None) == 0 and hasattr(value, "item")):
        item = value.item()
        return item if type(item) in PLAIN else value
    if isinstance(value, str):
        return str.__str__(value)
    return str(value) if isinstance(value, PurePath) else value


def plain_of(values: dict[str, Any]) -> dict[str, Any]:
    """A mapping as JSON can say it: arrays are lists, paths and dates text, NaN and numbers beyond 64 bits text too.

    Examples:
        >>> import numpy as np
        >>> plain_of({"lr": np.float32(0.5), "layers": np.array([64, 8]), "data": PurePath("runs"), "loss": np.nan})
        {'lr': 0.5, 'layers': [64, 8], 'data': 'runs', 'loss': 'nan'}
    """
    text = to_json({text_of(name): value for name, value in values.items()})
    return json.loads(text, parse_int=_whole)  # type: ignore[no-any-return]


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= 20 and -(2**63) <= int(digits) < 2**64 else digits


def to_json(value: dict[str, Any]) -> str:
    """A JSON object as text; what JSON cannot say is kept as its repr, NaN and infinity as text."""
    return "{" + ",".join(f"{json.dumps(name)}:{json_of(item)}" for name, item in value.items()) + "}"


def json_of(value: Any) -> str:
    """JSON of one value; integers beyond 64 bits are beyond orjson, circles and depth beyond both."""
    if isinstance(value, str):
        value = text_of(value)
    try:
        return orjson.dumps(_finite(value), default=_plainer, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError, RecursionError):
        return json.dumps(value if isinstance(value, int) and value.bit_length() < _LONG else repr_of(value))


def repr_of(value: Any) -> str:
    """The repr of an object, or what can be said of one whose own fails: a number of over 4300 digits, a stranger."""
    if isinstance(value, int) and value.bit_length() >= _LONG:
        return hex(value)
    try:
        return text_of(repr(value))
    except Exception:  # noqa: BLE001  anybody's code
        return f"<{type(value).__module__}.{type(value).__qualname__} object>"


def _finite(value: Any) -> Any:
    """Orjson writes NaN and infinities as null, which would lose them."""
    if isinstance(value, float) and not np.isfinite(value):
        return str(float(value))
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _plainer(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr_of)
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    plain = scalar(value)
    return _finite(plain) if type(plain) in PLAIN else repr_of(value)
