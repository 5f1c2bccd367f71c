"""Exact sums of float64 numbers: whole numbers in chunks of 32 bits, rounded once, when they are read."""

from __future__ import annotations

import math
from copy import copy
from fractions import Fraction
from typing import Any, NamedTuple, Self

import numpy as np

from crucible_nb.accumulators.chan import combine

CHUNK = 32
"""Bits of a chunk."""

_MASK = (1 << CHUNK) - 1
_HALF = 1 << (CHUNK - 1)
_HALF_BITS = 27  # half of a mantissa; times a chunk it fits an int64
_MAX_LOAD = 1 << 29  # chunks are below 2**32 times the load, so that two of them may be added


class ColumnSums(NamedTuple):
    """Weight, total and moments of some values, each rounded once.

    Attributes:
        weight: Weight of the values.
        total: Sum of the values; NaN without any.
        mean: Mean; NaN without any.
        squares: Sum of squared deviations from the mean.
        variance: That, divided by `weight - 1`; NaN up to a weight of 1.
    """

    weight: float
    total: float
    mean: float
    squares: float
    variance: float


class ExactSum:
    """Exact sums of numbers, in a table of cells; adding and merging in any order gives the same state.

    A sum is a whole number times a power of two. Its bits are held in chunks of 32, each in an int64 of its own, which
    leaves room for carries; chunks exist for the range of bits in which values fell. The sum is rounded when it is
    read, once. Infinite values are added apart, as IEEE 754 says.

    Args:
        rows: Number of rows of the table.
        cells: Number of cells of each row.

    Attributes:
        chunks: int64[rows, cells, k]; a sum is the sum of `chunks[..., j] * 2 ** (32 * (low + j))`.
        low: Position of the first chunk.
        infinite: Sum of the infinite values, float64[rows, cells]; None if there were none.

    Examples:
        >>> total = ExactSum(1, 1)
        >>> for value in (1e100, 1.0, -1e100):
        ...     total.add_float(0, 0, value)
        >>> total.value(0, 0)
        1.0

    References:
        Neal (2015), Fast exact summation using small and large superaccumulators. arXiv:1505.05571.
    """

    __slots__ = ("chunks", "infinite", "load", "low")

    def __init__(self, rows: int, cells: int) -> None:
        self.chunks = np.zeros((rows, cells, 0), np.int64)
        self.low = 0
        self.load = 0
        self.infinite: np.ndarray | None = None

    @classmethod
    def of(cls, chunks: np.ndarray, low: int) -> Self:
        """Make a table of these chunks, each below 2**32 but for signs."""
        new = cls(*chunks.shape[:2])
        new.chunks, new.low, new.load = chunks, low, 1
        return new

    # -- adding -------------------------------------------------------------------------------------------------------

    def reserve(self, first: int, stop: int, count: int = 2) -> None:
        """Make room for `count` additions of numbers whose bits are in [first, stop).

        Args:
            first: Position of the lowest bit: 0 is the bit of 1.0, negative positions are fractions.
            stop: Position after the highest bit.
            count: Number of additions per chunk, each below 2**32.
        """
        if self.load + count > _MAX_LOAD:
            self.normalize()
        self.load += count
        low, end = first // CHUNK, stop // CHUNK + 2  # one more for carries and the sign
        size = self.chunks.shape[2]
        if size and self.low <= low and end <= self.low + size:
            return
        if size:
            low, end = min(low, self.low), max(end, self.low + size)
        chunks = np.zeros((*self.chunks.shape[:2], end - low), np.int64)
        chunks[:, :, self.low - low : self.low - low + size] = self.chunks
        self.chunks, self.low = chunks, low

    def add(self, cells: Any, position: int, values: np.ndarray) -> None:
        """Add whole numbers times a power of two to cells.

        Args:
            cells: Index of the table, row and cell: each cell at most once.
            position: Exponent of the power of two.
            values: int64 for each of these cells, below 2**62.
        """
        self.reserve(position, position + 63)
        first, shift = divmod(position - CHUNK * self.low, CHUNK)
        low, high = (values & _MASK) << shift, (values >> CHUNK) << shift
        self.chunks[(*cells, first)] += low & _MASK
        self.chunks[(*cells, first + 1)] += (low >> CHUNK) + (high & _MASK)
        self.chunks[(*cells, first + 2)] += high >> CHUNK

    def add_integer(self, row: int, cell: int, integer: int, exponent: int) -> None:
        """Add `integer * 2 ** exponent`, of any size."""
        if not integer:
            return
        self.reserve(exponent, exponent + integer.bit_length())
        place, shift = divmod(exponent - CHUNK * self.low, CHUNK)
        sign, rest = (1 if integer > 0 else -1), abs(integer) << shift
        while rest:
            self.chunks[row, cell, place] += sign * (rest & _MASK)
            rest, place = rest >> CHUNK, place + 1

    def add_float(self, row: int, cell: int, value: float) -> None:
        """Add a number; NaN is not allowed."""
        if math.isinf(value):
            self.add_infinite(row, np.array([cell]), np.array([value]))
        else:
            self.add_integer(row, cell, *integer_of(value))

    def add_infinite(self, row: int, cells: np.ndarray, values: np.ndarray) -> None:
        """Add infinite values to the cells at `cells`, which may repeat."""
        if self.infinite is None:
            self.infinite = np.zeros(self.chunks.shape[:2])
        with np.errstate(invalid="ignore"):
            np.add.at(self.infinite[row], cells, values)

    def merge(self, cells: Any, other: ExactSum) -> None:
        """Add the sums of another table with the same rows to the cells at `cells` (each at most once)."""
        if other.infinite is not None:
            if self.infinite is None:
                self.infinite = np.zeros(self.chunks.shape[:2])
            with np.errstate(invalid="ignore"):
                self.infinite[:, cells] += other.infinite
        if other.load > _MAX_LOAD // 2:
            other = other.copy()
            other.normalize()
        size = other.chunks.shape[2]
        if not size:
            return
        self.reserve(CHUNK * other.low, CHUNK * (other.low + size - 1), other.load)
        start = other.low - self.low
        self.chunks[:, cells, start : start + size] += other.chunks

    def normalize(self) -> None:
        """Propagate the carries: afterwards all chunks but the last are in [0, 2**32)."""
        chunks = self.chunks
        for place in range(chunks.shape[2] - 1):
            carry = chunks[:, :, place] >> CHUNK
            chunks[:, :, place] &= _MASK
            chunks[:, :, place + 1] += carry
        self.load = 1
        if chunks.size and (chunks[:, :, -1] != _signed(chunks[:, :, -1])).any():
            carry = chunks[:, :, -1:] >> CHUNK
            chunks[:, :, -1] &= _MASK
            self.chunks = np.concatenate((chunks, carry), axis=2)

    def trim(self) -> None:
        """Drop chunks at both ends that are 0 in all cells."""
        used = np.flatnonzero(self.chunks.any(axis=(0, 1)))
        first, stop = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        self.chunks, self.low = self.chunks[:, :, first:stop], self.low + first if stop else 0

    # -- cells --------------------------------------------------------------------------------------------------------

    def copy(self) -> Self:
        """Return a copy that can be changed."""
        new = copy(self)
        new.chunks = self.chunks.copy()
        new.infinite = None if self.infinite is None else self.infinite.copy()
        return new

    def take(self, cells: Any) -> Self:
        """Return a table of the cells at `cells`."""
        new = copy(self)
        new.chunks = self.chunks[:, cells].copy()
        new.infinite = None if self.infinite is None else self.infinite[:, cells].copy()
        return new

    def resized(self, cells: int) -> Self:
        """Return a copy with more cells, or fewer; new cells are empty."""
        new, old = copy(self), min(cells, self.chunks.shape[1])
        new.chunks = np.zeros((self.chunks.shape[0], cells, self.chunks.shape[2]), np.int64)
        new.chunks[:, :old] = self.chunks[:, :old]
        if self.infinite is not None:
            new.infinite = np.zeros(new.chunks.shape[:2])
            new.infinite[:, :old] = self.infinite[:, :old]
        return new

    def clear(self, cells: Any) -> None:
        """Empty the cells at `cells`."""
        self.chunks[:, cells] = 0
        if self.infinite is not None:
            self.infinite[:, cells] = 0

    def summed(self, starts: np.ndarray) -> Self:
        """Add up runs of cells; `starts` is the first cell of each run, strictly increasing from 0."""
        new = copy(self)
        if self.load * self.chunks.shape[1] > _MAX_LOAD:
            self.normalize()
        new.load = max(1, self.load) * self.chunks.shape[1]
        new.chunks = np.add.reduceat(self.chunks, starts, axis=1)
        if self.infinite is not None:
            with np.errstate(invalid="ignore"):
                new.infinite = np.add.reduceat(self.infinite, starts, axis=1)
        return new

    def times(self, factor: float) -> Self:
        """Return all sums times one finite number > 0, exactly."""
        new = type(self)(*self.chunks.shape[:2])
        new.infinite = None if self.infinite is None else self.infinite.copy()
        self.normalize()
        mantissa, exponent = integer_of(factor)
        size = self.chunks.shape[2]
        if not size:
            return new
        new.reserve(CHUNK * self.low + exponent, CHUNK * (self.low + size) + exponent + 64, 4 * size)
        for half in range(2):
            limb = (mantissa >> (_HALF_BITS * half)) & ((1 << _HALF_BITS) - 1)
            for place in range(size):
                position = CHUNK * (self.low + place) + exponent + _HALF_BITS * half
                new.add((slice(None), slice(None)), position, self.chunks[:, :, place] * limb)
        return new

    # -- reading ------------------------------------------------------------------------------------------------------

    def integer(self, row: int, cell: int) -> tuple[int, int]:
        """Return a sum without its infinite values as a whole number and the exponent of a power of two."""
        total = 0
        for chunk in self.chunks[row, cell, ::-1].tolist():
            total = (total << CHUNK) + chunk
        return total, CHUNK * self.low

    def fraction(self, row: int, cell: int) -> Fraction:
        """Return a sum without its infinite values."""
        integer, exponent = self.integer(row, cell)
        return Fraction(integer) * Fraction(2) ** exponent

    def special(self, row: int, cell: int) -> float:
        """Return the sum of the infinite values: infinite or NaN, 0 if there are none."""
        return 0.0 if self.infinite is None else float(self.infinite[row, cell])

    def value(self, row: int, cell: int) -> float:
        """Return a sum, correctly rounded."""
        integer, exponent = self.integer(row, cell)
        return self.special(row, cell) or quotient(integer, 1, exponent)

    def values(self, row: int) -> np.ndarray:
        """Return the sums of a row, float64[cells], each correctly rounded."""
        digits = ExactSum.of(self.chunks[row : row + 1].copy(), self.low)
        digits.normalize()
        negative = digits.chunks[0, :, -1] < 0 if digits.chunks.size else np.zeros(self.chunks.shape[1], np.bool_)
        digits.chunks[0, negative] *= -1
        digits.normalize()
        values = _rounded(digits.chunks[0], digits.low)
        values[negative] *= -1
        if self.infinite is not None:
            special = self.infinite[row]
            values = np.where(special == 0, values, special)
        for cell in np.flatnonzero((values != 0) & (np.abs(values) < _SMALL)).tolist():
            values[cell] = self.value(row, cell)  # rounded twice otherwise
        return values

    # -- state --------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the state as arrays, the same for the same sums."""
        self.normalize()
        chunks, low = self.chunks, self.low
        while chunks.shape[2] > 1 and _is_sign_only(chunks):
            last = chunks[:, :, -2] + (chunks[:, :, -1] << CHUNK)
            chunks = np.concatenate((chunks[:, :, :-2], last[:, :, None]), axis=2)
        while chunks.shape[2] and not chunks[:, :, 0].any():
            chunks, low = chunks[:, :, 1:], low + 1
        low = low if chunks.shape[2] else 0
        return {"chunks": np.array(chunks), "low": low, "infinite": self.infinite}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Rebuild a table from the result of `to_dict`."""
        chunks = np.array(state["chunks"], np.int64)
        if chunks.ndim != 3:
            raise ValueError(f"chunks of the shape {chunks.shape}")
        new = cls.of(chunks, int(state["low"]))
        new.infinite = None if state["infinite"] is None else np.array(state["infinite"], np.float64)
        return new


_SMALL = 2.0**-1020


def _rounded(digits: np.ndarray, low: int) -> np.ndarray:
    """Round whole numbers >= 0 to float64.

    Args:
        digits: int64[n, k] in [0, 2**32), the lowest first.
        low: Position of the first digit.
    """
    n, size = digits.shape
    if not size:
        return np.zeros(n)
    padded = np.concatenate((np.zeros((n, 2), np.int64), digits), axis=1)
    top = size + 1 - np.argmax(padded[:, ::-1] != 0, axis=1)  # index of the highest digit that is not 0
    top = np.maximum(top, 2)
    rows = np.arange(n)
    a, b, c = (padded[rows, top - back] for back in range(3))
    before = np.concatenate((np.zeros((n, 1), np.bool_), np.logical_or.accumulate(padded != 0, axis=1)), axis=1)
    shift = CHUNK - np.frexp(a.astype(np.float64))[1]  # brings the highest bit to bit 63
    bits = (a << CHUNK | b).astype(np.uint64) << shift.astype(np.uint64) | (c >> (CHUNK - shift)).astype(np.uint64)
    sticky = ((c << shift) & _MASK != 0) | before[rows, top - 2]
    bits |= sticky.astype(np.uint64)  # float64 keeps 53 bits: this only breaks ties
    rounded: np.ndarray = np.ldexp(bits.astype(np.float64), CHUNK * (low + top - 3) - shift)
    return rounded


def _signed(chunk: np.ndarray) -> np.ndarray:
    """Return the lower 32 bits as signed numbers."""
    return ((chunk + _HALF) & _MASK) - _HALF


def _is_sign_only(chunks: np.ndarray) -> bool:
    """Return whether the last chunk only repeats the highest bit of the one before it."""
    return bool((chunks[:, :, -1] == -(chunks[:, :, -2] >> (CHUNK - 1))).all())


def integer_of(value: float) -> tuple[int, int]:
    """Return a finite number as a whole number and the exponent of a power of two.

    Examples:
        >>> integer_of(0.75)
        (6755399441055744, -53)
    """
    mantissa, exponent = math.frexp(value)
    return int(mantissa * 2.0**53), exponent - 53


def quotient(numerator: int, denominator: int, exponent: int = 0) -> float:
    """Return `numerator / denominator * 2 ** exponent`, correctly rounded; infinite where it overflows.

    Examples:
        >>> quotient(1, 3), quotient(1, 1, 5000)
        (0.3333333333333333, inf)
    """
    if exponent >= 0:
        numerator <<= exponent
    else:
        denominator <<= -exponent
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


def moments_of_sums(weight: Fraction, totals: ExactSum, squares: ExactSum, row: int = 0, cell: int = 0) -> ColumnSums:
    """Return the moments of one cell, with infinite values as IEEE 754 says: an infinite or NaN mean.

    Args:
        weight: Weight of the values, a multiple of a power of two.
        totals: Sums of weight times value.
        squares: Sums of weight times square.
        row: Row of both tables.
        cell: Cell of the row.

    Examples:
        >>> totals, squares = ExactSum(1, 1), ExactSum(1, 1)
        >>> for value in (1.0, 2.0, 6.0):
        ...     totals.add_float(0, 0, value)
        ...     squares.add_float(0, 0, value**2)
        >>> moments_of_sums(Fraction(3), totals, squares)
        ColumnSums(weight=3.0, total=9.0, mean=3.0, squares=14.0, variance=7.0)
    """
    if not weight:
        return ColumnSums(0.0, math.nan, math.nan, 0.0, math.nan)
    special = totals.special(row, cell)
    if special:
        return ColumnSums(float(weight), special, special, math.nan, math.nan)
    (total, low), (square, low_square) = totals.integer(row, cell), squares.integer(row, cell)
    n, per = weight.numerator, weight.denominator  # the weight is n / per, and per a power of two
    deviations, low_both = _difference(square * n, low_square, total * total * per, 2 * low)  # times n
    return ColumnSums(
        weight=float(weight),
        total=quotient(total, 1, low),
        mean=quotient(total * per, n, low),
        squares=quotient(deviations, n, low_both),
        variance=quotient(deviations * per, n * (n - per), low_both) if n > per else math.nan,
    )


def merged_with_base(found: ColumnSums, weight: float, mean: float, squares: float) -> ColumnSums:
    """Merge with moments that an earlier release rounded, by Chan's formula.

    Examples:
        >>> merged_with_base(ColumnSums(1.0, 6.0, 6.0, 0.0, math.nan), 2.0, 1.5, 0.5)
        ColumnSums(weight=3.0, total=9.0, mean=3.0, squares=14.0, variance=7.0)
    """
    exact = (found.weight, found.mean if found.weight else 0.0, found.squares)
    weight, mean, squares = map(float, combine(weight, mean, squares, *exact))
    return ColumnSums(weight, weight * mean, mean, squares, squares / (weight - 1) if weight > 1 else math.nan)


def _difference(a: int, low_a: int, b: int, low_b: int) -> tuple[int, int]:
    """Return `a * 2**low_a - b * 2**low_b` as a whole number and the exponent of a power of two."""
    low = min(low_a, low_b)
    return (a << (low_a - low)) - (b << (low_b - low)), low
