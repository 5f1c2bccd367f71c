"""Quantiles of many windows from log-bucket histograms: panes are counted once and summed per window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crucible_nb.accumulators.buckets import bucket_keys, bucket_values
from crucible_nb.accumulators.order import interpolate
from crucible_nb.windows.panes import Panes

BITS = 8
BOUND = 2.0 ** -(BITS + 1)
"""Maximum relative error of the two values around a quantile: 2**-9, under 0.2 %."""

_LIFT = 52 << BITS  # the key of 0 is -_LIFT
_WINDOWS = 4096
_CELLS = 1 << 22
_AT_ONCE = 64


def sketch(
    values: np.ndarray, lo: np.ndarray, hi: np.ndarray, q: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return quantiles as `quantiles` does, with each value rounded to its bucket, 256 buckets per octave.

    Args:
        values: float64 without NaN, in order of time.
        lo: First row of each window, ascending.
        hi: Row after the last one of each window, ascending.
        q: Probabilities.
        weights: Weights of the rows, >= 0.

    Returns:
        float64 of shape (len(q), windows); NaN for empty windows.

    References:
        Masson, C., Rim, J. E. and Lee, H. K. (2019). DDSketch. PVLDB 12(12).

    Examples:
        >>> sketch(np.array([100.0, 200.0, 300.0]), np.array([0]), np.array([3]), np.array([0.5]))
        array([[200.24968789]])
    """
    result = np.full((len(q), len(lo)), np.nan)
    for start in range(0, len(lo), _WINDOWS):
        batch = slice(start, start + _WINDOWS)
        _fill(result[:, batch], values, lo[batch], hi[batch], q, weights=weights)
    return result


def _fill(
    result: np.ndarray, values: np.ndarray, lo: np.ndarray, hi: np.ndarray, q: np.ndarray, *, weights: np.ndarray | None
) -> None:
    panes = Panes(lo, hi)
    rows = slice(int(panes.cuts[0]), int(panes.cuts[-1]))
    buckets, bucket = _occupied(buckets_of(values[rows]))
    count = len(panes.cuts) - 1
    if count * len(buckets) > _CELLS and len(lo) > 1:
        half = len(lo) // 2
        _fill(result[:, :half], values, lo[:half], hi[:half], q, weights=weights)
        _fill(result[:, half:], values, lo[half:], hi[half:], q, weights=weights)
    elif count:
        cell = bucket + np.repeat(np.arange(count) * len(buckets), np.diff(panes.cuts))
        table = np.bincount(cell, None if weights is None else weights[rows], minlength=count * len(buckets))
        _read(result, value_of_buckets(buckets), _reduce(panes, table.reshape(count, len(buckets))), q)


def _reduce(panes: Panes, table: np.ndarray) -> np.ndarray:
    """Apply `panes.reduce` to a few buckets at a time, so that the tables fit into the cache."""
    result = np.empty((len(panes.first), table.shape[1]))
    for start in range(0, table.shape[1], _AT_ONCE):
        batch = slice(start, start + _AT_ONCE)
        result[:, batch] = panes.reduce(table[:, batch])
    return result


def _read(result: np.ndarray, values: np.ndarray, counts: np.ndarray, q: np.ndarray) -> None:
    """Find ranks in all windows at once; every window has the same buckets, most of them empty."""
    size = len(values)
    stops = np.arange(size, counts.size + 1, size)
    result[:] = quantiles_of_counts(counts.ravel(), stops, lambda entry: values[entry % size], q)


def quantiles_of_counts(
    counts: np.ndarray, stops: np.ndarray, values: Callable[[np.ndarray], np.ndarray], q: np.ndarray
) -> np.ndarray:
    """Return quantiles of windows whose rows are counted by value, in the cumulative counts of one after the other.

    A window's quantiles have the same bits beside any other windows (with float64 weights: almost).

    Args:
        counts: Rows of each entry, int64[n], or their weight, float64[n]. Entries of a window are in order of value.
        stops: Entry after the last one of each window, ascending.
        values: Function that returns the values of entries.
        q: Probabilities.

    Returns:
        float64 of shape (len(q), windows); NaN for windows without rows.

    Examples:
        >>> value = np.array([10.0, 20.0, 30.0])
        >>> counts, stops = np.array([1, 1, 4]), np.array([2, 3])
        >>> quantiles_of_counts(counts, stops, lambda entry: value[entry], np.array([0.5]))
        array([[15., 30.]])
    """
    result = np.full((len(q), len(stops)), np.nan)
    cumulative = np.cumsum(counts)
    if not cumulative.size:
        return result
    after = cumulative[stops - 1]
    before = np.concatenate([np.zeros(1, after.dtype), after[:-1]])
    last, final, whole = np.nextafter(after.astype(np.float64), 0.0), cumulative.size - 1, counts.dtype.kind == "i"
    for i, probability in enumerate(q):
        position = np.maximum(after - before - 1, 0.0) * probability
        rank = before + (np.floor(position) if whole else position)
        low = np.searchsorted(cumulative, np.minimum(rank, last), side="right").clip(max=final)
        high = np.searchsorted(cumulative, np.minimum(cumulative[low], last), side="right")
        fraction = np.clip(position - (cumulative[low] - before - 1), 0.0, 1.0)
        quantile = interpolate(values(low), values(high), fraction)
        result[i] = np.where(after > before, quantile, np.nan)
    return result


def _occupied(bucket: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the buckets that occur, in order, and the index of each value's bucket among them."""
    low = bucket.min(initial=0)
    occurs = np.bincount(bucket - low) > 0
    index = np.cumsum(occurs) - 1
    return np.flatnonzero(occurs) + low, index[bucket - low]


def buckets_of(values: np.ndarray) -> np.ndarray:
    """Return the signed number of each value's bucket, ascending with the value; bucket 0 contains 0."""
    size = bucket_keys(np.abs(values), BITS) + _LIFT
    return np.where(values < 0, -size, size)


def value_of_buckets(buckets: np.ndarray) -> np.ndarray:
    """Return the representative value of each bucket; zero and infinity are exact."""
    value: np.ndarray = np.copysign(bucket_values(np.abs(buckets) - _LIFT, BITS), buckets)
    return value
