"""Select rows in the database, and decode them from CSV without loss."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.schema import Kind
from crucible_nb.pipeline.buffer import HIDDEN
from crucible_nb.store.postgres.tables import TYPED
from crucible_nb.store.postgres.text_columns import without_nul

_TYPES = {
    "category": pa.large_string(), "string": pa.large_string(), "float": pa.float64(), "integer": pa.int64(),
    "boolean": pa.bool_(), "flag": pa.bool_(), "count": pa.int64(),
}  # fmt: skip
_TIME = pa.timestamp("us", "UTC")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class RowQuery:
    """Selection of rows of one writer.

    Attributes:
        start: First time in UTC nanoseconds, None for no limit.
        stop: Time after the last in UTC nanoseconds, None for no limit.
        newest: Number of newest rows, None for all.
    """

    start: int | None = None
    stop: int | None = None
    newest: int | None = None

    def sql(self, kinds: Sequence[tuple[str, Kind]]) -> tuple[str, list[tuple[str, Kind]]]:
        """Return the COPY statement for these columns, and the columns that it gives."""
        typed = [(name, kind) for name, kind in kinds if name in TYPED]
        names = ["time", "nanos", *(name for name, _ in typed)]
        objects = ["metadata", "extra"] if any(name == "metadata" for name, _ in kinds) else ["extra"]
        order = "order by time desc, nanos desc, seq desc limit %s" if self.newest is not None else ""
        return (
            f"copy (select {', '.join([*names, *objects])} from crucible.events "
            "where experiment = %s and writer = %s and seq < %s "
            "and time between (select first_time from crucible.writers w where w.experiment = %s and w.writer = %s) "
            "and (select last_time from crucible.writers w where w.experiment = %s and w.writer = %s) "
            f"and time >= %s and time <= %s {order}) to stdout (format csv)",
            [(name, kind) for name, kind in kinds if name not in HIDDEN],
        )

    def values(self, identity: str, writer: int, seq: int) -> list[Any]:
        """Return the parameters of the statement."""
        edges = [_stamp(self.start, "-infinity"), _stamp(self.stop, "infinity")]
        newest = [] if self.newest is None else [self.newest]
        return [identity, writer, seq, *((identity, writer) * 2), *edges, *newest]

    def trim(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the selected rows of all writers together, exact to the nanosecond."""
        times = frame.index.asi8  # type: ignore[attr-defined]
        first = 0 if self.start is None else int(np.searchsorted(times, self.start))
        stop = len(times) if self.stop is None else int(np.searchsorted(times, self.stop))
        return frame.iloc[first if self.newest is None else max(first, stop - self.newest) : max(first, stop)]


def _stamp(nanoseconds: int | None, otherwise: str) -> str:
    return otherwise if nanoseconds is None else str(np.datetime64(nanoseconds // 1000, "us")) + "Z"


def decode_csv(data: bytes, kinds: Sequence[tuple[str, Kind]], dictionaries: Mapping[str, Categories]) -> Batch:
    """Return the rows of a COPY in CSV as a batch.

    Args:
        data: Output of the server.
        kinds: Name and kind of the requested columns.
        dictionaries: Dictionary of each category column.
    """
    if not data:
        return Batch(np.empty(0, np.int64), 0, seq=np.empty(0, np.int64))
    table = _table(data, kinds)
    time = table["time"].cast(pa.int64()).to_numpy() * 1000 + table["nanos"].to_numpy()
    batch = Batch(time, 0, seq=table["seq"].to_numpy())
    extra = _json_objects(table["extra"])
    for name, kind in kinds:
        if name == "seq":
            continue
        if name == "metadata":
            batch.cells[name] = Column("string", _metadata(table[name]))
            continue
        column = table[name] if name in table.column_names else _extra_values(extra, name, kind, table.num_rows)
        batch.cells[name] = _column(column, kind, dictionaries.get(name))
    order = np.argsort(batch.numbered(), kind="stable")
    cells = {name: cell.take(order) for name, cell in batch.cells.items()}
    return Batch(time[order], 0, cells, seq=batch.numbered()[order])


def _table(data: bytes, kinds: Sequence[tuple[str, Kind]]) -> pa.Table:
    named = dict(kinds)
    names = ["time", "nanos", *(name for name in named if name in TYPED)]
    types = {name: _TYPES[named[name]] for name in names[2:]} | {"time": _TIME, "nanos": pa.int64()}
    objects = (["metadata"] if "metadata" in named else []) + ["extra"]
    types |= dict.fromkeys(objects, pa.large_string())
    options: dict[str, Any] = {
        "read_options": csv.ReadOptions(column_names=[*names, *objects], block_size=max(_BLOCK, _block_size(data))),
        "parse_options": csv.ParseOptions(newlines_in_values=True),
        "convert_options": csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=["t"], false_values=["f"],
        ),
    }  # fmt: skip
    return csv.read_csv(io.BytesIO(data), **options)


def _block_size(data: bytes) -> int:
    """Return a block size in bytes that holds any row."""
    return min(len(data), 256 << 20) if len(data) < (8 << 20) else 64 << 20


def _metadata(column: pa.ChunkedArray) -> pa.Array:
    """Return JSON as it was recorded, without the blanks that PostgreSQL adds."""
    texts = [None if text is None else _metadata_text(text) for text in column.to_pylist()]
    return pa.array(texts, pa.large_string())


def _metadata_text(text: str) -> str:
    value = json.loads(text)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json_objects(column: pa.ChunkedArray) -> list[dict[str, Any]] | None:
    if column.null_count == len(column):
        return None
    empty: dict[str, Any] = {}
    return [empty if text is None else _json_object(text) for text in column.to_pylist()]


def _json_object(text: str) -> dict[str, Any]:
    """Return the object of a row, {} if it was changed into something else."""
    value: Any = None
    with suppress(ValueError):
        value = orjson.loads(text)
        value = orjson.loads(value) if isinstance(value, str) else value
    return value if isinstance(value, dict) else {}


def _extra_values(extra: list[dict[str, Any]] | None, name: str, kind: Kind, rows: int) -> Any:
    """Return a column of the JSON objects in `extra`."""
    if extra is None:
        return pa.chunked_array([pa.nulls(rows, _TYPES[kind])])
    key = without_nul(name)
    values = [row.get(key) for row in extra]
    try:
        return pa.chunked_array([_typed_array(values, kind)])
    except (ValueError, TypeError, OverflowError, pa.ArrowException):  # changed by hand: it costs itself alone
        return pa.chunked_array([pa.concat_arrays([_typed_or_null(value, kind) for value in values])])


def _typed_array(values: list[Any], kind: Kind) -> pa.Array:
    if kind in ("float", "integer"):  # a column may have widened from booleans since
        number = float if kind == "float" else int
        values = [None if value is None else number(value) for value in values]
    return pa.array(values, _TYPES[kind])


def _typed_or_null(value: Any, kind: Kind) -> pa.Array:
    try:
        return _typed_array([value], kind)
    except (ValueError, TypeError, OverflowError, pa.ArrowException):
        return pa.nulls(1, _TYPES[kind])


def _column(column: pa.ChunkedArray, kind: Kind, dictionary: Categories | None) -> Column:
    array = column.combine_chunks()
    array = array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)
    if kind == "category":
        encoded = array.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        mapped = [(-1 if dictionary is None else dictionary.code(label)) for label in encoded.dictionary.to_pylist()]
        return Column(kind, np.array([*mapped, -1], np.int32)[codes])
    if kind == "string":
        return Column(kind, array)
    if kind in ("integer", "boolean"):
        mask = np.asarray(array.is_null(), np.bool_)
        filled = array.fill_null(0 if kind == "integer" else False)
        return Column(kind, filled.to_numpy(zero_copy_only=False), mask if mask.any() else None)
    filled = array.fill_null({"float": np.nan, "flag": False}.get(kind, 0))
    return Column(kind, filled.to_numpy(zero_copy_only=False))
