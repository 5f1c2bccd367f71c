"""Parquet files: zstd compression, page checksums, the header in the schema's metadata."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

import orjson
import pandas as pd
import pyarrow as pa

from crucible_nb.errors import CrucibleWarning
from crucible_nb.events.dtypes import is_text
from crucible_nb.files.columns import to_table
from crucible_nb.files.disk import too_large
from crucible_nb.files.guess import Guess, depends_on_values, is_certain, kind_of_type, kind_of_values
from crucible_nb.files.layout import KEY, Layout, unpack
from crucible_nb.files.source import Source

_GROUP = 131_072  # rows of a row group


def write(
    frame: pd.DataFrame, layout: Layout, header: bytes, stream: BinaryIO, more: Mapping[bytes, bytes] | None = None
) -> None:
    """Write the frame as Parquet, with pandas' own metadata, so that `pd.read_parquet` can read the frame too."""
    import pyarrow.parquet  # noqa: PLC0415  slow to import, and not every session needs it

    bare = frame.iloc[:0].rename_axis(index=layout.index)
    bare.attrs.clear()
    bare.attrs.update(layout.attrs)
    metadata = {b"pandas": pa.Schema.from_pandas(bare).metadata[b"pandas"], KEY.encode(): header, **(more or {})}
    table = to_table(frame, layout).replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(
        table, stream, compression="zstd", write_page_checksum=True, row_group_size=_GROUP, version="2.6"
    )


def source(file: Any, max_bytes: int) -> Source:
    """Open a Parquet file, by path or as an Arrow buffer; ValueError if it expands to more than `max_bytes`."""
    import pyarrow.parquet  # noqa: PLC0415  slow to import, and not every session needs it

    with pyarrow.parquet.ParquetFile(_input(file)) as parquet:
        schema, metadata = parquet.schema_arrow, parquet.metadata
        if _expanded_size(metadata) > max_bytes:
            raise ValueError(too_large(max_bytes))
        header = (schema.metadata or {}).get(KEY.encode())
        layout, facts = (None, {}) if header is None else unpack(orjson.loads(header))
        gaps, texts = set[str](), [field.name for field in schema if is_text(field.type)]
        if layout is None:
            _open_every_column(parquet)
            gaps, texts = _gaps(metadata, set(schema.names)), _dictionary_columns(metadata, schema)
    if len(set(schema.names)) != len(schema.names):
        raise ValueError("a column name occurs more than once")
    if layout is not None and layout.names != schema.names:
        raise ValueError("its columns are not those listed in its crucible header")
    return Source(
        chunks=partial(_chunks, file, texts),
        guess=partial(_guess, schema, gaps),
        layout=layout,
        facts=facts,
        index=pandas_index(schema),
        names=tuple(schema.names),
        deciding=tuple(_uncertain(schema)),
    )


def _input(file: Any) -> Any:
    return pa.BufferReader(file) if isinstance(file, pa.Buffer) else file


def _open_every_column(parquet: Any) -> None:
    """Let Arrow read one row of each row group: reading the statistics of a corrupt column would abort the process.

    Files written by crucible_nb do not need it: their header lists missing values, and they use no delta encodings.
    """
    for group in range(parquet.metadata.num_row_groups):
        next(parquet.iter_batches(batch_size=1, row_groups=[group], use_threads=False), None)


def _expanded_size(metadata: Any) -> int:
    """Return the declared size in bytes: of the uncompressed pages, or 8 per value, whichever is larger."""
    pages = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return int(max(pages, 8 * metadata.num_rows * metadata.num_columns))


def _gaps(metadata: Any, names: set[str]) -> set[str]:
    """Return the top-level columns that may have missing values, according to the statistics."""
    gaps = set()
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        for j in range(group.num_columns):
            column = group.column(j)
            if column.physical_type != metadata.schema.column(j).physical_type:  # Arrow would abort the process below
                raise ValueError(f"its metadata contradicts its schema in column {j + 1}")
            counted = column.statistics is not None and column.statistics.has_null_count
            if not counted or column.statistics.null_count:
                path = column.path_in_schema  # a dot separates levels, unless it is part of the name
                gaps.add(path if path in names else path.partition(".")[0])
    return gaps


def _dictionary_columns(metadata: Any, schema: pa.Schema) -> list[str]:
    """Return the text columns to read as dictionaries: Arrow cannot do it for delta encodings."""
    delta = {
        column.path_in_schema
        for group in map(metadata.row_group, range(metadata.num_row_groups))
        for column in map(group.column, range(group.num_columns))
        if any(encoding.startswith("DELTA") for encoding in column.encodings)
    }
    return [field.name for field in schema if is_text(field.type) and field.name not in delta]


def _uncertain(schema: Iterable[pa.Field]) -> list[str]:
    """Return the columns whose values have to be looked at: their types alone do not say the kind, or not the fit."""
    return [
        field.name
        for field in schema
        if depends_on_values(field.type) or not is_certain(field.name, kind_of_type(field.type))
    ]


def _guess(
    schema: pa.Schema,
    gaps: set[str],
    pieces: Iterable[pa.Table],
    ours: Collection[str],
    columns: Collection[str] | None = None,
) -> Layout:
    """The schema says the kinds, but for columns that depend on their values."""
    fields = [field for field in schema if columns is None or field.name in columns]
    uncertain = _uncertain(fields)
    guessed = Guess(ours)
    for field in fields:
        kind = kind_of_type(field.type)
        guessed.see(field.name, "empty" if field.name in uncertain else kind)
        if kind == "none":
            message = f"column {field.name!r} is left out: nothing holds values of type {field.type}"
            warnings.warn(message, CrucibleWarning, stacklevel=2)
    for table in pieces if uncertain else ():
        for name in uncertain:
            guessed.see(name, kind_of_values(table[name]), table[name])
    return guessed.layout(gaps)


def pandas_index(schema: pa.Schema) -> str | None:
    """Return the datetime column that pandas' metadata (JSON) names as the only index; else None."""
    with suppress(ValueError, KeyError, TypeError):
        index = orjson.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        if len(index) == 1 and pa.types.is_timestamp(schema.field(index[0]).type):
            return str(index[0])
    return None


def _chunks(file: Any, texts: list[str], rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Read chunks, text as dictionaries: repeated long texts take only an index until they are decoded."""
    import pyarrow.parquet  # noqa: PLC0415  slow to import, and not every session needs it

    options = {"read_dictionary": texts, "page_checksum_verification": True, "pre_buffer": False}
    with pyarrow.parquet.ParquetFile(_input(file), **options) as parquet:
        for batch in parquet.iter_batches(batch_size=rows, use_threads=False, columns=columns):
            batch.validate(full=True)
            yield pa.Table.from_batches([batch])
