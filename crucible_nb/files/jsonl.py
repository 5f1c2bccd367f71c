"""JSON lines: one object a row; in our own files the first line is the header."""

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
from crucible_nb.files.disk import opened
from crucible_nb.files.guess import guess, kind_of_values
from crucible_nb.files.layout import KEY, Layout, unpack
from crucible_nb.files.source import Source

_LINE = 64 << 20  # bytes of one line
_COLUMNS = 16_384  # that lines may name in all; a file of ours may have more
_CELLS = 1 << 22  # of one piece: lines that each bring columns of their own stay within bounds
_ROWS = 16_384


def write(frame: pd.DataFrame, layout: Layout, header: bytes, stream: BinaryIO) -> None:
    """The frame as JSON lines under its header."""
    stream.write(orjson.dumps({KEY: orjson.Fragment(header)}, option=orjson.OPT_APPEND_NEWLINE))
    for table in to_tables(frame, layout, _ROWS):
        columns = [_cells(values).to_pylist() for values in table.columns]
        rows = zip(*columns, strict=True)
        lines = (dict(zip(layout.names, row, strict=True)) for row in rows)
        stream.writelines(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)


def _cells(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """What orjson writes exactly; it has no word for infinity, so a column that holds one goes as text."""
    if pa.types.is_timestamp(values.type):
        return iso(values)
    if pa.types.is_floating(values.type) and pc.any(pc.is_inf(values)).as_py():
        return values.cast(TEXT)
    return values


def source(path: Path, max_bytes: int) -> Source:
    """JSON lines, plain or gzipped; ours when the first line is our header."""
    with opened(path, max_bytes) as stream:
        number, first = next(_objects(stream), (0, {}))
    if not number:
        raise ValueError("it holds no rows")
    layout, facts = unpack(first[KEY]) if number == 1 and _is_header(first) else (None, {})
    columns = max(_COLUMNS, len(layout.columns) if layout else 0)
    pieces = partial(_pieces, path, max_bytes, columns)
    return Source(pieces, partial(guess, kind_of=kind_of_values), layout, facts)


def _is_header(line: dict[str, Any]) -> bool:
    return line.keys() == {KEY} and isinstance(line[KEY], dict) and "version" in line[KEY]


def _objects(stream: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every object with the number of its line; ValueError names a line that is none."""
    number = 0
    while line := stream.readline(_LINE + 1):
        number += 1
        if len(line) > _LINE:
            raise ValueError(f"line {number} is longer than {_LINE >> 20} MiB")
        text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if text:
            yield number, _object(text, number)


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        found = _parsed(line)
        if not isinstance(found, dict):
            raise TypeError(f"expected an object, got {type(found).__name__}")
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"line {number}: {error}") from error
    return found


def _flat(row: dict[str, Any], number: int) -> dict[str, Any]:
    """The row with its nested values as JSON text."""
    try:
        return {name: as_json(value) if isinstance(value, (dict, list)) else value for name, value in row.items()}
    except TypeError as error:  # nested deeper than orjson writes
        raise ValueError(f"line {number}: {error}") from error


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except ValueError:
        if b"NaN" in line or b"Infinity" in line:  # no JSON, but what Python's own json writes
            return json.loads(line)
        raise


def _pieces(path: Path, max_bytes: int, columns: int, rows: int) -> Iterator[pa.Table]:
    seen: set[str] = set()
    with opened(path, max_bytes) as stream:
        objects = _objects(stream)
        lines = (_flat(row, number) for number, row in objects if number > 1 or not _is_header(row))
        while piece := _piece(lines, rows):
            table = _table(piece)
            seen.update(table.column_names)
            if len(seen) > columns:
                raise ValueError(f"its lines name more than {columns:,} columns")
            yield table


def _piece(lines: Iterator[dict[str, Any]], rows: int) -> list[dict[str, Any]]:
    piece: list[dict[str, Any]] = []
    names: set[str] = set()
    for line in islice(lines, rows):
        piece.append(line)
        names.update(line)
        if len(names) * len(piece) > _CELLS:
            break
    return piece


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = [_array([row.get(name) for row in rows]) for name in names]
    return pa.Table.from_arrays(arrays, names=names)


def _array(values: list[Any]) -> pa.Array:
    """The narrowest type that holds all values; text where they are of several kinds."""
    types = {type(value) for value in values} - {type(None)}
    if types <= {bool} or types <= {str}:
        return pa.array(values, TEXT if str in types else pa.bool_() if types else pa.null())
    if types <= {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pa.array(values, pa.int64())
    if types <= {int, float} and float in types:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([v if v is None or isinstance(v, str) else as_json(v) for v in values], TEXT)
