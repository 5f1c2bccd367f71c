"""Quantiles of many windows from log-bucket histograms: panes are counted once, windows are folds of the counts."""

from __future__ import annotations

import numpy as np

from crucible_nb.accumulators.buckets import bucket_keys, bucket_values
from crucible_nb.accumulators.order import interpolate
from crucible_nb.windows.panes import Panes

BITS = 8
BOUND = 2.0 ** -(BITS + 1)
"""Guaranteed relative error of every value that a quantile lies between: 2**-9, under 0.2 %."""

_LIFT = 52 << BITS  # the key of 0 is -_LIFT
_WINDOWS = 4096
_CELLS = 1 << 22
_AT_ONCE = 64


def sketch(
    values: np.ndarray, lo: np.ndarray, hi: np.ndarray, q: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Quantiles as `quantiles` gives them, each value rounded to its bucket, 256 buckets an octave.

    Args:
        values: float64, no NaN, in order of time.
        lo: First row of each window, rising.
        hi: Row after the last of each window, rising.
        q: Probabilities.
        weights: Of the rows, >= 0.

    Returns:
        float64 of shape (len(q), windows); NaN where a window is empty.

    References:
        Masson, C., Rim, J. E. and Lee, H. K. (2019). DDSketch. PVLDB 12(12).

    Examples:
        >>> sketch(np.array([100.0, 200.0, 300.0]), np.array([0]), np.array([3]), np.array([0.5]))
        array([[200.24968789]])
    """
    result = np.full((len(q), len(lo)), np.nan)
    for start in range(0, len(lo), _WINDOWS):
        some = slice(start, start + _WINDOWS)
        _fill(result[:, some], values, lo[some], hi[some], q, weights=weights)
    return result


def _fill(
    result: np.ndarray, values: np.ndarray, lo: np.ndarray, hi: np.ndarray, q: np.ndarray, *, weights: np.ndarray | None
) -> None:
    panes = Panes(lo, hi)
    rows = slice(int(panes.cuts[0]), int(panes.cuts[-1]))
    buckets, bucket = _occupied(_bucket(values[rows]))
    count = len(panes.cuts) - 1
    if count * len(buckets) > _CELLS and len(lo) > 1:
        half = len(lo) // 2
        _fill(result[:, :half], values, lo[:half], hi[:half], q, weights=weights)
        _fill(result[:, half:], values, lo[half:], hi[half:], q, weights=weights)
    elif count:
        cell = bucket + np.repeat(np.arange(count) * len(buckets), np.diff(panes.cuts))
        table = np.bincount(cell, None if weights is None else weights[rows], minlength=count * len(buckets))
        _read(result, _value(buckets), _fold(panes, table.reshape(count, len(buckets))), q)


def _fold(panes: Panes, table: np.ndarray) -> np.ndarray:
    """`panes.fold`, a few buckets at a time: tables that fit the cache."""
    result = np.empty((len(panes.first), table.shape[1]))
    for start in range(0, table.shape[1], _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        result[:, some] = panes.fold(table[:, some])
    return result


def _read(result: np.ndarray, values: np.ndarray, counts: np.ndarray, q: np.ndarray) -> None:
    """Find ranks in all windows at once: their counts, cumulated one window after the other, rise throughout."""
    upto = np.cumsum(counts)
    after = upto[len(values) - 1 :: len(values)]
    before = np.concatenate([[0.0], after[:-1]])
    last, final = np.nextafter(after, 0.0), upto.size - 1
    for i, probability in enumerate(q):
        place = before + np.maximum(after - before - 1, 0.0) * probability
        low = np.searchsorted(upto, np.minimum(place, last), side="right").clip(max=final)
        high = np.searchsorted(upto, np.minimum(upto[low], last), side="right")
        share = np.clip(place - (upto[low] - 1), 0.0, 1.0)
        found = interpolate(values[low % len(values)], values[high % len(values)], share)
        result[i] = np.where(after > before, found, np.nan)


def _occupied(bucket: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The buckets that occur, in order, and the place of each value's bucket among them."""
    least = bucket.min(initial=0)
    there = np.bincount(bucket - least) > 0
    place = np.cumsum(there) - 1
    return np.flatnonzero(there) + least, place[bucket - least]


def _bucket(values: np.ndarray) -> np.ndarray:
    """Signed number of a value's bucket, rising with the value: 0 holds 0."""
    size = bucket_keys(np.abs(values), BITS) + _LIFT
    return np.where(values < 0, -size, size)


def _value(buckets: np.ndarray) -> np.ndarray:
    """What stands for each bucket; zero and infinity stand for themselves."""
    value: np.ndarray = np.copysign(bucket_values(np.abs(buckets) - _LIFT, BITS), buckets)
    return value
