"""Quantiles of many windows from log-bucket histograms: panes are counted once, windows are folds of the counts."""

from __future__ import annotations

import numpy as np

from crucible_nb.windows.panes import Panes

BITS = 8
BOUND = 2.0 ** -(BITS + 1)
"""Guaranteed relative error of a value (normal float64, no interpolation across zero): 2**-9, under 0.2 %."""

_SHIFT = 52 - BITS
_WINDOWS = 4096
_CELLS = 1 << 22
_AT_ONCE = 64


def sketch(
    values: np.ndarray, lo: np.ndarray, hi: np.ndarray, q: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Quantiles as `quantiles` gives them, each value rounded to the middle of its bucket, 256 buckets an octave.

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
        array([[200.25]])
    """
    result = np.full((len(q), len(lo)), np.nan)
    for start in range(0, len(lo), _WINDOWS):
        some = slice(start, start + _WINDOWS)
        _fill(result[:, some], values, lo[some], hi[some], q, weights)
    return result


def _fill(
    result: np.ndarray, values: np.ndarray, lo: np.ndarray, hi: np.ndarray, q: np.ndarray, weights: np.ndarray | None
) -> None:
    panes = Panes(lo, hi)
    rows = slice(int(panes.cuts[0]), int(panes.cuts[-1]))
    buckets, bucket = _occupied(_bucket(values[rows]))
    count = len(panes.cuts) - 1
    if count * len(buckets) > _CELLS and len(lo) > 1:
        half = len(lo) // 2
        _fill(result[:, :half], values, lo[:half], hi[:half], q, weights)
        _fill(result[:, half:], values, lo[half:], hi[half:], q, weights)
    elif count:
        cell = bucket + np.repeat(np.arange(count) * len(buckets), np.diff(panes.cuts))
        table = np.bincount(cell, None if weights is None else weights[rows], minlength=count * len(buckets))
        _read(result, _middle(buckets), _fold(panes, table.reshape(count, len(buckets))), q)


def _fold(panes: Panes, table: np.ndarray) -> np.ndarray:
    """`panes.fold`, a few buckets at a time: tables that fit the cache."""
    result = np.empty((len(panes.first), table.shape[1]))
    for start in range(0, table.shape[1], _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        result[:, some] = panes.fold(table[:, some])
    return result


def _read(result: np.ndarray, middles: np.ndarray, counts: np.ndarray, q: np.ndarray) -> None:
    """Find ranks in all windows at once: their counts, cumulated one window after the other, rise throughout."""
    upto = np.cumsum(counts)
    after = upto[len(middles) - 1 :: len(middles)]
    before = np.concatenate([[0.0], after[:-1]])
    last, found = np.nextafter(after, 0.0), after > before
    for i, probability in enumerate(q):
        place = np.maximum((after - before - 1) * probability, 0.0)
        rank = np.floor(place)
        low, high = (
            middles[np.searchsorted(upto, np.minimum(before + rank + more, last), side="right") % len(middles)]
            for more in (0, 1)
        )
        with np.errstate(invalid="ignore"):
            result[i] = np.where(found, low + (high - low) * (place - rank), np.nan)


def _occupied(bucket: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The buckets that occur, in order, and the place of each value's bucket among them."""
    least = bucket.min(initial=0)
    there = np.bincount(bucket - least) > 0
    place = np.cumsum(there) - 1
    return np.flatnonzero(there) + least, place[bucket - least]


def _bucket(values: np.ndarray) -> np.ndarray:
    """Signed number of a value's bucket, rising with the value: the top bits of the float itself."""
    bits = np.abs(values).view(np.int64) >> _SHIFT
    return np.where(values < 0, -bits, bits)


def _middle(buckets: np.ndarray) -> np.ndarray:
    """The value halfway through each bucket; zero and infinity stand for themselves."""
    size = np.abs(buckets)
    middle = ((size << _SHIFT) | (1 << (_SHIFT - 1))).view(np.float64)
    middle = np.where(size == 0, 0.0, np.where(np.isnan(middle), np.inf, middle))
    return np.copysign(middle, buckets)
