"""Add numbers and their squares to exact sums, a block at a time, with numpy; `compiled` does the same with numba.

Numbers are cut into pieces on a common grid, so coarse that float64 adds the pieces of a whole block without rounding.
Squares and products are pairs of numbers whose sum is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from crucible_nb.accumulators.exact_sum import ExactSum, integer_of

_FAR = 2.0**-200  # numbers below that, relative to the largest of a block, are added one by one
_SPLIT = 2.0**27 + 1


def add_runs(
    totals: ExactSum, squares: ExactSum, row: int, x: np.ndarray, starts: np.ndarray, w: np.ndarray | None = None
) -> None:
    """Add the numbers of consecutive runs, and their squares, to the first cells of a row.

    Args:
        totals: Sums of the numbers, or of weight times number.
        squares: Sums of the squares, or of weight times square.
        row: Row of both tables.
        x: float64[n], n >= 1, finite.
        starts: Start of each run: 0 first, strictly increasing, below n.
        w: Weights, float64[n], finite and >= 0; None means 1 each.

    References:
        Ogita, Rump and Oishi (2005), Accurate sum and dot product. Dekker (1971), A floating-point technique for
        extending the available precision.
    """
    _add_powers(((totals, 1), (squares, 2)), row, x, starts, w)


def add_totals(
    totals: ExactSum, row: int, x: np.ndarray, starts: np.ndarray, w: np.ndarray | None = None, first: int = 0
) -> None:
    """Add the numbers of consecutive runs, times their weights, to cells of a row from `first` on; see `add_runs`."""
    _add_powers(((totals, 1),), row, x, starts, w, first)


def _add_powers(
    tables: Sequence[tuple[ExactSum, int]],
    row: int,
    x: np.ndarray,
    starts: np.ndarray,
    w: np.ndarray | None,
    first: int = 0,
) -> None:
    """Add the numbers of consecutive runs to the power of each table (1 or 2), times their weights."""
    far = _are_far(x) if w is None else _are_far(x) | _are_far(w)
    if far.any():
        for i in np.flatnonzero(far).tolist():
            cell = first + int(np.searchsorted(starts, i, side="right")) - 1
            (x_int, x_exp), (w_int, w_exp) = integer_of(float(x[i])), integer_of(1.0 if w is None else float(w[i]))
            for table, power in tables:
                table.add_integer(row, cell, x_int**power * w_int, power * x_exp + w_exp)
        x, w = np.where(far, 0.0, x), None if w is None else np.where(far, 0.0, w)
    y, e = _scaled(x)
    v, shift = (None, 0) if w is None else _scaled(w)
    for table, power in tables:
        for number in (y,) if power == 1 else _product(y, y):
            for part in (number,) if v is None else _product(v, number):
                _add(table, row, part, starts, power * e + shift, first)


def _largest(x: np.ndarray) -> float:
    return max(float(x.max()), -float(x.min()))


def _are_far(x: np.ndarray) -> np.ndarray:
    """Return which numbers are so much smaller than the largest that products of them could underflow."""
    far: np.ndarray = (np.abs(x) < _largest(x) * _FAR) & (x != 0)
    return far


def _scaled(x: np.ndarray) -> tuple[np.ndarray, int]:
    """Divide by the power of two that brings the largest number to [0.5, 1); return it as well."""
    exponent = math.frexp(_largest(x))[1]
    half = -exponent // 2  # in two steps, since the power itself may overflow
    return x * 2.0**half * 2.0 ** (-exponent - half), exponent


def _product(x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rounded products and, unless they are all 0, the errors of rounding."""
    product = x * y
    yield product
    x_high = x * _SPLIT
    x_high = x_high - (x_high - x)
    x_low = x - x_high
    y_high, y_low = x_high, x_low
    if y is not x:
        y_high = y * _SPLIT
        y_high = y_high - (y_high - y)
        y_low = y - y_high
    error = x_low * y_low - (((product - x_high * y_high) - x_low * y_high) - x_high * y_low)
    if error.any():
        yield error


def _add(table: ExactSum, row: int, x: np.ndarray, starts: np.ndarray, exponent: int, first: int) -> None:
    """Add numbers times a power of two: pieces on a grid, of few enough bits that their sums are exact."""
    bits = min(51, 52 - (len(x) - 1).bit_length())  # with 52 the rounder would change its exponent
    while (largest := _largest(x)) > 0:
        grid = math.frexp(largest)[1] - bits
        rounder = math.ldexp(1.5, grid + 52)
        piece = (x + rounder) - rounder
        x = x - piece
        sums = np.add.reduceat(piece, starts) * 2.0**-grid
        table.add((row, slice(first, first + len(starts))), exponent + grid, sums.astype(np.int64))
