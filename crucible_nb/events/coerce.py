"""Python values into typed cells; a value that does not fit is handed back, never bent."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.events.batch import Categories, Column
from crucible_nb.events.scalars import scalar
from crucible_nb.events.schema import Kind
from crucible_nb.utils.checks import text_of

EXACT = 2**53
"""Whole numbers up to here are exact as float64."""

_LARGE = 2**63


class Misfit(Exception):  # noqa: N818  a signal, not an error
    """The value does not fit its column's type."""


def kind_of(value: object) -> Kind:
    """The kind that a new column takes from its first value."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "float" if isinstance(value, float) else "string"


def fit(name: str, kind: Kind, values: list[Any], dictionary: Categories | None) -> tuple[Column, dict[int, Any]]:
    """Cells of one column, and the values (by row) that did not fit and are missing there."""
    try:
        return _whole(kind, values, dictionary), {}
    except (TypeError, ValueError, OverflowError):
        pass
    fitted: list[Any] = []
    misfits: dict[int, Any] = {}
    one = _ONE[kind] if not name.endswith("_id") else _identifier
    for row, value in enumerate(values):
        try:
            fitted.append(None if _missing(value) else one(scalar(value)))
        except (Misfit, TypeError, ValueError, OverflowError):
            fitted.append(None)
            misfits[row] = value
    return _with_gaps(kind, fitted, dictionary), misfits


def _whole(kind: Kind, values: list[Any], dictionary: Categories | None) -> Column:
    """The fast way, for a column with a fitting value in every row (text may have gaps)."""
    if kind == "float":
        return Column(kind, np.frombuffer(array("d", values)))
    if kind == "integer":
        return Column(kind, np.frombuffer(array("q", values), np.int64))
    if kind == "boolean":
        flags = np.frombuffer(bytes(values), np.uint8)
        if flags.max() > 1:
            raise ValueError
        return Column(kind, flags.view(np.bool_))
    if dictionary is not None:
        return Column(kind, dictionary.encode(values))
    return Column(kind, pa.array(values, pa.large_string()))


def _with_gaps(kind: Kind, values: list[Any], dictionary: Categories | None) -> Column:
    if kind == "float":
        return Column(kind, np.array([np.nan if value is None else value for value in values], np.float64))
    if kind in ("integer", "boolean"):
        dtype = np.int64 if kind == "integer" else np.bool_
        mask = np.array([value is None for value in values])
        filled: np.ndarray = np.array([0 if value is None else value for value in values], dtype)
        return Column(kind, filled, mask if mask.any() else None)
    return _whole(kind, values, dictionary)


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def _float(value: Any) -> float:
    if isinstance(value, (str, bytes)):
        raise Misfit
    return float(value)


def _integer(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (int, np.integer, np.bool_)) and -_LARGE <= value < _LARGE:
        return int(value)
    raise Misfit


def _boolean(value: Any) -> bool:
    if isinstance(value, (int, float, np.bool_)) and value in (0, 1):
        return bool(value)
    raise Misfit


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit
    return text_of(value)


def _identifier(value: Any) -> str:
    """Identifiers are text; whole numbers are used as identifiers everywhere, so they become text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


_ONE: dict[Kind, Callable[[Any], Any]] = {
    "float": _float,
    "integer": _integer,
    "boolean": _boolean,
    "category": _text,
    "string": _text,
}


def text_cells(values: Sequence[str | None]) -> Column:
    """Text cells from strings and None."""
    return Column("string", pa.array(values, pa.large_string()))
