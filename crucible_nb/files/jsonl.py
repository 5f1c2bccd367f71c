"""JSON lines: one object per row; in files written by crucible_nb the first line is the header."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crucible_nb.files.columns import TEXT, as_json, to_tables
from crucible_nb.files.csv import iso
from crucible_nb.files.disk import open_text
from crucible_nb.files.guess import guess, kind_of_values
from crucible_nb.files.layout import KEY, Layout, unpack
from crucible_nb.files.source import Source

_MAX_LINE = 64 << 20  # bytes of one line
_MAX_COLUMNS = 16_384  # named by all lines of a foreign file together
_MAX_CELLS = 1 << 22  # of one chunk, for lines that each have other columns
_ROWS = 16_384


def write(frame: pd.DataFrame, layout: Layout, header: bytes, stream: BinaryIO) -> None:
    """Write the frame as JSON lines below its header."""
    stream.write(orjson.dumps({KEY: orjson.Fragment(header)}, option=orjson.OPT_APPEND_NEWLINE))
    for table in to_tables(frame, layout, _ROWS):
        columns = [_cells(values).to_pylist() for values in table.columns]
        rows = zip(*columns, strict=True)
        lines = (dict(zip(layout.names, row, strict=True)) for row in rows)
        stream.writelines(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)


def _cells(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert values to types that orjson writes exactly: a column with an infinity becomes text."""
    if pa.types.is_timestamp(values.type):
        return iso(values)
    if pa.types.is_floating(values.type) and pc.any(pc.is_inf(values)).as_py():
        return values.cast(TEXT)
    return values


def source(path: Path, max_bytes: int) -> Source:
    """Open JSON lines, plain or gzipped; with a header line they were written by crucible_nb."""
    with open_text(path, max_bytes) as stream:
        number, first = next(_objects(stream), (0, {}))
    if not number:
        raise ValueError("it has no rows")
    layout, facts = unpack(first[KEY]) if number == 1 and _is_header(first) else (None, {})
    max_columns = max(_MAX_COLUMNS, len(layout.columns) if layout else 0)
    chunks = partial(_chunks, path, max_bytes, max_columns)
    return Source(chunks, partial(guess, kind_of=kind_of_values), layout, facts)


def _is_header(line: dict[str, Any]) -> bool:
    return line.keys() == {KEY} and isinstance(line[KEY], dict) and "version" in line[KEY]


def _objects(stream: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each object with its line number; ValueError names a line that is not an object."""
    number = 0
    while line := stream.readline(_MAX_LINE + 1):
        number += 1
        if len(line) > _MAX_LINE:
            raise ValueError(f"line {number} is longer than {_MAX_LINE >> 20} MiB")
        text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if text:
            yield number, _object(text, number)


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        value = _parse(line)
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, got {type(value).__name__}")
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"line {number}: {error}") from error
    return value


def _flatten(row: dict[str, Any], number: int) -> dict[str, Any]:
    """Convert nested values of a row to JSON text."""
    try:
        return {name: as_json(value) if isinstance(value, (dict, list)) else value for name, value in row.items()}
    except TypeError as error:  # nested deeper than orjson can write
        raise ValueError(f"line {number}: {error}") from error


def _parse(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except ValueError:
        if b"NaN" in line or b"Infinity" in line:  # not JSON, but written by Python's json module
            return json.loads(line)
        raise


def _chunks(path: Path, max_bytes: int, max_columns: int, rows: int) -> Iterator[pa.Table]:
    names: set[str] = set()
    with open_text(path, max_bytes) as stream:
        objects = _objects(stream)
        lines = (_flatten(row, number) for number, row in objects if number > 1 or not _is_header(row))
        while chunk := _next_chunk(lines, rows):
            table = _table(chunk)
            names.update(table.column_names)
            if len(names) > max_columns:
                raise ValueError(f"its lines name more than {max_columns:,} columns")
            yield table


def _next_chunk(lines: Iterator[dict[str, Any]], rows: int) -> list[dict[str, Any]]:
    chunk: list[dict[str, Any]] = []
    names: set[str] = set()
    for line in islice(lines, rows):
        chunk.append(line)
        names.update(line)
        if len(names) * len(chunk) > _MAX_CELLS:
            break
    return chunk


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = [_array([row.get(name) for row in rows]) for name in names]
    return pa.Table.from_arrays(arrays, names=names)


def _array(values: list[Any]) -> pa.Array:
    """Convert values to the narrowest common type; mixed types become text."""
    types = {type(value) for value in values} - {type(None)}
    if types <= {bool} or types <= {str}:
        return pa.array(values, TEXT if str in types else pa.bool_() if types else pa.null())
    if types <= {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pa.array(values, pa.int64())
    if types <= {int, float} and float in types:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([v if v is None or isinstance(v, str) else as_json(v) for v in values], TEXT)
