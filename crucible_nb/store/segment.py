"""Segments: the kept rows of a sealed journal as a Parquet file with checksums."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.errors import StoreError
from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.schema import Kind
from crucible_nb.files import parquet
from crucible_nb.files.columns import to_frame
from crucible_nb.files.disk import MAX_BYTES, reading
from crucible_nb.files.layout import describe, pack
from crucible_nb.store.layout import foreign
from crucible_nb.store.syscalls import read_regular, write_whole
from crucible_nb.utils.runtime import RUNTIME

_EMPTY: dict[Kind, Any] = {"float": np.nan, "integer": 0, "boolean": False, "flag": False, "count": 0, "category": -1}


class _Coding:
    """The lock of the thread that adds codes to a dictionary; a forked process has a new one."""

    lock: Lock

    def __init__(self) -> None:
        self._renew()
        RUNTIME.in_child(self._renew)

    def _renew(self) -> None:
        self.lock = Lock()


_CODING = _Coding()

_KEY = b"crucible.crc32"
_BLANK = b"00000000"


def frame_bytes(frame: pd.DataFrame, facts: Mapping[str, Any]) -> bytes:
    """Return rows as a Parquet file, readable by pandas, DuckDB, Polars and `cr.load`.

    Parquet has checksums of pages, but none of the metadata that locates and describes them. So the file holds the
    CRC-32 of all its bytes, computed with zeros in its own place.
    """
    layout, stream = describe(frame), io.BytesIO()
    parquet.write(frame, layout, pack(layout, facts), stream, {_KEY: _BLANK})
    data = stream.getvalue()
    at = _checksum_index(data)
    return data[:at] + b"%08x" % crc32(data) + data[at + 8 :]


def _checksum_index(data: bytes) -> int:
    """Return the index of the checksum: it follows its key, and a type and a length of one byte each."""
    at = data.rfind(_KEY)
    if at < 0 or data[at + len(_KEY) : at + len(_KEY) + 2] != b"\x18\x08":
        raise ValueError("it holds no checksum")
    return at + len(_KEY) + 2


def check_bytes(data: bytes) -> bytes:
    """Return the bytes of a segment; ValueError if their checksum is wrong."""
    at = _checksum_index(data)
    if b"%08x" % crc32(data[at + 8 :], crc32(_BLANK, crc32(data[:at]))) != data[at : at + 8]:
        raise ValueError("its checksum is wrong")
    return data


def write_segment(path: Path, frame: pd.DataFrame, facts: Mapping[str, Any]) -> bool:
    """Write rows as a complete and synced file; return whether its name is synced too, see `write_whole`."""
    return write_whole(path, frame_bytes(frame, facts))


def read_frame(data: bytes, path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return rows and facts of a Parquet file of crucible_nb.

    Args:
        data: Content of the file.
        path: Path of the file, for messages.

    Raises:
        StoreError: The file is corrupt, or was not written by crucible_nb.
    """
    with reading(path):
        source = parquet.source(pa.py_buffer(check_bytes(data)), MAX_BYTES)
        if source.layout is None:
            raise StoreError(f"cannot read {str(path)!r}: crucible_nb did not write it")
        frame = to_frame(list(source.chunks(1 << 17)), source.layout, MAX_BYTES)
        if len(frame) != source.layout.rows:
            raise ValueError(f"it holds {len(frame):,} rows, its header says {source.layout.rows:,}")
    return frame, source.facts


def read_segment(path: Path, identity: str | None = None) -> pd.DataFrame:
    """Return the rows of a segment, in order of `seq`, with the hidden columns.

    Args:
        path: The segment.
        identity: Id of the experiment that it has to belong to; None: that in the name of its folder.

    Raises:
        StoreError: The file is corrupt, or belongs to another experiment, writer or part.
    """
    return read_segment_facts(path, identity)[0]


def read_segment_facts(path: Path, identity: str | None = None) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows and the facts of a segment; see `read_segment`."""
    with reading(path):
        data = read_regular(path)
    frame, facts = read_frame(data, path)
    if why := foreign(facts, path, identity):
        raise StoreError(f"cannot read {str(path)!r}: {why}")
    return frame, facts


def in_order(batches: Iterable[Batch], kinds: Sequence[tuple[str, Kind]]) -> list[Batch]:
    """Return batches of several files in order of `seq`, merged into one where their ranges overlap (a sample's do).

    Args:
        batches: Batches from `batch_of_frame`, whose columns may differ.
        kinds: Name and kind of all columns of the result.
    """
    ordered = sorted((batch for batch in batches if len(batch)), key=lambda batch: int(batch.numbered()[0]))
    edges = [(int(batch.numbered()[0]), int(batch.numbered()[-1])) for batch in ordered]
    if all(last < first for (_, last), (first, _) in pairwise(edges)):
        return ordered
    return [_merge(ordered, kinds)]


def batch_of(
    frames: Sequence[pd.DataFrame], kinds: Sequence[tuple[str, Kind]], dictionaries: dict[str, Categories]
) -> Batch:
    """Return rows of several frames, in any order, as one batch in order of `seq`."""
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return Batch(np.empty(0, np.int64), 0, seq=np.empty(0, np.int64))
    return _merge([batch_of_frame(frame, kinds, dictionaries) for frame in frames], kinds)


def batch_of_frame(
    frame: pd.DataFrame, kinds: Sequence[tuple[str, Kind]], dictionaries: dict[str, Categories]
) -> Batch:
    """Return the rows of a segment as a batch; may be called in several threads.

    Args:
        frame: Rows from `read_segment`.
        kinds: Name and kind of all columns of the result.
        dictionaries: Dictionary of each category column.
    """
    batch = Batch(frame.index.asi8, 0, seq=frame["seq"].to_numpy())  # type: ignore[attr-defined]
    for name, kind in kinds:
        if name != "seq" and name in frame.columns:
            batch.cells[name] = _column(frame[name], kind, dictionaries.get(name))
    return batch


def kinds_of(frames: Sequence[pd.DataFrame]) -> list[tuple[str, Kind]]:
    """Return name and kind of the columns of segments, in order of first appearance."""
    kinds: dict[str, Kind] = {}
    for frame in frames:
        for column in describe(frame).columns:
            if column.name not in (frame.index.name or "time", "seq"):
                kinds.setdefault(column.name, column.kind)  # type: ignore[arg-type]
    return list(kinds.items())


def _merge(batches: Sequence[Batch], kinds: Sequence[tuple[str, Kind]]) -> Batch:
    """Merge batches in order of `seq`."""
    seq = np.concatenate([batch.numbered() for batch in batches])
    order = np.argsort(seq, kind="stable")
    whole = Batch(np.concatenate([batch.time for batch in batches])[order], 0, seq=seq[order])
    for name, kind in kinds:
        if any(name in batch.cells for batch in batches):
            parts = [batch.cells.get(name) or _missing(kind, len(batch)) for batch in batches]
            whole.cells[name] = _concat(kind, parts).take(order)
    return whole


def _column(column: pd.Series, kind: Kind, dictionary: Categories | None) -> Column:
    if kind == "category":
        codes = column.cat.codes.to_numpy()
        with _CODING.lock:
            mapped = [dictionary.code(label) for label in column.cat.categories] if dictionary is not None else []
        return Column(kind, np.array([*mapped, -1], np.int32)[codes])
    if kind == "string":
        array = pa.array(column, from_pandas=True)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        return Column(kind, array.cast(pa.large_string()))
    if kind in ("integer", "boolean"):
        dtype = np.int64 if kind == "integer" else np.bool_
        return Column(kind, column.to_numpy(dtype, na_value=0), column.isna().to_numpy())
    return Column(kind, column.to_numpy(np.float64, na_value=np.nan) if kind == "float" else column.to_numpy())


def _missing(kind: Kind, rows: int) -> Column:
    if kind == "string":
        return Column(kind, pa.nulls(rows, pa.large_string()))
    mask = np.ones(rows, np.bool_) if kind in ("integer", "boolean") else None
    return Column(kind, np.full(rows, _EMPTY[kind]), mask)


def _concat(kind: Kind, parts: Sequence[Column]) -> Column:
    if kind == "string":
        return Column(kind, pa.concat_arrays([part.values for part in parts]))
    values = np.concatenate([part.values for part in parts])
    if kind not in ("integer", "boolean"):
        return Column(kind, values)
    mask = np.concatenate([part.mask for part in parts])
    return Column(kind, values, mask if mask.any() else None)
