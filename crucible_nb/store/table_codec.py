"""Tables in the journal: column by column, what their types mean to the ingest, and nothing else of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.events.scalars import PLAIN, json_of, scalar
from crucible_nb.events.tables import DROPPED, times_of, weights_of
from crucible_nb.store.lines import decode_exact, encode_exact, encode_line, fragment, parsed
from crucible_nb.utils.checks import text_of

ROWS = 16_384
"""Rows of a line: what one bad line may cost, and what a reader holds at a time."""

_STRING = pd.StringDtype(na_value=np.nan)
Clean = Callable[[str, Any], Any]


class Said(NamedTuple):
    """A column as a line says it, and the column to take in where that differs from the one that came."""

    cells: list[Any]
    instead: Any = None


def said(
    frame: pd.DataFrame, clean: Clean | None, seq: int, reading: int, event: str | None
) -> Iterator[tuple[bytes, pd.DataFrame]]:
    """A table as lines of at most ROWS rows, each with the rows that it stands for.

    What a line gives back means to the ingest what these rows do, to the bit.

    Args:
        frame: As `frame_of` gives it.
        clean: (column, value) -> value, for text and strange values: redaction. None leaves all as it is.
        seq: Number of the first row.
        reading: Of the clock, for rows without a time.
        event: Name for rows without one.

    Raises:
        StatError: Its weights are none.
    """
    if "weight" in frame.columns:
        weights_of(frame["weight"])
    for start in range(0, len(frame), ROWS):
        part = frame.iloc[start : start + ROWS] if len(frame) > ROWS else frame
        timed = times_of(part)
        times = None if timed is None else np.where(timed[1], timed[0], _NEVER)
        columns = {name: _column(name, part[name], clean) for name in part.columns if name != "time"}
        cells = [[name, *column.cells] for name, column in columns.items()]
        other = {name: column.instead for name, column in columns.items() if column.instead is not None}
        yield (
            encode_line(["rows", seq + start, len(part), reading, event, times, cells]),
            part.assign(**other) if other else part,
        )


_NEVER = np.iinfo(np.int64).min


def _column(name: str, column: pd.Series, clean: Clean | None) -> Said:
    if name in DROPPED:
        return Said(["gone", len(column)])
    if name == "metadata":
        return _things([_metadata(value, clean) for value in column])
    dtype: Any = column.dtype
    if isinstance(dtype, pd.StringDtype) or str(dtype) in ("string[pyarrow]", "large_string[pyarrow]"):
        return _text(name, *_encoded(column), clean)
    if isinstance(dtype, pd.CategoricalDtype) and isinstance(dtype.categories.dtype, pd.StringDtype):
        return _text(name, *_used(column), clean)
    return _numbers(column, dtype) or _things([_value(name, value, clean) for value in column])


def _numbers(column: pd.Series, dtype: Any) -> Said | None:
    """Numbers and booleans, None for what is neither."""
    if str(dtype) in ("bool", "boolean", "bool[pyarrow]"):
        return Said(["bool", column.to_numpy(np.bool_, na_value=False), _holes(column)])
    if pd.api.types.is_float_dtype(dtype):
        return _floats(column.to_numpy(np.float64, na_value=np.nan))
    if pd.api.types.is_integer_dtype(dtype) and not _beyond(column):
        return Said(["int", column.to_numpy(np.int64, na_value=0), _holes(column)])
    return None


def _holes(column: pd.Series) -> Any:
    """Places of missing values."""
    return np.flatnonzero(column.isna()) if isinstance(column.dtype, pd.api.extensions.ExtensionDtype) else ()


def _floats(values: np.ndarray) -> Said:
    """NaN is null; infinities are said by their places."""
    infinite = np.flatnonzero(np.isinf(values))
    return Said(["float", np.ascontiguousarray(values), [infinite, np.signbit(values[infinite])]])


def _beyond(column: pd.Series) -> bool:
    """Whether whole numbers are too large for 64 bits with a sign."""
    return bool(column.dtype == np.uint64 and len(column) and column.max() >= 2**63)


def _encoded(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Text as codes into labels, in order of first appearance; -1 is missing."""
    array: Any = pa.array(column, from_pandas=True)
    array = (array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array).dictionary_encode()
    return array.indices.fill_null(-1).to_numpy(zero_copy_only=False), array.dictionary.to_pylist()


def _used(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """The same of categories: those that occur."""
    codes = column.cat.codes.to_numpy()
    used = np.unique(codes[codes >= 0])
    fewer = np.full(len(column.cat.categories) + 1, -1, np.int32)
    fewer[used] = np.arange(len(used))
    return fewer[codes], column.cat.categories[used].tolist()


def _text(name: str, codes: np.ndarray, labels: list[str], clean: Clean | None) -> Said:
    """Each label is looked at once; where some are changed, the cleaned column is what is taken in."""
    cleaned = labels if clean is None else [clean(name, label) for label in labels]
    if cleaned == labels:
        return Said(["text", labels, codes])
    places: dict[str, int] = {}
    mapped = np.full(len(labels) + 1, -1, np.int32)
    for code, label in enumerate(cleaned):
        if label is not None:
            mapped[code] = places.setdefault(label, len(places))
    codes = mapped[codes]
    return Said(["text", list(places), codes], _categorical(list(places), codes))


def _categorical(labels: list[str], codes: Any) -> pd.Categorical:
    dtype = pd.CategoricalDtype(pd.Index(labels, dtype=_STRING))
    return pd.Categorical.from_codes(np.asarray(codes, np.int32), dtype=dtype)


def _things(values: list[Any]) -> Said:
    """Values of any kind, one by one."""
    cells = [{"": ["dict", json_of(one)]} if type(one) is dict else encode_exact(one) for one in values]
    return Said(["any", cells], _objects(values))


def _value(name: str, value: Any, clean: Clean | None) -> Any:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    number = scalar(value)
    if type(number) is str:
        number = text_of(number)
    elif type(number) not in PLAIN:
        number = fragment(json_of(value))
    return number if clean is None else clean(name, number)


def _metadata(value: Any, clean: Clean | None) -> Any:
    """A mapping, JSON text, nothing, or what belongs somewhere else."""
    if isinstance(value, dict):
        plain = parsed(json_of({str(key): item for key, item in value.items()}))
        return plain if clean is None else clean("metadata", plain)
    return _value("metadata", value, clean)


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def frame_of_cells(cells: list[Any]) -> tuple[int, int, str | None, pd.DataFrame]:
    """Number of the first row, clock reading, event and canonical frame of a line; ValueError when it is none."""
    _, seq, rows, reading, event, times, columns = cells
    if type(rows) is not int or not 0 <= rows <= ROWS:
        raise ValueError(f"a line of {rows!r} rows")
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
        return _categorical(*parts)
    if kind == "gone":
        return np.zeros(min(int(parts[0]), ROWS + 1), np.bool_)
    if kind == "any":
        return _objects([_thing(cell) for cell in parts[0]])
    raise ValueError(f"unknown kind {kind!r}")


def _thing(cell: Any) -> Any:
    if type(cell) is dict and type(cell.get("")) is list and cell[""][0] == "dict":
        return parsed(cell[""][1])
    return decode_exact(cell)
