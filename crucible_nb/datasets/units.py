"""Units of a dataset: rows that one worker reads in one go, from Parquet files, frames or other tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import pandas as pd
import pyarrow as pa

from crucible_nb.datasets.batches import Batch
from crucible_nb.errors import ConfigError, CrucibleError, StoreError
from crucible_nb.files.disk import reason
from crucible_nb.utils.interrupts import let_pass

ROWS = 131_072
"""Rows that are in memory at a time, per worker."""

Span = tuple[int, int]
"""First and last time in UTC nanoseconds."""


class Place(NamedTuple):
    """Place of a unit among all.

    Attributes:
        number: Number of its first row, for the order of rows of equal time. Numbers of units do not overlap.
        alone: Times strictly between these are of no other unit; None if that is not known.
    """

    number: int = 0
    alone: Span | None = None


ANYWHERE = Place()


class Unit(Protocol):
    """Rows of a dataset that can be read again and again, in another process too.

    Attributes:
        name: Name of the unit in messages.
        rows: Number of rows; None if it is not known before they are read.
        span: First and last time; None if it is not known.
        place: Place among all units.
    """

    name: str
    rows: int | None
    span: Span | None
    place: Place

    def batches(self, columns: Sequence[str] | None) -> Iterator[Batch]:
        """Yield the rows in order, at most `ROWS` at a time.

        Args:
            columns: Columns to read, of those that it has; None for all.
        """


@dataclass
class ParquetUnit:
    """Row groups of a Parquet file.

    Attributes:
        path: Path of the file in its filesystem.
        groups: Numbers of the row groups.
        size: Size of the file in bytes when it was planned: a file that has changed since is refused.
        filesystem: Filesystem of Arrow; None for local files.
        texts: Text columns that are read as dictionaries.
        keys: Values of columns that the folder names give: `model=a/part-0.parquet`.
    """

    name: str
    path: str
    groups: tuple[int, ...]
    rows: int | None
    size: int
    span: Span | None = None
    place: Place = ANYWHERE
    filesystem: Any = None
    texts: frozenset[str] = frozenset()
    keys: Mapping[str, Any] = field(default_factory=dict)

    def batches(self, columns: Sequence[str] | None) -> Iterator[Batch]:
        """Yield the rows, text columns that may be groups as dictionaries."""
        import pyarrow.parquet as pq  # noqa: PLC0415  slow to import, and not every session needs it

        with naming(self.name), open_file(self.path, self.filesystem) as file:
            if file.size() != self.size:
                raise StoreError("the file has changed since the dataset was opened; open it again")
            wanted = None if columns is None else set(columns)
            options: dict[str, Any] = {"page_checksum_verification": True, "pre_buffer": self.filesystem is not None}
            with pq.ParquetFile(file, read_dictionary=sorted(self.texts), **options) as parquet:
                names = [
                    name
                    for name in parquet.schema_arrow.names
                    if not name.startswith("_") and (wanted is None or name in wanted)
                ]
                for batch in parquet.iter_batches(
                    batch_size=ROWS, row_groups=list(self.groups), columns=names, use_threads=False
                ):
                    batch.validate(full=True)
                    yield self._with_keys(batch, wanted)

    def _with_keys(self, batch: Any, wanted: set[str] | None) -> Any:
        for name, value in self.keys.items():
            if (wanted is None or name in wanted) and name not in batch.schema.names:
                code = pa.repeat(pa.scalar(0, pa.int32()), batch.num_rows)
                values = pa.DictionaryArray.from_arrays(code, pa.array([value]))
                batch = batch.append_column(name, values if isinstance(value, str) else values.dictionary_decode())
        return batch


@dataclass
class FrameUnit:
    """Rows of a frame in memory."""

    name: str
    frame: pd.DataFrame
    span: Span | None = None
    place: Place = ANYWHERE
    rows: int | None = None

    def __post_init__(self) -> None:
        self.rows = len(self.frame)

    def batches(self, columns: Sequence[str] | None) -> Iterator[Batch]:
        """Yield slices without a copy."""
        frame = self.frame if columns is None else self.frame[[name for name in columns if name in self.frame.columns]]
        yield from slices(frame)


@dataclass
class ComputedUnit:
    """Rows that a function computes when they are needed: a partition of dask, a fragment of Arrow, an experiment.

    Attributes:
        compute: Callable (columns or None for all) -> a frame, or an iterator of record batches.
    """

    name: str
    compute: Callable[[Sequence[str] | None], Any]
    rows: int | None = None
    span: Span | None = None
    place: Place = ANYWHERE

    def batches(self, columns: Sequence[str] | None) -> Iterator[Batch]:
        """Compute the rows and yield them in slices."""
        with naming(self.name):
            found = self.compute(columns)
            yield from slices(found) if isinstance(found, pd.DataFrame) else found


def as_text(unit: Unit) -> Unit:
    """Return a unit that reads text as text, for rows that are kept; dictionaries are faster for groups."""
    return replace(unit, texts=frozenset()) if isinstance(unit, ParquetUnit) else unit


def slices(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield at most `ROWS` rows of a frame at a time."""
    return (frame.iloc[start : start + ROWS] for start in range(0, len(frame), ROWS))


def open_file(path: str, filesystem: Any) -> Any:
    """Open a file of a filesystem of Arrow for reading at any place."""
    if filesystem is None:
        return pa.OSFile(path, "rb")
    return filesystem.open_input_file(path)


class naming:  # noqa: N801  used as a statement
    """Name the unit in whatever error its reading raises; the input is untrusted, and the readers are many.

    A ConfigError is about an argument, and is not changed.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, GeneratorExit) or not isinstance(error, Exception):
            return
        let_pass(error)
        if isinstance(error, CrucibleError):
            if isinstance(error, ConfigError) or str(error).startswith(self.name):
                return
            raise type(error)(f"{self.name}: {error}") from error
        raise StoreError(f"{self.name}: cannot be read: {reason(error)}") from error
