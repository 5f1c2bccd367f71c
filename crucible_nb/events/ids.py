"""Reader of identifiers: the same item gets the same text, whatever its dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from crucible_nb.events.batch import Column
from crucible_nb.events.columns import Text, factorize, one_column, read_column
from crucible_nb.events.scalars import EXACT
from crucible_nb.utils.checks import text_of

_MOST_DIGITS = 4000  # Python writes no more than 4300 decimal digits


def identifier(value: Any) -> str | None:
    """Return a plain value as an identifier: text as it is, a whole number as its digits; None for others.

    A float is a whole number below 2**53; from there on it may be any of several.

    Examples:
        >>> identifier(17), identifier(17.0), identifier("17"), identifier(17.5), identifier(True)
        ('17', '17', '17', None, None)
    """
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value.bit_length() > 3 * _MOST_DIGITS:
        return None
    return str(value)


def identifiers(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Return integers or floats as identifiers (None where missing or none), and which values are none."""
    known = column.known()
    bad = np.zeros(len(known), np.bool_)
    if column.kind == "float":
        whole = np.where(known, column.values, 0.0)
        bad = (np.abs(whole) >= EXACT) | (whole != np.floor(whole))
        numbers = np.where(bad, 0.0, whole).astype(np.int64)
    else:
        numbers = column.values
    texts: np.ndarray = numbers.astype("U20").astype(object)
    texts[~known | bad] = None
    return texts, bad


def id_codes(column: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Number the items of a column in order of first appearance.

    Args:
        column: A Series of any dtype.
        name: Its name, for messages.

    Returns:
        Codes (int64, -1 where missing) and the item of each code: text for text and whole numbers, else the value.

    Raises:
        SchemaError: It holds values that cannot be told apart, or several columns have this name.

    Examples:
        >>> id_codes(pd.Series([7.0, None, 8.0]), "sample_id")
        (array([ 0, -1,  1]), array(['7', '8'], dtype=object))
    """
    column = one_column(column, name)
    if _is_settled(column.dtype):
        codes, values = factorize(column, name)
        items = np.array(values, object)
        if column.dtype.kind in "iuf":
            items[:] = [identifier(value) or value for value in items.tolist()]
        return codes.astype(np.int64), items
    read = read_column(name, column)
    if isinstance(read, Text):
        codes, values = factorize(read.series.astype("str"), name)
        return codes.astype(np.int64), np.array(values, object)
    values = read.values.tolist() if isinstance(read, Column) else read
    known = read.known() if isinstance(read, Column) else [value is not None for value in values]
    whole = [None if not there else identifier(value) or value for value, there in zip(values, known, strict=True)]
    codes, values = factorize(pd.Series(whole, dtype=object), name)
    return codes.astype(np.int64), np.array(values, object)


def dense_numbers(column: pd.Series) -> np.ndarray | None:
    """Return whole numbers from 0 below n, which may serve as codes, int64[n]; None for other columns.

    Examples:
        >>> dense_numbers(pd.Series([2, 0, 2])), dense_numbers(pd.Series([10**9, 1])), dense_numbers(pd.Series(["a"]))
        (array([2, 0, 2]), None, None)
    """
    if column.dtype != np.int64 or not len(column):
        return None
    numbers = column.to_numpy()
    return numbers if numbers.min() >= 0 and numbers.max() < len(numbers) else None


def _is_settled(dtype: Any) -> bool:
    """Return whether two values of the dtype are the same item exactly if they are equal."""
    return isinstance(dtype, pd.StringDtype) or (isinstance(dtype, np.dtype) and dtype.kind in "iufbmM")


def joint_codes(columns: Sequence[pd.Series], name: str) -> list[np.ndarray]:
    """Number the items of several columns together; the same item has the same code in all of them.

    Examples:
        >>> joint_codes([pd.Series(["7", "8"]), pd.Series([8, 9])], "sample_id")
        [array([0, 1]), array([1, 2])]
    """
    columns = [one_column(column, name) for column in columns]
    if len({column.dtype for column in columns}) == 1 and _is_settled(columns[0].dtype):
        codes = [factorize(pd.concat(columns, ignore_index=True), name)[0].astype(np.int64)]
        return np.split(codes[0], np.cumsum([len(column) for column in columns])[:-1])
    read = [id_codes(column, name) for column in columns]
    together, _ = pd.factorize(np.concatenate([items for _, items in read]))
    tables = np.split(together, np.cumsum([len(items) for _, items in read])[:-1])
    return [np.append(table, -1)[codes] for table, (codes, _) in zip(tables, read, strict=True)]
