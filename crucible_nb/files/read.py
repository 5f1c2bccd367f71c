"""Files into frames: our own exactly as they were, foreign ones as the caller maps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from crucible_nb.files import csv, jsonl, parquet, zipped
from crucible_nb.files.columns import MisfitError, to_frame
from crucible_nb.files.disk import MAX_BYTES, as_path, reading, source_format, too_large
from crucible_nb.files.layout import Layout
from crucible_nb.files.shaping import Shaping, shaping
from crucible_nb.files.source import Source
from crucible_nb.utils import checks

_SOURCES = {"parquet": parquet.source, "csv": csv.source, "jsonl": jsonl.source, "zip": zipped.source}
_ROWS = 65_536


def load(
    path: Any,
    map: Mapping[str, Any] | None = None,
    time: str | None = None,
    event: str | None = None,
    *,
    unit: str | None = None,
    origin: Any = None,
    where: Any = None,
    format: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    r"""Read a file of events: one that crucible_nb wrote comes back equal, a foreign one as you map it.

    Args:
        path: A .parquet, .csv, .jsonl (both also .gz) or .zip of `archive`.
        map: New columns by name: arithmetic on the file's columns as text (`"latency_s * 1000"`; names that are no
            Python names in backticks), or callables that take the frame. The file's own columns stay.
        time: The column that becomes the index `time`: datetimes (naive means UTC), ISO text, or numbers counted in
            `unit` from `origin`. None takes the file's own index, else a column `time` or `timestamp` that holds
            times, else leaves a RangeIndex.
        event: A column that holds the event names, or one name for every row.
        unit: "s", "ms", "us" or "ns" of a numeric time.
        origin: Where a numeric time starts; datetime, ISO text or UTC nanoseconds, None for 1970.
        where: The rows to keep: a condition as text (`"release == 'v8' and latency_s > 1"`) or a callable that takes
            the frame. It sees the file's columns and those of `map`.
        format: "parquet", "csv", "jsonl" or "zip", for a path with another suffix.
        max_bytes: Refuse what expands to more than this in memory.

    Returns:
        A frame. Columns whose names crucible_nb knows have the dtypes of `events.schema`; others are float64,
        int64, Int64 (with gaps), bool, boolean, text, category or UTC datetimes. Nested values become JSON text.

    Raises:
        StoreError: The file is missing, broken, hostile or too large, or a value does not fit its column.
        SchemaError: `map`, `where` or `time` names a column that is not there.
        ConfigError: An argument is not what is accepted.

    Examples:
        >>> import pathlib, tempfile
        >>> from crucible_nb.files import load
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "calls.csv")
        ...     _ = path.write_text("at,seconds,kind\n0.5,1.25,chat\n2,0.5,embed\n")
        ...     calls = load(path, {"latency_ms": "seconds * 1000"}, "at", "kind", unit="s", origin="2025-01-01")
        >>> calls["latency_ms"].tolist(), calls["event"].tolist()
        ([1250.0, 500.0], ['chat', 'embed'])
        >>> calls.index[0]
        Timestamp('2025-01-01 00:00:00.500000+0000', tz='UTC')
    """
    wishes = shaping(map, where, event=event, time=time, unit=unit, origin=origin)
    file, most = as_path(path), checks.whole("max_bytes", max_bytes, ge=1)
    with reading(file):
        source = _open(file, format, most)
        tables = list(_held(_counted(source, _ROWS), most))
        layout = source.layout or source.guess(tables, wishes.columns)
        frame = to_frame(tables, layout, most)
    with reading(file, MisfitError):
        frame = wishes.rows(frame)
        return _settled(wishes, frame, source).timed(frame)


def iter_table(
    path: Any,
    *,
    map: Mapping[str, Any] | None = None,
    time: str | None = None,
    event: str | None = None,
    unit: str | None = None,
    origin: Any = None,
    where: Any = None,
    format: str | None = None,
    chunk_rows: int = _ROWS,
    max_bytes: int = MAX_BYTES,
) -> Iterator[pd.DataFrame]:
    r"""Read a file of events piece by piece, in bounded memory; the pieces together are what `load` gives.

    A foreign CSV or JSONL is gone through twice, so that every piece has the dtypes of the whole. Only the
    categories of a foreign file are each piece's own.

    Args:
        path: As for `load`.
        map: As for `load`; callables see one piece at a time.
        time: As for `load`; what the first piece shows holds for all.
        event: As for `load`.
        unit: As for `load`.
        origin: As for `load`.
        where: As for `load`; callables see one piece at a time.
        format: As for `load`.
        chunk_rows: At most this many rows of the file at a time.
        max_bytes: Refuse a compressed file, or a piece, that expands to more than this.

    Yields:
        Frames of at least one row, in the order of the file.

    Raises:
        StoreError: As for `load`; what is broken late in a file is found late.
        SchemaError: As for `load`.
        ConfigError: As for `load`.

    Examples:
        >>> import pathlib, tempfile
        >>> from crucible_nb.files import iter_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "numbers.csv")
        ...     _ = path.write_text("n\n1\n2\n3\n")
        ...     [piece["n"].tolist() for piece in iter_table(path, chunk_rows=2)]
        [[1, 2], [3]]
    """
    wishes = shaping(map, where, event=event, time=time, unit=unit, origin=origin)
    file, most = as_path(path), checks.whole("max_bytes", max_bytes, ge=1)
    rows = checks.whole("chunk_rows", chunk_rows, ge=1)
    return _shaped(file, format, most, rows, wishes)


def _shaped(file: Path, format: str | None, most: int, rows: int, wishes: Shaping) -> Iterator[pd.DataFrame]:
    with reading(file):
        source = _open(file, format, most)
        layout = source.layout or source.guess(source.pieces(rows), wishes.columns)
    settled: Shaping | None = None
    for piece in _frames(file, source, layout, rows, most):
        with reading(file, MisfitError):
            frame = wishes.rows(piece)
            if len(frame):
                settled = settled or _settled(wishes, frame, source)
                frame = settled.timed(frame)
        if len(frame):
            yield frame


def _frames(file: Path, source: Source, layout: Layout, rows: int, most: int) -> Iterator[pd.DataFrame]:
    with reading(file):
        for table in _counted(source, rows):
            yield to_frame([table], layout, most)


def _counted(source: Source, rows: int) -> Iterator[pa.Table]:
    """The pieces; after the last, ValueError unless they are all that was written."""
    found = 0
    for table in source.pieces(rows):
        found += table.num_rows
        yield table
    if source.layout is not None and source.layout.rows != found:
        raise ValueError(f"it holds {found:,} rows, its header tells of {source.layout.rows:,}: cut short or edited")


def _held(tables: Iterator[pa.Table], most: int) -> Iterator[pa.Table]:
    """The tables while they fit into memory together; dictionaries are shared and counted when they unfold."""
    held = 0
    for table in tables:
        held += sum(values.nbytes for values in table.columns if not pa.types.is_dictionary(values.type))
        if held > most:
            raise ValueError(too_large(most))
        yield table


def _settled(wishes: Shaping, frame: pd.DataFrame, source: Source) -> Shaping:
    """A file of ours has the index it was written with; in a foreign one it may have to be found."""
    return wishes if source.layout else wishes.settled(frame, source.index)


def read_facts(path: Any) -> dict[str, Any]:
    """The experiment facts that a file of ours carries.

    Args:
        path: As for `load`.

    Returns:
        What was given as `facts` when the file was written; empty for a foreign file.

    Raises:
        StoreError: The file is missing or broken.

    Examples:
        >>> import tempfile
        >>> import pandas as pd
        >>> from crucible_nb.files import read_facts, write_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     read_facts(write_table(pd.DataFrame({"loss": [0.5]}), f"{folder}/run.jsonl", facts={"name": "demo"}))
        {'name': 'demo'}
    """
    file = as_path(path)
    with reading(file):
        return _open(file, None, MAX_BYTES).facts


def _open(file: Path, format: str | None, most: int) -> Source:
    return _SOURCES[source_format(file, format)](file, most)
