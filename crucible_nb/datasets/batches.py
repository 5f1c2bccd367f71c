"""Record batches as frames: columns without a loop over values, missing ones unknown, types alike in all files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.events.dtypes import arrow_series, is_text

Batch: TypeAlias = Any
"""Rows of a part of a dataset: a record batch of Arrow, or a DataFrame."""

_NULLABLE: dict[Any, Any] = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def frame_of(batch: Batch) -> pd.DataFrame:
    """Return a record batch as a frame; a frame is returned as it is.

    Integers and booleans with gaps are nullable, dictionaries are categories, types that pandas does not have stay
    those of Arrow.

    Examples:
        >>> frame_of(pa.record_batch({"n": [1, None], "model": ["a", "b"]})).dtypes.astype(str).to_dict()
        {'n': 'Int64', 'model': 'str'}
    """
    if isinstance(batch, pd.DataFrame):
        return batch
    columns = {name: _series(values) for name, values in zip(batch.schema.names, batch.columns, strict=True)}
    return pd.DataFrame(columns, index=pd.RangeIndex(batch.num_rows), copy=False)


def _series(values: Any) -> Any:
    kind = values.type
    if pa.types.is_floating(kind) and not values.null_count:
        return values.to_numpy(zero_copy_only=False)
    if kind in _NULLABLE:
        return values.to_pandas(types_mapper=_NULLABLE.get) if values.null_count else values.to_numpy(False)
    plain = pa.types.is_floating(kind) or pa.types.is_timestamp(kind) or pa.types.is_dictionary(kind) or is_text(kind)
    return values.to_pandas() if plain else arrow_series(values)


class Shape:
    """How the rows of every part are brought into one shape.

    Args:
        names: Name of the dataset for each column that has another one in the files.
        casts: Arrow type of each column whose parts have different types.

    Examples:
        >>> shape = Shape({"elapsed": "latency_ms"}, {})
        >>> next(shape.frames([pd.DataFrame({"elapsed": [2.0]})], ["latency_ms", "model"])).model.isna().tolist()
        [True]
    """

    def __init__(self, names: Mapping[str, str] | None = None, casts: Mapping[str, Any] | None = None) -> None:
        self.names, self.casts = dict(names or {}), dict(casts or {})

    def stored(self, name: str) -> str:
        """Return the name that a column has in the files."""
        return next((old for old, new in self.names.items() if new == name), name)

    def frames(self, batches: Iterable[Batch], columns: Iterable[str]) -> Iterator[pd.DataFrame]:
        """Yield the batches as frames with at least the columns `columns`; those that are missing are unknown."""
        wanted = list(columns)
        for batch in batches:
            frame = frame_of(batch)
            if self.names:
                frame = frame.rename(columns=self.names)
            for name, kind in self.casts.items():
                if name in frame.columns:
                    frame = frame.assign(**{name: _cast(frame[name], kind)})
            present = {*frame.columns, *frame.index.names}
            missing = {name: np.nan for name in wanted if name not in present}
            yield frame.assign(**missing) if missing else frame


def _cast(column: pd.Series, kind: Any) -> Any:
    """Return a column in the type that all parts have in common."""
    if pa.types.is_floating(kind):
        return column.to_numpy(np.float64, na_value=np.nan)
    if pa.types.is_boolean(kind):
        return column.astype("boolean")
    return column.astype("str") if is_text(kind) else column
