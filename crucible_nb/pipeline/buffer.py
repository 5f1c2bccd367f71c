"""The kept events as typed columns, handed out as a time-indexed frame without copying."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd

from crucible_nb.events.batch import Batch, Categories, Column
from crucible_nb.events.schema import COLUMNS, EVERY, Kind
from crucible_nb.pipeline.columns import BufferColumn, Growing, MaskedColumn, NumberColumn, column_of

_UTC = pd.DatetimeTZDtype("ns", "UTC")
_NEUTRAL = {"weight": 1.0, "_weight": 1.0}
_LEAVING = 4096

HIDDEN = frozenset({"_priced", "_weight"})
"""Columns kept for the house, not shown: whether the cost came from the price table, the weight an event brought."""


def time_index(nanoseconds: np.ndarray) -> pd.DatetimeIndex:
    """int64 UTC nanoseconds as an index named `time`, sharing memory."""
    return pd.DatetimeIndex(nanoseconds, dtype=_UTC, copy=False, name="time")


class Revising(Protocol):
    """A sample that may let rows go and weigh the others anew."""

    def settle(self) -> np.ndarray:
        """Sequence numbers of the rows that leave."""

    def current_weights(self, seq: np.ndarray) -> np.ndarray:
        """Weights now of the rows with these sequence numbers."""


class Buffer:
    """Columns that grow at the end; a frame over them is a view.

    Rows are appended in order of recording. A look sorts them by (time, seq) when some came late, once, into
    new arrays, so that frames already handed out stay what they were. So do rows leave that a sample disowned.

    Args:
        dictionaries: Column name to the dictionary of its categories, shared with whoever encodes them.
        max_rows: Keep only the newest rows by time; None keeps all.

    Attributes:
        evicted: Rows that left for `max_rows`.
        sample: Who may revise what was kept; asked at a look after `stale`. None: rows and weights stay as they came.
        stale: Whether there may be revisions since the last look.
        kept_from: Rows from this number on stay whatever `max_rows`, for they are nowhere else yet; None: none do.
    """

    def __init__(self, dictionaries: dict[str, Categories], max_rows: int | None = None) -> None:
        self._dictionaries = dictionaries
        self._max_rows = max_rows
        self._times = Growing(np.int64)
        self._start = 0
        self._sorted = True
        self._columns: dict[str, BufferColumn] = {name: self._new(name, COLUMNS[name].kind) for name in EVERY}
        self._frame: pd.DataFrame | None = None
        self._disowned: list[np.ndarray] = []
        self._leaving = 0
        self.evicted = 0
        self.sample: Revising | None = None
        self.stale = False
        self.kept_from: int | None = None

    def __len__(self) -> int:
        return self._times.length - self._start - self._leaving

    def _new(self, name: str, kind: Any) -> BufferColumn:
        if name in _NEUTRAL:
            return NumberColumn(np.float64, _NEUTRAL[name])
        if kind == "category":
            return column_of(kind, self._dictionaries.setdefault(name, Categories()))
        return column_of(kind)

    def append(self, batch: Batch, more: int = 0) -> None:
        """Add a batch; its columns may be any subset, new ones begin missing. `more` rows are about to follow."""
        if not len(batch):
            return
        start, times = self._times.length, batch.time
        last = self._times.data[start - 1] if start else times[0]
        self._sorted &= bool(times[0] >= last and (times[1:] >= times[:-1]).all())
        room = start + len(batch) + more if more else 0
        self._times.append(times, room)
        self._columns["seq"].append(Column("count", batch.numbered()), start, room)
        for name, cells in batch.cells.items():
            self._column(name, cells.kind).append(cells, start, room)
        self._frame = None
        self._evict()

    def _column(self, name: str, kind: Any) -> BufferColumn:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._new(name, kind)
        elif kind == "float" and isinstance(column, MaskedColumn):
            column = self._columns[name] = column.to_float()
        return column

    def _evict(self) -> None:
        """Let the oldest rows go; memory is given back once they are as many as those kept."""
        if self._max_rows is None or len(self) <= self._max_rows:
            return
        self._settle()
        gone = len(self) - self._max_rows
        if self.kept_from is not None:
            held = self.numbers("seq", 0, gone) >= self.kept_from
            gone = int(np.argmax(held)) if held.any() else gone
        self._start += gone
        self.evicted += gone
        if self._start >= max(self._max_rows, 1024):
            self._rebuild(np.arange(self._start, self._times.length))

    def discard(self, seq: np.ndarray) -> None:
        """Let the rows with these sequence numbers go; no look shows them any more."""
        if not len(seq):
            return
        self._disowned.append(seq)
        self._leaving += len(seq)
        if self.evicted or self._leaving > max(_LEAVING, len(self)):
            self._sift()

    def _settle(self) -> None:
        """What a look may see: no disowned rows, order of (time, seq), weights of now."""
        sample = self.sample if self.stale else None
        self.stale = False
        if sample is not None:
            self.discard(sample.settle())
        self._sift()
        if not self._sorted:
            # rows are in order of seq where times are equal, so a stable sort does it
            times = self._times.data[self._start : self._times.length]
            self._rebuild(self._start + np.argsort(times, kind="stable"))
            self._sorted = True
        if sample is not None:
            self.overwrite("weight", Column("float", sample.current_weights(self.numbers("seq", 0, len(self)))))

    def _sift(self) -> None:
        if self._leaving:
            leaving = np.concatenate(self._disowned)
            self._disowned, self._leaving = [], 0
            seq = self._columns["seq"].numbers(self._start, self._times.length)  # type: ignore[union-attr]
            self._rebuild(self._start + np.flatnonzero(np.isin(seq, leaving, invert=True)))

    def _rebuild(self, order: np.ndarray) -> None:
        length = self._times.length
        times = Growing(np.int64)
        times.append(self._times.data[order])
        self._columns = {name: column.taken(order, length) for name, column in self._columns.items()}
        self._times, self._start, self._frame = times, 0, None

    def frame(self) -> pd.DataFrame:
        """All rows, sorted by (time, seq); a view that is cached until rows arrive.

        Two things keep a user's write out of the buffer: this frame holds a second reference to every block,
        so pandas copies before it writes; and the arrays below are read-only.
        """
        self._settle()
        if self._frame is None:
            start, stop = self._start, self._times.length
            shown = ((name, column) for name, column in self._columns.items() if name not in HIDDEN)
            arrays = {name: column.array(start, stop) for name, column in shown}
            index = time_index(self._times.view(start, stop))
            self._frame = pd.DataFrame(arrays, index=index, copy=False)
        return self._frame

    def kinds(self) -> list[tuple[str, Kind]]:
        """Name and kind of every column, also hidden ones, in order."""
        return [(name, column.cells(0, 0).kind) for name, column in self._columns.items()]

    def everything(self) -> pd.DataFrame:
        """All rows in time order with the hidden columns; a view, not cached."""
        self._settle()
        start, stop = self._start, self._times.length
        arrays = {name: column.array(start, stop) for name, column in self._columns.items()}
        return pd.DataFrame(arrays, index=time_index(self._times.view(start, stop)), copy=False)

    def rows_from(self, seq: int) -> Batch:
        """The rows from this number on as they are now, in order of `seq`, with the hidden columns."""
        self._settle()
        length = len(self)
        numbers = self.numbers("seq", 0, length)
        rows = np.flatnonzero(numbers >= seq)
        first, last = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (length, length)
        found = numbers[first:last]
        start, stop = self._start + first, self._start + last
        cells = {name: column.cells(start, stop) for name, column in self._columns.items()}
        batch = Batch(self._times.view(start, stop), 0, cells, seq=found)
        if len(rows) < last - first or not (found[1:] > found[:-1]).all():
            order = (rows - first)[np.argsort(numbers[rows])]
            batch = Batch(batch.time[order], 0, {name: cell.take(order) for name, cell in cells.items()})
            batch.seq = found[order]
        return batch

    def load(self, kinds: list[tuple[str, Kind]], batches: list[Batch], evicted: int) -> None:
        """Rows of an earlier process into an empty buffer, in order of `seq`; columns in the order they had then."""
        for name, kind in kinds:
            if name not in self._columns:
                self._columns[name] = self._new(name, kind)
        rows = sum(map(len, batches))
        for batch in batches:
            rows -= len(batch)
            self.append(batch, rows)
        self.evicted += evicted

    def times(self) -> np.ndarray:
        """int64 nanoseconds of all rows in time order, read-only."""
        self._settle()
        return self._times.view(self._start, self._times.length)

    def numbers(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows start to stop, in time order, of a numeric, boolean or category column as a numpy array."""
        self._settle()
        column = self._columns[name]
        return column.numbers(self._start + start, self._start + stop)  # type: ignore[union-attr]

    def numeric(self) -> list[str]:
        """Columns of numbers or outcomes in which anything was written."""
        used = {name: column for name, column in self._columns.items() if name not in HIDDEN and column.nbytes}
        return [name for name, column in used.items() if isinstance(column, (NumberColumn, MaskedColumn))]

    def after(self, seq: int, due: int) -> np.ndarray | slice:
        """Places, in time order, of the rows with a sequence number above `seq`.

        Args:
            seq: The newest one that is known.
            due: Rows there are after it where nothing was left out; when as many are found at the end, none came late.
        """
        self._settle()
        numbers = self.numbers("seq", 0, len(self))
        at = int(np.searchsorted(numbers, seq, side="right"))
        if len(numbers) - at == min(due, len(numbers)):
            return slice(at, len(numbers))
        return np.flatnonzero(numbers > seq)

    def has(self, name: str) -> bool:
        """Whether the column exists."""
        return name in self._columns

    @property
    def nbytes(self) -> int:
        """Payload held: bytes of the columns in use."""
        return self._times.nbytes + sum(column.nbytes for column in self._columns.values())

    def overwrite(self, name: str, cells: Column) -> None:
        """Replace a whole column, given in time order (a new price table); frames handed out keep the old one."""
        self._settle()
        column = self._new(name, cells.kind)
        column.append(cells, self._start)
        self._columns[name] = column
        self._frame = None
