"""Convert plain values and typed columns to the kind of a column; values that do not fit are returned unchanged."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from crucible_nb.events.batch import Categories, Column
from crucible_nb.events.ids import identifier, identifiers
from crucible_nb.events.scalars import EXACT, PLAIN, plain
from crucible_nb.events.schema import COLUMNS, Kind
from crucible_nb.utils.checks import text_of

_LARGE = 2**63


class Misfit(Exception):  # noqa: N818  a signal, not an error
    """The value does not fit its column's type."""


def kind_of(value: object) -> Kind:
    """Return the kind that a new column takes from its first known value."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "float" if isinstance(value, float) else "string"


def takes_numbers(name: str) -> bool:
    """Return whether a text column stores whole numbers as their digits: registered columns and identifiers."""
    return name in COLUMNS or name.endswith("_id")


def is_missing(value: Any) -> bool:
    """Return whether a plain value is missing: None or NaN."""
    return value is None or value != value


# -- plain values ------------------------------------------------------------------------------------------------------


def fit(name: str, kind: Kind, values: list[Any], dictionary: Categories | None) -> tuple[Column, dict[int, Any]]:
    """Convert plain values; return the column, and the values (by row) that did not fit and are missing there."""
    try:
        return _fit_all(kind, values, dictionary), {}
    except Exception:  # noqa: BLE001  names of events come as they were given, and a user's object may raise anything
        pass
    fitted: list[Any] = []
    misfits: dict[int, Any] = {}
    convert = _label if takes_numbers(name) and kind in ("category", "string") else _CONVERT[kind]
    for row, value in enumerate(values):
        cell = plain(value, name)
        try:
            if type(cell) not in PLAIN:
                raise Misfit
            fitted.append(None if is_missing(cell) else convert(cell))
        except Misfit:
            fitted.append(None)
            misfits[row] = cell
    return _with_gaps(kind, fitted, dictionary), misfits


def _fit_all(kind: Kind, values: list[Any], dictionary: Categories | None) -> Column:
    """Convert a column that has a fitting value in every row (text may be missing), without a loop."""
    if kind == "float":
        floats = np.frombuffer(array("d", values))
        if ((floats >= EXACT) | (floats <= -EXACT)).any():
            raise ValueError
        return Column(kind, floats)
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
    return _fit_all(kind, values, dictionary)


def _float(value: Any) -> float:
    """Convert a number; a whole number that float64 would round does not fit."""
    if not isinstance(value, (int, float)) or (abs(value) > EXACT and not _is_exact(value)):
        raise Misfit
    return float(value)


def _is_exact(value: float) -> bool:
    try:
        return float(value) == value
    except OverflowError:
        return False


def _integer(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and -_LARGE <= value < _LARGE:
        return int(value)
    raise Misfit


def _boolean(value: Any) -> bool:
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    raise Misfit


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit
    return text_of(value)


def _label(value: Any) -> str:
    text = identifier(value)
    if text is None:
        raise Misfit
    return text


_CONVERT: dict[Kind, Callable[[Any], Any]] = {
    "float": _float,
    "integer": _integer,
    "boolean": _boolean,
    "category": _text,
    "string": _text,
}


def text_cells(values: Sequence[str | None]) -> Column:
    """Return a column of text from strings and None."""
    return Column("string", pa.array(values, pa.large_string()))


# -- typed columns -----------------------------------------------------------------------------------------------------


def refit(name: str, kind: Kind, column: Column, dictionary: Categories | None) -> tuple[Column, dict[int, Any]]:
    """Convert a column of booleans, integers or floats to another kind, without a loop; otherwise as `fit`."""
    if column.kind == kind:
        return column, {}
    if kind == "float":
        return _to_float(column)
    if kind == "integer":
        return _to_integer(column)
    if kind == "boolean":
        return _to_boolean(column)
    fits = takes_numbers(name) and column.kind != "boolean"
    texts, bad = identifiers(column) if fits else (np.full(len(column.values), None), column.known())
    return _fit_all(kind, texts.tolist(), dictionary), _misfits(column, bad)


def _misfits(column: Column, bad: np.ndarray) -> dict[int, Any]:
    """Return the values of the rows in the mask, by row."""
    rows = np.flatnonzero(bad)
    return dict(zip(rows.tolist(), column.values[rows].tolist(), strict=True))


def _to_float(column: Column) -> tuple[Column, dict[int, Any]]:
    floats = column.floats()
    if column.kind == "boolean":
        return Column("float", floats), {}
    large = np.abs(floats) >= EXACT
    if not large.any():
        return Column("float", floats), {}
    bad = np.zeros(len(floats), np.bool_)
    bad[large] = [not _is_exact(value) for value in column.values[large].tolist()]
    return Column("float", np.where(bad, np.nan, floats)), _misfits(column, bad)


def _to_integer(column: Column) -> tuple[Column, dict[int, Any]]:
    if column.kind == "boolean":
        return Column("integer", column.values.astype(np.int64), column.mask), {}
    at_once = _whole_at_once(column.values)
    if at_once is not None:
        return at_once, {}
    gone = np.isnan(column.values)
    inside = (column.values >= -(2.0**63)) & (column.values < 2.0**63)
    bad = ~gone & ~((column.values == np.floor(column.values)) & inside)
    missing = gone | bad
    whole = np.where(missing, 0.0, column.values).astype(np.int64)
    return Column("integer", whole, missing if missing.any() else None), _misfits(column, bad)


def _whole_at_once(values: np.ndarray) -> Column | None:
    """Convert floats to integers if each is whole or missing, and far below 2**63; else None."""
    with np.errstate(invalid="ignore"):  # what NaN becomes is not used
        whole = values.astype(np.int64)
    missing = whole != values
    if not missing.any():
        missing, gone = None, False
    else:
        gone = not np.isnan(values[missing]).all()
        np.putmask(whole, missing, 0)
    if gone or not len(whole) or max(-int(whole.min()), int(whole.max())) >= _LARGE // 2:
        return None
    return Column("integer", whole, missing)


def _to_boolean(column: Column) -> tuple[Column, dict[int, Any]]:
    known = column.known()
    bad = known & (column.values != 0) & (column.values != 1)
    missing = ~known | bad
    return Column("boolean", (column.values == 1) & ~missing, missing if missing.any() else None), _misfits(column, bad)
