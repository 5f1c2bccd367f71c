"""Typed columns of the buffer: one class per kind of storage, each with its own missing value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from crucible_nb.events.batch import Categories, Column
from crucible_nb.events.schema import Kind

_FIRST = 1024


class GrowingArray:
    """A numpy array with reserved space at its end; values already returned as views are never overwritten.

    Appending writes behind every view made so far. When the space is used up, the values move to an array of twice
    the size, and older views keep the old array alive.

    Examples:
        >>> column = GrowingArray(np.float64)
        >>> column.append(np.array([1.0, 2.0]))
        >>> column.view(0, 2)
        array([1., 2.])
    """

    __slots__ = ("data", "length")

    def __init__(self, dtype: Any, fill: Any = 0, length: int = 0) -> None:
        self.data = np.empty(max(_FIRST, 2 * length), dtype)
        self.data[:length] = fill
        self.length = length

    def extend(self, extra: int, reserve: int = 0) -> int:
        """Grow by `extra` uninitialised values and return the index of the first.

        A move takes space for twice the values, or twice `reserve` values if more are known to follow: untouched
        memory costs nothing, and rows after a large batch should not cause another move.
        """
        start, need = self.length, self.length + extra
        if need > len(self.data):
            bigger = np.empty(2 * max(len(self.data), need, reserve), self.data.dtype)
            bigger[:start] = self.data[:start]
            self.data = bigger
        self.length = need
        return start

    def append(self, values: np.ndarray, reserve: int = 0) -> None:
        """Append an array."""
        start = self.extend(len(values), reserve)
        self.data[start : self.length] = values

    def pad(self, length: int, fill: Any) -> None:
        """Append `fill` up to this length."""
        if length > self.length:
            start = self.extend(length - self.length)
            self.data[start:length] = fill

    def view(self, start: int, stop: int) -> np.ndarray:
        """Return a read-only view of this range."""
        view = self.data[start:stop]
        view.flags.writeable = False
        return view

    @property
    def nbytes(self) -> int:
        """Bytes in use, without reserved space."""
        return self.length * self.data.itemsize


_STRING = pd.StringDtype(na_value=np.nan)


class NumberColumn:
    """A float64, int64 or bool column in one array; a missing value is the fill (NaN), or does not occur.

    Until a batch brings the column, it is the fill alone, repeated through an array of stride 0.
    """

    def __init__(self, dtype: Any, fill: Any) -> None:
        self.dtype, self.fill = np.dtype(dtype), fill
        self.values: GrowingArray | None = None

    def append(self, cells: Column, start: int, reserve: int = 0) -> None:
        self._materialise(start).append(cells.values, reserve)

    def _materialise(self, length: int) -> GrowingArray:
        if self.values is None:
            self.values = GrowingArray(self.dtype, self.fill, length)
        self.values.pad(length, self.fill)
        return self.values

    def numbers(self, start: int, stop: int) -> np.ndarray:
        """Return rows start to stop as a read-only numpy array."""
        if self.values is None:
            return np.broadcast_to(self.dtype.type(self.fill), stop - start)
        self.values.pad(stop, self.fill)
        return self.values.view(start, stop)

    array = numbers

    def cells(self, start: int, stop: int) -> Column:
        """Return rows start to stop as a column of a batch."""
        kinds: dict[str, Kind] = {"f": "float", "i": "count", "b": "flag"}
        return Column(kinds[self.dtype.kind], self.numbers(start, stop))

    def take(self, order: np.ndarray, length: int) -> NumberColumn:
        """Return a copy with the rows at these indices of the first `length`."""
        column = NumberColumn(self.dtype, self.fill)
        if self.values is not None:
            column.append(Column("float", self.numbers(0, length)[order]), 0)
        return column

    @property
    def nbytes(self) -> int:
        return 0 if self.values is None else self.values.nbytes


class MaskedColumn:
    """A nullable integer or boolean column: values, and a mask that is made with the first missing value."""

    def __init__(self, dtype: Any) -> None:
        self.values = GrowingArray(dtype)
        self.mask: GrowingArray | None = None

    def append(self, cells: Column, start: int, reserve: int = 0) -> None:
        self._pad(start)
        if cells.mask is not None and self.mask is None:
            self.mask = GrowingArray(np.bool_, False, self.values.length)
        self.values.append(cells.values, reserve)
        if self.mask is not None:
            self.mask.append(np.zeros(len(cells.values), np.bool_) if cells.mask is None else cells.mask, reserve)

    def _pad(self, length: int) -> None:
        """Fill up to this length with missing values."""
        if length > self.values.length:
            if self.mask is None:
                self.mask = GrowingArray(np.bool_, False, self.values.length)
            self.mask.pad(length, True)
            self.values.pad(length, 0)

    def _values_and_mask(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        if not self.values.length:
            zero = self.values.data.dtype.type(0)
            return np.broadcast_to(zero, stop - start), np.broadcast_to(np.True_, stop - start)
        self._pad(stop)
        mask = np.broadcast_to(np.False_, stop - start) if self.mask is None else self.mask.view(start, stop)
        return self.values.view(start, stop), mask

    def array(self, start: int, stop: int) -> Any:
        make = pd.arrays.BooleanArray if self.values.data.dtype == np.bool_ else pd.arrays.IntegerArray
        return make(*self._values_and_mask(start, stop), copy=False)

    def numbers(self, start: int, stop: int) -> np.ndarray:
        """Return a copy of rows start to stop as float64, with NaN where missing."""
        values, mask = self._values_and_mask(start, stop)
        return np.where(mask, np.nan, values)

    def cells(self, start: int, stop: int) -> Column:
        """Return rows start to stop as a column of a batch."""
        values, mask = self._values_and_mask(start, stop)
        return Column("boolean" if values.dtype == np.bool_ else "integer", values, mask)

    def take(self, order: np.ndarray, length: int) -> MaskedColumn:
        """Return a copy with the rows at these indices of the first `length`."""
        column = MaskedColumn(self.values.data.dtype)
        if self.values.length:
            values, mask = self._values_and_mask(0, length)
            column.append(Column("integer", values[order], mask[order] if self.mask is not None else None), 0)
        return column

    def to_kind(self, kind: Kind) -> NumberColumn | MaskedColumn:
        """Return the column as integers or floats, for a column that receives a number it cannot hold."""
        if kind == "float":
            floats = NumberColumn(np.float64, np.nan)
            floats.append(Column("float", self.numbers(0, self.values.length)), 0)
            return floats
        column = MaskedColumn(np.int64)
        if self.values.length:
            values, mask = self._values_and_mask(0, self.values.length)
            column.append(Column("integer", values, None if self.mask is None else mask), 0)
        return column

    @property
    def kind(self) -> Kind:
        """Kind of the column: "boolean" or "integer"."""
        return "boolean" if self.values.data.dtype == np.bool_ else "integer"

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + (0 if self.mask is None else self.mask.nbytes)


class CodeColumn:
    """A category column: integer codes into a dictionary that only grows, in the dtype that pandas uses."""

    def __init__(self, dictionary: Categories) -> None:
        self.dictionary = dictionary
        self.codes = NumberColumn(np.int8, -1)

    def append(self, cells: Column, start: int, reserve: int = 0) -> None:
        self._widen()
        self.codes.append(cells, start, reserve)

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
        """Return rows start to stop as a column of a batch."""
        self._widen()
        return Column("category", self.codes.numbers(start, stop))

    def take(self, order: np.ndarray, length: int) -> CodeColumn:
        """Return a copy with the rows at these indices of the first `length`."""
        column = CodeColumn(self.dictionary)
        column.codes = self.codes.take(order, length)
        return column

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes


class TextColumn:
    """A text column: Arrow strings whose offsets, bytes and validity bits grow in place."""

    def __init__(self) -> None:
        self.offsets = GrowingArray(np.int64, 0, 1)
        self.bytes = GrowingArray(np.uint8)
        self.valid = GrowingArray(np.uint8)
        self.length = 0

    def append(self, cells: Column, start: int, reserve: int = 0) -> None:
        self._pad(start)
        text = cells.values
        count, (bits, offsets, data) = len(text), text.buffers()
        offsets = np.frombuffer(offsets, np.int64, count + 1, text.offset * 8)
        first, last = int(offsets[0]), int(offsets[-1])
        self.offsets.append(offsets[1:] + (self.bytes.length - first), reserve + 1 if reserve else 0)
        if last > first:
            self.bytes.append(np.frombuffer(data, np.uint8, last - first, first))
        valid = np.ones(count, np.bool_)
        if bits is not None and text.null_count:
            unpacked = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
            valid = unpacked[text.offset : text.offset + count].view(np.bool_)
        self._append_validity(valid)

    def _append_validity(self, valid: np.ndarray) -> None:
        """Append validity bits; they fill up the last byte and leave the bits already read as they are."""
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
            self._append_validity(np.zeros(length - self.length, np.bool_))

    def _arrow(self, start: int, stop: int) -> pa.Array:
        self._pad(stop)
        buffers = (
            pa.py_buffer(self.offsets.view(0, self.length + 1)),
            pa.py_buffer(self.bytes.view(0, self.bytes.length)),
            pa.py_buffer(self.valid.view(0, self.valid.length)),
        )
        # -1: Arrow counts the nulls of the slice when asked
        return pa.LargeStringArray.from_buffers(stop - start, *buffers, -1, start)

    def array(self, start: int, stop: int) -> Any:
        make: Any = pd.arrays.ArrowStringArray
        return make(pa.chunked_array([self._arrow(start, stop)]), dtype=_STRING)

    def cells(self, start: int, stop: int) -> Column:
        """Return rows start to stop as a column of a batch."""
        return Column("string", self._arrow(start, stop))

    def take(self, order: np.ndarray, length: int) -> TextColumn:
        """Return a copy with the rows at these indices of the first `length`."""
        column = TextColumn()
        column.append(Column("string", self._arrow(0, length).take(pa.array(order))), 0)
        return column

    @property
    def nbytes(self) -> int:
        return self.offsets.nbytes + self.bytes.nbytes + self.valid.nbytes


BufferColumn = NumberColumn | MaskedColumn | CodeColumn | TextColumn


def empty_column(kind: Kind, dictionary: Categories | None = None) -> BufferColumn:
    """Return an empty column for a kind of the schema."""
    if kind == "category":
        return CodeColumn(dictionary if dictionary is not None else Categories())
    if kind == "string":
        return TextColumn()
    if kind in ("integer", "boolean"):
        return MaskedColumn(np.int64 if kind == "integer" else np.bool_)
    dtype, fill = {"float": (np.float64, np.nan), "flag": (np.bool_, False), "count": (np.int64, 0)}[kind]
    return NumberColumn(dtype, fill)
