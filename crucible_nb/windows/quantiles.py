"""Exact quantiles of a column in many windows, bit-equal to `np.quantile` of each window's rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from crucible_nb.accumulators import quantile_of_sorted
from crucible_nb.accumulators.order import interpolate
from crucible_nb.utils.optional import have

_SMALL = 512
"""Windows of up to this many rows are sorted together, as the rows of a matrix."""

_CELLS = 1 << 18  # maximum size of that matrix


def quantiles(values: np.ndarray, lo: np.ndarray, hi: np.ndarray, q: np.ndarray, *, compiled: Any = None) -> np.ndarray:
    """Return the quantiles `q` of `values[lo[i]:hi[i]]` for every window i, interpolated linearly.

    Args:
        values: float64 without NaN, in order of time.
        lo: First row of each window.
        hi: Row after the last one of each window.
        q: Probabilities in ascending order.
        compiled: True or False forces the numba or the numpy path; None uses numba if it is installed and faster.

    Returns:
        float64 of shape (len(q), windows); NaN for empty windows.

    References:
        Hyndman, R. and Fan, Y. (1996). Sample quantiles in statistical packages. The American Statistician 50(4).

    Examples:
        >>> quantiles(np.array([3.0, 1.0, 2.0, 9.0]), np.array([0, 1]), np.array([3, 4]), np.array([0.5, 1.0]))
        array([[2., 2.],
               [3., 9.]])
    """
    position = (hi - lo - 1) * q[:, None]
    rank = np.maximum(np.floor(position), 0.0)
    pairs = np.full((2, *position.shape), np.nan)
    if compiled if compiled is not None else _numba_is_faster(values, hi - lo) and have("numba"):
        from crucible_nb.windows import compiled  # noqa: PLC0415  numba is heavy, and an extra

        compiled.select(values, lo, hi, rank.astype(np.int64), pairs)
    else:
        _select(values, lo, hi, rank.astype(np.int64), pairs)
    pairs += 0.0  # turn -0.0 into 0.0
    return interpolate(pairs[0], pairs[1], position - rank)


def _numba_is_faster(values: np.ndarray, rows: np.ndarray) -> bool:
    # Loading compiled code takes about half a second; it is faster where large windows share most of their rows.
    work = int(rows.sum())
    return work > 5_000_000 and work > 4 * len(values) and work > 4 * _SMALL * len(rows)


def _select(values: np.ndarray, lo: np.ndarray, hi: np.ndarray, rank: np.ndarray, pairs: np.ndarray) -> None:
    """Write the values of ranks `rank` and `rank + 1` (the largest value if there is no next) to `pairs`."""
    rows = hi - lo
    for batch in _batches(rows):
        matrix = _matrix(values, lo[batch], rows[batch])
        lines = np.arange(len(batch))
        pairs[0][:, batch] = matrix[lines, rank[:, batch]]
        pairs[1][:, batch] = matrix[lines, np.minimum(rank[:, batch] + 1, rows[batch] - 1)]
    for i in np.flatnonzero(rows > _SMALL):
        _partition(values[lo[i] : hi[i]], rank[:, i], pairs[:, :, i])


def _batches(rows: np.ndarray) -> Iterator[np.ndarray]:
    size = 1
    while size <= _SMALL:
        similar = np.flatnonzero((rows <= size) & (rows > size // 2))
        for start in range(0, len(similar), _CELLS // size):
            yield similar[start : start + _CELLS // size]
        size *= 2


def _matrix(values: np.ndarray, lo: np.ndarray, rows: np.ndarray) -> np.ndarray:
    columns = np.arange(rows.max())
    matrix = values.take(lo[:, None] + columns, mode="clip")
    matrix[columns >= rows[:, None]] = np.nan  # sorted last
    matrix.sort(axis=1)
    return matrix


def _partition(window: np.ndarray, ranks: np.ndarray, pair: np.ndarray) -> None:
    window, done = window.copy(), 0
    for k, rank in enumerate(ranks):
        window.partition(rank - done)
        window, done = window[rank - done :], rank
        pair[0, k] = window[0]
        pair[1, k] = np.minimum.reduce(window[1:] if len(window) > 1 else window)


def weighted_quantiles(
    values: np.ndarray, lo: np.ndarray, hi: np.ndarray, q: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return weighted quantiles of windows, where row j has weight `weights[j]`; see `quantile_of_sorted`.

    Returns:
        float64 of shape (len(q), windows); NaN for windows of zero weight.

    Examples:
        >>> window = np.array([0]), np.array([2])
        >>> weighted_quantiles(np.array([10.0, 20.0]), *window, np.array([0.5]), np.array([1.0, 2.0]))
        array([[20.]])
    """
    result = np.full((len(q), len(lo)), np.nan)
    for i in np.flatnonzero(hi > lo):
        rows = slice(lo[i], hi[i])
        order = np.argsort(values[rows], kind="stable")
        result[:, i] = quantile_of_sorted(values[rows][order], q, weights[rows][order])
    return result
