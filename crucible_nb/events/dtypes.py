"""Families of the dtypes of numpy, pandas and Arrow, regardless of width and unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

Family = Literal[
    "boolean", "integer", "float", "decimal", "duration", "time", "period", "text", "category", "sparse", "other"
]

_OF_NUMPY: dict[str, Family] = {
    "b": "boolean",
    "i": "integer",
    "u": "integer",
    "f": "float",
    "m": "duration",
    "M": "time",
}
_OF_PANDAS: dict[type, Family] = {
    pd.CategoricalDtype: "category",
    pd.StringDtype: "text",
    pd.PeriodDtype: "period",
    pd.SparseDtype: "sparse",
    pd.IntervalDtype: "other",
}
_OF_ARROW: list[tuple[Family, Callable[[pa.DataType], bool]]] = [
    ("boolean", pa.types.is_boolean),
    ("integer", pa.types.is_integer),
    ("float", pa.types.is_floating),
    ("text", lambda dtype: is_text(dtype)),  # noqa: PLW0108  defined below
    ("time", lambda dtype: bool(pa.types.is_timestamp(dtype) or pa.types.is_date(dtype))),
    ("duration", pa.types.is_duration),
    ("decimal", pa.types.is_decimal),
    ("category", pa.types.is_dictionary),
]


def family_of(dtype: Any) -> Family:
    """Return the family of a dtype.

    Examples:
        >>> family_of(pd.Int64Dtype()), family_of(pd.ArrowDtype(pa.uint8())), family_of(pd.ArrowDtype(pa.date32()))
        ('integer', 'integer', 'time')
    """
    if isinstance(dtype, pd.ArrowDtype):
        return next((family for family, belongs in _OF_ARROW if belongs(dtype.pyarrow_dtype)), "other")
    return _OF_PANDAS.get(type(dtype)) or _OF_NUMPY.get(dtype.kind, "other")


def is_text(dtype: pa.DataType) -> bool:
    """Return whether an Arrow type holds text."""
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype))


def arrow_array(column: Any) -> Any:
    """Return a Series as one Arrow array."""
    array: Any = pa.array(column, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def arrow_series(values: Any) -> pd.Series:
    """Return an Arrow array as a Series of its type."""
    make: Any = pd.arrays.ArrowExtensionArray
    return pd.Series(make(values))


def decoded(column: pd.Series) -> pd.Series:
    """Return a dictionary column of Arrow as a column of its values."""
    values = arrow_array(column)
    return arrow_series(values.cast(values.type.value_type))
