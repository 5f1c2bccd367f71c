"""Reader of columns of any library: the one definition of which values are numbers, text or missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.errors import SchemaError
from crucible_nb.events.batch import Column
from crucible_nb.events.dtypes import arrow_array, arrow_series, decoded, family_of
from crucible_nb.events.scalars import ATTOSECONDS, EXACT, PLAIN, plain, takes_durations, unit_of
from crucible_nb.utils.checks import short
from crucible_nb.utils.instants import NEVER

_INT64 = 2**63 - 1


class Text(NamedTuple):
    """A text column in its original form.

    Attributes:
        series: Of dtype str, of a text type of Arrow, or a categorical of text.
    """

    series: pd.Series


Read = Column | Text | list[Any]
"""A column of booleans, integers or floats; a text column; or Python values, unsupported ones as they are."""


def read_column(name: str, column: pd.Series) -> Read:
    """Read a column of any dtype, each value as `plain` converts it, without a loop where the dtype allows it.

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


def _read(name: str, column: pd.Series) -> Read:
    return _READ.get(family_of(column.dtype), _objects)(name, column)


def _holes(column: pd.Series) -> np.ndarray | None:
    if isinstance(column.dtype, np.dtype):
        return None
    gone = column.isna().to_numpy()
    return gone if gone.any() else None


def _booleans(_: str, column: pd.Series) -> Read:
    return Column("boolean", column.to_numpy(np.bool_, na_value=False), _holes(column))


def _integers(name: str, column: pd.Series) -> Read:
    if fits_int64(column):
        return Column("integer", column.to_numpy(np.int64, na_value=0), _holes(column))
    return _objects(name, column)


def fits_int64(column: pd.Series) -> bool:
    """Return whether all values of an integer column are in the range of int64."""
    dtype: Any = column.dtype
    if dtype.kind != "u" or dtype.itemsize < 8:
        return True
    largest = column.max()
    return bool(pd.isna(largest) or largest <= _INT64)


def _floats(name: str, column: pd.Series) -> Read:
    floats = column.to_numpy(np.float64, na_value=np.nan)
    long: Any = column.dtype
    if isinstance(long, np.dtype) and long.itemsize > 8 and (np.abs(floats) >= EXACT).any():
        return _objects(name, column)  # float64 may not tell its whole numbers apart
    return Column("float", floats)


def _durations(name: str, column: pd.Series) -> Read:
    """Convert durations of any unit, correctly rounded."""
    if isinstance(column.dtype, pd.ArrowDtype):
        counts = arrow_array(column).cast(pa.int64()).fill_null(NEVER).to_numpy(zero_copy_only=False)
        column = pd.Series(counts.view(f"m8[{column.dtype.pyarrow_dtype.unit}]"))
    counts = column.to_numpy().view(np.int64)
    unit, each = np.datetime_data(column.dtype)  # type: ignore[arg-type]
    length, target = ATTOSECONDS[unit] * each, unit_of(name)
    most = EXACT if length < target else EXACT // (length // target)
    if not takes_durations(name) or (np.abs(counts[counts != NEVER]) > most).any():
        return _objects(name, column)
    floats = counts / np.float64(target // length) if length < target else counts * np.float64(length // target)
    return Column("float", np.where(counts == NEVER, np.nan, floats))


def _objects(name: str, column: pd.Series) -> Read:
    truths = _truths(column)
    if truths is not None:
        return truths
    converted = _converted(column)
    if converted is not None:
        return _read(name, converted)
    values = arrow_array(column).to_pylist() if isinstance(column.dtype, pd.ArrowDtype) else column
    return [value if type(value) in PLAIN else plain(value, name) for value in values]


_SINGLE = [id(one) for one in (None, False, True, np.False_, np.True_)]


def _truths(column: pd.Series) -> Column | None:
    """Read Python's and numpy's booleans and None, each of which is a single object; None if there are other values."""
    if column.dtype != np.object_ or not len(column) or id(column.iloc[0]) not in _SINGLE:
        return None
    objects = np.frombuffer(column.to_numpy().tobytes(), np.intp)
    gone, *are = (objects == one for one in _SINGLE)
    true = are[1] | are[3]
    if gone.all() or not (gone | are[0] | are[2] | true).all():
        return None
    return Column("boolean", true, gone if gone.any() else None)


_ALIKE = ("boolean", "integer", "floating", "string")


def _converted(column: pd.Series) -> pd.Series | None:
    """Convert Python values of one type by Arrow, in one call; None where they are not."""
    if column.dtype != np.object_ or pd.api.types.infer_dtype(column, skipna=True) not in _ALIKE:
        return None
    try:
        return arrow_series(pa.array(column, from_pandas=True))
    except (pa.ArrowException, ValueError, OverflowError):  # integers beyond int64, text that is no UTF-8
        return None


def _labels(name: str, column: pd.Series) -> Read:
    """Read categories of pandas and dictionaries of Arrow by their labels."""
    if isinstance(column.dtype, pd.ArrowDtype):
        return _read(name, decoded(column))
    read, codes = _read(name, pd.Series(column.cat.categories)), column.cat.codes.to_numpy()
    if isinstance(read, Text):
        return Text(column)
    if isinstance(read, list):
        return [None if code < 0 else read[code] for code in codes.tolist()]
    if read.kind == "float":
        return Column("float", np.append(read.values, np.nan)[codes])
    mask = (codes < 0) | (False if read.mask is None else np.append(read.mask, True)[codes])
    return Column(read.kind, np.append(read.values, 0).astype(read.values.dtype)[codes], mask if mask.any() else None)


def _decimals(name: str, column: pd.Series) -> Read:
    """Convert decimals: scale 0 to integers, others to the nearest floats (Arrow rounds correctly only from text)."""
    values = arrow_array(column)
    try:
        if values.type.scale <= 0:
            return _integers(name, arrow_series(values.cast(pa.int64())))
        floats = values.cast(pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
        if not (np.abs(floats) >= EXACT).any():
            return Column("float", np.array(floats))
    except pa.ArrowException:
        pass
    return _objects(name, column)


_READ: dict[str, Callable[[str, pd.Series], Read]] = {
    "boolean": _booleans,
    "integer": _integers,
    "float": _floats,
    "decimal": _decimals,
    "duration": _durations,
    "text": lambda _, column: Text(column),
    "category": _labels,
    "sparse": lambda name, column: _read(name, pd.Series(np.asarray(column))),
}


# -- for analysis ------------------------------------------------------------------------------------------------------


def numbers_of(column: Any, name: str, argument: str | None = None) -> np.ndarray:
    """Convert a column to float64, NaN where missing.

    Args:
        column: A Series of any dtype.
        name: Its name: durations are milliseconds where it ends in `_ms`, else seconds.
        argument: What it is called in messages; default its name.

    Raises:
        SchemaError: It holds values that are no numbers, or several columns have this name.

    Examples:
        >>> numbers_of(pd.Series([True, None]), "x")
        array([ 1., nan])
        >>> numbers_of(pd.Series([1.5, "slow"], dtype=object), "latency_ms")
        Traceback (most recent call last):
        ...
        crucible_nb.errors.SchemaError: latency_ms: expected numbers, got object ('slow' in row 1)
    """
    argument, dtype = argument or name, one_column(column, name).dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return np.asarray(column.to_numpy(np.float64))
    if family_of(dtype) in ("integer", "float", "boolean"):
        return np.asarray(column.to_numpy(np.float64, na_value=np.nan))
    read = _read(name, column)
    if isinstance(read, Column):
        return read.floats()
    if isinstance(read, Text):
        if read.series.isna().all():
            return np.full(len(column), np.nan)
        row = int(np.flatnonzero(read.series.notna())[0])
        raise SchemaError(_refusal(argument, row, read.series.iloc[row], dtype))
    return np.array([_number(argument, row, value, dtype) for row, value in enumerate(read)], np.float64)


def one_column(column: Any, name: str) -> pd.Series:
    """Return a column of a frame; SchemaError when several have its name."""
    if isinstance(column, pd.Series):
        return column
    raise SchemaError(f"{name}: expected one column of this name, got {column.shape[1]}")


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
    where = f" ({short(value)} in row {row})" if str(dtype) == "object" else ""
    return f"{name}: expected numbers, got {dtype}{where}"


def outcomes_of(column: Any, name: str = "success") -> np.ndarray:
    """Convert a column of outcomes to float64: 1 true, 0 false, NaN missing.

    Raises:
        SchemaError: It holds something else.
    """
    array = numbers_of(column, name)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "b":
        return array
    wrong = ~((array == 0) | (array == 1) | np.isnan(array))
    if wrong.any():
        raise SchemaError(f"{name}: expected true, false or missing, got {array[wrong][0]:g}")
    return array


def factorize(column: Any, name: str) -> tuple[np.ndarray, Any]:
    """Return a column as codes (-1 where missing) into its distinct values, in order of first appearance.

    Raises:
        SchemaError: It holds values that cannot be told apart (lists, mappings), or several columns have this name.
    """
    try:
        codes, values = pd.factorize(one_column(column, name))
    except (TypeError, NotImplementedError) as error:
        raise SchemaError(f"{name}: expected text, numbers, booleans or times, got other values: {error}") from error
    return codes, values


def tokens_of(frame: pd.DataFrame) -> np.ndarray | None:
    """Read `total_tokens`; where it is missing, prompt and completion tokens together if both are known.

    Raises:
        SchemaError: One of them holds values that are no numbers.
    """
    total = _tokens(frame, "total")
    if total is not None and not np.isnan(total).any():
        return total
    prompt, completion = _tokens(frame, "prompt"), _tokens(frame, "completion")
    if prompt is None or completion is None:
        return total
    prompt = prompt + completion
    return prompt if total is None else np.where(np.isnan(total), prompt, total)


def _tokens(frame: pd.DataFrame, part: str) -> np.ndarray | None:
    name = f"{part}_tokens"
    if name not in frame.columns:
        return None
    column = one_column(frame[name], name)
    floats = isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb"
    if not floats and len(column) and column.isna().all():  # NaN alone need no shortcut
        return None
    return numbers_of(frame[name], name)


def group_codes(frame: pd.DataFrame, names: Sequence[str], *, sort: bool) -> tuple[pd.Index, np.ndarray]:
    """Group rows by columns; missing values are a group.

    Args:
        frame: The rows.
        names: Columns to group by.
        sort: Whether groups are sorted, else in order of first appearance.

    Returns:
        The groups, and the group of each row (int64).

    Raises:
        SchemaError: A column holds values that cannot be told apart: lists, mappings.
    """
    odd = {name: _group_key(frame[name]) for name in names if _has_no_index(one_column(frame[name], name).dtype)}
    try:
        if len(names) == 1 and not sort and not odd:  # the same, faster
            codes, values = pd.factorize(frame[names[0]], use_na_sentinel=False)
            return pd.Index(values, name=names[0]), codes
        keys = frame[list(names)]
        grouped = (keys.assign(**odd) if odd else keys).groupby(list(names), sort=sort, observed=True, dropna=False)
        return grouped.size().index, grouped.ngroup().to_numpy()
    except (TypeError, ValueError, NotImplementedError) as error:
        shown = ", ".join(names)
        raise SchemaError(f"by={shown}: expected text, numbers, booleans or times to group by: {error}") from error


def _has_no_index(dtype: Any) -> bool:
    """Return whether pandas has no index of a dtype, or one that cannot be taken apart."""
    if family_of(dtype) == "float" and dtype.itemsize not in (4, 8):
        return True
    return bool(isinstance(dtype, pd.ArrowDtype) and pa.types.is_dictionary(dtype.pyarrow_dtype))


def _group_key(column: pd.Series) -> Any:
    return column.astype(np.float64) if family_of(column.dtype) == "float" else decoded(column).array
