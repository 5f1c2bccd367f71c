"""Groups of rows: the values of a column, in one order for all arms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crucible_nb.errors import StatError
from crucible_nb.events.columns import one_column
from crucible_nb.events.ids import id_codes, joint_codes
from crucible_nb.utils import checks

MOST = 200
"""Largest number of groups; more are a column of ids, or of numbers that are no levels."""


class Group(NamedTuple):
    """The rows of one value of a column.

    Attributes:
        label: The value as text.
        value: The value; a number if the column holds numbers.
        rows: For each frame whether a row belongs to the group, bool[rows].
    """

    label: str
    value: Any
    rows: tuple[np.ndarray, ...]


def groups_of(frames: Sequence[pd.DataFrame], by: str) -> tuple[list[Group], int]:
    """Split frames by the values of a column: numbers ascending, categories in their order, other values by name.

    Args:
        frames: DataFrames with the column; the same value in two of them is the same group.
        by: Name of the column.

    Returns:
        The groups, and the number of rows without a value.

    Raises:
        SchemaError: No such column.
        StatError: No value, or more than 200.

    Examples:
        >>> groups, missing = groups_of([pd.DataFrame({"device": ["b", "a", None, "b"]})], "device")
        >>> [(group.label, int(group.rows[0].sum())) for group in groups], missing
        ([('a', 1), ('b', 2)], 1)
    """
    checks.text("by", by)
    for frame in frames:
        checks.columns("by", by, frame.columns)
    columns = [one_column(frame[by], by) for frame in frames]
    codes = joint_codes(columns, by)
    found = np.unique(np.concatenate(codes))
    found = found[found >= 0]
    if not len(found):
        raise StatError(f"by={by!r}: no row has a value")
    if len(found) > MOST:
        raise StatError(f"by={by!r}: {len(found):,} values are more than {MOST} groups; name a column of few values")
    named = dict[int, tuple[str, Any]]()
    for column, code in zip(columns, codes, strict=True):
        own, items = id_codes(column, by)
        for at in np.unique(own[own >= 0], return_index=True)[1]:
            first = np.flatnonzero(own >= 0)[at]
            named.setdefault(int(code[first]), (str(items[own[first]]), _plain(column.iloc[first])))
    groups = [Group(*named[int(code)], tuple(each == code for each in codes)) for code in found]
    return sorted(groups, key=_order(columns[0])), int(sum((code < 0).sum() for code in codes))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _order(column: pd.Series) -> Any:
    if isinstance(column.dtype, pd.CategoricalDtype):
        place = {str(category): i for i, category in enumerate(column.cat.categories)}
        return lambda group: (place.get(group.label, len(place)), group.label)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return lambda group: (not isinstance(group.value, (int, float)), group.value)
    return lambda group: group.label
