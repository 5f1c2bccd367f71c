"""Typed columns of the buffer: one class per kind of storage, each knows its missing value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.events.batch import Categories, Column
from crucible_nb.events.schema import Kind

_FIRST = 1024


class Growing:
    """A numpy array with room at its end; what was handed out is never written again.

    Appending writes beyond every view made so far; when the room is used up the array moves to one of
    twice the size, and older views keep the old one alive.

    Examples:
        >>> column = Growing(np.float64)
        >>> column.append(np.array([1.0, 2.0]))
        >>> column.view(0, 2)
        array([1., 2.])
    """

    __slots__ = ("data", "length")

    def __init__(self, dtype: Any, fill: Any = 0, length: int = 0) -> None:
        self.data = np.empty(max(_FIRST, 2 * length), dtype)
        self.data[:length] = fill
        self.length = length

    def reserve(self, extra: int, room: int = 0) -> int:
        """Make room for `extra` more items; returns where they begin.

        When it has to move it takes twice the size, of `room` items where more are known to come: room that nobody
        touches costs nothing, and what comes after a large lot should not have to move it.
        """
        start, need = self.length, self.length + extra
        if need > len(self.data):
            bigger = np.empty(2 * max(len(self.data), need, room), self.data.dtype)
            bigger[:start] = self.data[:start]
            self.data = bigger
        self.length = need
        return start

    def append(self, values: np.ndarray, room: int = 0) -> None:
        """Add an array at the end."""
        start = self.reserve(len(values), room)
        self.data[start : self.length] = values

    def pad(self, length: int, fill: Any) -> None:
        """Grow to `length` with `fill`."""
        if length > self.length:
            start = self.reserve(length - self.length)
            self.data[start:length] = fill

    def view(self, start: int, stop: int) -> np.ndarray:
        """A read-only view, no copy."""
        view = self.data[start:stop]
        view.flags.writeable = False
        return view

    @property
    def nbytes(self) -> int:
        """Bytes in use, the reserve not counted."""
        return self.length * self.data.itemsize


_STRING = pd.StringDtype(na_value=np.nan)


class NumberColumn:
    """float64, int64 or bool: one array, missing is a value of it (NaN) or does not occur.

    Until something else than the fill arrives the column is one number, seen `n` times through stride 0.
    """

    def __init__(self, dtype: Any, fill: Any) -> None:
        self.dtype, self.fill = np.dtype(dtype), fill
        self.values: Growing | None = None

    def append(self, cells: Column, start: int, room: int = 0) -> None:
        self._begin(start).append(cells.values, room)

    def _begin(self, length: int) -> Growing:
        if self.values is None:
            self.values = Growing(self.dtype, self.fill, length)
        self.values.pad(length, self.fill)
        return self.values

    def numbers(self, start: int, stop: int) -> np.ndarray:
        """The rows as a read-only numpy array."""
        if self.values is None:
            return np.broadcast_to(self.dtype.type(self.fill), stop - start)
        self.values.pad(stop, self.fill)
        return self.values.view(start, stop)

    array = numbers

    def cells(self, start: int, stop: int) -> Column:
        """The rows as cells."""
        kinds: dict[str, Kind] = {"f": "float", "i": "count", "b": "flag"}
        return Column(kinds[self.dtype.kind], self.numbers(start, stop))

    def taken(self, order: np.ndarray, length: int) -> NumberColumn:
        column = NumberColumn(self.dtype, self.fill)
        if self.values is not None:
            column.append(Column("float", self.numbers(0, length)[order]), 0)
        return column

    @property
    def nbytes(self) -> int:
        return 0 if self.values is None else self.values.nbytes


class MaskedColumn:
    """Nullable integers or booleans: values and a mask, which exists once something is missing."""

    def __init__(self, dtype: Any) -> None:
        self.values = Growing(dtype)
        self.mask: Growing | None = None

    def append(self, cells: Column, start: int, room: int = 0) -> None:
        self._pad(start)
        if cells.mask is not None and self.mask is None:
            self.mask = Growing(np.bool_, False, self.values.length)
        self.values.append(cells.values, room)
        if self.mask is not None:
            self.mask.append(np.zeros(len(cells.values), np.bool_) if cells.mask is None else cells.mask, room)

    def _pad(self, length: int) -> None:
        """Rows that nobody appended are missing."""
        if length > self.values.length:
            if self.mask is None:
                self.mask = Growing(np.bool_, False, self.values.length)
            self.mask.pad(length, True)
            self.values.pad(length, 0)

    def _parts(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        if not self.values.length:
            zero = self.values.data.dtype.type(0)
            return np.broadcast_to(zero, stop - start), np.broadcast_to(np.True_, stop - start)
        self._pad(stop)
        mask = np.broadcast_to(np.False_, stop - start) if self.mask is None else self.mask.view(start, stop)
        return self.values.view(start, stop), mask

    def array(self, start: int, stop: int) -> Any:
        make = pd.arrays.BooleanArray if self.values.data.dtype == np.bool_ else pd.arrays.IntegerArray
        return make(*self._parts(start, stop), copy=False)

    def numbers(self, start: int, stop: int) -> np.ndarray:
        """The rows as float64, NaN where missing (a copy)."""
        values, mask = self._parts(start, stop)
        return np.where(mask, np.nan, values)

    def cells(self, start: int, stop: int) -> Column:
        """The rows as cells."""
        values, mask = self._parts(start, stop)
        return Column("boolean" if values.dtype == np.bool_ else "integer", values, mask)

    def taken(self, order: np.ndarray, length: int) -> MaskedColumn:
        column = MaskedColumn(self.values.data.dtype)
        if self.values.length:
            values, mask = self._parts(0, length)
            column.append(Column("integer", values[order], mask[order] if self.mask is not None else None), 0)
        return column

    def to_float(self) -> NumberColumn:
        """The same rows as a float column (a whole-number column met a fraction)."""
        column = NumberColumn(np.float64, np.nan)
        column.append(Column("float", self.numbers(0, self.values.length)), 0)
        return column

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + (0 if self.mask is None else self.mask.nbytes)


class CodeColumn:
    """Categories: small codes into a dictionary that only grows; as narrow as pandas keeps them."""

    def __init__(self, dictionary: Categories) -> None:
        self.dictionary = dictionary
        self.codes = NumberColumn(np.int8, -1)

    def append(self, cells: Column, start: int, room: int = 0) -> None:
        self._widen()
        self.codes.append(cells, start, room)

    def _widen(self) -> None:
        dtype = self.dictionary.code_dtype
        if dtype != self.codes.dtype:
            wider = NumberColumn(dtype, -1)
            if self.codes.values is not None:
                wider.append(Column("category", self.codes.numbers(0, self.codes.values.length)), 0)
            self.codes = wider

    def array(self, start: int, stop: int) -> pd.Categorical:
        self._widen()
        return pd.Categorical.from_codes(self.codes.numbers(start, stop), dtype=self.dictionary.dtype, validate=False)

    def numbers(self, start: int, stop: int) -> np.ndarray:
        return self.codes.numbers(start, stop)

    def cells(self, start: int, stop: int) -> Column:
        """The rows as cells."""
        self._widen()
        return Column("category", self.codes.numbers(start, stop))

    def taken(self, order: np.ndarray, length: int) -> CodeColumn:
        column = CodeColumn(self.dictionary)
        column.codes = self.codes.taken(order, length)
        return column

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes


class TextColumn:
    """Arrow strings whose offsets, bytes and validity bits grow in place."""

    def __init__(self) -> None:
        self.offsets = Growing(np.int64, 0, 1)
        self.bytes = Growing(np.uint8)
        self.valid = Growing(np.uint8)
        self.length = 0

    def append(self, cells: Column, start: int, room: int = 0) -> None:
        self._pad(start)
        text = cells.values
        count, (bits, offsets, data) = len(text), text.buffers()
        offsets = np.frombuffer(offsets, np.int64, count + 1, text.offset * 8)
        first, last = int(offsets[0]), int(offsets[-1])
        self.offsets.append(offsets[1:] + (self.bytes.length - first), room + 1 if room else 0)
        if last > first:
            self.bytes.append(np.frombuffer(data, np.uint8, last - first, first))
        valid = np.ones(count, np.bool_)
        if bits is not None and text.null_count:
            unpacked = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
            valid = unpacked[text.offset : text.offset + count].view(np.bool_)
        self._mark(valid)

    def _mark(self, valid: np.ndarray) -> None:
        """Append validity bits; the last byte is completed, never changed in the bits already read."""
        byte, used = divmod(self.length, 8)
        self.length += len(valid)
        if used:
            head = np.unpackbits(self.valid.data[byte : byte + 1], bitorder="little")[:used]
            valid = np.concatenate((head.view(np.bool_), valid))
            self.valid.length = byte
        self.valid.append(np.packbits(valid, bitorder="little"))

    def _pad(self, length: int) -> None:
        if length > self.length:
            self.offsets.pad(length + 1, self.bytes.length)
            self._mark(np.zeros(length - self.length, np.bool_))

    def _arrow(self, start: int, stop: int) -> pa.Array:
        self._pad(stop)
        buffers = (
            pa.py_buffer(self.offsets.view(0, self.length + 1)),
            pa.py_buffer(self.bytes.view(0, self.bytes.length)),
            pa.py_buffer(self.valid.view(0, self.valid.length)),
        )
        # null_count is left to Arrow: it counts when asked, a slice of its own
        return pa.LargeStringArray.from_buffers(stop - start, *buffers, -1, start)

    def array(self, start: int, stop: int) -> Any:
        make: Any = pd.arrays.ArrowStringArray
        return make(pa.chunked_array([self._arrow(start, stop)]), dtype=_STRING)

    def cells(self, start: int, stop: int) -> Column:
        """The rows as cells."""
        return Column("string", self._arrow(start, stop))

    def taken(self, order: np.ndarray, length: int) -> TextColumn:
        column = TextColumn()
        column.append(Column("string", self._arrow(0, length).take(pa.array(order))), 0)
        return column

    @property
    def nbytes(self) -> int:
        return self.offsets.nbytes + self.bytes.nbytes + self.valid.nbytes


BufferColumn = NumberColumn | MaskedColumn | CodeColumn | TextColumn


def column_of(kind: Kind, dictionary: Categories | None = None) -> BufferColumn:
    """An empty column for a kind of the schema."""
    if kind == "category":
        return CodeColumn(dictionary if dictionary is not None else Categories())
    if kind == "string":
        return TextColumn()
    if kind in ("integer", "boolean"):
        return MaskedColumn(np.int64 if kind == "integer" else np.bool_)
    dtype, fill = {"float": (np.float64, np.nan), "flag": (np.bool_, False), "count": (np.int64, 0)}[kind]
    return NumberColumn(dtype, fill)
