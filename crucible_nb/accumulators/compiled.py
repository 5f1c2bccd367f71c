"""Add numbers and their squares to exact sums, compiled by numba (extra `[fast]`). Imported only on use.

All arithmetic is in int64, since numba turns a mixture with uint64 into floats. The bits of a number are
sign, exponent and mantissa; products of mantissas are held in limbs of 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba as nb
import numpy as np

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_MASK = 0xFFFFFFFF
_LOW27 = (1 << 27) - 1
_MANTISSA = (1 << 52) - 1
_IMPLICIT = 1 << 52
_BIAS = 1075
_NOT_FINITE = 0x7FF
_LIMIT = 2.0**62
_LOWEST_GRID = -950  # 2**950 is still a float
_GRIDS, _STEP = 4, 9  # grids of a column, and bits between them: an integer of 62 bits holds 9 more than a mantissa


def jit(kernel: Kernel) -> Kernel:
    """Compile at the first call and cache the result on disk."""
    return cast("Kernel", nb.njit(cache=True, nogil=True, error_model="numpy")(kernel))


@jit
def exponents(bits: Any) -> tuple[int, int]:
    """Return the smallest and the largest exponent of the finite numbers that are not 0; (2047, -1) without any.

    Args:
        bits: float64[n] seen as int64.
    """
    low, high = 2047, -1
    for i in range(len(bits)):
        magnitude = bits[i] & 0x7FFFFFFFFFFFFFFF
        exponent = magnitude >> 52
        if magnitude != 0 and exponent != _NOT_FINITE:
            low, high = min(low, exponent), max(high, exponent)
    return low, high


def grid_of(exponent: int) -> int:
    """Return the grid for numbers up to an exponent, as `add_column` takes it."""
    return max(exponent - 1022 - 62, _LOWEST_GRID)


@jit
def count(time: Any, success: Any, codes: Any, counts: Any, span: Any) -> None:
    """Count events, successes and failures of each cell, and find first and last time.

    Args:
        time: int64[n].
        success: Outcomes, int8[n]: 1, 0, -1 unknown.
        codes: Cell of each event, int32[n].
        counts: int64[4, cells]: events twice, successes, failures; increased.
        span: int64[2, cells].
    """
    for i in range(len(time)):
        cell = codes[i]
        counts[0, cell] += 1
        if success[i] >= 0:
            counts[3 - success[i], cell] += 1
        span[0, cell] = min(span[0, cell], time[i])
        span[1, cell] = max(span[1, cell], time[i])
    for cell in range(counts.shape[1]):
        counts[1, cell] = counts[0, cell]


@jit
def add_totals(bits: Any, codes: Any, totals: Any, low: int) -> None:
    """Add finite numbers >= 0, float64[n] seen as int64, to the cells of their rows, without squares."""
    for i in range(len(bits)):
        word, cell = bits[i], codes[i]
        exponent, mantissa = word >> 52, word & _MANTISSA
        if word == 0:
            continue
        if exponent == 0:
            exponent = 1
        else:
            mantissa |= _IMPLICIT
        first, shift = (exponent - _BIAS - low) >> 5, (exponent - _BIAS - low) & 31
        m0, m1 = (mantissa & _MASK) << shift, (mantissa >> 32) << shift
        totals[cell, first] += m0 & _MASK
        totals[cell, first + 1] += (m0 >> 32) + (m1 & _MASK)
        totals[cell, first + 2] += m1 >> 32


@jit
def _product(a: int, b: int) -> tuple[int, int, int, int]:
    """Multiply two mantissas of 53 bits; return four limbs."""
    a0, a1, b0, b1 = a & _LOW27, a >> 27, b & _LOW27, b >> 27
    low, mid, high = a0 * b0, a0 * b1 + a1 * b0, a1 * b1
    t0 = (low & _MASK) + ((mid & 0x1F) << 27)
    t1 = (low >> 32) + ((mid >> 5) & _MASK) + ((high & 0x3FF) << 22) + (t0 >> 32)
    t2 = (mid >> 37) + ((high >> 10) & _MASK) + (t1 >> 32)
    return t0 & _MASK, t1 & _MASK, t2 & _MASK, (high >> 42) + (t2 >> 32)


@jit
def _add_number(word: int, cell: int, totals: Any, low: int, squares: Any, low_squares: int) -> None:
    """Add a number, given by its bits, and its square."""
    exponent, mantissa = (word >> 52) & 0x7FF, word & _MANTISSA
    if exponent == 0:
        exponent = 1
    else:
        mantissa |= _IMPLICIT
    position = exponent - _BIAS
    first, shift = (position - low) >> 5, (position - low) & 31
    m0, m1 = (mantissa & _MASK) << shift, (mantissa >> 32) << shift
    sign = -1 if word < 0 else 1
    totals[cell, first] += sign * (m0 & _MASK)
    totals[cell, first + 1] += sign * ((m0 >> 32) + (m1 & _MASK))
    totals[cell, first + 2] += sign * (m1 >> 32)
    t0, t1, t2, t3 = _product(mantissa, mantissa)
    at = 2 * position - low_squares
    first, shift = at >> 5, at & 31
    t0, t1, t2, t3 = t0 << shift, t1 << shift, t2 << shift, t3 << shift
    squares[cell, first] += t0 & _MASK
    squares[cell, first + 1] += (t0 >> 32) + (t1 & _MASK)
    squares[cell, first + 2] += (t1 >> 32) + (t2 & _MASK)
    squares[cell, first + 3] += (t2 >> 32) + (t3 & _MASK)
    squares[cell, first + 4] += t3 >> 32


@jit
def _add_whole(value: int, position: int, chunks: Any, cell: int, low: int) -> None:
    """Add a whole number times a power of two."""
    first, shift = (position - low) >> 5, (position - low) & 31
    v0, v1 = (value & _MASK) << shift, (value >> 32) << shift
    chunks[cell, first] += v0 & _MASK
    chunks[cell, first + 1] += (v0 >> 32) + (v1 & _MASK)
    chunks[cell, first + 2] += v1 >> 32


@jit
def add_column(
    values: Any, codes: Any, grid: int, known: Any, totals: Any, low: int, squares: Any, low_squares: int
) -> int:
    """Add the numbers of a column, and their squares, to the cells of their rows; return how many are infinite.

    Numbers that are multiples of the grid are added as integers of two halves of 31 bits; others bit by bit.

    Args:
        values: float64[n], n < 2**29; NaN is unknown.
        codes: Cell of each row, int32[n].
        grid: The numbers are below 2 ** (grid + 62); from -950.
        known: Number of known values of each cell, int64[cells], increased.
        totals: Chunks of the sums, int64[cells, k], with room for all numbers.
        low: Position of the lowest bit of the first of these chunks.
        squares: Chunks of the sums of squares, likewise.
        low_squares: Position of the lowest bit of the first of these.
    """
    infinite, words = 0, values.view(np.int64)
    scales = 2.0 ** -(grid - _STEP * np.arange(_GRIDS, dtype=np.float64))
    parts = np.zeros(totals.shape[0] * _GRIDS * 8, np.int64)
    for i in range(len(values)):
        x, cell = values[i], codes[i]
        if x != x:
            continue
        known[cell] += 1
        level, y = 0, x * scales[0]
        if not abs(y) < _LIMIT:
            infinite += 1
            continue
        whole = np.int64(y)
        if y != whole or (whole == 0 and x != 0.0):  # bits below the grid: a finer one
            level = (grid - ((words[i] >> 52) & 0x7FF) + _BIAS + _STEP - 1) // _STEP
            if level >= _GRIDS:
                _add_number(words[i], cell, totals, low, squares, low_squares)
                continue
            whole = np.int64(x * scales[level])
        high, rest = whole >> 31, whole & 0x7FFFFFFF
        small, mixed, large = rest * rest, high * rest, high * high
        at = (cell * _GRIDS + level) * 8
        parts[at] += whole & _MASK
        parts[at + 1] += whole >> 32
        parts[at + 2] += small & _MASK
        parts[at + 3] += small >> 32
        parts[at + 4] += mixed & _MASK
        parts[at + 5] += mixed >> 32
        parts[at + 6] += large & _MASK
        parts[at + 7] += large >> 32
    for cell in range(totals.shape[0]):
        for level in range(_GRIDS):
            bit, at = grid - _STEP * level, (cell * _GRIDS + level) * 8
            for j in range(2):
                _add_whole(parts[at + j], bit + 32 * j, totals, cell, low)
                _add_whole(parts[at + 2 + j], 2 * bit + 32 * j, squares, cell, low_squares)
                _add_whole(parts[at + 4 + j], 2 * bit + 32 + 32 * j, squares, cell, low_squares)
                _add_whole(parts[at + 6 + j], 2 * bit + 62 + 32 * j, squares, cell, low_squares)
    return infinite


@jit
def add_weighted(bits: Any, weights: Any, codes: Any, totals: Any, low: int, squares: Any, low_squares: int) -> int:
    """Add weight times number and weight times square, else as `add_column`; `weights` is float64 seen as int64."""
    infinite = 0
    for i in range(len(bits)):
        word, weight = bits[i], weights[i]
        exponent, mantissa = (word >> 52) & 0x7FF, word & _MANTISSA
        cell = codes[i]
        if weight == 0:
            continue
        if exponent == _NOT_FINITE:
            infinite += mantissa == 0
            continue
        if exponent == 0:
            if mantissa == 0:
                continue
            exponent = 1
        else:
            mantissa |= _IMPLICIT
        w_exponent, w = (weight >> 52) & 0x7FF, weight & _MANTISSA
        if w_exponent == 0:
            w_exponent = 1
        else:
            w |= _IMPLICIT
        sign = -1 if word < 0 else 1
        position, w_position = exponent - _BIAS, w_exponent - _BIAS
        limbs = _product(w, mantissa)
        at = position + w_position - low
        first, shift = at >> 5, at & 31
        for j in range(4):
            moved = limbs[j] << shift
            totals[cell, first + j] += sign * (moved & _MASK)
            totals[cell, first + j + 1] += sign * (moved >> 32)
        limbs = _product(mantissa, mantissa)
        at = 2 * position + w_position - low_squares
        first, shift = at >> 5, at & 31
        w0, w1 = w & _LOW27, w >> 27
        for j in range(4):
            product = limbs[j] * w0
            moved = (product & _MASK) << shift
            squares[cell, first + j] += moved & _MASK
            rest = (product >> 32) << shift
            squares[cell, first + j + 1] += (moved >> 32) + (rest & _MASK)
            squares[cell, first + j + 2] += rest >> 32
        at += 27
        first, shift = at >> 5, at & 31
        for j in range(4):
            product = limbs[j] * w1
            moved = (product & _MASK) << shift
            squares[cell, first + j] += moved & _MASK
            rest = (product >> 32) << shift
            squares[cell, first + j + 1] += (moved >> 32) + (rest & _MASK)
            squares[cell, first + j + 2] += rest >> 32
    return infinite


def compile_all() -> None:
    """Compile all functions, or read them from the cache on disk."""
    x, codes, n = np.ones(1), np.zeros(1, np.int32), np.zeros(1, np.int64)
    bits, chunks = x.view(np.int64), np.zeros((1, 16), np.int64)
    count(n, np.zeros(1, np.int8), codes, np.zeros((9, 1), np.int64), np.zeros((2, 1), np.int64))
    exponents(bits)
    add_totals(bits, codes, chunks, -128)
    add_column(x, codes, grid_of(int(exponents(bits)[1])), n, chunks, -128, chunks.copy(), -256)
    add_weighted(bits, bits, codes, chunks, -256, chunks.copy(), -256)
