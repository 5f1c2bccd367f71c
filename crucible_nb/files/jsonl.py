"""JSON lines: one object per row; the header of files written by crucible_nb is in a side file."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crucible_nb.files.columns import TEXT, as_json, to_tables
from crucible_nb.files.csv import iso
from crucible_nb.files.disk import open_text, too_large
from crucible_nb.files.guess import guess, kind_of_values
from crucible_nb.files.layout import KEY, Layout, unpack
from crucible_nb.files.side import read_side
from crucible_nb.files.source import Source
from crucible_nb.utils.checks import text_of

_MAX_LINE = 1 << 30  # bytes of one line
_MAX_COLUMNS = 16_384  # named by all lines of a foreign file together
_MAX_CELLS = 1 << 22  # of one chunk, for lines that each have other columns
_ROWS = 16_384
_PIECE = 256
_EXACT = 2**53


def write(frame: pd.DataFrame, layout: Layout, stream: BinaryIO) -> None:
    """Write the frame as JSON lines; without rows a blank line, since empty files are refused."""
    if not len(frame):
        stream.write(b"\n")
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
    """Open JSON lines or a JSON array, plain or gzipped.

    With a side file they were written by crucible_nb; in its first builds the header was the first line instead.
    """
    layout, facts = read_side(path)
    if layout is None:
        with open_text(path, max_bytes) as stream:
            number, first, _ = next(_objects(stream, max_bytes), (0, {}, b""))
        if not number:
            raise ValueError("it has no rows")
        if number == 1 and _is_header(first):
            layout, facts = unpack(first[KEY])
    max_columns = max(_MAX_COLUMNS, len(layout.columns) if layout else 0)
    chunks = partial(_chunks, path, max_bytes, max_columns)
    return Source(chunks, _guess, layout, facts)


def _guess(tables: Iterable[pa.Table], ours: Collection[str], _columns: Collection[str] | None = None) -> Layout:
    return guess(tables, ours, kind_of_values)


def _is_header(line: dict[str, Any]) -> bool:
    return line.keys() == {KEY} and isinstance(line[KEY], dict) and "version" in line[KEY]


def _objects(stream: BinaryIO, max_bytes: int) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    """Yield the number of each line or item, its object, and its text (of a line); ValueError names another value."""
    number, begun = 0, False
    while line := stream.readline(_MAX_LINE + 1):
        number += 1
        if len(line) > _MAX_LINE:
            raise ValueError(f"line {number} is longer than {_MAX_LINE >> 20} MiB")
        text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if not text:
            continue
        if not begun:
            begun = True
            document = _document(text, stream, max_bytes)
            if document is not None:
                yield from document
                return
        try:
            value = orjson.loads(text)
        except ValueError:
            value = None
        yield number, value if type(value) is dict else _object(text, number), text


def _document(first: bytes, stream: BinaryIO, max_bytes: int) -> list[tuple[int, dict[str, Any], bytes]] | None:
    """Return the rows of a file that is one JSON value, not lines: an array, or an object over several lines."""
    if first.startswith(b"{"):
        with suppress(ValueError, RecursionError):
            _parse(first)
            return None
    elif not first.startswith(b"["):
        return None
    rest = stream.read(max_bytes + 1)
    if len(rest) > max_bytes:
        raise ValueError(too_large(max_bytes))
    try:
        value = _parse_document(first + b"\n" + rest)
    except (ValueError, RecursionError):
        _object(first, 1)  # raises the error of the line if that is broken
        raise
    rows = value if isinstance(value, list) else _rows_in(value)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"item {number} of its array: expected an object, got {type(row).__name__}")  # noqa: TRY004
    return [(number, row, b"") for number, row in enumerate(rows, 1)]


def _rows_in(value: dict[str, Any]) -> list[Any]:
    """Return the only list of objects in an object, such as {"results": [...]}; else the object is one row."""
    lists = [part for part in value.values() if isinstance(part, list) and part and isinstance(part[0], dict)]
    return lists[0] if len(lists) == 1 else [value]


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        value = _parse(line)
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, got {type(value).__name__}")
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"line {number}: {error}") from error
    return value


_LONG = re.compile(rb"[0-9]{20}")


def _parse_document(text: bytes) -> Any:
    """Parse a whole file, with integers beyond 64 bits, which orjson reads as floats."""
    return _clean(json.loads(text)) if _LONG.search(text) else _parse(text)


def _parse(text: bytes) -> Any:
    """Parse JSON; also what Python's json module writes beyond it: NaN, infinity and lone surrogates."""
    try:
        return orjson.loads(text)
    except ValueError:
        if b"NaN" in text or b"Infinity" in text or b"\\u" in text:
            return _clean(json.loads(text))
        raise


def _clean(value: Any) -> Any:
    """Escape the lone surrogates in texts, as records do."""
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return {text_of(name): _clean(item) for name, item in value.items()} if isinstance(value, dict) else value


def _chunks(
    path: Path, max_bytes: int, max_columns: int, rows: int, columns: Collection[str] | None = None
) -> Iterator[pa.Table]:
    names: set[str] = set()
    with open_text(path, max_bytes) as stream:
        lines = _lines(stream, max_bytes, columns)
        while chunk := _next_chunk(lines, rows):
            table = chunk.table()
            names.update(table.column_names)
            if len(names) > max_columns:
                raise ValueError(f"its lines name more than {max_columns:,} columns")
            yield table


Line = tuple[int, dict[str, Any], bytes]
"""Number of a line or item, its object, and the text of a line."""


def _lines(stream: BinaryIO, max_bytes: int, columns: Collection[str] | None) -> Iterator[Line]:
    """Return the lines that are rows, with the chosen fields."""
    lines = _objects(stream, max_bytes)
    for number, row, text in islice(lines, 1):
        if number > 1 or not _is_header(row):
            lines = chain([(number, row, text)], lines)
    if columns is None:
        return lines
    return ((number, {name: row[name] for name in columns if name in row}, text) for number, row, text in lines)


class _Chunk:
    """Consecutive lines, field by field.

    Attributes:
        numbers: Number of each line.
        texts: Text of each line.
        values: Values by field, in order of appearance; None where a line lacks the field.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.texts: list[bytes] = []
        self.values: dict[str, list[Any]] = {}

    def add(self, rows: Sequence[dict[str, Any]], names: Collection[str], *, alike: bool) -> None:
        """Add objects with these fields at most; `alike` tells that each has all of them, in this order."""
        columns: Iterable[Iterable[Any]]
        if alike:
            columns = zip(*map(dict.values, rows), strict=True)
        else:
            columns = ([row.get(name) for row in rows] for name in names)
        before = len(self.numbers) - len(rows)
        for name, values in zip(names, columns, strict=True):
            if name not in self.values:
                self.values[name] = [None] * before
            self.values[name].extend(values)

    def table(self) -> pa.Table:
        """Return the values as columns of their narrowest types."""
        arrays = [self._array(name, values) for name, values in self.values.items()]
        return pa.Table.from_arrays(arrays, names=list(self.values))

    def _array(self, name: str, values: Sequence[Any]) -> pa.Array:
        """Convert values to the narrowest common type; nested values become JSON text, mixed types text."""
        types = set(map(type, values)) - {type(None)}
        if types <= {bool} or types <= {str}:
            return pa.array(values, TEXT if str in types else pa.bool_() if types else pa.null())
        if types <= {int}:
            with suppress(OverflowError, pa.ArrowInvalid):  # beyond int64
                return pa.array(values, pa.int64())
        if types <= {int, float} and float in types:
            floats = values if int not in types else [None if value is None else float(value) for value in values]
            array = pa.array(floats, pa.float64())
            if not pc.any(pc.greater_equal(pc.abs(array), float(_EXACT))).as_py():
                return array
            values = _exact(name, values, self.texts)
            if not any(type(value) is int and abs(value) > _EXACT for value in values):
                return array
        lines = zip(values, self.numbers, self.texts, strict=True)
        return pa.array([_as_text(name, value, number, text) for value, number, text in lines], TEXT)


def _next_chunk(lines: Iterator[Line], rows: int) -> _Chunk | None:
    """Return the next lines; None after the last one."""
    chunk, piece = _Chunk(), list[dict[str, Any]]()
    names: dict[str, None] = {}
    shapes: set[tuple[str, ...]] = set()  # most lines have the fields of an earlier one
    for number, row, text in islice(lines, rows):
        chunk.numbers.append(number)
        chunk.texts.append(text)
        piece.append(row)
        shape = tuple(row)
        if shape not in shapes:
            shapes.add(shape)
            names.update(dict.fromkeys(shape))
        if len(names) * len(chunk.numbers) > _MAX_CELLS:
            break
        if len(piece) == _PIECE:  # objects that live shortly keep the garbage collector from looking at all of them
            chunk.add(piece, names, alike=len(shapes) == 1)
            piece = []
    if piece:
        chunk.add(piece, names, alike=len(shapes) == 1)
    return chunk if chunk.numbers else None


def _as_text(name: str, value: Any, number: int, text: bytes) -> str | None:
    if value is None or isinstance(value, str):
        return value
    try:
        if isinstance(value, (dict, list)) and _LONG.search(text):
            value = _parse_document(text)[name]
        return as_json(value)
    except TypeError as error:  # nested deeper than orjson can write
        raise ValueError(f"line {number}: {error}") from error


def _exact(name: str, values: Sequence[Any], texts: Sequence[bytes]) -> list[Any]:
    """Return the values with the integers beyond 64 bits, which orjson reads as floats."""
    exact = list(values)
    for place, (value, text) in enumerate(zip(values, texts, strict=True)):
        if type(value) is float and abs(value) >= 2**63 and text:
            with suppress(ValueError, RecursionError):
                exact[place] = json.loads(text)[name]
    return exact
