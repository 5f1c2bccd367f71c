"""Text and JSON of rows as PostgreSQL can hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.pipeline.buffer import HIDDEN
from crucible_nb.store.postgres.tables import TYPED


def is_text(cells: Column) -> bool:
    """Whether a column holds text."""
    return cells.kind in ("category", "string")


def plain_text(cells: Column, name: str, dictionaries: Mapping[str, Categories]) -> pa.Array:
    """Text as PostgreSQL can hold it: no character 0, also not escaped in JSON."""
    if cells.kind == "category":
        used, codes = np.unique(np.asarray(cells.values, np.int64), return_inverse=True)
        labels = dictionaries[name].values
        some = pa.array(
            [None if code < 0 else labels[code].replace("\0", "\ufffd") for code in used], pa.large_string()
        )
        return some.take(pa.array(codes))
    array = _mapped(cells.values, lambda text: text.replace("\0", "\ufffd"), b"\0")
    return _mapped(array, no_zero, b"\\u0000") if name == "metadata" else array


def _mapped(array: pa.Array, change: Callable[[str], str], where: bytes) -> pa.Array:
    """Texts changed, when any of them has these bytes in it."""
    if not _has(array, where):
        return array
    return pa.array([None if text is None else change(text) for text in array.to_pylist()], pa.large_string())


def _has(array: pa.Array, what: bytes) -> bool:
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return False
    ends = np.frombuffer(offsets, np.int64, len(array) + 1, array.offset * 8)
    return what in memoryview(data)[int(ends[0]) : int(ends[-1])].tobytes()


def no_zero(text: str) -> str:
    """JSON without the character 0."""
    return orjson.dumps(_without(orjson.loads(text))).decode()


def _without(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_without(key): _without(item) for key, item in value.items()}
    return [_without(item) for item in value] if isinstance(value, list) else value


def quoted(column: pa.Array) -> pa.Array:
    """JSON texts as JSON strings."""
    cells = [None if text is None else orjson.dumps(text).decode() for text in column.to_pylist()]
    return pa.array(cells, pa.large_string())


def extra_of(batch: Batch, dictionaries: Mapping[str, Categories]) -> pa.Array | None:
    """Columns that have none of their own as JSON objects, missing values left out; None without any."""
    names = [name for name in batch.cells if name not in TYPED and name != "metadata" and name not in HIDDEN]
    if not names:
        return None
    rows: list[dict[str, Any]] = [{} for _ in range(len(batch))]
    for name in names:
        key = name.replace("\0", "\ufffd")
        for row, value in zip(rows, _values(batch.cells[name], dictionaries.get(name)), strict=True):
            if value is not None:
                row[key] = value
    return pa.array([orjson.dumps(row).decode() if row else None for row in rows], pa.large_string())


def _values(cells: Column, dictionary: Categories | None) -> list[Any]:
    if dictionary is not None and cells.kind == "category":
        return [None if code < 0 else dictionary.values[code].replace("\0", "\ufffd") for code in cells.values]
    if cells.kind == "string":
        return [None if value is None else value.replace("\0", "\ufffd") for value in cells.values.to_pylist()]
    values = np.asarray(cells.values).tolist()
    if cells.kind == "float":
        return [None if value != value else _far(value) for value in values]
    if cells.kind == "flag":
        return [value or None for value in values]
    return values if cells.mask is None else [
        None if gone else value for value, gone in zip(values, cells.mask.tolist(), strict=True)
    ]  # fmt: skip


def _far(value: float) -> Any:
    """Infinities as text that PostgreSQL casts: `(extra->>'loss')::float8`."""
    return value if value - value == 0 else "Infinity" if value > 0 else "-Infinity"
