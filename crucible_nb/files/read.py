"""Read files into frames: files of crucible_nb exactly as written, foreign ones as mapped by the caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from crucible_nb.errors import ConfigError
from crucible_nb.files import csv, jsonl, parquet, spans, zipped
from crucible_nb.files.columns import MisfitError, to_frame
from crucible_nb.files.dialect import Dialect, dialect
from crucible_nb.files.disk import MAX_BYTES, as_path, reading, source_format, too_large
from crucible_nb.files.layout import Layout
from crucible_nb.files.misfits import Misfits, add_misfits, warn_of_misfits
from crucible_nb.files.shaping import Shaping, shaping
from crucible_nb.files.source import Source
from crucible_nb.utils import checks

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
    columns: Sequence[str] | None = None,
    sep: str | None = None,
    decimal: str = ".",
    header: Any = "infer",
    names: Sequence[str] | None = None,
    na_values: Any = None,
    comment: str | None = None,
) -> pd.DataFrame:
    r"""Read a file of events: a file of crucible_nb equal to what was written, a foreign one as you map it.

    Values that do not fit a column of the schema (`total_tokens` of 66383.4) are kept in `metadata`, with a warning.

    Args:
        path: A .parquet, .csv, .tsv, .jsonl or .json file (also .gz), or a .zip written by `archive`; of another
            suffix the content tells. JSON may be lines or an array of objects. OpenTelemetry spans (OTLP bodies in
            protobuf or JSON, lists of the Python SDK) become events, see `cr.capture.from_otel`.
        map: New columns by name: expressions on the file's columns as text (`"latency_s * 1000"`; nested fields by
            their path, `"usage.prompt_tokens"`; `"null if status == 'PENDING' else status == 'OK'"`; names that are
            not Python names in backticks), or callables that take the frame. The file's own columns stay.
        time: Column or path that becomes the index `time`: datetimes (naive means UTC), ISO text, or numbers in `unit`
            since `origin`. None uses the file's own index, else a column of a usual name (`time`, `timestamp`,
            `created_at`, ...) with times, else a RangeIndex.
        event: Column or path with the event names, or one name for all rows.
        unit: Unit of a numeric time: "s", "ms", "us" or "ns".
        origin: Zero of a numeric time: datetime, ISO text or UTC nanoseconds; None for 1970.
        where: Rows to keep: a condition as text (`"release == 'v8' and latency_s > 1"`) or a callable that takes the
            frame, on the file's columns and those of `map`.
        format: "parquet", "csv", "jsonl", "json", "zip" or "otlp", for a path with another suffix.
        max_bytes: Maximum size in memory; larger files are refused.
        columns: Columns of the file to keep; others are read only where `map`, `where`, `time` or `event` name them.
        sep: Separator of a CSV; None infers comma, semicolon, tab or bar.
        decimal: Decimal mark of a CSV, "." or ",".
        header: Line of a CSV with the names, from 0; None without one; "infer": the first unless `names` are given.
        names: Names of the columns of a CSV.
        na_values: Further words for missing values in a CSV, in any column; those of pandas are known in columns of
            numbers and booleans.
        comment: Character at the beginning of lines of a CSV that are skipped.

    Returns:
        A frame. Columns with standard names have the dtypes of `events.schema`; others are float64, int64, Int64 (with
        missing values), bool, boolean, text, category or UTC datetimes. Nested values become JSON text; UUIDs, times
        of day, bytes (hexadecimal unless they are UTF-8), integers beyond 64 bits and times beyond nanoseconds text.

    Raises:
        StoreError: The file is missing, corrupt, unsafe or too large.
        SchemaError: `map`, `where` or `time` names a missing column.
        ConfigError: An argument is not accepted.

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
    given = dialect(sep, decimal, header, names, na_values, comment)
    mapping = shaping(map, where, event=event, time=time, unit=unit, origin=origin, kept=columns)
    file, limit = as_path(path), checks.whole("max_bytes", max_bytes, ge=1)
    with reading(file):
        source = _open(file, format, limit, given)
        read = mapping.read(source.names)
        tables = list(_check_size(_check_count(source, _ROWS, read), limit))
        layout = _layout(source, tables, mapping, read)
        frame, misfits = _frame(tables, layout, limit)
    warn_of_misfits(str(file), misfits)
    with reading(file, MisfitError):
        frame = mapping.rows(frame)
        return _resolve(mapping, frame, source).timed(frame)


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
    gaps: bool = False,
    max_bytes: int = MAX_BYTES,
    columns: Sequence[str] | None = None,
    sep: str | None = None,
    decimal: str = ".",
    header: Any = "infer",
    names: Sequence[str] | None = None,
    na_values: Any = None,
    comment: str | None = None,
) -> Iterator[pd.DataFrame]:
    r"""Read a file of events chunk by chunk, in bounded memory; together the chunks equal the result of `load`.

    A foreign CSV or JSONL file is read twice, so that every chunk has the dtypes of the whole. Only the categories of
    a foreign file differ between chunks.

    Args:
        path, event, unit, origin, format, columns, sep, decimal, header, names, na_values, comment: As in `load`.
        map, where: As in `load`; callables see one chunk at a time.
        time: As in `load`; decided by the first chunk.
        chunk_rows: Maximum number of rows of the file per chunk.
        gaps: Whether rows may lack a time in a column that is found by its name; `attrs["untimed"]` of the chunks says
            why columns with such names hold no times.
        max_bytes: Maximum size in memory of a compressed file, and of a chunk.

    Yields:
        Frames of at least one row, in the order of the file.

    Raises:
        StoreError: As in `load`; an error late in a file is raised late.
        SchemaError, ConfigError: As in `load`.

    Examples:
        >>> import pathlib, tempfile
        >>> from crucible_nb.files import iter_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "numbers.csv")
        ...     _ = path.write_text("n\n1\n2\n3\n")
        ...     [chunk["n"].tolist() for chunk in iter_table(path, chunk_rows=2)]
        [[1, 2], [3]]
    """
    given = dialect(sep, decimal, header, names, na_values, comment)
    mapping = shaping(map, where, event=event, time=time, unit=unit, origin=origin, kept=columns, gaps=gaps)
    file, limit = as_path(path), checks.whole("max_bytes", max_bytes, ge=1)
    rows = checks.whole("chunk_rows", chunk_rows, ge=1)
    return _mapped_chunks(file, partial(_open, file, format, limit, given), limit, rows, mapping)


def _mapped_chunks(
    file: Path, opened: Callable[[], Source], limit: int, rows: int, mapping: Shaping
) -> Iterator[pd.DataFrame]:
    with reading(file):
        source = opened()
        read = mapping.read(source.names)
        deciding = read if source.deciding is None else [name for name in source.deciding if name in (read or (name,))]
        layout = _layout(source, source.chunks(rows, deciding), mapping, read)
    resolved: Shaping | None = None
    misfits: Counter[str] = Counter()
    for chunk, cells in _frames(file, source, layout, rows, limit, read):
        misfits += cells
        with reading(file, MisfitError):
            frame = mapping.rows(chunk)
            if len(frame):
                if resolved is None:
                    resolved = _resolve(mapping, frame, source)
                frame = resolved.timed(frame)
        if len(frame):
            yield frame
    warn_of_misfits(str(file), misfits)


def _frames(
    file: Path, source: Source, layout: Layout, rows: int, limit: int, read: Sequence[str] | None
) -> Iterator[tuple[pd.DataFrame, Counter[str]]]:
    with reading(file):
        for table in _check_count(source, rows, read):
            yield _frame([table], layout, limit)


def _layout(source: Source, tables: Iterable[pa.Table], mapping: Shaping, read: Sequence[str] | None) -> Layout:
    """Return the layout of the columns that are read; SchemaError if a chosen one is missing."""
    layout = source.layout or source.guess(tables, mapping.columns, read)
    if read is not None and source.layout is not None:
        wanted = {layout.index, *read}
        layout = replace(layout, columns=tuple(column for column in layout.columns if column.name in wanted))
    if mapping.kept is not None:
        files = [name for name in mapping.kept if name not in mapping.columns]
        checks.columns("columns", files, source.names or layout.names)
    return layout


def _frame(tables: list[pa.Table], layout: Layout, limit: int) -> tuple[pd.DataFrame, Counter[str]]:
    """Convert tables; of a foreign file, cells that do not fit their column are moved to `metadata` and counted."""
    if layout.rows is not None:
        return to_frame(tables, layout, limit), Counter()
    found = [Misfits() for _ in tables]
    frame = to_frame(tables, layout, limit, [misfits.fitted for misfits in found])
    return add_misfits(frame, found, [table.num_rows for table in tables])


def _check_count(source: Source, rows: int, read: Sequence[str] | None) -> Iterator[pa.Table]:
    """Yield the chunks; after the last, raise ValueError if rows are missing."""
    count = 0
    columns = read if read is None or source.layout is None else [*read, *filter(None, [source.layout.index])]
    for table in source.chunks(rows, columns):
        count += table.num_rows
        yield table
    if source.layout is not None and source.layout.rows != count:
        raise ValueError(f"it has {count:,} rows but its header says {source.layout.rows:,}: cut short or edited")


def _check_size(tables: Iterator[pa.Table], limit: int) -> Iterator[pa.Table]:
    """Yield the tables; ValueError when together they exceed the limit. Dictionaries are counted when decoded."""
    size = 0
    for table in tables:
        size += sum(values.nbytes for values in table.columns if not pa.types.is_dictionary(values.type))
        if size > limit:
            raise ValueError(too_large(limit))
        yield table


def _resolve(mapping: Shaping, frame: pd.DataFrame, source: Source) -> Shaping:
    """Find the index of a foreign file; a file of crucible_nb has the index it was written with."""
    return mapping if source.layout else mapping.settled(frame, source.index)


def read_facts(path: Any) -> dict[str, Any]:
    """Read the experiment facts in a file of crucible_nb.

    Args:
        path: As in `load`.

    Returns:
        The `facts` given when the file was written; empty for a foreign file.

    Raises:
        StoreError: The file is missing or corrupt.

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


def _open(file: Path, format: str | None, limit: int, given: Dialect | None = None) -> Source:
    found = source_format(file, format)
    if found == "csv":
        return csv.source(file, limit, given)
    if given is not None:
        raise ConfigError(f"sep, decimal, header, names, na_values and comment are for CSV files; this is {found!r}")
    sources = {"parquet": parquet.source, "jsonl": jsonl.source, "zip": zipped.source, "otlp": spans.source}
    return sources[found](file, limit)
