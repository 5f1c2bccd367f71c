"""The kept events as typed columns, returned as a time-indexed frame without copying."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.schema import COLUMNS, EVERY, Kind
from crucible_nb.pipeline.columns import (
    BufferColumn,
    CodeColumn,
    GrowingArray,
    MaskedColumn,
    NumberColumn,
    TextColumn,
    empty_column,
)
from crucible_nb.utils.interrupts import unbroken

_UTC = pd.DatetimeTZDtype("ns", "UTC")
_NEUTRAL = {"weight": 1.0, "_weight": 1.0}
_DROP_AT = 4096  # removed rows that may wait for the next read

HIDDEN = frozenset({"_priced", "_weight"})
"""Internal columns, not shown: whether the price table gave the cost, and the weight an event was recorded with."""


def time_index(nanoseconds: np.ndarray) -> pd.DatetimeIndex:
    """Return int64 UTC nanoseconds as an index named `time` that shares their memory."""
    return pd.DatetimeIndex(nanoseconds, dtype=_UTC, copy=False, name="time")


class Revising(Protocol):
    """A sampling stage that may remove kept rows and change the weights of the others."""

    def settle(self) -> np.ndarray:
        """Return the sequence numbers of the rows to remove."""

    def current_weights(self, seq: np.ndarray) -> np.ndarray:
        """Return the current weights of the rows with these sequence numbers."""


class BufferSlice(NamedTuple):
    """Rows of a buffer in time order, as they were when it was read; columns are copied only when asked for.

    Attributes:
        times: int64 UTC nanoseconds.
        oldest: Time of the oldest row in the whole buffer, in UTC nanoseconds; None if the buffer is empty.
        columns: All columns of the buffer by name.
        start: Index of the first row in the columns.
        stop: Index after the last row in the columns.
        picked: Indices, from `start`, of the rows that belong to the slice; None if all do.
    """

    times: np.ndarray
    oldest: int | None
    columns: dict[str, BufferColumn]
    start: int
    stop: int
    picked: np.ndarray | None = None

    def numbers(self, name: str) -> np.ndarray:
        """Return a numeric, boolean or category column as a numpy array; missing numbers are NaN."""
        values = self.columns[name].numbers(self.start, self.stop)  # type: ignore[union-attr]
        return values if self.picked is None else values[self.picked]

    def codes(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return the values of any column as codes and their texts; a missing value has the code -1."""
        column = self.columns.get(name)
        if column is None:
            return np.full(len(self.times), -1), []
        if isinstance(column, CodeColumn):
            return self.numbers(name), list(column.dictionary.values)
        if isinstance(column, TextColumn):
            values = column.cells(self.start, self.stop).values
            coded = (values if self.picked is None else values.take(pa.array(self.picked))).dictionary_encode()
            return coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), coded.dictionary.to_pylist()
        codes, found = pd.factorize(self.numbers(name), use_na_sentinel=True)
        return codes, [f"{value:g}" if isinstance(value, float) else str(value) for value in found.tolist()]

    def texts(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return index and value of the rows in which a text column is known."""
        column = self.columns.get(name)
        if not isinstance(column, TextColumn) or not column.length:
            return np.empty(0, np.int64), []
        values = column.cells(self.start, self.stop).values
        values = values if self.picked is None else values.take(pa.array(self.picked))
        if values.null_count == len(values):
            return np.empty(0, np.int64), []
        known = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        return known, values.take(pa.array(known)).to_pylist()

    def numeric_columns(self) -> list[str]:
        """Return the names of the columns of numbers or booleans in which any value was written."""
        used = {name: column for name, column in self.columns.items() if name not in HIDDEN and column.nbytes}
        return [name for name, column in used.items() if isinstance(column, (NumberColumn, MaskedColumn))]


class Buffer:
    """Columns that grow at their end, and frames that are views of them.

    Rows are appended in recording order. The next read sorts them by (time, seq) if any came late, and drops the rows
    that a sampler has removed; both make new arrays, so frames returned earlier do not change.

    Args:
        dictionaries: Dictionary of each category column by column name, shared with the code that encodes batches.
        max_rows: Number of newest rows (by time) to keep; None keeps all.

    Attributes:
        evicted: Number of rows evicted because of `max_rows`.
        sample: Sampling stage that may revise kept rows, asked at a read when `needs_reweighting`. None: rows and
            weights never change.
        needs_reweighting: Whether the sample may have been revised since the last read.
        unsaved_from: Sequence number from which rows are not yet in the store, and are kept even beyond
            `max_rows`; None if there are none.
    """

    def __init__(self, dictionaries: dict[str, Categories], max_rows: int | None = None) -> None:
        self._dictionaries = dictionaries
        self._max_rows = max_rows
        self._times = GrowingArray(np.int64)
        self._start = 0
        self._sorted = True
        self._settled = False  # whether a read would change nothing
        self._columns: dict[str, BufferColumn] = {name: self._new(name, COLUMNS[name].kind) for name in EVERY}
        self._frame: pd.DataFrame | None = None
        self._removed: list[np.ndarray] = []
        self._removed_count = 0
        self.evicted = 0
        self.sample: Revising | None = None
        self.needs_reweighting = False
        self.unsaved_from: int | None = None
        self.sampled_seqs = np.empty(0, np.int64)

    def __len__(self) -> int:
        return self._times.length - self._start - self._removed_count

    # -- writing ------------------------------------------------------------------------------------------------------

    def _new(self, name: str, kind: Any) -> BufferColumn:
        if name in _NEUTRAL:
            return NumberColumn(np.float64, _NEUTRAL[name])
        if kind == "category":
            return empty_column(kind, self._dictionaries.setdefault(name, Categories()))
        return empty_column(kind)

    def append(self, batch: Batch, more: int = 0) -> None:
        """Append a batch with any subset of the columns; the other columns are missing in its rows.

        Args:
            batch: Rows in recording order.
            more: Rows known to follow, for which space is reserved.
        """
        for name, cells in batch.cells.items():
            self._column(name, cells.kind)  # also if a sampler kept no row: where batches end changes no column
        self._frame = None
        if not len(batch):
            return
        start, times = self._times.length, batch.time
        last = self._times.data[start - 1] if start else times[0]
        self._sorted &= bool(times[0] >= last and (times[1:] >= times[:-1]).all())
        reserve = start + len(batch) + more if more else 0
        self._settled = False
        self._times.append(times, reserve)
        self._columns["seq"].append(Column("count", batch.numbered()), start, reserve)
        for name, cells in batch.cells.items():
            self._columns[name].append(cells, start, reserve)
        self._evict()

    def _column(self, name: str, kind: Any) -> BufferColumn:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._new(name, kind)
        elif isinstance(column, MaskedColumn) and (kind == "float" or (kind, column.kind) == ("integer", "boolean")):
            column = self._columns[name] = column.to_kind(kind)
        elif isinstance(column, NumberColumn) and kind in ("integer", "boolean", "string"):  # NaN alone so far
            column = self._columns[name] = self._new(name, kind)
        return column

    def _evict(self) -> None:
        """Evict the oldest rows beyond `max_rows`; free their memory once they are as many as the rows kept."""
        if self._max_rows is None or len(self) <= self._max_rows:
            return
        self.prepare_read()
        count = len(self) - self._max_rows
        if self.unsaved_from is not None:
            seq = self._numbers("seq", self._start, self._start + count)
            unsaved = (seq >= self.unsaved_from) | np.isin(seq, self.sampled_seqs)
            count = int(np.argmax(unsaved)) if unsaved.any() else count
        self._start += count
        self.evicted += count
        if self._start >= max(self._max_rows, 1024):
            self._rebuild(np.arange(self._start, self._times.length))

    def discard(self, seq: np.ndarray) -> None:
        """Remove the rows with these sequence numbers before the next read."""
        if not len(seq):
            return
        self._removed.append(seq)
        self._removed_count += len(seq)
        if self.evicted or self._removed_count > max(_DROP_AT, len(self)):
            self._drop_removed()

    def load(self, kinds: Iterable[tuple[str, Kind]], batches: list[Batch], evicted: int) -> None:
        """Fill an empty buffer with the rows of an earlier process.

        Args:
            kinds: Name and kind of every column, in the order they had then.
            batches: The rows, in order of `seq`.
            evicted: Number of rows evicted by then.
        """
        for name, kind in kinds:
            if name not in self._columns:
                self._columns[name] = self._new(name, kind)
        rows = sum(map(len, batches))
        for batch in batches:
            rows -= len(batch)
            self.append(batch, rows)
        self.evicted += evicted

    def overwrite(self, name: str, cells: Column) -> None:
        """Replace a whole column, given in time order (after repricing); frames returned earlier keep the old one."""
        self.prepare_read()
        self._overwrite(name, cells)

    def _overwrite(self, name: str, cells: Column) -> None:
        column = self._new(name, cells.kind)
        column.append(cells, self._start)
        self._columns[name] = column
        self._frame, self._settled = None, False

    # -- bringing rows into reading order -----------------------------------------------------------------------------

    def prepare_read(self) -> None:
        """Drop removed rows, sort by (time, seq) and update the weights, as far as anything changed since."""
        if self._settled and not self._removed_count and self._sorted and not self.needs_reweighting:
            return
        with unbroken():
            self._prepare_read()

    def _prepare_read(self) -> None:
        """Make all changes that a read needs, so that the read itself makes none and may be interrupted anywhere."""
        sample = self.sample if self.needs_reweighting else None
        self.needs_reweighting = False
        if sample is not None:
            self.discard(sample.settle())
        self._drop_removed()
        if not self._sorted:
            # rows of equal time are already in order of seq, so a stable sort by time is enough
            times = self._times.data[self._start : self._times.length]
            self._rebuild(self._start + np.argsort(times, kind="stable"))
            self._sorted = True
        if sample is not None:
            numbers = self._numbers("seq", self._start, self._times.length)
            self._overwrite("weight", Column("float", sample.current_weights(numbers)))
        for column in self._columns.values():
            column.cells(self._start, self._times.length)  # fills up to this length
        self._settled = True

    def _drop_removed(self) -> None:
        if self._removed_count:
            removed = np.concatenate(self._removed)
            self._removed, self._removed_count = [], 0
            seq = self._numbers("seq", self._start, self._times.length)
            self._rebuild(self._start + np.flatnonzero(np.isin(seq, removed, invert=True)))

    def _rebuild(self, order: np.ndarray) -> None:
        """Copy the rows at these indices, in this order, into new arrays."""
        length = self._times.length
        times = GrowingArray(np.int64)
        times.append(self._times.data[order])
        self._columns = {name: column.take(order, length) for name, column in self._columns.items()}
        self._times, self._start, self._frame, self._settled = times, 0, None, False

    # -- reading ------------------------------------------------------------------------------------------------------

    def frame(self) -> pd.DataFrame:
        """Return all rows sorted by (time, seq), as a view that is cached until the next append.

        Two things keep a user's write out of the buffer: this cached frame holds a second reference to every block,
        so pandas copies before it writes; and the arrays are read-only.
        """
        self.prepare_read()
        if self._frame is None:
            self._frame = self._view(name for name in self._columns if name not in HIDDEN)
        return self._frame

    def full_frame(self) -> pd.DataFrame:
        """Return all rows in time order with the hidden columns, as a view that is not cached."""
        self.prepare_read()
        return self._view(self._columns)

    def _view(self, names: Iterable[str]) -> pd.DataFrame:
        start, stop = self._start, self._times.length
        arrays = {name: self._columns[name].array(start, stop) for name in names}
        return pd.DataFrame(arrays, index=time_index(self._times.view(start, stop)), copy=False)

    def kinds(self) -> list[tuple[str, Kind]]:
        """Return name and kind of every column in order, hidden columns included."""
        return [(name, column.cells(0, 0).kind) for name, column in self._columns.items()]

    def rows_from(self, seq: int) -> Batch:
        """Return the rows from sequence number `seq` on, in order of `seq`, with the hidden columns."""
        self.prepare_read()
        numbers = self.numbers("seq")
        rows = np.flatnonzero(numbers >= seq)
        first, last = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (len(numbers), len(numbers))
        inside = numbers[first:last]
        start, stop = self._start + first, self._start + last
        cells = {name: column.cells(start, stop) for name, column in self._columns.items()}
        batch = Batch(self._times.view(start, stop), 0, cells, seq=inside)
        if len(rows) < last - first or not (inside[1:] > inside[:-1]).all():
            order = (rows - first)[np.argsort(numbers[rows])]
            batch = Batch(batch.time[order], 0, {name: cell.take(order) for name, cell in cells.items()})
            batch.seq = inside[order]
        return batch

    def slice(self, start: int, stop: int) -> BufferSlice:
        """Return the rows with start <= time < stop, both in UTC nanoseconds."""
        times = self.times()
        first, last = np.searchsorted(times, [start, stop]).tolist()
        return self._slice(times, first, max(first, last))

    def slice_at(self, index: int) -> BufferSlice:
        """Return one row, by its index in order of time."""
        return self._slice(self.times(), index, index + 1)

    def slice_after(self, seq: int, expected: int, limit: int) -> BufferSlice:
        """Return the rows with a sequence number above `seq`, the oldest first.

        Args:
            seq: Newest sequence number already known; -1 for none.
            expected: Number of such rows if none was dropped; if that many are at the end, none came late.
            limit: Maximum number of rows; ignored if rows came late.
        """
        times, numbers = self.times(), self.numbers("seq")
        first, length = int(np.searchsorted(numbers, seq, side="right")), len(numbers)
        if length - first == min(expected, length):
            return self._slice(times, first, min(length, first + limit))
        rows = np.flatnonzero(numbers > seq)
        first, last = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        return self._slice(times, first, last, rows - first)

    def _slice(self, times: np.ndarray, first: int, last: int, picked: np.ndarray | None = None) -> BufferSlice:
        inside = times[first:last] if picked is None else times[first:last][picked]
        return BufferSlice(
            times=inside, oldest=int(times[0]) if len(times) else None, columns=dict(self._columns),
            start=self._start + first, stop=self._start + last, picked=picked,
        )  # fmt: skip

    def times(self) -> np.ndarray:
        """Return the times of all rows in order, as read-only int64 nanoseconds."""
        self.prepare_read()
        return self._times.view(self._start, self._times.length)

    def numbers(self, name: str) -> np.ndarray:
        """Return a numeric, boolean or category column of all rows in time order as a numpy array."""
        self.prepare_read()
        return self._numbers(name, self._start, self._times.length)

    def _numbers(self, name: str, start: int, stop: int) -> np.ndarray:
        return self._columns[name].numbers(start, stop)  # type: ignore[union-attr]

    def has(self, name: str) -> bool:
        """Return whether the column exists."""
        return name in self._columns

    @property
    def nbytes(self) -> int:
        """Bytes of the columns in use, without reserved space."""
        return self._times.nbytes + sum(column.nbytes for column in self._columns.values())
