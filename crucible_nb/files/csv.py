"""CSV: text cells, `""` for an empty text, nothing for a missing value; the header is in a side file.

References:
    OWASP, "CSV Injection": cells that begin with = + - @ tab or carriage return run as formulas.
    RFC 4180, "Common Format and MIME Type for Comma-Separated Values (CSV) Files".
"""

from __future__ import annotations

import functools
import io
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from crucible_nb.files.columns import TEXT, to_tables, with_point
from crucible_nb.files.dialect import Dialect, infer_separator
from crucible_nb.files.disk import open_text
from crucible_nb.files.guess import guess, kind_of_text
from crucible_nb.files.layout import CommaColumn, Layout
from crucible_nb.files.side import read_side, side_path
from crucible_nb.files.source import Source
from crucible_nb.files.text_bytes import holds_any

_BLOCKS = (32 << 20, 256 << 20, 2**31 - 1)  # bytes parsed at a time; a row must fit, or the next size is tried
_HEAD = 1 << 16  # bytes in which the separator is looked for
_UNNAMED = "unnamed"
_ROWS = 65_536
_MAX_COLUMNS = 16_384  # of a foreign file; Arrow allocates memory for each before it reads a row
_FORMULA = r"^[=+\-@\t\r']"
_ESCAPED = r"^'([=+\-@\t\r'])"


def write(frame: pd.DataFrame, layout: Layout, stream: BinaryIO) -> None:
    """Write the frame as CSV; formulas are escaped if `layout.escaped`."""
    names = pa.array(layout.names, TEXT)
    schema = pa.schema([(name, TEXT) for name in (_escape(names) if layout.escaped else names).to_pylist()])
    with arrow_csv.CSVWriter(stream, schema) as writer:
        for table in to_tables(frame, layout, _ROWS):
            texts = [_cells(values, layout.escaped) for values in table.columns]
            writer.write_table(pa.Table.from_arrays(texts, schema=schema))


def _cells(values: pa.ChunkedArray, escaped: bool) -> pa.ChunkedArray:
    if pa.types.is_timestamp(values.type):
        return iso(values)
    if pa.types.is_large_string(values.type) or pa.types.is_dictionary(values.type):
        texts = values.cast(TEXT)
        return _escape(texts) if escaped else texts
    return values.cast(TEXT)


def iso(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Format times as ISO text with nanoseconds, e.g. 2025-01-01T00:00:00.000000001Z."""
    return pc.replace_substring(times.cast(TEXT), " ", "T", max_replacements=1)


def _escape(texts: Any) -> Any:
    formula = pc.match_substring_regex(texts, _FORMULA)
    return pc.if_else(formula, pc.binary_join_element_wise(pa.scalar("'", TEXT), texts, pa.scalar("", TEXT)), texts)


def _unescape(texts: Any) -> Any:
    if not holds_any(texts, b"'"):
        return texts
    return pc.replace_substring_regex(texts, _ESCAPED, r"\1", max_replacements=1)


def source(path: Path, max_bytes: int, dialect: Dialect | None = None) -> Source:
    """Open a CSV, plain or gzipped; with a side file, and no dialect given, it was written by crucible_nb.

    Without a side file the apostrophe before a formula is removed as well, as spreadsheets do.
    """
    layout, facts = read_side(path) if dialect is None else (None, {})
    given = dialect or Dialect()
    if layout is None and given.sep is None:
        given = replace(given, sep=_separator(path, max_bytes, given))
    file = _File(path, max_bytes, layout, given)
    return Source(
        file.chunks, partial(_guess, given.decimal), layout, facts, names=None if layout else tuple(file.names)
    )


def _guess(
    decimal: str, tables: Iterable[pa.Table], ours: Collection[str], _columns: Collection[str] | None = None
) -> Layout:
    if decimal == ",":
        tables = (
            pa.Table.from_arrays(list(map(with_point, table.columns)), names=table.column_names) for table in tables
        )
    layout = guess(tables, ours, kind_of_text, lambda name: name.startswith(_UNNAMED))
    if decimal == ",":
        numbers = ("float", "integer", "count")
        commas = (CommaColumn(c.name, c.kind) if c.kind in numbers else c for c in layout.columns)
        return replace(layout, columns=tuple(commas))
    return layout


def _separator(path: Path, max_bytes: int, dialect: Dialect) -> str:
    if ".tsv" in path.suffixes:
        return "\t"
    with open_text(path, max_bytes) as raw:
        head = _without_comments(raw, dialect.comment).read(_HEAD).decode("utf-8", "replace").removeprefix("\ufeff")
    lines = head.splitlines()[dialect.header or 0 :]
    return infer_separator([line for line in lines if line.strip()])


class _File:
    """A CSV that is read in blocks; a row that is longer than a block is read again in larger ones.

    Args:
        path: The file.
        max_bytes: Maximum size of the expanded text.
        layout: Layout of a file of crucible_nb; None for a foreign file.
        dialect: Dialect of a foreign file.
    """

    def __init__(self, path: Path, max_bytes: int, layout: Layout | None, dialect: Dialect) -> None:
        self._path, self._max_bytes, self._layout, self._dialect = path, max_bytes, layout, dialect
        self._escaped = layout is None or layout.escaped

    @functools.cached_property
    def names(self) -> list[str]:
        """Names of the columns; ValueError if one occurs more than once."""
        names = self._raw_names()
        array = pa.array(names, TEXT)
        unescaped: list[str] = (_unescape(array) if self._escaped else array).to_pylist()
        if self._layout is None:
            unescaped = _name_unnamed(unescaped)
        duplicates = [name for name, times in Counter(unescaped).items() if times > 1]
        if duplicates:
            raise ValueError(f"the column name {min(duplicates)!r} occurs more than once")
        if self._layout is not None and unescaped != self._layout.names:
            raise ValueError(f"its columns are not those listed in {side_path(self._path).name!r}")
        return unescaped

    def _raw_names(self) -> list[str]:
        if self._dialect.names is not None:
            return list(self._dialect.names)
        names = self._arrow_names
        return names if self._dialect.header is not None else [str(place) for place in range(len(names))]

    @functools.cached_property
    def _arrow_names(self) -> list[str]:
        """Names by which Arrow knows the columns."""
        allowed = max(_MAX_COLUMNS, 0 if self._layout is None else len(self._layout.columns))
        with self._text() as stream:
            _check_width(stream, self._dialect, allowed)
        for block in (1 << 20, *_BLOCKS):
            try:
                with self._text() as stream, self._reader(stream, block, None) as reader:
                    return list(reader.schema.names)
            except pa.ArrowInvalid as error:
                if "straddling" not in str(error) or block == _BLOCKS[-1]:
                    raise
        raise AssertionError

    def chunks(self, rows: int, columns: Collection[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows as text."""
        names = self.names
        places = [place for place, name in enumerate(names) if columns is None or name in columns]
        chosen = [names[place] for place in places]
        for batch in self._batches():
            cells = [_check_cells(batch.column(i), self._layout is None, self._escaped) for i in places]
            table = pa.Table.from_arrays(cells, names=chosen)
            yield from (table.slice(start, rows) for start in range(0, table.num_rows, rows))

    @contextmanager
    def _text(self) -> Iterator[Any]:
        with open_text(self._path, self._max_bytes) as stream:
            yield _without_comments(stream, self._dialect.comment)

    def _batches(self) -> Iterator[Any]:
        """Yield the rows as batches of text; from the row on that is longer than a block in larger blocks."""
        names, done = self._arrow_names, 0
        for block in _BLOCKS:
            begin = 0
            try:
                with self._text() as stream, self._reader(stream, block, names) as reader:
                    for batch in reader:
                        fresh = batch.slice(max(done - begin, 0))
                        begin += batch.num_rows
                        if fresh.num_rows:
                            done = begin
                            yield fresh
                return
            except pa.ArrowInvalid as error:
                if "straddling" not in str(error) or block == _BLOCKS[-1]:
                    raise

    def _reader(self, stream: Any, block: int, names: list[str] | None) -> Any:
        """Open Arrow's reader, all columns as text; without `names` it infers types, and only its names are used."""
        dialect = self._dialect
        skipped = 0 if dialect.header is None else dialect.header + (dialect.names is not None)
        read = arrow_csv.ReadOptions(
            block_size=block,
            skip_rows=skipped,
            column_names=dialect.names,
            autogenerate_column_names=dialect.header is None and dialect.names is None,
        )
        parse = arrow_csv.ParseOptions(
            delimiter=dialect.sep or ",", newlines_in_values=True, ignore_empty_lines=self._layout is None
        )
        texts = arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names or (), TEXT),
            null_values=["", *dialect.na_values],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        return arrow_csv.open_csv(stream, read, parse, texts)


def _check_width(stream: Any, dialect: Dialect, allowed: int) -> None:
    """Raise ValueError if the first line has too many cells."""
    marks, mark = 0, (dialect.sep or ",").encode()
    for found in re.finditer(rb'"[^"]*"|[%s\r\n]' % re.escape(mark), stream.read(_BLOCKS[0])):
        if found[0] in b"\r\n":
            break
        marks += found[0] == mark
        if marks >= allowed:
            raise ValueError(f"its header names more than {allowed:,} columns")


def _name_unnamed(names: list[str]) -> list[str]:
    """Give columns without a name one: `pd.DataFrame.to_csv` leaves out that of the index."""
    numbered = (_UNNAMED if number == 1 else f"{_UNNAMED}_{number}" for number in itertools.count(1))
    free = (name for name in numbered if name not in names)
    return [name or next(free) for name in names]


class _Uncommented(io.RawIOBase):
    """A stream without the lines that begin with a mark, outside of quotes."""

    def __init__(self, stream: Any, mark: bytes) -> None:
        self._stream, self._mark = stream, mark
        self._quoted = False
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            line = self._stream.readline()
            if not line:
                return 0
            if self._quoted or not line.startswith(self._mark):
                self._quoted ^= bool(line.count(b'"') % 2)
                self._rest = line
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _without_comments(stream: Any, mark: str | None) -> Any:
    return stream if mark is None else io.BufferedReader(_Uncommented(stream, mark.encode()), 1 << 16)


def _check_cells(cells: pa.Array, foreign: bool, escaped: bool) -> pa.Array:
    if foreign and holds_any(cells, b"\0"):
        raise ValueError("it contains NUL characters: binary data, not text")
    return _unescape(cells) if escaped else cells
