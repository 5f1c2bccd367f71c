"""CSV: text cells, `""` for an empty text, nothing for a missing value; the header is in a JSON file beside it.

References:
    OWASP, "CSV Injection": cells that begin with = + - @ tab or carriage return run as formulas.
    RFC 4180, "Common Format and MIME Type for Comma-Separated Values (CSV) Files".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from crucible_nb.files.columns import TEXT, to_tables
from crucible_nb.files.disk import open_text
from crucible_nb.files.guess import guess, kind_of_text
from crucible_nb.files.layout import KEY, Layout, unpack
from crucible_nb.files.source import Source

_BLOCK = 32 << 20  # bytes parsed at a time; a row must fit
_ROWS = 65_536
_MAX_COLUMNS = 16_384  # of a foreign file; Arrow allocates memory for each before it reads a row
_FORMULA = r"^[=+\-@\t\r']"
_ESCAPED = r"^'([=+\-@\t\r'])"


def side_path(path: Path) -> Path:
    """Return the path of the JSON file beside a CSV."""
    return path.with_name(path.name + ".json")


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
    return pc.replace_substring_regex(texts, _ESCAPED, r"\1", max_replacements=1)


def source(path: Path, max_bytes: int) -> Source:
    """Open a CSV, plain or gzipped; with a side file it was written by crucible_nb.

    Without a side file the apostrophe before a formula is removed as well, as spreadsheets do.
    """
    layout, facts = _side(side_path(path))
    chunks = partial(_chunks, path, max_bytes, layout)
    return Source(chunks, partial(guess, kind_of=kind_of_text), layout, facts)


def _side(path: Path) -> tuple[Layout | None, dict[str, Any]]:
    if not path.is_file():
        return None, {}
    try:
        beside = orjson.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"the file beside it, {path.name!r}, is not JSON ({error})") from error
    return unpack(beside[KEY]) if isinstance(beside, dict) and KEY in beside else (None, {})


def _chunks(path: Path, max_bytes: int, layout: Layout | None, rows: int) -> Iterator[pa.Table]:
    escaped = layout is None or layout.escaped
    max_columns = _MAX_COLUMNS if layout is None else max(_MAX_COLUMNS, len(layout.columns))
    names = _read_names(path, max_bytes, max_columns)
    unescaped = _unescape_names(names, escaped)
    if layout is not None and unescaped != layout.names:
        raise ValueError(f"its columns are not those listed in {side_path(path).name!r}")
    texts = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(names, TEXT),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    with open_text(path, max_bytes) as stream, arrow_csv.open_csv(stream, *_options(), texts) as reader:
        for batch in reader:
            columns = [_check_cells(cells, layout is None, escaped) for cells in batch.columns]
            table = pa.Table.from_arrays(columns, names=unescaped)
            yield from (table.slice(start, rows) for start in range(0, table.num_rows, rows))


def _options() -> tuple[Any, Any]:
    return (
        arrow_csv.ReadOptions(block_size=_BLOCK),
        arrow_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
    )


def _read_names(path: Path, max_bytes: int, max_columns: int) -> list[str]:
    with open_text(path, max_bytes) as stream:
        commas = 0
        for mark in re.finditer(rb'"[^"]*"|[,\r\n]', stream.read(_BLOCK)):
            if mark[0] in b"\r\n":
                break
            commas += mark[0] == b","
            if commas >= max_columns:
                raise ValueError(f"its header names more than {max_columns:,} columns")
    with open_text(path, max_bytes) as stream, arrow_csv.open_csv(stream, *_options()) as reader:
        return list(reader.schema.names)


def _unescape_names(names: list[str], escaped: bool) -> list[str]:
    array = pa.array(names, TEXT)
    unescaped: list[str] = (_unescape(array) if escaped else array).to_pylist()
    duplicates = [name for name, times in Counter(unescaped).items() if times > 1]
    if duplicates:
        raise ValueError(f"the column name {min(duplicates)!r} occurs more than once")
    return unescaped


def _check_cells(cells: pa.Array, foreign: bool, escaped: bool) -> pa.Array:
    if foreign and pc.any(pc.match_substring(cells, "\0")).as_py():
        raise ValueError("it contains NUL characters: binary data, not text")
    return _unescape(cells) if escaped else cells
