"""Encode tables as journal lines column by column, with what ingesting them needs and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.events.json_text import json_of, parse_json
from crucible_nb.events.staging import plain_cell
from crucible_nb.events.tables import DROPPED, check_weights
from crucible_nb.store.lines import decode_exact, encode_exact, encode_line
from crucible_nb.store.row_codec import BEYOND
from crucible_nb.utils.checks import text_of

ROWS = 16_384
"""Maximum rows per line: those that a bad line loses, and those that a reader holds at a time."""

_STRING = pd.StringDtype(na_value=np.nan)
Clean = Callable[[str, Any], Any]


class EncodedColumn(NamedTuple):
    """A column as cells of a line, and the column to ingest if it differs from the given one (None: it does not)."""

    cells: list[Any]
    replacement: Any = None


def encode_table(
    frame: pd.DataFrame, clean: Clean | None, seq: int, reading: int, event: str | None
) -> Iterator[tuple[bytes, pd.DataFrame]]:
    """Encode a table as lines of at most ROWS rows; yield each line with the rows to ingest.

    Ingesting the decoded line gives the same events as ingesting these rows, bit for bit.

    Args:
        frame: Table as returned by `frame_of`.
        clean: Callable (column, value) -> value that redacts text and unsupported values; None redacts nothing.
        seq: Sequence number of the first row.
        reading: Clock reading for rows without a time, in UTC nanoseconds.
        event: Event name for rows without one.

    Raises:
        StatError: The `weight` column holds values that are not weights.
    """
    if "weight" in frame.columns:
        check_weights(frame["weight"].to_numpy(np.float64))
    for start in range(0, len(frame), ROWS):
        part = frame.iloc[start : start + ROWS] if len(frame) > ROWS else frame
        times = part.index.asi8 if isinstance(part.index, pd.DatetimeIndex) else None
        columns = {name: _encode_column(name, part[name], clean) for name in part.columns}
        cells = [[name, *column.cells] for name, column in columns.items()]
        other = {name: column.replacement for name, column in columns.items() if column.replacement is not None}
        yield (
            encode_line(["rows", seq + start, len(part), reading, event, times, cells]),
            part.assign(**other) if other else part,
        )


def _encode_column(name: str, column: pd.Series, clean: Clean | None) -> EncodedColumn:
    if name in DROPPED:
        return EncodedColumn(["gone", len(column)])
    if name == "metadata":
        return _objects([_metadata(value, clean) for value in column])
    dtype: Any = column.dtype
    if isinstance(dtype, pd.StringDtype) or str(dtype) in ("string[pyarrow]", "large_string[pyarrow]"):
        return _text(name, *_text_codes(column), clean)
    if isinstance(dtype, pd.CategoricalDtype) and isinstance(dtype.categories.dtype, pd.StringDtype):
        return _text(name, *_category_codes(column), clean)
    return _numbers(column, dtype) or _objects([_value(name, value, clean) for value in column])


def _numbers(column: pd.Series, dtype: Any) -> EncodedColumn | None:
    """Encode a column of numbers or booleans; None if it is neither."""
    if str(dtype) in ("bool", "boolean", "bool[pyarrow]"):
        return EncodedColumn(["bool", column.to_numpy(np.bool_, na_value=False), _missing(column)])
    if pd.api.types.is_float_dtype(dtype):
        return _floats(column.to_numpy(np.float64, na_value=np.nan))
    if pd.api.types.is_integer_dtype(dtype) and not _exceeds_int64(column):
        return EncodedColumn(["int", column.to_numpy(np.int64, na_value=0), _missing(column)])
    return None


def _missing(column: pd.Series) -> Any:
    """Return the indices of missing values."""
    return np.flatnonzero(column.isna()) if isinstance(column.dtype, pd.api.extensions.ExtensionDtype) else ()


def _floats(values: np.ndarray) -> EncodedColumn:
    """Encode floats: NaN as null, infinities by their indices and signs."""
    infinite = np.flatnonzero(np.isinf(values))
    return EncodedColumn(["float", np.ascontiguousarray(values), [infinite, np.signbit(values[infinite])]])


def _exceeds_int64(column: pd.Series) -> bool:
    """Return whether any integer is too large for int64."""
    return bool(column.dtype == np.uint64 and len(column) and column.max() >= 2**63)


def _text_codes(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return text as codes (-1: missing) and labels in order of first appearance."""
    array: Any = pa.array(column, from_pandas=True)
    array = (array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array).dictionary_encode()
    return array.indices.fill_null(-1).to_numpy(zero_copy_only=False), array.dictionary.to_pylist()


def _category_codes(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return a category column as codes (-1: missing) and the labels that occur."""
    codes = column.cat.codes.to_numpy()
    used = np.unique(codes[codes >= 0])
    fewer = np.full(len(column.cat.categories) + 1, -1, np.int32)
    fewer[used] = np.arange(len(used))
    return fewer[codes], column.cat.categories[used].tolist()


def _text(name: str, codes: np.ndarray, labels: list[str], clean: Clean | None) -> EncodedColumn:
    """Encode text, redacting each label once; if any label changes, the redacted column is the one to ingest."""
    cleaned = labels if clean is None else [clean(name, label) for label in labels]
    if cleaned == labels:
        return EncodedColumn(["text", labels, codes])
    index: dict[str, int] = {}
    mapped = np.full(len(labels) + 1, -1, np.int32)
    for code, label in enumerate(cleaned):
        if label is not None:
            mapped[code] = index.setdefault(label, len(index))
    codes = mapped[codes]
    return EncodedColumn(["text", list(index), codes], _categorical(list(index), codes))


def _categorical(labels: list[str], codes: Any) -> pd.Categorical:
    dtype = pd.CategoricalDtype(pd.Index(labels, dtype=_STRING))
    return pd.Categorical.from_codes(np.asarray(codes, np.int32), dtype=dtype)


def _objects(values: list[Any]) -> EncodedColumn:
    """Encode values of any type one by one."""
    cells = [{"": ["dict", json_of(value)]} if type(value) is dict else encode_exact(value) for value in values]
    return EncodedColumn(["any", cells], _object_array(values))


def _value(name: str, value: Any, clean: Clean | None) -> Any:
    cell = plain_cell(name, value)
    cell = text_of(cell) if type(cell) is str else cell
    return cell if clean is None else clean(name, cell)


def _metadata(value: Any, clean: Clean | None) -> Any:
    """Return a value of the metadata column: a mapping, or any other plain value."""
    if isinstance(value, dict):
        plain = parse_json(json_of({str(key): item for key, item in value.items()}))
        return plain if clean is None else clean("metadata", plain)
    return _value("metadata", value, clean)


def _object_array(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def frame_of_cells(cells: list[Any]) -> tuple[int, int, str | None, pd.DataFrame]:
    """Return sequence number of the first row, clock reading, event name and frame of a line; ValueError if invalid."""
    _, seq, rows, reading, event, times, columns = cells
    if type(rows) is not int or not 0 <= rows <= ROWS:
        raise ValueError(f"a line of {rows!r} rows")
    if type(reading) is not int or not -BEYOND <= reading < BEYOND:
        raise ValueError(f"a clock reading of {reading!r}")
    index: Any = pd.RangeIndex(rows)
    if times is not None:
        index = pd.DatetimeIndex(np.array(times, np.int64).view("M8[ns]"), tz="UTC", name="time")
    data = {name: _decode_column(kind, *parts) for name, kind, *parts in columns}
    if any(len(column) != rows for column in data.values()) or len(index) != rows:
        raise ValueError("columns of different lengths")
    return seq, reading, event, pd.DataFrame(data, index=index, columns=pd.Index(list(data), dtype="str"), copy=False)


def _decode_column(kind: str, *parts: Any) -> Any:
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
        return _object_array([_decode_object(cell) for cell in parts[0]])
    raise ValueError(f"unknown kind {kind!r}")


def _decode_object(cell: Any) -> Any:
    if type(cell) is dict and type(cell.get("")) is list and cell[""][0] == "dict":
        return parse_json(cell[""][1])
    return decode_exact(cell)
