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
_NARROW = 1023 + 31  # exponent of 2**31
_LOWEST_GRID = -950  # 2**950 is still a float
_DOWN_52, _UP_52, _DOWN_26, _UP_26 = 2.0**-52, 2.0**52, 2.0**-26, 2.0**26
_PART = 1024  # numbers added at a time: products of pieces of 25 bits and a sign, so many of them, fit an int64


def jit(kernel: Kernel) -> Kernel:
    """Compile at the first call and cache the result on disk."""
    return cast("Kernel", nb.njit(cache=True, nogil=True, error_model="numpy")(kernel))


@jit
def exponents(values: Any) -> tuple[int, int, bool]:
    """Return the smallest and the largest exponent of the finite numbers that are not 0, (2047, -1) without any.

    The third result tells whether all known numbers are whole and below 2**31.

    Args:
        values: float64[n].
    """
    low, high, words = 2047, -1, values.view(np.int64)
    for i in range(len(words)):  # without a branch, several numbers at a time
        magnitude = words[i] & 0x7FFFFFFFFFFFFFFF
        exponent = magnitude >> 52
        counts = (magnitude != 0) & (exponent != _NOT_FINITE)
        low, high = min(low, exponent if counts else 2047), max(high, exponent if counts else -1)
    for i in range(len(words)):
        x = values[i]
        if x == x and (((words[i] >> 52) & _NOT_FINITE) >= _NARROW or np.int64(x) != x):
            return low, high, False
    return low, high, True


def grid_of(exponent: int) -> int:
    """Return the grid for numbers up to an exponent, as `add_runs` takes it."""
    return max(exponent - 1022 - 77, _LOWEST_GRID)


@jit
def count(time: Any, success: Any, order: Any, starts: Any, counts: Any, span: Any) -> None:
    """Count events, successes and failures of each run of rows, and find first and last time.

    Args:
        time: int64[n].
        success: Outcomes, int8[n]: 1, 0, -1 unknown.
        order: Order of the rows, int32[n]; int32[0] if they are in order.
        starts: Start of each run in `order`, and n: int64[cells + 1]; runs may be empty.
        counts: int64[4, cells]: events twice, successes, failures; written.
        span: int64[2, cells]; narrowed.
    """
    for cell in range(len(starts) - 1):
        successes = failures = 0
        first, last = span[0, cell], span[1, cell]
        if len(order):
            for place in range(starts[cell], starts[cell + 1]):
                i = order[place]
                successes += success[i] == 1
                failures += success[i] == 0
                first, last = min(first, time[i]), max(last, time[i])
        else:
            times, outcomes = time[starts[cell] : starts[cell + 1]], success[starts[cell] : starts[cell + 1]]
            for i in range(len(times)):
                successes += outcomes[i] == 1
                failures += outcomes[i] == 0
                first, last = min(first, times[i]), max(last, times[i])
        counts[0, cell] = counts[1, cell] = starts[cell + 1] - starts[cell]
        counts[2, cell], counts[3, cell] = successes, failures
        span[0, cell], span[1, cell] = first, last


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
def _part(values: Any, order: Any, start: int, stop: int, scratch: Any) -> Any:
    """Return the values of some places of an order, float64[stop - start]; an empty order is that of the rows."""
    if not len(order):
        return values[start:stop]
    for place in range(start, stop):
        scratch[place - start] = values[order[place]]
    return scratch[: stop - start]


@jit
def add_runs(
    values: Any,
    order: Any,
    starts: Any,
    grid: int,
    known: Any,
    totals: Any,
    low: int,
    squares: Any,
    low_squares: int,
) -> int:
    """Add the numbers of a column, and their squares, to one cell per run of rows; return how many are infinite.

    Numbers are whole multiples of a grid, cut into three signed pieces of 26 bits. The pieces and their products are
    added as integers, which is without a branch, so that several numbers are added at a time. Numbers so small that
    they have bits below the grid are added one by one.

    Args:
        values: float64[n], n < 2**29; NaN is unknown.
        order: Order of the rows, int32[n]; int32[0] if they are in order.
        starts: Start of each run in `order`, and n: int64[cells + 1]; runs may be empty.
        grid: The numbers are below 2 ** (grid + 77); from -950.
        known: Number of known values of each cell, int64[cells], increased.
        totals: Chunks of the sums, int64[cells, k], with room for all numbers.
        low: Position of the lowest bit of the first of these chunks.
        squares: Chunks of the sums of squares, likewise.
        low_squares: Position of the lowest bit of the first of these.
    """
    infinite, scratch = 0, np.empty(_PART)
    scale, least = 2.0**-grid, 2.0 ** (grid + 52)
    for cell in range(len(starts) - 1):
        for start in range(starts[cell], starts[cell + 1], _PART):
            part = _part(values, order, start, min(start + _PART, starts[cell + 1]), scratch)
            missing = small = 0
            a = b = c = aa = ab = middle = bc = cc = 0
            for i in range(len(part)):
                x = part[i]
                size = abs(x)
                missing += x != x
                infinite += size == np.inf
                small += (size < least) & (size > 0)
                y = (x if (size >= least) & (size < np.inf) else 0.0) * scale
                high = np.rint(y * _DOWN_52)
                y = y - high * _UP_52  # exact, as all of these
                mid = np.rint(y * _DOWN_26)
                y = y - mid * _UP_26
                whole: Any = np.int64(y)
                mid_whole: Any = np.int64(mid)
                high_whole: Any = np.int64(high)
                a, b, c = a + whole, b + mid_whole, c + high_whole
                aa += whole * whole
                ab += whole * mid_whole
                middle += mid_whole * mid_whole + 2 * (whole * high_whole)
                bc += mid_whole * high_whole
                cc += high_whole * high_whole
            known[cell] += len(part) - missing
            _add_whole(a, grid, totals, cell, low)
            _add_whole(b, grid + 26, totals, cell, low)
            _add_whole(c, grid + 52, totals, cell, low)
            _add_whole(aa, 2 * grid, squares, cell, low_squares)
            _add_whole(ab, 2 * grid + 27, squares, cell, low_squares)
            _add_whole(middle, 2 * grid + 52, squares, cell, low_squares)
            _add_whole(bc, 2 * grid + 79, squares, cell, low_squares)
            _add_whole(cc, 2 * grid + 104, squares, cell, low_squares)
            if small:
                words = part.view(np.int64)
                for i in range(len(part)):
                    if part[i] != 0 and abs(part[i]) < least:
                        _add_number(words[i], cell, totals, low, squares, low_squares)
    return infinite


@jit
def add_whole_runs(
    values: Any, order: Any, starts: Any, known: Any, totals: Any, low: int, squares: Any, low_squares: int
) -> None:
    """Add whole numbers below 2**31, and their squares, with the arguments of `add_runs`."""
    scratch = np.empty(_PART)
    for cell in range(len(starts) - 1):
        for start in range(starts[cell], starts[cell + 1], _PART):
            part = _part(values, order, start, min(start + _PART, starts[cell + 1]), scratch)
            missing = total = small = large = 0
            for i in range(len(part)):
                x = part[i]
                missing += x != x
                whole: Any = np.int64(x if x == x else 0.0)
                square = whole * whole
                total, small, large = total + whole, small + (square & _MASK), large + (square >> 32)
            known[cell] += len(part) - missing
            _add_whole(total, 0, totals, cell, low)
            _add_whole(small, 0, squares, cell, low_squares)
            _add_whole(large, 32, squares, cell, low_squares)


@jit
def counting_sort(codes: Any, size: int) -> tuple[Any, Any]:
    """Sort rows by their cell, stably.

    Args:
        codes: Cell of each row, int32[n] in [0, size).
        size: Number of cells.

    Returns:
        The order of the rows (int32[n]), and where each cell begins in it, and n (int64[size + 1]).
    """
    starts = np.zeros(size + 1, np.int64)
    for i in range(len(codes)):
        starts[codes[i] + 1] += 1
    for cell in range(size):
        starts[cell + 1] += starts[cell]
    at, order = starts[:-1].copy(), np.empty(len(codes), np.int32)
    for i in range(len(codes)):
        cell = codes[i]
        order[at[cell]] = i
        at[cell] += 1
    return order, starts


@jit
def known_in_order(values: Any, order: Any, starts: Any) -> tuple[Any, Any]:
    """Gather the known values of runs of rows.

    Args:
        values: float64[n]; NaN is unknown.
        order: Order of the rows, int32[n].
        starts: Start of each run in `order`, and n: int64[runs + 1].

    Returns:
        The known values in that order (float64[known]), and where each run begins in them, and their number
        (int64[runs + 1]).
    """
    known, cuts, n = np.empty(len(values)), np.empty(len(starts), np.int64), 0
    for run in range(len(starts) - 1):
        cuts[run] = n
        for place in range(starts[run], starts[run + 1]):
            x = values[order[place]]
            known[n] = x
            n += x == x
    cuts[-1] = n
    return known[:n], cuts


@jit
def count_keys(values: Any, shift: int, first: int, weights: Any) -> None:
    """Count positive normal numbers by bucket, float64[n]; see `buckets.bucket_keys`.

    Args:
        values: float64[n].
        shift: Number of bits of the mantissa below a bucket.
        first: Bucket of the first weight.
        weights: Weight of each bucket, float64, increased.
    """
    words = values.view(np.int64)
    for i in range(len(words)):
        weights[(words[i] >> shift) - first] += 1.0


@jit
def nearest_to_zero(values: Any) -> tuple[float, float]:
    """Return the smallest positive and the largest negative number, infinite without any; float64[n], without NaN."""
    above, below = np.inf, -np.inf
    for i in range(len(values)):
        x = values[i]
        above, below = min(above, x if x > 0 else np.inf), max(below, x if x < 0 else -np.inf)
    return above, below


@jit
def count_signed_keys(values: Any, shift: int, first: int, weights: Any, first_negative: int, negative: Any) -> int:
    """Count finite numbers that are not subnormal by bucket, negative ones by that of their magnitude.

    Args:
        values: float64[n].
        shift: Number of bits of the mantissa below a bucket.
        first, first_negative: Bucket of the first weight.
        weights, negative: Weight of each bucket, float64, increased.

    Returns:
        Number of zeros.
    """
    words, zeros = values.view(np.int64), 0
    for i in range(len(words)):
        magnitude = words[i] & 0x7FFFFFFFFFFFFFFF
        if magnitude == 0:
            zeros += 1
        elif words[i] > 0:
            weights[(magnitude >> shift) - first] += 1.0
        else:
            negative[(magnitude >> shift) - first_negative] += 1.0
    return zeros


@jit
def add_weighted(bits: Any, weights: Any, codes: Any, totals: Any, low: int, squares: Any, low_squares: int) -> int:
    """Add weight times number and weight times square, bit by bit, to the cells of their rows.

    Args:
        bits: float64[n] seen as int64; NaN is unknown.
        weights: float64[n] seen as int64, >= 0.
        codes: Cell of each row, int32[n].
        totals, low, squares, low_squares: As for `add_runs`.

    Returns:
        Number of infinite values of weight > 0.
    """
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
        for half in range(2):
            at = 2 * position + w_position + 27 * half - low_squares
            first, shift = at >> 5, at & 31
            factor = (w >> (27 * half)) & _LOW27
            for j in range(4):
                product = limbs[j] * factor
                moved, rest = (product & _MASK) << shift, (product >> 32) << shift
                squares[cell, first + j] += moved & _MASK
                squares[cell, first + j + 1] += (moved >> 32) + (rest & _MASK)
                squares[cell, first + j + 2] += rest >> 32
    return infinite


def compile_all() -> None:
    """Compile all functions, or read them from the cache on disk."""
    x, codes, n = np.ones(1), np.zeros(1, np.int32), np.zeros(1, np.int64)
    bits, chunks = x.view(np.int64), np.zeros((1, 16), np.int64)
    exponents(x)
    add_totals(bits, codes, chunks, -128)
    order, starts = counting_sort(codes, 1)
    count(n, np.zeros(1, np.int8), order, starts, np.zeros((9, 1), np.int64), np.zeros((2, 1), np.int64))
    add_runs(x, order, starts, grid_of(1023), n, chunks, -128, chunks.copy(), -256)
    add_whole_runs(x, order, starts, n, chunks, -128, chunks.copy(), -256)
    known_in_order(x, order, starts)
    count_keys(x, 44, 1023 << 8, np.zeros(1))
    nearest_to_zero(x)
    count_signed_keys(x, 44, 1023 << 8, np.zeros(1), 1023 << 8, np.zeros(1))
    add_weighted(bits, bits, codes, chunks, -256, chunks.copy(), -256)
