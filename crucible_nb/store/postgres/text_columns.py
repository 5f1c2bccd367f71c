"""Text and JSON columns in a form that PostgreSQL can hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.pipeline.buffer import HIDDEN
from crucible_nb.store.postgres.tables import TYPED


def without_nul(text: str) -> str:
    """Return text with U+FFFD in place of the character 0, which PostgreSQL cannot hold."""
    return text.replace("\0", "\ufffd")


def is_text(cells: Column) -> bool:
    """Return whether a column holds text."""
    return cells.kind in ("category", "string")


def text_array(cells: Column, name: str, dictionaries: Mapping[str, Categories]) -> pa.Array:
    """Return a text column as Arrow strings without the character 0, also not escaped in JSON."""
    if cells.kind == "category":
        used, codes = np.unique(np.asarray(cells.values, np.int64), return_inverse=True)
        labels = dictionaries[name].values
        texts = pa.array([None if code < 0 else without_nul(labels[code]) for code in used], pa.large_string())
        return texts.take(pa.array(codes))
    array = _map_if_present(cells.values, without_nul, b"\0")
    return _map_if_present(array, json_without_nul, b"\\u0000") if name == "metadata" else array


def _map_if_present(array: pa.Array, change: Callable[[str], str], pattern: bytes) -> pa.Array:
    """Apply `change` to all texts if any of them contains these bytes."""
    if not _contains(array, pattern):
        return array
    return pa.array([None if text is None else change(text) for text in array.to_pylist()], pa.large_string())


def _contains(array: pa.Array, pattern: bytes) -> bool:
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return False
    ends = np.frombuffer(offsets, np.int64, len(array) + 1, array.offset * 8)
    return pattern in memoryview(data)[int(ends[0]) : int(ends[-1])].tobytes()


def json_without_nul(text: str) -> str:
    """Return JSON text with U+FFFD in place of the character 0 in all strings."""
    return _ESCAPED_NUL.sub("\\1\ufffd", text)


_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # after an even number of backslashes


def as_json_strings(column: pa.Array) -> pa.Array:
    """Return JSON texts quoted as JSON strings."""
    cells = [None if text is None else orjson.dumps(text).decode() for text in column.to_pylist()]
    return pa.array(cells, pa.large_string())


def extra_column(batch: Batch, dictionaries: Mapping[str, Categories]) -> pa.Array | None:
    """Return the columns that are not in the table as one JSON object per row; None without any."""
    names = [name for name in batch.cells if name not in TYPED and name != "metadata" and name not in HIDDEN]
    if not names:
        return None
    rows: list[dict[str, Any]] = [{} for _ in range(len(batch))]
    for name in names:
        key = without_nul(name)
        for row, value in zip(rows, _values(batch.cells[name], dictionaries.get(name)), strict=True):
            if value is not None:
                row[key] = value
    return pa.array([orjson.dumps(row).decode() if row else None for row in rows], pa.large_string())


def _values(cells: Column, dictionary: Categories | None) -> list[Any]:
    if dictionary is not None and cells.kind == "category":
        return [None if code < 0 else without_nul(dictionary.values[code]) for code in cells.values]
    if cells.kind == "string":
        return [None if value is None else without_nul(value) for value in cells.values.to_pylist()]
    values = np.asarray(cells.values).tolist()
    if cells.kind == "float":
        return [None if value != value else _json_float(value) for value in values]
    if cells.kind == "flag":
        return [value or None for value in values]
    return values if cells.mask is None else [
        None if missing else value for value, missing in zip(values, cells.mask.tolist(), strict=True)
    ]  # fmt: skip


def _json_float(value: float) -> Any:
    """Return infinities as text that PostgreSQL can cast: `(extra->>'loss')::float8`."""
    return value if value - value == 0 else "Infinity" if value > 0 else "-Infinity"
