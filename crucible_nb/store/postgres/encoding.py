"""Rows as the binary format of COPY, made column by column.

All rows of a part have the same width first, their longest text each; what a row does not use is masked out at the
end. So there is no loop over rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.store.postgres.tables import TYPED
from crucible_nb.store.postgres.text_columns import extra_of, is_text, plain_text, quoted

HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TAIL = b"\xff\xff"
PART = 2048
"""Rows encoded at a time: a long text widens only the rows around it."""

_EPOCH = 946_684_800_000_000  # 2000-01-01 in microseconds
_NULL = np.frombuffer(b"\xff\xff\xff\xff", np.uint8)
_TYPES = {"float": ">f8", "integer": ">i8", "count": ">i8", "boolean": "u1", "flag": "u1"}


class Field(NamedTuple):
    """A column of a part: bytes with their length in front, and which of them count (None: all)."""

    data: np.ndarray
    used: np.ndarray | None


class Encoded(NamedTuple):
    """Rows for COPY.

    Attributes:
        names: The columns that have anything to say.
        parts: The bytes, made while they are asked for, so that the server reads one part while the next is made.
    """

    names: list[str]
    parts: Iterator[bytes]


def encode(
    key: bytes, writer: int, batch: Batch, dictionaries: Mapping[str, Categories], *, plain: bool = False
) -> Encoded:
    """Rows in the binary format of COPY.

    Args:
        key: Id of the experiment.
        writer: Ordinal.
        batch: Rows.
        dictionaries: Of the category columns.
        plain: Say JSON as text in JSON, where PostgreSQL could not read it (too deep, too large a number).
    """
    texts = {name: plain_text(cells, name, dictionaries) for name, cells in batch.cells.items() if is_text(cells)}
    shown = [name for name in TYPED if name in batch.cells and name != "seq" and _says(name, batch.cells[name], texts)]
    json = {"metadata": texts.get("metadata"), "extra": extra_of(batch, dictionaries)}
    said = {name: column for name, column in json.items() if column is not None and column.null_count < len(column)}
    if plain:
        said = {name: quoted(column) for name, column in said.items()}
    names = ["experiment", "writer", "time", "nanos", "seq", *shown, *said]

    def parts() -> Iterator[bytes]:
        yield HEAD
        for start in range(0, len(batch), PART):
            size = min(PART, len(batch) - start)
            fields = list(_fixed(key, writer, batch, start, start + size))
            for name in shown:
                text = texts.get(name)
                number = batch.cells[name].slice(start, start + size)
                fields.append(_number(number) if text is None else _text(text.slice(start, size)))
            fields += [_text(column.slice(start, size), b"\x01") for column in said.values()]
            yield _rows(fields, len(names), size)
        yield TAIL

    return Encoded(names, parts())


def _fixed(key: bytes, writer: int, batch: Batch, start: int, stop: int) -> Iterator[Field]:
    """What every row has."""
    rows, time = stop - start, batch.time[start:stop]
    constant = b"\0\0\0\x10" + key + b"\0\0\0\x04" + writer.to_bytes(4, "big")
    yield Field(np.broadcast_to(np.frombuffer(constant, np.uint8), (rows, len(constant))), None)
    yield _sized((time // 1000 - _EPOCH).astype(">i8"), None)
    yield _sized((time % 1000).astype(">i2"), None)
    yield _sized(batch.numbered()[start:stop].astype(">i8"), None)


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


def _sized(values: np.ndarray, missing: np.ndarray | None) -> Field:
    """Numbers of one width."""
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
    return _sized(values.astype(_TYPES[cells.kind]), missing)


def _says(name: str, cells: Column, texts: Mapping[str, pa.Array]) -> bool:
    """Whether any row has something else than what the table puts there by itself."""
    if name in texts:
        return bool(texts[name].null_count < len(texts[name]))
    values = np.asarray(cells.values)
    if cells.kind == "float":
        return bool((values != 1.0).any() if name == "weight" else not np.isnan(values).all())
    if cells.kind == "flag":
        return bool(values.any())
    return cells.mask is None or not cells.mask.all()


def _text(array: pa.Array, front: bytes = b"") -> Field:
    """Texts, each behind its length; `front` stands before every one."""
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
        if missing.any():  # what stands behind a missing text is nobody's
            raw = raw[np.repeat(~missing, ends[1:] - ends[:-1])]
        filled[:, head:][used[:, head:]] = raw
    if missing.any():
        filled[missing, :4], used[missing, 4:] = _NULL, False
    return Field(filled, used)
