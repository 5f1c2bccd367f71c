"""Parquet: zstd, checksummed pages, the header in the schema's metadata."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

import orjson
import pandas as pd
import pyarrow as pa

from crucible_nb.files.columns import is_text, to_table
from crucible_nb.files.disk import too_large
from crucible_nb.files.guess import foreign, kind_of_type
from crucible_nb.files.layout import KEY, Layout, unpack
from crucible_nb.files.source import Source

_GROUP = 131_072  # rows of a row group


def write(
    frame: pd.DataFrame, layout: Layout, header: bytes, stream: BinaryIO, more: Mapping[bytes, bytes] | None = None
) -> None:
    """The frame as Parquet. pandas' own metadata goes along, so `pd.read_parquet` gives the frame as well."""
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
    """A Parquet file, by path or as an Arrow buffer reader; refused when it would expand beyond the cap."""
    import pyarrow.parquet  # noqa: PLC0415  slow to import, and not every session needs it

    with pyarrow.parquet.ParquetFile(_rewound(file)) as parquet:
        schema, metadata = parquet.schema_arrow, parquet.metadata
        if _expanded(metadata) > max_bytes:
            raise ValueError(too_large(max_bytes))
        header = (schema.metadata or {}).get(KEY.encode())
        layout, facts = (None, {}) if header is None else unpack(orjson.loads(header))
        gaps, texts = set[str](), [field.name for field in schema if is_text(field.type)]
        if layout is None:
            _tried(parquet)
            gaps, texts = _gaps(metadata, set(schema.names)), _dictionaries(metadata, schema)
    if len(set(schema.names)) != len(schema.names):
        raise ValueError("a column is there twice")
    if layout is not None and layout.names != schema.names:
        raise ValueError("its columns are not those of its crucible header")
    return Source(partial(_pieces, file, texts), partial(_guess, schema, gaps), layout, facts, _pandas_index(schema))


def _rewound(file: Any) -> Any:
    return pa.BufferReader(file) if isinstance(file, pa.Buffer) else file


def _tried(parquet: Any) -> None:
    """Have Arrow open every column: what its metadata says of a broken one is no exception but the end of the process.

    Files of ours need no look into it: they say themselves where they have gaps, and we write no delta encodings.
    """
    for group in range(parquet.metadata.num_row_groups):
        next(parquet.iter_batches(batch_size=1, row_groups=[group], use_threads=False), None)


def _expanded(metadata: Any) -> int:
    """Bytes that the file admits to: its pages unpacked, or a word for each value, whichever is more."""
    pages = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return int(max(pages, 8 * metadata.num_rows * metadata.num_columns))


def _gaps(metadata: Any, names: set[str]) -> set[str]:
    """The top-level columns that may have missing values, by the statistics."""
    gaps = set()
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        for j in range(group.num_columns):
            column = group.column(j)
            if column.physical_type != metadata.schema.column(j).physical_type:  # asked on, Arrow ends the process
                raise ValueError(f"its metadata contradicts its schema in column {j + 1}")
            counted = column.statistics is not None and column.statistics.has_null_count
            if not counted or column.statistics.null_count:
                path = column.path_in_schema  # a dot parts the levels, unless it belongs to the name
                gaps.add(path if path in names else path.partition(".")[0])
    return gaps


def _dictionaries(metadata: Any, schema: pa.Schema) -> list[str]:
    """The text columns to read as dictionaries: all but those in the delta encodings, which Arrow cannot read so."""
    delta = {
        column.path_in_schema
        for group in map(metadata.row_group, range(metadata.num_row_groups))
        for column in map(group.column, range(group.num_columns))
        if any(encoding.startswith("DELTA") for encoding in column.encodings)
    }
    return [field.name for field in schema if is_text(field.type) and field.name not in delta]


def _guess(schema: pa.Schema, gaps: set[str], pieces: Iterable[pa.Table], ours: Collection[str]) -> Layout:
    del pieces  # the schema says it all
    kinds = {field.name: (kind_of_type(field.type), field.name in gaps) for field in schema}
    return foreign(kinds, ours)


def _pandas_index(schema: pa.Schema) -> str | None:
    """The one datetime column that pandas' metadata (plain JSON) names as the index."""
    with suppress(ValueError, KeyError, TypeError):
        index = orjson.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        if len(index) == 1 and pa.types.is_timestamp(schema.field(index[0]).type):
            return str(index[0])
    return None


def _pieces(file: Any, texts: list[str], rows: int) -> Iterator[pa.Table]:
    """Text is read as dictionaries: a run of one long text costs its indices until someone spreads it out."""
    import pyarrow.parquet  # noqa: PLC0415  slow to import, and not every session needs it

    options = {"read_dictionary": texts, "page_checksum_verification": True, "pre_buffer": False}
    with pyarrow.parquet.ParquetFile(_rewound(file), **options) as parquet:
        for batch in parquet.iter_batches(batch_size=rows, use_threads=False):
            batch.validate(full=True)
            yield pa.Table.from_batches([batch])
