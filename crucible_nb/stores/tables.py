"""Tables in the journal: column by column, with what their types mean to the ingest, and nothing else of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.errors import SchemaError
from crucible_nb.ingest import DROPPED, PLAIN, json_of, scalar, text_of, times_of, weights_of
from crucible_nb.stores.lines import fragment, line, parsed, unwrapped, wrapped

ROWS = 4096
"""Rows of a line: what one bad line may cost, and what a reader holds at a time."""

_STRING = pd.StringDtype(na_value=np.nan)
Clean = Callable[[str, Any], Any]


def canonical(frame: pd.DataFrame, clean: Clean) -> pd.DataFrame:
    """A frame that means the same and that lines can hold to the bit: few dtypes, plain values.

    Args:
        frame: As `extend` takes it.
        clean: (column, value) -> value, for text and strange values: redaction.

    Raises:
        StatError: Its weights are none.
        SchemaError: A column name is there twice.
    """
    named = frame if all(isinstance(name, str) for name in frame.columns) else frame.rename(columns=str)
    if not named.columns.is_unique:
        raise SchemaError("frame: column names must be unique as text")
    columns: dict[str, Any] = {}
    timed = times_of(named)
    for name in named.columns:
        if name in DROPPED:
            columns[name] = np.zeros(len(named), np.bool_)
        elif name == "weight":
            columns[name] = weights_of(named[name])
        elif name == "metadata":
            columns[name] = _objects([_metadata(value, clean) for value in named[name]])
        elif name != "time":
            columns[name] = _column(name, named[name], clean)
    index: Any = pd.RangeIndex(len(named))
    if timed is not None:
        times = np.where(timed[1], timed[0], np.iinfo(np.int64).min)
        index = pd.DatetimeIndex(times.view("M8[ns]"), tz="UTC", name="time")
    return pd.DataFrame(columns, index=index, columns=pd.Index(list(columns), dtype="str"), copy=False)


def _column(name: str, column: pd.Series, clean: Clean) -> Any:
    dtype = column.dtype
    gone = column.isna().to_numpy()
    if str(dtype) in ("bool", "boolean", "bool[pyarrow]"):
        return pd.arrays.BooleanArray(column.to_numpy(np.bool_, na_value=False), gone)
    if pd.api.types.is_float_dtype(dtype):
        return column.to_numpy(np.float64, na_value=np.nan)
    if pd.api.types.is_integer_dtype(dtype) and not _beyond(column):
        return pd.arrays.IntegerArray(column.to_numpy(np.int64, na_value=0), gone)
    if isinstance(dtype, pd.CategoricalDtype) and isinstance(dtype.categories.dtype, pd.StringDtype):
        return _labelled(name, column.cat.codes.to_numpy(), column.cat.categories.tolist(), clean)
    if isinstance(dtype, pd.StringDtype) or str(dtype) in ("string[pyarrow]", "large_string[pyarrow]"):
        return _labelled(name, *_factorized(column), clean)
    return _objects([None if none else _value(name, value, clean) for value, none in zip(column, gone, strict=True)])


def _beyond(column: pd.Series) -> bool:
    """Whether whole numbers are too large for 64 bits with a sign."""
    return bool(column.dtype == np.uint64 and len(column) and column.max() >= 2**63)


def _factorized(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    codes, labels = pd.factorize(column.astype(_STRING))
    return codes, list(labels)


def _labelled(name: str, codes: np.ndarray, labels: list[str], clean: Clean) -> pd.Categorical:
    """Text as codes into labels; each label is looked at once. Labels that clean to the same become one."""
    used = np.unique(codes[codes >= 0]).tolist()
    cleaned = {code: clean(name, labels[code]) for code in used}
    places: dict[Any, int] = {}
    mapped = np.full(len(labels) + 1, -1, np.int32)
    for code, label in cleaned.items():
        if label is not None:
            mapped[code] = places.setdefault(label, len(places))
    dtype = pd.CategoricalDtype(pd.Index(list(places), dtype=_STRING))
    return pd.Categorical.from_codes(mapped[codes], dtype=dtype)


def _value(name: str, value: Any, clean: Clean) -> Any:
    number = scalar(value)
    if type(number) is str:
        return clean(name, text_of(number))
    return clean(name, number if type(number) in PLAIN else fragment(json_of(value)))


def _metadata(value: Any, clean: Clean) -> Any:
    """A mapping, JSON text, nothing, or what belongs somewhere else."""
    if isinstance(value, dict):
        return clean("metadata", parsed(json_of({str(key): item for key, item in value.items()})))
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    return _value("metadata", value, clean)


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def lines_of(frame: pd.DataFrame, seq: int, reading: int, event: str | None) -> Iterator[bytes]:
    """A canonical frame as lines: "rows", number of the first, how many, clock reading, event, times, columns."""
    for start in range(0, len(frame), ROWS):
        part = frame.iloc[start : start + ROWS]
        times = part.index.asi8 if isinstance(part.index, pd.DatetimeIndex) else None
        columns = [[name, *_said(part[name].array)] for name in part.columns]
        yield line(["rows", seq + start, len(part), reading, event, times, columns])


def _said(values: Any) -> list[Any]:
    """Kind and cells of a column; floats with the places of those that JSON has no word for."""
    if isinstance(values, (pd.arrays.BooleanArray, pd.arrays.IntegerArray)):
        kind, dtype = ("bool", np.bool_) if isinstance(values, pd.arrays.BooleanArray) else ("int", np.int64)
        return [kind, values.to_numpy(dtype, na_value=0), np.flatnonzero(values.isna())]
    if isinstance(values, pd.Categorical):
        codes = np.asarray(values.codes, np.int32)
        used = np.unique(codes[codes >= 0])
        fewer = np.full(len(values.categories) + 1, -1, np.int32)
        fewer[used] = np.arange(len(used))
        return ["text", values.categories[used].tolist(), fewer[codes]]
    array = np.asarray(values)
    if array.dtype == object:
        return ["any", [{"": ["dict", json_of(one)]} if type(one) is dict else wrapped(one) for one in array]]
    if array.dtype == np.bool_:
        return ["bool", array, []]
    infinite = np.flatnonzero(np.isinf(array))
    return ["float", np.ascontiguousarray(array), [infinite, np.signbit(array[infinite])]]


def frame_of_cells(cells: list[Any]) -> tuple[int, int, str | None, pd.DataFrame]:
    """Number of the first row, clock reading, event and canonical frame of a line; ValueError when it is none."""
    _, seq, rows, reading, event, times, columns = cells
    index: Any = pd.RangeIndex(rows)
    if times is not None:
        index = pd.DatetimeIndex(np.array(times, np.int64).view("M8[ns]"), tz="UTC", name="time")
    data = {name: _read(kind, *parts) for name, kind, *parts in columns}
    if any(len(column) != rows for column in data.values()) or len(index) != rows:
        raise ValueError("columns of different lengths")
    return seq, reading, event, pd.DataFrame(data, index=index, columns=pd.Index(list(data), dtype="str"), copy=False)


def _read(kind: str, *parts: Any) -> Any:
    if kind == "float":
        values = np.array(parts[0], np.float64)  # null is NaN
        where, negative = parts[1]
        values[where] = np.where(negative, -np.inf, np.inf)
        return values
    if kind in ("int", "bool"):
        mask = np.zeros(len(parts[0]), np.bool_)
        mask[parts[1]] = True
        if kind == "int":
            return pd.arrays.IntegerArray(np.array(parts[0], np.int64), mask)
        return pd.arrays.BooleanArray(np.array(parts[0], np.bool_), mask)
    if kind == "text":
        dtype = pd.CategoricalDtype(pd.Index(parts[0], dtype=_STRING))
        return pd.Categorical.from_codes(np.array(parts[1], np.int32), dtype=dtype)
    if kind == "any":
        return _objects([_thing(cell) for cell in parts[0]])
    raise ValueError(f"unknown kind {kind!r}")


def _thing(cell: Any) -> Any:
    if type(cell) is dict and type(cell.get("")) is list and cell[""][0] == "dict":
        return parsed(cell[""][1])
    return unwrapped(cell)
