"""Convert columns between Arrow and pandas, exactly, or report the value that does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crucible_nb.events.columns import read_column
from crucible_nb.events.dtypes import arrow_series, is_text
from crucible_nb.events.json_text import json_of
from crucible_nb.events.schema import DTYPES
from crucible_nb.files.disk import too_large
from crucible_nb.files.layout import Column, CommaColumn, HexColumn, Layout, WholeColumn
from crucible_nb.files.text_bytes import holds_words_or_blanks

TEXT = pa.large_string()
TIME = pa.timestamp("ns", "UTC")
UNKNOWN = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null", "\\N",
)  # fmt: skip
"""Text that means "missing" in a column of numbers or booleans, as in pandas; in a text column each is just text."""

ARROW = {
    "category": pa.dictionary(pa.int32(), TEXT),
    "string": TEXT,
    "float": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "flag": pa.bool_(),
    "count": pa.int64(),
    "time": TIME,
}
_PANDAS: dict[str, Any] = {str(kind): dtype for kind, dtype in DTYPES.items()} | {"time": "datetime64[ns, UTC]"}
_CALLED = {
    "category": "text",
    "string": "text",
    "float": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "flag": "true or false",
    "count": "a whole number",
    "time": "a time",
}
_EXACT = 2.0**53


class MisfitError(ValueError):
    """A value does not fit the kind of its column."""


def fit(name: str, values: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Convert to the Arrow type of a kind; MisfitError names the first value that does not fit."""
    if values.null_count and kind in ("flag", "count"):
        raise MisfitError(f"column {name!r}: a value is missing, expected {_CALLED[kind]} in every row")
    if values.type == ARROW[kind]:
        return values

    def cast(part: pa.ChunkedArray) -> pa.ChunkedArray:
        return _CASTS[kind](part, name)

    try:
        result = cast(values)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeError) as error:
        raise MisfitError(f"column {name!r}: {_first_misfit(values, cast)!r} is not {_CALLED[kind]}") from error
    if result.null_count and kind in ("flag", "count"):
        raise MisfitError(f"column {name!r}: a value is missing, expected {_CALLED[kind]} in every row")
    return result


def _first_misfit(values: pa.ChunkedArray, cast: Callable[[pa.ChunkedArray], object]) -> Any:
    """Find the first value that cannot be converted, by bisection."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            cast(values.slice(low, middle - low))
            low = middle
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeError):
            high = middle
    return values[low].as_py()


def plain(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return a column without dictionary, extension or nesting: a nested value becomes JSON text.

    Decimals and durations are numbers as everywhere, see `events.columns`; ArrowInvalid for durations in a column that
    takes none.
    """
    dtype: Any = values.type
    if isinstance(dtype, pa.UuidType):
        return pa.chunked_array([[None if value is None else str(value) for value in values.to_pylist()]], TEXT)
    if isinstance(dtype, pa.BaseExtensionType):
        return plain(pa.chunked_array([chunk.storage for chunk in values.chunks], dtype.storage_type), name)
    if pa.types.is_dictionary(dtype):
        return plain(values.cast(dtype.value_type), name)
    if pa.types.is_nested(dtype):
        dumped = [None if value is None else as_json(value) for value in values.to_pylist()]
        return pa.chunked_array([pa.array(dumped, TEXT)])
    if pa.types.is_decimal(dtype) or pa.types.is_duration(dtype):
        return _numbers(values, name)
    return values.cast(pa.float64()) if pa.types.is_float16(dtype) else values


def _numbers(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    read = read_column(name, arrow_series(values))
    if not isinstance(read, list):
        return pa.chunked_array([pa.array(read.values, mask=~read.known())])  # type: ignore[union-attr]
    types = set(map(type, read))
    if pa.types.is_duration(values.type) and not types <= {float, type(None)}:
        raise pa.ArrowInvalid("the column takes no durations")
    if any(type(number) is int and not -(2**63) <= number < 2**63 for number in read):
        return pa.chunked_array([pa.array([None if number is None else str(number) for number in read], TEXT)])
    return pa.chunked_array([pa.array(read, pa.float64() if float in types else None)])


def as_json(value: Any) -> str:
    """Write a nested value as compact JSON; NaN and infinity are text."""
    try:
        text = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError as error:
        if "64-bit" not in str(error):
            raise
        return json.dumps(value, default=str, separators=(",", ":"))
    return json_of(value) if "null" in text else text  # orjson writes null for both None and NaN


def known(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strip text, with null for words that mean missing; other types are returned as they are."""
    if not is_text(values.type) or (values.type == TEXT and not holds_words_or_blanks(values)):
        return values
    trimmed = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.is_in(trimmed, pa.array(UNKNOWN, trimmed.type)), pa.scalar(None, trimmed.type), trimmed)


def _text(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Convert to text: whole numbers to their digits, NaN to missing."""
    flat = plain(values, name)
    if pa.types.is_floating(flat.type):
        known_whole = pc.and_(pc.equal(flat, pc.floor(flat)), pc.less(pc.abs(flat), _EXACT))
        whole = pc.if_else(known_whole, flat, pa.scalar(None, flat.type)).cast(pa.int64()).cast(TEXT)
        other = pc.if_else(pc.is_nan(flat), pa.scalar(None, flat.type), flat).cast(TEXT)
        return pc.coalesce(whole, other)
    return flat.cast(TEXT) if flat.type != TEXT else flat


def _category(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type) and is_text(values.type.value_type):
        return values.cast(ARROW["category"])
    return _text(values, name).dictionary_encode()


def numbers_in(texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return the texts as float64 if all are numbers, none of them NaN; else None."""
    try:
        numbers = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.is_nan(numbers)).as_py() else numbers


def _float(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    flat = plain(values, name)
    numbers = numbers_in(flat) if is_text(flat.type) else None
    if numbers is not None:
        return numbers
    return known(flat).cast(pa.float64(), safe=is_text(flat.type))


def _whole(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Convert to integers, also from "12.0" or 12.0 if float64 is exact at that size."""
    flat = known(plain(values, name))
    if is_text(flat.type):
        try:
            return flat.cast(pa.int64())
        except pa.ArrowInvalid:
            flat = flat.cast(pa.float64())
    if pa.types.is_floating(flat.type):
        flat = pc.if_else(pc.is_nan(flat), pa.scalar(None, flat.type), flat)
        if pc.any(pc.greater(pc.abs(flat), _EXACT)).as_py():
            raise pa.ArrowInvalid("beyond 2**53 a float is no exact whole number")
    return flat.cast(pa.int64())


def _boolean(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Convert to booleans, through text so that of the numbers only 0 and 1 are accepted."""
    return by_label(_text(values, name), _truths)


def _truths(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(known(texts), r"^([01])\.0*$", r"\1").cast(pa.bool_())


def by_label(texts: pa.ChunkedArray, convert: Callable[[Any], pa.ChunkedArray]) -> pa.ChunkedArray:
    """Convert texts one by one, equal ones once where the first ones are few."""
    if len(texts.slice(0, _FIRST).unique()) > _FEW:
        return convert(texts)
    encoded = texts.dictionary_encode()
    chunks = [chunk for chunk in encoded.chunks if len(chunk)]
    parts = [convert(pa.chunked_array([chunk.dictionary])).take(chunk.indices) for chunk in chunks]
    return pa.chunked_array([piece for part in parts for piece in part.chunks]) if parts else convert(texts)


_FIRST, _FEW = 100, 8


def _time(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    return plain(values, name).cast(TIME)


_CASTS: dict[str, Callable[[pa.ChunkedArray, str], pa.ChunkedArray]] = {
    "category": _category,
    "string": _text,
    "float": _float,
    "integer": _whole,
    "boolean": _boolean,
    "flag": _boolean,
    "count": _whole,
    "time": _time,
}


Fit = Callable[[str, pa.ChunkedArray, str], pa.ChunkedArray]
"""Conversion of a column, by name, to the Arrow type of a kind; `fit`, or one that tolerates misfits."""


def to_frame(
    tables: Sequence[pa.Table], layout: Layout, max_bytes: int, fits: Sequence[Fit] | None = None
) -> pd.DataFrame:
    """Concatenate tables to a frame of the layout's dtypes; ValueError above the limit.

    A column that a table lacks is missing in its rows (JSON lines leave out what they do not know). `fits` converts the
    columns of each table, by default with `fit`.
    """
    rows = sum(table.num_rows for table in tables)
    if 8 * rows * len(layout.columns) + sum(map(_spread, tables)) > max_bytes:
        raise ValueError(too_large(max_bytes))
    named = [dict(zip(table.column_names, table.columns, strict=True)) for table in tables]
    sizes = [table.num_rows for table in tables]
    parts = {column.name: _fitted(named, sizes, column, fits or [fit] * len(tables)) for column in layout.columns}
    index = pd.RangeIndex(rows) if layout.index is None else to_index(parts.pop(layout.index), layout.index)
    kinds = {column.name: column for column in layout.columns}
    data = {name: to_pandas(part, kinds[name]) for name, part in parts.items()}
    frame = pd.DataFrame(data, index=index, columns=pd.Index(list(data), dtype="str"), copy=False)
    frame.attrs.update(layout.attrs)
    return frame


def _fitted(
    tables: Sequence[dict[str, pa.ChunkedArray]], sizes: Sequence[int], column: Column, fits: Sequence[Fit]
) -> pa.ChunkedArray:
    """Concatenate a column; each part is converted first, because their Arrow types may differ."""
    chunks: list[pa.Array] = []
    for table, rows, fitted in zip(tables, sizes, fits, strict=True):
        values = table[column.name] if column.name in table else pa.chunked_array([pa.nulls(rows)])
        chunks += fitted(column.name, _prepared(values, column), column.kind).chunks
    return pa.chunked_array(chunks, ARROW[column.kind])


def _prepared(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    if isinstance(column, WholeColumn):
        return pc.replace_substring_regex(known(values), r"\.0*$", "")
    if isinstance(column, CommaColumn):
        return with_point(values)
    if isinstance(column, HexColumn) and not pa.types.is_null(values.type):
        return pa.chunked_array([[None if value is None else value.hex() for value in values.to_pylist()]], TEXT)
    return values


_COMMA = r"^\s*([-+]?[0-9]*),([0-9]+([eE][-+]?[0-9]+)?)\s*$"


def with_point(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace the decimal comma of numbers in text by a point."""
    return pc.replace_substring_regex(texts, _COMMA, r"\1.\2") if is_text(texts.type) else texts


def _spread(table: pa.Table) -> int:
    """Return the size of dictionary-encoded text after decoding, in bytes."""
    return sum(
        pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0
        for values in table.columns
        if pa.types.is_dictionary(values.type) and is_text(values.type.value_type)
        for chunk in values.chunks
    )


def to_index(values: pa.ChunkedArray, name: str) -> pd.DatetimeIndex:
    """Convert times to an index."""
    return pd.DatetimeIndex(to_pandas(values, Column(name, "time")), name=name)


def to_pandas(values: pa.ChunkedArray, column: Column) -> Any:
    """Convert to a writable pandas array of the column's kind."""
    if column.kind == "category":
        return _categorical(values, column)
    if column.kind in ("float", "flag", "count"):
        array = values.to_numpy()  # a view of Arrow's memory, which is not to be written into, or already a copy
        own = array.flags.writeable and array.dtype == _PANDAS[column.kind]
        return array if own else np.array(array, dtype=_PANDAS[column.kind])
    dtype: Any = pd.api.types.pandas_dtype(_PANDAS[column.kind])
    return dtype.__from_arrow__(values)


def _categorical(values: pa.ChunkedArray, column: Column) -> pd.Categorical:
    """Convert to the categories of the layout, or to the sorted labels of a foreign file."""
    if not values.num_chunks:  # combining none fails before pyarrow 25
        none = pd.CategoricalDtype(pd.Index(column.categories or [], dtype=column.dtype), column.ordered)
        return pd.Categorical.from_codes([], dtype=none)
    whole = values.unify_dictionaries().combine_chunks()
    found = whole.dictionary.to_pylist()
    labels = _used(whole, found) if column.categories is None else list(column.categories)
    if not {None, *labels}.issuperset(found):
        strange = set(_used(whole, found)).difference(labels)
        if strange:
            raise MisfitError(f"column {column.name!r}: {min(strange)!r} is not among its categories")
    places = {label: place for place, label in enumerate(labels)}
    narrow = np.int8 if len(labels) < 127 else np.int32  # as pandas keeps them
    codes = np.array([places.get(label, -1) for label in found] + [-1], narrow)
    indices = whole.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
    dtype = pd.CategoricalDtype(pd.Index(labels, dtype=column.dtype), ordered=column.ordered)
    return pd.Categorical.from_codes(codes[indices], dtype=dtype)


def _used(values: pa.DictionaryArray, labels: Sequence[Any]) -> list[Any]:
    """Return the labels that occur, sorted."""
    used = {labels[code] for code in pc.unique(values.indices).to_pylist() if code is not None}
    return sorted(used - {None})


def to_tables(frame: pd.DataFrame, layout: Layout, rows: int) -> Iterator[pa.Table]:
    """Convert a frame to Arrow tables of at most `rows` rows, at least one; MisfitError for a value of another kind."""
    for start in range(0, max(len(frame), 1), rows):
        yield to_table(frame.iloc[start : start + rows], layout)


def to_table(frame: pd.DataFrame, layout: Layout) -> pa.Table:
    """Convert a frame to an Arrow table of the layout's types; MisfitError for a value of another kind."""
    arrays = [from_pandas(frame.index if c.name == layout.index else frame[c.name], c) for c in layout.columns]
    return pa.Table.from_arrays(arrays, names=layout.names)


def from_pandas(values: Any, column: Column) -> pa.Array:
    """Convert a Series or index to the Arrow array of the column's kind."""
    if column.kind == "time":
        values = pd.DatetimeIndex(values)
        values = values.tz_localize("UTC") if values.tz is None else values
    try:
        array = pa.array(values, from_pandas=True)
        if column.kind == "string" and not (is_text(array.type) or pa.types.is_null(array.type)):
            raise TypeError(f"they are {array.type}")  # a cast would turn numbers into text
        return array.cast(ARROW[column.kind])
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise MisfitError(f"column {column.name!r}: not all values are {_CALLED[column.kind]} ({error})") from error


def converted(values: pd.Series, name: str, kind: str) -> Any:
    """Convert a Series to the pandas array of a kind; MisfitError names the first value that does not fit."""
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise MisfitError(f"column {name!r}: not all values are {_CALLED[kind]} ({error})") from error
    chunks = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return to_pandas(fit(name, chunks, kind), Column(name, kind))
