"""Encode rows in the binary format of COPY, column by column.

All rows of a chunk are first made equally wide, with each text column as wide as its longest text; then a mask removes
the unused bytes. So there is no loop over rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.store.postgres.tables import TYPED
from crucible_nb.store.postgres.text_columns import as_json_strings, extra_column, is_text, text_array

HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TAIL = b"\xff\xff"
CHUNK = 2048
"""Rows encoded at a time; a long text widens only the rows of its chunk."""

_EPOCH = 946_684_800_000_000  # 2000-01-01 in microseconds
_NULL = np.frombuffer(b"\xff\xff\xff\xff", np.uint8)
_TYPES = {"float": ">f8", "integer": ">i8", "count": ">i8", "boolean": "u1", "flag": "u1"}


class Field(NamedTuple):
    """One column of a chunk: bytes after their length, and a mask of the bytes to send (None: all)."""

    data: np.ndarray
    used: np.ndarray | None


class Encoded(NamedTuple):
    """Rows for COPY.

    Attributes:
        names: Columns that hold any value.
        chunks: Bytes, encoded when requested, so that the server reads one chunk while the next is encoded.
    """

    names: list[str]
    chunks: Iterator[bytes]


def encode(
    key: bytes, writer: int, batch: Batch, dictionaries: Mapping[str, Categories], *, plain: bool = False
) -> Encoded:
    """Encode rows in the binary format of COPY.

    Args:
        key: Id of the experiment.
        writer: Writer id.
        batch: Rows.
        dictionaries: Dictionary of each category column.
        plain: Quote JSON as a JSON string, because PostgreSQL could not parse it (too deep, or too large numbers).
    """
    cells = batch.cells
    texts = {name: text_array(column, name, dictionaries) for name, column in cells.items() if is_text(column)}
    typed = [name for name in TYPED if name in cells and name != "seq" and _has_values(name, cells[name], texts)]
    columns = {"metadata": texts.get("metadata"), "extra": extra_column(batch, dictionaries)}
    json = {name: column for name, column in columns.items() if column is not None and column.null_count < len(column)}
    if plain:
        json = {name: as_json_strings(column) for name, column in json.items()}
    names = ["experiment", "writer", "time", "nanos", "seq", *typed, *json]

    def chunks() -> Iterator[bytes]:
        yield HEAD
        for start in range(0, len(batch), CHUNK):
            size = min(CHUNK, len(batch) - start)
            fields = list(_key_fields(key, writer, batch, start, start + size))
            for name in typed:
                text = texts.get(name)
                number = cells[name].slice(start, start + size)
                fields.append(_number(number) if text is None else _text(text.slice(start, size)))
            fields += [_text(column.slice(start, size), b"\x01") for column in json.values()]
            yield _rows(fields, len(names), size)
        yield TAIL

    return Encoded(names, chunks())


def _key_fields(key: bytes, writer: int, batch: Batch, start: int, stop: int) -> Iterator[Field]:
    """Encode the columns that every row has: experiment, writer, time, nanos and seq."""
    rows, time = stop - start, batch.time[start:stop]
    constant = b"\0\0\0\x10" + key + b"\0\0\0\x04" + writer.to_bytes(4, "big")
    yield Field(np.broadcast_to(np.frombuffer(constant, np.uint8), (rows, len(constant))), None)
    yield _fixed_width((time // 1000 - _EPOCH).astype(">i8"), None)
    yield _fixed_width((time % 1000).astype(">i2"), None)
    yield _fixed_width(batch.numbered()[start:stop].astype(">i8"), None)


def _rows(fields: Sequence[Field], count: int, rows: int) -> bytes:
    width = 2 + sum(field.data.shape[1] for field in fields)
    data, used = np.empty((rows, width), np.uint8), np.ones((rows, width), np.bool_)
    data[:, 0], data[:, 1] = count >> 8, count & 255
    at = 2
    for field in fields:
        end = at + field.data.shape[1]
        data[:, at:end] = field.data
        if field.used is not None:
            used[:, at:end] = field.used
        at = end
    return data[used].tobytes()


def _fixed_width(values: np.ndarray, missing: np.ndarray | None) -> Field:
    """Encode numbers, each after its width."""
    rows, width = len(values), values.dtype.itemsize
    data = np.empty((rows, 4 + width), np.uint8)
    data[:, :4] = np.frombuffer(width.to_bytes(4, "big"), np.uint8)
    data[:, 4:] = np.ascontiguousarray(values).view(np.uint8).reshape(rows, width)
    if missing is None or not missing.any():
        return Field(data, None)
    used = np.ones((rows, 4 + width), np.bool_)
    data[missing, :4], used[missing, 4:] = _NULL, False
    return Field(data, used)


def _number(cells: Column) -> Field:
    values = np.asarray(cells.values)
    missing = np.isnan(values) if cells.kind == "float" else cells.mask
    return _fixed_width(values.astype(_TYPES[cells.kind]), missing)


def _has_values(name: str, cells: Column, texts: Mapping[str, pa.Array]) -> bool:
    """Return whether any value differs from the default of the column in the table."""
    if name in texts:
        return bool(texts[name].null_count < len(texts[name]))
    values = np.asarray(cells.values)
    if cells.kind == "float":
        return bool((values != 1.0).any() if name == "weight" else not np.isnan(values).all())
    if cells.kind == "flag":
        return bool(values.any())
    return cells.mask is None or not cells.mask.all()


def _text(array: pa.Array, front: bytes = b"") -> Field:
    """Encode texts, each after its length and `front`."""
    rows, (_, offsets, data) = len(array), array.buffers()
    ends = np.frombuffer(offsets, np.int64, rows + 1, array.offset * 8)
    missing = np.asarray(array.is_null(), np.bool_)
    sizes = np.where(missing, 0, ends[1:] - ends[:-1])
    widest = int(sizes.max(initial=0))
    head = 4 + len(front)
    filled = np.zeros((rows, head + widest), np.uint8)
    filled[:, :4] = (sizes + len(front)).astype(">i4").view(np.uint8).reshape(rows, 4)
    filled[:, 4:head] = np.frombuffer(front, np.uint8)
    used = np.ones((rows, head + widest), np.bool_)
    used[:, head:] = np.arange(widest) < sizes[:, None]
    if widest:
        raw = np.frombuffer(data, np.uint8, int(ends[-1] - ends[0]), int(ends[0]))
        if missing.any():  # bytes of missing texts
            raw = raw[np.repeat(~missing, ends[1:] - ends[:-1])]
        filled[:, head:][used[:, head:]] = raw
    if missing.any():
        filled[missing, :4], used[missing, 4:] = _NULL, False
    return Field(filled, used)
