"""The one reader of columns: what the values of any library mean, typed where the dtype settles it for all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.errors import SchemaError
from crucible_nb.events.batch import Column
from crucible_nb.events.scalars import ATTOSECONDS, EXACT, PLAIN, plain, takes_durations, unit_of
from crucible_nb.utils.checks import short
from crucible_nb.utils.instants import NEVER

_types = pd.api.types
_INT64 = 2**63 - 1


class Text(NamedTuple):
    """A column of text, still in the form it came in.

    Attributes:
        series: Of dtype str, of a text type of Arrow, or a categorical of text.
    """

    series: pd.Series


Read = Column | Text | list[Any]
"""Booleans, integers or floats; text; or plain Python values, None where missing, others than PLAIN as they are."""


def read_column(name: str, column: pd.Series) -> Read:
    """Read a column of any dtype; each value means what `plain` makes of it.

    Args:
        name: Column that it is for: durations are milliseconds where it ends in `_ms`, else seconds.
        column: A Series of any dtype.

    Examples:
        >>> read_column("x", pd.Series([1, None], dtype="Int64")).values
        array([1, 0])
        >>> read_column("wait_ms", pd.Series(pd.to_timedelta(["2s", None]))).values
        array([2000.,   nan])
    """
    read = _read(name, column)
    extension = isinstance(column.dtype, pd.api.extensions.ExtensionDtype) or column.dtype.kind == "m"
    if extension and isinstance(read, Column) and not read.known().any():
        return [None] * len(column)  # of NA alone no kind can be told; NaN is a float
    return read


def _read(name: str, column: pd.Series) -> Read:  # noqa: PLR0911  one line per family of dtypes
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype):
        read = _READ.get(dtype.kind, _objects)
        return read(name, column)
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(name, column)
    if isinstance(dtype, pd.StringDtype):
        return Text(column)
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow(name, column, dtype.pyarrow_dtype)
    if isinstance(dtype, pd.SparseDtype):
        return _read(name, column.sparse.to_dense())
    if _types.is_bool_dtype(dtype):
        return _booleans(name, column)
    if _types.is_integer_dtype(dtype):
        return _integers(name, column)
    return _floats(name, column) if _types.is_float_dtype(dtype) else _objects(name, column)


def _holes(column: pd.Series) -> np.ndarray | None:
    if isinstance(column.dtype, np.dtype):
        return None
    gone = column.isna().to_numpy()
    return gone if gone.any() else None


def _booleans(_: str, column: pd.Series) -> Read:
    return Column("boolean", column.to_numpy(np.bool_, na_value=False), _holes(column))


def _integers(name: str, column: pd.Series) -> Read:
    if str(column.dtype).lower().startswith("uint64") and len(column) and column.max() > _INT64:
        return _objects(name, column)
    return Column("integer", column.to_numpy(np.int64, na_value=0), _holes(column))


def _floats(name: str, column: pd.Series) -> Read:
    floats = column.to_numpy(np.float64, na_value=np.nan)
    if isinstance(column.dtype, np.dtype) and column.dtype.itemsize > floats.itemsize and (np.abs(floats) > EXACT).any():
        return _objects(name, column)  # longdouble beyond what float64 tells apart
    return Column("float", floats)


def _durations(name: str, column: pd.Series) -> Read:
    """Durations of any unit, correctly rounded."""
    counts = column.to_numpy().view(np.int64)
    unit, each = np.datetime_data(column.dtype)
    if not takes_durations(name) or (np.abs(counts[counts != NEVER]) > EXACT).any():
        return _objects(name, column)
    length, target = ATTOSECONDS[unit] * each, unit_of(name)
    if length >= target:
        if (np.abs(counts[counts != NEVER]) > EXACT // (length // target)).any():
            return _objects(name, column)
        floats = counts * np.float64(length // target)
    else:
        floats = counts / np.float64(target // length)
    return Column("float", np.where(counts == NEVER, np.nan, floats))


def _objects(name: str, column: pd.Series) -> Read:
    return [value if type(value) in PLAIN else plain(value, name) for value in column]


_READ: dict[str, Callable[[str, pd.Series], Read]] = {
    "b": _booleans,
    "i": _integers,
    "u": _integers,
    "f": _floats,
    "m": _durations,
}


def _categorical(name: str, column: pd.Series) -> Read:
    labels, codes = pd.Series(column.cat.categories), column.cat.codes.to_numpy()
    read = _read(name, labels)
    if isinstance(read, Text):
        return Text(column)
    missing = codes < 0
    if isinstance(read, list):
        return [None if code < 0 else read[code] for code in codes.tolist()]
    if read.kind == "float":
        return Column("float", np.append(read.values, np.nan)[codes])
    mask = missing if read.mask is None else missing | np.append(read.mask, True)[codes]
    return Column(read.kind, np.append(read.values, 0).astype(read.values.dtype)[codes], mask if mask.any() else None)


def _arrow(name: str, column: pd.Series, dtype: Any) -> Read:  # noqa: PLR0911  one line per family of types
    if is_text(dtype):
        return Text(column)
    if pa.types.is_boolean(dtype):
        return _booleans(name, column)
    if pa.types.is_integer(dtype):
        return _integers(name, column)
    if pa.types.is_floating(dtype):
        return _floats(name, column)
    values: Any = pa.array(column, from_pandas=True)
    if pa.types.is_dictionary(dtype):
        plain_type = pd.ArrowDtype(dtype.value_type)
        return _read(name, pd.Series(pd.array(values.cast(dtype.value_type), dtype=plain_type)))
    if pa.types.is_duration(dtype):
        counts = values.cast(pa.int64()).fill_null(NEVER).to_numpy()
        return _durations(name, pd.Series(counts.view(f"m8[{dtype.unit}]")))
    if pa.types.is_decimal(dtype):
        return _decimals(name, values, dtype)
    return [value if type(value) in PLAIN else plain(value, name) for value in values.to_pylist()]


def is_text(dtype: pa.DataType) -> bool:
    """Whether an Arrow type holds text."""
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype))


def _decimals(name: str, values: Any, dtype: Any) -> Read:
    """Decimals without decimal places are integers, others the nearest floats, which Arrow rounds from text alone."""
    try:
        if dtype.scale <= 0:
            whole = pd.Series(pd.array(values.cast(pa.int64()), dtype=pd.ArrowDtype(pa.int64())))
            return _integers(name, whole)
        floats = values.cast(pa.string()).cast(pa.float64()).to_numpy()
        if not (np.abs(floats) > EXACT).any():
            return Column("float", np.array(floats))
    except pa.ArrowException:
        pass
    return [plain(value, name) for value in values.to_pylist()]


# -- for analysis ------------------------------------------------------------------------------------------------------


def numbers_of(column: Any, name: str) -> np.ndarray:
    """Read a column as float64, NaN where missing.

    Args:
        column: A Series of any dtype.
        name: Its name, for messages and for the unit of durations.

    Raises:
        SchemaError: It holds values that are no numbers, or several columns have this name.

    Examples:
        >>> numbers_of(pd.Series([True, None]), "x")
        array([ 1., nan])
        >>> numbers_of(pd.Series([1.5, "slow"], dtype=object), "latency_ms")
        Traceback (most recent call last):
        ...
        crucible_nb.errors.SchemaError: latency_ms: expected numbers, got 'slow' in row 1 (dtype object)
    """
    if not isinstance(column, pd.Series):
        raise SchemaError(f"{name}: expected one column of this name, got {column.shape[1]}")
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        return column.to_numpy(np.float64)
    read = read_column(name, column)
    if isinstance(read, Column):
        return read.floats()
    if isinstance(read, Text):
        if read.series.isna().all():
            return np.full(len(column), np.nan)
        row = int(np.flatnonzero(read.series.notna())[0])
        raise SchemaError(_refusal(name, row, read.series.iloc[row], dtype))
    return np.array([_number(name, row, value, dtype) for row, value in enumerate(read)], np.float64)


def _number(name: str, row: int, value: Any, dtype: Any) -> float:
    if value is None:
        return np.nan
    if type(value) not in (bool, int, float):
        raise SchemaError(_refusal(name, row, value, dtype))
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _refusal(name: str, row: int, value: Any, dtype: Any) -> str:
    return f"{name}: expected numbers, got {short(value)} in row {row} (dtype {dtype})"


def outcomes_of(column: Any, name: str = "success") -> np.ndarray:
    """Read a column of outcomes as float64: 1 true, 0 false, NaN missing.

    Raises:
        SchemaError: It holds something else.
    """
    array = numbers_of(column, name)
    wrong = ~((array == 0) | (array == 1) | np.isnan(array))
    if wrong.any():
        raise SchemaError(f"{name}: expected true, false or missing, got {array[wrong][0]:g}")
    return array
