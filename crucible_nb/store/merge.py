"""Merge rows of several writers, or of memory and segments, into one frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from crucible_nb.pipeline.buffer import HIDDEN

WRITER = "writer"
"""Column with the writer id of each row, if there are several writers; `seq` counts the events of one writer."""


def merge_writers(parts: Sequence[tuple[int, pd.DataFrame]]) -> pd.DataFrame:
    """Merge frames in order of time, then of writer id, then of `seq`.

    Args:
        parts: Writer id and rows.

    Examples:
        >>> times = pd.DatetimeIndex([2, 3], tz="UTC", name="time")
        >>> one, two = (pd.DataFrame({"seq": [0, 1], "x": [x, x]}, index=times) for x in (1.0, 2.0))
        >>> merge_writers([(0, one), (1, two)])["writer"].tolist()
        [0, 1, 0, 1]
    """
    parts = [(writer_id, frame) for writer_id, frame in parts if len(frame)] or list(parts[:1])
    if len(parts) == 1:
        return parts[0][1]
    names = dict.fromkeys(name for _, frame in parts for name in frame.columns if name not in HIDDEN)
    frames = [frame for _, frame in parts]
    columns = {name: _concat([frame.get(name) for frame in frames], [len(frame) for frame in frames]) for name in names}
    writer = np.repeat([writer_id for writer_id, _ in parts], [len(frame) for frame in frames])
    index = frames[0].index.append([frame.index for frame in frames[1:]])
    seq = np.concatenate([frame["seq"].to_numpy() for frame in frames])
    whole = pd.DataFrame(columns, index=index, columns=pd.Index(list(columns), dtype="str"), copy=False)
    if len(set(writer.tolist())) > 1:
        whole[WRITER] = writer
    order = np.lexsort((seq, writer, index.asi8))  # type: ignore[attr-defined]
    return whole.iloc[order].rename_axis(index="time")


def _concat(columns: Sequence[pd.Series | None], lengths: Sequence[int]) -> Any:
    """Concatenate a column; it gets a dtype that holds the values of all parts, and missing values where it is None."""
    columns = _decided(columns)
    known = [column for column in columns if column is not None]
    if isinstance(known[0].dtype, pd.CategoricalDtype):
        dtype = known[0].dtype
        filled = [
            pd.Categorical.from_codes(np.full(length, -1), dtype=dtype) if column is None else column
            for column, length in zip(columns, lengths, strict=True)
        ]
        return union_categoricals(filled)  # type: ignore[arg-type]
    target: Any = known[0].dtype
    if any(column.dtype != target for column in known):
        kinds = {str(column.dtype) for column in known}
        target = next((widest for widest, held in _NUMBERS.items() if kinds <= held), object)
    filled = [
        pd.Series(
            [pd.NA if str(target) in ("Int64", "boolean") else np.nan] * length, dtype=_dtype_with_missing(target)
        )
        if column is None
        else column
        for column, length in zip(columns, lengths, strict=True)
    ]
    if any(column is None for column in columns) and str(target) == "bool":
        filled = [part.fillna(False).astype("bool") if part.dtype == object else part for part in filled]
    return pd.concat([part.astype(target) for part in filled], ignore_index=True).array


_NUMBERS = {"Int64": {"boolean", "Int64"}, "float64": {"boolean", "Int64", "float64"}}


def _decided(columns: Sequence[pd.Series | None]) -> Sequence[pd.Series | None]:
    """Leave out parts of NaN alone, which are of any kind, if another part has values."""
    decided = [None if column is not None and _is_nan(column) else column for column in columns]
    return columns if all(column is None for column in decided) else decided


def _is_nan(column: pd.Series) -> bool:
    return bool(column.dtype == np.float64 and column.isna().all())


def _dtype_with_missing(target: Any) -> Any:
    return object if str(target) in ("bool", "int64") else target
