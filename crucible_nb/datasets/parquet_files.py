"""Plan the units of Parquet files from their footers: rows, schema, times, copies; no row is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from crucible_nb.datasets.schema import Schema
from crucible_nb.datasets.units import ParquetUnit, Span, naming, open_file
from crucible_nb.errors import CrucibleError, StoreError
from crucible_nb.events.dtypes import is_text
from crucible_nb.utils.instants import nanoseconds

UNIT = 1_000_000
"""Least rows of a unit, where row groups allow it: a tenth of a second of work."""

_TAIL = 1 << 16
_FOOTERS = 16  # read at a time


@dataclass(frozen=True)
class File:
    """A Parquet file of a dataset.

    Attributes:
        name: Name in messages.
        path: Path in its filesystem.
        keys: Values of columns that the names of its folders give.
    """

    name: str
    path: str
    keys: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Footer:
    """Facts from the footer of a file.

    Attributes:
        file: The file.
        metadata: Metadata of Parquet.
        schema: Schema of Arrow.
        size: Size in bytes.
        digest: Hash of the end of the file, where the metadata are.
    """

    file: File
    metadata: Any
    schema: Any
    size: int
    digest: bytes


class Bad(dict[str, str]):
    """Parts that could not be read, by name, and why."""


def read_footers(files: Sequence[File], filesystem: Any, errors: str) -> tuple[list[Footer], Bad]:
    """Read the footers of files, some at a time.

    Args:
        files: The files.
        filesystem: Filesystem of Arrow; None for local files.
        errors: "raise", or "skip" to leave bad files out.

    Returns:
        The footers in order of the files, without copies; and what was left out.

    Raises:
        StoreError: A file is no Parquet file, or a copy of another one.
    """
    bad, footers = Bad(), list[Footer]()
    with ThreadPoolExecutor(_FOOTERS if filesystem is not None else 2) as pool:
        for file, found in zip(files, pool.map(lambda file: _footer(file, filesystem), files), strict=True):
            if isinstance(found, Footer):
                footers.append(found)
            elif errors == "raise":
                raise found
            else:
                bad[file.name] = str(found)
    copies = dict(_copies(footers, filesystem))
    if copies and errors == "raise":
        name, first = next(iter(copies.items()))
        raise StoreError(
            f"{name} is a copy of {first}, byte for byte: its rows would count twice; leave one of them out, or use "
            "errors='skip' to leave out later copies"
        )
    bad.update({name: f"a copy of {first}" for name, first in copies.items()})
    return [footer for footer in footers if footer.file.name not in copies], bad


def _footer(file: File, filesystem: Any) -> Footer | CrucibleError:
    import pyarrow.parquet as pq  # noqa: PLC0415  slow to import, and not every session needs it

    try:
        with naming(file.name), open_file(file.path, filesystem) as source:
            size = source.size()
            source.seek(max(0, size - _TAIL))
            digest = hashlib.blake2b(source.read(), digest_size=16).digest()
            with pq.ParquetFile(source) as parquet:
                return Footer(file, parquet.metadata, parquet.schema_arrow, size, digest)
    except CrucibleError as error:
        return error


def _copies(footers: Iterable[Footer], filesystem: Any) -> Iterator[tuple[str, str]]:
    """Yield each file that has the same bytes and folder names as an earlier one, and that one."""
    alike: dict[tuple[int, bytes, str], list[Footer]] = {}
    for footer in footers:
        same = alike.setdefault((footer.size, footer.digest, repr(sorted(footer.file.keys.items()))), [])
        if footer.metadata.num_rows:
            first = next((other for other in same if _same_bytes(other, footer, filesystem)), None)
            if first is not None:
                yield footer.file.name, first.file.name
                continue
        same.append(footer)


def _same_bytes(one: Footer, other: Footer, filesystem: Any) -> bool:
    return _content(one, filesystem) == _content(other, filesystem)


def _content(footer: Footer, filesystem: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    with open_file(footer.file.path, filesystem) as source:
        while block := source.read(1 << 20):
            digest.update(block)
    return digest.digest()


def plan(footers: Iterable[Footer], filesystem: Any, time: str | None) -> tuple[list[ParquetUnit], Schema]:
    """Divide files into units of whole row groups, of about a million rows.

    Args:
        footers: Footers of the files.
        filesystem: Filesystem of Arrow; None for local files.
        time: Column of times, whose statistics tell which units have times in common.

    Returns:
        The units in order of the files, and the schema of all files.
    """
    units, schema = list[ParquetUnit](), Schema()
    for footer in footers:
        file, metadata = footer.file, footer.metadata
        fields = [one for one in footer.schema if not one.name.startswith("_")]
        schema.see(file.name, [*fields, *(pa.field(key, pa.scalar(value).type) for key, value in file.keys.items())])
        texts = frozenset(_dictionary_columns(footer))
        groups = list(_groups(metadata))
        for numbers in groups:
            name = file.name if len(groups) == 1 else f"{file.name} row groups {numbers[0]} to {numbers[-1]}"
            units.append(
                ParquetUnit(
                    name=name,
                    path=file.path,
                    groups=tuple(numbers),
                    rows=sum(metadata.row_group(number).num_rows for number in numbers),
                    size=footer.size,
                    span=_span(footer, numbers, time),
                    filesystem=filesystem,
                    texts=texts,
                    keys=file.keys,
                )
            )
    return units, schema


def _groups(metadata: Any) -> Iterator[list[int]]:
    """Yield numbers of consecutive row groups of together at least `UNIT` rows, fewer at the end."""
    some, rows = list[int](), 0
    for number in range(metadata.num_row_groups):
        some.append(number)
        rows += metadata.row_group(number).num_rows
        if rows >= UNIT:
            yield some
            some, rows = [], 0
    if some:
        yield some


def _dictionary_columns(footer: Footer) -> list[str]:
    """Return the text columns to read as dictionaries; Arrow cannot do it for delta encodings."""
    metadata = footer.metadata
    delta = {
        column.path_in_schema
        for group in map(metadata.row_group, range(metadata.num_row_groups))
        for column in map(group.column, range(group.num_columns))
        if any(encoding.startswith("DELTA") for encoding in column.encodings)
    }
    return [one.name for one in footer.schema if is_text(one.type) and one.name not in delta]


def _span(footer: Footer, groups: Sequence[int], time: str | None) -> Span | None:
    """Return first and last time of row groups by their statistics; None if these do not tell."""
    index = footer.schema.get_field_index(time) if time is not None else -1
    if index < 0 or not pa.types.is_timestamp(footer.schema.field(index).type):
        return None
    edges = []
    for number in groups:
        group = footer.metadata.row_group(number)
        place = next((j for j in range(group.num_columns) if group.column(j).path_in_schema == time), None)
        if place is None or group.column(place).physical_type != footer.metadata.schema.column(place).physical_type:
            return None  # reading statistics that contradict the schema would abort the process
        found = group.column(place).statistics
        if found is None or not found.has_min_max or not found.has_null_count or found.null_count:
            return None
        with suppress(ValueError, OverflowError):
            edges.append((nanoseconds(found.min), nanoseconds(found.max)))
            continue
        return None
    return (min(first for first, _ in edges), max(last for _, last in edges)) if edges else None
